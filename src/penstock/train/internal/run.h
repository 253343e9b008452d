// One run of the ranks of a launch, from the first process to the last.
#pragma once

#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "penstock/core/private_folder.h"
#include "penstock/core/result.h"
#include "penstock/train/internal/child_process.h"
#include "penstock/train/launch.h"

namespace penstock::train::internal {

class Run {
 public:
  explicit Run(const Launch& launch);
  ~Run();  // leaves no process behind
  Result<RunRecord> to_end();

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr int kNoRank = -1;

  struct Process {
    std::string name;
    int rank = kNoRank;      // of a companion, and of srun
    bool companion = false;  // ends with the ranks
    ChildProcess child;
    LastLines last;
    bool ended = false;
    int status = 0;
  };
  struct Connection {
    Socket socket;
    std::string text;  // of a line that is not whole yet
    int rank = kNoRank;
    std::int64_t lines = 0;
    bool closed = false;
  };
  struct RankState {
    bool greeted = false;
    bool done = false;
    bool complained = false;  // by an error line
    Clock::time_point heard;
    Seconds longest_step;
  };
  // Why a run failed. When one rank fails the others soon complain of it, so what lies nearest to
  // the cause counts, and among equals the first. Under Slurm, whose processes are not ours, a rank
  // that has gone has only left its connection, and so have those that srun then kills: kGone.
  enum class Nearness { kSignal, kExit, kOwnError, kGone, kHearsay, kSrun };
  struct Finding {
    Nearness nearness;
    int rank;
    Error error;
  };

  Status start();
  Status start_process(Process process, const RankCommand& command,
                       std::map<std::string, std::string> environment);
  Status start_ranks();
  Status start_companions();
  Status start_through_slurm(std::vector<RankCommand> commands, Process process);
  Status listen();
  std::map<std::string, std::string> rank_environment(std::size_t rank) const;

  void watch();
  bool ranks_run() const;
  bool any_runs() const;
  bool turn(std::chrono::milliseconds limit);
  void read_lines();
  bool read_connection(Connection& connection);
  void read_output(Process& process);
  void reap(Process& process);
  void handle_line(Connection& connection, std::string_view line);
  void handle(Connection& connection, const StepsHello& hello);
  void handle(Connection& connection, const StepRecord& step);
  void handle(Connection& connection, const StepsError& error);
  void handle(Connection& connection, const StepsDone& done);
  void check_end(const Process& process);
  void check_gone(int rank);
  void end_all_within(std::chrono::milliseconds grace);
  void check_patience();
  void find(Nearness nearness, int rank, Error error);
  void end_all();
  void signal_all(int number);
  std::string rank_name(int rank) const;
  std::string words_of_srun() const;

  const Launch& launch_;
  std::optional<core::PrivateFolder> folder_;
  Socket listener_;
  std::string address_;
  std::vector<Process> processes_;
  std::vector<Connection> connections_;
  std::vector<RankState> states_;
  std::optional<Finding> finding_;
  Clock::time_point found_;
  Clock::time_point started_;
  bool ending_ = false;
  RunRecord record_;
};

}  // namespace penstock::train::internal
