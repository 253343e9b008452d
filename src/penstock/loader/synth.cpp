#include "penstock/loader/synth.h"

#include <fmt/format.h>
#include <sched.h>
#include <turbojpeg.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "penstock/core/check.h"
#include "penstock/core/file.h"
#include "penstock/core/interrupt.h"
#include "penstock/core/json.h"
#include "penstock/core/progress.h"
#include "penstock/core/random.h"
#include "penstock/loader/internal/tar.h"

namespace penstock::loader {
namespace {

namespace fs = std::filesystem;

constexpr int kQuality = 90;
// ImageNet's training set: 1,281,167 files, 110 kB on average, most of them 500 x 375.
constexpr double kMeanBytes = 110e3;
constexpr double kMeanPixels = 500 * 375;
constexpr double kSpread = 0.45;  // standard deviation of the logarithm of the size
constexpr const char* kManifest = "penstock-synth.json";

struct Plane {
  int width = 0;
  int height = 0;
  std::vector<float> values;
  float& at(int x, int y) {
    return values[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
                  static_cast<std::size_t>(x)];
  }
  float at(int x, int y) const { return const_cast<Plane*>(this)->at(x, y); }
};

Plane make_plane(int width, int height) {
  return {width, height,
          std::vector<float>(static_cast<std::size_t>(width) * static_cast<std::size_t>(height))};
}

// Uniform in [-1, 1], eight to a draw. No function of the C library, whose last bits vary.
void add_noise(Plane& plane, float amplitude, core::RandomStream& random) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < plane.values.size(); ++i) {
    if (i % 8 == 0) bits = random.bits();
    const auto byte = static_cast<float>(static_cast<int>(bits & 255));
    plane.values[i] += amplitude * (byte - 127.5F) / 127.5F;
    bits >>= 8;
  }
}

// Twice as large in each direction, by linear interpolation.
Plane doubled(const Plane& small, int width, int height) {
  Plane large = make_plane(width, height);
  for (int y = 0; y < height; ++y) {
    const int y0 = y / 2;
    const int y1 = y % 2 == 0 ? y0 : std::min(y0 + 1, small.height - 1);
    for (int x = 0; x < width; ++x) {
      const int x0 = x / 2;
      const int x1 = x % 2 == 0 ? x0 : std::min(x0 + 1, small.width - 1);
      large.at(x, y) =
          0.25F * (small.at(x0, y0) + small.at(x1, y0) + small.at(x0, y1) + small.at(x1, y1));
    }
  }
  return large;
}

// The octaves from `coarsest` to `finest` (cells of 2^octave pixels), of equal amplitude: a
// spectrum that falls as 1/f. The result has cells of one pixel.
Plane noise(int width, int height, int coarsest, int finest, float amplitude,
            core::RandomStream& random) {
  const auto cells = [](int pixels, int octave) { return (pixels + (1 << octave) - 1) >> octave; };
  Plane plane = make_plane(cells(width, coarsest), cells(height, coarsest));
  for (int octave = coarsest;; --octave) {
    if (octave >= finest) add_noise(plane, amplitude, random);
    if (octave == 0) return plane;
    plane = doubled(plane, cells(width, octave - 1), cells(height, octave - 1));
  }
}

unsigned char byte_of(float value) {
  return static_cast<unsigned char>(std::clamp(value + 0.5F, 0.0F, 255.0F));
}

// Luma with its fine detail scaled by `gain`, and chroma at half the resolution, as RGB (JFIF).
std::vector<unsigned char> rgb_of(const Plane& coarse, const Plane& fine, float gain,
                                  const Plane& blue, const Plane& red) {
  std::vector<unsigned char> rgb(3 * coarse.values.size());
  unsigned char* to = rgb.data();
  for (int y = 0; y < coarse.height; ++y) {
    for (int x = 0; x < coarse.width; ++x, to += 3) {
      const float luma = 128.0F + coarse.at(x, y) + gain * fine.at(x, y);
      const float b = blue.at(x / 2, y / 2);
      const float r = red.at(x / 2, y / 2);
      to[0] = byte_of(luma + 1.402F * r);
      to[1] = byte_of(luma - 0.344136F * b - 0.714136F * r);
      to[2] = byte_of(luma + 1.772F * b);
    }
  }
  return rgb;
}

