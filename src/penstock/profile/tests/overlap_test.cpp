#include "penstock/profile/overlap.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <deque>
#include <set>

#include "penstock/core/random.h"

namespace penstock::profile {
namespace {

TEST(RingTimeTest, IsTwiceTheOtherRanksLatencyAndTheirShareOfTheBytes) {
  // 4 ranks: 6 messages of a quarter each.
  EXPECT_DOUBLE_EQ(ring_time({.alpha_s = 1e-3, .beta_bytes_per_s = 1e9}, 4, 4e9), 6e-3 + 6.0);
  EXPECT_DOUBLE_EQ(ring_time({.alpha_s = 1, .beta_bytes_per_s = 1}, 1, 100), 0);
}

TEST(RingTimeTest, AcrossNodesMovesEachNodesShareOverItsLink) {
  const LinkModel inside{0, 0};
  const LinkModel across{0, 1e9};
  EXPECT_DOUBLE_EQ(hierarchical_time(inside, 8, across, 2, 1e9), 1.0);  // 2(m-1)/m S
}

TEST(BucketsTest, CloseAtTheirLimitAndNeverSplitATensor) {
  const auto buckets = fill_buckets({{1, 10}, {2, 95}, {3, 40}, {4, 40}, {5, 500}, {6, 1}},
                                    {.first_bytes = 100, .bytes = 80});
  ASSERT_EQ(buckets.size(), 4U);
  EXPECT_EQ(buckets[0].bytes, 105);
  EXPECT_DOUBLE_EQ(buckets[0].ready_s, 2);
  EXPECT_EQ(buckets[1].bytes, 80);
  EXPECT_EQ(buckets[2].bytes, 500);
  EXPECT_EQ(buckets[3].tensors, 1);
}

TEST(BucketsTest, TensorsOfEqualLayersAreReadyLastFirst) {
  const auto tensors = evenly_ready({10, 20}, 4);
  EXPECT_EQ(tensors[0].bytes, 20);
  EXPECT_DOUBLE_EQ(tensors[0].ready_s, 2);
  EXPECT_EQ(tensors[1].bytes, 10);
  EXPECT_DOUBLE_EQ(tensors[1].ready_s, 4);
}

// A link as an event queue: arrivals and departures in order of time, nothing but a busy flag.
double last_departure(const std::vector<Bucket>& buckets, const std::vector<double>& service) {
  struct Event {
    double time;
    bool arrival;  // departures of the same moment come first
    std::size_t bucket;
    bool operator<(const Event& o) const {
      return std::tie(time, arrival, bucket) < std::tie(o.time, o.arrival, o.bucket);
    }
  };
  std::set<Event> events;
  for (std::size_t i = 0; i < buckets.size(); ++i) events.insert({buckets[i].ready_s, true, i});
  std::deque<std::size_t> waiting;
  bool busy = false;
  double last = 0;
  while (!events.empty()) {
    const Event event = *events.begin();
    events.erase(events.begin());
    if (event.arrival) {
      waiting.push_back(event.bucket);
    } else {
      busy = false;
      last = event.time;
    }
    if (busy || waiting.empty()) continue;
    busy = true;
    events.insert({event.time + service[waiting.front()], false, waiting.front()});
    waiting.pop_front();
  }
  return last;
}

TEST(OverlapTest, EqualsAnEventSimulationOnRandomLayers) {
  core::RandomStream random(1, "layers");
  for (int trial = 0; trial < 500; ++trial) {
    std::vector<GradientTensor> tensors;
    double clock = 0;
    const auto layers = 1 + random.below(30);
    for (std::uint64_t i = 0; i < layers; ++i) {
      clock += random.uniform() * 0.01;
      tensors.push_back({clock, static_cast<std::int64_t>(1 + random.below(1 << 22))});
    }
    const LinkModel link{random.uniform() * 1e-3, 1e7 + random.uniform() * 1e9};
    const auto buckets = fill_buckets(
        tensors,
        {.first_bytes = 1 << 18, .bytes = static_cast<std::int64_t>(random.below(1 << 23))});
    std::vector<double> service;
    for (const Bucket& b : buckets) {
      service.push_back(ring_time(link, 4, static_cast<double>(b.bytes)));
    }
    const double expected = std::max(0.0, last_departure(buckets, service) - clock);
    const Overlap overlap =
        overlap_of(buckets, clock, [&](double bytes) { return ring_time(link, 4, bytes); });
    EXPECT_DOUBLE_EQ(overlap.exposed_s, expected);
  }
}

TEST(OverlapTest, ADominatingLastTensorCannotBeHidden) {
  // VGG's first fully connected layer holds most bytes: its time stays exposed however the rest is.
  const auto cost = [](double bytes) { return bytes; };
  const Overlap overlap = overlap_of(fill_buckets({{1, 1}, {10, 100}}, {1, 1}), 10, cost);
  EXPECT_DOUBLE_EQ(overlap.exposed_s, 100);
}

}  // namespace
}  // namespace penstock::profile
