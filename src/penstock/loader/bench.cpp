#include "penstock/loader/bench.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <turbojpeg.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "penstock/core/clock.h"
#include "penstock/core/interrupt.h"
#include "penstock/core/progress.h"
#include "penstock/core/random.h"
#include "penstock/core/statistics.h"
#include "penstock/loader/internal/order.h"
#include "penstock/loader/internal/peer_process.h"
#include "penstock/loader/reading.h"

namespace penstock::loader {
namespace {

constexpr std::int64_t kMostPerRound = 100;
constexpr std::int64_t kLeastRounds = 3;

double process_cpu_s() {
  return static_cast<double>(core::clock_ns(CLOCK_PROCESS_CPUTIME_ID)) * 1e-9;
}

// A lane that was skipped has none.
double typical(const std::vector<double>& rates) { return rates.empty() ? 0 : core::median(rates); }

struct Task {
  std::int64_t sample = 0;
  Crop crop;
};

// One way to get from files to samples, timed over a round's images.
struct Lane {
  std::string name;
  std::vector<double> rates;  // images per second of processor time, one a round
  std::string skipped;
};

class Turns {
 public:
  Turns(const Dataset& data, const BenchOptions& options)
      : data_(data),
        options_(options),
        image_(options.pipeline.image),
        reader_(data, {}),
        decoder_(image_),
        turbo_(tjInitDecompress()),
        order_(static_cast<std::int64_t>(data.samples().size()), options.pipeline.seed, 0, 1) {
    pixels_.resize(3 * static_cast<std::size_t>(image_.size) *
                   static_cast<std::size_t>(image_.size));
    per_round_ =
        std::min<std::int64_t>(kMostPerRound, static_cast<std::int64_t>(data.samples().size()));
  }
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;
  ~Turns() { tjDestroy(turbo_); }

  Status run(BenchResult& result);

 private:
  void find_peers();
  Status draw_tasks();
  Status run_ours();
  Status run_decode();
  Status run_peer(Lane& lane);
  Result<std::span<const std::uint8_t>> read(std::int64_t sample);

