// One job of a live run: a loader process, its control socket, and accelerators that take its
// batches and sleep for their step time.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "penstock/core/private_folder.h"
#include "penstock/core/quantity.h"
#include "penstock/core/result.h"
#include "penstock/loader/daemon.h"
#include "penstock/train/batch_channel.h"

namespace penstock::loader::internal {

struct LiveState {
  std::int64_t samples = 0;  // taken by the accelerators, since the goal was set
  Seconds compute;           // of them, likewise
  Seconds at;                // when this was read, on the monotonic clock
  Seconds ended;             // when the goal was reached
  bool is_done = false;
  train::LoaderCounters counters;
};

class LiveLoader {
 public:
  // Waits until the loader delivers. `program` is penstock; sockets and messages lie in `folder`.
  static Result<std::unique_ptr<LiveLoader>> start(const JobSpec& job, const std::string& program,
                                                   const core::PrivateFolder& folder, int number);
  ~LiveLoader();
  LiveLoader(const LiveLoader&) = delete;
  LiveLoader& operator=(const LiveLoader&) = delete;

  Status set_workers(int workers);
  int workers() const { return workers_; }
  // From now on the accelerators take batches, until this many samples have gone through.
  void set_goal(std::int64_t samples);
  void pause() { set_goal(0); }
  // Fails where the loader has ended or says that it cannot go on.
  Result<LiveState> state();

 private:
  LiveLoader(const JobSpec& job, std::string stem);
  Status spawn(const std::string& program, const std::string& channel);
  Status connect();
  Status open_channel(const std::string& channel);
  bool has_exited();
  Error exit_error();
  void accelerate();
  Status take_batches(std::int64_t& samples);

  JobSpec job_;
  std::string control_;
  std::string messages_;
  std::string channel_;
  pid_t process_ = -1;
  int socket_ = -1;
  int workers_ = 1;
  std::optional<train::BatchReader> reader_;
  std::thread accelerators_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::int64_t goal_ = 0;
  std::int64_t run_ = 0;  // counts goals: a step of an earlier one is not this one's
  LiveState state_;
  std::optional<Error> error_;
};

Seconds monotonic_now();

}  // namespace penstock::loader::internal
