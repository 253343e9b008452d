#include "penstock/loader/images.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "penstock/core/check.h"
#include "penstock/loader/internal/jpeg_window.h"
#include "penstock/loader/internal/resample.h"

namespace penstock::loader {
namespace {

constexpr std::int64_t kMostPixels = 178'956'970;

tl::unexpected<Error> bad_image(std::string message) {
  return core::input_error("", std::move(message));
}

// Whether the end marker is there. It is the last two bytes as a rule; some cameras append data.
bool has_end_marker(std::span<const std::uint8_t> jpeg) {
  for (std::size_t at = jpeg.size(); at >= 2; --at) {
    if (jpeg[at - 1] == 0xD9 && jpeg[at - 2] == 0xFF) return true;
  }
  return false;
}

int fraction_for(const Crop& crop, const ImageOptions& options) {
  if (!options.scaled_decode) return 1;
  int denominator = 1;
  while (denominator < 8 && std::min(crop.width, crop.height) >= 4 * denominator * options.size) {
    denominator *= 2;
  }
  return denominator;
}

constexpr std::uintptr_t kVectorBytes = 32;

// libjpeg-turbo writes rows at whole vectors past the caches (vmovntdq), from where we would have
// to fetch them again at once: a third of the time of an image. Elsewhere it writes as usual.
std::uint8_t* between_vectors(std::uint8_t* begin) {
  return reinterpret_cast<std::uintptr_t>(begin) % kVectorBytes == 0 ? begin + kVectorBytes / 2
                                                                     : begin;
}

}  // namespace

Crop random_resized_crop(ImageSize size, core::RandomStream& random) {
  constexpr double kLeastScale = 0.08;
  constexpr double kLeastRatio = 3.0 / 4.0;
  constexpr double kMostRatio = 4.0 / 3.0;
  const double area = static_cast<double>(size.width) * size.height;
  Crop crop;
  bool found = false;
  for (int attempt = 0; attempt < 10 && !found; ++attempt) {
    const double target = area * (kLeastScale + (1 - kLeastScale) * random.uniform());
    const double ratio = std::exp(
        std::log(kLeastRatio) + (std::log(kMostRatio) - std::log(kLeastRatio)) * random.uniform());
    // Python's round(): half to even.
    crop.width = static_cast<int>(std::nearbyint(std::sqrt(target * ratio)));
    crop.height = static_cast<int>(std::nearbyint(std::sqrt(target / ratio)));
    found =
        crop.width > 0 && crop.width <= size.width && crop.height > 0 && crop.height <= size.height;
    if (!found) continue;
    crop.y =
        static_cast<int>(random.below(static_cast<std::uint64_t>(size.height - crop.height + 1)));
    crop.x =
        static_cast<int>(random.below(static_cast<std::uint64_t>(size.width - crop.width + 1)));
  }
  if (!found) {
    const double ratio = static_cast<double>(size.width) / size.height;
    crop.width = size.width;
    crop.height = size.height;
    if (ratio < kLeastRatio) {
      crop.height = static_cast<int>(std::nearbyint(size.width / kLeastRatio));
    } else if (ratio > kMostRatio) {
      crop.width = static_cast<int>(std::nearbyint(size.height * kMostRatio));
    }
    crop.y = (size.height - crop.height) / 2;
    crop.x = (size.width - crop.width) / 2;
  }
  crop.mirrored = random.uniform() < 0.5;
  return crop;
}

struct ImageDecoder::State {
  ImageOptions options;
  JpegWindow jpeg;
  Taps across;
  Taps down;
  std::vector<std::uint8_t> row;      // as decoded
  std::vector<std::uint8_t> narrow;   // rows of the crop, resized to the output's width
  std::vector<std::uint8_t> out_row;  // of the output
  int row_bytes = 0;                  // of `narrow` and `out_row`: a multiple of 16
  float factor[3] = {};
  float offset[3] = {};

