#include "penstock/cli/command.h"

namespace penstock::cli {

std::unique_ptr<Command> make_advise_command();
std::unique_ptr<Command> make_book_command();
std::unique_ptr<Command> make_catalog_command();
std::unique_ptr<Command> make_cluster_command();
std::unique_ptr<Command> make_inspect_command();
std::unique_ptr<Command> make_ledger_command();
std::unique_ptr<Command> make_load_command();
std::unique_ptr<Command> make_partition_command();
std::unique_ptr<Command> make_plan_command();
std::unique_ptr<Command> make_profile_command();

std::vector<std::unique_ptr<Command>> make_commands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(make_plan_command());
  commands.push_back(make_inspect_command());
  commands.push_back(make_partition_command());
  commands.push_back(make_profile_command());
  commands.push_back(make_advise_command());
  commands.push_back(make_load_command());
  commands.push_back(make_cluster_command());
  commands.push_back(make_catalog_command());
  commands.push_back(make_ledger_command());
  commands.push_back(make_book_command());
  return commands;
}

}  // namespace penstock::cli
