// penstock cluster: who gets which accelerators, when.
#include "penstock/cli/command_cluster.h"

#include "penstock/core/check.h"

namespace penstock::cli {
namespace {

class ClusterCommand : public Command {
 public:
  ClusterCommand() {
    parts_.push_back(make_cluster_simulate_command());
    parts_.push_back(make_cluster_explain_command());
    parts_.push_back(make_cluster_compare_command());
    parts_.push_back(make_cluster_sweep_command());
    parts_.push_back(make_cluster_claims_command());
    parts_.push_back(make_cluster_run_command());
    parts_.push_back(make_cluster_advise_command());
  }
  std::string name() const override { return "cluster"; }
  std::string summary() const override {
    return "Share a cluster's accelerators among training jobs: simulated, compared, or live";
  }
  std::string example() const override {
    return "penstock cluster simulate --draw philly-like --jobs 2000 --gpus 128 --policy 2d-las";
  }

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

std::unique_ptr<Command> make_cluster_command() { return std::make_unique<ClusterCommand>(); }

}  // namespace penstock::cli
