// Crops, resizing and decoding, against plain arithmetic, whole-image decoding and Pillow.
#include "penstock/loader/images.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <turbojpeg.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "penstock/core/file.h"
#include "penstock/loader/internal/jpeg_window.h"
#include "penstock/loader/internal/resample.h"
#include "penstock/loader/synth.h"

namespace penstock::loader {
namespace {

using core::RandomStream;
using ::testing::HasSubstr;

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// Noise of the given size, compressed with the given chroma subsampling.
std::string jpeg_of(int width, int height, int subsampling, std::uint64_t seed, int flags = 0) {
  RandomStream random(seed, "pixels");
  std::vector<unsigned char> pixels(static_cast<std::size_t>(3 * width * height));
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const double wave = 60 * std::sin(0.05 * x * (c + 1)) + 50 * std::cos(0.07 * y);
        pixels[static_cast<std::size_t>(3 * (y * width + x) + c)] =
            static_cast<unsigned char>(128 + wave + 15 * random.uniform());
      }
    }
  }
  tjhandle handle = tjInitCompress();
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  tjCompress2(handle, pixels.data(), width, 0, height, TJPF_RGB, &buffer, &size, subsampling, 90,
              flags);
  std::string jpeg(reinterpret_cast<const char*>(buffer), size);
  tjFree(buffer);
  tjDestroy(handle);
  return jpeg;
}

std::vector<std::uint8_t> whole_image(const std::string& jpeg, int width, int height) {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(4 * width * height));
  tjhandle handle = tjInitDecompress();
  tjDecompress2(handle, bytes_of(jpeg).data(), jpeg.size(), pixels.data(), width, 0, height,
                TJPF_RGBX, 0);
  tjDestroy(handle);
  return pixels;
}

TEST(ResampleTest, VectorsGiveThePlainResultToTheBit) {
  RandomStream random(1, "resample");
  for (int round = 0; round < 300; ++round) {
    const int inputs = 1 + static_cast<int>(random.below(700));
    const int outputs = 1 + static_cast<int>(random.below(250));
    const double begin = random.uniform() * 0.9;
    const double end = inputs - random.uniform() * 0.05;
    Taps taps;
    taps.fit(inputs, std::min(begin, end / 2), end, outputs);
    std::vector<std::uint8_t> row(static_cast<std::size_t>(4 * (inputs + taps.width)) +
                                  kSlackBytes);
    for (std::uint8_t& byte : row) byte = static_cast<std::uint8_t>(random.bits());
    std::vector<std::uint8_t> fast(static_cast<std::size_t>(4 * outputs));
    std::vector<std::uint8_t> plain(fast.size());
    const bool mirrored = round % 2 == 1;
    resample_row(taps, row.data(), mirrored, fast.data());
    resample_row_plain(taps, row.data(), mirrored, plain.data());
    ASSERT_EQ(fast, plain) << inputs << " to " << outputs;

    constexpr int kBytes = 48;
    std::vector<std::uint8_t> rows(static_cast<std::size_t>((inputs + kSlackRows) * kBytes));
    for (std::uint8_t& byte : rows) byte = static_cast<std::uint8_t>(random.bits());
    std::vector<std::uint8_t> fast_row(kBytes);
    std::vector<std::uint8_t> plain_row(kBytes);
    for (int output = 0; output < outputs; ++output) {
      resample_column(taps, output, rows.data(), kBytes, fast_row.data());
      resample_column_plain(taps, output, rows.data(), kBytes, plain_row.data());
      ASSERT_EQ(fast_row, plain_row) << inputs << " to " << outputs << ", row " << output;
    }
  }
}

TEST(ResampleTest, AConstantStaysAndTheSameSizeCopies) {
  Taps taps;
  for (const int inputs : {1, 7, 224, 501, 3000}) {
    taps.fit(inputs, 0, inputs, 224);
    std::vector<std::uint8_t> row(static_cast<std::size_t>(4 * (inputs + taps.width)) + kSlackBytes,
                                  255);
    std::vector<std::uint8_t> out(4 * 224);
    resample_row(taps, row.data(), false, out.data());
    EXPECT_THAT(out, ::testing::Each(255)) << inputs;
  }
  taps.fit(9, 0, 9, 9);
  std::vector<std::uint8_t> row(4 * (9 + 16) + kSlackBytes);
  for (std::size_t i = 0; i < row.size(); ++i) row[i] = static_cast<std::uint8_t>(7 * i);
  std::vector<std::uint8_t> out(4 * 9);
  resample_row(taps, row.data(), false, out.data());
  EXPECT_TRUE(std::equal(out.begin(), out.end(), row.begin()));
}

