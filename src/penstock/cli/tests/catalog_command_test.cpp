#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <sstream>

#include "penstock/cli/command.h"
#include "penstock/core/file.h"

namespace penstock::cli {

std::unique_ptr<Command> make_catalog_command();

namespace {

using ::testing::HasSubstr;

struct Outcome {
  Status status;
  std::string printed;
};

// Runs `penstock catalog ARGUMENTS` in this process.
Outcome run_catalog(const std::string& arguments) {
  CLI::App app;
  const std::unique_ptr<Command> command = make_catalog_command();
  command->declare(app);
  app.parse(arguments);
  ::testing::internal::CaptureStdout();
  Status status = command->prepare();
  if (status) status = command->run();
  return {std::move(status), ::testing::internal::GetCapturedStdout()};
}

TEST(CatalogCommandTest, PrintsTablesThatFitAHundredColumns) {
  for (const char* arguments : {"", "accelerators", "links", "instances", "p3.8xlarge", "H100"}) {
    const Outcome outcome = run_catalog(arguments);
    ASSERT_TRUE(outcome.status) << outcome.status.error().text();
    std::istringstream lines(outcome.printed);
    std::string line;
    while (std::getline(lines, line)) EXPECT_LE(line.size(), 100u) << line;
  }
}

TEST(CatalogCommandTest, ShowsPriceSourceAndDateOfAnInstance) {
  const Outcome outcome = run_catalog("p3.16xlarge");
  EXPECT_THAT(outcome.printed,
              testing::ContainsRegex("on_demand +24.48 \\$/h +ec2instances.info: us-east-1 on "
                                     "demand +2024-04\n"));
  EXPECT_THAT(outcome.printed, testing::ContainsRegex("memory +488 GiB +Karpenter"));
}

TEST(CatalogCommandTest, GivesEachNumberOfTheDocumentItsSource) {
  const Outcome outcome = run_catalog("--json");
  const auto document = core::parse_json(outcome.printed, "output");
  ASSERT_TRUE(document) << document.error().text();
  for (const char* section : {"accelerators", "links", "instances"}) {
    ASSERT_FALSE(document->at(section).empty()) << section;
    for (const core::Json& entry : document->at(section)) {
      for (const auto& [key, value] : entry.items()) {
        EXPECT_TRUE(!value.is_number() || entry["sources"].contains(key)) << entry["name"] << key;
      }
    }
  }
}

TEST(CatalogCommandTest, NamesTheNearestEntry) {
  const Outcome outcome = run_catalog("links NVLink33");
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().kind, ErrorKind::kInput);
  EXPECT_THAT(outcome.status.error().text(), HasSubstr("did you mean \"NVLink3\"?"));
  EXPECT_EQ(outcome.printed, "");
  EXPECT_FALSE(run_catalog("V100 T4").status);
  EXPECT_FALSE(run_catalog("links V100").status);
}

TEST(CatalogCommandTest, ReadsAUsersCatalogueOverTheBuiltIn) {
  const std::string path = (std::filesystem::path(::testing::TempDir()) /
                            ("penstock_catalog_command_" + std::to_string(::getpid()) + ".toml"))
                               .string();
  ASSERT_TRUE(core::write_file(path,
                               "[instance.\"p3.2xlarge\"]\non_demand = \"2 $/h\"\n"
                               "source = \"our contract\"\ndate = \"2025-01\"\n"));
  const Outcome outcome = run_catalog("p3.2xlarge --catalog " + path);
  std::remove(path.c_str());
  EXPECT_THAT(outcome.printed, testing::ContainsRegex("on_demand +2 \\$/h +our contract +2025-01"));
  EXPECT_THAT(outcome.printed, testing::ContainsRegex("spot +1.408 \\$/h +ec2instances"));
  EXPECT_EQ(run_catalog("--catalog /no/such.toml").status.error().kind, ErrorKind::kMissing);
}

}  // namespace
}  // namespace penstock::cli
