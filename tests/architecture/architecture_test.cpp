// The source tree keeps the rules of the house.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "rules.h"

namespace penstock::architecture {
namespace {

using testing::IsEmpty;

const SourceTree& tree() {
  static const SourceTree kTree = read_source_tree(PENSTOCK_SOURCE_DIR, PENSTOCK_ROOMS_FILE);
  return kTree;
}

TEST(ArchitectureTest, TheTreeIsReadWithItsRooms) {
  EXPECT_TRUE(tree().files.contains("src/penstock/core/result.h"));
  ASSERT_FALSE(tree().rooms.empty());
  EXPECT_EQ(tree().rooms.front().name, "core");
  EXPECT_EQ(tree().rooms.front().floor, 0);
}

TEST(ArchitectureTest, RoomsIncludeOnlyTheirDepsOnLowerFloors) {
  EXPECT_THAT(wrong_includes(tree()), IsEmpty());
}

TEST(ArchitectureTest, HeavyLibrariesHaveOneDoor) {
  EXPECT_THAT(libraries_past_their_door(tree()), IsEmpty());
}

TEST(ArchitectureTest, LibrariesHaveNoStandardStreams) {
  EXPECT_THAT(stream_headers(tree()), IsEmpty());
}

TEST(ArchitectureTest, RoomsStayBelowTheirHeaderCaps) {
  EXPECT_THAT(too_many_headers(tree()), IsEmpty());
}

TEST(ArchitectureTest, EveryRoomIsDeclaredExplainedAndTested) {
  EXPECT_THAT(incomplete_rooms(tree()), IsEmpty());
}

TEST(ArchitectureTest, NamesSaySomething) { EXPECT_THAT(empty_names(tree()), IsEmpty()); }

TEST(ArchitectureTest, FilesStayBelow600Lines) {
  std::ifstream in(PENSTOCK_SOURCE_DIR "/tests/architecture/long_files.txt");
  ASSERT_TRUE(in.good());
  std::ostringstream allowed;
  allowed << in.rdbuf();
  EXPECT_THAT(long_files(tree(), allowed.str()), IsEmpty());
}

TEST(ArchitectureTest, NoFileNamesAPathOfOneMachine) {
  EXPECT_THAT(machine_paths(tree()), IsEmpty());
}

TEST(ArchitectureTest, NothingIsMarkedUnfinished) {
  EXPECT_THAT(unfinished_work(tree()), IsEmpty());
}

TEST(ArchitectureTest, TestsDoNotSleep) { EXPECT_THAT(sleeping_tests(tree()), IsEmpty()); }

}  // namespace
}  // namespace penstock::architecture
