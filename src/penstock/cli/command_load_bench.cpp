// penstock load bench: the loader measured beside its peers.
#include <fmt/format.h>
#include <unistd.h>

#include "penstock/cli/command_load.h"
#include "penstock/cli/internal/pipeline_options.h"
#include "penstock/core/table.h"
#include "penstock/loader/bench.h"
#include "penstock/loader/reading.h"
#include "penstock/version.h"

namespace penstock::cli {
namespace {

using loader::BenchResult;

class LoadBenchCommand : public Command {
 public:
  std::string name() const override { return "bench"; }
  std::string summary() const override {
    return "Measure images per second beside Pillow, torchvision.io and bare libturbojpeg";
  }
  std::string example() const override { return "penstock load bench data --workers 2"; }

  void declare(CLI::App& app) override {
    app.add_option("DIR", folder_, "JPEG files, one subfolder a class, or tar shards")
        ->required()
        ->type_name("");
    words_.declare(app);
    app.add_option("--seconds", seconds_,
                   "Of the comparison, and of the throughput; default 10 each")
        ->check(CLI::Range(0.01, 1e6))
        ->type_name("S");
    app.add_flag("--no-peers", no_peers_, "Leave the Python peers out");
    app.add_option("--python", python_, "That has the peers' packages; default: the system's")
        ->type_name("PROGRAM");
    output_.declare(app);
  }

  Status prepare() override { return words_.read(); }

  Status run() override {
    PENSTOCK_TRY(const loader::Dataset data, loader::Dataset::open(folder_));
    loader::BenchOptions options;
    options.pipeline = words_.options;
    options.batch = words_.batch;
    options.slots = words_.slots;
    options.duration = Seconds(seconds_);
    options.peers = !no_peers_;
    // The peers are packages of the system's Python, which need not be the first on the path.
    constexpr const char* kSystemPython = "/usr/bin/python3";
    options.python = !python_.empty()                     ? python_
                     : ::access(kSystemPython, X_OK) == 0 ? kSystemPython
                                                          : "python3";
    if (words_.drop_caches) PENSTOCK_TRY_STATUS(loader::drop_page_cache(data));
    PENSTOCK_TRY(const BenchResult result, loader::run_bench(data, options));
    return output_.emit(document(result), human(result));
  }

 private:
  core::Json document(const BenchResult& r) const {
    core::Json peers = core::Json::array();
    for (const loader::PeerResult& peer : r.peers) {
      core::Json item = {{"name", peer.name}};
      if (peer.skipped.empty()) {
        item["images_per_cpu_s"] = peer.images_per_cpu_s;
        item["ours_over_it"] = r.images_per_cpu_s / peer.images_per_cpu_s;
      } else {
        item["images_per_cpu_s"] = nullptr;
        item["skipped"] = peer.skipped;
      }
      peers.push_back(std::move(item));
    }
    return {{"folder", folder_},
            {"images", r.images},
            {"workers", words_.options.workers},
            {"images_per_s", r.images_per_s},
            {"images_per_cpu_s", r.images_per_cpu_s},
            {"decode_only_images_per_cpu_s", r.decode_only_images_per_cpu_s},
            {"pipeline_images_per_cpu_s",
             r.pipeline_cpu_per_image > 0 ? 1 / r.pipeline_cpu_per_image : 0.0},
            {"peers", std::move(peers)},
            {"rounds", r.rounds},
            {"images_per_round", r.images_per_round},
            {"bad_samples", r.pipeline.counters.bad_samples},
            {"peak_memory_bytes", r.peak_bytes},
            {"seed", words_.options.seed},
            {"version", kVersion}};
  }

  std::string human(const BenchResult& r) const {
    using Align = core::Table::Align;
    core::Table table(
        {{"path"}, {"images/s a core", Align::kRight}, {"ours over it", Align::kRight}});
    const auto row = [&](const std::string& name, double rate) {
      table.add_row(
          {name, fmt::format("{:.0f}", rate), fmt::format("{:.2f} x", r.images_per_cpu_s / rate)});
    };
    row("penstock: read, decode, crop, resize, flip, normalise", r.images_per_cpu_s);
    row("libturbojpeg: decode only", r.decode_only_images_per_cpu_s);
    std::string skipped;
    for (const loader::PeerResult& peer : r.peers) {
      if (peer.skipped.empty()) {
        row(peer.name, peer.images_per_cpu_s);
      } else {
        skipped += fmt::format("{} did not run: {}\n", peer.name, peer.skipped);
      }
    }
    return table.text() + skipped +
           fmt::format(
               "\nMedian of {} rounds of {} images, by processor time, in turns.\n"
               "{} workers together: {:.0f} images/s over {}, {:.0f} a second of processor time; "
               "peak memory {}\n",
               r.rounds, r.images_per_round, words_.options.workers, r.images_per_s,
               core::format_quantity(Seconds(r.pipeline_s)),
               r.pipeline_cpu_per_image > 0 ? 1 / r.pipeline_cpu_per_image : 0.0,
               core::format_quantity(Bytes(static_cast<double>(r.peak_bytes))));
  }

  std::string folder_;
  PipelineWords words_;
  double seconds_ = 10;
  bool no_peers_ = false;
  std::string python_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_load_bench_command() { return std::make_unique<LoadBenchCommand>(); }

}  // namespace penstock::cli
