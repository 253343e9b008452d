// Each rule finds what it looks for, and nothing else, in made-up trees.
#include "rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace penstock::architecture {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

SourceTree tree_of(std::map<std::string, std::string> files) {
  return {
      .root = "/checkout",
      .files = std::move(files),
      .rooms = parse_rooms("core 0 \nhardware 1 core\nmodel 1 core\npartition 3 core hardware\n")};
}

TEST(RulesTest, RoomsAreReadFromTheirLines) {
  const std::vector<Room> rooms = parse_rooms("core 0 \npartition 3 core model\n");
  ASSERT_EQ(rooms.size(), 2U);
  EXPECT_EQ(rooms[1].name, "partition");
  EXPECT_EQ(rooms[1].floor, 3);
  EXPECT_THAT(rooms[1].deps, ElementsAre("core", "model"));
}

TEST(RulesTest, AnIncludeOfAListedRoomBelowIsRight) {
  EXPECT_THAT(wrong_includes(tree_of({{"src/penstock/partition/a.cpp",
                                       "#include \"penstock/partition/internal/b.h\"\n"
                                       "#include \"penstock/hardware/array.h\"\n"
                                       "#include \"penstock/version.h\"\n"
                                       "#include <vector>\n"}})),
              IsEmpty());
}

TEST(RulesTest, AnIncludeOutsideDepsIsFoundWithItsLine) {
  EXPECT_THAT(wrong_includes(tree_of({{"src/penstock/partition/a.cpp",
                                       "#pragma once\n#include \"penstock/model/graph.h\"\n"}})),
              ElementsAre("src/penstock/partition/a.cpp:2: model is not in the DEPS of partition"));
}

TEST(RulesTest, AnIncludeSidewaysIsFoundEvenIfListed) {
  SourceTree tree = tree_of({{"src/penstock/model/a.cpp",
                              "  #  include \"x\"\n#include \"penstock/hardware/array.h\"\n"}});
  tree.rooms[2].deps.emplace_back("hardware");
  EXPECT_THAT(wrong_includes(tree),
              ElementsAre("src/penstock/model/a.cpp:2: hardware is not on a floor below model"));
}

TEST(RulesTest, InternalHeadersAreForTheirOwnRoomAndNotForPublicHeaders) {
  EXPECT_THAT(wrong_includes(tree_of({{"src/penstock/partition/a.cpp",
                                       "#include \"penstock/hardware/internal/b.h\"\n"}})),
              ElementsAre(HasSubstr("internal to hardware")));
  EXPECT_THAT(wrong_includes(tree_of({{"src/penstock/hardware/a.h",
                                       "#include \"penstock/hardware/internal/b.h\"\n"}})),
              ElementsAre(HasSubstr("a public header includes")));
}

TEST(RulesTest, AHeavyLibraryIsFoundOutsideItsDoor) {
  const std::string text =
      "#include <onnx/onnx_pb.h>\n#include <CLI/CLI.hpp>\n#include <sqlite3.h>\n";
  EXPECT_THAT(libraries_past_their_door(tree_of({{"src/penstock/model/a.cpp", text}})),
              ElementsAre(HasSubstr(":2: CLI/CLI.hpp may be included only in cli"),
                          HasSubstr(":3: sqlite3.h may be included only in ledger")));
  EXPECT_THAT(libraries_past_their_door(
                  tree_of({{"src/penstock/partition/a.cpp", "#include <cuda_runtime.h>\n"}})),
              ElementsAre(HasSubstr("only in device, embedding")));
}

TEST(RulesTest, StandardStreamsAreFoundInLibrariesOnly) {
  EXPECT_THAT(
      stream_headers(tree_of({{"src/penstock/core/a.cpp", "#include <iostream>\n"},
                              {"src/penstock/core/tests/a_test.cpp", "#include <iostream>\n"}})),
      ElementsAre("src/penstock/core/a.cpp:1: includes <iostream>"));
}

