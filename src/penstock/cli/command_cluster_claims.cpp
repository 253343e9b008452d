// penstock cluster claims: the headline claims of the Dally paper, looked for on public traces.
//
// The paper (arXiv 2401.16492) publishes neither its traces nor its cluster nor its timers, so this
// reproduces none of its numbers: it shows where, on traces and clusters of our choice,
// improvements of that size appear and where they do not.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "penstock/cli/command_cluster.h"
#include "penstock/cluster/compare.h"
#include "penstock/core/interrupt.h"
#include "penstock/core/json.h"
#include "penstock/core/progress.h"
#include "penstock/core/table.h"
#include "penstock/version.h"

namespace penstock::cli {
namespace {

using cluster::Compared;
using cluster::Figure;
using cluster::RunFigures;
using cluster::Topology;
using core::Json;

// A trace, and a cluster on which it is loaded. The clusters are ours.
struct Case {
  const char* name;
  const char* format;
  const char* file;  // below --data
  int racks, nodes, accelerators;
  const char* accelerator;
  double node_gbit_per_s;
  double load;         // at which arrivals are looked at
  bool attach_models;  // the trace names none
};
constexpr std::array<Case, 5> kCases = {{
    {"muri-1", "muri", "muri/trace1.csv", 2, 4, 8, "v100", 100, 1, false},
    {"muri-3", "muri", "muri/trace3.csv", 2, 4, 8, "v100", 100, 1, false},
    {"gavel", "gavel", "gavel/msr_seed0_103959.trace", 2, 4, 8, "v100", 100, 4, false},
    {"pollux", "pollux", "pollux/workloads/workload-1.csv", 4, 4, 4, "t4", 5, 1, false},
    {"philly", "philly", "philly/philly_jobs.csv", 4, 8, 8, "p100", 100, 1, true},
}};

// What jobs of one network do to one another.
struct Network {
  const char* name;
  double slower;            // node uplinks, times
  double oversubscription;  // of rack uplinks
  cluster::Contention contention;
};
constexpr Network kFree = {"free", 1, 4, cluster::Contention::kNone};
constexpr Network kShared = {"shared", 2.5, 8, cluster::Contention::kFluid};
constexpr Network kCongested = {"tight", 10, 16, cluster::Contention::kFluid};

struct Contender {
  const char* name;
  const char* order;
  const char* placement;
  bool migrate = false;
};
constexpr std::array<Contender, 4> kBaselines = {{{"consolidated", "dally", "consolidated"},
                                                  {"no-wait", "dally", "no-wait"},
                                                  {"Tiresias", "2d-las", "tiresias"},
                                                  {"Slurm's timer", "fifo-backfill", "slurm"}}};
constexpr std::array<Contender, 3> kDallys = {{{"auto", "dally", "auto"},
                                               {"priced", "dally", "priced"},
                                               {"moving", "dally", "priced", true}}};
constexpr std::array<Contender, 9> kAblation = {
    {{"dally/auto, whole", "dally", "auto"},
     {"without clock: no-wait", "dally", "no-wait"},
     {"without tuner: manual delays", "dally", "manual"},
     {"tuned by mean + 2 sd", "dally", "auto-mean"},
     {"priced instead of tuned", "dally", "priced"},
     {"priced, and jobs move", "dally", "priced", true},
     {"by attained service", "2d-las", "auto"},
     {"without preemption", "fifo-backfill", "auto"},
     {"without preemption, priced", "fifo-backfill", "priced"}}};

struct Claim {
  Figure figure;
  const char* name;
  double paper;  // "up to", of the abstract
};
constexpr std::array<Claim, 3> kClaims = {{{Figure::kMakespan, "makespan", 0.69},
                                           {Figure::kMeanJct, "mean completion", 0.83},
                                           {Figure::kCommunicationLoss, "communication", 0.98}}};

// One simulation of the whole experiment.
struct Run {
  std::size_t scenario = 0;
  Contender contender;
};

// One case under one network, load and scale of timers.
struct Scenario {
  std::size_t which = 0;  // of the cases in use
  Network network = kFree;
  double load = 1;  // beside the case's own
  double timers = 1;
  trace::JobTrace trace;
  Topology topology;
};

Topology topology_of(const Case& it, const Network& network) {
  Topology out = cluster::uniform(it.racks, it.nodes, it.accelerators);
  out.accelerator = it.accelerator;
  out.node_uplink.bandwidth = Bandwidth(it.node_gbit_per_s / 8 * 1e9 / network.slower);
  return cluster::oversubscribed(out, network.oversubscription);
}

// By how much of `theirs` ours is less; none where there was nothing to gain.
std::optional<double> gain(double ours, double theirs) {
  if (theirs <= 0) return std::nullopt;
  return 1 - ours / theirs;
}

// Beyond ten times as much the figure says nothing more.
std::string percent(std::optional<double> value) {
  if (!value) return "-";
  return *value < -9.99 ? "<<" : fmt::format("{:+.0f}", 100 * *value);
}

class ClusterClaimsCommand : public Command {
 public:
  std::string name() const override { return "claims"; }
  std::string summary() const override {
    return "Where the Dally paper's claims hold, on public traces, and where they do not";
  }
  std::string example() const override {
    return "penstock cluster claims --data ../shared/data/cluster";
  }
  void declare(CLI::App& app) override {
    app.add_option("--data", data_,
                   "Folder with muri, gavel, pollux and philly (docs/cluster_compare.md)")
        ->required()
        ->type_name("DIR");
    app.add_option("--case", only_, "Only these: muri-1, muri-3, gavel, pollux, philly")
        ->check(CLI::IsMember({"muri-1", "muri-3", "gavel", "pollux", "philly"}))
        ->type_name("NAME");
    app.add_flag("--no-sweep", no_sweep_, "Only the table of claims and the ablation");
    app.add_option("--threads", how_.threads, "Simulations at a time; default: one a core")
        ->check(CLI::Range(1, 4096))
        ->type_name("N");
    app.add_option("--seed", seed_, "Of attached models and intervals; default 0")->type_name("N");
    output_.declare(app);
  }

