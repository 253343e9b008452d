// What the cluster commands share: a trace of jobs, a cluster, measured speeds and a policy, as
// options.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "penstock/cluster/policy.h"
#include "penstock/cluster/simulate.h"
#include "penstock/cluster/speed.h"
#include "penstock/cluster/topology.h"
#include "penstock/core/json_fwd.h"
#include "penstock/core/result.h"
#include "penstock/trace/jobs.h"

namespace penstock::cli::internal {

class ClusterScenario {
 public:
  void declare(CLI::App& app);
  // With `--policy` and `--placement`, for commands that look at one policy.
  void declare_policy(CLI::App& app);
  // Checks the options and touches nothing.
  Status prepare();
  // Reads or draws what the options name.
  Status load();

  // The policy of the options with its settings; the law of the trace for Gittins.
  Result<cluster::Policy> policy(const std::string& order, const std::string& placement) const;
  Result<cluster::Policy> policy() const { return policy(order_, placement_); }
  // "NAME" or "NAME/PLACEMENT".
  Result<cluster::Policy> named_policy(const std::string& text) const;
  // A simulation of the loaded trace; the scenario must outlive it.
  cluster::Simulation simulation(cluster::Policy policy) const;
  // Of another trace or cluster, which must outlive it.
  cluster::Simulation simulation(cluster::Policy policy, const trace::JobTrace& trace,
                                 const cluster::Topology& topology) const;
  // What another seed draws: the jobs, or the models attached to them. Fails where the seed changes
  // nothing.
  Result<trace::JobTrace> trace_of_seed(std::uint64_t seed) const;
  // What the options resolved to, for results.
  core::Json to_json(const cluster::Policy& policy) const;

  const trace::JobTrace& trace() const { return trace_; }
  const cluster::Topology& topology() const { return topology_; }
  // To be cloned for each thread.
  cluster::SpeedBook& speeds() { return *speeds_; }
  std::uint64_t seed() const { return seed_; }
  bool oracle() const { return !oracle_.empty(); }
  const std::string& where() const { return path_.empty() ? law_.law : path_; }

 private:
  std::string path_;
  trace::JobFormat format_;
  trace::JobLaw law_;
  bool draw_ = false;
  std::string mean_gap_;
  std::string mean_duration_;
  std::uint64_t seed_ = 0;
  std::int64_t first_ = 0;
  bool attach_models_ = false;
  std::string cluster_file_;
  int accelerators_ = 0;
  std::string order_ = "dally";
  std::string placement_;
  std::vector<std::string> set_;
  std::string contention_ = "none";
  double congestion_ = 1;
  cluster::SpeedFiles speed_files_;
  std::string oracle_;
  std::string round_text_;
  std::string start_cost_text_;
  Seconds round_;
  Seconds start_cost_;
  Result<trace::JobTrace> read_trace(std::uint64_t seed) const;

  trace::JobTrace trace_;
  cluster::Topology topology_;
  std::optional<cluster::SpeedBook> speeds_;
  cluster::Settings settings_;
  bool sets_migrate_ = false;
};

}  // namespace penstock::cli::internal