TEST(RulesTest, HeadersAreCountedToTheCapAndOneBeyond) {
  std::map<std::string, std::string> files;
  for (int i = 0; i < 12; ++i) files["src/penstock/model/h" + std::to_string(i) + ".h"] = "";
  files["src/penstock/model/internal/i.h"] = "";
  EXPECT_THAT(too_many_headers(tree_of(files)), IsEmpty());
  files["src/penstock/model/one_more.h"] = "";
  EXPECT_THAT(too_many_headers(tree_of(files)), ElementsAre(HasSubstr("13 public headers")));
}

TEST(RulesTest, ARoomNeedsADeclarationAReadmeAndATest) {
  EXPECT_THAT(incomplete_rooms(tree_of({{"src/penstock/core/README.md", ""},
                                        {"src/penstock/core/tests/a_test.cpp", ""}})),
              IsEmpty());
  EXPECT_THAT(incomplete_rooms(tree_of({{"src/penstock/attic/a.cpp", ""}})),
              ElementsAre(HasSubstr("declares"), HasSubstr("README"), HasSubstr("tests")));
}

TEST(RulesTest, EmptyNamesAreFoundInFilesTypesAndNamespaces) {
  EXPECT_THAT(empty_names(tree_of({{"src/penstock/core/string_utils.h", ""}})),
              ElementsAre(HasSubstr("\"utils\"")));
  EXPECT_THAT(empty_names(tree_of({{"src/penstock/core/a.h",
                                    "class PlanManager {\nenum class Base { kA };\n"
                                    "namespace penstock::common {\nstruct Database {};\n"
                                    "// struct of a helper\n"}})),
              ElementsAre(HasSubstr(":1: PlanManager"), HasSubstr(":2: Base"),
                          HasSubstr(":3: penstock::common")));
}

TEST(RulesTest, FilesAreCountedTo600LinesAndOneBeyond) {
  const std::string limit(600, '\n');
  EXPECT_THAT(long_files(tree_of({{"a.cpp", limit}}), ""), IsEmpty());
  EXPECT_THAT(long_files(tree_of({{"a.cpp", limit + "\n"}}), ""),
              ElementsAre("a.cpp: 601 lines, above 600"));
  EXPECT_THAT(long_files(tree_of({{"a.cpp", limit + "\n"}}), "a.cpp a table of a standard\n"),
              IsEmpty());
  EXPECT_THAT(long_files(tree_of({{"a.cpp", limit}}), "a.cpp a table of a standard\n"),
              ElementsAre(HasSubstr("not that long")));
  EXPECT_THAT(long_files(tree_of({{"a.cpp", limit + "\n"}}), "a.cpp\n"),
              ElementsAre(HasSubstr("no reason")));
}

TEST(RulesTest, PathsOfOneMachineAreFound) {
  const std::string home = std::string("/ho") + "me/somebody/x";
  EXPECT_THAT(machine_paths(tree_of({{"a.md", "see " + home + "\n"}})),
              ElementsAre(HasSubstr("a.md:1")));
  EXPECT_THAT(machine_paths(tree_of({{"a.cpp", "\n\"/checkout/src/a.cpp\"\n"}})),
              ElementsAre(HasSubstr("a.cpp:2: names a path below /checkout/")));
  EXPECT_THAT(machine_paths(tree_of({{"a.md", "/usr/share/x ../home/x $HOME/home/x"}})), IsEmpty());
}

TEST(RulesTest, UnfinishedWorkAndSleepsAreFound) {
  EXPECT_THAT(unfinished_work(tree_of({{"a.md", std::string("x\nTO") + "DO: all\n"}})),
              ElementsAre(HasSubstr("a.md:2")));
  EXPECT_THAT(unfinished_work(tree_of({{"a.md", std::string("TO") + "DOS\n"}})), IsEmpty());
  const std::string call = std::string("std::this_thread::sleep") + "_for(1s);\n";
  EXPECT_THAT(sleeping_tests(tree_of({{"src/penstock/core/tests/a_test.cpp", call},
                                      {"src/penstock/core/a.cpp", call}})),
              ElementsAre(HasSubstr("a_test.cpp:1")));
}

}  // namespace
}  // namespace penstock::architecture
