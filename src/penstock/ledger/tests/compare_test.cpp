#include "penstock/ledger/compare.h"

#include <gtest/gtest.h>

#include <cmath>

#include "penstock/core/json.h"

namespace penstock::ledger {
namespace {

Ledger ledger_of(Evidence evidence, double compute, double network, double whole, int count = 1) {
  Ledger ledger("job", evidence);
  Account& account = ledger.add_account("gpu", count);
  if (compute > 0) account.add(Activity::kCompute, "", Seconds(compute));
  if (network > 0) account.add(Activity::kNetwork, "", Seconds(network));
  EXPECT_TRUE(ledger.close(Seconds(whole)));
  return ledger;
}

TEST(CompareTest, DifferencesOfTheActivitiesSumToTheDifferenceOfTheWholes) {
  const Comparison change =
      compare(ledger_of(Evidence::kPredicted, 4, 2, 8), ledger_of(Evidence::kMeasured, 5, 6, 11.5));
  Seconds sum;
  for (const ActivityChange& activity : change.changes) sum += activity.difference();
  EXPECT_EQ(sum, Seconds(3.5));
  EXPECT_EQ(change.difference(), Seconds(3.5));
  EXPECT_EQ(change.worst, Activity::kNetwork);
  EXPECT_EQ(*change.changes[1].ratio(), 3.0);
  EXPECT_TRUE(change.evidence_differs);
}

TEST(CompareTest, TheNumberOfResourcesDoesNotCountAsGrowth) {
  const Comparison change = compare(ledger_of(Evidence::kPredicted, 4, 2, 8, 1),
                                    ledger_of(Evidence::kPredicted, 4, 2, 8, 256));
  for (const ActivityChange& activity : change.changes) {
    EXPECT_EQ(activity.difference(), Seconds(0));
  }
  EXPECT_FALSE(change.worst);
  EXPECT_FALSE(change.evidence_differs);
}

TEST(CompareTest, NothingThatShrankIsTheWorst) {
  const Comparison change =
      compare(ledger_of(Evidence::kPredicted, 4, 4, 8), ledger_of(Evidence::kPredicted, 3, 3, 6));
  EXPECT_FALSE(change.worst);
  EXPECT_NE(change.table("a", "b").find("no activity grew\n"), std::string::npos);
}

TEST(CompareTest, AnActivityThatIsNewHasNoRatio) {
  const Comparison change =
      compare(ledger_of(Evidence::kPredicted, 4, 0, 4), ledger_of(Evidence::kPredicted, 4, 1, 5));
  ASSERT_EQ(change.changes.size(), 2u);
  EXPECT_FALSE(change.changes[1].ratio());
  EXPECT_TRUE(change.to_json()["activities"][1]["ratio"].is_null());
  EXPECT_EQ(change.to_json()["worst"], "network");
}

TEST(CompareTest, ExceedingBeginsBeyondThePercentAndTheRounding) {
  const auto exceeds = [](double whole) {
    return compare(ledger_of(Evidence::kPredicted, 1, 0, 1),
                   ledger_of(Evidence::kPredicted, 1, 0, whole))
        .exceeds(10);
  };
  EXPECT_FALSE(exceeds(1.1));
  EXPECT_FALSE(exceeds(1.1 + 0.9 * kSumTolerance));
  EXPECT_TRUE(exceeds(1.1 + 1.1 * kSumTolerance));
}

TEST(CompareTest, TheTableNamesTheWorstGrowerAndTheCosts) {
  Ledger first = ledger_of(Evidence::kPredicted, 4, 2, 8);
  Ledger other = ledger_of(Evidence::kPredicted, 5, 6, 11.5);
  first.set_cost(Dollars(2));
  other.set_cost(Dollars(3));
  EXPECT_EQ(compare(first, other).table("plan", "run"),
            "activity    plan     run  difference  ratio\n"
            "--------  ------  ------  ----------  -----\n"
            "compute      4 s     5 s        +1 s  1.250\n"
            "network      2 s     6 s        +4 s  3.000\n"
            "idle         2 s  500 ms      -1.5 s  0.250\n"
            "whole        8 s  11.5 s      +3.5 s  1.438\n"
            "cost      2.00 $  3.00 $     +1.00 $  1.500\n"
            "network grew most: +4 s\n");
}

}  // namespace
}  // namespace penstock::ledger
