// The emulated accelerator keeps its times over many steps, whatever single sleeps overrun.
#include "penstock/train/worker/emulated_trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "penstock/core/random.h"

namespace penstock::train {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
// Time passes in sleeps alone, and each ends up to `lateness_ns` late.
class LateClock {
 public:
  explicit LateClock(double lateness_ns) : lateness_ns_(lateness_ns) {}

  SleepClock clock() {
    return {.now_ns = [this] { return now_ns; },
            .wait_until =
                [this](double deadline_ns) {
                  EXPECT_GE(deadline_ns, now_ns);
                  now_ns = deadline_ns + lateness_ns_ * random_.uniform();
                }};
  }

  double now_ns = 0;

 private:
  double lateness_ns_;
  core::RandomStream random_{1, "lateness"};
};

EmulatedAccelerator accelerator() {
  return {.forward = Seconds(0.004), .backward = Seconds(0.009), .gradient_bytes = {8, 400, 16}};
}

TEST(EmulatedTrainerTest, GradientsAppearLastFirstAndEvenlySpread) {
  LateClock late(0);
  EmulatedTrainer trainer(accelerator(), late.clock());
  EXPECT_THAT(trainer.gradient_elements(), ElementsAre(2, 100, 4));
  std::vector<int> order;
  std::vector<double> at;
  ASSERT_TRUE(trainer.forward());
  ASSERT_TRUE(trainer.backward([&](int tensor) {
    order.push_back(tensor);
    at.push_back(late.now_ns);
  }));
  EXPECT_THAT(order, ElementsAre(2, 1, 0));
  EXPECT_THAT(at, ElementsAre(DoubleNear(7e6, 1), DoubleNear(10e6, 1), DoubleNear(13e6, 1)));
  EXPECT_TRUE(std::isnan(trainer.loss()));
}

TEST(EmulatedTrainerTest, LateSleepsDoNotAddUp) {
  LateClock late(2e6);
  EmulatedTrainer trainer(accelerator(), late.clock());
  for (int step = 1; step <= 1000; ++step) {
    ASSERT_TRUE(trainer.forward());
    ASSERT_TRUE(trainer.backward([](int) {}));
    ASSERT_GE(late.now_ns, step * 13e6 - 1);
    ASSERT_LE(late.now_ns, step * 13e6 + 2e6 + 1);
  }
}

TEST(EmulatedTrainerTest, SleepsLaterThanAWholePhaseAreMadeUpTogether) {
  LateClock late(20e6);
  EmulatedTrainer trainer(accelerator(), late.clock());
  for (int step = 1; step <= 1000; ++step) {
    ASSERT_TRUE(trainer.forward());
    ASSERT_TRUE(trainer.backward([](int) {}));
    ASSERT_LE(late.now_ns, step * 13e6 + 20e6 + 1);
  }
}

TEST(EmulatedTrainerTest, AWaitBetweenStepsIsNotMadeUp) {
  LateClock late(0);
  EmulatedTrainer trainer(accelerator(), late.clock());
  for (int step = 1; step <= 3; ++step) {
    ASSERT_TRUE(trainer.forward());
    ASSERT_TRUE(trainer.backward([](int) {}));
    late.now_ns += 5e6;
    EXPECT_NEAR(late.now_ns, step * 18e6, 1);
  }
}

TEST(EmulatedTrainerTest, TheRealClockNeverWakesEarly) {
  const SleepClock clock = monotonic_clock();
  for (int i = 0; i < 20; ++i) {
    const double deadline = clock.now_ns() + 1e5;
    clock.wait_until(deadline);
    EXPECT_GE(clock.now_ns(), deadline - 1);  // a double holds an uptime to the nanosecond
  }
}

}  // namespace
}  // namespace penstock::train
