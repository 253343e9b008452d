// What a pipeline delivers does not depend on how it is run.
#include "penstock/loader/pipeline.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <numeric>
#include <set>

#include "penstock/loader/control.h"
#include "penstock/loader/tests/small_data.h"

namespace penstock::loader {
namespace {

using ::testing::HasSubstr;

constexpr int kSize = 16;
constexpr std::size_t kPixels = std::size_t{3} * kSize * kSize;

struct Delivered {
  std::vector<float> pixels;  // of every sample, in order
  std::vector<std::int32_t> labels;
  std::vector<std::int32_t> batches;  // their samples
  bool operator==(const Delivered&) const = default;
};

class PipelineTest : public SmallData {
 protected:
  static PipelineOptions options(int workers) {
    PipelineOptions options;
    options.workers = workers;
    options.epochs = 3;
    options.seed = 42;
    options.image.size = kSize;
    return options;
  }
  static train::BatchShape shape(int slots = 3) { return {8, 3, kSize, kSize, slots}; }

  // Everything until the end; `at_batch` is called with the number of each batch.
  static Delivered run(const Dataset& data, const PipelineOptions& options, int slots = 3,
                       const std::function<void(Pipeline&)>& meanwhile = {}) {
    Delivered all;
    MemorySink sink(shape(slots), [&all](const train::BatchView& batch) {
      EXPECT_EQ(batch.sequence, static_cast<std::int64_t>(all.batches.size()));
      const auto samples = static_cast<std::size_t>(batch.samples);
      all.pixels.insert(all.pixels.end(), batch.pixels, batch.pixels + samples * kPixels);
      all.labels.insert(all.labels.end(), batch.labels, batch.labels + samples);
      all.batches.push_back(batch.samples);
    });
    auto pipeline = Pipeline::start(data, options, sink);
    EXPECT_TRUE(pipeline) << pipeline.error().text();
    if (meanwhile) meanwhile(**pipeline);
    const Status status = (*pipeline)->wait();
    EXPECT_TRUE(status) << status.error().text();
    (*pipeline)->stop();
    return all;
  }
};

TEST_F(PipelineTest, PixelsAndOrderAreTheSameForAnyNumberOfWorkersSlotsAndWaysToRead) {
  const Result<Dataset> data = Dataset::open(write_tree("data", 37));
  ASSERT_TRUE(data);
  const Delivered one = run(*data, options(1));
  EXPECT_EQ(one.labels.size(), 3u * 37);
  EXPECT_EQ(one.batches.size(), (3u * 37 + 7) / 8);
  EXPECT_EQ(one.batches.back(), 3 * 37 % 8);
  EXPECT_TRUE(run(*data, options(4)) == one);
  EXPECT_TRUE(run(*data, options(3), 1) == one);
  for (const CachePolicy policy : {CachePolicy::kNone, CachePolicy::kMinio, CachePolicy::kLru}) {
    PipelineOptions cached = options(3);
    cached.cache = policy;
    cached.cache_size = Bytes(40e3);
    EXPECT_TRUE(run(*data, cached) == one) << to_text(policy);
  }
}

TEST_F(PipelineTest, WorkersAddedAndRemovedWhileItRunsChangeNothing) {
  const Result<Dataset> data = Dataset::open(write_tree("data", 50));
  ASSERT_TRUE(data);
  PipelineOptions many = options(2);
  many.epochs = 20;
  const Delivered steady = run(*data, many);
  for (const CachePolicy policy : {CachePolicy::kPage, CachePolicy::kNone}) {
    many.cache = policy;
    const Delivered resized = run(*data, many, 3, [](Pipeline& pipeline) {
      for (const int workers : {5, 1, 3, 1, 6, 2, 4, 1}) {
        const std::int64_t before = pipeline.state().counters.samples;
        pipeline.set_workers(workers);
        EXPECT_EQ(pipeline.state().counters.workers, workers);
        // Goes on once some samples have come through with this crew.
        while (pipeline.state().counters.samples < std::min<std::int64_t>(before + 40, 1000)) {
          pipeline.wait_for(Seconds(0.001));
        }
      }
    });
    EXPECT_TRUE(resized == steady) << to_text(policy);
  }
}

TEST_F(PipelineTest, ShardsGiveTheSamePixelsAsTheFolder) {
  const Result<Dataset> tree = Dataset::open(write_tree("tree", 31));
  const Result<Dataset> shards = Dataset::open(write_shards("shards", 31));
  ASSERT_TRUE(tree && shards);
  EXPECT_TRUE(run(*tree, options(2)) == run(*shards, options(3)));
}

TEST_F(PipelineTest, EpochsDifferSeedsDifferAndEachEpochHasEverySampleOnce) {
  const Result<Dataset> data = Dataset::open(write_tree("data", 30));
  ASSERT_TRUE(data);
  const Delivered all = run(*data, options(2));
  const auto labels_of = [&all](std::size_t epoch) {
    return std::vector<std::int32_t>(
        all.labels.begin() + static_cast<std::ptrdiff_t>(30 * epoch),
        all.labels.begin() + static_cast<std::ptrdiff_t>(30 * epoch) + 30);
  };
  for (std::size_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<std::int32_t> labels = labels_of(epoch);
    for (int label = 0; label < 3; ++label) {
      EXPECT_EQ(std::count(labels.begin(), labels.end(), label), 10);
    }
  }
  EXPECT_NE(labels_of(0), labels_of(1));
  PipelineOptions other = options(2);
  other.seed = 43;
  EXPECT_FALSE(run(*data, other) == all);
}

TEST_F(PipelineTest, RanksShareAnEpochWithoutOverlap) {
  // One image a class, so that labels tell samples.
  for (int i = 0; i < 23; ++i) write("data/" + number(i) + "/0.jpg", small_jpeg(i));
  const Result<Dataset> data = Dataset::open(path("data"));
  ASSERT_TRUE(data);
  std::multiset<std::int32_t> seen;
  for (int rank = 0; rank < 3; ++rank) {
    PipelineOptions share = options(2);
    share.epochs = 1;
    share.rank = rank;
    share.world = 3;
    const Delivered part = run(*data, share);
    EXPECT_EQ(part.labels.size(), 7u);  // the remainder of 23 / 3 is left out
    seen.insert(part.labels.begin(), part.labels.end());
  }
  EXPECT_EQ(seen.size(), 21u);
  EXPECT_EQ(std::set<std::int32_t>(seen.begin(), seen.end()).size(), 21u);
}

TEST_F(PipelineTest, BadImagesAreCountedAndReplacedTheSameWayEveryTime) {
  write_tree("data", 40);
  const std::string good = small_jpeg(5);
  write("data/class-2/0005.jpg", good.substr(0, good.size() / 2));
  write("data/class-0/0006.jpg", "no JPEG at all");
  write("data/class-1/0007.jpg", "");
  const Result<Dataset> data = Dataset::open(path("data"));
  ASSERT_TRUE(data);
  std::filesystem::remove(path("data/class-2/0008.jpg"));
  PipelineOptions lenient = options(1);
  lenient.max_bad = 0.1;
  const Delivered one = run(*data, lenient);
  EXPECT_EQ(one.labels.size(), 3u * 40);
  lenient.workers = 4;
  PipelineState state;
  EXPECT_TRUE(run(*data, lenient, 3, [&state](Pipeline& pipeline) {
                EXPECT_TRUE(pipeline.wait());
                state = pipeline.state();
              }) == one);
  EXPECT_EQ(state.bad_files, 4);
  EXPECT_GE(state.counters.bad_samples, 3 * 4);
  EXPECT_EQ(state.counters.samples, 3 * 40);
  ASSERT_EQ(state.bad.size(), 4u);
  EXPECT_EQ(state.bad[0], "class-0/0006.jpg: is no JPEG");
  EXPECT_EQ(state.bad[1], "class-1/0007.jpg: the file is empty");
  EXPECT_EQ(state.bad[2], "class-2/0005.jpg: the JPEG is truncated");
  EXPECT_THAT(state.bad[3], HasSubstr("class-2/0008.jpg: cannot be read: No such file"));
}

TEST_F(PipelineTest, TooManyBadImagesEndTheRunByName) {
  write_tree("data", 40);
  write("data/class-0/0003.jpg", "bad");
  write("data/class-1/0004.jpg", "worse");
  const Result<Dataset> data = Dataset::open(path("data"));
  ASSERT_TRUE(data);
  MemorySink sink(shape(), [](const train::BatchView&) {});
  PipelineOptions strict = options(3);
  strict.epochs = 0;
  const auto pipeline = Pipeline::start(*data, strict, sink);
  ASSERT_TRUE(pipeline);
  const Status status = (*pipeline)->wait();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kNegative);
  EXPECT_THAT(status.error().text(), HasSubstr("2 of 40 images are bad, more than 1"));
  EXPECT_THAT(status.error().text(), HasSubstr("class-0/0003.jpg: is no JPEG"));
  EXPECT_THAT(status.error().text(), HasSubstr("class-1/0004.jpg: is no JPEG"));
}

TEST_F(PipelineTest, AFolderOfNothingButBadImagesEnds) {
  for (int i = 0; i < 5; ++i) write("data/c/" + number(i) + ".jpg", "bad");
  const Result<Dataset> data = Dataset::open(path("data"));
  ASSERT_TRUE(data);
  MemorySink sink(shape(), [](const train::BatchView&) {});
  PipelineOptions careless = options(2);
  careless.max_bad = 1;
  const auto pipeline = Pipeline::start(*data, careless, sink);
  ASSERT_TRUE(pipeline);
  const Status status = (*pipeline)->wait();
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().text(), HasSubstr("no good image stands in for"));
}

