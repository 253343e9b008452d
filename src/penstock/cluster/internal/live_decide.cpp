#include <fmt/format.h>

#include <algorithm>

#include "penstock/cluster/internal/live_state.h"
#include "penstock/core/quantity.h"

namespace penstock::cluster {
namespace {

std::string text_of(Time time) { return core::format_quantity(sim::seconds_of(time)); }

std::string text_of(const std::vector<NodeShare>& shares) {
  std::string text;
  for (const NodeShare& share : shares) {
    text += fmt::format("{}{}:{}", text.empty() ? "" : " ", share.node, share.accelerators);
  }
  return text;
}

}  // namespace

std::vector<NodeShare> LiveScheduler::State::shares_of(const Placement& placement) const {
  std::vector<NodeShare> shares;
  for (const Placement::Part& part : placement.parts) {
    shares.push_back({cluster.nodes[std::size_t(part.node)].name, part.accelerators});
  }
  return shares;
}

std::optional<Placement> LiveScheduler::State::placement_of(
    const std::vector<NodeShare>& shares) const {
  Placement placement;
  for (const NodeShare& share : shares) {
    const auto found = node_index.find(share.node);
    if (found == node_index.end()) return std::nullopt;
    placement.parts.push_back({found->second, share.accelerators});
  }
  std::sort(placement.parts.begin(), placement.parts.end(),
            [](const Placement::Part& a, const Placement::Part& b) { return a.node < b.node; });
  return placement;
}

void LiveScheduler::State::keep_status(LiveJob& job) {
  if (job.ref < 0) return;
  const double rate = job.status.rate;
  job.status = scheduler->status(job.ref, now);
  if (!job.status.running) job.status.rate = rate;
  job.status.placement.parts.clear();
  job.as_of = now;
}

void LiveScheduler::State::tell(LiveJob& job) {
  JobStatus left = job.status;
  left.running = job.holds_place();
  left.placement.parts.clear();
  if (left.running) {
    std::optional<Placement> placement = placement_of(job.shares);
    if (!placement) return;
    left.placement = std::move(*placement);
    if (job.state != LiveState::kRunning) left.rate = 0;
  }
  const int job_class = speeds.job_class(job.mark.model, job.accelerators, job.mark.batch, -1);
  job.ref = scheduler->restore({.id = job.id,
                                .accelerators = job.accelerators,
                                .job_class = job_class,
                                .work = sim::duration_of(job.mark.work),
                                .skew = job.mark.skew},
                               left, now);
  id_of[job.ref] = job.id;
  if (!left.running) return;
  job.full_rate = scheduler->status(job.ref, now).rate;
  if (job.state != LiveState::kRunning) scheduler->set_rate(job.ref, 0, now, now);
}

void LiveScheduler::State::untell(LiveJob& job) {
  if (job.ref < 0) return;
  scheduler->finish(job.ref, now);
  id_of.erase(job.ref);
  job.ref = -1;
}

// The cluster is not what it was, or a job does not lie where it was put: a new scheduler takes up
// where the old one is.
void LiveScheduler::State::rebuild() {
  must_rebuild = false;
  if (scheduler != nullptr) {
    for (auto& [id, job] : jobs) {
      const double reported = job.status.rate;
      const bool is_unknown = job.state == LiveState::kRunning && reported <= 0;
      keep_status(job);
      if (is_unknown) job.status.rate = 0;  // of a place that the old one did not know
      job.ref = -1;
    }
    tuner = scheduler->tuner();
  }
  id_of.clear();
  cluster.nodes.clear();
  cluster.racks.clear();
  node_index.clear();
  for (const BatchNode& node : shape) {
    if (cluster.racks.empty() || cluster.racks.back() != node.rack) {
      cluster.racks.push_back(node.rack);
    }
    node_index[node.name] = int(cluster.nodes.size());
    cluster.nodes.push_back({node.name, int(cluster.racks.size()) - 1, node.accelerators});
  }
  cluster.seal();
  scheduler.reset();
  if (!shape.empty()) {
    scheduler = std::make_unique<Scheduler>(cluster, options.policy, speeds);
    if (tuner) scheduler->tuner() = *tuner;
  }

  std::map<std::string, int> room;
  for (const BatchNode& node : shape) room[node.name] = node.accelerators;
  const auto fits = [&](const LiveJob& job) {
    return std::all_of(job.shares.begin(), job.shares.end(), [&](const NodeShare& share) {
      return room.contains(share.node) && room[share.node] >= share.accelerators;
    });
  };
  const std::vector<LiveJob*> order = in_order();
  // What runs is a fact; what was only meant to run has to fit beside it.
  for (const bool runs : {true, false}) {
    for (LiveJob* job : order) {
      if (!job->holds_place() || (job->state == LiveState::kRunning) != runs) continue;
      if (!fits(*job)) {
        if (!runs) {
          say("job {} is taken back: its place on {} is no more", job->id, text_of(job->shares));
          job->shares.clear();
          if (job->state == LiveState::kPlacing) job->state = LiveState::kVacating;
        }
        continue;
      }
      for (const NodeShare& share : job->shares) room[share.node] -= share.accelerators;
      tell(*job);
    }
  }
  for (LiveJob* job : order) {
    const bool is_aside = job->holds_place() || job->aside_until > now;
    if (!is_aside && job->accelerators <= cluster.accelerators()) tell(*job);
  }
}

void LiveScheduler::State::take_back(LiveJob& job, const std::string& why) {
  say("job {} is taken back: {}; it rests for {}", job.id, why,
      core::format_quantity(options.start_limit));
  if (job.ref >= 0) scheduler->lost(job.ref, now);
  keep_status(job);
  untell(job);
  job.shares.clear();
  job.state = LiveState::kVacating;
  job.aside_until = now + sim::duration_of(options.start_limit);
  job.refusals = 0;
}

void LiveScheduler::State::check_placing() {
  constexpr int kMostRefusals = 3;
  for (LiveJob* job : in_order()) {
    if (job->state == LiveState::kPlacing) {
      const BatchJob* shown = seen_job(*job);
      if (job->refusals >= kMostRefusals) {
        take_back(*job, "its placement was refused");
      } else if (job->released_at != Time{} &&
                 now - job->released_at > sim::duration_of(options.start_limit)) {
        take_back(*job, fmt::format("released, it does not start ({})",
                                    shown == nullptr ? "" : shown->reason));
      }
    }
    const bool is_untold = job->ref < 0 && !job->holds_place() && job->aside_until <= now;
    if (!is_untold) continue;
    if (job->accelerators <= cluster.accelerators()) {
      tell(*job);
    } else if (!job->is_said_to_wait) {
      job->is_said_to_wait = true;
      say("job {} asks for {} accelerators; only {} can be used now", job->id, job->accelerators,
          cluster.accelerators());
    }
  }
}

std::string LiveScheduler::State::reason_of(const LiveJob& job, const JobStatus& status,
                                            const Placement& placement) const {
  const Tier tier = tier_of(cluster, placement);
  std::string text = fmt::format("{} accelerators, one {}", job.accelerators, tier_name(tier));
  const Time waited = now - job.status.submit;
  text += fmt::format(", {} after its submission", text_of(waited));
  if (job.status.offered) {
    text += fmt::format(", {} after its first offer", text_of(now - job.status.first_offer));
  }
  if (tier > status.best) {
    text += fmt::format("; it would have waited no longer for one {}", tier_name(status.best));
  }
  return text;
}

// On its way out, by whichever door.
void LiveScheduler::State::leave(LiveJob& job) {
  if (job.state == LiveState::kRunning && job.mark.save.value() > 0) {
    job.state = LiveState::kSaving;
    job.save_until = now + sim::duration_of(job.mark.save);
  } else if (job.state != LiveState::kSaving) {
    job.state = LiveState::kVacating;
  }
  job.released_at = {};
}

void LiveScheduler::State::apply(const Decision& decision) {
  LiveJob& job = jobs.at(id_of.at(decision.job));
  const JobStatus status = scheduler->status(decision.job, now);
  Placement placement = decision.placement;
  if (placement.parts.empty() && cluster.nodes.size() == 1) {
    placement.parts.push_back({0, job.accelerators});
  }
  if (decision.kind == DecisionKind::kPreempt) {
    say("preempt job {}: others go first; it has held its accelerators for {}", job.id,
        text_of(status.held));
    if (job.state != LiveState::kPlacing) {
      ++job.preemptions;
      ++counts.preemptions;
    }
    job.shares.clear();
    leave(job);
    keep_status(job);
    return;
  }
  const bool is_migration = decision.kind == DecisionKind::kMigrate;
  say("{} job {} {} {}: {}", is_migration ? "migrate" : "start", job.id, is_migration ? "to" : "on",
      text_of(shares_of(placement)), reason_of(job, status, placement));
  if (is_migration && job.state == LiveState::kRunning) {
    ++job.migrations;
    ++counts.migrations;
  }
  job.shares = shares_of(placement);
  job.is_said_to_wait = false;
  job.full_rate = status.rate;
  if (job.state == LiveState::kHeld) {
    job.state = LiveState::kPlacing;
  } else {
    leave(job);  // it is elsewhere, or still on its way out, and goes to its place from there
  }
  scheduler->set_rate(job.ref, 0, now, now);
  keep_status(job);
}

void LiveScheduler::State::decide() {
  if (scheduler == nullptr) return;
  for (const Decision& decision : scheduler->decide(now)) apply(decision);
  for (auto& [id, job] : jobs) {
    if (job.ref < 0 || job.holds_place()) continue;
    const Time as_of = job.as_of;
    keep_status(job);
    job.as_of = as_of;  // it stands still
    const JobStatus& status = job.status;
    if (!status.offered || job.is_said_to_wait) continue;
    job.is_said_to_wait = true;
    const bool for_node = status.allowed == Tier::kNode;
    const Time until = for_node ? status.rack_at : status.network_at;
    const Timer& timer = status.timers[for_node ? 0 : 1];
    say("job {} declines {} free accelerators and waits for one {}{}{}", id,
        scheduler->free_accelerators(), tier_name(status.allowed),
        until == kNever ? "" : ", " + text_of(until - now) + " at most",
        timer.samples > 0 ? fmt::format(" ({} waits seen)", timer.samples) : "");
    timers_s[{status.allowed, job.accelerators}] =
        until == kNever ? -1 : sim::seconds_of(until - status.first_offer).value();
  }
}

}  // namespace penstock::cluster