  Status prepare() override {
    for (const Case& it : kCases) {
      const bool wanted =
          only_.empty() || std::find(only_.begin(), only_.end(), it.name) != only_.end();
      if (!wanted) continue;
      const std::string path = data_ + "/" + it.file;
      if (!std::filesystem::exists(path)) {
        return core::missing_error(path, "is not there",
                                   "name the folder of traces by --data, or leave this one out by "
                                   "--case");
      }
      cases_.push_back(it);
    }
    return {};
  }

  Status run() override {
    PENSTOCK_TRY_STATUS(lay_out());
    PENSTOCK_TRY(cluster::SpeedBook speeds,
                 cluster::SpeedBook::read({.pollux = data_ + "/pollux/profiles",
                                           .gavel = data_ + "/gavel/simulation_throughputs.json"}));
    PENSTOCK_TRY_STATUS(simulate(speeds));
    Json document = {{"schema", "penstock-cluster-claims/1"},
                     {"version", kVersion},
                     {"seed", seed_},
                     {"paper", "arXiv 2401.16492, abstract; our traces, clusters and delays"}};
    std::string text =
        "Dally against others: by how many percent less. Traces are public; clusters, links and\n"
        "delays are ours, so the paper's figures are located here, not reproduced.\n\n";
    document["claims"] = claims(text);
    document["ablation"] = ablation(text);
    if (!no_sweep_) document["sweep"] = sweep(text);
    document["largest"] = largest(text);
    return output_.emit(document, text);
  }

