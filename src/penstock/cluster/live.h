// The scheduler at work on a batch system: it looks, decides as the simulator would, and carries
// the decisions out.
//
//   PENSTOCK_TRY(LiveScheduler live, LiveScheduler::begin({.policy = policy, .links = links},
//   speeds,
//                                                         *slurm, &journal));
//   while (!core::interrupted()) {
//     PENSTOCK_TRY_STATUS(live.step(unix_ns()));   // every second or so
//     for (const std::string& line : live.take_log()) print(line);
//   }
//
// Only jobs that were submitted held and with our mark in their comment are ours:
//
//   sbatch --hold --gpus=8 --comment="penstock:model=bert;work=2 h" train.sh
//
// A job goes HELD -> PLACING -> RUNNING -> SAVING -> VACATING -> HELD. Every step first writes to
// the journal what it is about to ask for, then asks, and asks again until the batch system shows
// it. So it may be killed anywhere: the jobs are the batch system's, and are never submitted twice.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/cluster/policy.h"
#include "penstock/cluster/slurm.h"
#include "penstock/cluster/speed.h"
#include "penstock/cluster/topology.h"
#include "penstock/core/json_fwd.h"
#include "penstock/core/result.h"
#include "penstock/ledger/journal.h"

namespace penstock::cluster {

// What a job's comment says of it.
struct JobMark {
  std::string model;
  int batch = 0;
  Seconds work{3600};  // at the best placement
  double skew = 0;     // WaitView::skew
  // The job saves itself on SIGUSR1 within this; zero: it needs no more than SIGTERM and the batch
  // system's own delay before SIGKILL.
  Seconds save;
  bool operator==(const JobMark&) const = default;
};
// Whether the comment is a mark at all, well-formed or not.
bool is_marked(std::string_view comment);
Result<JobMark> parse_mark(std::string_view comment);

struct LiveOptions {
  Policy policy;
  Topology links;           // its links, price and accelerator; the nodes are the batch system's
  std::string partition{};  // only jobs of this one; empty: of any
  std::string reports{};    // folder of the jobs' own speed reports, ID.json; empty: none
  bool dry_run = false;     // decides and logs, asks for nothing and keeps nothing
  // A released job that has not started by then is taken back and rests for as long.
  Seconds start_limit{120};
};

enum class LiveState : std::uint8_t { kHeld, kPlacing, kRunning, kSaving, kVacating };
std::string_view live_state_name(LiveState state);

struct LiveCounts {
  std::int64_t starts = 0;
  std::int64_t preemptions = 0;
  std::int64_t migrations = 0;
  std::int64_t losses = 0;    // running jobs that the batch system took back: a node died
  std::int64_t refusals = 0;  // requests that the batch system refused
  std::int64_t ended = 0;
};

class LiveScheduler {
 public:
  // Takes up what the journal says. `journal` may be null under dry_run only.
  static Result<LiveScheduler> begin(const LiveOptions& options, SpeedBook& speeds,
                                     BatchSystem& batch, ledger::Journal* journal);
  ~LiveScheduler();
  LiveScheduler(LiveScheduler&&) noexcept;
  LiveScheduler& operator=(LiveScheduler&&) noexcept;

  // Looks, decides and acts once. Fails where the batch system cannot be looked at or the journal
  // not be written; nothing has been asked for then, and the next step goes on.
  Status step(std::int64_t unix_ns);
  // One line a decision, with its reason; the lines since the last call.
  std::vector<std::string> take_log();
  // The soonest moment at which a timer runs out; a far one where none does.
  std::int64_t next_wakeup_ns() const;

  // Jobs of ours that have not ended.
  int jobs() const;
  int jobs_in(LiveState state) const;
  const LiveCounts& counts() const;
  // "schema", "jobs", "ended": what has come of every job since the journal was begun or cleared.
  core::Json to_json(std::int64_t unix_ns) const;
  // Forgets the jobs that have ended.
  Status clear_ended();
  // In the text format of Prometheus.
  std::string metrics(std::int64_t unix_ns) const;
  // The cluster as it was last seen, without what other people's jobs hold.
  const Topology& cluster() const;

 private:
  struct State;
  explicit LiveScheduler(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace penstock::cluster
