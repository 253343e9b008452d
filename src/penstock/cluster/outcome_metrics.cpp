#include "penstock/cluster/internal/outcome_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "penstock/core/json.h"

namespace penstock::cluster {
namespace internal {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

double seconds(std::int64_t ns) { return double(ns) / double(kSecond); }

// The element floor(q n), counted from one.
double quantile(std::vector<std::int64_t>& values, double q) {
  const auto rank = std::max<std::size_t>(1, std::size_t(std::floor(q * double(values.size()))));
  const auto at = values.begin() + std::ptrdiff_t(rank - 1);
  std::nth_element(values.begin(), at, values.end());
  return seconds(*at);
}

struct Spent {  // accelerator-seconds
  double useful = 0;
  double lost = 0;  // to placement and contention
  double restart = 0;
};

}  // namespace

Time submit_of(const Simulation& simulation, const trace::TrainingJob& job) {
  return {simulation.policy.tiresias_oracle ? job.submit_ns / kSecond * kSecond : job.submit_ns};
}

Time work_of(const Simulation& simulation, const trace::TrainingJob& job) {
  const std::int64_t ns = job.duration_ns;
  return {simulation.policy.tiresias_oracle ? std::max(kSecond, ns / kSecond * kSecond) : ns};
}

Status fill_metrics(const Simulation& simulation, const ClusterTime& time,
                    SimulationResult& result) {
  Metrics& m = result.metrics;
  std::vector<std::int64_t> jct;
  jct.reserve(result.outcomes.size());
  Spent spent;
  double jct_sum = 0;
  double waits = 0;
  double for_node = 0;
  double for_rack = 0;
  for (const JobOutcome& outcome : result.outcomes) {
    const trace::TrainingJob& job = simulation.trace.jobs[std::size_t(outcome.job)];
    jct.push_back((outcome.end - submit_of(simulation, job)).ns);
    jct_sum += seconds(jct.back());
    waits += seconds(jct.back() - outcome.held.ns);
    for_node += seconds(outcome.declined_for_node.ns);
    for_rack += seconds(outcome.declined_for_rack.ns);
    const std::int64_t work = work_of(simulation, job).ns;
    spent.useful += job.accelerators * seconds(work);
    spent.restart += job.accelerators * seconds(outcome.restart.ns);
    spent.lost +=
        job.accelerators * std::max(0.0, seconds(outcome.held.ns - outcome.restart.ns - work));
    m.preemptions += outcome.preemptions;
    m.migrations += outcome.migrations;
  }
  const double jobs = double(result.outcomes.size());
  m.mean_jct_s = jct_sum / jobs;
  m.p50_jct_s = quantile(jct, 0.5);
  m.p95_jct_s = quantile(jct, 0.95);
  m.p99_jct_s = quantile(jct, 0.99);
  m.makespan_s = seconds((time.end - time.begin).ns);
  m.mean_wait_s = waits / jobs;
  m.declined_for_node_s = for_node / jobs;
  m.declined_for_rack_s = for_rack / jobs;
  m.communication_loss_accelerator_h = spent.lost / 3600;
  m.restart_accelerator_h = spent.restart / 3600;
  const double accelerators = simulation.cluster.accelerators();
  const double there = m.makespan_s * accelerators;
  m.utilisation = (spent.useful + spent.lost + spent.restart) / there;
  m.fragmentation = time.declined_free_ns / double(kSecond) / there;
  m.cost_usd = simulation.cluster.price.value() * there;

  result.ledger = ledger::Ledger(fmt::format("{} jobs on {} under {}", m.jobs,
                                             simulation.cluster.name, simulation.policy.order.name),
                                 ledger::Evidence::kSimulated);
  ledger::Account& account =
      result.ledger.add_account("accelerator", simulation.cluster.accelerators());
  account.add(ledger::Activity::kCompute, "training", Seconds(spent.useful / accelerators));
  account.add(ledger::Activity::kNetwork, "placement and contention",
              Seconds(spent.lost / accelerators));
  account.add(ledger::Activity::kPreemption, "saving and restoring",
              Seconds(spent.restart / accelerators));
  account.add(ledger::Activity::kQueue, "free while jobs wait",
              Seconds(time.waiting_free_ns / double(kSecond) / accelerators));
  if (m.cost_usd > 0) result.ledger.set_cost(Dollars(m.cost_usd));
  return result.ledger.close(Seconds(m.makespan_s));
}

}  // namespace internal

core::Json Metrics::to_json() const {
  return {{"jobs", jobs},
          {"mean_jct_s", mean_jct_s},
          {"p50_jct_s", p50_jct_s},
          {"p95_jct_s", p95_jct_s},
          {"p99_jct_s", p99_jct_s},
          {"makespan_s", makespan_s},
          {"preemptions", preemptions},
          {"migrations", migrations},
          {"mean_wait_s", mean_wait_s},
          {"declined_for_node_s", declined_for_node_s},
          {"declined_for_rack_s", declined_for_rack_s},
          {"communication_loss_accelerator_h", communication_loss_accelerator_h},
          {"restart_accelerator_h", restart_accelerator_h},
          {"utilisation", utilisation},
          {"fragmentation", fragmentation},
          {"mean_fairness", mean_fairness},
          {"worst_fairness", worst_fairness},
          {"cost_usd", cost_usd},
          {"events", events},
          {"decisions", decisions}};
}

}  // namespace penstock::cluster