TEST_F(PipelineTest, MinioHitsWhatItHoldsWhateverTheNumberOfWorkers) {
  const std::string jpeg = small_jpeg(1);
  for (int i = 0; i < 30; ++i) write("data/c/" + number(i) + ".jpg", jpeg);
  const Result<Dataset> data = Dataset::open(path("data"));
  ASSERT_TRUE(data);
  PipelineOptions cached = options(3);
  cached.epochs = 4;
  cached.cache = CachePolicy::kMinio;
  cached.cache_size = Bytes(12.5 * static_cast<double>(jpeg.size()));
  PipelineState state;
  run(*data, cached, 3, [&state](Pipeline& pipeline) {
    EXPECT_TRUE(pipeline.wait());
    state = pipeline.state();
  });
  EXPECT_EQ(state.cache.samples, 12);
  // At the change from the first epoch to the second, a sample may be asked for while its first
  // read is still under way.
  EXPECT_LE(state.cache.hits, 3 * 12);
  EXPECT_GE(state.cache.hits, 3 * 12 - 3 * 4);
  EXPECT_EQ(state.counters.bytes, 4 * 30 * static_cast<std::int64_t>(jpeg.size()));
  EXPECT_EQ(state.counters.disk_bytes,
            (4 * 30 - state.cache.hits) * static_cast<std::int64_t>(jpeg.size()));
}

