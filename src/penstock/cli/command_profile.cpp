// penstock profile train|link|what-if: where training stalls, and what would change it.
#include <vector>

#include "penstock/cli/command.h"
#include "penstock/cli/internal/profile_subcommand.h"

namespace penstock::cli {

std::unique_ptr<Command> make_profile_command();

namespace {

using internal::ProfileSubcommand;

class ProfileCommand : public Command {
 public:
  ProfileCommand() {
    subcommands_.push_back(internal::make_profile_train());
    subcommands_.push_back(internal::make_profile_link());
    subcommands_.push_back(internal::make_profile_what_if());
  }
  std::string name() const override { return "profile"; }
  std::string summary() const override {
    return "Measure where the steps of a training job go: compute, contention, links, data";
  }
  std::string example() const override {
    return "penstock profile train resnet18.onnx --data photos --batch 8 --ranks 2";
  }
  void declare(CLI::App& app) override {
    app.require_subcommand(1);
    for (const auto& subcommand : subcommands_) {
      CLI::App* its = subcommand->declare(app);
      its->callback([this, s = subcommand.get()] { chosen_ = s; });
    }
  }
  Status prepare() override { return chosen_->prepare(); }
  Status run() override { return chosen_->run(); }

 private:
  std::vector<std::unique_ptr<ProfileSubcommand>> subcommands_;
  ProfileSubcommand* chosen_ = nullptr;
};

}  // namespace

std::unique_ptr<Command> make_profile_command() { return std::make_unique<ProfileCommand>(); }

}  // namespace penstock::cli
