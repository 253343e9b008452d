// penstock load run: the loader as a program that feeds another one, or alone.
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>

#include "penstock/cli/command_load.h"
#include "penstock/cli/internal/pipeline_options.h"
#include "penstock/core/interrupt.h"
#include "penstock/loader/control.h"
#include "penstock/loader/reading.h"
#include "penstock/version.h"

namespace penstock::cli {
namespace {

using loader::Pipeline;
using loader::PipelineState;

class LoadRunCommand : public Command {
 public:
  std::string name() const override { return "run"; }
  std::string summary() const override {
    return "Load batches into shared memory for a training program, or alone to see how fast";
  }
  std::string example() const override { return "penstock load run data --workers 2 --epochs 1"; }

  void declare(CLI::App& app) override {
    app.add_option("DIR", folder_, "JPEG files, one subfolder a class, or tar shards")
        ->required()
        ->type_name("");
    app.add_option("--channel", channel_,
                   "Shared-memory file that a training program reads batches from, for example "
                   "/dev/shm/batches; without it they are discarded")
        ->type_name("PATH");
    words_.declare(app);
    app.add_option("--epochs", words_.options.epochs, "Default 0: for ever")
        ->check(CLI::Range(std::int64_t{0}, std::int64_t{1'000'000'000}))
        ->type_name("N");
    app.add_option("--rank", words_.options.rank, "Of the training processes; default 0")
        ->check(CLI::Range(0, 1 << 20))
        ->type_name("N");
    app.add_option("--world", words_.options.world, "Number of training processes; default 1")
        ->check(CLI::Range(1, 1 << 20))
        ->type_name("N");
    app.add_option("--control", control_,
                   "Unix socket that takes the lines \"workers N\" and \"state\"")
        ->type_name("SOCKET");
    output_.declare(app);
  }

  Status prepare() override { return words_.read(); }

  Status run() override {
    PENSTOCK_TRY(const loader::Dataset data, loader::Dataset::open(folder_));
    if (words_.drop_caches) PENSTOCK_TRY_STATUS(loader::drop_page_cache(data));
    std::optional<loader::ControlSocket> control;
    if (!control_.empty()) {
      PENSTOCK_TRY(control, loader::ControlSocket::listen(control_));
    }
    if (channel_.empty()) {
      loader::MemorySink sink(words_.shape(), [](const train::BatchView&) {});
      return drive(data, sink, control);
    }
    PENSTOCK_TRY(train::BatchWriter writer, train::BatchWriter::create(channel_, words_.shape()));
    loader::ChannelSink sink(writer);
    const Status status = drive(data, sink, control);
    if (!status) {
      // A training program that has had enough is the usual end of an endless loader.
      if (writer.reader_left()) return {};
      writer.fail(status.error().text());
    }
    writer.close();
    if (status) await_reader(writer);
    return status;
  }

 private:
  using Clock = std::chrono::steady_clock;

  Seconds elapsed() const {
    return Seconds(std::chrono::duration<double>(Clock::now() - start_).count());
  }

  // Runs the pipeline to its end while the control socket is served.
  Status drive(const loader::Dataset& data, loader::BatchSink& sink,
               std::optional<loader::ControlSocket>& control) {
    start_ = Clock::now();
    PENSTOCK_TRY(const std::unique_ptr<Pipeline> pipeline,
                 Pipeline::start(data, words_.options, sink));
    const Seconds look(0.05);
    std::optional<Status> outcome;
    Clock::time_point shown = start_;
    while (!outcome && !core::interrupted()) {
      if (control) {
        control->serve(look, [&](const std::string& line) {
          return loader::answer_control(line, *pipeline, elapsed());
        });
      }
      outcome = pipeline->wait_for(control ? Seconds(0) : look);
      if (channel_.empty() && Clock::now() - shown > std::chrono::seconds(5)) {
        shown = Clock::now();
        const PipelineState now = pipeline->state();
        fmt::print(stderr, "{} images, {:.0f} images/s\n", now.counters.samples,
                   static_cast<double>(now.counters.samples) / elapsed().value());
      }
    }
    const Seconds took = elapsed();
    pipeline->stop();
    const PipelineState state = pipeline->state();
    for (const std::string& bad : state.bad) fmt::print(stderr, "warning: {}\n", bad);
    if (outcome && !*outcome) return *outcome;
    // With a channel the standard output may be the training program's.
    if (channel_.empty() || output_.json || !output_.out.empty()) {
      PENSTOCK_TRY_STATUS(output_.emit(document(state, took), human(state, took)));
    }
    if (core::interrupted()) return core::negative(folder_, "interrupted");
    return {};
  }

  // Short data may have ended before the training program has opened the channel. Once it has, it
  // keeps the memory though the file goes.
  static void await_reader(const train::BatchWriter& writer) {
    while (!core::interrupted() && !writer.has_reader()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  core::Json document(const PipelineState& state, Seconds took) const {
    core::Json json = core::Json::parse(loader::state_line(state, took));
    json["images_per_s"] = static_cast<double>(state.counters.samples) / took.value();
    json["bad_files"] = state.bad_files;
    json["folder"] = folder_;
    json["cache"] = loader::to_text(words_.options.cache);
    json["seed"] = words_.options.seed;
    json["version"] = kVersion;
    return json;
  }

  std::string human(const PipelineState& state, Seconds took) const {
    const train::LoaderCounters& c = state.counters;
    const auto samples = static_cast<double>(c.samples);
    const auto share = [&](std::int64_t part) {
      const std::int64_t all = c.fetch_ns + c.prep_ns + c.blocked_ns;
      return all > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(all) : 0.0;
    };
    return fmt::format(
        "{} images in {}: {:.0f} images/s, {:.0f} a second of processor time\n"
        "workers' time: prep {:.0f} %, fetch {:.0f} %, waiting for a free batch {:.0f} %\n"
        "{} read, {} of it from storage; bad images {}\n",
        c.samples, core::format_quantity(took), samples / took.value(),
        c.cpu_ns > 0 ? samples / (static_cast<double>(c.cpu_ns) * 1e-9) : 0.0, share(c.prep_ns),
        share(c.fetch_ns), share(c.blocked_ns),
        core::format_quantity(Bytes(static_cast<double>(c.bytes))),
        core::format_quantity(Bytes(static_cast<double>(c.disk_bytes))), c.bad_samples);
  }

  std::string folder_;
  std::string channel_;
  std::string control_;
  PipelineWords words_;
  OutputOptions output_;
  Clock::time_point start_;
};

}  // namespace

std::unique_ptr<Command> make_load_run_command() { return std::make_unique<LoadRunCommand>(); }

}  // namespace penstock::cli
