// penstock cluster compare: policies on the same jobs, with intervals.
#include <fmt/format.h>

#include "penstock/cli/command_cluster.h"
#include "penstock/cli/internal/cluster_scenario.h"
#include "penstock/cluster/compare.h"
#include "penstock/core/interrupt.h"
#include "penstock/core/json.h"
#include "penstock/core/progress.h"
#include "penstock/core/table.h"

namespace penstock::cli {
namespace {

using cluster::Compared;
using cluster::Figure;
using cluster::Interval;
using cluster::RunFigures;
using core::Json;

constexpr std::array<Figure, 3> kShown = {Figure::kMeanJct, Figure::kMakespan,
                                          Figure::kCommunicationLoss};

Json interval_json(const Interval& interval, bool known) {
  Json json = {{"value", interval.value}};
  if (known) {
    json["low"] = interval.low;
    json["high"] = interval.high;
  }
  return json;
}

class ClusterCompareCommand : public Command {
 public:
  std::string name() const override { return "compare"; }
  std::string summary() const override {
    return "Several policies on the same jobs, with 95 % intervals";
  }
  std::string example() const override {
    return "penstock cluster compare --draw philly-like --attach-models --jobs 2000 --seeds 8 "
           "--cluster examples/clusters/2x4x8.toml --policy 2d-las/consolidated --policy dally";
  }
  void declare(CLI::App& app) override {
    scenario_.declare(app);
    app.add_option("--policy", policies_,
                   "NAME or NAME/PLACEMENT, several times; the first is what others are compared "
                   "with")
        ->type_name("NAME[/PLACEMENT]");
    app.add_option("--seeds", seeds_, "So many traces, drawn from --seed on; default 1")
        ->check(CLI::Range(1, 10'000))
        ->type_name("N");
    app.add_option("--replicates", resampling_.replicates, "Of the bootstrap; default 2000")
        ->check(CLI::Range(100, 1'000'000))
        ->type_name("N");
    app.add_option("--threads", how_.threads, "Simulations at a time; default: one a core")
        ->check(CLI::Range(1, 4096))
        ->type_name("N");
    output_.declare(app);
  }
  Status prepare() override { return scenario_.prepare(); }

  Status run() override {
    PENSTOCK_TRY_STATUS(scenario_.load());
    resampling_.seed = scenario_.seed();
    if (policies_.empty()) policies_ = {"2d-las", "2d-las/consolidated", "dally", "dally/priced"};
    std::vector<cluster::Policy> policies;
    for (const std::string& text : policies_) {
      policies.emplace_back();
      PENSTOCK_TRY(policies.back(), scenario_.named_policy(text));
    }
    PENSTOCK_TRY(const auto runs, simulate(policies));
    const std::vector<Compared> compared = cluster::compare(runs, resampling_);
    return output_.emit(document(policies, compared), text(compared));
  }

 private:
  Result<std::vector<std::vector<RunFigures>>> simulate(
      const std::vector<cluster::Policy>& policies) {
    std::vector<trace::JobTrace> traces;
    for (int i = 1; i < seeds_; ++i) {
      traces.emplace_back();
      PENSTOCK_TRY(traces.back(), scenario_.trace_of_seed(scenario_.seed() + std::uint64_t(i)));
    }
    const auto seeds = std::size_t(seeds_);
    const auto make = [&](std::size_t i) {
      const std::size_t seed = i % seeds;
      return scenario_.simulation(policies[i / seeds],
                                  seed == 0 ? scenario_.trace() : traces[seed - 1],
                                  scenario_.topology());
    };
    std::vector<std::vector<RunFigures>> runs(policies.size(), std::vector<RunFigures>(seeds));
    const auto take = [&](std::size_t i, const cluster::SimulationResult& result) -> Status {
      runs[i / seeds][i % seeds] = cluster::figures_of(make(i), result);
      return {};
    };
    const std::size_t count = policies.size() * seeds;
    core::install_interrupt_handler();
    core::Progress progress("simulations", std::int64_t(count));
    how_.stop = [] { return core::interrupted(); };
    how_.simulated = [&] { progress.advance(); };
    PENSTOCK_TRY_STATUS(cluster::simulate_each(count, make, take, scenario_.speeds(), how_));
    return runs;
  }

  Json document(const std::vector<cluster::Policy>& policies,
                const std::vector<Compared>& compared) const {
    Json list = Json::array();
    for (std::size_t i = 0; i < policies.size(); ++i) {
      Json figures = Json::object();
      Json against = Json::object();
      for (int f = 0; f < cluster::kFigures; ++f) {
        const auto at = std::size_t(f);
        const std::string key{cluster::figure_key(Figure(f))};
        const auto& interval = compared[i].intervals[at];
        figures[key] = interval_json(interval.value_or(Interval{compared[i].means[at], 0, 0}),
                                     interval.has_value());
        const auto& change = compared[i].against_first[at];
        against[key] = change ? interval_json(*change, interval.has_value()) : Json();
      }
      list.push_back({{"policy", policies[i].order.name},
                      {"placement", policies[i].rule.name},
                      {"figures", std::move(figures)},
                      {"against_first", std::move(against)}});
    }
    Json spec = scenario_.to_json(policies.front());
    spec.erase("policy");
    spec.erase("placement");
    return {{"schema", "penstock-cluster-compare/1"},
            {"spec", std::move(spec)},
            {"seeds", seeds_},
            {"resampled", seeds_ > 1 ? "seeds" : "jobs"},
            {"replicates", resampling_.replicates},
            {"confidence", resampling_.confidence},
            {"policies", std::move(list)}};
  }

  static std::string shown(Figure figure, double value) {
    return figure == Figure::kCommunicationLoss ? fmt::format("{:.1f}", value)
                                                : core::format_quantity(Seconds(value));
  }

  std::string text(const std::vector<Compared>& compared) const {
    using Align = core::Table::Align;
    core::Table values({{"policy"},
                        {"mean completion", Align::kRight},
                        {"95 %", Align::kRight},
                        {"makespan", Align::kRight},
                        {"lost accel.-h", Align::kRight},
                        {"preempted", Align::kRight}});
    core::Table changes({{"against " + policies_.front()},
                         {"mean completion", Align::kRight},
                         {"makespan", Align::kRight},
                         {"lost accel.-h", Align::kRight}});
    for (std::size_t i = 0; i < compared.size(); ++i) {
      const Compared& it = compared[i];
      const auto& jct = it.intervals[std::size_t(Figure::kMeanJct)];
      values.add_row({policies_[i], shown(Figure::kMeanJct, it.of(Figure::kMeanJct)),
                      jct ? fmt::format("{} to {}", shown(Figure::kMeanJct, jct->low),
                                        shown(Figure::kMeanJct, jct->high))
                          : "",
                      shown(Figure::kMakespan, it.of(Figure::kMakespan)),
                      shown(Figure::kCommunicationLoss, it.of(Figure::kCommunicationLoss)),
                      fmt::format("{:.0f}", it.of(Figure::kPreemptions))});
      if (i == 0) continue;
      std::vector<std::string> row = {policies_[i]};
      for (const Figure figure : kShown) row.push_back(change_text(it, figure));
      changes.add_row(row);
    }
    const std::string what =
        seeds_ > 1 ? fmt::format("95 % intervals over {} seeds", seeds_)
                   : std::string(
                         "95 % intervals over blocks of jobs; one trace's makespan is one "
                         "number and has none");
    return fmt::format("{} on {} ({} accelerators)\n\n{}\n{}\n{}\n", scenario_.where(),
                       scenario_.topology().name, scenario_.topology().accelerators(),
                       values.text(), compared.size() > 1 ? changes.text() : "", what);
  }

  static std::string change_text(const Compared& it, Figure figure) {
    const auto& change = it.against_first[std::size_t(figure)];
    if (!change) return "-";
    std::string text = fmt::format("{:+.1f} %", 100 * change->value);
    if (it.intervals[std::size_t(figure)]) {
      text += fmt::format(" ({:+.1f} to {:+.1f})", 100 * change->low, 100 * change->high);
    }
    return text;
  }

  internal::ClusterScenario scenario_;
  OutputOptions output_;
  std::vector<std::string> policies_;
  int seeds_ = 1;
  cluster::Resampling resampling_;
  cluster::SideBySide how_;
};

}  // namespace

std::unique_ptr<Command> make_cluster_compare_command() {
  return std::make_unique<ClusterCompareCommand>();
}

}  // namespace penstock::cli
