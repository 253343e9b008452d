// How ranks on several machines start under Slurm.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "penstock/train/launch.h"
#include "penstock/train/slurm.h"

namespace penstock::train::internal {

// The file of `srun --multi-prog`: one line a rank, its environment set through env(1).
std::string multi_prog_file(const std::vector<RankCommand>& ranks);
// srun for all ranks at once, spread evenly over the nodes. A step shares them with the other steps
// of its job, so that loaders run beside the ranks.
std::vector<std::string> srun_command(std::size_t ranks, const SlurmNodes& nodes,
                                      const std::string& file);
// salloc around a command that says `mark`, the job and its nodes, and stays until it is ended.
std::vector<std::string> salloc_command(const SlurmRequest& request, const std::string& mark);
// Of the ranks on one node.
std::size_t ranks_of_node(std::size_t ranks, std::size_t nodes);

}  // namespace penstock::train::internal
