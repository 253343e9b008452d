// penstock cluster simulate: last month's jobs under another policy.
#include <fmt/format.h>

#include "penstock/cli/command_cluster.h"
#include "penstock/cli/internal/cluster_scenario.h"
#include "penstock/cluster/report.h"
#include "penstock/core/file.h"
#include "penstock/core/interrupt.h"
#include "penstock/core/progress.h"
#include "penstock/core/table.h"
#include "penstock/ledger/book.h"
#include "penstock/ledger/trace.h"

namespace penstock::cli {
namespace {

using cluster::Metrics;
using cluster::SimulationResult;
using core::Json;

std::string duration(double seconds) { return core::format_quantity(Seconds(seconds)); }

class ClusterSimulateCommand : public Command {
 public:
  std::string name() const override { return "simulate"; }
  std::string summary() const override {
    return "Replay a trace of jobs on a cluster under a policy";
  }
  std::string example() const override {
    return "penstock cluster simulate --draw philly-like --jobs 2000 --gpus 128 --policy 2d-las";
  }
  void declare(CLI::App& app) override {
    scenario_.declare(app);
    scenario_.declare_policy(app);
    app.add_flag("--parameters", list_parameters_, "List the parameters of --set and end");
    app.add_option("--jobs-out", jobs_out_, "Write one row a job (CSV)")->type_name("FILE");
    app.add_option("--trace", trace_out_, "Write every accelerator's jobs over time, for Perfetto")
        ->type_name("FILE");
    app.add_option("--report", report_out_, "Write the run as one HTML page")->type_name("FILE");
    app.add_option("--book", book_, "Keep the ledger in this book")->type_name("FILE");
    app.add_flag("--no-book", no_book_, "Keep no ledger");
    output_.declare(app);
  }
  Status prepare() override { return list_parameters_ ? Status{} : scenario_.prepare(); }

  Status run() override {
    if (list_parameters_) return output_.emit(parameters_json(), parameters_text());
    PENSTOCK_TRY_STATUS(scenario_.load());
    PENSTOCK_TRY(const cluster::Policy policy, scenario_.policy());
    cluster::Simulation simulation = scenario_.simulation(policy);
    simulation.keep_episodes = !trace_out_.empty() || !report_out_.empty();
    simulation.keep_timers = !report_out_.empty();
    core::install_interrupt_handler();
    core::Progress progress("simulating jobs", std::int64_t(scenario_.trace().jobs.size()));
    std::int64_t shown = 0;
    simulation.progress = [&](cluster::Time /*now*/, std::int64_t done) {
      progress.advance(done - shown);
      shown = done;
      return !core::interrupted();
    };
    PENSTOCK_TRY(const SimulationResult result, cluster::simulate(simulation, scenario_.speeds()));
    return write(policy, result);
  }

 private:
  static Json parameters_json() {
    Json list = Json::array();
    for (const cluster::Parameter& it : cluster::parameter_table()) {
      list.push_back(
          {{"name", it.name}, {"unit", it.unit}, {"default", it.initial}, {"meaning", it.meaning}});
    }
    return {{"parameters", std::move(list)}};
  }
  static std::string parameters_text() {
    core::Table table({{"parameter"}, {"default"}, {"meaning"}});
    for (const cluster::Parameter& it : cluster::parameter_table()) {
      table.add_row({it.name, it.initial, it.meaning});
    }
    return table.text();
  }

  Status write(const cluster::Policy& policy, const SimulationResult& result) {
    Json document = result.metrics.to_json();
    document["schema"] = "penstock-cluster/1";
    document["spec"] = scenario_.to_json(policy);
    document["speeds"] = cluster::speed_sources_json(result);
    document["ledger"] = result.ledger.to_json();
    if (!scenario_.trace().notes.empty()) document["notes"] = scenario_.trace().notes;
    if (!jobs_out_.empty()) {
      PENSTOCK_TRY_STATUS(
          core::write_file(jobs_out_, cluster::outcomes_csv(scenario_.trace(), result)));
    }
    if (!trace_out_.empty()) {
      const ledger::Ledger spans =
          cluster::timeline(scenario_.trace(), scenario_.topology(), result);
      PENSTOCK_TRY_STATUS(core::write_file(trace_out_, ledger::trace_of({&spans}).dump()));
    }
    if (!report_out_.empty()) {
      PENSTOCK_TRY_STATUS(cluster::write_report(document, scenario_.trace(), scenario_.topology(),
                                                result, report_out_));
    }
    if (!no_book_) {
      PENSTOCK_TRY(const std::string path, ledger::book_path(book_));
      PENSTOCK_TRY(ledger::Book book, ledger::Book::open(path));
      PENSTOCK_TRY(document["book_id"], book.add({result.ledger, "cluster", document["spec"]}));
    }
    return output_.emit(document, text(policy, result));
  }

  std::string text(const cluster::Policy& policy, const SimulationResult& result) const {
    const Metrics& m = result.metrics;
    core::Table table({{"figure"}, {"value", core::Table::Align::kRight}});
    table.add_row({"mean completion time", duration(m.mean_jct_s)});
    table.add_row(
        {"median, 95 %, 99 %", fmt::format("{}, {}, {}", duration(m.p50_jct_s),
                                           duration(m.p95_jct_s), duration(m.p99_jct_s))});
    table.add_row({"makespan", duration(m.makespan_s)});
    table.add_row({"mean wait", duration(m.mean_wait_s)});
    table.add_row({"  declined, for one node", duration(m.declined_for_node_s)});
    table.add_row({"  declined, for one rack", duration(m.declined_for_rack_s)});
    table.add_row({"lost to placement and contention",
                   fmt::format("{:.1f} accelerator-h", m.communication_loss_accelerator_h)});
    table.add_row({"lost to saving and restoring",
                   fmt::format("{:.1f} accelerator-h", m.restart_accelerator_h)});
    table.add_row({"preemptions, migrations", fmt::format("{}, {}", m.preemptions, m.migrations)});
    table.add_row({"utilisation", fmt::format("{:.1f} %", 100 * m.utilisation)});
    table.add_row({"fragmentation", fmt::format("{:.1f} %", 100 * m.fragmentation)});
    table.add_row({"finish-time fairness, mean, worst",
                   fmt::format("{:.2f}, {:.2f}", m.mean_fairness, m.worst_fairness)});
    if (m.cost_usd > 0) {
      table.add_row({"cost of the cluster", core::format_quantity(Dollars(m.cost_usd))});
    }
    std::string text =
        fmt::format("{} jobs of {} on {} ({} accelerators), {} with placement {}\n\n", m.jobs,
                    scenario_.where(), scenario_.topology().name,
                    scenario_.topology().accelerators(), policy.order.name, policy.rule.name);
    for (const std::string& note : scenario_.trace().notes) text += note + "\n";
    text +=
        table.text() + "\n" + cluster::speed_sources_text(result) + "\n" + result.ledger.table();
    return text;
  }

  internal::ClusterScenario scenario_;
  OutputOptions output_;
  bool list_parameters_ = false;
  std::string jobs_out_;
  std::string trace_out_;
  std::string report_out_;
  std::string book_;
  bool no_book_ = false;
};

}  // namespace

std::unique_ptr<Command> make_cluster_simulate_command() {
  return std::make_unique<ClusterSimulateCommand>();
}

}  // namespace penstock::cli
