#include "penstock/train/ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "penstock/core/random.h"
#include "penstock/train/internal/ring_link.h"
#include "penstock/train/internal/tcp.h"

namespace penstock::train {
namespace {

using testing::HasSubstr;

class RingTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    std::string path = testing::TempDir() + "ring-XXXXXX";
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    folder_ = path;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  RingOptions options(int rank, int world) const {
    RingOptions options;
    options.rank = rank;
    options.world = world;
    options.rendezvous = folder_ + "/meet";
    options.start_patience = Seconds(60);
    return options;
  }

  std::string folder_;
};

using Body = std::function<void(int rank, Collective& ring)>;

// Runs `body` as every rank, each in a thread.
void run_ranks_in_threads(const std::vector<RingOptions>& options, const Body& body) {
  std::vector<std::thread> threads;
  for (const RingOptions& one : options) {
    threads.emplace_back([&body, &one] {
      const Result<std::unique_ptr<Collective>> ring = connect_ring(one);
      ASSERT_TRUE(ring) << ring.error().text();
      body(one.rank, **ring);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Sums of such values depend on the order of addition.
std::vector<float> values_of(int rank, std::size_t count) {
  core::RandomStream stream(7, "rank " + std::to_string(rank));
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(stream.uniform());
  return values;
}

// Part p begins at rank p and is added up around the ring.
std::vector<float> reference_sum(int world, std::size_t count) {
  std::vector<std::vector<float>> ranks;
  for (int rank = 0; rank < world; ++rank) ranks.push_back(values_of(rank, count));
  const auto n = static_cast<std::size_t>(world);
  std::vector<float> sum;
  for (std::size_t part = 0; part < n; ++part) {
    const std::size_t size = count / n + (part < count % n ? 1 : 0);
    const std::size_t begin = sum.size();
    for (std::size_t i = begin; i < begin + size; ++i) {
      float total = ranks[part][i];
      for (std::size_t step = 1; step < n; ++step) total += ranks[(part + step) % n][i];
      sum.push_back(total);
    }
  }
  return sum;
}

TEST_P(RingTest, SumsHaveTheBitsOfTheReferenceOnEveryRank) {
  const int world = GetParam();
  std::vector<RingOptions> all;
  for (int rank = 0; rank < world; ++rank) all.push_back(options(rank, world));
  // Fewer floats than ranks, no multiple of the ranks, and more than a socket holds.
  const std::vector<std::size_t> counts = {1, 2, 1003, 1'000'003};
  std::vector<std::vector<float>> sums;
  for (const std::size_t count : counts) sums.push_back(reference_sum(world, count));
  run_ranks_in_threads(all, [&](int rank, Collective& ring) {
    std::vector<std::vector<float>> data;
    std::vector<std::int64_t> tickets;
    for (const std::size_t count : counts) data.push_back(values_of(rank, count));
    for (auto& values : data) tickets.push_back(ring.start_sum(values.data(), values.size()));
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const Status status = ring.wait(tickets[i]);
      ASSERT_TRUE(status) << status.error().text();
      EXPECT_TRUE(data[i] == sums[i]) << counts[i];
    }
  });
}

TEST_P(RingTest, BytesAreThoseOfTheRingFormula) {
  const std::int64_t world = GetParam();
  std::vector<RingOptions> all;
  for (int rank = 0; rank < GetParam(); ++rank) all.push_back(options(rank, GetParam()));
  const std::int64_t count = 12'000 * world;
  run_ranks_in_threads(all, [&](int, Collective& ring) {
    std::vector<float> values(static_cast<std::size_t>(count), 1.0F);
    ASSERT_TRUE(ring.wait(ring.start_sum(values.data(), values.size())));
    const std::int64_t bytes = count * 4;
    EXPECT_EQ(ring.sent_bytes(), 2 * (world - 1) * bytes / world);
    EXPECT_EQ(ring.received_bytes(), 2 * (world - 1) * bytes / world);
    ASSERT_TRUE(ring.barrier());
    EXPECT_EQ(ring.sent_bytes(), 2 * (world - 1) * bytes / world);
  });
}

TEST_P(RingTest, UnequalPartsSendEveryFloatTwiceLessTheTwoPartsThatStay) {
  const int world = GetParam();
  std::vector<RingOptions> all;
  for (int rank = 0; rank < world; ++rank) all.push_back(options(rank, world));
  const int count = 10 * world + 1;  // part 0 has 11 floats
  run_ranks_in_threads(all, [&](int rank, Collective& ring) {
    std::vector<float> values(static_cast<std::size_t>(count), 1.0F);
    ASSERT_TRUE(ring.wait(ring.start_sum(values.data(), values.size())));
    const auto floats = [&](int part) { return part % world == 0 ? 11 : 10; };
    const int sent = 2 * count - floats(rank + 1) - floats(rank + 2);
    EXPECT_EQ(ring.sent_bytes(), 4 * sent) << rank;
  });
}

TEST_P(RingTest, RanksMeetAtAPortOfRankZero) {
  const int world = GetParam();
  int port = 0;
  {
    const Result<internal::Socket> free = internal::listen_tcp("127.0.0.1", 0, 1);
    ASSERT_TRUE(free);
    port = internal::port_of(*free).value();
  }
  std::vector<RingOptions> all;
  for (int rank = 0; rank < world; ++rank) {
    all.push_back(options(rank, world));
    all.back().rendezvous = "tcp:127.0.0.1:" + std::to_string(port);
  }
  run_ranks_in_threads(all, [&](int, Collective& ring) {
    float value = 1;
    ASSERT_TRUE(ring.wait(ring.start_sum(&value, 1)));
    EXPECT_EQ(value, static_cast<float>(world));
  });
}

TEST_P(RingTest, ALimitedLinkTakesNoLessThanItsTime) {
  const int world = GetParam();
  std::vector<RingOptions> all;
  for (int rank = 0; rank < world; ++rank) {
    all.push_back(options(rank, world));
    all.back().limit = {Bandwidth(1e8), Seconds(0.001)};
  }
  using Clock = std::chrono::steady_clock;
  std::vector<Clock::time_point> begins(all.size());
  std::vector<Clock::time_point> ends(all.size());
  const std::size_t count = 50'000 * all.size();
  run_ranks_in_threads(all, [&](int rank, Collective& ring) {
    std::vector<float> values(count, 1.0F);
    ASSERT_TRUE(ring.barrier());
    begins[static_cast<std::size_t>(rank)] = Clock::now();
    // The second one waits for the first, and takes its own time after it.
    ring.start_sum(values.data(), count);
    ASSERT_TRUE(ring.wait(ring.start_sum(values.data(), count)));
    ends[static_cast<std::size_t>(rank)] = Clock::now();
  });
  const std::chrono::duration<double> took =
      *std::max_element(ends.begin(), ends.end()) - *std::min_element(begins.begin(), begins.end());
  EXPECT_GE(took.count(), 2 * 2 * (world - 1) * (0.001 + 4 * 50'000 / 1e8));
}

INSTANTIATE_TEST_SUITE_P(Worlds, RingTest, testing::Values(2, 3, 4));

TEST_F(RingTest, AReleaseThatHasJustPassedIsNotSleptThrough) {
  constexpr std::int64_t kPeriod = 3'000'000'000;
  using internal::sleep_of;
  EXPECT_EQ(sleep_of({.release_ns = 1000}, 999, kPeriod), 1);
  EXPECT_EQ(sleep_of({.release_ns = 1000}, 1000, kPeriod), 0);
  EXPECT_EQ(sleep_of({.release_ns = 1000}, 1001, kPeriod), 0);
  // A socket that is waited for wakes it.
  EXPECT_EQ(sleep_of({.is_sending = true, .release_ns = 1000}, 999, kPeriod), 1);
  EXPECT_EQ(sleep_of({.is_sending = true, .release_ns = 1000}, 1001, kPeriod), kPeriod);
  EXPECT_EQ(sleep_of({.is_receiving = true}, 1001, kPeriod), kPeriod);
}

TEST_F(RingTest, OneRankIsItsOwnSum) {
  const Result<std::unique_ptr<Collective>> ring = connect_ring(options(0, 1));
  ASSERT_TRUE(ring);
  float value = 3;
  EXPECT_TRUE((*ring)->wait((*ring)->start_sum(&value, 1)));
  EXPECT_EQ(value, 3);
  EXPECT_EQ((*ring)->sent_bytes(), 0);
}

TEST_F(RingTest, NoFileOfTheMeetingStays) {
  run_ranks_in_threads({options(0, 2), options(1, 2)}, [](int, Collective&) {});
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(RingTest, RanksThatSumDifferentThingsAreTold) {
  std::vector<std::string> errors(2);
  run_ranks_in_threads({options(0, 2), options(1, 2)}, [&](int rank, Collective& ring) {
    std::vector<float> values(rank == 0 ? 100 : 200);
    const Status status = ring.wait(ring.start_sum(values.data(), values.size()));
    errors[static_cast<std::size_t>(rank)] = status ? "" : status.error().text();
  });
  EXPECT_THAT(errors[0] + errors[1], HasSubstr("floats where this rank sums"));
}

TEST_F(RingTest, ARankThatIsMissingIsNamed) {
  RingOptions lonely = options(0, 2);
  lonely.start_patience = Seconds(0.05);
  const Result<std::unique_ptr<Collective>> ring = connect_ring(lonely);
  ASSERT_FALSE(ring);
  EXPECT_THAT(ring.error().text(), HasSubstr("rank 1: has not come to the meeting"));
}

// Ranks as processes of their own, which a test can kill.
class RingProcessTest : public RingTest {
 protected:
  void start(const RingOptions& rank) {
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      const Result<std::unique_ptr<Collective>> ring = connect_ring(rank);
      if (!ring || !(*ring)->barrier()) ::_exit(1);
      while (true) ::pause();
    }
    children_.push_back(pid);
  }
  void TearDown() override {
    for (const pid_t child : children_) {
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
    RingTest::TearDown();
  }
  // What the ranks 0 to 1 say when they sum with the others after `event`.
  std::vector<std::string> errors_after(const std::function<void()>& event, Seconds patience) {
    std::vector<std::string> errors(2);
    const pid_t first_child = children_.front();
    EXPECT_GT(first_child, 0);
    std::vector<RingOptions> ours = {options(0, 3), options(1, 3)};
    for (RingOptions& one : ours) one.patience = patience;
    run_ranks_in_threads(ours, [&](int rank, Collective& ring) {
      ASSERT_TRUE(ring.barrier());
      if (rank == 0) event();
      std::vector<float> values(1'000'000);
      const Status status = ring.wait(ring.start_sum(values.data(), values.size()));
      errors[static_cast<std::size_t>(rank)] = status ? "" : status.error().text();
    });
    return errors;
  }

  std::vector<pid_t> children_;
};

TEST_F(RingProcessTest, ARankThatDiesIsNamedOnEveryOther) {
  start(options(2, 3));
  const std::string name = "rank 2 (pid " + std::to_string(children_[0]) + ")";
  const auto errors = errors_after([&] { ::kill(children_[0], SIGKILL); }, Seconds(30));
  EXPECT_THAT(errors[0], HasSubstr(name + " has ended in the middle of a sum"));
  EXPECT_THAT(errors[1], HasSubstr(name + " has ended in the middle of a sum"));
}

TEST_F(RingProcessTest, ARankThatHangsIsNamedOnEveryOther) {
  start(options(2, 3));
  const std::string name = "rank 2 (pid " + std::to_string(children_[0]) + ")";
  const auto errors = errors_after([&] { ::kill(children_[0], SIGSTOP); }, Seconds(1));
  EXPECT_THAT(errors[0], HasSubstr(name + " does not answer"));
  EXPECT_THAT(errors[1], HasSubstr(name + " does not answer"));
}

}  // namespace
}  // namespace penstock::train