// Holds every slot until the test lets go.
class StuckSink : public BatchSink {
 public:
  train::BatchShape shape() const override { return {8, 3, kSize, kSize, 2}; }
  Result<std::optional<train::BatchSlot>> acquire_for(Seconds patience) override {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::duration<double>(patience.value()),
                           [this] { return acquired_ < allowed_; })) {
      return std::nullopt;
    }
    ++acquired_;
    return train::BatchSlot{pixels_.data(), labels_.data()};
  }
  void publish(std::int32_t /*samples*/, const train::LoaderCounters& /*counters*/) override {
    ++published;
  }
  void allow(int slots) {
    const std::lock_guard lock(mutex_);
    allowed_ = slots;
    changed_.notify_all();
  }
  std::atomic<int> published{0};

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int acquired_ = 0;
  int allowed_ = 0;
  std::vector<float> pixels_ = std::vector<float>(8 * kPixels);
  std::vector<std::int32_t> labels_ = std::vector<std::int32_t>(8);
};

TEST_F(PipelineTest, WorkersWaitForSlotsAndCanBeResizedAndStoppedMeanwhile) {
  const Result<Dataset> data = Dataset::open(write_tree("data", 20));
  ASSERT_TRUE(data);
  StuckSink sink;
  PipelineOptions endless = options(3);
  endless.epochs = 0;
  const auto pipeline = Pipeline::start(*data, endless, sink);
  ASSERT_TRUE(pipeline);
  sink.allow(1);
  while (sink.published < 1) (*pipeline)->wait_for(Seconds(0.001));
  EXPECT_EQ((*pipeline)->state().counters.samples, 8);
  (*pipeline)->set_workers(1);
  (*pipeline)->set_workers(2);
  EXPECT_EQ((*pipeline)->state().counters.samples, 8);
  (*pipeline)->stop();
  EXPECT_EQ((*pipeline)->state().counters.workers, 0);
}

