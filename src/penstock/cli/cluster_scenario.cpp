#include "penstock/cli/internal/cluster_scenario.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "penstock/cli/internal/quantity_option.h"
#include "penstock/core/json.h"
#include "penstock/version.h"

namespace penstock::cli::internal {
namespace {

std::vector<std::string> names_of(const auto& list) {
  std::vector<std::string> names;
  for (const auto& it : list) names.push_back(it.name);
  return names;
}

}  // namespace

void ClusterScenario::declare(CLI::App& app) {
  app.add_option("TRACE", path_, "The jobs; or --draw")->type_name("FILE");
  app.add_option("--format", format_.format, "Of the trace; default penstock")
      ->check(CLI::IsMember(trace::job_formats()))
      ->type_name("NAME");
  app.add_option("--throughputs", format_.throughputs,
                 "Measured steps per second that Gavel's traces need")
      ->type_name("FILE");
  app.add_option("--profiles", format_.profiles,
                 "Measured placements (Pollux's folder): durations of its traces, and how much "
                 "placements slow each model")
      ->type_name("DIR");
  app.add_flag("--work-from-iterations", format_.work_from_iterations,
               "Muri's traces: work is iterations times their measured time, not the duration");
  auto* draw =
      app.add_option("--draw", law_.law, "Draw the jobs at random: poisson, bursty or philly-like")
          ->check(CLI::IsMember({"poisson", "bursty", "philly-like"}))
          ->type_name("LAW");
  draw->each([this](const std::string&) { draw_ = true; });
  app.add_option("--jobs", law_.jobs, "To draw; default 1000")
      ->needs(draw)
      ->check(CLI::Range(1, 100'000'000))
      ->type_name("N");
  app.add_option("--mean-gap", mean_gap_, "Between drawn jobs; default: the law's own")
      ->needs(draw)
      ->type_name("TIME");
  app.add_option("--mean-duration", mean_duration_, "Of drawn jobs; default: the law's own")
      ->needs(draw)
      ->type_name("TIME");
  app.add_option("--demand", law_.accelerators,
                 "Accelerators of drawn jobs, one of these at random; default 1")
      ->needs(draw)
      ->check(CLI::Range(1, 1'000'000))
      ->type_name("N...");
  app.add_option("--seed", seed_, "Of what is drawn; default 0")->type_name("N");
  app.add_option("--first", first_, "Only the first N jobs by time")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  app.add_flag("--attach-models", attach_models_,
               "Give each job without a model one, by its accelerator-time and the seed");
  auto* file = app.add_option("--cluster", cluster_file_, "The cluster (docs/cluster.md)")
                   ->type_name("CLUSTER.toml");
  app.add_option("--gpus", accelerators_, "Or so many accelerators behind one switch")
      ->excludes(file)
      ->check(CLI::Range(1, 10'000'000))
      ->type_name("N");
  app.add_option("--set", set_, "A parameter of the policy, NAME=VALUE; --parameters lists them")
      ->type_name("NAME=VALUE");
  app.add_option("--contention", contention_,
                 "Of jobs on one uplink: none, factor (--congestion) or fluid; default none")
      ->check(CLI::IsMember({"none", "factor", "fluid"}))
      ->type_name("NAME");
  app.add_option("--congestion", congestion_,
                 "Multiplies what leaving a node costs, under --contention factor")
      ->check(CLI::Range(0.0, 1000.0))
      ->type_name("FACTOR");
  app.add_option("--gavel-speeds", speed_files_.gavel,
                 "Gavel's measured steps per second, packed and spread over servers")
      ->type_name("FILE");
  app.add_option("--round", round_text_, "Decide only at multiples of this time")
      ->type_name("TIME");
  app.add_option("--start-cost", start_cost_text_, "From a decision to a job's first step")
      ->type_name("TIME");
}

void ClusterScenario::declare_policy(CLI::App& app) {
  app.add_option("--policy", order_, "Who is served first; default dally")
      ->check(CLI::IsMember(names_of(cluster::orders())))
      ->type_name("NAME");
  app.add_option("--placement", placement_,
                 "How long a job waits for accelerators that lie together; default: the policy's")
      ->check(CLI::IsMember(names_of(cluster::patience_rules())))
      ->type_name("NAME");
  app.add_option("--oracle", oracle_,
                 "tiresias: that simulator's results to the digit (whole seconds, no cost of "
                 "preemption, late demotions)")
      ->check(CLI::IsMember({"tiresias"}))
      ->type_name("NAME");
}

Status ClusterScenario::prepare() {
  if (draw_ != path_.empty()) {
    return core::input_error(draw_ ? "--draw" : "TRACE",
                             draw_ ? "cannot be joined with a trace" : "is missing",
                             draw_ ? "leave one of them out" : "name a file, or use --draw");
  }
  if (format_.format.empty()) format_.format = "penstock";
  if (cluster_file_.empty() && accelerators_ == 0) {
    return core::input_error("--cluster", "is missing", "name a cluster file, or use --gpus N");
  }
  if (contention_ != "factor" && congestion_ != 1) {
    return core::input_error("--congestion", "has no meaning here", "add --contention factor");
  }
  if (oracle() && !cluster_file_.empty()) {
    return core::input_error("--oracle", "counts accelerators alone", "use --gpus N");
  }
  PENSTOCK_TRY_STATUS(read_quantity("--mean-gap", mean_gap_, law_.mean_gap));
  PENSTOCK_TRY_STATUS(read_quantity("--mean-duration", mean_duration_, law_.mean_duration));
  PENSTOCK_TRY_STATUS(read_quantity("--round", round_text_, round_));
  PENSTOCK_TRY_STATUS(read_quantity("--start-cost", start_cost_text_, start_cost_));
  for (const std::string& assignment : set_) {
    const std::size_t equals = assignment.find('=');
    if (equals == std::string::npos) {
      return core::input_error("--set", fmt::format("\"{}\" has no =", assignment),
                               "write NAME=VALUE, as in delay-node=30min");
    }
    PENSTOCK_TRY_STATUS(settings_.set(assignment.substr(0, equals), assignment.substr(equals + 1)));
    sets_migrate_ = sets_migrate_ || assignment.substr(0, equals) == "migrate";
  }
  return {};
}

Result<trace::JobTrace> ClusterScenario::read_trace(std::uint64_t seed) const {
  PENSTOCK_TRY(trace::JobTrace trace,
               draw_ ? trace::generate_jobs(law_, seed) : trace::read_jobs(path_, format_));
  if (attach_models_) trace::attach_models(trace, seed);
  return trace;
}

Result<trace::JobTrace> ClusterScenario::trace_of_seed(std::uint64_t seed) const {
  if (!draw_ && !attach_models_) {
    return core::input_error("--seeds", "nothing of a trace is drawn",
                             "leave it out, or add --draw or --attach-models");
  }
  return read_trace(seed);
}

Status ClusterScenario::load() {
  PENSTOCK_TRY(trace_, read_trace(seed_));
  if (cluster_file_.empty()) {
    topology_ = cluster::one_node(accelerators_);
  } else {
    PENSTOCK_TRY(topology_, cluster::read_topology(cluster_file_));
  }
  speed_files_.pollux = format_.profiles;
  if (oracle()) {
    speeds_ = cluster::SpeedBook::flat();
  } else {
    PENSTOCK_TRY(speeds_, cluster::SpeedBook::read(speed_files_));
  }
  for (const cluster::StatedSlowdown& stated : topology_.slowdowns) {
    speeds_->state(stated.model, stated.rack, stated.network);
  }
  if (settings_.gittins == nullptr) {
    std::vector<double> services;
    services.reserve(trace_.jobs.size());
    for (const trace::TrainingJob& job : trace_.jobs) {
      services.push_back(static_cast<double>(job.duration_ns) * 1e-9 * job.accelerators);
    }
    settings_.gittins = std::make_shared<const cluster::GittinsIndex>(std::move(services));
  }
  return {};
}

Result<cluster::Policy> ClusterScenario::policy(const std::string& order,
                                                const std::string& placement) const {
  PENSTOCK_TRY(cluster::Policy policy,
               cluster::make_policy(order, oracle() && placement.empty() ? "count" : placement));
  const bool migrates = policy.settings.migrate;
  policy.settings = settings_;
  if (!sets_migrate_) policy.settings.migrate = migrates;
  policy.tiresias_oracle = oracle();
  return policy;
}

Result<cluster::Policy> ClusterScenario::named_policy(const std::string& text) const {
  const std::size_t slash = text.find('/');
  return policy(text.substr(0, slash), slash == std::string::npos ? "" : text.substr(slash + 1));
}

cluster::Simulation ClusterScenario::simulation(cluster::Policy policy) const {
  return simulation(std::move(policy), trace_, topology_);
}

cluster::Simulation ClusterScenario::simulation(cluster::Policy policy,
                                                const trace::JobTrace& trace,
                                                const cluster::Topology& topology) const {
  const cluster::Contention contention = contention_ == "fluid"    ? cluster::Contention::kFluid
                                         : contention_ == "factor" ? cluster::Contention::kFactor
                                                                   : cluster::Contention::kNone;
  return {.trace = trace,
          .cluster = topology,
          .policy = std::move(policy),
          .contention = contention,
          .congestion = congestion_,
          .round = sim::duration_of(round_),
          .start_cost = sim::duration_of(start_cost_),
          .first = first_};
}

core::Json ClusterScenario::to_json(const cluster::Policy& policy) const {
  core::Json parameters = core::Json::object();
  for (const cluster::Parameter& parameter : cluster::parameter_table()) {
    parameters[parameter.name] = policy.settings.text(parameter.name);
  }
  core::Json json = {{"version", kVersion},
                     {"seed", seed_},
                     {"policy", policy.order.name},
                     {"placement", policy.rule.name},
                     {"parameters", std::move(parameters)},
                     {"contention", contention_},
                     {"congestion", congestion_},
                     {"round_s", round_.value()},
                     {"start_cost_s", start_cost_.value()},
                     {"cluster", topology_.to_json()}};
  if (draw_) {
    json["drawn"] = {{"law", law_.law}, {"jobs", law_.jobs}};
  } else {
    json["trace"] = {{"file", path_}, {"format", format_.format}};
  }
  if (first_ > 0) json["first"] = first_;
  if (attach_models_) json["models"] = "attached";
  if (oracle()) json["oracle"] = oracle_;
  return json;
}

}  // namespace penstock::cli::internal