 private:
  Status lay_out() {
    for (std::size_t which = 0; which < cases_.size(); ++which) {
      const Case& it = cases_[which];
      PENSTOCK_TRY(trace::JobTrace trace,
                   trace::read_jobs(data_ + "/" + it.file,
                                    {.format = it.format,
                                     .throughputs = data_ + "/gavel/simulation_throughputs.json",
                                     .profiles = data_ + "/pollux/profiles"}));
      if (it.attach_models) trace::attach_models(trace, seed_);
      const int largest = topology_of(it, kFree).accelerators();
      std::erase_if(trace.jobs,
                    [&](const trace::TrainingJob& job) { return job.accelerators > largest; });
      const auto add = [&](const Network& network, double load, double timers) {
        scenarios_.push_back({which, network, load, timers, cluster::at_load(trace, it.load * load),
                              topology_of(it, network)});
        for (const Contender& one : kBaselines) runs_.push_back({scenarios_.size() - 1, one});
        for (const Contender& one : kDallys) runs_.push_back({scenarios_.size() - 1, one});
      };
      add(kFree, 1, 1);
      add(kCongested, 1, 1);
      for (const Contender& one : kAblation) runs_.push_back({scenarios_.size() - 1, one});
      if (no_sweep_) continue;
      for (const double load : {0.5, 1.0, 2.0}) {
        for (const Network& network : {kFree, kShared, kCongested}) {
          if (load != 1 || network.slower == kShared.slower) add(network, load, 1);
        }
      }
      for (const double timers : {0.1, 0.3, 3.0, 10.0}) add(kCongested, 1, timers);
    }
    return {};
  }

  Status simulate(const cluster::SpeedBook& speeds) {
    std::vector<cluster::Policy> policies;
    for (const Run& run : runs_) {
      policies.emplace_back();
      PENSTOCK_TRY(policies.back(),
                   cluster::make_policy(run.contender.order, run.contender.placement));
      policies.back().settings.migrate |= run.contender.migrate;
      policies.back() = cluster::with_timers(policies.back(), scenarios_[run.scenario].timers);
    }
    const auto make = [&](std::size_t i) {
      const Scenario& scenario = scenarios_[runs_[i].scenario];
      return cluster::Simulation{.trace = scenario.trace,
                                 .cluster = scenario.topology,
                                 .policy = policies[i],
                                 .contention = scenario.network.contention};
    };
    core::install_interrupt_handler();
    core::Progress progress("simulations", std::int64_t(runs_.size()));
    how_.stop = [] { return core::interrupted(); };
    how_.simulated = [&] { progress.advance(); };
    figures_.resize(runs_.size());
    return cluster::simulate_each(
        runs_.size(), make,
        [&](std::size_t i, const cluster::SimulationResult& result) -> Status {
          figures_[i] = cluster::figures_of(make(i), result);
          return {};
        },
        speeds, how_);
  }

  // Of one scenario, in the order in which they were added.
  std::size_t first_run(std::size_t scenario) const {
    const auto found = std::find_if(runs_.begin(), runs_.end(),
                                    [&](const Run& run) { return run.scenario == scenario; });
    return std::size_t(found - runs_.begin());
  }

  Json place_json(const Scenario& it) const {
    return {{"case", cases_[it.which].name},
            {"network", it.network.name},
            {"load", it.load * cases_[it.which].load},
            {"timers", it.timers}};
  }

  std::optional<double> gain_of(Figure figure, std::size_t ours, std::size_t theirs) const {
    return gain(figures_[ours].figures[std::size_t(figure)],
                figures_[theirs].figures[std::size_t(figure)]);
  }

  // Of the three claims, for one Dally over one baseline.
  std::string gains_text(std::size_t first, std::size_t dally, std::size_t baseline) const {
    std::string text;
    for (const Claim& claim : kClaims) {
      const auto value = gain_of(claim.figure, first + kBaselines.size() + dally, first + baseline);
      text += fmt::format("{}{:>4}", text.empty() ? "" : " ", percent(value));
    }
    return text;
  }

