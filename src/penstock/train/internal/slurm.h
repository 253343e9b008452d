// How ranks on several machines start under Slurm.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "penstock/train/launch.h"

namespace penstock::train::internal {

// The file of `srun --multi-prog`: one line a rank, its environment set through env(1).
std::string multi_prog_file(const std::vector<RankCommand>& ranks);
// srun for all ranks at once, spread evenly over `nodes` of the allocation.
std::vector<std::string> srun_command(std::size_t ranks, int nodes, const std::string& file);

}  // namespace penstock::train::internal