  Status resize_rows(const Crop& crop);
};

ImageDecoder::ImageDecoder(const ImageOptions& options) : state_(std::make_unique<State>()) {
  PENSTOCK_CHECK(options.size > 0);
  State& s = *state_;
  s.options = options;
  s.row_bytes = (4 * options.size + 15) / 16 * 16;
  s.out_row.resize(static_cast<std::size_t>(s.row_bytes));
  for (std::size_t c = 0; c < 3; ++c) {
    s.factor[c] = static_cast<float>(1.0 / (255.0 * static_cast<double>(options.deviation[c])));
    s.offset[c] = static_cast<float>(-static_cast<double>(options.mean[c]) /
                                     static_cast<double>(options.deviation[c]));
  }
}
ImageDecoder::ImageDecoder(ImageDecoder&&) noexcept = default;
ImageDecoder& ImageDecoder::operator=(ImageDecoder&&) noexcept = default;
ImageDecoder::~ImageDecoder() = default;

Result<ImageSize> ImageDecoder::open(std::span<const std::uint8_t> jpeg) {
  if (jpeg.empty()) return bad_image("the file is empty");
  if (jpeg.size() < 4 || jpeg[0] != 0xFF || jpeg[1] != 0xD8) return bad_image("is no JPEG");
  if (!has_end_marker(jpeg)) return bad_image("the JPEG is truncated");
  if (!state_->jpeg.open(jpeg)) return bad_image(state_->jpeg.problem());
  const ImageSize size = {state_->jpeg.width(), state_->jpeg.height()};
  if (static_cast<std::int64_t>(size.width) * size.height > kMostPixels) {
    return bad_image(fmt::format("{} x {} pixels are too many", size.width, size.height));
  }
  return size;
}

// Decodes the crop's rows and resizes each to the output's width while it is in the cache.
Status ImageDecoder::State::resize_rows(const Crop& crop) {
  const int denominator = fraction_for(crop, options);
  const int x0 = crop.x / denominator;
  const int y0 = crop.y / denominator;
  const PixelBox box = {x0, y0, (crop.x + crop.width + denominator - 1) / denominator - x0,
                        (crop.y + crop.height + denominator - 1) / denominator - y0};
  const auto scaled = [&](int at, int origin) {
    return static_cast<double>(at) / denominator - origin;
  };
  across.fit(box.width, scaled(crop.x, x0), scaled(crop.x + crop.width, x0), options.size);
  down.fit(box.height, scaled(crop.y, y0), scaled(crop.y + crop.height, y0), options.size);
  if (!jpeg.start(box, denominator)) return bad_image(jpeg.problem());
  row.resize(static_cast<std::size_t>(jpeg.row_pixels()) * 4 +
             static_cast<std::size_t>(across.width) * 4 + kSlackBytes + kVectorBytes);
  std::uint8_t* const cached_row = between_vectors(row.data());
  narrow.resize(static_cast<std::size_t>(box.height + kSlackRows) *
                static_cast<std::size_t>(row_bytes));
  for (int y = 0; y < box.height; ++y) {
    if (!jpeg.read_row(cached_row)) return bad_image(jpeg.problem());
    resample_row(across, cached_row + 4 * static_cast<std::ptrdiff_t>(jpeg.left()), crop.mirrored,
                 &narrow[static_cast<std::size_t>(y) * static_cast<std::size_t>(row_bytes)]);
  }
  if (jpeg.is_damaged()) return bad_image(jpeg.problem());
  return {};
}

Status ImageDecoder::decode(const Crop& crop, float* pixels) {
  State& s = *state_;
  PENSTOCK_TRY_STATUS(s.resize_rows(crop));
  const auto side = static_cast<std::ptrdiff_t>(s.options.size);
  for (int y = 0; y < s.options.size; ++y) {
    resample_column(s.down, y, s.narrow.data(), s.row_bytes, s.out_row.data());
    float* red = pixels + y * side;
    normalise_row(s.out_row.data(), s.options.size, s.factor, s.offset, red, red + side * side,
                  red + 2 * side * side);
  }
  return {};
}

Status ImageDecoder::decode_bytes(const Crop& crop, std::uint8_t* pixels) {
  State& s = *state_;
  PENSTOCK_TRY_STATUS(s.resize_rows(crop));
  const auto bytes = static_cast<std::size_t>(s.options.size) * 4;
  for (int y = 0; y < s.options.size; ++y) {
    resample_column(s.down, y, s.narrow.data(), s.row_bytes, s.out_row.data());
    std::memcpy(pixels + static_cast<std::size_t>(y) * bytes, s.out_row.data(), bytes);
  }
  return {};
}

}  // namespace penstock::loader
