#include "penstock/cli/internal/command_group.h"

#include "penstock/core/check.h"

namespace penstock::cli::internal {

void CommandGroup::declare(CLI::App& app) {
  app.require_subcommand(1);
  for (const auto& part : parts_) {
    CLI::App* sub = app.add_subcommand(part->name(), part->summary());
    sub->footer("Example:\n  " + part->example());
    part->declare(*sub);
    sub->parse_complete_callback([this, chosen = part.get()] { chosen_ = chosen; });
  }
}

Status CommandGroup::prepare() {
  PENSTOCK_CHECK(chosen_ != nullptr);
  return chosen_->prepare();
}

}  // namespace penstock::cli::internal
