#include "penstock/cluster/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <queue>
#include <utility>
#include <vector>

#include "penstock/core/json.h"

namespace penstock::cluster {
namespace {

double seconds(Time time) { return sim::seconds_of(time).value(); }

// Whole where it is whole, so that seconds in give seconds out.
std::string cell(std::int64_t ns) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  if (ns % kSecond == 0) return fmt::format("{}", ns / kSecond);
  return fmt::format("{:.9g}", double(ns) / double(kSecond));
}

const char* model_of(const trace::JobTrace& trace, const trace::TrainingJob& job) {
  return job.model < 0 ? "" : trace.models[std::size_t(job.model)].c_str();
}

}  // namespace

std::string outcomes_csv(const trace::JobTrace& trace, const SimulationResult& result) {
  std::string text =
      "job,accelerators,model,submit_s,start_s,end_s,jct_s,held_s,declined_for_node_s,"
      "declined_for_rack_s,starts,preemptions,migrations\n";
  for (const JobOutcome& outcome : result.outcomes) {
    const trace::TrainingJob& job = trace.jobs[std::size_t(outcome.job)];
    fmt::format_to(std::back_inserter(text), "{},{},{},{},{},{},{},{},{},{},{},{},{}\n", job.name,
                   job.accelerators, model_of(trace, job), cell(job.submit_ns),
                   cell(outcome.start.ns), cell(outcome.end.ns),
                   cell(outcome.end.ns - job.submit_ns), cell(outcome.held.ns),
                   cell(outcome.declined_for_node.ns), cell(outcome.declined_for_rack.ns),
                   outcome.starts, outcome.preemptions, outcome.migrations);
  }
  return text;
}

core::Json speed_sources_json(const SimulationResult& result) {
  core::Json json = core::Json::object();
  for (std::size_t i = 0; i < result.speed_sources.size(); ++i) {
    json[std::string(speed_source_name(SpeedSource(i)))] = result.speed_sources[i];
  }
  return json;
}

std::string speed_sources_text(const SimulationResult& result) {
  std::string text;
  for (std::size_t i = 0; i < result.speed_sources.size(); ++i) {
    if (result.speed_sources[i] == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "Speeds of starts: " : ", ",
                        result.speed_sources[i], speed_source_name(SpeedSource(i)));
  }
  return text.empty() ? "Placement does not matter on this cluster.\n" : text + ".\n";
}

ledger::Ledger timeline(const trace::JobTrace& trace, const Topology& cluster,
                        const SimulationResult& result) {
  ledger::Ledger ledger(result.ledger.title(), ledger::Evidence::kSimulated);
  // Episodes are in the order of their starts, so the lowest accelerators free at that time are as
  // good as any.
  struct Held {
    std::int64_t end;
    std::int32_t accelerator;
    bool operator>(const Held& other) const {
      return std::pair(end, accelerator) > std::pair(other.end, other.accelerator);
    }
  };
  std::vector<std::priority_queue<std::int32_t, std::vector<std::int32_t>, std::greater<>>> free(
      cluster.nodes.size());
  std::vector<std::priority_queue<Held, std::vector<Held>, std::greater<>>> held(
      cluster.nodes.size());
  for (std::size_t node = 0; node < cluster.nodes.size(); ++node) {
    for (int i = 0; i < cluster.nodes[node].accelerators; ++i) free[node].push(i);
  }
  for (const Episode& episode : result.episodes) {
    const trace::TrainingJob& job = trace.jobs[std::size_t(episode.job)];
    for (const Placement::Part& part : episode.placement.parts) {
      const auto node = std::size_t(part.node);
      while (!held[node].empty() && held[node].top().end <= episode.start.ns) {
        free[node].push(held[node].top().accelerator);
        held[node].pop();
      }
      for (int i = 0; i < part.accelerators; ++i) {
        const std::int32_t accelerator = free[node].top();
        free[node].pop();
        held[node].push({episode.end.ns, accelerator});
        ledger.add_span({.resource = fmt::format("{}/{}", cluster.nodes[node].name, accelerator),
                         .name = fmt::format("{} {}", job.name, model_of(trace, job)),
                         .activity = ledger::Activity::kCompute,
                         .start = Seconds(seconds(episode.start)),
                         .duration = Seconds(seconds(episode.end - episode.start))});
      }
    }
  }
  return ledger;
}

}  // namespace penstock::cluster
