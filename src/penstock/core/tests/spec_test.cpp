#include "penstock/core/spec.h"

#include <gmock/gmock.h>

namespace penstock::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

SpecFile parse(std::string_view text) {
  auto file = SpecFile::parse(text, "job.toml");
  EXPECT_TRUE(file) << file.error().text();
  return *std::move(file);
}

std::string errors(SpecFile& file) {
  const Status status = file.finish();
  return status ? "" : status.error().text();
}

TEST(SpecTest, ReadsEachKindOfValue) {
  SpecFile file = parse(R"(
name = "run"
batch = 512
rate = 1.5
whole = 2
quiet = true
memory = "16 GiB"
tags = ["a", "b"]
shape = [3, 224]
)");
  SpecTable root = file.root();
  EXPECT_EQ(root.text("name"), "run");
  EXPECT_EQ(root.integer("batch"), 512);
  EXPECT_DOUBLE_EQ(root.number("rate"), 1.5);
  EXPECT_DOUBLE_EQ(root.number("whole"), 2);
  EXPECT_TRUE(root.boolean_or("quiet", false));
  EXPECT_DOUBLE_EQ(root.quantity<Bytes>("memory").value(), 17179869184.0);
  EXPECT_THAT(root.texts_or("tags", {}), ElementsAre("a", "b"));
  EXPECT_THAT(root.integers_or("shape", {}), ElementsAre(3, 224));
  EXPECT_EQ(root.integer_or("absent", 7), 7);
  EXPECT_EQ(errors(file), "");
}

TEST(SpecTest, ReportsEveryErrorWithItsLineInTheOrderOfTheFile) {
  SpecFile file = parse("zeta = 0\nalpha = \"16 Gb\"\nmiddle = \"x\"\nextra = 1\n");
  SpecTable root = file.root();
  root.integer("middle");
  root.quantity<Bytes>("alpha");
  root.integer("zeta", {.min = 1});
  EXPECT_EQ(errors(file),
            "job.toml:1: zeta: is 0; must be at least 1\n"
            "job.toml:2: alpha: \"16 Gb\" has the unit \"Gb\", which does not fit here; "
            "a lower-case b is a bit; write \"16 GB\" for bytes\n"
            "job.toml:3: middle: is text; write an integer\n"
            "job.toml:4: extra: unknown key; known here: alpha, middle, zeta");
}

TEST(SpecTest, NamesTheNearestKnownKey) {
  SpecFile file = parse("[job]\nbacth = 3\n");
  SpecTable job = file.root().table("job");
  job.integer_or("batch", 1);
  EXPECT_EQ(errors(file), "job.toml:2: job.bacth: unknown key; did you mean \"batch\"?");
}

TEST(SpecTest, CallsANumberWithoutUnitABareNumber) {
  SpecFile file = parse("memory = 16\n");
  file.root().quantity<Bytes>("memory");
  EXPECT_THAT(errors(file), HasSubstr("job.toml:1: memory: is a bare number"));
}

TEST(SpecTest, ChecksRangesAtTheirEnds) {
  for (const auto& [text, holds] : std::vector<std::pair<std::string, bool>>{
           {"0", false}, {"1", true}, {"8", true}, {"9", false}, {"-1", false}}) {
    SpecFile file = parse("n = " + text);
    file.root().integer("n", {.min = 1, .max = 8});
    EXPECT_EQ(file.finish().has_value(), holds) << text;
  }
  SpecFile file = parse("t = \"0 s\"\nu = \"0 s\"\nv = inf");
  SpecTable root = file.root();
  root.quantity<Seconds>("t");
  root.quantity<Seconds>("u", kNotNegative);
  root.number("v");
  EXPECT_THAT(errors(file), testing::AllOf(HasSubstr(":1: t: is \"0 s\"; must be above 0"),
                                           Not(HasSubstr("u:")), HasSubstr(":3: v: is inf")));
}

TEST(SpecTest, RequiresWhatHasNoFallback) {
  SpecFile file = parse("other = \"\"\n");
  SpecTable root = file.root();
  root.text("name");
  root.text("other");
  root.table("goal", true);
  EXPECT_EQ(errors(file),
            "job.toml:1: name: is missing; add name = \"text\"\n"
            "job.toml:1: other: is empty\n"
            "job.toml:1: goal: is missing; add a [goal] table");
}

TEST(SpecTest, KeepsTheOrderOfNamedTables) {
  SpecFile file =
      parse("[device.zulu]\nn = 1\n[device.alpha]\nn = 2\n[device.\"p3.2xlarge\"]\nn = 3\n");
  std::vector<std::string> names;
  for (auto& [name, table] : file.root().named_tables("device")) {
    names.push_back(name);
    table.integer("n");
  }
  EXPECT_THAT(names, ElementsAre("zulu", "alpha", "p3.2xlarge"));
  EXPECT_EQ(errors(file), "");
}

TEST(SpecTest, NumbersTheTablesOfAnArray) {
  SpecFile file = parse("[[group]]\ncount = 1\n[[group]]\ncount = -1\n");
  for (SpecTable& group : file.root().tables("group")) group.integer("count", {.min = 1});
  EXPECT_EQ(errors(file), "job.toml:4: group[1].count: is -1; must be at least 1");
}

TEST(SpecTest, ListsTheChoices) {
  SpecFile file = parse("mode = \"fussed\"\n");
  file.root().choice_or("mode", "mesh", {"paper", "fused", "mesh"});
  EXPECT_EQ(
      errors(file),
      "job.toml:1: mode: \"fussed\" is not one of paper, fused, mesh; did you mean \"fused\"?");
}

TEST(SpecTest, GivesTextOnlyWhereThereIsText) {
  SpecFile file = parse("link = \"NVLink3\"\ncount = 3\n");
  SpecTable root = file.root();
  EXPECT_EQ(root.text_if("link"), "NVLink3");
  EXPECT_EQ(root.text_if("count"), std::nullopt);
  EXPECT_EQ(root.text_if("absent"), std::nullopt);
  EXPECT_EQ(errors(file), "");
}

TEST(SpecTest, LocatesASyntaxError) {
  const auto file = SpecFile::parse("a = 1\nb = = 2\n", "job.toml");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().kind, ErrorKind::kInput);
  EXPECT_THAT(file.error().text(), HasSubstr("job.toml:2: is not TOML"));
  EXPECT_FALSE(SpecFile::parse("a = 1\na = 2\n", "job.toml"));
}

TEST(SpecTest, RefusesKeysThatStartWithPunctuation) {
  for (const char* text : {"[}group]]", "[=]", "a.}b = 1", "}a = 1", "x = { }a = 1 }", "[[,]]"}) {
    const auto file = SpecFile::parse(text, "job.toml");
    ASSERT_FALSE(file) << text;
    EXPECT_THAT(file.error().text(), HasSubstr("job.toml:1: is not TOML")) << text;
  }
}

TEST(SpecTest, SaysThatAnAbsentFileIsMissing) {
  EXPECT_EQ(SpecFile::read("/no/such/file.toml").error().kind, ErrorKind::kMissing);
}

}  // namespace
}  // namespace penstock::core
