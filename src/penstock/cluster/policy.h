// Policies: in which order jobs are served, and how long a job declines accelerators that lie too
// far apart. Both are pure functions of what is shown to them, so that the simulator and the live
// scheduler run the same ones.
//
//   PENSTOCK_TRY(Policy policy, make_policy("dally", "priced"));
//   PENSTOCK_TRY_STATUS(policy.settings.set("delay-node", "30 min"));
//
// A new order or patience rule is one function in orders.cpp or patience.cpp and one line in its
// list.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/cluster/gittins.h"
#include "penstock/cluster/topology.h"
#include "penstock/core/result.h"
#include "penstock/sim/clock.h"

namespace penstock::cluster {

using sim::Time;
inline constexpr Time kNever{std::numeric_limits<std::int64_t>::max() / 4};

// What a policy may know of a job.
struct JobView {
  std::int32_t accelerators = 1;
  Time submit;
  Time held;       // time for which it has held its accelerators: attained service / accelerators
  Time useful;     // the same, weighted by its speed relative to its best placement
  Time remaining;  // at its best placement; what the trace or the user says
  Time worked{};   // of the time held, that in which it made progress: all but saving and restoring
  double compute_share() const { return worked.ns > 0 ? double(useful.ns) / double(worked.ns) : 1; }
};

// Every number that a policy reads, declared once: parameter_table() gives name, unit, default,
// range and meaning to the command line, the documentation and the errors.
struct Settings {
  Time delay_node;       // manual: how long only one node will do
  Time delay_rack;       // manual: and then only one rack
  Time slurm_wait;       // slurm: --switches=1@...
  double price_cap = 8;  // priced: in manual delays
  Time las_limit_0;      // accelerator-time of the first queue's end
  Time las_limit_1;      // and of the second's
  Time quantum;          // how often orders that change without an event are looked at
  Time min_run;          // before it has run so long a job is not preempted
  Time checkpoint;       // to save a job
  Time restore;          // to start it again
  Time migrate_margin;   // what a migration must save above its cost
  bool migrate = false;
  bool whole_nodes = false;  // a job larger than a node takes whole nodes
  Time reserve_after;        // a job that declined for so long has nodes held back; zero: never
  double tuner_quantile = 0.9;
  std::int64_t tuner_window = 32;
  std::int64_t tuner_confidence = 8;
  Time tuner_age;
  double skew = 0.5;  // tiresias: the largest tensor's part of the model that counts as skewed
  // gittins: the law of the jobs' accelerator-time, from a trace or a file; no parameter of the
  // table. Absent: by attained service, which is the index's order under every law whose jobs are
  // less likely to end the longer they have run.
  std::shared_ptr<const GittinsIndex> gittins;

  Settings();  // the defaults of the table
  // By the parameter's name; text is "30 min", "0.9", "32" or "yes".
  Status set(std::string_view name, std::string_view text);
  // What set() would read the same value from. The name must be in the table.
  std::string text(std::string_view name) const;
};

struct Parameter {
  std::string name;     // "delay-node"
  std::string unit;     // "time", "number", "count", "yes or no"
  std::string initial;  // "1 h"
  double min = 0;
  double max = 0;       // base units
  std::string meaning;  // one sentence
};
const std::vector<Parameter>& parameter_table();

enum class Service : std::uint8_t { kAttained, kUseful };

struct Order {
  std::string name;
  std::string summary;
  bool preemptive = false;
  bool strict = false;  // who does not fit blocks all behind it
  // Discretised: queues by attained or useful service, in each the running jobs before the
  // pending. Otherwise running and pending jobs mix by key.
  int queues = 1;
  bool running_first = true;
  Service service = Service::kAttained;
  bool changes_while_running = false;  // keys need a quantum
  // Smaller goes first; constant while a job is pending; equal keys keep their order of arrival.
  double (*key)(const JobView&, const Settings&) = nullptr;
  std::string usual_rule = "no-wait";  // of patience
  bool usually_migrates = false;       // and then jobs move
};
const std::vector<Order>& orders();

// What a patience rule sees when a job declines, or might.
struct WaitView {
  const JobView& job;
  Tier best;                            // the closest tier that the job could ever have
  std::array<double, kTiers> slowdown;  // T(tier) / T(best), the densest placement of the tier
  std::array<Time, kTiers> timer;       // what the tuner advises to wait for the tier
  double skew = 0;                      // largest tensor / model, by bytes; 0: unknown
};

// From its first offer on, how long a job insists on a closer tier.
struct Patience {
  Time until_rack;     // a rack will do after this
  Time until_network;  // anything will do after this; at least until_rack
};

// What WaitView::timer is made of; tuner.h says how.
enum class Tuning : std::uint8_t { kNone, kQuantile, kMeanAndDeviation };

struct PatienceRule {
  std::string name;
  std::string summary;
  bool by_count = false;  // placement is not looked at, only the number of free accelerators
  bool anew = false;      // every decision places all jobs anew; one that lands elsewhere restarts
  Tuning tuning = Tuning::kNone;
  Patience (*patience)(const WaitView&, const Settings&) = nullptr;
};
const std::vector<PatienceRule>& patience_rules();

struct Policy {
  Order order;
  PatienceRule rule;
  Settings settings;
  // Tiresias' simulator to the digit: late demotions (rooms/cluster.md, 6.1).
  bool tiresias_oracle = false;

  std::array<Time, 2> queue_limits() const { return {settings.las_limit_0, settings.las_limit_1}; }
};
// `rule` empty: the order's usual one, and migration where it is usual with it. An unknown name is
// an error with the nearest.
Result<Policy> make_policy(const std::string& order, const std::string& rule);

// What the policy's rule says of the job, less what waiting could never bring it: a job too large
// for a node does not wait for one, nor one too large for a rack for anything.
Patience patience_of(const Policy& policy, const WaitView& view);

}  // namespace penstock::cluster
