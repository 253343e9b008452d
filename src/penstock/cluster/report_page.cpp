#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

#include "penstock/cluster/internal/lane_blocks.h"
#include "penstock/cluster/internal/page.h"
#include "penstock/cluster/internal/usage.h"
#include "penstock/cluster/report.h"
#include "penstock/core/file.h"
#include "penstock/core/json.h"
#include "penstock/core/page.h"
#include "penstock/version.h"

namespace penstock::cluster {
namespace {

using core::Json;

// What keeps a page small, however long the trace.
constexpr std::size_t kBlocks = 40'000;
constexpr std::size_t kNamedJobs = 10'000;
constexpr std::size_t kBins = 480;
constexpr std::size_t kLawPoints = 200;    // of one class's law of completion times
constexpr std::size_t kTimerPoints = 400;  // of one timer
// 1, 2, 3 to 4, 5 to 8, ... as DelayTuner has them; the last class is open.
constexpr int kClasses = 8;

int demand_class(int accelerators) {
  return std::min(kClasses - 1, int(std::bit_width(unsigned(std::max(1, accelerators) - 1))));
}

// Seconds since the first submission, with no more digits than a screen can show.
class Clock {
 public:
  Clock(Time begin, Time end) : begin_(begin) {
    constexpr double kFinest = 1e-6;  // of the whole
    const double step = std::max(1e-9, sim::seconds_of(end - begin).value() * kFinest);
    scale_ = std::pow(10.0, std::max(0.0, -std::floor(std::log10(step))));
  }
  Json span(Time time) const { return rounded(sim::seconds_of(time).value()); }
  Json at(Time time) const { return span(time - begin_); }

  // A whole number without the ".0" of JSON's numbers.
  Json rounded(double value) const {
    const double scaled = std::round(value * scale_) / scale_;
    if (scaled == std::floor(scaled) && std::abs(scaled) < 1e15) return std::int64_t(scaled);
    return scaled;
  }

 private:
  Time begin_;
  double scale_ = 1;
};

struct Run {
  const trace::JobTrace& trace;
  const Topology& cluster;
  const SimulationResult& result;
  Time begin{};
  Time end{};

