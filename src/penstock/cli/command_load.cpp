// penstock load: the data loader, alone.
#include "penstock/cli/command_load.h"

#include "penstock/cli/internal/command_group.h"

namespace penstock::cli {

std::unique_ptr<Command> make_load_command() {
  std::vector<std::unique_ptr<Command>> parts;
  parts.push_back(make_load_synth_command());
  parts.push_back(make_load_bench_command());
  parts.push_back(make_load_run_command());
  parts.push_back(make_load_allocate_command());
  return std::make_unique<internal::CommandGroup>(
      internal::CommandGroup::Words{
          .name = "load",
          .summary =
              "Make a data set, measure the loader beside its peers, feed a training program",
          .example = "penstock load synth data --images 1000"},
      std::move(parts));
}

}  // namespace penstock::cli
