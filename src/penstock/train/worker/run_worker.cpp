#include "penstock/train/worker/run_worker.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string_view>

#include "penstock/core/json.h"
#include "penstock/train/batch_channel.h"
#include "penstock/train/internal/tcp.h"
#include "penstock/train/step_loop.h"
#include "penstock/train/steps.h"
#include "penstock/version.h"

namespace penstock::train {
namespace {

// The loader starts with the ranks and has its first batches to decode.
constexpr Seconds kLoaderPatience{120};

class Reporter {
 public:
  explicit Reporter(StepsWriter writer)
      : writer_(std::move(writer)), is_told_(std::getenv("PENSTOCK_STEPS") != nullptr) {}

  void write(const StepsLine& line) {
    writer_.write(line);
    if (!is_told_) fmt::print("{}\n", to_line(line));
  }

 private:
  StepsWriter writer_;
  bool is_told_;  // to a launcher
};

Status run_job(const Job& job, const WorkerProgram& program, Reporter& reporter) {
  PENSTOCK_TRY(const std::unique_ptr<Trainer> trainer, program.trainer(job));
  // A control run without sums still starts its ranks together where it says how they meet.
  std::unique_ptr<Collective> collective;
  if (job.world > 1 && (job.all_reduce || !job.rendezvous.empty())) {
    PENSTOCK_TRY(collective, program.collective(job));
  }
  std::optional<BatchReader> reader;
  if (!job.channel.empty()) {
    PENSTOCK_TRY(reader, BatchReader::open(job.channel, kLoaderPatience));
    // Both sides have it now. Without its name no kill leaves it in memory.
    (void)std::remove(job.channel.c_str());
  }
  const StepParts parts{.trainer = trainer.get(),
                        .collective = collective.get(),
                        .reader = reader ? &*reader : nullptr};
  return run_steps(job, parts, [&](const StepRecord& step) { reporter.write(step); });
}

Result<Job> read_job(const std::string& path) {
  PENSTOCK_TRY(const core::Json json, core::read_json(path));
  return job_from_json(json, path);
}

std::string one_line(std::string text) {
  for (std::size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at)) {
    text.replace(at, 1, "; ");
  }
  return text;
}

int complain(const WorkerProgram& program, const Job* job, const Error& error, Reporter* reporter) {
  const std::string text = one_line(error.text());
  if (reporter != nullptr) reporter->write(StepsError{text});
  const std::string rank = job != nullptr ? fmt::format(" rank {}:", job->rank) : "";
  fmt::print(stderr, "{}:{} {}\n", program.name, rank, text);
  return static_cast<int>(error.kind);
}

// Only on the node of the rank is it known by what device the others are reached.
Status settle_interface(Job& job) {
  constexpr std::string_view kRoute = "route:";
  if (!job.interface.starts_with(kRoute)) return {};
  PENSTOCK_TRY(job.interface, internal::interface_towards(job.interface.substr(kRoute.size())));
  return {};
}

int run(const std::string& path, const WorkerProgram& program) {
  Result<Job> job = read_job(path);
  if (!job) return complain(program, nullptr, job.error(), nullptr);
  Result<StepsWriter> writer = StepsWriter::connect(
      {.rank = job->rank, .world = job->world, .batch = job->batch, .pid = getpid()});
  if (!writer) return complain(program, &*job, writer.error(), nullptr);
  Reporter reporter(*std::move(writer));
  const Status status =
      settle_interface(*job).and_then([&] { return run_job(*job, program, reporter); });
  if (!status) return complain(program, &*job, status.error(), &reporter);
  reporter.write(StepsDone{});
  return 0;
}

}  // namespace

int run_worker(int argc, char** argv, const WorkerProgram& program) {
  const std::string_view argument = argc == 2 ? argv[1] : "";
  if (argument == "--version") {
    fmt::print("{} {}\n", program.name, kVersion);
    return 0;
  }
  if (argument.empty() || argument.starts_with("-")) {
    const bool is_asked = argument == "--help" || argument == "-h";
    fmt::print(is_asked ? stdout : stderr,
               "usage: {} JOB.json\nRuns one rank of a training job; `penstock profile train` "
               "writes the job and starts the ranks.\n",
               program.name);
    return is_asked ? 0 : static_cast<int>(ErrorKind::kInput);
  }
  try {
    return run(std::string(argument), program);
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}: {}; this is a bug of Penstock\n", program.name, e.what());
    return static_cast<int>(ErrorKind::kBug);
  }
}

}  // namespace penstock::train
