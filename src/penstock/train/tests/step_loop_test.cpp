// The order of what a step does, and the times and bytes that it reports, with a trainer and a
// collective that keep a log.
#include "penstock/train/step_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>

namespace penstock::train {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Log = std::vector<std::string>;

constexpr std::int64_t kWidth = sizeof(float);

// Three gradients of 10 elements, ready last first; element e of tensor t is 100 t + e.
class LoggingTrainer : public Trainer {
 public:
  explicit LoggingTrainer(Log& log) : log_(log) {}

  std::vector<std::int64_t> gradient_elements() const override { return {10, 10, 10}; }
  Result<float*> gather_gradients(const Buckets& buckets) override {
    for (int t = 0; t < 3; ++t) offsets_.push_back(static_cast<std::size_t>(buckets.offset(t)));
    return buffer_.data();
  }
  Status accept(const BatchShape& shape) override {
    log_.push_back("accept " + std::to_string(shape.batch));
    return {};
  }
  Status load(const BatchView& batch) override {
    log_.push_back("load " + std::to_string(batch.sequence));
    if (on_load) on_load();
    return {};
  }
  Status load_synthetic(std::int64_t index) override {
    log_.push_back("synthetic " + std::to_string(index));
    return {};
  }
  Status forward() override {
    log_.emplace_back("forward");
    return {};
  }
  Status backward(const std::function<void(int tensor)>& ready) override {
    log_.emplace_back("backward");
    for (int t = 2; t >= 0; --t) {
      if (t == unreached) continue;
      for (int e = 0; !offsets_.empty() && e < 10; ++e) {
        buffer_[offsets_[static_cast<std::size_t>(t)] + static_cast<std::size_t>(e)] =
            static_cast<float>(100 * t + e);
      }
      log_.push_back("gradient " + std::to_string(t));
      ready(t);
    }
    return {};
  }
  Status update(double scale) override {
    log_.push_back("update " + std::to_string(scale).substr(0, 4));
    return {};
  }
  Status synchronize() override { return {}; }
  double loss() override { return 0.5; }

  int unreached = -1;
  std::function<void()> on_load;
  const std::vector<float>& buffer() const { return buffer_; }
  std::size_t offset(int tensor) const { return offsets_[static_cast<std::size_t>(tensor)]; }

 private:
  Log& log_;
  std::vector<float> buffer_ = std::vector<float>(30);
  std::vector<std::size_t> offsets_;
};

// Doubles what it is given, as a sum over two equal ranks would.
class LoggingCollective : public Collective {
 public:
  explicit LoggingCollective(Log& log) : log_(log) {}

  std::int64_t start_sum(float* data, std::size_t count) override {
    log_.push_back("sum of " + std::to_string(count));
    for (std::size_t i = 0; i < count; ++i) data[i] *= 2;
    bytes_ += static_cast<std::int64_t>(count) * kWidth;
    return tickets_++;
  }
  Status wait(std::int64_t ticket) override {
    log_.push_back("wait " + std::to_string(ticket));
    if (ticket == failing) return core::negative("rank 1", "closed its connection");
    return {};
  }
  Status barrier() override {
    log_.emplace_back("barrier");
    return {};
  }
  std::int64_t sent_bytes() const override { return bytes_; }
  std::int64_t received_bytes() const override { return 3 * bytes_; }

  std::int64_t failing = -1;

 private:
  Log& log_;
  std::int64_t tickets_ = 0;
  std::int64_t bytes_ = 0;
};

Job small_job() {
  Job job;
  job.batch = 2;
  job.steps = 1;
  job.warmup = 0;
  job.world = 2;
  job.first_bucket_bytes = 10 * kWidth;
  job.bucket_bytes = 20 * kWidth;
  return job;
}

class StepLoopTest : public ::testing::Test {
 protected:
  Status run() {
    return run_steps(job_, parts_, [&](const StepRecord& record) { records_.push_back(record); });
  }

