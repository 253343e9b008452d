// The place where the runs of a profile are made: programs, folder, nodes, and the launch of each
// kind of run.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "penstock/core/private_folder.h"
#include "penstock/core/result.h"
#include "penstock/model/graph.h"
#include "penstock/profile/train_profile.h"
#include "penstock/train/launch.h"
#include "penstock/train/network.h"
#include "penstock/train/slurm.h"

namespace penstock::profile::internal {

class Setting {
 public:
  // Finds programs, makes the folder and the nodes, and fills in what the profile says of them.
  static Result<std::unique_ptr<Setting>> prepare(TrainProfile& profile);
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;

  Result<train::RunRecord> run(RunKind kind, int number);
  // What the emulated accelerator sums from now on, in the order of the forward pass.
  void set_gradients(std::vector<std::int64_t> bytes) { gradient_bytes_ = std::move(bytes); }
  // The loaders alone, as fast as they go, from the cold disk or the warm cache: samples/s.
  Result<double> loader_rate(bool cold);
  // What an empty step takes with its markers, seconds.
  Result<double> marker_cost();

 private:
  explicit Setting(const TrainProfileOptions& options) : options_(options) {}
  Status find_programs(TrainProfile& profile);
  void read_processors(TrainProfile& profile);
  Status make_nodes(TrainProfile& profile);
  Status get_slurm_nodes(TrainProfile& profile);
  // Whether the ranks of this kind of run are spread over all nodes.
  bool spans_nodes(RunKind kind) const;
  // Where the ranks of a launch run, where that is Slurm's.
  std::optional<train::SlurmNodes> slurm_nodes(bool all) const;
  void begin_run();
  Result<train::Launch> launch_of(RunKind kind);
  Status add_rank(const train::Job& job, const std::string& worker, bool real_data,
                  train::Launch& launch) const;
  void add_loader(const train::Job& job, bool cold, train::Launch& launch) const;
  train::RankCommand attached(RunKind kind, const train::Job& job) const;
  train::Job job_of(RunKind kind, int rank) const;
  std::string channel_of(int rank) const;  // of batches, in this run
  int workers() const;                     // of each rank's loader

  const TrainProfileOptions& options_;
  std::optional<core::PrivateFolder> folder_;
  // Of the batch channels, where there is a place in memory for them.
  std::optional<core::PrivateFolder> memory_folder_;
  std::string worker_;
  std::string emulated_worker_;
  std::string loader_;
  train::Transport transport_ = train::Transport::kRing;
  std::optional<train::NodeNetwork> network_;
  std::optional<train::SlurmAllocation> slurm_;
  std::string rendezvous_;  // of this run
  bool limit_in_transport_ = false;
  std::vector<int> processors_;  // that we may run on
  int cores_of_rank_ = 1;
  std::vector<std::int64_t> gradient_bytes_;
  int runs_ = 0;
};

// Bytes of each gradient of the network as it is trained, in the order in which the forward pass
// first uses the weights.
std::vector<std::int64_t> gradients_of(const model::Graph& graph);

// The cores that this process may use.
std::vector<int> allowed_processors();

// Files below a folder: how many, and their bytes.
struct FolderContent {
  std::int64_t files = 0;
  double bytes = 0;
};
Result<FolderContent> measure_folder(const std::string& folder);

// Drops the folder's files from the page cache; as root, everything.
void drop_caches(const std::string& folder);
bool can_drop_all_caches();

}  // namespace penstock::profile::internal
