// Buckets hold every gradient once, in the order in which a backward pass makes them.
#include "penstock/train/buckets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "penstock/core/random.h"

namespace penstock::train {
namespace {

using ::testing::ElementsAre;

constexpr std::int64_t kWidth = sizeof(float);

std::vector<std::int64_t> counts(const Buckets& buckets) {
  std::vector<std::int64_t> result;
  for (const Bucket& bucket : buckets.buckets()) result.push_back(bucket.count);
  return result;
}

TEST(BucketsTest, AreFilledFromTheLastTensorAndClosedByTheTensorThatFillsThem) {
  // 10 elements close the first bucket, 100 each later one.
  const Buckets buckets({70, 40, 5, 200, 30, 9, 4}, 10 * kWidth, 100 * kWidth);
  EXPECT_THAT(counts(buckets), ElementsAre(4 + 9, 30 + 200, 5 + 40 + 70));
  EXPECT_EQ(buckets.offset(6), 0);
  EXPECT_EQ(buckets.offset(5), 4);
  EXPECT_EQ(buckets.offset(0), 13 + 230 + 45);
  EXPECT_EQ(buckets.buckets()[1].first_tensor, 3);
  EXPECT_EQ(buckets.buckets()[1].last_tensor, 4);
}

TEST(BucketsTest, ATensorLargerThanABucketIsNotSplit) {
  const Buckets buckets({1000, 1}, 8, 8);
  EXPECT_THAT(counts(buckets), ElementsAre(1001));
}

TEST(BucketsTest, ABucketThatFillsEarlyWaitsForThoseBeforeIt) {
  Buckets buckets({10, 10, 10}, 10 * kWidth, 10 * kWidth);  // one tensor each, last first
  EXPECT_TRUE(buckets.ready(0).empty());
  EXPECT_TRUE(buckets.ready(1).empty());
  EXPECT_EQ(buckets.ready(2).size(), 3U);
  EXPECT_TRUE(buckets.rest().empty());
}

TEST(BucketsTest, TensorsThatAPassDoesNotReachAreInTheRest) {
  Buckets buckets({10, 10, 10}, 10 * kWidth, 10 * kWidth);
  EXPECT_EQ(buckets.ready(2).size(), 1U);
  const std::span<const Bucket> rest = buckets.rest();
  ASSERT_EQ(rest.size(), 2U);
  EXPECT_EQ(rest[0].last_tensor, 1);
  buckets.start_pass();
  EXPECT_EQ(buckets.rest().size(), 3U);
}

TEST(BucketsTest, ATensorReadyTwiceIsABug) {
  Buckets buckets({10, 10}, 40, 40);
  buckets.ready(1);
  EXPECT_DEATH(buckets.ready(1), "");
}

TEST(BucketsTest, NetworksWithoutGradientsHaveNoBuckets) {
  Buckets buckets({}, 40, 40);
  EXPECT_TRUE(buckets.buckets().empty());
  EXPECT_TRUE(buckets.rest().empty());
}

// Random tensors and limits, made ready in random order.
class RandomBucketsTest : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  RandomBucketsTest() {
    for (std::uint64_t i = 1 + random_.below(40); i > 0; --i) {
      elements_.push_back(static_cast<std::int64_t>(random_.below(5000)));
    }
    first_bytes_ = static_cast<std::int64_t>(1 + random_.below(8000));
    bytes_ = static_cast<std::int64_t>(1 + random_.below(40'000));
  }

  core::RandomStream random_{GetParam(), "buckets"};
  std::vector<std::int64_t> elements_;
  std::int64_t first_bytes_ = 0;
  std::int64_t bytes_ = 0;
};

TEST_P(RandomBucketsTest, CoverTheBufferInOrderWithoutGaps) {
  const Buckets buckets(elements_, first_bytes_, bytes_);
  std::int64_t end = 0;
  int next_tensor = static_cast<int>(elements_.size()) - 1;
  for (const Bucket& bucket : buckets.buckets()) {
    EXPECT_EQ(bucket.offset, end);
    EXPECT_EQ(bucket.last_tensor, next_tensor);
    for (int tensor = bucket.last_tensor; tensor >= bucket.first_tensor; --tensor) {
      EXPECT_EQ(buckets.offset(tensor), end);
      end += elements_[static_cast<std::size_t>(tensor)];
    }
    EXPECT_EQ(bucket.offset + bucket.count, end);
    next_tensor = bucket.first_tensor - 1;
  }
  EXPECT_EQ(next_tensor, -1);
  EXPECT_EQ(end, buckets.total_elements());
  EXPECT_EQ(end, std::accumulate(elements_.begin(), elements_.end(), std::int64_t{0}));
}

TEST_P(RandomBucketsTest, AllButTheLastReachTheirSizeAndNoneCouldHaveClosedEarlier) {
  const Buckets buckets(elements_, first_bytes_, bytes_);
  for (std::size_t b = 0; b < buckets.buckets().size(); ++b) {
    const Bucket& bucket = buckets.buckets()[b];
    const std::int64_t limit = b == 0 ? first_bytes_ : bytes_;
    const std::int64_t closing = elements_[static_cast<std::size_t>(bucket.first_tensor)];
    if (b + 1 < buckets.buckets().size()) {
      EXPECT_GE(bucket.count * kWidth, limit);
    }
    if (bucket.first_tensor != bucket.last_tensor) {
      EXPECT_LT((bucket.count - closing) * kWidth, limit);
    }
  }
}

TEST_P(RandomBucketsTest, EveryBucketIsGivenOnceInOrderAndOnlyWhenItsTensorsAreReady) {
  Buckets buckets(elements_, first_bytes_, bytes_);
  for (int pass = 0; pass < 2; ++pass) {
    buckets.start_pass();
    std::vector<int> order(elements_.size());
    std::iota(order.begin(), order.end(), 0);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random_.below(i)]);
    std::vector<bool> is_ready(elements_.size(), false);
    std::size_t given = 0;
    for (const int tensor : order) {
      is_ready[static_cast<std::size_t>(tensor)] = true;
      for (const Bucket& bucket : buckets.ready(tensor)) {
        EXPECT_EQ(bucket.offset, buckets.buckets()[given].offset);
        ++given;
        for (int t = bucket.first_tensor; t <= bucket.last_tensor; ++t) {
          EXPECT_TRUE(is_ready[static_cast<std::size_t>(t)]);
        }
      }
    }
    EXPECT_EQ(given, buckets.buckets().size());
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomBucketsTest, ::testing::Range<std::uint64_t>(0, 50));

}  // namespace
}  // namespace penstock::train