  Log log_;
  LoggingTrainer trainer_{log_};
  LoggingCollective collective_{log_};
  Job job_ = small_job();
  StepParts parts_{.trainer = &trainer_, .collective = &collective_, .reader = nullptr};
  std::vector<StepRecord> records_;
};

TEST_F(StepLoopTest, BucketsAreSummedWhileTheBackwardPassRunsOn) {
  ASSERT_TRUE(run());
  EXPECT_THAT(log_, ElementsAre("barrier", "synthetic 0", "forward", "backward", "gradient 2",
                                "sum of 10", "gradient 1", "gradient 0", "sum of 20", "wait 0",
                                "wait 1", "update 0.50"));
}

TEST_F(StepLoopTest, WithoutOverlapTheSumsStartAfterTheBackwardPass) {
  job_.overlap = false;
  ASSERT_TRUE(run());
  EXPECT_THAT(
      log_, ElementsAre("barrier", "synthetic 0", "forward", "backward", "gradient 2", "gradient 1",
                        "gradient 0", "sum of 10", "sum of 20", "wait 0", "wait 1", "update 0.50"));
}

TEST_F(StepLoopTest, AControlRunSumsNothingAndScalesNothing) {
  job_.all_reduce = false;
  ASSERT_TRUE(run());
  EXPECT_THAT(log_, ElementsAre("barrier", "synthetic 0", "forward", "backward", "gradient 2",
                                "gradient 1", "gradient 0", "update 1.00"));
}

TEST_F(StepLoopTest, OneRankNeedsNoCollective) {
  job_.world = 1;
  parts_.collective = nullptr;
  ASSERT_TRUE(run());
  EXPECT_THAT(log_, ElementsAre("synthetic 0", "forward", "backward", "gradient 2", "gradient 1",
                                "gradient 0", "update 1.00"));
}

TEST_F(StepLoopTest, EveryGradientIsSummedOnceAtItsPlace) {
  ASSERT_TRUE(run());
  for (int t = 0; t < 3; ++t) {
    for (int e = 0; e < 10; ++e) {
      EXPECT_EQ(trainer_.buffer()[trainer_.offset(t) + static_cast<std::size_t>(e)],
                static_cast<float>(2 * (100 * t + e)));
    }
  }
}

TEST_F(StepLoopTest, BucketsOfUnreachedTensorsAreSummedAtTheEndOnEveryRank) {
  trainer_.unreached = 1;
  ASSERT_TRUE(run());
  EXPECT_THAT(
      log_, ElementsAre("barrier", "synthetic 0", "forward", "backward", "gradient 2", "sum of 10",
                        "gradient 0", "sum of 20", "wait 0", "wait 1", "update 0.50"));
}

TEST_F(StepLoopTest, TheOneBarrierComesBeforeTheFirstCountedStep) {
  job_.warmup = 2;
  job_.steps = 3;
  ASSERT_TRUE(run());
  EXPECT_EQ(std::count(log_.begin(), log_.end(), "barrier"), 1);
  const auto barrier = std::find(log_.begin(), log_.end(), "barrier");
  EXPECT_EQ(*(barrier - 1), "update 0.50");
  EXPECT_EQ(*(barrier + 1), "synthetic 2");
  EXPECT_EQ(records_.size(), 5U);
}

TEST_F(StepLoopTest, ThePartsOfAStepFollowEachOtherAndFillIt) {
  job_.steps = 4;
  ASSERT_TRUE(run());
  std::int64_t last_end = 0;
  for (const StepRecord& step : records_) {
    EXPECT_GE(step.begin_ns, last_end);
    EXPECT_GE(step.ready_ns, step.begin_ns);
    EXPECT_EQ(step.end_ns - step.ready_ns,
              step.forward_ns + step.backward_ns + step.exposed_ns + step.optimizer_ns);
    EXPECT_EQ(step.fetch_ns, 0);
    EXPECT_EQ(step.samples, 2);
    EXPECT_EQ(step.loss, 0.5);
    last_end = step.end_ns;
  }
}

TEST_F(StepLoopTest, BytesAreThoseOfTheStepAlone) {
  job_.steps = 2;
  ASSERT_TRUE(run());
  for (const StepRecord& step : records_) {
    EXPECT_EQ(step.sent_bytes, 30 * kWidth);
    EXPECT_EQ(step.received_bytes, 90 * kWidth);
  }
}

TEST_F(StepLoopTest, APeerThatDiesEndsTheRunWithOneLine) {
  job_.steps = 9;
  collective_.failing = 3;
  const Status status = run();
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().text(), HasSubstr("rank 1: closed its connection"));
  EXPECT_EQ(records_.size(), 1U);
}

