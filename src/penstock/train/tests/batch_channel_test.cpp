// Batches between two processes: order, ends, and the death of either side.
#include "penstock/train/batch_channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>

#include "penstock/core/file.h"

namespace penstock::train {
namespace {

using ::testing::HasSubstr;

constexpr BatchShape kShape = {.batch = 3, .channels = 2, .height = 4, .width = 5, .slots = 2};
constexpr std::size_t kPixels = std::size_t{3} * 2 * 4 * 5;

class BatchChannelTest : public ::testing::Test {
 protected:
  BatchChannelTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "channel-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    path_ = folder_ + "/channel";
  }
  ~BatchChannelTest() override { std::filesystem::remove_all(folder_); }

  // Runs `body` in a process of its own, which ends with its result.
  static pid_t in_child(const std::function<int()>& body) {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(body());
    return pid;
  }
  static int exit_code(pid_t pid) {
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  static BatchWriter writer_at(const std::string& path) {
    Result<BatchWriter> writer = BatchWriter::create(path, kShape);
    EXPECT_TRUE(writer) << writer.error().text();
    return std::move(*writer);
  }

  std::string folder_;
  std::string path_;
};

float pixel_of(std::int64_t batch, std::size_t at) {
  return static_cast<float>(batch * 1000 + static_cast<std::int64_t>(at));
}

void fill(const BatchSlot& slot, std::int64_t batch) {
  for (std::size_t i = 0; i < kPixels; ++i) slot.pixels[i] = pixel_of(batch, i);
  for (int i = 0; i < kShape.batch; ++i) slot.labels[i] = static_cast<int>(batch) * 10 + i;
}

// Writes `batches`, the last one of a single sample; 0 where all went well.
int write_batches(const std::string& path, std::int64_t batches) {
  Result<BatchWriter> writer = BatchWriter::create(path, kShape);
  if (!writer) return 1;
  for (std::int64_t batch = 0; batch < batches; ++batch) {
    Result<BatchSlot> slot = writer->acquire();
    if (!slot) return 2;
    fill(*slot, batch);
    writer->publish(batch + 1 == batches ? 1 : kShape.batch);
  }
  writer->close();
  // The file goes with the writer, and the reader has to have opened it.
  while (writer->acquire_for(Seconds(0.01))) {
  }
  return writer->reader_left() ? 0 : 3;
}

TEST_F(BatchChannelTest, BatchesArriveWholeAndInOrderThroughTwoSlots) {
  const pid_t child = in_child([this] { return write_batches(path_, 200); });
  {
    Result<BatchReader> reader = BatchReader::open(path_, Seconds(30));
    ASSERT_TRUE(reader) << reader.error().text();
    EXPECT_EQ(reader->shape().width, 5);
    for (std::int64_t batch = 0; batch < 200; ++batch) {
      const auto view = reader->next();
      ASSERT_TRUE(view) << view.error().text();
      ASSERT_TRUE(*view);
      EXPECT_EQ((*view)->sequence, batch);
      EXPECT_EQ((*view)->samples, batch == 199 ? 1 : 3);
      for (std::size_t i = 0; i < kPixels; ++i) {
        ASSERT_EQ((*view)->pixels[i], pixel_of(batch, i)) << batch << " " << i;
      }
      EXPECT_EQ((*view)->labels[2], batch * 10 + 2);
      reader->release();
    }
    const auto end = reader->next();
    ASSERT_TRUE(end);
    EXPECT_FALSE(*end);
  }
  EXPECT_EQ(exit_code(child), 0);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(BatchChannelTest, AKilledWriterIsNamedAfterItsBatchesAreRead) {
  const pid_t child = in_child([this] {
    BatchWriter writer = writer_at(path_);
    fill(*writer.acquire(), 0);
    writer.publish(3);
    ::raise(SIGKILL);
    return 0;
  });
  Result<BatchReader> reader = BatchReader::open(path_, Seconds(30));
  ASSERT_TRUE(reader) << reader.error().text();
  const auto first = reader->next();
  ASSERT_TRUE(first && *first);
  reader->release();
  const auto second = reader->next();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kNegative);
  EXPECT_THAT(second.error().text(),
              HasSubstr("process " + std::to_string(child) + ", which loads the data, has died"));
  EXPECT_EQ(exit_code(child), -SIGKILL);
}

TEST_F(BatchChannelTest, AKilledReaderIsNamedToTheWriter) {
  BatchWriter writer = writer_at(path_);
  const pid_t child = in_child([this] {
    const Result<BatchReader> reader = BatchReader::open(path_, Seconds(30));
    ::raise(reader ? SIGKILL : SIGTERM);
    return 0;
  });
  Result<BatchSlot> slot = writer.acquire();
  for (int batch = 0; batch < 2 && slot; ++batch) slot = writer.acquire();
  ASSERT_FALSE(slot);
  EXPECT_EQ(slot.error().kind, ErrorKind::kNegative);
  EXPECT_THAT(slot.error().text(), HasSubstr("process " + std::to_string(child)));
  EXPECT_FALSE(writer.reader_left());
  EXPECT_EQ(exit_code(child), -SIGKILL);
}

TEST_F(BatchChannelTest, AReaderThatLeavesIsNotADeadOne) {
  BatchWriter writer = writer_at(path_);
  EXPECT_FALSE(writer.has_reader());
  { ASSERT_TRUE(BatchReader::open(path_, Seconds(0))); }
  EXPECT_TRUE(writer.has_reader());
  const Result<BatchSlot> slot = writer.acquire();
  ASSERT_FALSE(slot);
  EXPECT_TRUE(writer.reader_left());
  EXPECT_THAT(slot.error().text(), HasSubstr("has left"));
}

TEST_F(BatchChannelTest, MemoryIsBoundedByTheSlots) {
  BatchWriter writer = writer_at(path_);
  Result<BatchReader> reader = BatchReader::open(path_, Seconds(0));
  ASSERT_TRUE(reader);
  const BatchSlot first = *writer.acquire();
  const BatchSlot second = *writer.acquire();
  EXPECT_NE(first.pixels, second.pixels);
  EXPECT_FALSE(*writer.acquire_for(Seconds(0)));
  writer.publish(3);
  EXPECT_FALSE(*writer.acquire_for(Seconds(0)));  // read or not, the slot is taken
  ASSERT_TRUE(reader->next());
  EXPECT_FALSE(*writer.acquire_for(Seconds(0)));
  reader->release();
  const auto third = writer.acquire_for(Seconds(0));
  ASSERT_TRUE(third && *third);
  EXPECT_EQ((*third)->pixels, first.pixels);
}

TEST_F(BatchChannelTest, SlotsHeldTogetherAreDeliveredAsTheyWereAcquired) {
  BatchWriter writer = writer_at(path_);
  Result<BatchReader> reader = BatchReader::open(path_, Seconds(0));
  ASSERT_TRUE(reader);
  const BatchSlot first = *writer.acquire();
  const BatchSlot second = *writer.acquire();
  fill(second, 1);
  fill(first, 0);
  writer.publish(3);
  writer.publish(3);
  EXPECT_EQ((*reader->next())->labels[0], 0);
  reader->release();
  EXPECT_EQ((*reader->next())->labels[0], 10);
}

TEST_F(BatchChannelTest, AFailureReachesTheReaderInTheWritersWords) {
  BatchWriter writer = writer_at(path_);
  Result<BatchReader> reader = BatchReader::open(path_, Seconds(0));
  ASSERT_TRUE(reader);
  fill(*writer.acquire(), 0);
  writer.publish(3);
  writer.fail("7 of 100 images are bad, a.jpg the first");
  ASSERT_TRUE(reader->next());
  reader->release();
  const auto batch = reader->next();
  ASSERT_FALSE(batch);
  EXPECT_THAT(batch.error().text(), HasSubstr("7 of 100 images are bad, a.jpg the first"));
}

TEST_F(BatchChannelTest, CountersAreNeverSeenHalfWritten) {
  BatchWriter writer = writer_at(path_);
  const pid_t child = in_child([this] {
    Result<BatchReader> reader = BatchReader::open(path_, Seconds(30));
    if (!reader) return 1;
    std::int64_t last = 0;
    while (last < 100'000) {
      const LoaderCounters c = reader->counters();
      if (c.samples != c.disk_bytes || c.samples != c.cpu_ns || c.samples != c.workers) return 2;
      if (c.samples < last) return 3;
      last = c.samples;
    }
    return 0;
  });
  for (std::int64_t n = 1; n <= 100'000; ++n) {
    writer.set_counters({n, n, n, n, n, n, n, n, static_cast<std::int32_t>(n)});
  }
  EXPECT_EQ(exit_code(child), 0);
}

TEST_F(BatchChannelTest, AChannelInUseAndAFileThatIsNoneAreNotOverwritten) {
  ASSERT_TRUE(core::write_file(path_, "precious"));
  const auto over_file = BatchWriter::create(path_, kShape);
  ASSERT_FALSE(over_file);
  EXPECT_THAT(over_file.error().text(), HasSubstr("is no batch channel"));
  EXPECT_EQ(*core::read_file(path_), "precious");
  std::filesystem::remove(path_);

  const BatchWriter writer = writer_at(path_);
  const auto over_writer = BatchWriter::create(path_, kShape);
  ASSERT_FALSE(over_writer);
  EXPECT_THAT(over_writer.error().text(), HasSubstr("already writes to this channel"));
  ASSERT_TRUE(BatchReader::open(path_, Seconds(0)));
  EXPECT_THAT(BatchReader::open(path_, Seconds(0)).error().text(), HasSubstr("already reads"));
}

TEST_F(BatchChannelTest, WhatAKilledWriterLeftIsReplaced) {
  const pid_t child = in_child([this] {
    const BatchWriter writer = writer_at(path_);
    ::raise(SIGKILL);
    return 0;
  });
  EXPECT_EQ(exit_code(child), -SIGKILL);
  ASSERT_TRUE(std::filesystem::exists(path_));
  EXPECT_TRUE(BatchWriter::create(path_, kShape));
}

TEST_F(BatchChannelTest, AMissingLoaderAndAnImpossibleShapeAreErrors) {
  const auto reader = BatchReader::open(path_, Seconds(0));
  ASSERT_FALSE(reader);
  EXPECT_EQ(reader.error().kind, ErrorKind::kMissing);
  EXPECT_THAT(reader.error().text(), HasSubstr("penstock load run"));
  EXPECT_FALSE(BatchWriter::create(path_, {.batch = 0}));
  const auto nowhere = BatchWriter::create(folder_ + "/absent/channel", kShape);
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().kind, ErrorKind::kMissing);
}

}  // namespace
}  // namespace penstock::train
