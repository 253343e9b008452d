#include "penstock/loader/daemon.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <utility>

#include "penstock/core/interrupt.h"
#include "penstock/core/private_folder.h"
#include "penstock/loader/internal/live_fit.h"
#include "penstock/loader/internal/live_loader.h"

namespace penstock::loader {
namespace {

using internal::LiveLoader;
using internal::LiveState;
using internal::LoaderWindow;
using internal::monotonic_now;

// What a sample costs before anything was measured: a JPEG of 100 kB on one core.
constexpr Seconds kFirstGuess(2e-3);
constexpr long kLookNanoseconds = 20'000'000;

struct Running {
  std::size_t job = 0;  // in the file
  std::unique_ptr<LiveLoader> loader;
  JobModel model;
  bool is_fitted = false;
  int drifting = 0;
  double predicted = 0;
  LiveState state;  // as last looked at
  LiveState window_begin;
  std::vector<LoaderWindow> windows;
};

class Daemon {
 public:
  Daemon(const JobsFile& file, const DaemonOptions& options, const core::PrivateFolder& folder)
      : file_(file), options_(options), folder_(folder), machine_(file.machine) {
    for (const JobSpec& job : file.jobs) {
      report_.jobs.push_back(
          {.name = job.model.name, .arrival = job.arrival, .end = {}, .model = {}});
      waiting_.push_back(report_.jobs.size() - 1);
    }
    std::stable_sort(waiting_.begin(), waiting_.end(), [&](std::size_t a, std::size_t b) {
      return file.jobs[a].arrival > file.jobs[b].arrival;
    });
    report_.policy = options.policy;
    report_.ledger = ledger::Ledger(
        fmt::format("{} jobs, loaders by {}", file.jobs.size(), policy_name(options.policy)),
        ledger::Evidence::kMeasured);
  }

  Result<LiveReport> run() {
    start_ = monotonic_now();
    while ((!waiting_.empty() || !running_.empty()) && !core::interrupted()) {
      PENSTOCK_TRY_STATUS(admit());
      PENSTOCK_TRY_STATUS(look());
      timespec pause = {.tv_sec = 0, .tv_nsec = kLookNanoseconds};
      ::nanosleep(&pause, nullptr);
    }
    report_.interrupted = core::interrupted();
    for (const Running& job : running_) account(job, now());
    for (const LiveJobReport& job : report_.jobs) {
      report_.makespan = std::max(report_.makespan, job.end);
      report_.mean_fraction += job.fraction / static_cast<double>(report_.jobs.size());
    }
    PENSTOCK_TRY_STATUS(report_.ledger.close(report_.makespan));
    return std::move(report_);
  }

 private:
  Seconds now() const { return monotonic_now() - start_; }

  // Jobs whose time has come; a new one changes what all get.
  Status admit() {
    bool is_new = false;
    while (!waiting_.empty() && file_.jobs[waiting_.back()].arrival <= now()) {
      const std::size_t index = waiting_.back();
      const JobSpec& spec = file_.jobs[index];
      waiting_.pop_back();
      Running job;
      job.job = index;
      job.model = spec.model;
      job.is_fitted = spec.model.cpu_per_sample.value() > 0;
      if (!job.is_fitted) {
        job.model.cpu_per_sample = kFirstGuess;
        job.model.curve.sample_time = kFirstGuess;
      }
      PENSTOCK_TRY(job.loader,
                   LiveLoader::start(spec, options_.program, folder_, static_cast<int>(index)));
      PENSTOCK_TRY(job.state, job.loader->state());
      job.window_begin = job.state;
      job.loader->set_goal(spec.samples);
      running_.push_back(std::move(job));
      is_new = true;
    }
    return is_new ? share() : Status{};
  }

  Status look() {
    bool has_ended = false;
    for (std::size_t i = 0; i < running_.size();) {
      PENSTOCK_TRY(running_[i].state, running_[i].loader->state());
      if (running_[i].state.is_done) {
        account(running_[i], running_[i].state.ended - start_);
        running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
        has_ended = true;
      } else {
        ++i;
      }
    }
    if (has_ended && !running_.empty()) return share();
    if (!running_.empty() && now() - window_start_ >= options_.window) return observe();
    return {};
  }

  AllocationState allocation_state() const {
    AllocationState state;
    state.machine = machine_;
    for (const Running& job : running_) {
      const auto left = static_cast<double>(file_.jobs[job.job].samples - job.state.samples);
      state.jobs.push_back({job.model, std::max(1.0, left), job.loader->workers()});
    }
    return state;
  }

