// What grew and what shrank between two ledgers, activity by activity.
//
//   const Comparison change = compare(planned, measured);
//   if (change.worst) fmt::print("{} grew most\n", activity_name(*change.worst));
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "penstock/core/json_fwd.h"
#include "penstock/ledger/ledger.h"

namespace penstock::ledger {

// Times are those of the average resource (Ledger::mean), so that they sum to the whole and
// ledgers of different fleets compare.
struct ActivityChange {
  Activity activity = Activity::kIdle;
  Seconds first;
  Seconds other;

  Seconds difference() const { return other - first; }
  std::optional<double> ratio() const;  // none against zero
};

struct Comparison {
  Seconds first;  // the wholes
  Seconds other;
  std::optional<Dollars> first_cost;
  std::optional<Dollars> other_cost;
  bool evidence_differs = false;        // predicted against measured, for example
  std::vector<ActivityChange> changes;  // of activities that occur in either
  std::optional<Activity> worst;        // grew most; none if nothing grew

  Seconds difference() const { return other - first; }
  std::optional<double> ratio() const;
  // Whether the other whole is above the first by more than `percent`, rounding aside.
  bool exceeds(double percent) const;
  core::Json to_json() const;
  // Rows of activities, worst growth named below. `first_name` and `other_name` head the columns.
  std::string table(const std::string& first_name, const std::string& other_name) const;
};

Comparison compare(const Ledger& first, const Ledger& other);

}  // namespace penstock::ledger