  // Gains with intervals, of every Dally over one baseline.
  Json against(const Scenario& scenario, std::size_t first, std::size_t baseline) const {
    std::vector<std::vector<RunFigures>> runs = {{figures_[first + baseline]}};
    for (std::size_t i = 0; i < kDallys.size(); ++i) {
      runs.push_back({figures_[first + kBaselines.size() + i]});
    }
    const std::vector<Compared> compared = cluster::compare(runs, {.seed = seed_});
    Json json = place_json(scenario);
    json["baseline"] = kBaselines[baseline].name;
    for (std::size_t i = 0; i < kDallys.size(); ++i) {
      Json gains = Json::object();
      for (const Claim& claim : kClaims) {
        const auto& change = compared[i + 1].against_first[std::size_t(claim.figure)];
        Json value;
        if (change) value["value"] = -change->value;
        if (change && compared[i + 1].intervals[std::size_t(claim.figure)]) {
          value["low"] = -change->high;
          value["high"] = -change->low;
        }
        gains[claim.name] = std::move(value);
      }
      json[kDallys[i].name] = std::move(gains);
    }
    return json;
  }

  // The same without intervals, which cost more than the simulations of a whole sweep.
  Json plain_gains(const Scenario& scenario, std::size_t first, std::size_t baseline) const {
    Json json = place_json(scenario);
    json["baseline"] = kBaselines[baseline].name;
    for (std::size_t i = 0; i < kDallys.size(); ++i) {
      for (const Claim& claim : kClaims) {
        const auto value = gain_of(claim.figure, first + kBaselines.size() + i, first + baseline);
        json[kDallys[i].name][claim.name] = value ? Json(*value) : Json();
      }
    }
    return json;
  }

  Json claims(std::string& text) const {
    using Align = core::Table::Align;
    std::vector<core::Table::Column> columns = {{"trace"}, {"network"}, {"less than"}};
    for (const Contender& one : kDallys) columns.push_back({one.name, Align::kRight});
    core::Table table(columns);
    Json list = Json::array();
    for (std::size_t s = 0; s < scenarios_.size(); ++s) {
      const Scenario& scenario = scenarios_[s];
      const bool shown =
          scenario.load == 1 && scenario.timers == 1 && scenario.network.slower != kShared.slower;
      if (!shown) continue;
      const std::size_t first = first_run(s);
      for (std::size_t b = 0; b < kBaselines.size(); ++b) {
        std::vector<std::string> row = {b == 0 ? cases_[scenario.which].name : "",
                                        b == 0 ? scenario.network.name : "", kBaselines[b].name};
        for (std::size_t d = 0; d < kDallys.size(); ++d) row.push_back(gains_text(first, d, b));
        table.add_row(row);
        list.push_back(against(scenario, first, b));
      }
    }
    text += "Makespan, mean completion, communication; % less than\n\n" + table.text() + "\n";
    return list;
  }

  Json ablation(std::string& text) const {
    using Align = core::Table::Align;
    core::Table table({{"trace, tight"},
                       {"policy"},
                       {"mean completion", Align::kRight},
                       {"makespan", Align::kRight},
                       {"lost accel.-h", Align::kRight},
                       {"preempted", Align::kRight}});
    Json list = Json::array();
    std::size_t last = scenarios_.size();
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      const Scenario& scenario = scenarios_[runs_[i].scenario];
      const bool ablated = i >= first_run(runs_[i].scenario) + kBaselines.size() + kDallys.size();
      if (!ablated) continue;
      const auto of = [&](Figure figure) { return figures_[i].figures[std::size_t(figure)]; };
      table.add_row({last == scenario.which ? "" : cases_[scenario.which].name,
                     runs_[i].contender.name, core::format_quantity(Seconds(of(Figure::kMeanJct))),
                     core::format_quantity(Seconds(of(Figure::kMakespan))),
                     fmt::format("{:.1f}", of(Figure::kCommunicationLoss)),
                     fmt::format("{:.0f}", of(Figure::kPreemptions))});
      last = scenario.which;
      Json json = place_json(scenario);
      json["policy"] = runs_[i].contender.name;
      for (int f = 0; f < cluster::kFigures; ++f) {
        json[std::string(cluster::figure_key(Figure(f)))] = of(Figure(f));
      }
      list.push_back(std::move(json));
    }
    text += "Ablation\n\n" + table.text() + "\n";
    return list;
  }