class StepLoopDataTest : public StepLoopTest {
 protected:
  StepLoopDataTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "steps-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    Result<BatchWriter> writer = BatchWriter::create(
        folder_ + "/channel", {.batch = 2, .channels = 1, .height = 2, .width = 2, .slots = 4});
    EXPECT_TRUE(writer);
    writer_.emplace(*std::move(writer));
    Result<BatchReader> reader = BatchReader::open(folder_ + "/channel", Seconds(10));
    EXPECT_TRUE(reader);
    reader_.emplace(*std::move(reader));
    parts_.reader = &*reader_;
    parts_.collective = nullptr;
    job_.steps = 10;
  }
  ~StepLoopDataTest() override { std::filesystem::remove_all(folder_); }

  void publish(std::int32_t samples) {
    ASSERT_TRUE(writer_->acquire());
    writer_->publish(samples);
  }

  std::string folder_;
  std::optional<BatchWriter> writer_;
  std::optional<BatchReader> reader_;
};

TEST_F(StepLoopDataTest, TheEndOfTheDataEndsTheRun) {
  publish(2);
  publish(2);
  writer_->close();
  ASSERT_TRUE(run());
  EXPECT_EQ(records_.size(), 2U);
  EXPECT_EQ(log_.front(), "accept 2");
  EXPECT_EQ(std::count(log_.begin(), log_.end(), "load 1"), 1);
}

TEST_F(StepLoopDataTest, AShortBatchIsPassedOver) {
  publish(2);
  publish(1);
  publish(2);
  writer_->close();
  ASSERT_TRUE(run());
  EXPECT_EQ(records_.size(), 2U);
  EXPECT_EQ(std::count(log_.begin(), log_.end(), "load 1"), 0);
  EXPECT_EQ(std::count(log_.begin(), log_.end(), "load 2"), 1);
}

TEST_F(StepLoopDataTest, AFailedLoaderIsNamed) {
  publish(2);
  writer_->fail("the disk is gone");
  const Status status = run();
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().text(), HasSubstr("the disk is gone"));
}

TEST_F(StepLoopDataTest, AWaitIsSplitAsTheLoadersTimeWas) {
  publish(2);
  trainer_.on_load = [&] {
    writer_->set_counters({.bad_samples = 5, .fetch_ns = 3'000'000, .prep_ns = 1'000'000});
  };
  publish(2);
  writer_->close();
  ASSERT_TRUE(run());
  ASSERT_EQ(records_.size(), 2U);
  EXPECT_EQ(records_[0].fetch_ns, 0);
  // Since the first batch three parts of storage to one of preparation. What is split is the wait,
  // which ends before the copy that `ready` includes.
  const auto wait = static_cast<double>(records_[1].ready_ns - records_[1].begin_ns);
  EXPECT_GT(records_[1].fetch_ns, 0);
  EXPECT_EQ(records_[1].bad_samples, 5);
  EXPECT_LE(static_cast<double>(records_[1].fetch_ns), 0.75 * wait);
}

}  // namespace
}  // namespace penstock::train