  const trace::TrainingJob& job(const JobOutcome& outcome) const {
    return trace.jobs[std::size_t(outcome.job)];
  }
  // Tiresias' oracle submits at whole seconds, so up to one before the trace says.
  Time submit(const JobOutcome& outcome) const {
    return std::min(Time{job(outcome).submit_ns}, outcome.start);
  }
  Time jct(const JobOutcome& outcome) const { return outcome.end - submit(outcome); }
};

Json cluster_json(const Topology& cluster) {
  Json nodes = Json::array();
  for (const Topology::Node& node : cluster.nodes) {
    nodes.push_back(
        {{"name", node.name}, {"rack", node.rack}, {"accelerators", node.accelerators}});
  }
  return {{"name", cluster.name},
          {"accelerator", cluster.accelerator},
          {"racks", cluster.racks},
          {"nodes", std::move(nodes)}};
}

// Indices of outcomes, by submission: of a long trace those whose jobs held most.
std::vector<std::size_t> named_outcomes(const Run& run) {
  std::vector<std::size_t> named(run.result.outcomes.size());
  std::iota(named.begin(), named.end(), std::size_t{0});
  if (named.size() <= kNamedJobs) return named;
  const auto held = [&](std::size_t i) {
    const JobOutcome& outcome = run.result.outcomes[i];
    return double(outcome.held.ns) * run.job(outcome).accelerators;
  };
  std::stable_sort(named.begin(), named.end(),
                   [&](std::size_t a, std::size_t b) { return held(a) > held(b); });
  named.resize(kNamedJobs);
  std::sort(named.begin(), named.end());
  return named;
}

Json jobs_json(const Run& run, const std::vector<std::size_t>& named, const Clock& clock) {
  Json columns = Json::object();
  for (const std::size_t i : named) {
    const JobOutcome& outcome = run.result.outcomes[i];
    const trace::TrainingJob& job = run.job(outcome);
    columns["name"].push_back(job.name);
    columns["accelerators"].push_back(job.accelerators);
    columns["model"].push_back(job.model);
    columns["submit_s"].push_back(clock.at(run.submit(outcome)));
    columns["start_s"].push_back(clock.at(outcome.start));
    columns["end_s"].push_back(clock.at(outcome.end));
    columns["work_s"].push_back(clock.span({job.duration_ns}));
    columns["held_s"].push_back(clock.span(outcome.held));
    columns["restart_s"].push_back(clock.span(outcome.restart));
    columns["declined_for_node_s"].push_back(clock.span(outcome.declined_for_node));
    columns["declined_for_rack_s"].push_back(clock.span(outcome.declined_for_rack));
    columns["preemptions"].push_back(outcome.preemptions);
    columns["migrations"].push_back(outcome.migrations);
  }
  return columns;
}

Json blocks_json(const Run& run, const std::vector<std::size_t>& named, const Clock& clock) {
  std::vector<std::int32_t> rows(run.trace.jobs.size(), -1);  // of a job in jobs_json()
  for (std::size_t row = 0; row < named.size(); ++row) {
    rows[std::size_t(run.result.outcomes[named[row]].job)] = std::int32_t(row);
  }
  const internal::Thinned seen =
      internal::thin(internal::lane_blocks(run.cluster, run.result.episodes), run.end - run.begin,
                     kBlocks, [&](std::int32_t job) { return rows[std::size_t(job)] >= 0; });
  Json columns = Json::object();
  for (const char* name : {"job", "lane", "lanes", "start_s", "time_s", "tier", "stays"}) {
    columns[name] = Json::array();
  }
  for (const internal::LaneBlock& block : seen.blocks) {
    columns["job"].push_back(block.job < 0 ? -1 : rows[std::size_t(block.job)]);
    columns["lane"].push_back(block.lane);
    columns["lanes"].push_back(block.lanes);
    columns["start_s"].push_back(clock.at(block.start));
    columns["time_s"].push_back(clock.span(block.end - block.start));
    columns["tier"].push_back(int(block.tier));
    columns["stays"].push_back(block.stays);
  }
  return {{"columns", std::move(columns)},
          {"shortest_s", sim::seconds_of(seen.shortest).value()},
          {"merged", seen.merged},
          {"left_out", seen.left_out}};
}

Json usage_json(const Run& run) {
  const internal::Usage usage =
      internal::usage(run.trace, run.cluster, run.result, run.begin, run.end, kBins);
  const auto rounded = [](const std::vector<double>& values) {
    Json json = Json::array();
    for (const double value : values) json.push_back(std::abs(std::round(value * 100)) / 100);
    return json;
  };
  Json busy = Json::object();
  for (std::size_t tier = 0; tier < kTiers; ++tier) {
    busy[std::string(tier_name(Tier(tier)))] = rounded(usage.busy[tier]);
  }
  return {{"bin_s", sim::seconds_of(run.end - run.begin).value() / double(kBins)},
          {"busy", std::move(busy)},
          {"pending_jobs", rounded(usage.pending_jobs)},
          {"wanted", rounded(usage.wanted)}};
}

// Completion times of one class of demand, in order, as [time, part of the jobs] to draw; and the
// means behind them.
Json class_json(const Run& run, const std::vector<const JobOutcome*>& outcomes,
                const Clock& clock) {
  std::vector<Time> jct;
  double jct_s = 0, wait_s = 0, node_s = 0, rack_s = 0, stretch = 0;
  std::int64_t preemptions = 0;
  for (const JobOutcome* outcome : outcomes) {
    jct.push_back(run.jct(*outcome));
    jct_s += sim::seconds_of(jct.back()).value();
    wait_s += sim::seconds_of(jct.back() - outcome->held).value();
    node_s += sim::seconds_of(outcome->declined_for_node).value();
    rack_s += sim::seconds_of(outcome->declined_for_rack).value();
    stretch += double(jct.back().ns) / double(run.job(*outcome).duration_ns);
    preemptions += outcome->preemptions;
  }
  std::sort(jct.begin(), jct.end());
  const std::size_t n = jct.size();
  const auto quantile = [&](double q) {  // as Metrics has it
    return clock.span(jct[std::max<std::size_t>(1, std::size_t(q * double(n))) - 1]);
  };
  Json law = Json::array();
  const std::size_t points = std::min(n, kLawPoints);
  for (std::size_t i = 1; i <= points; ++i) {
    const std::size_t rank = i * n / points;
    law.push_back({clock.span(jct[rank - 1]), std::round(1e4 * double(rank) / double(n)) / 1e4});
  }
  const double jobs = double(n);
  return {{"jobs", n},
          {"mean_s", clock.rounded(jct_s / jobs)},
          {"p50_s", quantile(0.5)},
          {"p99_s", quantile(0.99)},
          {"wait_s", clock.rounded(wait_s / jobs)},
          {"declined_for_node_s", clock.rounded(node_s / jobs)},
          {"declined_for_rack_s", clock.rounded(rack_s / jobs)},
          {"stretch", stretch / jobs},
          {"preemptions", preemptions},
          {"law", std::move(law)}};
}

Json classes_json(const Run& run, const Clock& clock) {
  std::map<int, std::vector<const JobOutcome*>> classes;
  for (const JobOutcome& outcome : run.result.outcomes) {
    classes[demand_class(run.job(outcome).accelerators)].push_back(&outcome);
    classes[-1].push_back(&outcome);
  }
  Json json = Json::array();
  for (const auto& [demand, outcomes] : classes) {
    Json row = class_json(run, outcomes, clock);
    row["class"] = demand < 0 ? Json() : Json(demand);
    json.push_back(std::move(row));
  }
  return json;
}

// Of a timer that changed more often than can be seen, the last value in every piece of time.
std::vector<TimerPoint> thinned(std::vector<TimerPoint> points, Time begin, Time end) {
  std::vector<TimerPoint> changes;
  for (const TimerPoint& point : points) {
    const bool same = !changes.empty() && changes.back().value == point.value &&
                      changes.back().tuned == point.tuned;
    if (!same) changes.push_back(point);
  }
  if (changes.size() <= kTimerPoints) return changes;
  const double width = double((end - begin).ns) / double(kTimerPoints);
  const auto piece = [&](Time at) { return std::int64_t(double((at - begin).ns) / width); };
  std::vector<TimerPoint> last;
  for (const TimerPoint& point : changes) {
    if (!last.empty() && piece(last.back().at) == piece(point.at)) last.pop_back();
    last.push_back(point);
  }
  return last;
}

Json timers_json(const Run& run, const Clock& clock) {
  std::map<std::pair<Tier, int>, std::vector<TimerPoint>> timers;
  for (const TimerPoint& point : run.result.timers) {
    timers[{point.tier, demand_class(point.accelerators)}].push_back(point);
  }
  Json json = Json::array();
  for (const auto& [key, points] : timers) {
    Json timer = {{"tier", tier_name(key.first)}, {"class", key.second}, {"given", points.size()}};
    for (const TimerPoint& point : thinned(points, run.begin, run.end)) {
      timer["at_s"].push_back(clock.at(point.at));
      timer["value_s"].push_back(clock.span(point.value));
      timer["tuned"].push_back(point.tuned);
    }
    json.push_back(std::move(timer));
  }
  return json;
}

// What the run's policy is, in words; `spec` names it.
template <typename Named>
const Named* named(const std::vector<Named>& all, const Json& spec, const char* key) {
  const std::string name = spec.value(key, std::string());
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const Named& candidate) { return candidate.name == name; });
  return found == all.end() ? nullptr : &*found;
}

