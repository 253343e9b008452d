#include "penstock/cluster/compare.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>
#include <thread>

#include "penstock/core/check.h"
#include "penstock/core/random.h"
#include "penstock/core/statistics.h"

namespace penstock::cluster {
namespace {

constexpr std::array<std::string_view, kFigures> kKeys = {"mean_jct_s",
                                                          "p50_jct_s",
                                                          "p95_jct_s",
                                                          "p99_jct_s",
                                                          "makespan_s",
                                                          "mean_wait_s",
                                                          "communication_loss_accelerator_h",
                                                          "restart_accelerator_h",
                                                          "preemptions",
                                                          "utilisation",
                                                          "fragmentation",
                                                          "worst_fairness",
                                                          "cost_usd"};

// Those that follow from figures of single jobs.
constexpr std::array<std::pair<Figure, std::vector<float> RunFigures::*>, 3> kByJob = {
    {{Figure::kMeanJct, &RunFigures::jct_s},
     {Figure::kMeanWait, &RunFigures::wait_s},
     {Figure::kCommunicationLoss, &RunFigures::loss_accelerator_h}}};

// One replicate: which units, traces or blocks of jobs, were drawn.
std::vector<std::size_t> draw(std::size_t draws, std::size_t bound, core::RandomStream& random) {
  std::vector<std::size_t> drawn(draws);
  for (std::size_t& it : drawn) it = std::size_t(random.below(bound));
  return drawn;
}

Interval central(double value, std::vector<double> replicates, double confidence) {
  const double tail = (1 - confidence) / 2;
  return {value, core::quantile(replicates, tail), core::quantile(replicates, 1 - tail)};
}

// Sums of blocks of neighbours that begin at each place, the end joined to the beginning.
std::vector<double> block_sums(const std::vector<float>& values, std::size_t length) {
  std::vector<double> sums(values.size());
  double sum = 0;
  for (std::size_t i = 0; i < length; ++i) sum += double(values[i]);
  for (std::size_t i = 0; i < values.size(); ++i) {
    sums[i] = sum;
    sum += double(values[(i + length) % values.size()]) - double(values[i]);
  }
  return sums;
}

double mean_over(const std::vector<double>& values, const std::vector<std::size_t>& drawn) {
  double sum = 0;
  for (const std::size_t it : drawn) sum += values[it];
  return sum / double(drawn.size());
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double it : values) sum += it;
  return sum / double(values.size());
}

// units[policy][unit] of one figure: the intervals of its means, and of the differences.
void resample(const std::vector<std::vector<double>>& units, std::size_t draws, Figure figure,
              const Resampling& how, std::vector<Compared>& compared) {
  // The same draws for every policy and figure.
  core::RandomStream random(how.seed, "policies compared");
  std::vector<std::vector<double>> means(units.size());
  for (int replicate = 0; replicate < how.replicates; ++replicate) {
    const std::vector<std::size_t> drawn = draw(draws, units.front().size(), random);
    for (std::size_t policy = 0; policy < units.size(); ++policy) {
      means[policy].push_back(mean_over(units[policy], drawn));
    }
  }
  const auto at = std::size_t(figure);
  for (std::size_t policy = 0; policy < units.size(); ++policy) {
    Compared& it = compared[policy];
    // Blocks sum up many jobs: scaled to the figure as it was measured.
    const double here = mean_of(units[policy]);
    const double scale = here > 0 ? it.means[at] / here : 1;
    std::vector<double> scaled = means[policy];
    for (double& mean : scaled) mean *= scale;
    it.intervals[at] = central(it.means[at], std::move(scaled), how.confidence);
    if (!it.against_first[at]) continue;
    const double first_scale = compared[0].means[at] / mean_of(units[0]);
    std::vector<double> ratios;
    for (std::size_t i = 0; i < means[policy].size(); ++i) {
      if (means[0][i] <= 0) continue;
      ratios.push_back(means[policy][i] * scale / (means[0][i] * first_scale) - 1);
    }
    if (ratios.empty()) continue;
    it.against_first[at] = central(it.against_first[at]->value, std::move(ratios), how.confidence);
  }
}

}  // namespace

std::string_view figure_key(Figure figure) { return kKeys[std::size_t(figure)]; }

double figure_of(const Metrics& m, Figure figure) {
  const std::array<double, kFigures> all = {m.mean_jct_s,
                                            m.p50_jct_s,
                                            m.p95_jct_s,
                                            m.p99_jct_s,
                                            m.makespan_s,
                                            m.mean_wait_s,
                                            m.communication_loss_accelerator_h,
                                            m.restart_accelerator_h,
                                            double(m.preemptions),
                                            m.utilisation,
                                            m.fragmentation,
                                            m.worst_fairness,
                                            m.cost_usd};
  return all[std::size_t(figure)];
}

RunFigures figures_of(const Simulation& simulation, const SimulationResult& result) {
  RunFigures out;
  for (int i = 0; i < kFigures; ++i) {
    out.figures[std::size_t(i)] = figure_of(result.metrics, Figure(i));
  }
  for (const JobOutcome& outcome : result.outcomes) {
    const trace::TrainingJob& job = simulation.trace.jobs[std::size_t(outcome.job)];
    const double jct = double(outcome.end.ns - job.submit_ns) * 1e-9;
    const double held = double(outcome.held.ns) * 1e-9;
    const double lost =
        double((outcome.held - outcome.restart).ns - job.duration_ns) * 1e-9 * job.accelerators;
    out.jct_s.push_back(float(jct));
    out.wait_s.push_back(float(jct - held));
    out.loss_accelerator_h.push_back(float(std::max(0.0, lost) / 3600));
  }
  return out;
}

