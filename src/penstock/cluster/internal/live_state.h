// What the live scheduler knows between two steps, and the parts of a step: observe what has
// happened, tell the scheduler, decide, write down, act.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "penstock/cluster/internal/live_job.h"
#include "penstock/cluster/live.h"
#include "penstock/cluster/scheduler.h"

namespace penstock::cluster {

using internal::LiveJob;

struct LiveScheduler::State {
  State(LiveOptions given, SpeedBook& book, BatchSystem& system, ledger::Journal* kept);

  LiveOptions options;
  SpeedBook& speeds;
  BatchSystem& batch;
  ledger::Journal* journal;
  std::int64_t epoch_ns = 0;  // Unix time of the journal's moment zero
  Time now;

  std::map<std::int64_t, LiveJob> jobs;                    // by id
  std::map<std::int64_t, std::string> ended;               // outcomes, by id
  std::unordered_map<std::int64_t, const BatchJob*> seen;  // at this look
  std::vector<BatchNode> nodes;                            // at this look
  std::vector<BatchNode>
      shape;  // what the scheduler has been told of: usable accelerators per node
  Topology cluster;
  std::map<std::string, int> node_index;  // of the cluster
  std::optional<DelayTuner> tuner;        // until there is a scheduler
  std::unique_ptr<Scheduler> scheduler;
  std::unordered_map<JobRef, std::int64_t> id_of;
  std::set<std::int64_t> refused_marks;                       // said once
  std::map<std::string, std::optional<std::string>> changes;  // of the journal
  std::int64_t next_sequence = 0;
  bool must_rebuild = false;
  LiveCounts counts;
  std::vector<std::string> log;
  std::map<std::pair<Tier, int>, double> timers_s;  // given last

  template <typename... Arguments>
  void say(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    log.push_back(fmt::format(text, std::forward<Arguments>(arguments)...));
  }
  std::vector<LiveJob*> in_order();  // of adoption
  const BatchJob* seen_job(const LiveJob& job) const;
  Time time_of(std::int64_t unix_s) const { return {unix_s * 1'000'000'000 - epoch_ns}; }

  // live_journal.cpp
  Status take_up();
  Status write_down();
  std::string tuner_text() const;
  Status read_tuner(const std::string& text);

  // live_observe.cpp: what the batch system shows
  void observe(const BatchView& view);
  void observe_job(LiveJob& job, const BatchJob& shown);
  void observe_running(LiveJob& job, const BatchJob& shown);
  void observe_pending(LiveJob& job, const BatchJob& shown);
  void adopt(const BatchView& view);
  void end_job(LiveJob& job, Time end, const std::string& how);
  void disown(LiveJob& job, const std::string& why);
  void read_report(LiveJob& job);
  std::vector<BatchNode> usable_nodes(const BatchView& view) const;

  // live_decide.cpp: the scheduler and what it is told
  void keep_status(LiveJob& job);  // as of now
  void tell(LiveJob& job);
  void untell(LiveJob& job);
  void rebuild();
  void take_back(LiveJob& job, const std::string& why);
  void check_placing();
  void decide();
  void apply(const Decision& decision);
  void leave(LiveJob& job);
  std::vector<NodeShare> shares_of(const Placement& placement) const;
  std::optional<Placement> placement_of(const std::vector<NodeShare>& shares) const;
  std::string reason_of(const LiveJob& job, const JobStatus& status,
                        const Placement& placement) const;

  // live_act.cpp: what is asked of the batch system
  void act();
  void act_placing(LiveJob& job, const BatchJob& shown, std::map<std::string, int>& room);
  void act_leaving(LiveJob& job, const BatchJob& shown);
  bool ask(LiveJob& job, const Status& answer);
};

}  // namespace penstock::cluster
