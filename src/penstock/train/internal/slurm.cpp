#include "penstock/train/internal/slurm.h"

#include <fmt/format.h>

namespace penstock::train::internal {
namespace {

// srun splits a line at blanks outside of quotes, expands %t and %o, and takes a backslash before a
// character literally (srun(1), "MULTIPLE PROGRAM CONFIGURATION").
std::string quoted(const std::string& word) {
  std::string text = "\"";
  for (const char c : word) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
    if (c == '%') text += '%';
  }
  return text + "\"";
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

std::vector<std::string> srun_command(std::size_t ranks, int nodes, const std::string& file) {
  return {"srun",
          fmt::format("--nodes={}", nodes),
          fmt::format("--ntasks={}", ranks),
          fmt::format("--ntasks-per-node={}", (ranks + static_cast<std::size_t>(nodes) - 1) /
                                                  static_cast<std::size_t>(nodes)),
          "--distribution=block",
          "--kill-on-bad-exit=1",
          "--label",
          "--multi-prog",
          file};
}

}  // namespace penstock::train::internal