TEST(ResampleTest, NormalisedRowsAreFactorTimesByteAndOffset) {
  std::vector<std::uint8_t> row(4 * 37);
  for (std::size_t i = 0; i < row.size(); ++i) row[i] = static_cast<std::uint8_t>(31 * i);
  const float factor[] = {0.5F, 0.25F, 2.0F};
  const float offset[] = {-1.0F, 0.5F, 3.0F};
  std::vector<float> planes[] = {std::vector<float>(37), std::vector<float>(37),
                                 std::vector<float>(37)};
  normalise_row(row.data(), 37, factor, offset, planes[0].data(), planes[1].data(),
                planes[2].data());
  for (std::size_t i = 0; i < 37; ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      EXPECT_FLOAT_EQ(planes[c][i], static_cast<float>(row[4 * i + c]) * factor[c] + offset[c]);
    }
  }
}

TEST(JpegWindowTest, AWindowIsThePartOfTheWholeImageToTheBit) {
  RandomStream random(2, "windows");
  for (const int subsampling : {TJSAMP_444, TJSAMP_422, TJSAMP_420, TJSAMP_440, TJSAMP_GRAY}) {
    for (int round = 0; round < 60; ++round) {
      const int width = 20 + static_cast<int>(random.below(300));
      const int height = 20 + static_cast<int>(random.below(300));
      const int progressive = round % 4 == 0 ? TJFLAG_PROGRESSIVE : 0;
      const std::string jpeg = jpeg_of(width, height, subsampling, random.bits(), progressive);
      const std::vector<std::uint8_t> whole = whole_image(jpeg, width, height);
      PixelBox box;
      box.width = 1 + static_cast<int>(random.below(static_cast<std::uint64_t>(width)));
      box.height = 1 + static_cast<int>(random.below(static_cast<std::uint64_t>(height)));
      box.x = static_cast<int>(random.below(static_cast<std::uint64_t>(width - box.width + 1)));
      box.y = static_cast<int>(random.below(static_cast<std::uint64_t>(height - box.height + 1)));
      JpegWindow window;
      ASSERT_TRUE(window.open(bytes_of(jpeg)));
      ASSERT_TRUE(window.start(box, 1)) << window.problem();
      std::vector<std::uint8_t> row(static_cast<std::size_t>(4 * window.row_pixels()));
      for (int y = 0; y < box.height; ++y) {
        ASSERT_TRUE(window.read_row(row.data())) << window.problem();
        for (int x = 0; x < box.width; ++x) {
          for (int c = 0; c < 3; ++c) {
            const auto at = static_cast<std::size_t>(4 * ((box.y + y) * width + box.x + x) + c);
            ASSERT_EQ(row[static_cast<std::size_t>(4 * (window.left() + x) + c)], whole[at])
                << width << "x" << height << " subsampling " << subsampling << " window "
                << box.width << "x" << box.height << "+" << box.x << "+" << box.y << " at " << x
                << "," << y;
          }
        }
      }
      EXPECT_FALSE(window.is_damaged());
    }
  }
}

TEST(RandomResizedCropTest, CropsLieInsideAndHaveTheAreaAndRatioAskedFor) {
  RandomStream random(3, "crops");
  double area = 0;
  double ratios = 0;
  int mirrored = 0;
  constexpr int kRounds = 20'000;
  for (int round = 0; round < kRounds; ++round) {
    const Crop crop = random_resized_crop({500, 375}, random);
    ASSERT_GE(crop.x, 0);
    ASSERT_GE(crop.y, 0);
    ASSERT_GE(crop.width, 1);
    ASSERT_GE(crop.height, 1);
    ASSERT_LE(crop.x + crop.width, 500);
    ASSERT_LE(crop.y + crop.height, 375);
    const double ratio = static_cast<double>(crop.width) / crop.height;
    ASSERT_GT(ratio, 0.74);
    ASSERT_LT(ratio, 1.35);
    ratios += ratio;
    area += static_cast<double>(crop.width) * crop.height / (500.0 * 375.0);
    mirrored += crop.mirrored ? 1 : 0;
  }
  // 20,000 draws of torchvision 0.14's RandomResizedCrop.get_params for this size: area 0.4348 of
  // the image, aspect ratio 1.0457; the standard error of either is 0.002.
  EXPECT_NEAR(area / kRounds, 0.4348, 0.008);
  EXPECT_NEAR(ratios / kRounds, 1.0457, 0.008);
  EXPECT_NEAR(static_cast<double>(mirrored) / kRounds, 0.5, 0.02);
}

