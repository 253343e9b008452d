// The one door to Slurm: what a scheduler sees of a batch system, and what it asks of it.
//
//   PENSTOCK_TRY(const std::unique_ptr<BatchSystem> slurm, open_slurm({}));
//   PENSTOCK_TRY(const BatchView* view, slurm->look());
//   for (const BatchJob& job : view->jobs) ...
//   PENSTOCK_TRY_STATUS(slurm->place(job, {{"node03", 4}, {"node04", 2}}));
//   PENSTOCK_TRY_STATUS(slurm->release(job.id));
//
// Every request is idempotent: asked twice it does what once does, so that a scheduler that was
// killed between two of them asks again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/core/result.h"

namespace penstock::cluster {

// Accelerators of one node.
struct NodeShare {
  std::string node;
  int accelerators = 0;
  bool operator==(const NodeShare&) const = default;
};

struct BatchNode {
  std::string name;
  std::string rack;  // its leaf switch; empty where the batch system knows no topology
  int accelerators = 0;
  bool is_usable = false;  // takes new jobs: neither down nor draining
  bool operator==(const BatchNode&) const = default;
};

enum class BatchState : std::uint8_t { kPending, kRunning, kSuspended, kEnded };

struct BatchJob {
  std::int64_t id = 0;
  std::string name;
  std::string user;
  std::string partition;
  std::string comment;
  BatchState state = BatchState::kPending;
  bool is_held = false;        // pending and not to be started
  bool is_completing = false;  // its last processes are still being ended
  bool is_array = false;       // a record that stands for several jobs
  bool may_requeue = true;
  std::string state_name;  // the batch system's own: "COMPLETED", "NODE_FAIL"
  std::string reason;      // pending: why
  // What it asks for in all; 0 where it asks per node or for none, so that its shape is fixed.
  int accelerators = 0;
  int tasks = 1;
  int processors_per_task = 1;
  std::vector<std::string> wanted_nodes;  // pending: nodes that it must have
  std::vector<NodeShare> shares;          // where it holds accelerators
  int restarts = 0;
  std::int64_t submit_s = 0;  // Unix time
  std::int64_t start_s = 0;
  std::int64_t end_s = 0;
  std::int64_t begin_s = 0;  // pending: not before
};

struct BatchView {
  std::vector<BatchNode> nodes;
  std::vector<BatchJob> jobs;
};

struct BatchSubmission {
  std::string name;
  std::string script;
  std::string comment;
  std::string folder;  // working directory
  std::string output;  // file, appended to
  int accelerators = 1;
  std::vector<std::string> environment;  // "NAME=value"
};

class BatchSystem {
 public:
  virtual ~BatchSystem() = default;
  virtual std::string name() const = 0;  // "libslurm 22.05.8"
  // Everything as it is now; valid until the next call.
  virtual Result<const BatchView*> look() = 0;
  // Held; gives its id.
  virtual Result<std::int64_t> submit(const BatchSubmission& submission) = 0;
  // A pending job will run on these nodes and no others, whenever it is released. How many
  // accelerators of each it gets is for the batch system to say.
  virtual Status place(const BatchJob& job, const std::vector<NodeShare>& shares) = 0;
  // A held job may start at once, whatever begin time an earlier requeue has left.
  virtual Status release(std::int64_t job) = 0;
  virtual Status hold(std::int64_t job) = 0;
  // A running job ends with time to save, and waits, held.
  virtual Status requeue_hold(std::int64_t job) = 0;
  // To the batch script alone.
  virtual Status signal(std::int64_t job, int signal) = 0;
  virtual Status cancel(std::int64_t job) = 0;
};

enum class SlurmDoor : std::uint8_t { kBest, kLibrary, kPrograms };

struct SlurmOptions {
  SlurmDoor door = SlurmDoor::kBest;
  std::string resource = "gpu";  // the generic resource that is an accelerator
};
// Exit code 3 where Slurm is not installed, has no configuration, or its controller does not
// answer.
Result<std::unique_ptr<BatchSystem>> open_slurm(const SlurmOptions& options);

// The tasks with which a job spans so many nodes: its own where they suffice, else one for each
// accelerator.
int tasks_on(const BatchJob& job, std::size_t nodes);

}  // namespace penstock::cluster