  // Asks the policy, resizes the loaders, and begins a new window.
  Status share() {
    AllocationState state = allocation_state();
    // A new loader runs with one worker, but nobody has decided so yet.
    for (std::size_t i = 0; i < running_.size(); ++i) {
      if (running_[i].predicted == 0) state.jobs[i].workers = 0;
    }
    const std::vector<int> workers = reallocate(options_.policy, state, file_.parameters);
    const std::vector<double> rates = shared_rates(state, workers);
    for (std::size_t i = 0; i < running_.size(); ++i) {
      Running& job = running_[i];
      if (job.loader->workers() != workers[i]) ++report_.jobs[job.job].resizes;
      PENSTOCK_TRY_STATUS(job.loader->set_workers(workers[i]));
      job.predicted = rates[i];
    }
    return begin_window();
  }

  Status begin_window() {
    window_start_ = now();
    for (Running& job : running_) {
      PENSTOCK_TRY(job.window_begin, job.loader->state());
    }
    return {};
  }

  // The end of a window: first fits, and models that no longer hold.
  Status observe() {
    bool is_changed = false;
    bool has_drifted = false;
    double cores = 0;
    bool is_short = false;
    for (Running& job : running_) {
      const LoaderWindow window{job.window_begin, job.state, job.loader->workers()};
      internal::remember(window, job.windows);
      cores += window.cores();
      if (!job.is_fitted) {
        job.is_fitted = internal::fit_model(job.windows, job.model);
        is_changed |= job.is_fitted;
        continue;
      }
      // A window holds whole steps only, so one step more or less is no drift.
      const double step = static_cast<double>(job.model.batch) * job.model.accelerators;
      const double slack = step / window.length().value();
      const double off = window.rate() - job.predicted;
      const bool drifts = std::abs(off) > file_.parameters.drift_fraction * job.predicted + slack;
      job.drifting = drifts ? job.drifting + 1 : 0;
      is_short |= drifts && off < 0;
      if (job.drifting >= file_.parameters.drift_steps) {
        job.drifting = 0;
        has_drifted |= internal::fit_model(job.windows, job.model);
      }
    }
    if (has_drifted) {
      ++report_.drifts;
      // Short of the prediction although costs are known: others use the cores. With nobody short
      // there are as many as there were.
      machine_.cores = is_short ? std::clamp(cores, 0.1 * file_.machine.cores, file_.machine.cores)
                                : file_.machine.cores;
    }
    return is_changed || has_drifted ? share() : begin_window();
  }

  // Books a job that has ended, or was interrupted.
  void account(const Running& job, Seconds end) {
    const JobSpec& spec = file_.jobs[job.job];
    LiveJobReport& report = report_.jobs[job.job];
    report.end = std::max(end, spec.arrival);
    report.samples = job.state.samples;
    const Seconds lived = report.end - spec.arrival;
    report.rate = lived.value() > 0 ? static_cast<double>(report.samples) / lived.value() : 0;
    report.fraction = report.rate / spec.model.full_rate();
    report.model = job.model;
    ledger::Account& account = report_.ledger.add_account(report.name, spec.model.accelerators);
    const Seconds compute = std::min(job.state.compute, lived);
    const Seconds stall = lived - compute;
    const train::LoaderCounters& c = job.state.counters;
    const auto busy = static_cast<double>(c.fetch_ns + c.prep_ns);
    const double fetch = busy > 0 ? static_cast<double>(c.fetch_ns) / busy : 0;
    account.add(ledger::Activity::kCompute, "steps", compute);
    account.add(ledger::Activity::kPrep, "waiting for data", stall * (1 - fetch));
    if (fetch > 0) account.add(ledger::Activity::kFetch, "waiting for data", stall * fetch);
    if (spec.arrival.value() > 0) {
      account.add(ledger::Activity::kIdle, "not arrived yet", spec.arrival);
    }
  }

  const JobsFile& file_;
  const DaemonOptions& options_;
  const core::PrivateFolder& folder_;
  MachineBudget machine_;
  std::vector<std::size_t> waiting_;  // the next one last
  std::vector<Running> running_;
  Seconds start_;
  Seconds window_start_;
  LiveReport report_;
};

}  // namespace

Result<LiveReport> run_live(const JobsFile& file, const DaemonOptions& options) {
  for (const JobSpec& job : file.jobs) {
    if (job.data.empty()) {
      return core::input_error(job.model.name, "has no data to load",
                               "add data = \"FOLDER\" to the job");
    }
  }
  if (options.policy == AllocationPolicy::kOracle &&
      oracle_trials(state_of(file)) > kMostOracleTrials) {
    return core::input_error("--policy", "the oracle cannot try that many allocations",
                             "use fewer jobs or workers");
  }
  PENSTOCK_TRY(const core::PrivateFolder folder, core::PrivateFolder::create());
  return Daemon(file, options, folder).run();
}

}  // namespace penstock::loader