Json order_json(const Json& spec) {
  const Order* order = named(orders(), spec, "policy");
  if (order == nullptr) return {{"name", "an unnamed order"}, {"summary", ""}};
  return {{"name", order->name}, {"summary", order->summary}};
}

Json placement_json(const Json& spec) {
  const PatienceRule* rule = named(patience_rules(), spec, "placement");
  if (rule == nullptr) return {{"name", "unnamed"}, {"summary", ""}, {"tunes", false}};
  return {
      {"name", rule->name}, {"summary", rule->summary}, {"tunes", rule->tuning != Tuning::kNone}};
}

}  // namespace

Json report_json(const Json& document, const trace::JobTrace& trace, const Topology& cluster,
                 const SimulationResult& result) {
  Run run{.trace = trace, .cluster = cluster, .result = result};
  run.begin = kNever;
  for (const JobOutcome& outcome : result.outcomes) {
    run.begin = std::min(run.begin, run.submit(outcome));
    run.end = std::max(run.end, outcome.end);
  }
  const Clock clock(run.begin, run.end);
  const std::vector<std::size_t> shown = named_outcomes(run);
  const Json spec = document.value("spec", Json::object());
  return {{"schema", "penstock-cluster-report/1"},
          {"version", kVersion},
          {"title", fmt::format("{} jobs on {}", result.outcomes.size(), cluster.name)},
          {"run", document},
          {"order", order_json(spec)},
          {"placement", placement_json(spec)},
          {"horizon_s", sim::seconds_of(run.end - run.begin).value()},
          {"begin_s", sim::seconds_of(run.begin).value()},
          {"cluster", cluster_json(cluster)},
          {"models", trace.models},
          {"jobs", jobs_json(run, shown, clock)},
          {"blocks", blocks_json(run, shown, clock)},
          {"usage", usage_json(run)},
          {"classes", classes_json(run, clock)},
          {"timers", timers_json(run, clock)}};
}

std::string report_html(const Json& report) {
  return core::fill_page(internal::report_page(), report.at("title").get<std::string>(), report);
}

Status write_report(const Json& document, const trace::JobTrace& trace, const Topology& cluster,
                    const SimulationResult& result, const std::string& path) {
  return core::write_file(path, report_html(report_json(document, trace, cluster, result)));
}

}  // namespace penstock::cluster