TEST_F(PipelineTest, AReaderThatGoesEndsIt) {
  const Result<Dataset> data = Dataset::open(write_tree("data", 20));
  ASSERT_TRUE(data);
  Result<train::BatchWriter> writer = train::BatchWriter::create(path("channel"), shape());
  ASSERT_TRUE(writer) << writer.error().text();
  ChannelSink sink(*writer);
  PipelineOptions endless = options(2);
  endless.epochs = 0;
  const auto pipeline = Pipeline::start(*data, endless, sink);
  ASSERT_TRUE(pipeline);
  {
    Result<train::BatchReader> reader = train::BatchReader::open(path("channel"), Seconds(0));
    ASSERT_TRUE(reader);
    for (int i = 0; i < 10; ++i) {
      const auto batch = reader->next();
      ASSERT_TRUE(batch && *batch);
      EXPECT_EQ((*batch)->samples, 8);
      reader->release();
    }
    const train::LoaderCounters counters = reader->counters();
    EXPECT_GE(counters.samples, 80);
    EXPECT_EQ(counters.workers, 2);
    EXPECT_GT(counters.prep_ns, 0);
    EXPECT_GT(counters.cpu_ns, 0);
  }
  const Status status = (*pipeline)->wait();
  ASSERT_FALSE(status);
  EXPECT_TRUE(writer->reader_left());
}

TEST_F(PipelineTest, ImpossibleRanksAreRefused) {
  const Result<Dataset> data = Dataset::open(write_tree("data", 4));
  ASSERT_TRUE(data);
  MemorySink sink(shape(), [](const train::BatchView&) {});
  PipelineOptions wrong = options(1);
  wrong.world = 2;
  wrong.rank = 2;
  EXPECT_FALSE(Pipeline::start(*data, wrong, sink));
  wrong.world = 5;
  EXPECT_THAT(Pipeline::start(*data, wrong, sink).error().text(),
              HasSubstr("4 images are too few for 5 ranks"));
}

TEST_F(PipelineTest, ControlLinesResizeAndAsk) {
  const Result<Dataset> data = Dataset::open(write_tree("data", 20));
  ASSERT_TRUE(data);
  MemorySink sink(shape(), [](const train::BatchView&) {});
  PipelineOptions endless = options(1);
  endless.epochs = 0;
  const auto pipeline = Pipeline::start(*data, endless, sink);
  ASSERT_TRUE(pipeline);
  EXPECT_EQ(answer_control("workers 3", **pipeline, Seconds(1)), "{\"workers\":3}");
  EXPECT_THAT(answer_control("state", **pipeline, Seconds(2)),
              ::testing::AllOf(HasSubstr("\"workers\":3"), HasSubstr("\"elapsed_s\":2.0")));
  for (const char* wrong : {"workers 0", "workers", "workers 2x", "stop", ""}) {
    EXPECT_THAT(answer_control(wrong, **pipeline, Seconds(1)), HasSubstr("error")) << wrong;
  }
  EXPECT_EQ((*pipeline)->state().counters.workers, 3);
}

}  // namespace
}  // namespace penstock::loader
