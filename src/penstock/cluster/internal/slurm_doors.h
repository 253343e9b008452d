// The two ways through the door.
#pragma once

#include <memory>
#include <string>

#include "penstock/cluster/slurm.h"

namespace penstock::cluster::internal {

// libslurm, loaded when asked for: `penstock` starts without it, and no slower with it.
Result<std::unique_ptr<BatchSystem>> open_slurm_library(const std::string& resource);
// scontrol, sbatch and scancel.
Result<std::unique_ptr<BatchSystem>> open_slurm_programs(const std::string& resource);

}  // namespace penstock::cluster::internal
