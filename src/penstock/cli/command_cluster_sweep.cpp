// penstock cluster sweep: policies over load, shape, oversubscription, congestion and delays.
#include <fmt/format.h>

#include <charconv>

#include "penstock/cli/command_cluster.h"
#include "penstock/cli/internal/cluster_scenario.h"
#include "penstock/cluster/compare.h"
#include "penstock/core/file.h"
#include "penstock/core/interrupt.h"
#include "penstock/core/json.h"
#include "penstock/core/nearest.h"
#include "penstock/core/progress.h"
#include "penstock/core/table.h"

namespace penstock::cli {
namespace {

using cluster::Figure;
using core::Json;

struct Shape {
  int racks = 0;
  int nodes = 0;
  int accelerators = 0;
};

// What a sweep goes over. Each list holds its one value where nothing is said.
struct Axes {
  std::vector<Shape> shapes;             // empty: the cluster's own
  std::vector<double> oversubscription;  // empty: the cluster's own
  std::vector<double> load = {1};
  std::vector<double> congestion;  // empty: as --contention says
  std::vector<double> timers = {1};
};

struct Point {
  std::size_t cluster = 0;
  std::size_t trace = 0;
  std::size_t policy = 0;
  double congestion = 0;  // 0: as --contention says
  double timers = 1;
  Json json;  // what it is, for people
};

Result<double> read_factor(const std::string& axis, std::string_view text) {
  double value = 0;
  const auto [stop, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = status == std::errc() && stop == text.data() + text.size();
  if (!whole || !(value > 0) || value > 1e6) {
    return core::input_error("--over " + axis, fmt::format("\"{}\" is no number above 0", text),
                             "write numbers, as in " + axis + "=0.5,1,2");
  }
  return value;
}

Result<Shape> read_shape(std::string_view text) {
  std::array<int, 3> counts{};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (i > 0 && (at == end || *at++ != 'x')) counts[0] = 0;
    at = std::from_chars(at, end, counts[i]).ptr;
  }
  if (at != end || counts[0] < 1 || counts[1] < 1 || counts[2] < 1 || counts[0] > 10'000 ||
      counts[1] > 10'000 || counts[2] > 1'000) {
    return core::input_error("--over shape", fmt::format("\"{}\" is no shape", text),
                             "write racks x nodes x accelerators, as in 2x4x8");
  }
  return Shape{counts[0], counts[1], counts[2]};
}

Status read_axis(const std::string& text, Axes& axes) {
  static const std::vector<std::string> kNames = {"shape", "oversubscription", "load", "congestion",
                                                  "timers"};
  const std::size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  if (std::find(kNames.begin(), kNames.end(), name) == kNames.end()) {
    const std::string near = core::did_you_mean(name, kNames);
    return core::input_error(
        "--over", fmt::format("\"{}\" cannot be swept", name),
        near.empty() ? "sweep shape, oversubscription, load, congestion or timers" : near);
  }
  std::vector<double> factors;
  std::vector<Shape> shapes;
  std::string rest = equals == std::string::npos ? "" : text.substr(equals + 1);
  for (std::size_t comma = 0; comma != std::string::npos;) {
    comma = rest.find(',');
    const std::string value = rest.substr(0, comma);
    if (name == "shape") {
      shapes.emplace_back();
      PENSTOCK_TRY(shapes.back(), read_shape(value));
    } else {
      factors.emplace_back();
      PENSTOCK_TRY(factors.back(), read_factor(name, value));
    }
    if (comma != std::string::npos) rest.erase(0, comma + 1);
  }
  if (name == "shape") axes.shapes = shapes;
  if (name == "oversubscription") axes.oversubscription = factors;
  if (name == "load") axes.load = factors;
  if (name == "congestion") axes.congestion = factors;
  if (name == "timers") axes.timers = factors;
  return {};
}

class ClusterSweepCommand : public Command {
 public:
  std::string name() const override { return "sweep"; }
  std::string summary() const override {
    return "Policies over load, cluster shape, oversubscription, congestion and delays";
  }
  std::string example() const override {
    return "penstock cluster sweep --draw philly-like --attach-models --jobs 500 --cluster "
           "examples/clusters/2x4x8.toml --policy 2d-las --policy dally --over load=0.5,1,2 --over "
           "timers=0.1,1,10 --results sweep.jsonl";
  }
  void declare(CLI::App& app) override {
    scenario_.declare(app);
    app.add_option("--policy", policy_names_, "NAME or NAME/PLACEMENT, several times")
        ->type_name("NAME[/PLACEMENT]");
    app.add_option("--over", over_,
                   "load=, timers=, oversubscription=, congestion= (factors) or shape= (racks x "
                   "nodes x accelerators), values between commas, several times")
        ->type_name("NAME=V,V...");
    app.add_option("--seeds", seeds_, "So many traces, drawn from --seed on; default 1")
        ->check(CLI::Range(1, 10'000))
        ->type_name("N");
    app.add_option("--results", results_,
                   "Keep every point here as it is done; the same command goes on from there")
        ->type_name("FILE.jsonl");
    app.add_option("--csv", csv_, "Write one row a point")->type_name("FILE");
    app.add_option("--threads", how_.threads, "Simulations at a time; default: one a core")
        ->check(CLI::Range(1, 4096))
        ->type_name("N");
    output_.declare(app);
  }

  Status prepare() override {
    for (const std::string& text : over_) PENSTOCK_TRY_STATUS(read_axis(text, axes_));
    return scenario_.prepare();
  }

  Status run() override {
    PENSTOCK_TRY_STATUS(scenario_.load());
    PENSTOCK_TRY_STATUS(lay_out());
    const Json spec = spec_json();
    cluster::SweepLog log(points_.size());
    if (results_.empty()) return run(log, spec);
    PENSTOCK_TRY(cluster::SweepLog kept, cluster::SweepLog::open(results_, spec, points_.size()));
    return run(kept, spec);
  }

 private:
  Status lay_out() {
    if (policy_names_.empty()) policy_names_ = {"2d-las", "2d-las/consolidated", "dally"};
    for (const std::string& text : policy_names_) {
      policies_.emplace_back();
      PENSTOCK_TRY(policies_.back(), scenario_.named_policy(text));
    }
    for (const double load : axes_.load) {
      for (int seed = 0; seed < seeds_; ++seed) {
        if (seed == 0) {
          traces_.push_back(cluster::at_load(scenario_.trace(), load));
          continue;
        }
        PENSTOCK_TRY(const trace::JobTrace trace,
                     scenario_.trace_of_seed(scenario_.seed() + std::uint64_t(seed)));
        traces_.push_back(cluster::at_load(trace, load));
      }
    }
    std::vector<Json> cluster_names;
    lay_out_clusters(cluster_names);
    const std::vector<double> given = {0};
    for (std::size_t cluster = 0; cluster < clusters_.size(); ++cluster) {
      for (std::size_t trace = 0; trace < traces_.size(); ++trace) {
        for (const double congestion : axes_.congestion.empty() ? given : axes_.congestion) {
          for (const double timers : axes_.timers) {
            for (std::size_t policy = 0; policy < policies_.size(); ++policy) {
              Json json = cluster_names[cluster];
              json["load"] = axes_.load[trace / std::size_t(seeds_)];
              if (congestion > 0) json["congestion"] = congestion;
              json["timers"] = timers;
              json["seed"] = scenario_.seed() + trace % std::size_t(seeds_);
              json["policy"] = policies_[policy].order.name;
              json["placement"] = policies_[policy].rule.name;
              points_.push_back({cluster, trace, policy, congestion, timers, std::move(json)});
            }
          }
        }
      }
    }
    return {};
  }

  void lay_out_clusters(std::vector<Json>& names) {
    std::vector<cluster::Topology> shapes;
    std::vector<Json> shape_names;
    if (axes_.shapes.empty()) {
      shapes.push_back(scenario_.topology());
      shape_names.push_back(Json::object());
    }
    for (const Shape& it : axes_.shapes) {
      shapes.push_back(
          cluster::reshaped(scenario_.topology(), it.racks, it.nodes, it.accelerators));
      shape_names.push_back(
          {{"shape", fmt::format("{}x{}x{}", it.racks, it.nodes, it.accelerators)}});
    }
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      if (axes_.oversubscription.empty()) {
        clusters_.push_back(shapes[i]);
        names.push_back(shape_names[i]);
      }
      for (const double ratio : axes_.oversubscription) {
        clusters_.push_back(cluster::oversubscribed(shapes[i], ratio));
        names.push_back(shape_names[i]);
        names.back()["oversubscription"] = ratio;
      }
    }
  }

  cluster::Simulation simulation_of(const Point& point) const {
    cluster::Simulation simulation =
        scenario_.simulation(cluster::with_timers(policies_[point.policy], point.timers),
                             traces_[point.trace], clusters_[point.cluster]);
    if (point.congestion > 0) {
      simulation.contention = cluster::Contention::kFactor;
      simulation.congestion = point.congestion;
    }
    return simulation;
  }

  Json spec_json() const {
    Json spec = scenario_.to_json(policies_.front());
    spec.erase("policy");
    spec.erase("placement");
    // A changed file of jobs is another sweep.
    spec["jobs_hash"] = core::content_hash(trace::jobs_text(scenario_.trace()));
    spec["points"] = Json::array();
    for (const Point& point : points_) spec["points"].push_back(point.json);
    return spec;
  }

  Status run(cluster::SweepLog& log, const Json& spec) {
    std::vector<std::size_t> missing;
    for (std::size_t i = 0; i < points_.size(); ++i) {
      if (!log.has(i)) missing.push_back(i);
    }
    core::install_interrupt_handler();
    core::Progress progress("points", std::int64_t(missing.size()));
    how_.stop = [] { return core::interrupted(); };
    how_.simulated = [&] { progress.advance(); };
    const Status status = cluster::simulate_each(
        missing.size(), [&](std::size_t i) { return simulation_of(points_[missing[i]]); },
        [&](std::size_t i, const cluster::SimulationResult& result) {
          Json figures = Json::object();
          for (int f = 0; f < cluster::kFigures; ++f) {
            figures[std::string(cluster::figure_key(Figure(f)))] =
                cluster::figure_of(result.metrics, Figure(f));
          }
          return log.add(missing[i], figures);
        },
        scenario_.speeds(), how_);
    if (!status && core::interrupted()) {
      return core::negative(
          results_, fmt::format("interrupted after {} of {} points", log.done(), points_.size()),
          results_.empty() ? "use --results to keep them" : "run the same command to go on");
    }
    PENSTOCK_TRY_STATUS(status);
    return write(log, spec);
  }

  Status write(const cluster::SweepLog& log, const Json& spec) const {
    Json list = Json::array();
    std::string csv;
    for (std::size_t i = 0; i < points_.size(); ++i) {
      Json row = points_[i].json;
      row.update(log.result(i));
      if (i == 0) csv = csv_row(row, true);
      csv += csv_row(row, false);
      list.push_back(std::move(row));
    }
    if (!csv_.empty()) PENSTOCK_TRY_STATUS(core::write_file(csv_, csv));
    const std::string table = text(list);
    Json head = spec;
    head.erase("points");
    return output_.emit({{"schema", "penstock-cluster-sweep/1"},
                         {"spec", std::move(head)},
                         {"points", std::move(list)}},
                        table);
  }

  static std::string csv_row(const Json& row, bool names) {
    std::string line;
    for (const auto& [key, value] : row.items()) {
      line += line.empty() ? "" : ",";
      line += names ? key : value.is_string() ? value.get<std::string>() : value.dump();
    }
    return line + "\n";
  }

  // The axes that vary, and three figures.
  std::string text(const Json& rows) const {
    using Align = core::Table::Align;
    std::vector<core::Table::Column> columns;
    std::vector<std::string> keys;
    for (const char* key : {"shape", "oversubscription", "load", "congestion", "timers", "seed"}) {
      const bool varies =
          rows.front().contains(key) && std::any_of(rows.begin(), rows.end(), [&](const Json& row) {
            return row.at(key) != rows.front().at(key);
          });
      if (!varies) continue;
      keys.emplace_back(key);
      columns.push_back({key, Align::kRight});
    }
    columns.push_back({"policy"});
    for (const char* title : {"mean completion", "makespan", "lost accel.-h"}) {
      columns.push_back({title, Align::kRight});
    }
    core::Table table(columns);
    for (const Json& row : rows) {
      std::vector<std::string> cells;
      for (const std::string& key : keys) {
        const Json& value = row.at(key);
        cells.push_back(value.is_string() ? value.get<std::string>()
                                          : fmt::format("{}", value.get<double>()));
      }
      cells.push_back(row.at("policy").get<std::string>() + "/" +
                      row.at("placement").get<std::string>());
      cells.push_back(core::format_quantity(Seconds(row.at("mean_jct_s").get<double>())));
      cells.push_back(core::format_quantity(Seconds(row.at("makespan_s").get<double>())));
      cells.push_back(
          fmt::format("{:.1f}", row.at("communication_loss_accelerator_h").get<double>()));
      table.add_row(cells);
    }
    return fmt::format("{} on {}, {} points\n\n{}", scenario_.where(), scenario_.topology().name,
                       points_.size(), table.text());
  }

  internal::ClusterScenario scenario_;
  OutputOptions output_;
  std::vector<std::string> policy_names_;
  std::vector<std::string> over_;
  int seeds_ = 1;
  std::string results_;
  std::string csv_;
  Axes axes_;
  std::vector<cluster::Policy> policies_;
  std::vector<trace::JobTrace> traces_;  // by load, then seed
  std::vector<cluster::Topology> clusters_;
  std::vector<Point> points_;
  cluster::SideBySide how_;
};

}  // namespace

std::unique_ptr<Command> make_cluster_sweep_command() {
  return std::make_unique<ClusterSweepCommand>();
}

}  // namespace penstock::cli