TEST(RandomResizedCropTest, AStripThatNoCropFitsGivesItsCentre) {
  RandomStream random(4, "crops");
  const Crop wide = random_resized_crop({10'000, 3}, random);
  EXPECT_EQ(wide.height, 3);
  EXPECT_EQ(wide.width, 4);
  EXPECT_EQ(wide.x, (10'000 - 4) / 2);
  const Crop pixel = random_resized_crop({1, 1}, random);
  EXPECT_EQ(pixel.width, 1);
  EXPECT_EQ(pixel.height, 1);
}

TEST(ImageDecoderTest, AMirroredCropIsTheCropMirrored) {
  const std::string jpeg = jpeg_of(300, 260, TJSAMP_420, 5);
  for (const int size : {1, 31, 224}) {
    ImageDecoder decoder({.size = size});
    std::vector<float> straight(static_cast<std::size_t>(3 * size * size));
    std::vector<float> mirrored(straight.size());
    ASSERT_TRUE(decoder.open(bytes_of(jpeg)));
    ASSERT_TRUE(decoder.decode({20, 30, 250, 200, false}, straight.data()));
    ASSERT_TRUE(decoder.open(bytes_of(jpeg)));
    ASSERT_TRUE(decoder.decode({20, 30, 250, 200, true}, mirrored.data()));
    for (int row = 0; row < 3 * size; ++row) {
      for (int x = 0; x < size; ++x) {
        ASSERT_EQ(straight[static_cast<std::size_t>(row * size + x)],
                  mirrored[static_cast<std::size_t>(row * size + size - 1 - x)]);
      }
    }
  }
}

TEST(ImageDecoderTest, FloatsAreTheBytesNormalised) {
  const std::string jpeg = jpeg_of(100, 80, TJSAMP_444, 6);
  ImageDecoder decoder({.size = 32});
  std::vector<float> floats(3 * 32 * 32);
  std::vector<std::uint8_t> bytes(4 * 32 * 32);
  const Crop crop = {5, 6, 70, 60, false};
  ASSERT_TRUE(decoder.open(bytes_of(jpeg)));
  ASSERT_TRUE(decoder.decode(crop, floats.data()));
  ASSERT_TRUE(decoder.open(bytes_of(jpeg)));
  ASSERT_TRUE(decoder.decode_bytes(crop, bytes.data()));
  const ImageOptions imagenet;
  for (std::size_t i = 0; i < 32 * 32; ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      // torchvision's to_tensor and normalize.
      const float expected = (static_cast<float>(bytes[4 * i + c]) / 255.0F - imagenet.mean[c]) /
                             imagenet.deviation[c];
      ASSERT_NEAR(floats[c * 32 * 32 + i], expected, 1e-6);
    }
  }
}

TEST(ImageDecoderTest, WhatIsNoJpegIsNamed) {
  ImageDecoder decoder({.size = 8});
  std::vector<float> pixels(3 * 8 * 8);
  const auto problem = [&](const std::string& bytes) {
    const Result<ImageSize> size = decoder.open(bytes_of(bytes));
    if (!size) return size.error().text();
    const Status status = decoder.decode({0, 0, size->width, size->height, false}, pixels.data());
    return status ? std::string("decoded") : status.error().text();
  };
  const std::string good = jpeg_of(200, 200, TJSAMP_420, 7);
  EXPECT_EQ(problem(good), "decoded");
  EXPECT_EQ(problem(""), "the file is empty");
  EXPECT_EQ(problem("\x89PNG\r\n"), "is no JPEG");
  EXPECT_EQ(problem(good.substr(0, good.size() / 2)), "the JPEG is truncated");
  std::string stump = good.substr(0, good.size() / 2);
  stump += "\xFF\xD9";
  EXPECT_THAT(problem(stump), HasSubstr("premature end of data segment"));
  EXPECT_THAT(problem(std::string("\xFF\xD8", 2) + std::string(50, '\0') + "\xFF\xD9"),
              ::testing::Not("decoded"));
  EXPECT_EQ(problem(good + "appended by a camera"), "decoded");
  EXPECT_EQ(problem(good), "decoded");  // no trace of what went before
}

TEST(ImageDecoderTest, DamagedBytesNeverCrashIt) {
  const std::string good = jpeg_of(160, 120, TJSAMP_420, 8);
  RandomStream random(9, "damage");
  ImageDecoder decoder({.size = 16});
  std::vector<float> pixels(3 * 16 * 16);
  int failures = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string bad = good;
    for (int i = 0; i < 4; ++i) {
      bad[random.below(bad.size())] = static_cast<char>(random.bits());
    }
    const Result<ImageSize> size = decoder.open(bytes_of(bad));
    const bool fits =
        size && size->width >= 1 && size->height >= 1 && size->width < 4000 && size->height < 4000;
    if (!fits || !decoder.decode({0, 0, size->width, size->height, false}, pixels.data())) {
      ++failures;
    }
  }
  EXPECT_GT(failures, 100);
}

// The bytes that Pillow gives for a crop, or nothing where it is absent.
class PillowTest : public ::testing::Test {
 protected:
  PillowTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pillow-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~PillowTest() override { std::filesystem::remove_all(folder_); }

  // Runs one Python process over all jobs; false where there is no Pillow.
  bool resize(const std::vector<std::pair<std::string, Crop>>& jobs, int size) {
    std::string script = "import sys\nfrom PIL import Image\n";
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      const std::string path = folder_ + "/" + std::to_string(i);
      EXPECT_TRUE(core::write_file(path + ".jpg", jobs[i].first));
      const Crop& c = jobs[i].second;
      script += fmt::format(
          "im = Image.open('{0}.jpg').convert('RGB').crop(({1}, {2}, {3}, {4})).resize(({5}, {5}), "
          "Image.BILINEAR)\n{6}open('{0}.rgb', 'wb').write(im.tobytes())\n",
          path, c.x, c.y, c.x + c.width, c.y + c.height, size,
          c.mirrored ? "im = im.transpose(Image.FLIP_LEFT_RIGHT)\n" : "");
    }
    EXPECT_TRUE(core::write_file(folder_ + "/script.py", script));
    for (const char* python : {"/usr/bin/python3", "python3"}) {
      const std::string command =
          fmt::format("{} {}/script.py >{}/log 2>&1", python, folder_, folder_);
      if (std::system(command.c_str()) == 0) return true;
    }
    return false;
  }
  // Greatest and mean absolute difference of job `i` to Pillow.
  std::pair<int, double> difference(std::size_t i, const std::pair<std::string, Crop>& job,
                                    const ImageOptions& options) {
    const auto pillow = core::read_file(fmt::format("{}/{}.rgb", folder_, i));
    EXPECT_TRUE(pillow);
    const auto pixels = static_cast<std::size_t>(options.size * options.size);
    std::vector<std::uint8_t> ours(4 * pixels);
    ImageDecoder decoder(options);
    EXPECT_TRUE(decoder.open(bytes_of(job.first)));
    EXPECT_TRUE(decoder.decode_bytes(job.second, ours.data()));
    int most = 0;
    double sum = 0;
    for (std::size_t p = 0; p < pixels; ++p) {
      for (std::size_t c = 0; c < 3; ++c) {
        const int d = std::abs(static_cast<int>(ours[4 * p + c]) -
                               static_cast<int>(static_cast<std::uint8_t>((*pillow)[3 * p + c])));
        most = std::max(most, d);
        sum += d;
      }
    }
    return {most, sum / static_cast<double>(3 * pixels)};
  }

  std::string folder_;
};

TEST_F(PillowTest, CropsEqualPillowsToTheBit) {
  RandomStream random(10, "pillow");
  std::vector<std::pair<std::string, Crop>> jobs;
  const int subsamplings[] = {TJSAMP_444, TJSAMP_422, TJSAMP_420, TJSAMP_GRAY};
  for (int i = 0; i < 40; ++i) {
    const std::string jpeg =
        i < 20 ? synthetic_jpeg(11, i)
               : jpeg_of(180 + 7 * i, 200 + 3 * i, subsamplings[i % 4], random.bits());
    JpegWindow header;
    ASSERT_TRUE(header.open(bytes_of(jpeg)));
    jobs.emplace_back(jpeg, random_resized_crop({header.width(), header.height()}, random));
  }
  if (!resize(jobs, 224)) GTEST_SKIP() << "no Python with Pillow (python3-pil)";
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    EXPECT_EQ(difference(i, jobs[i], {.size = 224, .scaled_decode = false}).first, 0) << i;
  }
}

TEST_F(PillowTest, ScaledDecodingStaysWithinItsStatedError) {
  std::vector<std::pair<std::string, Crop>> jobs;
  for (int i = 0; i < 12; ++i)
    jobs.emplace_back(synthetic_jpeg(12, i), Crop{3, 5, 310, 320, false});
  for (int i = 0; i < 12; ++i)
    jobs.emplace_back(synthetic_jpeg(13, i), Crop{30, 1, 200, 190, true});
  if (!resize(jobs, 40)) GTEST_SKIP() << "no Python with Pillow (python3-pil)";
  double worst = 0;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const auto [most, mean] = difference(i, jobs[i], {.size = 40});
    EXPECT_LT(mean, kScaledMeanError) << i;
    EXPECT_LE(most, kScaledGreatestError) << i;
    worst = std::max(worst, mean);
  }
  EXPECT_GT(worst, 0);  // it did scale
}

}  // namespace
}  // namespace penstock::loader
