#include <fmt/format.h>

#include <algorithm>
#include <csignal>

#include "penstock/cluster/internal/live_state.h"

namespace penstock::cluster {
namespace {

bool has_nodes(const BatchJob& shown, const std::vector<NodeShare>& shares) {
  std::vector<std::string> wanted;
  for (const NodeShare& share : shares) wanted.push_back(share.node);
  std::vector<std::string> has = shown.wanted_nodes;
  std::sort(wanted.begin(), wanted.end());
  std::sort(has.begin(), has.end());
  return wanted == has;
}

}  // namespace

bool LiveScheduler::State::ask(LiveJob& job, const Status& answer) {
  if (answer) return true;
  ++counts.refusals;
  if (job.refusals++ == 0) say("job {}: {}", job.id, answer.error().text());
  return false;
}

void LiveScheduler::State::act() {
  std::map<std::string, int> room;  // accelerators that nobody holds or has been promised
  for (const BatchNode& node : nodes) {
    if (node.is_usable) room[node.name] = node.accelerators;
  }
  for (const auto& [id, shown] : seen) {
    for (const NodeShare& share : shown->shares) room[share.node] -= share.accelerators;
  }
  const std::vector<LiveJob*> order = in_order();
  for (LiveJob* job : order) {
    const BatchJob* shown = seen_job(*job);
    if (shown != nullptr &&
        (job->state == LiveState::kSaving || job->state == LiveState::kVacating))
      act_leaving(*job, *shown);
  }
  for (LiveJob* job : order) {
    const BatchJob* shown = seen_job(*job);
    if (shown != nullptr && job->state == LiveState::kPlacing) act_placing(*job, *shown, room);
  }
}

void LiveScheduler::State::act_placing(LiveJob& job, const BatchJob& shown,
                                       std::map<std::string, int>& room) {
  if (shown.state != BatchState::kPending || shown.is_completing) return;
  const bool has_room =
      std::all_of(job.shares.begin(), job.shares.end(),
                  [&](const NodeShare& share) { return room[share.node] >= share.accelerators; });
  if (!shown.is_held && has_nodes(shown, job.shares)) {
    if (job.released_at == Time{}) job.released_at = now;  // before a restart of ours
  } else {
    // Until who holds the place has gone, the job stays held: released, it would hide from us why
    // it does not start.
    if (!has_room) return;
    if (!has_nodes(shown, job.shares) && !ask(job, batch.place(shown, job.shares))) return;
    if (!ask(job, batch.release(job.id))) return;
    job.refusals = 0;
    job.released_at = now;
  }
  for (const NodeShare& share : job.shares) room[share.node] -= share.accelerators;
}

void LiveScheduler::State::act_leaving(LiveJob& job, const BatchJob& shown) {
  if (shown.is_completing || shown.state == BatchState::kEnded) return;
  if (shown.state == BatchState::kPending) {
    if (!shown.is_held && ask(job, batch.hold(job.id))) job.refusals = 0;
    return;
  }
  if (job.state == LiveState::kSaving && now < job.save_until) {
    if (!job.is_signalled && ask(job, batch.signal(job.id, SIGUSR1))) job.is_signalled = true;
    return;
  }
  job.state = LiveState::kVacating;
  if (ask(job, batch.requeue_hold(job.id))) job.refusals = 0;
}

}  // namespace penstock::cluster
