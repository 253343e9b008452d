#include "penstock/core/private_folder.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace penstock::core {
namespace {

namespace fs = std::filesystem;

class PrivateFolderTest : public ::testing::Test {
 protected:
  PrivateFolderTest() {
    std::string pattern = (fs::temp_directory_path() / "penstock-XXXXXX").string();
    parent_ = ::mkdtemp(pattern.data());
  }
  ~PrivateFolderTest() override { fs::remove_all(parent_); }
  std::size_t entries() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(parent_), fs::directory_iterator()));
  }
  std::string parent_;
};

TEST_F(PrivateFolderTest, OnlyItsOwnerMayEnterAndItGoesWithIt) {
  {
    const Result<PrivateFolder> folder = PrivateFolder::create(parent_);
    ASSERT_TRUE(folder) << folder.error().text();
    std::ofstream(folder->path() + "/file") << "text";
    struct stat info = {};
    ASSERT_EQ(::stat(folder->path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777U, 0700U);
  }
  EXPECT_EQ(entries(), 0U);
}

TEST_F(PrivateFolderTest, TheNextOneRemovesWhatAKilledOwnerHasLeftAndNothingElse) {
  const Result<PrivateFolder> living = PrivateFolder::create(parent_);
  ASSERT_TRUE(living);
  fs::create_directory(parent_ + "/penstock-run-of-yesterday");
  const pid_t child = ::fork();
  if (child == 0) {
    const Result<PrivateFolder> folder = PrivateFolder::create(parent_);
    if (!folder) ::_exit(1);
    std::ofstream(folder->path() + "/file") << "text";
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(entries(), 3U);
  const Result<PrivateFolder> next = PrivateFolder::create(parent_);
  ASSERT_TRUE(next);
  EXPECT_TRUE(fs::exists(living->path()));
  EXPECT_TRUE(fs::exists(next->path()));
  EXPECT_TRUE(fs::exists(parent_ + "/penstock-run-of-yesterday"));
  EXPECT_EQ(entries(), 3U);
}

TEST_F(PrivateFolderTest, AParentThatIsNotThereIsNamed) {
  const Result<PrivateFolder> folder = PrivateFolder::create(parent_ + "/absent");
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().kind, ErrorKind::kMissing);
  EXPECT_NE(folder.error().text().find("/absent: no folder can be made there"), std::string::npos);
}

}  // namespace
}  // namespace penstock::core
