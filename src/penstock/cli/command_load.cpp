// penstock load: the data loader, alone.
#include "penstock/cli/command_load.h"

#include "penstock/core/check.h"

namespace penstock::cli {
namespace {

class LoadCommand : public Command {
 public:
  LoadCommand() {
    parts_.push_back(make_load_synth_command());
    parts_.push_back(make_load_bench_command());
    parts_.push_back(make_load_run_command());
    parts_.push_back(make_load_allocate_command());
  }
  std::string name() const override { return "load"; }
  std::string summary() const override {
    return "Make a data set, measure the loader beside its peers, feed a training program";
  }
  std::string example() const override { return "penstock load synth data --images 1000"; }

  void declare(CLI::App& app) override {
    app.require_subcommand(1);
    for (const auto& part : parts_) {
      CLI::App* sub = app.add_subcommand(part->name(), part->summary());
      sub->footer("Example:\n  " + part->example());
      part->declare(*sub);
      sub->parse_complete_callback([this, chosen = part.get()] { chosen_ = chosen; });
    }
  }
  Status prepare() override {
    PENSTOCK_CHECK(chosen_ != nullptr);
    return chosen_->prepare();
  }
  Status run() override { return chosen_->run(); }

 private:
  std::vector<std::unique_ptr<Command>> parts_;
  Command* chosen_ = nullptr;
};

}  // namespace

std::unique_ptr<Command> make_load_command() { return std::make_unique<LoadCommand>(); }

}  // namespace penstock::cli