class Compressor {
 public:
  Compressor() : handle_(tjInitCompress()) {}
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;
  ~Compressor() {
    tjFree(buffer_);
    tjDestroy(handle_);
  }
  // From RGB: the call that takes planes pads them with whatever was in memory.
  std::string compress(int width, int height, const std::vector<unsigned char>& rgb) {
    unsigned long size = capacity_;
    const int code = tjCompress2(handle_, rgb.data(), width, 0, height, TJPF_RGB, &buffer_, &size,
                                 TJSAMP_420, kQuality, 0);
    PENSTOCK_CHECK(code == 0);
    capacity_ = std::max(capacity_, size);
    return {reinterpret_cast<const char*>(buffer_), size};
  }

 private:
  tjhandle handle_;
  unsigned char* buffer_ = nullptr;
  unsigned long capacity_ = 0;
};

struct Shape {
  int width;
  int height;
};

Shape draw_shape(core::RandomStream& random) {
  const double u = random.uniform();
  if (u < 0.68) return {500, 375};
  if (u < 0.82) return {375, 500};
  if (u < 0.90) return {500, 333};
  if (u < 0.94) return {333, 500};
  if (u < 0.97) return {640, 480};
  const auto side = [&random] { return 200 + static_cast<int>(random.below(800)); };
  const int width = side();
  return {width, side()};
}

double mean_of_three(core::RandomStream& random) {
  return (random.uniform() + random.uniform() + random.uniform()) / 3;
}

}  // namespace

std::string synthetic_jpeg(std::uint64_t seed, std::int64_t index) {
  core::RandomStream random(seed, fmt::format("image {}", index));
  const Shape shape = draw_shape(random);
  // The mean of three uniform numbers has a deviation of 1/6 and no tails to speak of.
  const double deviate = (mean_of_three(random) - 0.5) * 6;
  const double target = kMeanBytes / kMeanPixels * shape.width * shape.height *
                        std::exp(kSpread * deviate - kSpread * kSpread / 2);
  const int chroma_width = (shape.width + 1) / 2;
  const int chroma_height = (shape.height + 1) / 2;
  const Plane coarse = noise(shape.width, shape.height, 8, 3, 26.0F, random);
  const Plane fine = noise(shape.width, shape.height, 2, 0, 26.0F, random);
  const Plane blue = noise(chroma_width, chroma_height, 7, 1, 7.0F, random);
  const Plane red = noise(chroma_width, chroma_height, 7, 1, 7.0F, random);
  thread_local Compressor compressor;
  // The size grows with the logarithm of the fine detail; a few bisections come near enough.
  double low = 0.02;
  double high = 4.0;
  std::string best;
  for (int step = 0; step < 6; ++step) {
    const double gain = std::sqrt(low * high);
    best = compressor.compress(shape.width, shape.height,
                               rgb_of(coarse, fine, static_cast<float>(gain), blue, red));
    const double ratio = static_cast<double>(best.size()) / target;
    if (ratio > 0.95 && ratio < 1.05) break;
    (ratio > 1 ? high : low) = gain;
  }
  return best;
}

namespace {

int usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

// Runs `task` for each of `count` on all threads; stops at the first error or at Ctrl-C.
Status for_each(std::int64_t count, int threads, const std::function<Status(std::int64_t)>& task) {
  std::atomic<std::int64_t> next{0};
  std::mutex mutex;
  std::optional<Error> failure;
  const auto run = [&] {
    for (;;) {
      const std::int64_t at = next++;
      if (at >= count || core::interrupted()) return;
      const Status status = task(at);
      if (status) continue;
      const std::lock_guard lock(mutex);
      if (!failure) failure = status.error();
      next = count;
    }
  };
  std::vector<std::thread> crew;
  for (int i = 1; i < threads; ++i) crew.emplace_back(run);
  run();
  for (std::thread& thread : crew) thread.join();
  if (failure) return core::fail(*failure);
  return {};
}

class Synthesis {
 public:
  Synthesis(std::string folder, const SynthOptions& options)
      : folder_(std::move(folder)),
        options_(options),
        progress_("images", options.images, options.progress) {}

