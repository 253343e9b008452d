// penstock cluster and what belongs to it: each subcommand is a Command of its own.
#pragma once

#include <memory>

#include "penstock/cli/command.h"

namespace penstock::cli {

std::unique_ptr<Command> make_cluster_command();

// In the order of --help; command_cluster.cpp lists them.
std::unique_ptr<Command> make_cluster_simulate_command();
std::unique_ptr<Command> make_cluster_explain_command();
std::unique_ptr<Command> make_cluster_compare_command();
std::unique_ptr<Command> make_cluster_sweep_command();
std::unique_ptr<Command> make_cluster_claims_command();
std::unique_ptr<Command> make_cluster_run_command();
std::unique_ptr<Command> make_cluster_advise_command();

}  // namespace penstock::cli
