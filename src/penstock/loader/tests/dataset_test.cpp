// Folder trees and tar shards as indices of samples.
#include "penstock/loader/dataset.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "penstock/loader/tests/small_data.h"

namespace penstock::loader {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class DatasetTest : public SmallData {
 protected:
  static std::string refusal(const std::string& path, ErrorKind kind) {
    const Result<Dataset> data = Dataset::open(path);
    EXPECT_FALSE(data);
    if (data) return "";
    EXPECT_EQ(data.error().kind, kind) << data.error().text();
    return data.error().text();
  }
  static std::string bytes_of(const Dataset& data, std::size_t at) {
    const Sample& sample = data.samples()[at];
    const auto file = core::read_file(data.files()[static_cast<std::size_t>(sample.file)]);
    EXPECT_TRUE(file);
    return file->substr(static_cast<std::size_t>(sample.offset),
                        static_cast<std::size_t>(sample.bytes));
  }
};

TEST_F(DatasetTest, ClassesAreTheFirstLevelOfFoldersSortedByByte) {
  write("data/b/2.JPEG", small_jpeg(2));
  write("data/b/deeper/1.jpg", small_jpeg(1));
  write("data/B/3.jpeg", small_jpeg(3));
  write("data/a/0.JPG", small_jpeg(0));
  write("data/a/notes.txt", "no image");
  write("data/top.jpg", small_jpeg(4));
  const Result<Dataset> data = Dataset::open(path("data"));
  ASSERT_TRUE(data) << data.error().text();
  EXPECT_THAT(data->classes(), ElementsAre(".", "B", "a", "b"));
  ASSERT_EQ(data->samples().size(), 5u);
  const std::vector<std::string> names = {"B/3.jpeg", "a/0.JPG", "b/2.JPEG", "b/deeper/1.jpg",
                                          "top.jpg"};
  const std::vector<int> labels = {1, 2, 3, 3, 0};
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(data->name(static_cast<std::int64_t>(i)), names[i]);
    EXPECT_EQ(data->samples()[i].label, labels[i]);
  }
  EXPECT_TRUE(bytes_of(*data, 0) == small_jpeg(3));
  EXPECT_EQ(data->ignored(), 1);
  EXPECT_FALSE(data->is_sharded());
}

TEST_F(DatasetTest, ShardsAreReadInPlaceAndGiveTheSameBytes) {
  const Result<Dataset> tree = Dataset::open(write_tree("tree", 20));
  const Result<Dataset> shards = Dataset::open(write_shards("shards", 20));
  ASSERT_TRUE(tree && shards) << shards.error().text();
  ASSERT_EQ(shards->samples().size(), 20u);
  EXPECT_EQ(shards->files().size(), 2u);
  EXPECT_EQ(shards->bytes(), tree->bytes());
  EXPECT_THAT(shards->classes(), ElementsAre("0", "1", "2"));
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_TRUE(bytes_of(*shards, i) == bytes_of(*tree, i)) << i;
    EXPECT_EQ(shards->samples()[i].label, tree->samples()[i].label) << i;
  }
  EXPECT_EQ(shards->name(0), path("shards/0.tar") + ":0000.jpg");
  EXPECT_TRUE(Dataset::open(path("shards/1.tar")));
}

// The layouts that real tar programs write: long names in pax records, GNU's long links, ustar's
// prefix.
TEST_F(DatasetTest, EveryCommonKindOfTarIsUnderstood) {
  const std::string folder = "long/" + std::string(70, 'd') + "/" + std::string(70, 'e');
  write(folder + "/a.b.jpg", small_jpeg(1));
  write(folder + "/a.b.json", "{}");
  write(folder + "/a.cls", "7");
  for (const std::string format : {"pax", "gnu", "ustar"}) {
    std::filesystem::create_directories(path(format));
    const std::string command = "tar --format=" + format + " -C " + path("long") + " -cf " +
                                path(format) + "/0.tar . 2>" + path("log");
    if (std::system(command.c_str()) != 0) GTEST_SKIP() << "no GNU tar";
    const Result<Dataset> data = Dataset::open(path(format));
    ASSERT_TRUE(data) << format << ": " << data.error().text();
    ASSERT_EQ(data->samples().size(), 1u) << format;
    EXPECT_EQ(data->samples()[0].label, 7);
    EXPECT_TRUE(bytes_of(*data, 0) == small_jpeg(1));
    EXPECT_THAT(data->name(0), HasSubstr(std::string(70, 'e') + "/a.b.jpg"));
    EXPECT_EQ(data->ignored(), 1);
  }
}

TEST_F(DatasetTest, WhatIsNoDataSetIsNamed) {
  EXPECT_THAT(refusal(path("absent"), ErrorKind::kMissing), HasSubstr("penstock load synth"));
  write("text/readme.txt", "hello");
  EXPECT_THAT(refusal(path("text"), ErrorKind::kInput), HasSubstr("has no .jpg or .jpeg file"));
  EXPECT_THAT(refusal(path("text/readme.txt"), ErrorKind::kInput),
              HasSubstr("neither a folder nor a .tar file"));
}

TEST_F(DatasetTest, EveryDamagedShardIsNamedWithItsPlace) {
  const std::string good = member("0.jpg", small_jpeg(0)) + member("0.cls", "1");
  write("s/a.tar", good + std::string(1024, '\0'));
  write("s/b.tar", good.substr(0, 700));
  write("s/c.tar", std::string(2048, 'x'));
  write("s/d.tar", std::string(1024, '\0'));
  write("s/e.tar", member("0.jpg", small_jpeg(0)) + std::string(1024, '\0'));
  write("s/f.tar", member("0.jpg", small_jpeg(0)) + member("0.cls", "cat"));
  const std::string text = refusal(path("s"), ErrorKind::kInput);
  EXPECT_THAT(text, ::testing::Not(HasSubstr("a.tar")));
  EXPECT_THAT(text, HasSubstr("b.tar: byte 0: the member \"0.jpg\" has"));
  EXPECT_THAT(text, HasSubstr("c.tar: byte 0: the header is damaged or this is no tar file"));
  EXPECT_THAT(text, HasSubstr("d.tar: has no .jpg or .jpeg member"));
  EXPECT_THAT(text, HasSubstr("e.tar: 0.jpg: has no class; put 0.cls beside it"));
  EXPECT_THAT(text, HasSubstr("f.tar: 0.cls: is no class number"));
}

TEST_F(DatasetTest, AnUnreadableFolderIsNamed) {
  write_tree("data", 6);
  std::filesystem::permissions(folder_, std::filesystem::perms(0755));
  std::filesystem::permissions(path("data/class-1"), std::filesystem::perms::none);
  // Root may read everything, so it asks as somebody else.
  constexpr uid_t kNobody = 65534;
  const bool is_root = ::geteuid() == 0;
  ASSERT_TRUE(!is_root || ::seteuid(kNobody) == 0);
  EXPECT_THAT(refusal(path("data"), ErrorKind::kMissing), HasSubstr("class-1"));
  ASSERT_TRUE(!is_root || ::seteuid(0) == 0);
  std::filesystem::permissions(path("data/class-1"), std::filesystem::perms::owner_all);
}

}  // namespace
}  // namespace penstock::loader
