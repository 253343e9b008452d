#include <gmock/gmock.h>

#include <sstream>

#include "penstock/cli/tests/scenario.h"

namespace penstock::cli {

namespace {

using ::testing::HasSubstr;

class CatalogCommandTest : public Scenario {
 protected:
  Status catalog(std::vector<std::string> words) {
    words.insert(words.begin(), "catalog");
    return run(std::move(words));
  }
};

TEST_F(CatalogCommandTest, PrintsTablesThatFitAHundredColumns) {
  const std::vector<std::vector<std::string>> pages = {
      {}, {"accelerators"}, {"links"}, {"instances"}, {"p3.8xlarge"}, {"H100"}};
  for (const std::vector<std::string>& page : pages) {
    ASSERT_TRUE(catalog(page)) << complained();
    std::istringstream lines(printed());
    std::string line;
    while (std::getline(lines, line)) EXPECT_LE(line.size(), 100u) << line;
  }
}

TEST_F(CatalogCommandTest, ShowsPriceSourceAndDateOfAnInstance) {
  ASSERT_TRUE(catalog({"p3.16xlarge"}));
  EXPECT_THAT(printed(),
              testing::ContainsRegex("on_demand +24.48 \\$/h +ec2instances.info: us-east-1 on "
                                     "demand +2024-04\n"));
  EXPECT_THAT(printed(), testing::ContainsRegex("memory +488 GiB +Karpenter"));
}

TEST_F(CatalogCommandTest, GivesEachNumberOfTheDocumentItsSource) {
  ASSERT_TRUE(catalog({"--json"}));
  const core::Json document = printed_json();
  for (const char* section : {"accelerators", "links", "instances"}) {
    ASSERT_FALSE(document.at(section).empty()) << section;
    for (const core::Json& entry : document.at(section)) {
      for (const auto& [key, value] : entry.items()) {
        EXPECT_TRUE(!value.is_number() || entry["sources"].contains(key)) << entry["name"] << key;
      }
    }
  }
}

TEST_F(CatalogCommandTest, NamesTheNearestEntry) {
  const Status status = catalog({"links", "NVLink33"});
  EXPECT_EQ(exit_code(status), static_cast<int>(ErrorKind::kInput));
  EXPECT_THAT(complained(), HasSubstr("did you mean \"NVLink3\"?"));
  EXPECT_EQ(printed(), "");
  EXPECT_FALSE(catalog({"V100", "T4"}));
  EXPECT_FALSE(catalog({"links", "V100"}));
}

TEST_F(CatalogCommandTest, ReadsAUsersCatalogueOverTheBuiltIn) {
  const std::string ours = write("ours.toml",
                                 "[instance.\"p3.2xlarge\"]\non_demand = \"2 $/h\"\n"
                                 "source = \"our contract\"\ndate = \"2025-01\"\n");
  ASSERT_TRUE(catalog({"p3.2xlarge", "--catalog", ours}));
  EXPECT_THAT(printed(), testing::ContainsRegex("on_demand +2 \\$/h +our contract +2025-01"));
  EXPECT_THAT(printed(), testing::ContainsRegex("spot +1.408 \\$/h +ec2instances"));
  EXPECT_EQ(exit_code(catalog({"--catalog", path("none.toml")})),
            static_cast<int>(ErrorKind::kMissing));
}

}  // namespace
}  // namespace penstock::cli
