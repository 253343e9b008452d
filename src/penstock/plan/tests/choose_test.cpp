#include "penstock/plan/choose.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "penstock/core/random.h"

namespace penstock::plan {
namespace {

using ::testing::ElementsAre;

Offer offer(double hours, double dollars, int nodes = 1) {
  return {.runs = true, .time = Seconds(3600 * hours), .cost = Dollars(dollars), .nodes = nodes};
}

Goal by(double hours) { return {.finish_by = Seconds(3600 * hours), .spend_at_most = {}}; }
Goal within(double dollars) { return {.finish_by = {}, .spend_at_most = Dollars(dollars)}; }

// Offers on a small grid, so that ties in time, in cost and in both are common.
std::vector<Offer> random_offers(core::RandomStream& random) {
  std::vector<Offer> offers(1 + random.below(12));
  for (Offer& o : offers) {
    o = offer(static_cast<double>(1 + random.below(8)), static_cast<double>(1 + random.below(8)),
              static_cast<int>(1 + random.below(3)));
    o.runs = random.below(5) != 0;
  }
  return offers;
}

Goal random_goal(core::RandomStream& random) {
  Goal goal;
  if (random.below(3) != 0) goal.finish_by = Seconds(3600.0 * static_cast<double>(random.below(9)));
  if (random.below(3) != 0) goal.spend_at_most = Dollars(static_cast<double>(random.below(9)));
  return goal;
}

// The definition, word for word, over every offer: the least by (cost, time), or by (time, cost).
std::optional<std::pair<double, double>> least(const std::vector<Offer>& offers, const Goal& goal) {
  std::optional<std::pair<double, double>> best;
  for (const Offer& o : offers) {
    if (!o.runs) continue;
    if (goal.finish_by && o.time > *goal.finish_by) continue;
    if (goal.spend_at_most && o.cost > *goal.spend_at_most) continue;
    const bool fastest = goal.spend_at_most.has_value() && !goal.finish_by.has_value();
    const auto key = fastest ? std::make_pair(o.time.value(), o.cost.value())
                             : std::make_pair(o.cost.value(), o.time.value());
    if (!best || key < *best) best = key;
  }
  return best;
}

template <typename Check>
void for_random_cases(Check check) {
  core::RandomStream random(7, "offers");
  for (int i = 0; i < 3000; ++i) {
    const std::vector<Offer> offers = random_offers(random);
    check(offers, random_goal(random));
  }
}

TEST(ChooseTest, TakesTheCheapestWithinTheTime) {
  const std::vector<Offer> offers = {offer(1, 90), offer(5, 40), offer(20, 10)};
  EXPECT_EQ(choose(offers, by(10)), 1);
  EXPECT_EQ(choose(offers, by(20)), 2);
  EXPECT_EQ(choose(offers, by(4.999)), 0);
}

TEST(ChooseTest, ABudgetIsMetExactlyAtItsEdge) {
  const std::vector<Offer> offers = {offer(10, 50)};
  EXPECT_EQ(choose(offers, by(10)), 0);
  EXPECT_EQ(choose(offers, by(9.999)), std::nullopt);
  EXPECT_EQ(choose(offers, within(50)), 0);
  EXPECT_EQ(choose(offers, within(49.99)), std::nullopt);
}

TEST(ChooseTest, TakesTheFastestWithinTheMoneyAndTheCheapestWithoutAnyBudget) {
  const std::vector<Offer> offers = {offer(1, 90), offer(5, 40), offer(20, 10)};
  EXPECT_EQ(choose(offers, within(50)), 1);
  EXPECT_EQ(choose(offers, {}), 2);
  EXPECT_EQ(choose(offers, {.finish_by = Seconds(36000), .spend_at_most = Dollars(100)}), 1);
}

TEST(ChooseTest, EqualsTheDefinitionOnRandomOffers) {
  for_random_cases([](const std::vector<Offer>& offers, const Goal& goal) {
    const auto expected = least(offers, goal);
    const auto chosen = choose(offers, goal);
    ASSERT_EQ(chosen.has_value(), expected.has_value());
    if (!chosen) return;
    const Offer& o = offers[static_cast<std::size_t>(*chosen)];
    const bool fastest = goal.wants_fastest();
    EXPECT_EQ(fastest ? o.time.value() : o.cost.value(), expected->first);
    EXPECT_EQ(fastest ? o.cost.value() : o.time.value(), expected->second);
  });
}

TEST(ChooseTest, NeverTakesADominatedOffer) {
  for_random_cases([](const std::vector<Offer>& offers, const Goal& goal) {
    const auto chosen = choose(offers, goal);
    if (!chosen) return;
    for (std::size_t i = 0; i < offers.size(); ++i) {
      EXPECT_FALSE(dominates(offers, static_cast<int>(i), *chosen));
    }
  });
}

TEST(ChooseTest, RelaxingABudgetNeverMakesTheAnswerWorse) {
  for_random_cases([](const std::vector<Offer>& offers, const Goal& goal) {
    const auto chosen = choose(offers, goal);
    if (!chosen) return;
    Goal relaxed = goal;
    if (relaxed.finish_by) *relaxed.finish_by += Seconds(3600);
    if (relaxed.spend_at_most) *relaxed.spend_at_most += Dollars(1);
    const auto other = choose(offers, relaxed);
    ASSERT_TRUE(other);
    const Offer& before = offers[static_cast<std::size_t>(*chosen)];
    const Offer& after = offers[static_cast<std::size_t>(*other)];
    if (goal.wants_fastest()) {
      EXPECT_LE(after.time, before.time);
    } else {
      EXPECT_LE(after.cost, before.cost);
    }
  });
}

TEST(ChooseTest, ScalingAllPricesKeepsTheChoice) {
  for_random_cases([](const std::vector<Offer>& offers, const Goal& goal) {
    std::vector<Offer> scaled = offers;
    Goal scaled_goal = goal;
    for (Offer& o : scaled) o.cost = o.cost * 4;  // a power of two: no rounding
    if (scaled_goal.spend_at_most) *scaled_goal.spend_at_most = *goal.spend_at_most * 4;
    EXPECT_EQ(choose(scaled, scaled_goal), choose(offers, goal));
    EXPECT_EQ(front(scaled), front(offers));
  });
}

TEST(ChooseTest, TiesGoToFewerNodesThenToTheEarlierOffer) {
  EXPECT_EQ(choose({offer(3, 5, 2), offer(3, 5, 1), offer(3, 5, 1)}, {}), 1);
  EXPECT_EQ(choose({offer(3, 5, 2), offer(3, 5, 1)}, within(9)), 1);
}

TEST(FrontTest, HoldsExactlyTheOffersThatNothingDominates) {
  for_random_cases([](const std::vector<Offer>& offers, const Goal&) {
    std::vector<int> expected;
    for (std::size_t i = 0; i < offers.size(); ++i) {
      bool dominated = !offers[i].runs;
      for (std::size_t j = 0; j < offers.size(); ++j) {
        dominated |= dominates(offers, static_cast<int>(j), static_cast<int>(i));
      }
      if (!dominated) expected.push_back(static_cast<int>(i));
    }
    std::vector<int> found = front(offers);
    std::sort(found.begin(), found.end());
    EXPECT_EQ(found, expected);
  });
}

TEST(FrontTest, IsTheAnswerToEveryBudgetOfTimeAndOfMoney) {
  for_random_cases([](const std::vector<Offer>& offers, const Goal&) {
    const std::vector<int> steps = front(offers);
    for (double budget = 0.5; budget < 9; budget += 0.5) {
      std::optional<int> in_time;
      std::optional<int> in_money;
      for (const int i : steps) {
        const Offer& o = offers[static_cast<std::size_t>(i)];
        if (o.time <= Seconds(3600 * budget)) in_time = i;
        if (!in_money && o.cost <= Dollars(budget)) in_money = i;
      }
      EXPECT_EQ(choose(offers, by(budget)), in_time);
      EXPECT_EQ(choose(offers, within(budget)), in_money);
    }
  });
}

TEST(FrontTest, RunsFromTheFastestToTheCheapest) {
  EXPECT_THAT(front({offer(20, 10), offer(1, 90), offer(6, 40), offer(5, 40), offer(30, 10)}),
              ElementsAre(1, 3, 0));
}

TEST(NearestTest, IsTheFastestTheCheapestOrTheOneWhoseWorstMissIsLeast) {
  const std::vector<Offer> offers = {offer(2, 100), offer(8, 20), offer(4, 40)};
  EXPECT_EQ(nearest(offers, by(1)), 0);
  EXPECT_EQ(nearest(offers, within(10)), 1);
  // Misses: 2x and 5x; 8x and 1x; 4x and 2x.
  EXPECT_EQ(nearest(offers, {.finish_by = Seconds(3600), .spend_at_most = Dollars(20)}), 2);
  Offer never = offer(0.1, 1);
  never.runs = false;
  EXPECT_EQ(nearest({never}, by(1)), std::nullopt);
}

}  // namespace
}  // namespace penstock::plan
