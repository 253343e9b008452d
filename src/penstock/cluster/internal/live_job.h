// One job in the hands of the live scheduler, and its record in the journal.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "penstock/cluster/live.h"
#include "penstock/cluster/scheduler.h"
#include "penstock/core/json_fwd.h"

namespace penstock::cluster::internal {

struct LiveJob {
  std::int64_t id = 0;
  std::int64_t sequence = 0;  // of adoption
  std::string comment;        // with the id, tells it from a later job of the same id
  std::string name;
  JobMark mark;
  int accelerators = 1;
  LiveState state = LiveState::kHeld;
  // Where it runs or is to run; SAVING and VACATING: where it goes next, empty if it is to wait.
  std::vector<NodeShare> shares;
  JobStatus status;  // as of `as_of`, without its placement
  Time as_of;
  Time save_until;   // SAVING
  Time released_at;  // PLACING; zero: not yet
  Time first_start;  // zero: has never run
  int starts = 0;
  int preemptions = 0;
  int migrations = 0;

  // Known only to this process.
  JobRef ref = -1;         // of the scheduler; -1: it is not told of the job
  Time aside_until;        // then: before this it is not told again
  int refusals = 0;        // of requests, in a row
  bool is_absent = false;  // was not there at the last look
  bool is_signalled = false;
  bool is_said_to_wait = false;
  double full_rate = 0;  // PLACING: of progress once it runs; 0: not known any more
  std::string report;    // its last speed report

  bool holds_place() const { return !shares.empty(); }  // in the scheduler's eyes it runs
};

std::string record_of(const LiveJob& job);
Result<LiveJob> job_from_record(const std::string& text, const std::string& where);

// What has come of a job, for the final report.
core::Json outcome_of(const LiveJob& job, Time end, const std::string& how);

}  // namespace penstock::cluster::internal
