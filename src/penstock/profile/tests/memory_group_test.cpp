#include "penstock/profile/internal/memory_group.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace penstock::profile {
namespace {

using internal::MemoryGroup;

std::filesystem::path folder_of(const MemoryGroup& group) {
  return std::filesystem::path(group.join_file()).parent_path();
}

TEST(MemoryGroupTest, WhatAKilledProcessLeftGoesWhenTheNextGroupIsMade) {
  constexpr std::int64_t kLimit = 64 << 20;
  std::filesystem::path parent;
  {
    const Result<MemoryGroup> probe = MemoryGroup::create(kLimit);
    if (!probe) GTEST_SKIP() << probe.error().text();
    parent = folder_of(*probe).parent_path();
  }
  const pid_t gone = ::fork();
  if (gone == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(gone, nullptr, 0), gone);
  const std::filesystem::path stale = parent / ("penstock-" + std::to_string(gone) + "-1");
  // Of a process that lives, and of somebody else's making.
  const std::filesystem::path live = parent / ("penstock-" + std::to_string(::getppid()) + "-77");
  const std::filesystem::path foreign = parent / "penstock-of-others";
  for (const auto& folder : {stale, live, foreign}) {
    ASSERT_TRUE(std::filesystem::create_directory(folder));
  }
  {
    const Result<MemoryGroup> next = MemoryGroup::create(kLimit);
    EXPECT_TRUE(next);
    EXPECT_FALSE(std::filesystem::exists(stale));
    EXPECT_TRUE(std::filesystem::exists(live));
    EXPECT_TRUE(std::filesystem::exists(foreign));
  }
  ::rmdir(live.c_str());
  ::rmdir(foreign.c_str());
}

}  // namespace
}  // namespace penstock::profile