Status simulate_each(std::size_t count, const std::function<Simulation(std::size_t)>& make,
                     const std::function<Status(std::size_t, SimulationResult)>& take,
                     const SpeedBook& speeds, const SideBySide& how) {
  std::atomic<std::size_t> next = 0;
  std::atomic<bool> failed = false;
  std::mutex taking;
  std::size_t first_failed = count;
  std::optional<Error> error;
  const auto fail = [&](std::size_t i, Error what) {
    failed = true;
    if (i >= first_failed) return;
    first_failed = i;
    error = std::move(what);
  };
  const auto work = [&] {
    SpeedBook own = speeds.clone();
    for (std::size_t i = next++; i < count && !failed; i = next++) {
      Simulation simulation = make(i);
      if (how.stop) simulation.progress = [&](Time, std::int64_t) { return !how.stop(); };
      Result<SimulationResult> result = simulate(simulation, own);
      const std::lock_guard lock(taking);
      if (!result) {
        fail(i, std::move(result).error());
        return;
      }
      Status taken = take(i, *std::move(result));
      if (taken && how.stop && how.stop()) taken = core::negative("", "interrupted");
      if (!taken) {
        fail(i, std::move(taken).error());
        return;
      }
      if (how.simulated) how.simulated();
    }
  };
  const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
  const std::size_t wanted = how.threads > 0 ? std::size_t(how.threads) : cores;
  std::vector<std::thread> crew;
  for (std::size_t i = 1; i < std::min(wanted, count); ++i) crew.emplace_back(work);
  work();
  for (std::thread& thread : crew) thread.join();
  if (error) return core::fail(*std::move(error));
  return {};
}

std::vector<Compared> compare(const std::vector<std::vector<RunFigures>>& runs,
                              const Resampling& how) {
  PENSTOCK_CHECK(!runs.empty());
  PENSTOCK_CHECK(!runs.front().empty());
  const std::size_t traces = runs.front().size();
  std::vector<Compared> compared(runs.size());
  for (int i = 0; i < kFigures; ++i) {
    const auto at = std::size_t(i);
    std::vector<std::vector<double>> units(runs.size());
    for (std::size_t policy = 0; policy < runs.size(); ++policy) {
      PENSTOCK_CHECK(runs[policy].size() == traces);
      for (const RunFigures& run : runs[policy]) units[policy].push_back(run.figures[at]);
      compared[policy].means[at] = mean_of(units[policy]);
      const double first = compared[0].means[at];
      if (first <= 0) continue;
      const double change = compared[policy].means[at] / first - 1;
      compared[policy].against_first[at] = Interval{change, change, change};
    }
    if (traces > 1) resample(units, traces, Figure(i), how, compared);
  }
  if (traces > 1) return compared;
  for (const auto& [figure, member] : kByJob) {
    const std::size_t jobs = runs.front().front().jct_s.size();
    const auto length = std::size_t(std::ceil(std::cbrt(double(jobs))));
    std::vector<std::vector<double>> units;
    for (const auto& run : runs) units.push_back(block_sums(run.front().*member, length));
    resample(units, (jobs + length - 1) / length, figure, how, compared);
  }
  return compared;
}

trace::JobTrace at_load(const trace::JobTrace& trace, double load) {
  PENSTOCK_CHECK(load > 0);
  trace::JobTrace out = trace;
  for (trace::TrainingJob& job : out.jobs) {
    const auto submit = std::int64_t(double(job.submit_ns) / load);
    if (job.deadline_ns >= 0) job.deadline_ns += submit - job.submit_ns;
    job.submit_ns = submit;
    job.start_ns = -1;  // the trace's own scheduler saw another load
  }
  return out;
}

namespace {

// As the reader of cluster files has it: one figure for all racks, by the rack of fewest nodes.
double fewest_nodes(const Topology& cluster) {
  std::vector<int> nodes(cluster.racks.size(), 0);
  for (const Topology::Node& node : cluster.nodes) ++nodes[std::size_t(node.rack)];
  return nodes.empty() ? 0 : *std::min_element(nodes.begin(), nodes.end());
}

}  // namespace

Topology oversubscribed(const Topology& cluster, double ratio) {
  PENSTOCK_CHECK(ratio > 0);
  Topology out = cluster;
  out.rack_uplink.bandwidth = cluster.node_uplink.bandwidth * (fewest_nodes(cluster) / ratio);
  return out;
}

Topology reshaped(const Topology& cluster, int racks, int nodes_per_rack,
                  int accelerators_per_node) {
  Topology out = uniform(racks, nodes_per_rack, accelerators_per_node);
  const bool linked = cluster.nodes.size() > 1;
  out.accelerator = cluster.accelerator;
  out.price = cluster.price;
  out.rate = cluster.rate;
  out.slowdowns = cluster.slowdowns;
  if (!linked) return out;
  out.inside = cluster.inside;
  out.node_uplink = cluster.node_uplink;
  const double per_node = cluster.rack_uplink.bandwidth.value() / fewest_nodes(cluster);
  out.rack_uplink = {Bandwidth(per_node * nodes_per_rack), cluster.rack_uplink.latency};
  return out;
}

Policy with_timers(const Policy& policy, double factor) {
  Policy out = policy;
  for (Time Settings::*member :
       {&Settings::delay_node, &Settings::delay_rack, &Settings::slurm_wait}) {
    out.settings.*member = {std::llround(double((policy.settings.*member).ns) * factor)};
  }
  return out;
}

}  // namespace penstock::cluster
