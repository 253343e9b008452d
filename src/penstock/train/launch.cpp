#include "penstock/train/launch.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "penstock/train/internal/run.h"

namespace penstock::train {
namespace {

// Where programs lie that belong together: installed, and in the folder of a build.
std::vector<std::string> program_folders() {
  std::vector<std::string> folders;
  if (const char* folder = std::getenv("PENSTOCK_LIBEXEC"); folder != nullptr) {
    folders.emplace_back(folder);
  }
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return folders;
  const std::string here = self.parent_path().string();
  for (const char* below : {"", "/../libexec/penstock", "/../train/worker", "/worker", "/../cli"}) {
    folders.push_back(here + below);
  }
  return folders;
}

}  // namespace

Result<RunRecord> run_ranks(const Launch& launch) {
  if (launch.ranks.empty()) return core::input_error("", "a run needs at least one rank");
  for (const std::vector<RankCommand>* commands : {&launch.ranks, &launch.companions}) {
    for (const RankCommand& command : *commands) {
      if (command.command.empty()) return core::input_error("", "a command is empty");
    }
  }
  if (launch.slurm && launch.slurm->names.empty()) {
    return core::input_error("", "there is no node of Slurm's to run on");
  }
  return internal::Run(launch).to_end();
}

Result<std::string> companion_program(const std::string& name) {
  for (const std::string& folder : program_folders()) {
    const std::string path = folder + "/" + name;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  const std::string mend = name == "penstock-torch-worker"
                               ? "it trains with libtorch; get both with: ./setup --train"
                               : "set PENSTOCK_LIBEXEC to the folder that has it";
  return core::missing_error(name, "this program is not installed", mend);
}

}  // namespace penstock::train
