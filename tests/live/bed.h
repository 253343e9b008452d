// A real Slurm of fake accelerators for a test, the scheduler as a program beside it, and jobs.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "penstock/cluster/slurm.h"
#include "penstock/core/json.h"
#include "penstock/core/private_folder.h"

namespace penstock::live {

// A child process; killed with the object.
class Process {
 public:
  Process() = default;
  Process(const std::vector<std::string>& words, const std::string& log);
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();
  void signal(int number) const;
  int wait();  // exit code, or 128 + signal
  bool is_running();

 private:
  pid_t child_ = -1;
  int code_ = 0;
};

struct BedShape {
  int racks = 2;
  int nodes = 4;
  int accelerators = 4;
};

// Of a submitted job, at its best placement on a bed of nodes of four.
inline double iteration_s(int accelerators) { return accelerators > 4 ? 0.3 : 0.2; }

class Bed {
 public:
  // Sets SLURM_CONF for this process, once: libslurm reads it only once.
  static Result<std::unique_ptr<Bed>> start(const BedShape& shape);
  ~Bed();
  cluster::BatchSystem& slurm() { return *slurm_; }
  const std::string& folder() const { return folder_.path(); }
  const std::string& jobs_folder() const { return jobs_; }

  // Held; `work` is at the best placement. In a rack an iteration takes 1.5 times as long as on a
  // node, across racks 2.5 times, as the bed's cluster file says.
  Result<std::int64_t> submit(int accelerators, double work_s, const std::string& comment);
  // "penstock cluster run" with these options, in the background.
  Process run(std::vector<std::string> options);
  std::string log() const;
  // What run --json printed last.
  core::Json document() const;
  // The lines that jobs write when they end: their ids.
  std::vector<std::int64_t> done() const;
  void restart_controller();
  // As if the machine died: its daemon and all that it runs.
  void kill_node(const std::string& name);
  // Our processes that are still there though nothing should run.
  std::vector<std::string> left_behind();

 private:
  explicit Bed(core::PrivateFolder folder) : folder_(std::move(folder)) {}
  core::PrivateFolder folder_;
  std::string bed_;
  std::string jobs_;
  std::unique_ptr<cluster::BatchSystem> slurm_;
};

}  // namespace penstock::live
