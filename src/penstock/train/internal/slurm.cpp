#include "penstock/train/internal/slurm.h"

#include <fmt/format.h>

#include <algorithm>

namespace penstock::train::internal {
namespace {

// srun takes everything between single quotes literally, and outside of them a character after a
// backslash. Double quotes mean nothing to it (tried with 22.05, whose manual says less).
std::string quoted(const std::string& word) {
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? "'\\''" : std::string(1, c);
  return text + "'";
}

}  // namespace

std::string multi_prog_file(const std::vector<RankCommand>& ranks) {
  std::string text;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    text += fmt::format("{} env", rank);
    for (const auto& [name, value] : ranks[rank].environment) {
      text += " " + quoted(fmt::format("{}={}", name, value));
    }
    for (const std::string& word : ranks[rank].command) text += " " + quoted(word);
    text += "\n";
  }
  return text;
}

std::size_t ranks_of_node(std::size_t ranks, std::size_t nodes) {
  return (ranks + nodes - 1) / nodes;
}

std::vector<std::string> srun_command(std::size_t ranks, const SlurmNodes& nodes,
                                      const std::string& file) {
  return {"srun", "--jobid=" + nodes.job, fmt::format("--nodes={}", nodes.names.size()),
          fmt::format("--nodelist={}", fmt::join(nodes.names, ",")),
          fmt::format("--ntasks={}", ranks),
          fmt::format("--ntasks-per-node={}", ranks_of_node(ranks, nodes.names.size())),
          fmt::format("--cpus-per-task={}", nodes.processors_of_rank), "--distribution=block",
          "--overlap", "--mpi=none", "--kill-on-bad-exit=1",
          // One Ctrl-C kills the step, and with it what does not end when it is asked to.
          "--quit-on-interrupt", "--label", "--multi-prog", file};
}

std::vector<std::string> salloc_command(const SlurmRequest& request, const std::string& mark) {
  const auto ranks = static_cast<std::size_t>(request.ranks);
  const auto nodes = static_cast<std::size_t>(request.nodes);
  return {"salloc", fmt::format("--nodes={}", nodes), fmt::format("--ntasks={}", ranks),
          fmt::format("--ntasks-per-node={}", ranks_of_node(ranks, nodes)),
          fmt::format("--cpus-per-task={}", std::max(1, request.processors_of_rank)),
          "--job-name=penstock",
          // A job that is cancelled takes its command along.
          "--kill-command=TERM", "sh", "-c",
          "echo \"" + mark + "$SLURM_JOB_ID $SLURM_JOB_NODELIST\"; exec sleep infinity"};
}

}  // namespace penstock::train::internal
