#include "penstock/ledger/ledger.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <sstream>

namespace penstock::ledger {
namespace {

TEST(LedgerTest, EveryActivityAndEvidenceIsFoundUnderItsName) {
  ASSERT_EQ(all_activities().size(), static_cast<std::size_t>(kActivities));
  for (const Activity activity : all_activities()) {
    EXPECT_EQ(activity_from_name(activity_name(activity)), activity);
  }
  for (const Evidence e : {Evidence::kPredicted, Evidence::kSimulated, Evidence::kMeasured}) {
    EXPECT_EQ(evidence_from_name(evidence_name(e)), e);
  }
  EXPECT_EQ(activity_name(Activity::kBatchWait), "batch-wait");
  EXPECT_FALSE(activity_from_name("Compute"));
  EXPECT_FALSE(evidence_from_name(""));
}

TEST(LedgerTest, EntriesOfEqualActivityAndLabelMergeInOrderOfFirstMention) {
  Account account;
  account.add(Activity::kCompute, "conv", Seconds(1));
  account.add(Activity::kNetwork, "conv", Seconds(2));
  account.add(Activity::kCompute, "conv", Seconds(4));
  ASSERT_EQ(account.entries.size(), 2u);
  EXPECT_EQ(account.entries[0].time, Seconds(5));
  EXPECT_EQ(account.entries[1].activity, Activity::kNetwork);
  EXPECT_EQ(account.total(), Seconds(7));
  EXPECT_EQ(account.of(Activity::kNetwork), Seconds(2));
}

TEST(LedgerTest, ClosingFillsEveryAccountWithIdleTime) {
  Ledger ledger("job", Evidence::kSimulated);
  ledger.add_account("gpu", 4).add(Activity::kCompute, "", Seconds(6));
  ledger.add_account("host");
  ASSERT_TRUE(ledger.close(Seconds(8)));
  EXPECT_EQ(ledger.whole(), Seconds(8));
  EXPECT_EQ(ledger.accounts()[0].of(Activity::kIdle), Seconds(2));
  EXPECT_EQ(ledger.accounts()[1].of(Activity::kIdle), Seconds(8));
  for (const Account& account : ledger.accounts()) EXPECT_EQ(account.total(), Seconds(8));
}

TEST(LedgerTest, TotalsAreWeightedByCountAndMeansSumToTheWhole) {
  Ledger ledger("job", Evidence::kSimulated);
  ledger.add_account("a", 3).add(Activity::kCompute, "", Seconds(6));
  ledger.add_account("b", 1).add(Activity::kFetch, "", Seconds(4));
  ASSERT_TRUE(ledger.close(Seconds(8)));
  EXPECT_EQ(ledger.resources(), 4);
  EXPECT_EQ(ledger.of(Activity::kCompute), Seconds(18));
  EXPECT_EQ(ledger.of(Activity::kIdle), Seconds(3 * 2 + 4));
  Seconds sum;
  for (const Activity activity : all_activities()) sum += ledger.mean(activity);
  EXPECT_EQ(sum, Seconds(8));
}

TEST(LedgerTest, AnAccountReferenceSurvivesFurtherAccounts) {
  Ledger ledger("job", Evidence::kMeasured);
  Account& first = ledger.add_account("r0");
  for (int i = 1; i < 1000; ++i) ledger.add_account("r" + std::to_string(i));
  first.add(Activity::kCompute, "", Seconds(1));
  EXPECT_EQ(ledger.of(Activity::kCompute), Seconds(1));
}

Status close_one_account(double total, double whole) {
  Ledger ledger("job", Evidence::kMeasured);
  ledger.add_account("gpu").add(Activity::kCompute, "", Seconds(total));
  return ledger.close(Seconds(whole));
}

TEST(LedgerTest, AnAccountMayExceedTheWholeByTheToleranceAndNotByOneStepMore) {
  double limit = 1 + kSumTolerance;
  while (limit - 1 > kSumTolerance) limit = std::nextafter(limit, 0.0);
  const double beyond = std::nextafter(limit, 2.0);
  ASSERT_GT(beyond - 1, kSumTolerance);
  EXPECT_TRUE(close_one_account(limit, 1));
  const Status refused = close_one_account(beyond, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kBug);
  EXPECT_NE(refused.error().text().find("ledger \"job\": gpu exceeds the whole of 1 s by"),
            std::string::npos)
      << refused.error().text();
}

TEST(LedgerTest, RoundingIsNotBookedAsIdleTime) {
  Ledger ledger("job", Evidence::kMeasured);
  Account& account = ledger.add_account("gpu");
  for (int i = 0; i < 10; ++i) account.add(Activity::kCompute, "", Seconds(0.1));
  ASSERT_NE(account.total(), Seconds(1));  // ten tenths miss one by a rounding
  ASSERT_TRUE(ledger.close(Seconds(1)));
  EXPECT_EQ(account.entries.size(), 1u);
}

TEST(LedgerTest, AWrongLedgerIsNotClosedAndNotChanged) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  for (const double time : {-1e-300, kNan, kInfinite, -kInfinite}) {
    Ledger ledger("job", Evidence::kMeasured);
    Account& account = ledger.add_account("gpu");
    account.add(Activity::kCompute, "step", Seconds(1));
    account.add(Activity::kCompute, "step", Seconds(time));
    account.add(Activity::kCompute, "step", Seconds(1));
    EXPECT_FALSE(ledger.close(Seconds(5))) << time;
    EXPECT_EQ(ledger.whole(), Seconds(0));
    EXPECT_EQ(account.of(Activity::kIdle), Seconds(0));
  }
  for (const double whole : {-1.0, kNan, kInfinite}) EXPECT_FALSE(close_one_account(0, whole));
}

TEST(LedgerTest, TwoAccountsOfOneResourceAndEmptyAccountsAreRefused) {
  Ledger twice("job", Evidence::kMeasured);
  twice.add_account("gpu");
  twice.add_account("gpu");
  EXPECT_EQ(twice.close(Seconds(1)).error().text(),
            "ledger \"job\": two accounts are named \"gpu\"");
  Ledger none("job", Evidence::kMeasured);
  none.add_account("gpu", 0);
  EXPECT_EQ(none.close(Seconds(1)).error().text(), "ledger \"job\": gpu stands for 0 resources");
}

TEST(LedgerTableTest, ShowsTimeAndShareOfTheActivitiesThatOccur) {
  Ledger ledger("job", Evidence::kPredicted);
  Account& gpu = ledger.add_account("gpu", 3);
  gpu.add(Activity::kCompute, "", Seconds(0.75));
  gpu.add(Activity::kNetwork, "", Seconds(0.25));
  ledger.add_account("host").add(Activity::kCompute, "", Seconds(1));
  ASSERT_TRUE(ledger.close(Seconds(1)));
  EXPECT_EQ(ledger.table(),
            "resource         compute        network\n"
            "---------  -------------  -------------\n"
            "gpu x 3      750 ms  75%    250 ms  25%\n"
            "host            1 s 100%              -\n"
            "mean of 4  812.5 ms  81%  187.5 ms  19%\n");
}

TEST(LedgerTableTest, TheHeadingSaysWhatHowLongAndHowMuch) {
  Ledger ledger("job", Evidence::kPredicted);
  ASSERT_TRUE(ledger.close(Seconds(0.0165)));
  EXPECT_EQ(ledger.heading(), "job (predicted): 16.5 ms");
  ledger.set_cost(Dollars(1.5));
  EXPECT_EQ(ledger.heading(), "job (predicted): 16.5 ms, 1.50 $");
}

TEST(LedgerTableTest, StaysWithinAHundredColumnsAndLosesNoActivity) {
  Ledger ledger("job", Evidence::kPredicted);
  Account& account = ledger.add_account(std::string(120, 'r'), 1000000);
  double whole = 0;
  for (const Activity activity : all_activities()) {
    account.add(activity, "", Seconds(0.1234));
    whole += 0.1234;
  }
  ASSERT_TRUE(ledger.close(Seconds(whole)));
  const std::string table = ledger.table();
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
  for (const Activity activity : all_activities()) {
    EXPECT_NE(table.find(activity_name(activity)), std::string::npos) << activity_name(activity);
  }
}

}  // namespace
}  // namespace penstock::ledger