  Status run() {
    const int threads = options_.threads > 0 ? options_.threads : usable_processors();
    const bool has_shards = options_.shards > 0;
    PENSTOCK_TRY_STATUS(
        for_each(has_shards ? options_.shards : options_.images, threads,
                 [&](std::int64_t at) { return has_shards ? write_shard(at) : write_image(at); }));
    if (!core::interrupted()) return {};
    return core::negative(
        folder_, fmt::format("interrupted after {} of {} images", done_.load(), options_.images),
        "run the same command again to go on");
  }

 private:
  Status write_image(std::int64_t index) {
    const std::string path =
        fmt::format("{}/class-{:04}/{:08}.jpg", folder_, index % options_.classes, index);
    // What is there is whole, because a file appears under its name when it is complete.
    if (!fs::exists(path)) {
      std::error_code error;
      fs::create_directories(fs::path(path).parent_path(), error);
      PENSTOCK_TRY_STATUS(core::write_file(path, synthetic_jpeg(options_.seed, index)));
    }
    advance();
    return {};
  }

  // Shard s holds every image whose number is s modulo the number of shards.
  Status write_shard(std::int64_t shard) {
    const std::string path = fmt::format("{}/shard-{:06}.tar", folder_, shard);
    const bool is_there = fs::exists(path);
    std::string bytes;
    for (std::int64_t index = shard; index < options_.images; index += options_.shards) {
      if (core::interrupted()) return {};
      if (!is_there) {
        append(bytes, fmt::format("{:08}.jpg", index), synthetic_jpeg(options_.seed, index));
        append(bytes, fmt::format("{:08}.cls", index), std::to_string(index % options_.classes));
      }
      advance();
    }
    if (is_there) return {};
    bytes.append(1024, '\0');
    return core::write_file(path, bytes);
  }

  static void append(std::string& shard, const std::string& name, const std::string& bytes) {
    shard += tar_header(name, static_cast<std::int64_t>(bytes.size()));
    shard += bytes;
    shard.append((512 - bytes.size() % 512) % 512, '\0');
  }

  void advance() {
    ++done_;
    const std::lock_guard lock(mutex_);
    progress_.advance();
  }

  std::string folder_;
  SynthOptions options_;
  std::mutex mutex_;
  core::Progress progress_;
  std::atomic<std::int64_t> done_{0};
};

// What the folder holds or will hold; another manifest means another data set.
Status claim_folder(const std::string& folder, const SynthOptions& options) {
  const core::Json manifest = {{"schema", "penstock-synth/1"},
                               {"images", options.images},
                               {"seed", options.seed},
                               {"classes", options.classes},
                               {"shards", options.shards}};
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return core::missing_error(folder, "cannot be made: " + error.message());
  const std::string path = folder + "/" + kManifest;
  if (!fs::is_empty(folder, error)) {
    const Result<std::string> there = core::read_file(path);
    if (there && *there == core::json_text(manifest)) return {};
    return core::input_error(folder,
                             there ? "holds a synthetic data set of other options" : "is not empty",
                             "name a new folder");
  }
  return core::write_file(path, core::json_text(manifest));
}

}  // namespace

Status synthesize(const std::string& folder, const SynthOptions& options) {
  if (options.images < 1 || options.classes < 1 || options.shards < 0 ||
      options.shards > options.images) {
    return core::input_error("load synth",
                             "a data set has at least one image, one class, and no "
                             "more shards than images");
  }
  PENSTOCK_TRY_STATUS(claim_folder(folder, options));
  return Synthesis(folder, options).run();
}

}  // namespace penstock::loader
