// The same bytes by every way of reading them.
#include "penstock/loader/reading.h"

#include <gmock/gmock.h>
#include <linux/magic.h>
#include <sys/statfs.h>

#include "penstock/loader/tests/small_data.h"

namespace penstock::loader {
namespace {

using ::testing::HasSubstr;

class ReadingTest : public SmallData {
 protected:
  // Every sample, with as many reads in flight as `options` allow.
  static std::vector<std::string> read_all(const Dataset& data, const ReadOptions& options) {
    SampleReader reader(data, options);
    const auto count = static_cast<std::int64_t>(data.samples().size());
    std::vector<std::string> all;
    std::int64_t started = 0;
    while (static_cast<std::int64_t>(all.size()) < count) {
      while (started < count && reader.pending() < options.depth) reader.start(started++);
      const Result<SampleBytes> read = reader.finish();
      EXPECT_TRUE(read) << read.error().text();
      if (!read) return all;
      EXPECT_EQ(read->sample, static_cast<std::int64_t>(all.size()));
      all.emplace_back(reinterpret_cast<const char*>(read->bytes.data()), read->bytes.size());
    }
    return all;
  }
};

TEST_F(ReadingTest, IoUringAndPreadAndThePageCacheGiveTheFilesBytes) {
  for (const std::string& root : {write_tree("tree", 40), write_shards("shards", 40)}) {
    const Result<Dataset> data = Dataset::open(root);
    ASSERT_TRUE(data);
    std::vector<std::string> expected;
    for (const Sample& sample : data->samples()) {
      expected.push_back(core::read_file(data->files()[static_cast<std::size_t>(sample.file)])
                             ->substr(static_cast<std::size_t>(sample.offset),
                                      static_cast<std::size_t>(sample.bytes)));
    }
    EXPECT_TRUE(read_all(*data, {}) == expected);
    EXPECT_TRUE(read_all(*data, {.direct = true, .io_uring = false}) == expected);
    for (const int depth : {1, 4, 16}) {
      EXPECT_TRUE(read_all(*data, {.direct = true, .depth = depth}) == expected) << depth;
    }
  }
}

TEST_F(ReadingTest, IoUringIsUsedWhereTheKernelHasIt) {
  const Result<Dataset> data = Dataset::open(write_tree("tree", 3));
  ASSERT_TRUE(data);
  if (!SampleReader(*data, {.direct = true}).uses_io_uring()) GTEST_SKIP() << "no io_uring here";
  EXPECT_FALSE(SampleReader(*data, {.direct = true, .io_uring = false}).uses_io_uring());
  EXPECT_FALSE(SampleReader(*data, {}).uses_io_uring());
}

TEST_F(ReadingTest, AFileThatIsGoneOrShorterIsNamedAndTheOthersAreRead) {
  const std::string root = write_tree("tree", 6);
  const Result<Dataset> data = Dataset::open(root);
  ASSERT_TRUE(data);
  std::filesystem::remove(data->files()[1]);
  std::filesystem::resize_file(data->files()[2], 100);
  for (const bool direct : {false, true}) {
    SampleReader reader(*data, {.direct = direct, .depth = 4});
    for (std::int64_t i = 0; i < 4; ++i) reader.start(i);
    EXPECT_TRUE(reader.finish());
    const Result<SampleBytes> gone = reader.finish();
    ASSERT_FALSE(gone);
    EXPECT_THAT(gone.error().text(), HasSubstr("class-0/0003.jpg: cannot be read: No such file"));
    const Result<SampleBytes> shorter = reader.finish();
    ASSERT_FALSE(shorter);
    EXPECT_THAT(shorter.error().text(), HasSubstr("ends after 100 of"));
    EXPECT_TRUE(reader.finish());
  }
}

TEST_F(ReadingTest, ThePageCacheIsCountedAsNoDisk) {
  const std::string root = write_tree("tree", 8);
  struct statfs system = {};
  ASSERT_EQ(::statfs(root.c_str(), &system), 0);
  if (system.f_type == TMPFS_MAGIC) GTEST_SKIP() << "temporary files live in memory here";
  const Result<Dataset> data = Dataset::open(root);
  ASSERT_TRUE(data);
  const auto disk_bytes = [&] {
    SampleReader reader(*data, {});
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < 8; ++i) {
      reader.start(i);
      sum += reader.finish()->disk_bytes;
    }
    return sum;
  };
  ASSERT_TRUE(drop_page_cache(*data));
  const std::int64_t cold = disk_bytes();
  if (cold == 0) GTEST_SKIP() << "this file system does not drop its cache";
  EXPECT_EQ(cold, data->bytes());
  EXPECT_EQ(disk_bytes(), 0);
  SampleReader direct(*data, {.direct = true});
  direct.start(0);
  EXPECT_EQ(direct.finish()->disk_bytes, data->samples()[0].bytes);
}

TEST(DiskLimitTest, ReadsQueueAtTheRateAndAnIdleDiskSavesNothingUp) {
  DiskLimit limit(Bandwidth(1e6));  // a byte a microsecond
  constexpr std::int64_t kMicrosecond = 1000;
  EXPECT_EQ(limit.reserve(500, 0), 500 * kMicrosecond);
  EXPECT_EQ(limit.reserve(500, 100 * kMicrosecond), 1000 * kMicrosecond);
  EXPECT_EQ(limit.reserve(10, 5000 * kMicrosecond), 5010 * kMicrosecond);
}

}  // namespace
}  // namespace penstock::loader
