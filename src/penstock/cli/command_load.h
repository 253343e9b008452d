// penstock load and what belongs to it: each subcommand is a Command of its own.
#pragma once

#include <memory>

#include "penstock/cli/command.h"

namespace penstock::cli {

std::unique_ptr<Command> make_load_command();

// In the order of --help; command_load.cpp lists them.
std::unique_ptr<Command> make_load_synth_command();
std::unique_ptr<Command> make_load_bench_command();
std::unique_ptr<Command> make_load_run_command();
std::unique_ptr<Command> make_load_allocate_command();

}  // namespace penstock::cli
