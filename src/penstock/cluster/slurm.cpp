#include "penstock/cluster/slurm.h"

#include <unistd.h>

#include <cstdlib>

#include "penstock/cluster/internal/slurm_doors.h"

namespace penstock::cluster {

Result<std::unique_ptr<BatchSystem>> open_slurm(const SlurmOptions& options) {
  // Slurm itself would wait a minute for the file to appear.
  const char* file = std::getenv("SLURM_CONF");
  if (file != nullptr && ::access(file, R_OK) != 0) {
    return core::missing_error(file, "cannot be read",
                               "set SLURM_CONF to the cluster's slurm.conf");
  }
  if (options.door == SlurmDoor::kPrograms) return internal::open_slurm_programs(options.resource);
#ifdef PENSTOCK_SLURM_LIBRARY
  auto library = internal::open_slurm_library(options.resource);
  if (library || options.door == SlurmDoor::kLibrary) return library;
  // A controller that does not answer the library answers the programs no better.
  auto programs = internal::open_slurm_programs(options.resource);
  if (!programs) return library;
  return programs;
#else
  if (options.door == SlurmDoor::kLibrary) {
    return core::missing_error("Slurm", "this Penstock was built without libslurm",
                               "install libslurm-dev and build again, or choose --door programs");
  }
  return internal::open_slurm_programs(options.resource);
#endif
}

int tasks_on(const BatchJob& job, std::size_t nodes) {
  return std::size_t(job.tasks) >= nodes ? job.tasks : job.accelerators;
}

}  // namespace penstock::cluster