  Json sweep(std::string& text) const {
    using Align = core::Table::Align;
    std::vector<core::Table::Column> columns = {
        {"trace"}, {"network"}, {"load", Align::kRight}, {"timers", Align::kRight}, {"dally"}};
    for (const Contender& baseline : kBaselines) columns.push_back({baseline.name, Align::kRight});
    core::Table table(columns);
    Json list = Json::array();
    for (std::size_t s = 0; s < scenarios_.size(); ++s) {
      const Scenario& scenario = scenarios_[s];
      const std::size_t first = first_run(s);
      for (std::size_t b = 0; b < kBaselines.size(); ++b) {
        list.push_back(plain_gains(scenario, first, b));
      }
      for (const std::size_t d : {std::size_t(0), std::size_t(2)}) {
        std::vector<std::string> row = {cases_[scenario.which].name, scenario.network.name,
                                        fmt::format("{}", scenario.load),
                                        fmt::format("x{}", scenario.timers), kDallys[d].name};
        for (std::size_t b = 0; b < kBaselines.size(); ++b) {
          row.push_back(gains_text(first, d, b));
        }
        table.add_row(row);
      }
    }
    text += "Where it holds: makespan, mean completion, communication, % less than\n\n" +
            table.text() + "\n";
    return list;
  }

  // The largest gain of any Dally, beside the paper's.
  Json largest(std::string& text) const {
    using Align = core::Table::Align;
    core::Table table({{"largest gain seen"},
                       {"ours %", Align::kRight},
                       {"paper: up to %", Align::kRight},
                       {"where"}});
    Json list = Json::array();
    for (const Claim& claim : kClaims) {
      double best = -1e300;
      Json where;
      std::string words;
      for (std::size_t s = 0; s < scenarios_.size(); ++s) {
        const std::size_t first = first_run(s);
        for (std::size_t b = 0; b < kBaselines.size(); ++b) {
          for (std::size_t d = 0; d < kDallys.size(); ++d) {
            const auto value = gain_of(claim.figure, first + kBaselines.size() + d, first + b);
            if (!value || *value <= best) continue;
            best = *value;
            where = place_json(scenarios_[s]);
            where["baseline"] = kBaselines[b].name;
            where["dally"] = kDallys[d].name;
            words = fmt::format("{}, {}, load x{}: {} against {}", cases_[scenarios_[s].which].name,
                                scenarios_[s].network.name, scenarios_[s].load, kDallys[d].name,
                                kBaselines[b].name);
          }
        }
      }
      table.add_row({claim.name, fmt::format("{:.1f}", 100 * best),
                     fmt::format("{:.0f}", 100 * claim.paper), words});
      where["claim"] = claim.name;
      where["gain"] = best;
      where["paper_up_to"] = claim.paper;
      list.push_back(std::move(where));
    }
    text += table.text();
    return list;
  }

  OutputOptions output_;
  std::string data_;
  std::vector<std::string> only_;
  bool no_sweep_ = false;
  std::uint64_t seed_ = 0;
  cluster::SideBySide how_;
  std::vector<Case> cases_;
  std::vector<Scenario> scenarios_;
  std::vector<Run> runs_;
  std::vector<RunFigures> figures_;
};

}  // namespace

std::unique_ptr<Command> make_cluster_claims_command() {
  return std::make_unique<ClusterClaimsCommand>();
}

}  // namespace penstock::cli
