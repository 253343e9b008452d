// Synthetic data sets: the same bytes always, whole files only, like photographs.
#include "penstock/loader/synth.h"

#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <map>

#include "penstock/core/interrupt.h"
#include "penstock/loader/dataset.h"
#include "penstock/loader/images.h"
#include "penstock/loader/tests/small_data.h"

namespace penstock::loader {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class SynthTest : public SmallData {
 protected:
  // Every file below `name` by its path.
  std::map<std::string, std::string> files(const std::string& name) const {
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(path(name))) {
      if (!entry.is_regular_file()) continue;
      found[entry.path().lexically_relative(path(name)).string()] =
          *core::read_file(entry.path().string());
    }
    return found;
  }
  static int exit_code(pid_t pid) {
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  // Nothing half-written: no temporary files, and every image has its end.
  void expect_whole(const std::string& name) const {
    for (const auto& [file, bytes] : files(name)) {
      EXPECT_THAT(file, ::testing::Not(HasSubstr("partial")));
      EXPECT_TRUE(!file.ends_with(".jpg") || bytes.ends_with("\xFF\xD9")) << file;
    }
  }
};

TEST_F(SynthTest, TheSameSeedGivesTheSameBytesAtAnyNumberOfThreads) {
  ASSERT_TRUE(synthesize(path("a"), {.images = 12, .seed = 3, .classes = 4, .threads = 1}));
  ASSERT_TRUE(synthesize(path("b"), {.images = 12, .seed = 3, .classes = 4, .threads = 5}));
  EXPECT_TRUE(files("a") == files("b"));
  EXPECT_EQ(files("a").size(), 13u);  // and the manifest
  EXPECT_FALSE(synthetic_jpeg(3, 0) == synthetic_jpeg(4, 0));
  EXPECT_FALSE(synthetic_jpeg(3, 0) == synthetic_jpeg(3, 1));
}

TEST_F(SynthTest, ShardsHoldTheSameImages) {
  ASSERT_TRUE(synthesize(path("tree"), {.images = 11, .classes = 4}));
  ASSERT_TRUE(synthesize(path("shards"), {.images = 11, .classes = 4, .shards = 3}));
  const Result<Dataset> tree = Dataset::open(path("tree"));
  const Result<Dataset> shards = Dataset::open(path("shards"));
  ASSERT_TRUE(tree && shards) << shards.error().text();
  EXPECT_EQ(shards->files().size(), 3u);
  EXPECT_EQ(shards->samples().size(), 11u);
  EXPECT_EQ(shards->bytes(), tree->bytes());
  EXPECT_EQ(shards->classes().size(), tree->classes().size());
}

TEST_F(SynthTest, SizesAreImageNetsAndEveryImageDecodes) {
  double sum = 0;
  std::size_t least = 1 << 30;
  std::size_t most = 0;
  int usual = 0;
  constexpr int kImages = 100;
  ImageDecoder decoder({.size = 32});
  std::vector<float> pixels(3 * 32 * 32);
  for (int i = 0; i < kImages; ++i) {
    const std::string jpeg = synthetic_jpeg(0, i);
    sum += static_cast<double>(jpeg.size());
    least = std::min(least, jpeg.size());
    most = std::max(most, jpeg.size());
    const auto size =
        decoder.open({reinterpret_cast<const std::uint8_t*>(jpeg.data()), jpeg.size()});
    ASSERT_TRUE(size);
    usual += size->width == 500 && size->height == 375 ? 1 : 0;
    ASSERT_TRUE(decoder.decode({0, 0, size->width, size->height, false}, pixels.data()));
  }
  EXPECT_NEAR(sum / kImages, 110e3, 15e3);
  EXPECT_LT(least, 60e3);
  EXPECT_GT(most, 180e3);
  EXPECT_GT(usual, kImages / 2);
}

TEST_F(SynthTest, AnInterruptLeavesWholeFilesAndTheSameCallGoesOn) {
  const SynthOptions options = {.images = 40, .classes = 2, .threads = 2};
  const pid_t child = ::fork();
  if (child == 0) {
    core::install_interrupt_handler();
    const Status status = synthesize(path("data"), options);
    ::_exit(status ? 0 : static_cast<int>(status.error().kind));
  }
  while (!fs::exists(path("data/class-0001/00000003.jpg")) && ::kill(child, 0) == 0) {
    ::sched_yield();
  }
  ASSERT_EQ(::kill(child, SIGINT), 0);
  EXPECT_EQ(exit_code(child), static_cast<int>(ErrorKind::kNegative));
  expect_whole("data");
  EXPECT_LT(files("data").size(), 41u);
  ASSERT_TRUE(synthesize(path("data"), options));
  ASSERT_TRUE(synthesize(path("fresh"), options));
  EXPECT_TRUE(files("data") == files("fresh"));
}

TEST_F(SynthTest, AFullDiskIsNamedAndLeavesWholeFilesOnly) {
  fs::create_directories(path("disk"));
  const pid_t child = ::fork();
  if (child == 0) {
    // As root a file system of 300 kB; else no file may grow beyond 50 kB.
    const bool mounted = ::unshare(CLONE_NEWNS) == 0 &&
                         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         ::mount("tmpfs", path("disk").c_str(), "tmpfs", 0, "size=300k") == 0;
    if (!mounted) {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit limit = {50'000, 50'000};
      ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    const Status status = synthesize(path("disk/data"), {.images = 50, .threads = 2});
    if (status) ::_exit(10);
    const std::string text = status.error().text();
    const char* reason = mounted ? "cannot be written: No space left" : "cannot be written: File";
    if (text.find(reason) == std::string::npos || text.find(".jpg") == std::string::npos) {
      std::fprintf(stderr, "%s\n", text.c_str());
      ::_exit(11);
    }
    expect_whole("disk/data");
    ::_exit(HasFailure() ? 12 : 0);
  }
  EXPECT_EQ(exit_code(child), 0);
}

TEST_F(SynthTest, AnotherDataSetAndAFolderInUseAreLeftAlone) {
  ASSERT_TRUE(synthesize(path("data"), {.images = 2}));
  const Status other = synthesize(path("data"), {.images = 3});
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().text(), HasSubstr("holds a synthetic data set of other options"));
  write("mine/thesis.tex", "");
  const Status mine = synthesize(path("mine"), {.images = 3});
  ASSERT_FALSE(mine);
  EXPECT_THAT(mine.error().text(), HasSubstr("is not empty"));
  EXPECT_FALSE(synthesize(path("none"), {.images = 0}));
  EXPECT_FALSE(fs::exists(path("none")));
}

}  // namespace
}  // namespace penstock::loader
