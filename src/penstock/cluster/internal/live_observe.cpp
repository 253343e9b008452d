#include <fmt/format.h>

#include <algorithm>

#include "penstock/cluster/internal/live_state.h"
#include "penstock/core/file.h"
#include "penstock/core/json.h"

namespace penstock::cluster {

const BatchJob* LiveScheduler::State::seen_job(const LiveJob& job) const {
  const auto found = seen.find(job.id);
  return found == seen.end() ? nullptr : found->second;
}

std::vector<LiveJob*> LiveScheduler::State::in_order() {
  std::vector<LiveJob*> order;
  for (auto& [id, job] : jobs) order.push_back(&job);
  std::sort(order.begin(), order.end(),
            [](const LiveJob* a, const LiveJob* b) { return a->sequence < b->sequence; });
  return order;
}

void LiveScheduler::State::observe(const BatchView& view) {
  seen.clear();
  for (const BatchJob& shown : view.jobs) seen.emplace(shown.id, &shown);
  for (LiveJob* job : in_order()) {
    const BatchJob* shown = seen_job(*job);
    if (shown == nullptr) {
      // Twice, since a controller that has just started may not know all jobs yet.
      if (job->is_absent) {
        end_job(*job, now, "gone");
      } else {
        job->is_absent = true;
      }
    } else if (shown->comment != job->comment) {
      disown(*job, "its comment is another now");
    } else {
      job->is_absent = false;
      observe_job(*job, *shown);
    }
  }
  adopt(view);
}

void LiveScheduler::State::observe_job(LiveJob& job, const BatchJob& shown) {
  switch (shown.state) {
    case BatchState::kEnded:
      if (job.state == LiveState::kPlacing && job.starts == 0 && shown.start_s > 0) {
        // It has come and gone between two looks.
        job.first_start = std::clamp(time_of(shown.start_s), std::min(job.as_of, now), now);
        ++job.starts;
        ++counts.starts;
      }
      end_job(job, std::clamp(time_of(shown.end_s), std::min(job.first_start, now), now),
              shown.state_name);
      break;
    case BatchState::kRunning:
      if (!shown.is_completing) observe_running(job, shown);
      break;
    case BatchState::kPending:
      if (!shown.is_completing) observe_pending(job, shown);
      break;
    case BatchState::kSuspended:
      break;
  }
}

void LiveScheduler::State::observe_running(LiveJob& job, const BatchJob& shown) {
  if (job.state == LiveState::kHeld) {
    disown(job, "somebody else has started it");
    return;
  }
  if (job.state == LiveState::kRunning) {
    read_report(job);
    return;
  }
  if (job.state != LiveState::kPlacing) return;  // it is being asked to leave
  job.state = LiveState::kRunning;
  job.refusals = 0;
  ++job.starts;
  ++counts.starts;
  const Time start = std::clamp(time_of(shown.start_s), std::min(job.released_at, now), now);
  if (job.first_start == Time{}) job.first_start = start;
  job.released_at = {};
  keep_status(job);
  job.status.rate = job.full_rate;
  std::vector<NodeShare> shares = shown.shares;
  std::sort(shares.begin(), shares.end(),
            [&](const NodeShare& a, const NodeShare& b) { return a.node < b.node; });
  std::vector<NodeShare> wanted = job.shares;
  std::sort(wanted.begin(), wanted.end(),
            [&](const NodeShare& a, const NodeShare& b) { return a.node < b.node; });
  if (!shares.empty() && shares != wanted) {
    // The nodes are as asked, but how many accelerators of each it gets is Slurm's choice.
    job.shares = shown.shares;
    job.status.rate = 0;
    must_rebuild = true;
  } else if (job.full_rate > 0 && job.ref >= 0) {
    scheduler->set_rate(job.ref, job.full_rate, now, now);
  } else {
    must_rebuild = true;
  }
}

void LiveScheduler::State::observe_pending(LiveJob& job, const BatchJob& shown) {
  switch (job.state) {
    case LiveState::kHeld:
      if (!shown.is_held) disown(job, "somebody else has released it");
      break;
    case LiveState::kPlacing:
      break;
    case LiveState::kRunning:
      ++counts.losses;
      say("job {} has lost its accelerators ({}); it waits again", job.id,
          shown.reason.empty() ? "requeued" : shown.reason);
      if (job.ref >= 0) {
        scheduler->lost(job.ref, now);
      }
      job.shares.clear();
      job.state = LiveState::kVacating;
      keep_status(job);
      break;
    case LiveState::kSaving:
    case LiveState::kVacating:
      if (!shown.is_held) break;
      job.is_signalled = false;
      job.state = job.holds_place() ? LiveState::kPlacing : LiveState::kHeld;
      break;
  }
}

void LiveScheduler::State::adopt(const BatchView& view) {
  std::vector<const BatchJob*> found;
  for (const BatchJob& shown : view.jobs) {
    if (shown.state != BatchState::kPending || !shown.is_held || shown.is_completing) continue;
    if (!is_marked(shown.comment) || jobs.contains(shown.id)) continue;
    if (!options.partition.empty() && shown.partition != options.partition) continue;
    found.push_back(&shown);
  }
  std::sort(found.begin(), found.end(), [](const BatchJob* a, const BatchJob* b) {
    return a->submit_s != b->submit_s ? a->submit_s < b->submit_s : a->id < b->id;
  });
  for (const BatchJob* shown : found) {
    Result<JobMark> mark = parse_mark(shown->comment);
    std::string why;
    if (!mark) {
      why = mark.error().text();
    } else if (shown->is_array) {
      why = "it is an array; submit its tasks as jobs";
    } else if (!shown->may_requeue) {
      why = "it may not be requeued; submit it with --requeue";
    } else if (shown->accelerators <= 0) {
      why = "its accelerators are not movable; ask for them with --gpus=N";
    }
    if (!why.empty()) {
      if (refused_marks.insert(shown->id).second) say("job {} is left alone: {}", shown->id, why);
      continue;
    }
    LiveJob job;
    job.id = shown->id;
    job.sequence = next_sequence++;
    job.comment = shown->comment;
    job.name = shown->name;
    job.mark = *mark;
    job.accelerators = shown->accelerators;
    job.status.submit = std::min(now, std::max(Time{}, time_of(shown->submit_s)));
    job.status.remaining = sim::duration_of(mark->work);
    job.as_of = now;
    ended.erase(job.id);
    changes[fmt::format("ended/{}", job.id)] = std::nullopt;
    jobs.emplace(job.id, std::move(job));
  }
}

void LiveScheduler::State::end_job(LiveJob& job, Time end, const std::string& how) {
  keep_status(job);
  say("job {} has ended: {}", job.id, how);
  ++counts.ended;
  std::string outcome = internal::outcome_of(job, end, how)
                            .dump(-1, ' ', false, core::Json::error_handler_t::replace);
  changes[fmt::format("ended/{}", job.id)] = outcome;
  ended[job.id] = std::move(outcome);
  untell(job);
  changes[fmt::format("job/{}", job.id)] = std::nullopt;
  jobs.erase(job.id);
}

void LiveScheduler::State::disown(LiveJob& job, const std::string& why) {
  say("job {} is left alone from here on: {}", job.id, why);
  refused_marks.insert(job.id);
  untell(job);
  changes[fmt::format("job/{}", job.id)] = std::nullopt;
  jobs.erase(job.id);
}

// {"iteration_s": 0.21, "best_iteration_s": 0.18}: what it takes, and what it took at best.
void LiveScheduler::State::read_report(LiveJob& job) {
  if (options.reports.empty() || job.ref < 0) return;
  const Result<std::string> text =
      core::read_file(fmt::format("{}/{}.json", options.reports, job.id));
  if (!text || *text == job.report) return;
  job.report = *text;
  const Result<core::Json> json = core::parse_json(*text, "report");
  if (!json) return;
  const Result<double> iteration = core::json_member<double>(*json, "iteration_s", "report");
  const Result<double> best = core::json_member<double>(*json, "best_iteration_s", "report");
  if (!iteration || !best || !(*iteration > 0) || !(*best > 0)) return;
  scheduler->set_rate(job.ref, std::min(1.0, *best / *iteration), now, now);
}

std::vector<BatchNode> LiveScheduler::State::usable_nodes(const BatchView& view) const {
  std::map<std::string, int> foreign;
  std::map<std::string, int> ours;
  for (const BatchJob& shown : view.jobs) {
    const auto job = jobs.find(shown.id);
    for (const NodeShare& share : shown.shares) {
      if (job == jobs.end()) {
        foreign[share.node] += share.accelerators;
      } else if (job->second.state == LiveState::kRunning) {
        ours[share.node] += share.accelerators;
      }
    }
  }
  std::vector<BatchNode> usable;
  for (const BatchNode& node : view.nodes) {
    BatchNode it = node;
    it.accelerators = node.is_usable ? node.accelerators - foreign[node.name] : ours[node.name];
    it.is_usable = true;
    if (it.accelerators > 0) usable.push_back(std::move(it));
  }
  // A rack's nodes are neighbours; racks and nodes otherwise as the batch system lists them.
  std::map<std::string, std::size_t> rack_order;
  for (const BatchNode& node : view.nodes) rack_order.emplace(node.rack, rack_order.size());
  std::stable_sort(usable.begin(), usable.end(), [&](const BatchNode& a, const BatchNode& b) {
    return rack_order[a.rack] < rack_order[b.rack];
  });
  return usable;
}

}  // namespace penstock::cluster
