// penstock cluster: who gets which accelerators, when.
#include "penstock/cli/command_cluster.h"

#include "penstock/cli/internal/command_group.h"

namespace penstock::cli {

std::unique_ptr<Command> make_cluster_command() {
  std::vector<std::unique_ptr<Command>> parts;
  parts.push_back(make_cluster_simulate_command());
  parts.push_back(make_cluster_explain_command());
  parts.push_back(make_cluster_compare_command());
  parts.push_back(make_cluster_sweep_command());
  parts.push_back(make_cluster_claims_command());
  parts.push_back(make_cluster_run_command());
  parts.push_back(make_cluster_advise_command());
  return std::make_unique<internal::CommandGroup>(
      internal::CommandGroup::Words{
          .name = "cluster",
          .summary =
              "Share a cluster's accelerators among training jobs: simulated, compared, or live",
          .example = "penstock cluster simulate --draw philly-like --jobs 2000 --gpus 128 --policy "
                     "2d-las"},
      std::move(parts));
}

}  // namespace penstock::cli
