#include <fmt/format.h>

#include "penstock/cluster/internal/live_state.h"
#include "penstock/core/json.h"

namespace penstock::cluster {
namespace {

using core::Json;

constexpr std::string_view kJob = "job/";
constexpr std::string_view kEnded = "ended/";
// Demands are classed by powers of two (tuner.h); no cluster has more accelerators.
constexpr int kLargestDemand = 1 << 20;

}  // namespace

Status LiveScheduler::State::take_up() {
  for (const auto& [key, text] : journal->entries()) {
    const std::string where = "journal: " + key;
    if (key == "epoch_ns") {
      epoch_ns = std::strtoll(text.c_str(), nullptr, 10);
    } else if (key == "tuner") {
      PENSTOCK_TRY_STATUS(read_tuner(text));
    } else if (key.starts_with(kEnded)) {
      ended[std::strtoll(key.c_str() + kEnded.size(), nullptr, 10)] = text;
    } else if (key.starts_with(kJob)) {
      PENSTOCK_TRY(LiveJob job, internal::job_from_record(text, where));
      next_sequence = std::max(next_sequence, job.sequence + 1);
      jobs.emplace(job.id, std::move(job));
    }
  }
  if (!jobs.empty()) say("takes up {} jobs from the journal", jobs.size());
  return {};
}

Status LiveScheduler::State::write_down() {
  for (const auto& [id, job] : jobs) {
    changes[fmt::format("{}{}", kJob, id)] = internal::record_of(job);
  }
  changes["epoch_ns"] = std::to_string(epoch_ns);
  if (scheduler != nullptr) changes["tuner"] = tuner_text();
  PENSTOCK_TRY_STATUS(journal->write(changes));
  changes.clear();
  return {};
}

std::string LiveScheduler::State::tuner_text() const {
  Json json = Json::array();
  for (const Tier tier : {Tier::kNode, Tier::kRack}) {
    for (int demand = 1; demand <= std::min(2 * cluster.accelerators(), kLargestDemand);
         demand *= 2) {
      for (const WaitSample& sample : scheduler->tuner().samples(tier, demand, now)) {
        json.push_back({int(tier), demand, sample.at.ns, sample.wait.ns, sample.gave_up});
      }
    }
  }
  return json.dump();
}

Status LiveScheduler::State::read_tuner(const std::string& text) {
  PENSTOCK_TRY(const Json json, core::parse_json(text, "journal: tuner"));
  DelayTuner fresh(options.policy.settings, options.policy.rule.tuning,
                   sim::duration_of(Seconds(1)));
  try {
    for (const Json& sample : json) {
      const int tier = sample.at(0);
      const std::int64_t at = sample.at(2);
      const std::int64_t wait = sample.at(3);
      fresh.add(tier == 0 ? Tier::kNode : Tier::kRack, sample.at(1),
                {.at = {at}, .wait = {wait}, .gave_up = sample.at(4)});
    }
  } catch (const nlohmann::json::exception& error) {
    return core::input_error("journal: tuner", error.what(), "name another book with --book");
  }
  tuner = std::move(fresh);
  return {};
}

}  // namespace penstock::cluster
