#include "penstock/core/statistics.h"

#include <gtest/gtest.h>

namespace penstock::core {
namespace {

TEST(StatisticsTest, TheMedianOfAnEvenCountIsBetweenItsMiddleTwo) {
  EXPECT_DOUBLE_EQ(median({9, 1, 4, 2}), 3);
  EXPECT_DOUBLE_EQ(median({9, 1, 4}), 4);
}

TEST(StatisticsTest, QuantilesRunFromTheLeastToTheGreatestInStraightLines) {
  const std::vector<double> values = {30, 10, 20, 50, 40};
  EXPECT_DOUBLE_EQ(quantile(values, 0), 10);
  EXPECT_DOUBLE_EQ(quantile(values, 0.25), 20);
  EXPECT_DOUBLE_EQ(quantile(values, 0.1), 14);
  EXPECT_DOUBLE_EQ(quantile(values, 1), 50);
  EXPECT_DOUBLE_EQ(quantile({7}, 0.3), 7);
}

}  // namespace
}  // namespace penstock::core
