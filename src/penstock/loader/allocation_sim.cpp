#include "penstock/loader/allocation_sim.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "penstock/core/nearest.h"
#include "penstock/sim/event_queue.h"

namespace penstock::loader {
namespace {

struct Event {
  std::size_t job = 0;
  bool is_arrival = true;
  // A finish that was expected before the last decision is void.
  std::uint64_t decision = 0;
};

struct Active {
  std::size_t job = 0;
  JobModel model;
  double left = 0;
  double rate = 0;
  int workers = 0;
  bool waits_for_storage = false;
};

class Simulation {
 public:
  Simulation(std::vector<JobModel> models, const trace::ArrivalTrace& trace,
             const SimulationOptions& options)
      : models_(std::move(models)), trace_(trace), options_(options) {}

  Result<SimulationReport> run() {
    for (std::size_t j = 0; j < trace_.jobs.size(); ++j) {
      const trace::JobArrival& job = trace_.jobs[j];
      report_.jobs.push_back({.name = job.name,
                              .arrival = sim::seconds_of(sim::duration_of(job.arrival)),
                              .end = {},
                              .samples = static_cast<double>(job.samples),
                              .compute = {},
                              .prep = {},
                              .fetch = {}});
      events_.schedule(sim::duration_of(job.arrival), {.job = j});
    }
    bool is_due = false;
    while (!events_.empty()) {
      const Event event = events_.pop();
      if (event.is_arrival || event.decision == decisions_) {
        advance();
        if (event.is_arrival) {
          arrive(event.job);
        } else {
          finish(event.job);
        }
        is_due = true;
      }
      // Events of one moment are one decision.
      if (is_due && (events_.empty() || events_.next_time() != events_.now())) {
        decide();
        is_due = false;
      }
    }
    return summary();
  }

 private:
  void advance() {
    const Seconds passed = sim::seconds_of(events_.now() - last_);
    last_ = events_.now();
    for (Active& active : active_) {
      SimulatedJob& job = report_.jobs[active.job];
      const double done = std::min(active.left, active.rate * passed.value());
      active.left -= done;
      const double fraction = active.rate / active.model.full_rate();
      job.compute += passed * fraction;
      (active.waits_for_storage ? job.fetch : job.prep) += passed * (1 - fraction);
    }
  }

  void arrive(std::size_t j) {
    active_.push_back(
        {.job = j, .model = models_[j], .left = static_cast<double>(trace_.jobs[j].samples)});
  }

  void finish(std::size_t j) {
    const auto it = std::find_if(active_.begin(), active_.end(),
                                 [&](const Active& active) { return active.job == j; });
    report_.jobs[j].end = sim::seconds_of(events_.now());
    active_.erase(it);
  }

  void decide() {
    ++decisions_;
    if (active_.empty()) return;
    AllocationState state;
    state.machine = options_.machine;
    for (const Active& active : active_) {
      state.jobs.push_back({active.model, active.left, active.workers});
    }
    const std::vector<int> workers = reallocate(options_.policy, state, options_.parameters);
    const std::vector<double> rates = shared_rates(state, workers);
    AllocationState no_limit = state;
    no_limit.machine.storage = MachineBudget().storage;
    const std::vector<double> with_storage = shared_rates(no_limit, workers);
    for (std::size_t i = 0; i < active_.size(); ++i) {
      Active& active = active_[i];
      if (active.workers > 0 && active.workers != workers[i]) ++report_.jobs[active.job].resizes;
      active.workers = workers[i];
      active.rate = rates[i];
      // Storage is what it waits for if it would be faster with more of it.
      active.waits_for_storage = with_storage[i] > rates[i] * (1 + 1e-9);
      events_.schedule(events_.now() + sim::duration_of(Seconds(active.left / active.rate)),
                       {.job = active.job, .is_arrival = false, .decision = decisions_});
    }
  }

  Result<SimulationReport> summary() {
    double samples = 0;
    Seconds present, compute;
    report_.ledger = ledger::Ledger(
        fmt::format("{} jobs, loaders by {}", trace_.jobs.size(), policy_name(options_.policy)),
        ledger::Evidence::kSimulated);
    for (std::size_t j = 0; j < report_.jobs.size(); ++j) {
      const SimulatedJob& job = report_.jobs[j];
      report_.makespan = std::max(report_.makespan, job.end);
      present += job.end - job.arrival;
      compute += job.compute;
      samples += job.samples;
      ledger::Account& account = report_.ledger.add_account(job.name, models_[j].accelerators);
      account.add(ledger::Activity::kCompute, "steps", job.compute);
      account.add(ledger::Activity::kPrep, "waiting for data", job.prep);
      account.add(ledger::Activity::kFetch, "waiting for data", job.fetch);
      account.add(ledger::Activity::kIdle, "not arrived yet", job.arrival);
    }
    const auto n = static_cast<double>(report_.jobs.size());
    report_.mean_completion = present / n;
    report_.mean_fraction = compute / present;
    report_.samples_per_s = samples / report_.makespan.value();
    report_.decisions = static_cast<int>(decisions_);
    PENSTOCK_TRY_STATUS(report_.ledger.close(report_.makespan));
    return std::move(report_);
  }

  std::vector<JobModel> models_;  // of each job of the trace
  const trace::ArrivalTrace& trace_;
  const SimulationOptions& options_;
  sim::EventQueue<Event> events_;
  sim::Time last_;
  std::uint64_t decisions_ = 0;
  std::vector<Active> active_;
  SimulationReport report_;
};

}  // namespace

Result<SimulationReport> simulate_allocation(const std::vector<JobModel>& profiles,
                                             const trace::ArrivalTrace& trace,
                                             const SimulationOptions& options) {
  std::vector<std::string> names;
  for (const JobModel& profile : profiles) names.push_back(profile.name);
  std::vector<Error> errors;
  std::vector<JobModel> models;
  for (const trace::JobArrival& job : trace.jobs) {
    const auto found = std::find(names.begin(), names.end(), job.loader);
    if (found == names.end()) {
      errors.push_back({ErrorKind::kInput,
                        "there is no loader profile \"" + job.loader + "\"",
                        job.name,
                        core::did_you_mean(job.loader, names),
                        {},
                        {}});
      continue;
    }
    models.push_back(profiles[static_cast<std::size_t>(found - names.begin())]);
    models.back().name = job.name;
    models.back().accelerators = job.accelerators;
  }
  if (!errors.empty()) return core::fail(core::join_errors(std::move(errors)));
  return Simulation(std::move(models), trace, options).run();
}

}  // namespace penstock::loader
