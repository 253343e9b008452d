#include "penstock/sim/event_queue.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <utility>

#include "penstock/core/random.h"

namespace penstock::sim {
namespace {

TEST(EventQueueTest, EventsOfOneMomentComeInTheOrderOfScheduling) {
  EventQueue<int> events;
  for (int i = 0; i < 100; ++i) events.schedule({5}, i);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(events.pop(), i);
}

TEST(EventQueueTest, OrderEqualsASortByTimeThenByScheduling) {
  core::RandomStream random(7, "events");
  EventQueue<int> events;
  std::set<std::pair<std::int64_t, int>> expected;
  for (int i = 0; i < 2000; ++i) {
    const auto time = static_cast<std::int64_t>(random.below(50));
    events.schedule({time}, i);
    expected.emplace(time, i);
  }
  for (const auto& [time, event] : expected) {
    EXPECT_EQ(events.next_time().ns, time);
    EXPECT_EQ(events.pop(), event);
    EXPECT_EQ(events.now().ns, time);
  }
  EXPECT_TRUE(events.empty());
}

// So many that most lie outside the heap; with few moments for them and with many.
TEST(EventQueueTest, ManyPendingEventsComeInOrderWhileMoreAreScheduled) {
  for (const std::uint64_t moments : {std::uint64_t{1}, std::uint64_t{7}, std::uint64_t{1} << 40}) {
    core::RandomStream random(8, "many");
    EventQueue<int> events;
    std::set<std::pair<std::int64_t, int>> expected;
    int scheduled = 0;
    const auto schedule = [&](std::int64_t at) {
      events.schedule({at}, scheduled);
      expected.emplace(at, scheduled++);
    };
    for (int i = 0; i < 60'000; ++i) schedule(static_cast<std::int64_t>(random.below(moments)));
    while (!expected.empty()) {
      const auto [time, event] = *expected.begin();
      expected.erase(expected.begin());
      ASSERT_EQ(events.next_time().ns, time);
      ASSERT_EQ(events.pop(), event);
      for (int i = 0; scheduled < 150'000 && i < 2; ++i) {
        schedule(time + static_cast<std::int64_t>(random.below(moments)));
      }
      ASSERT_EQ(events.size(), expected.size());
    }
    EXPECT_TRUE(events.empty());
  }
}

TEST(EventQueueTest, AnEventInThePastIsOurBug) {
  EventQueue<int> events;
  events.schedule({10}, 1);
  events.pop();
  events.schedule({10}, 2);
  EXPECT_DEATH(events.schedule({9}, 3), "at.ns >= now_.ns");
}

TEST(ClockTest, DurationsAreRoundedUpAndNeverOverflow) {
  EXPECT_EQ(duration_of(Seconds(1e-10)).ns, 1);
  EXPECT_EQ(duration_of(Seconds(0)).ns, 0);
  EXPECT_EQ(duration_of(Seconds(1.5)).ns, 1'500'000'000);
  const Time never = duration_of(Seconds(std::numeric_limits<double>::infinity()));
  EXPECT_GT((never + never).ns, never.ns);
  EXPECT_DOUBLE_EQ(seconds_of({2'500'000'000}).value(), 2.5);
}

}  // namespace
}  // namespace penstock::sim