  const Dataset& data_;
  const BenchOptions& options_;
  ImageOptions image_;
  SampleReader reader_;
  ImageDecoder decoder_;
  tjhandle turbo_;
  SampleOrder order_;
  std::int64_t per_round_ = 0;
  std::vector<Task> tasks_;
  std::vector<float> pixels_;
  std::vector<unsigned char> whole_;
  std::optional<PeerProcess> process_;
  Lane ours_;
  Lane decode_;
  std::vector<Lane> peers_;
};

Result<std::span<const std::uint8_t>> Turns::read(std::int64_t sample) {
  reader_.start(sample);
  PENSTOCK_TRY(const SampleBytes read, reader_.finish());
  return read.bytes;
}

void Turns::find_peers() {
  if (!options_.peers) return;
  Result<PeerProcess> process = PeerProcess::start(options_.python);
  Result<std::vector<std::pair<std::string, std::string>>> found =
      process
          ? process->peers()
          : Result<std::vector<std::pair<std::string, std::string>>>(core::fail(process.error()));
  if (!found) {
    peers_.push_back({"Python", {}, found.error().text()});
    return;
  }
  for (const auto& [name, state] : *found) {
    peers_.push_back({name, {}, state == "ok" ? "" : state});
  }
  process_.emplace(std::move(*process));
  process_->send(fmt::format("size\t{}", image_.size));
}

// The next images of the order, bad ones left out, with the crops that an epoch would give them.
// Reading them here also brings all lanes' files into the page cache.
Status Turns::draw_tasks() {
  tasks_.clear();
  if (process_) process_->send("clear");
  for (std::int64_t tries = 0; static_cast<std::int64_t>(tasks_.size()) < per_round_; ++tries) {
    if (tries > 2 * per_round_ && tasks_.empty()) {
      return core::negative(data_.root(), "none of its first images can be decoded");
    }
    if (tries > 4 * per_round_) break;
    const Ticket ticket = order_.next();
    const auto bytes = read(ticket.sample);
    if (!bytes) continue;
    const Result<ImageSize> size = decoder_.open(*bytes);
    if (!size) continue;
    core::RandomStream random(options_.pipeline.seed,
                              fmt::format("augment {} {}", ticket.epoch, ticket.sample));
    const Crop crop = random_resized_crop(*size, random);
    if (!decoder_.decode(crop, pixels_.data())) continue;
    tasks_.push_back({ticket.sample, crop});
    if (!process_) continue;
    const Sample& place = data_.samples()[static_cast<std::size_t>(ticket.sample)];
    process_->send(fmt::format("image\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{:d}",
                               data_.files()[static_cast<std::size_t>(place.file)], place.offset,
                               place.bytes, crop.x, crop.y, crop.width, crop.height,
                               crop.mirrored));
  }
  return {};
}

Status Turns::run_ours() {
  const double begin = process_cpu_s();
  for (const Task& task : tasks_) {
    PENSTOCK_TRY(const auto bytes, read(task.sample));
    PENSTOCK_TRY(const ImageSize size, decoder_.open(bytes));
    (void)size;
    PENSTOCK_TRY_STATUS(decoder_.decode(task.crop, pixels_.data()));
  }
  ours_.rates.push_back(static_cast<double>(tasks_.size()) / (process_cpu_s() - begin));
  return {};
}

// The whole image by libturbojpeg, its reading not counted.
Status Turns::run_decode() {
  double spent = 0;
  std::size_t images = 0;
  for (const Task& task : tasks_) {
    PENSTOCK_TRY(const auto bytes, read(task.sample));
    const double begin = process_cpu_s();
    int width = 0;
    int height = 0;
    int subsampling = 0;
    int colours = 0;
    const auto size = static_cast<unsigned long>(bytes.size());
    if (tjDecompressHeader3(turbo_, bytes.data(), size, &width, &height, &subsampling, &colours) !=
            0 ||
        colours == TJCS_CMYK || colours == TJCS_YCCK) {
      continue;
    }
    whole_.resize(3 * static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
    tjDecompress2(turbo_, bytes.data(), size, whole_.data(), width, 0, height, TJPF_RGB, 0);
    spent += process_cpu_s() - begin;
    ++images;
  }
  if (images > 0) decode_.rates.push_back(static_cast<double>(images) / spent);
  return {};
}

Status Turns::run_peer(Lane& lane) {
  if (!lane.skipped.empty()) return {};
  PENSTOCK_TRY(const double spent, process_->run(lane.name, 0, tasks_.size()));
  lane.rates.push_back(static_cast<double>(tasks_.size()) / spent);
  return {};
}

Status Turns::run(BenchResult& result) {
  find_peers();
  const std::int64_t begin = core::now_ns();
  const auto wanted = static_cast<std::int64_t>(options_.duration.value() * 1e9);
  // The first round warms up: Python's imports, the page cache, the processor's caches.
  for (std::int64_t round = 0; round <= kLeastRounds || core::now_ns() - begin < wanted; ++round) {
    if (core::interrupted()) {
      if (round > 1) break;
      return core::negative(data_.root(), "interrupted before the first round was over");
    }
    PENSTOCK_TRY_STATUS(draw_tasks());
    // In turns from either end, so that a drift of the machine favours none.
    std::vector<std::function<Status()>> lanes = {[this] { return run_ours(); },
                                                  [this] { return run_decode(); }};
    for (Lane& lane : peers_) lanes.push_back([this, &lane] { return run_peer(lane); });
    if (round % 2 == 1) std::reverse(lanes.begin(), lanes.end());
    for (const auto& lane : lanes) PENSTOCK_TRY_STATUS(lane());
    if (round == 0) {
      ours_.rates.clear();
      decode_.rates.clear();
      for (Lane& lane : peers_) lane.rates.clear();
    }
  }
  result.rounds = static_cast<std::int64_t>(ours_.rates.size());
  result.images_per_round = static_cast<std::int64_t>(tasks_.size());
  result.images_per_cpu_s = typical(ours_.rates);
  result.decode_only_images_per_cpu_s = typical(decode_.rates);
  for (const Lane& lane : peers_) {
    result.peers.push_back({lane.name, typical(lane.rates), lane.skipped});
  }
  return {};
}

// The pipeline with all its workers, its batches discarded.
Status run_pipeline(const Dataset& data, const BenchOptions& options, BenchResult& result) {
  const int size = options.pipeline.image.size;
  MemorySink sink({static_cast<std::int32_t>(options.batch), 3, size, size,
                   static_cast<std::int32_t>(options.slots)},
                  [](const train::BatchView&) {});
  PipelineOptions forever = options.pipeline;
  forever.epochs = 0;
  const double cpu = process_cpu_s();
  const std::int64_t begin = core::now_ns();
  PENSTOCK_TRY(const std::unique_ptr<Pipeline> pipeline, Pipeline::start(data, forever, sink));
  const std::int64_t end = begin + static_cast<std::int64_t>(options.duration.value() * 1e9);
  while (core::now_ns() < end && !core::interrupted()) {
    const double left = static_cast<double>(end - core::now_ns()) * 1e-9;
    const std::optional<Status> outcome = pipeline->wait_for(Seconds(std::clamp(left, 0.0, 0.1)));
    if (outcome && !*outcome) return *outcome;
  }
  result.pipeline = pipeline->state();
  result.pipeline_s = static_cast<double>(core::now_ns() - begin) * 1e-9;
  const auto samples = static_cast<double>(result.pipeline.counters.samples);
  result.images_per_s = samples / result.pipeline_s;
  result.pipeline_cpu_per_image = samples > 0 ? (process_cpu_s() - cpu) / samples : 0;
  return {};
}

}  // namespace

Result<BenchResult> run_bench(const Dataset& data, const BenchOptions& options) {
  BenchResult result;
  result.images = static_cast<std::int64_t>(data.samples().size());
  {
    Turns turns(data, options);
    PENSTOCK_TRY_STATUS(turns.run(result));
  }
  PENSTOCK_TRY_STATUS(run_pipeline(data, options, result));
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  result.peak_bytes = static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
  return result;
}

}  // namespace penstock::loader
