#include "penstock/core/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace penstock::core {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class FileTest : public ::testing::Test {
 protected:
  FileTest() {
    folder_ = fs::path(::testing::TempDir()) /
              ("penstock_file_test_" + std::to_string(::getpid()) + "_" +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(folder_);
  }
  ~FileTest() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  fs::path folder_;
};

TEST_F(FileTest, ReadsBackTheSameBytesIncludingZerosAndLineFeeds) {
  std::string bytes;
  for (int i = 0; i < 200000; ++i) bytes += static_cast<char>(i % 256);
  ASSERT_TRUE(write_file(path("x"), bytes));
  EXPECT_EQ(read_file(path("x")).value(), bytes);
}

TEST_F(FileTest, ReplacesAnOlderFileAndLeavesNothingBeside) {
  ASSERT_TRUE(write_file(path("x"), "a long old content"));
  ASSERT_TRUE(write_file(path("x"), "new"));
  EXPECT_EQ(read_file(path("x")).value(), "new");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FileTest, FailsWithoutTraceWhereTheFolderIsAbsent) {
  const Status status = write_file(path("absent/x"), "new");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kMissing);
  EXPECT_THAT(status.error().text(), HasSubstr("absent/x: cannot be written"));
  EXPECT_EQ(entries(), 0u);
}

TEST_F(FileTest, RefusesAFolderAsAFile) {
  EXPECT_EQ(write_file(folder_.string(), "x").error().kind, ErrorKind::kInput);
  EXPECT_EQ(read_file(folder_.string()).error().kind, ErrorKind::kInput);
  EXPECT_EQ(entries(), 0u);
}

TEST_F(FileTest, SaysThatAnAbsentFileIsMissing) {
  const auto text = read_file(path("x"));
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().kind, ErrorKind::kMissing);
  EXPECT_THAT(text.error().text(), HasSubstr("no such file"));
}

TEST_F(FileTest, WritesIntoAPipeInsteadOfReplacingIt) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const int reader = ::open(path("pipe").c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  EXPECT_TRUE(write_file(path("pipe"), "through"));
  char buffer[16] = {};
  EXPECT_EQ(::read(reader, buffer, sizeof buffer), 7);
  ::close(reader);
  EXPECT_STREQ(buffer, "through");
  EXPECT_TRUE(fs::is_fifo(path("pipe")));
}

// Vectors of the FNV reference page (Fowler, Noll, Vo), 64 bits, variant 1a.
TEST(ContentHashTest, MatchesThePublishedFnvVectors) {
  EXPECT_EQ(content_hash(""), "cbf29ce484222325");
  EXPECT_EQ(content_hash("a"), "af63dc4c8601ec8c");
  EXPECT_EQ(content_hash("foobar"), "85944171f73967e8");
}

TEST_F(FileTest, AFullDiskIsSaidWithItsMend) {
  const Status status = write_file("/dev/full", "text");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kMissing);
  EXPECT_NE(status.error().text().find("make room"), std::string::npos) << status.error().text();
}

}  // namespace
}  // namespace penstock::core
