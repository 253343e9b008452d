// penstock cluster advise-slurm: for people who stay on stock Slurm, how long each class of job
// should wait for one switch.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>

#include "penstock/cli/command_cluster.h"
#include "penstock/cli/internal/cluster_scenario.h"
#include "penstock/core/interrupt.h"
#include "penstock/core/progress.h"
#include "penstock/core/table.h"

namespace penstock::cli {
namespace {

using cluster::Tier;
using core::Json;

// Minutes that are tried; the last stands for as long as it takes.
constexpr std::array<int, 10> kMinutes = {0, 1, 5, 15, 30, 60, 120, 240, 480, 60 * 24 * 365};

std::string wait_text(int minutes) {
  if (minutes == kMinutes.back()) return "no limit";
  return core::format_quantity(Seconds(60.0 * minutes));
}

// Jobs whose demand has the next power of two in common, as the tuner classes them.
struct DemandClass {
  int largest = 0;
  std::int64_t jobs = 0;
  std::array<double, kMinutes.size()> sum_s{};  // of completion times, by wait
  bool may_span = false;                        // fits a rack, and no node
  std::size_t best() const {
    return std::size_t(std::min_element(sum_s.begin(), sum_s.end()) - sum_s.begin());
  }
  double mean_s(std::size_t wait) const { return sum_s[wait] / double(jobs); }
};

class ClusterAdviseCommand : public Command {
 public:
  std::string name() const override { return "advise-slurm"; }
  std::string summary() const override {
    return "How long which jobs should wait for one switch (sbatch --switches) on stock Slurm";
  }
  std::string example() const override {
    return "penstock cluster advise-slurm --draw philly-like --jobs 500 --demand 1 8 16 "
           "--cluster examples/clusters/2x4x8.toml";
  }
  void declare(CLI::App& app) override {
    scenario_.declare(app);
    output_.declare(app);
  }
  Status prepare() override { return scenario_.prepare(); }

  Status run() override {
    PENSTOCK_TRY_STATUS(scenario_.load());
    const cluster::Topology& cluster = scenario_.topology();
    if (cluster.racks.size() < 2) {
      return core::input_error("--cluster", "has one switch, and nothing to wait for",
                               "name a cluster of several racks");
    }
    core::install_interrupt_handler();
    core::Progress progress("trying waits", std::int64_t(kMinutes.size()));
    for (std::size_t wait = 0; wait < kMinutes.size(); ++wait) {
      PENSTOCK_TRY_STATUS(try_wait(wait));
      progress.advance();
    }
    return write();
  }

 private:
  Status try_wait(std::size_t wait) {
    PENSTOCK_TRY(cluster::Policy policy, scenario_.policy("fifo-backfill", "slurm"));
    policy.settings.slurm_wait = sim::duration_of(Seconds(60.0 * kMinutes[wait]));
    cluster::Simulation simulation = scenario_.simulation(std::move(policy));
    simulation.progress = [](cluster::Time /*now*/, std::int64_t /*done*/) {
      return !core::interrupted();
    };
    PENSTOCK_TRY(const cluster::SimulationResult result,
                 cluster::simulate(simulation, scenario_.speeds()));
    mean_s_[wait] = result.metrics.mean_jct_s;
    for (const cluster::JobOutcome& outcome : result.outcomes) {
      const trace::TrainingJob& job = scenario_.trace().jobs[std::size_t(outcome.job)];
      const auto largest = int(std::bit_ceil(unsigned(job.accelerators)));
      DemandClass& it = classes_[largest];
      it.largest = largest;
      if (wait == 0) ++it.jobs;
      it.may_span |= scenario_.topology().best_tier(job.accelerators) == Tier::kRack;
      it.sum_s[wait] += double(outcome.end.ns - job.submit_ns) * 1e-9;
    }
    return {};
  }

  Status write() {
    core::Table table({{"accelerators"},
                       {"jobs", core::Table::Align::kRight},
                       {"wait", core::Table::Align::kRight},
                       {"completes in", core::Table::Align::kRight},
                       {"without waiting", core::Table::Align::kRight},
                       {"without limit", core::Table::Align::kRight},
                       {"sbatch"}});
    Json list = Json::array();
    for (const auto& [largest, it] : classes_) {
      const std::size_t best = it.best();
      const int minutes = kMinutes[best];
      const std::string option = !it.may_span || minutes == 0 ? "-"
                                 : minutes == kMinutes.back()
                                     ? "--switches=1"
                                     : fmt::format("--switches=1@{}", minutes);
      const auto time = [&](std::size_t wait) {
        return core::format_quantity(Seconds(it.mean_s(wait)));
      };
      table.add_row({largest > 1 ? fmt::format("{} to {}", largest / 2 + 1, largest) : "1",
                     std::to_string(it.jobs), it.may_span ? wait_text(minutes) : "-", time(best),
                     time(0), time(kMinutes.size() - 1), option});
      Json entry = {{"accelerators_at_most", largest},
                    {"jobs", it.jobs},
                    {"may_span_nodes_of_a_rack", it.may_span},
                    {"option", option == "-" ? "" : option}};
      for (std::size_t wait = 0; wait < kMinutes.size(); ++wait) {
        entry["mean_jct_s"].push_back(it.mean_s(wait));
      }
      list.push_back(std::move(entry));
    }
    PENSTOCK_TRY(const cluster::Policy policy, scenario_.policy("fifo-backfill", "slurm"));
    const Json document = {{"schema", "penstock-cluster-advice/1"},
                           {"spec", scenario_.to_json(policy)},
                           {"waits_min", kMinutes},
                           {"mean_jct_s", mean_s_},
                           {"classes", std::move(list)}};
    return output_.emit(
        document,
        table.text() +
            "\nSimulated with every class waiting alike; a class has the wait under which its own "
            "jobs\ncomplete soonest. Slurm caps the wait at SchedulerParameters=max_switch_wait, "
            "300 s unless set.\n");
  }

  internal::ClusterScenario scenario_;
  OutputOptions output_;
  std::map<int, DemandClass> classes_;
  std::array<double, kMinutes.size()> mean_s_{};
};

}  // namespace

std::unique_ptr<Command> make_cluster_advise_command() {
  return std::make_unique<ClusterAdviseCommand>();
}

}  // namespace penstock::cli
