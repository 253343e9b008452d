// A ledger says where the time and the money of a run went: measured, simulated or predicted alike.
//
//   Ledger ledger("vgg16 on 2 x p3.8xlarge", Evidence::kPredicted);
//   Account& gpu = ledger.add_account("gpu0");
//   gpu.add(Activity::kCompute, "conv1", Seconds(0.012));
//   gpu.add(Activity::kNetwork, "gradient", Seconds(0.004));
//   PENSTOCK_TRY_STATUS(ledger.close(Seconds(0.016)));   // every account must sum to the whole
//
// The time of each resource is split into named activities that sum to the whole; a ledger whose
// parts do not sum is a bug, and close() says so.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "penstock/core/json_fwd.h"
#include "penstock/core/quantity.h"
#include "penstock/core/result.h"

namespace penstock::ledger {

enum class Activity {
  kCompute,  // useful work
  kPrep,
  kFetch,
  kInterconnect,  // between accelerators of one node
  kNetwork,       // between nodes
  kMemory,
  kQueue,
  kBatchWait,
  kColdStart,
  kPreemption,
  kIdle,
};
inline constexpr int kActivities = 11;
// "compute", "prep", "fetch", "interconnect", "network", "memory", "queue", "batch-wait",
// "cold-start", "preemption", "idle".
std::string_view activity_name(Activity activity);
std::optional<Activity> activity_from_name(std::string_view name);
const std::vector<Activity>& all_activities();  // in the order above

enum class Evidence { kPredicted, kSimulated, kMeasured };
std::string_view evidence_name(Evidence evidence);  // "predicted", "simulated", "measured"
std::optional<Evidence> evidence_from_name(std::string_view name);

// How far the parts may miss the whole, as a fraction of it: the rounding of a long sum, far below
// any time worth naming.
inline constexpr double kSumTolerance = 1e-9;

// One part of an account: what a resource did and for what ("gradient of fc1").
struct Entry {
  Activity activity = Activity::kIdle;
  std::string label;
  Seconds time;
};

// One resource's time. Entries of equal activity and label are merged in order of first mention; a
// negative or non-finite time stays apart, so that no merge hides it from Ledger::close().
struct Account {
  std::string resource;
  int count = 1;  // how many equal resources this account stands for
  std::vector<Entry> entries;

  void add(Activity activity, std::string_view label, Seconds time);
  Seconds total() const;
  Seconds of(Activity activity) const;
};

// One bar of a timeline: simulated or real.
struct Span {
  std::string resource;
  std::string name;
  Activity activity = Activity::kIdle;
  Seconds start;
  Seconds duration;
};

class Ledger {
 public:
  Ledger() = default;
  Ledger(std::string title, Evidence evidence) : title_(std::move(title)), evidence_(evidence) {}

  // The reference stays valid when further accounts are added.
  Account& add_account(std::string resource, int count = 1);
  void add_span(Span span);
  void set_cost(Dollars cost) { cost_ = cost; }
  // Fills every account up to `whole` with idle time. Fails, and changes nothing, if an account
  // exceeds it by more than kSumTolerance of it, holds a negative or non-finite time, stands for
  // less than one resource, or names the resource of another account.
  Status close(Seconds whole);

  const std::string& title() const { return title_; }
  Evidence evidence() const { return evidence_; }
  Seconds whole() const { return whole_; }
  std::optional<Dollars> cost() const { return cost_; }
  const std::deque<Account>& accounts() const { return accounts_; }
  const std::vector<Span>& spans() const { return spans_; }
  // Time of one activity summed over all resources, weighted by their count.
  Seconds of(Activity activity) const;
  std::int64_t resources() const;  // the sum of the counts
  // The same on the average resource: over all activities these sum to the whole, whatever the
  // number of resources, so that ledgers of different fleets compare.
  Seconds mean(Activity activity) const;

  // Schema "penstock-ledger/1": title, evidence, whole_s, cost_usd?, accounts[] of resource, count,
  // activities{name: seconds}, entries[] of activity, label, time_s; spans[] of resource, name,
  // activity, start_s, duration_s. The ledger must be closed.
  core::Json to_json() const;
  // Refuses what to_json() cannot have written: parts that do not sum, unknown names or keys. All
  // errors at once, each "where: accounts[0].count: ...".
  static Result<Ledger> from_json(const core::Json& json, const std::string& where);

  // Chrome trace events: one row a resource, microseconds; opens in Perfetto. A ledger without
  // spans draws each account's entries one after another. Several ledgers: ledger/trace.h.
  core::Json to_trace() const;

  // "vgg16 on 2 x p3.8xlarge (predicted): 16 ms, 0.02 $".
  std::string heading() const;
  // A table: one row a resource, one column an activity that occurs, time and share of the whole,
  // within 100 columns; columns that do not fit follow below. Several accounts end in their mean.
  std::string table() const;

 private:
  std::string title_;
  Evidence evidence_ = Evidence::kPredicted;
  Seconds whole_;
  std::optional<Dollars> cost_;
  std::deque<Account> accounts_;
  std::vector<Span> spans_;
};

}  // namespace penstock::ledger
