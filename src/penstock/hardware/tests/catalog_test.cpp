#include "penstock/hardware/catalog.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "penstock/core/file.h"

namespace penstock::hardware {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

// A folder of its own as the built-in catalogue, or the real one until `built_in` is called.
class CatalogTest : public ::testing::Test {
 protected:
  CatalogTest()
      : folder_(fs::path(::testing::TempDir()) /
                ("penstock_catalog_test_" + std::to_string(::getpid()) + "_" +
                 ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::create_directories(folder_ / "built_in");
  }
  ~CatalogTest() override {
    ::unsetenv("PENSTOCK_CATALOG");
    fs::remove_all(folder_);
  }
  std::string write(const std::string& name, const std::string& text) const {
    const std::string path = (folder_ / name).string();
    EXPECT_TRUE(core::write_file(path, text));
    return path;
  }
  void built_in(const std::string& text) const {
    write("built_in/all.toml", text);
    ::setenv("PENSTOCK_CATALOG", (folder_ / "built_in").c_str(), 1);
  }
  std::string refusal(const std::vector<std::string>& user_files = {}) const {
    const auto catalog = load_catalog(user_files);
    return catalog ? "accepted" : catalog.error().text();
  }
  fs::path folder_;
};

constexpr const char* kSmall = R"(
[accelerator.X]
memory = "16 GiB"
peak = { fp32 = "10 TFLOP/s", fp16 = "40 TFLOP/s" }
source = "maker"
date = "2024-04"
[link.wire]
bandwidth = "8 Gbit/s"
latency = "5 us"
source = "maker"
date = "2024-04"
[instance."x.big"]
accelerator = "X"
accelerators = 4
link = "wire"
on_demand = "4 $/h"
spot = "1 $/h"
source = "shop"
date = "2024-05-01"
)";

struct Row {
  const char* name;
  const char* accelerator;
  int accelerators;
  double accelerator_gib;
  int vcpus;
  double memory_gib;
  double network_gbit;
  double storage_mbit;
  double nvme_gb;
  double on_demand;
  double spot;
};

// Zero stands for "unknown". Karpenter's data files and the price snapshot of 2024-04 (2026-07 for
// p4d and p5), as the catalogue's own sources say.
constexpr Row kRows[] = {
    {"p2.xlarge", "K80", 1, 12, 4, 61, 0, 0, 0, 0.90, 0.378},
    {"p2.8xlarge", "K80", 8, 12, 32, 488, 10, 0, 0, 7.20, 2.52},
    {"p2.16xlarge", "K80", 16, 12, 64, 732, 25, 0, 0, 14.40, 4.896},
    {"p3.2xlarge", "V100", 1, 16, 8, 61, 2.5, 0, 0, 3.06, 1.408},
    {"p3.8xlarge", "V100", 4, 16, 32, 244, 10, 0, 0, 12.24, 4.406},
    {"p3.16xlarge", "V100", 8, 16, 64, 488, 25, 0, 0, 24.48, 8.323},
    {"p3dn.24xlarge", "V100-32GB", 8, 32, 96, 768, 100, 19000, 1800, 31.212, 11.861},
    {"p4d.24xlarge", "A100", 8, 40, 96, 1152, 400, 19000, 8000, 21.958, 0},
    {"p5.48xlarge", "H100", 8, 80, 192, 2048, 3200, 80000, 30400, 55.04, 0},
    {"g3.4xlarge", "M60", 1, 8, 16, 122, 5, 0, 0, 1.14, 0.445},
    {"g3.8xlarge", "M60", 2, 8, 32, 244, 10, 0, 0, 2.28, 0.912},
    {"g3.16xlarge", "M60", 4, 8, 64, 488, 25, 0, 0, 4.56, 1.596},
    {"g4dn.xlarge", "T4", 1, 16, 4, 16, 5, 3500, 125, 0.526, 0.216},
    {"g4dn.12xlarge", "T4", 4, 16, 48, 192, 50, 9500, 900, 3.912, 1.682},
    {"g4dn.metal", "T4", 8, 16, 96, 384, 100, 19000, 1800, 7.824, 3.364},
    {"g5.xlarge", "A10G", 1, 22, 4, 16, 2.5, 3500, 250, 1.006, 0.523},
    {"g5.48xlarge", "A10G", 8, 22, 192, 768, 100, 19000, 7600, 16.288, 5.701},
};

TEST_F(CatalogTest, HoldsEveryInstanceWithItsPriceAndParts) {
  const auto catalog = load_catalog();
  ASSERT_TRUE(catalog) << catalog.error().text();
  constexpr double kGiB = 1073741824.0;
  for (const Row& row : kRows) {
    const Instance* instance = catalog->find_instance(row.name);
    ASSERT_NE(instance, nullptr) << row.name;
    EXPECT_EQ(instance->accelerator, row.accelerator) << row.name;
    EXPECT_EQ(instance->accelerators, row.accelerators) << row.name;
    const Accelerator* accelerator = catalog->find_accelerator(row.accelerator);
    ASSERT_NE(accelerator, nullptr) << row.accelerator;
    EXPECT_DOUBLE_EQ(accelerator->memory.value(), row.accelerator_gib * kGiB) << row.name;
    EXPECT_EQ(instance->vcpus, row.vcpus) << row.name;
    EXPECT_DOUBLE_EQ(instance->memory.value(), row.memory_gib * kGiB) << row.name;
    EXPECT_DOUBLE_EQ(instance->network.value(), row.network_gbit * 125e6) << row.name;
    EXPECT_DOUBLE_EQ(instance->storage.value(), row.storage_mbit * 125e3) << row.name;
    EXPECT_DOUBLE_EQ(instance->local_storage.value(), row.nvme_gb * 1e9) << row.name;
    EXPECT_NEAR(instance->on_demand.value() * 3600, row.on_demand, 1e-9) << row.name;
    EXPECT_NEAR(instance->spot.value_or(Price(0)).value() * 3600, row.spot, 1e-9) << row.name;
  }
  EXPECT_EQ(catalog->instances.size(), std::size(kRows));
}

TEST_F(CatalogTest, HoldsTheAcceleratorsAndLinksThatTheToolNames) {
  const auto catalog = load_catalog();
  ASSERT_TRUE(catalog) << catalog.error().text();
  for (const char* name : {"TPU-v2", "TPU-v3", "K80", "M60", "V100", "V100-32GB", "T4", "A10G",
                           "A100", "H100", "H200"}) {
    EXPECT_NE(catalog->find_accelerator(name), nullptr) << name;
  }
  for (const char* name :
       {"PCIe3-x16", "PCIe4-x16", "PCIe5-x16", "NVLink2-single", "NVLink2-double", "NVLink3",
        "NVLink4", "Ethernet-10G", "Ethernet-25G", "Ethernet-50G", "Ethernet-100G", "Ethernet-400G",
        "EFA-3200G", "CXL2-x8", "CXL2-x16", "CXL3-x8", "CXL3-x16", "AccPar-v2", "AccPar-v3"}) {
    EXPECT_NE(catalog->find_link(name), nullptr) << name;
  }
  EXPECT_DOUBLE_EQ(catalog->find_accelerator("TPU-v2")->peak.at("bf16").value(), 180e12);
  EXPECT_DOUBLE_EQ(catalog->find_accelerator("TPU-v3")->peak.at("bf16").value(), 420e12);
  EXPECT_DOUBLE_EQ(catalog->find_link("AccPar-v3")->bandwidth.value(), 2e9);
  // 16 lanes of 8 GT/s with 128 payload bits in 130: the closed form behind the table's figure.
  EXPECT_NEAR(catalog->find_link("PCIe3-x16")->bandwidth.value(), 16 * 8e9 * 128 / 130 / 8, 1e7);
}

TEST_F(CatalogTest, GivesEveryNumberASourceAndADate) {
  const auto catalog = load_catalog();
  ASSERT_TRUE(catalog) << catalog.error().text();
  const auto check = [](const auto& entries, std::size_t least) {
    for (const auto& entry : entries) {
      EXPECT_GE(entry.provenance.size(), least) << entry.name;
      for (const auto& [field, provenance] : entry.provenance) {
        EXPECT_NE(provenance.source, "") << entry.name << " " << field;
        EXPECT_GE(provenance.date.size(), 4u) << entry.name << " " << field;
      }
    }
  };
  check(catalog->accelerators, 3);
  check(catalog->links, 2);
  check(catalog->instances, 6);
  EXPECT_EQ(catalog->find_instance("p3.2xlarge")->provenance.at("spot").date, "2024-04");
}

TEST_F(CatalogTest, FallsBackToTheNextWiderPrecision) {
  const auto catalog = load_catalog();
  ASSERT_TRUE(catalog) << catalog.error().text();
  const auto rate = [&](const char* name, const char* precision) {
    const auto value = catalog->find_accelerator(name)->rate(precision);
    return value ? value->value() : 0.0;
  };
  EXPECT_DOUBLE_EQ(rate("V100", "bf16"), 125e12);
  EXPECT_DOUBLE_EQ(rate("K80", "bf16"), 4.37e12);
  EXPECT_DOUBLE_EQ(rate("V100", "tf32"), 15.7e12);
  EXPECT_DOUBLE_EQ(rate("TPU-v2", "fp16"), 180e12);
  EXPECT_DOUBLE_EQ(rate("A100", "fp8"), 312e12);
  EXPECT_DOUBLE_EQ(rate("TPU-v2", "fp32"), 0);
  EXPECT_DOUBLE_EQ(rate("V100", "int3"), 0);
}

TEST_F(CatalogTest, LetsAUserFileOverrideOneFieldAndKeepsTheRest) {
  built_in(kSmall);
  const std::string user = write("mine.toml", R"(
[instance."x.big"]
on_demand = "3 $/h"
source = "my contract"
date = "2025"
[accelerator.X.peak]
fp16 = "50 TFLOP/s"
[accelerator.X.sources]
peak = "measured, here, 2025-02"
[accelerator.Y]
memory = "8 GB"
peak = { fp32 = "1 TFLOP/s" }
source = "maker"
date = "2025"
)");
  const auto catalog = load_catalog({user});
  ASSERT_TRUE(catalog) << catalog.error().text();
  const Instance* instance = catalog->find_instance("x.big");
  EXPECT_NEAR(instance->on_demand.value() * 3600, 3, 1e-12);
  EXPECT_NEAR(instance->spot->value() * 3600, 1, 1e-12);
  EXPECT_EQ(instance->provenance.at("on_demand").source, "my contract");
  EXPECT_EQ(instance->provenance.at("spot").source, "shop");
  const Accelerator* x = catalog->find_accelerator("X");
  EXPECT_DOUBLE_EQ(x->peak.at("fp16").value(), 50e12);
  EXPECT_DOUBLE_EQ(x->peak.at("fp32").value(), 10e12);
  EXPECT_EQ(x->provenance.at("peak.fp16").source, "measured, here");
  EXPECT_EQ(x->provenance.at("peak.fp16").date, "2025-02");
  EXPECT_EQ(x->provenance.at("peak.fp32").source, "maker");
  EXPECT_NE(catalog->find_accelerator("Y"), nullptr);
}

TEST_F(CatalogTest, HashesWhatItReadAndNotWhereItLay) {
  built_in(kSmall);
  const std::string hash = load_catalog()->hash;
  EXPECT_EQ(hash.size(), 16u);
  EXPECT_EQ(load_catalog()->hash, hash);
  const std::string same = write("a.toml", "# nothing\n");
  const std::string copy = write("b.toml", "# nothing\n");
  EXPECT_NE(load_catalog({same})->hash, hash);
  EXPECT_EQ(load_catalog({same})->hash, load_catalog({copy})->hash);
}

// One wrong line beside a right one, and what the error says.
struct Slip {
  const char* text;
  const char* says;
};

TEST_F(CatalogTest, NamesFileLineAndMendOfEachSlip) {
  const Slip slips[] = {
      {"[accelerator.Y]\nmemory = \"8 GB\"\npeak = { fp32 = \"1 TFLOP/s\" }",
       "mine.toml:1: accelerator.Y: peak.fp32, memory have no source and date; add source"},
      {"[accelerator.Y]\nmemory = \"8 Gb\"\nsource = \"s\"\ndate = \"2024\"\npeak.fp32 = \"1 "
       "TFLOP/s\"",
       "mine.toml:2: accelerator.Y.memory: \"8 Gb\" has the unit \"Gb\""},
      {"[accelerator.Y]\nmemory = 8\nsource = \"s\"\ndate = \"2024\"\npeak.fp32 = \"1 TFLOP/s\"",
       "mine.toml:2: accelerator.Y.memory: is a bare number"},
      {"[accelerator.X]\nmemroy = \"8 GB\"",
       "mine.toml:2: accelerator.X.memroy: unknown key; did "
       "you mean \"memory\"?"},
      {"[accelerator.X.peak]\nfp61 = \"8 TFLOP/s\"",
       "mine.toml:2: accelerator.X.peak.fp61: unknown key; did you mean \"fp16\"?"},
      {"[accelerator.X.sources]\nmemory = \"s, 2024\"",
       "mine.toml:2: accelerator.X.sources.memory: unknown key"},
      {"[accelerator.Y]\nmemory = \"8 GB\"\nsource = \"s\"\ndate = \"2024\"",
       "mine.toml:1: accelerator.Y: peak is missing; add peak"},
      {"[link.wire]\nlatency = \"-1 us\"\nsource = \"s\"\ndate = \"2024\"",
       "mine.toml:2: link.wire.latency: is \"-1 us\"; must be at least 0"},
      {"[link.wire]\nlatency = \"1 us\"\nsource = \"s\"\ndate = \"May 2024\"",
       "mine.toml:4: link.wire.date: \"May 2024\" is not a date"},
      {"[link.wire]\nlatency = \"1 us\"\nsources.latency = \"somebody\"",
       "mine.toml:3: link.wire.sources.latency: \"somebody\" does not end in a date"},
      {"[link.new]\nlatency = \"1 us\"\nsource = \"s\"\ndate = \"2024\"",
       "mine.toml:1: link.new: bandwidth is missing"},
      {"[instance.z]\naccelerator = \"X\"\nsource = \"s\"\ndate = \"2024\"",
       "mine.toml:1: instance.z: on_demand is missing; add on_demand = \"3.06 $/h\""},
      {"[instance.\"x.big\"]\non_demand = \"-3 $/h\"\nsource = \"s\"\ndate = \"2024\"",
       "mine.toml:2: instance.x.big.on_demand: is \"-3 $/h\"; must be above 0"},
      {"[instance.\"x.big\"]\nspot = \"5 $/h\"\nsource = \"s\"\ndate = \"2024\"",
       "mine.toml:2: instance.x.big: spot 5 $/h is above on_demand 4 $/h ("},
      {"[instance.\"x.big\"]\naccelerators = 0\nsource = \"s\"\ndate = \"2024\"",
       "mine.toml:2: instance.x.big.accelerators: is 0; must lie between 1 and 1024"},
      {"[instance.\"x.big\"]\naccelerator = \"x\"\nsource = \"s\"\ndate = \"2024\"",
       "mine.toml:2: instance.x.big.accelerator: \"x\" is not in the catalogue; did you mean "
       "\"X\"?"},
      {"[instance.\"x.big\"]\nlink = \"wyre\"\nsource = \"s\"\ndate = \"2024\"",
       "mine.toml:2: instance.x.big.link: \"wyre\" is not in the catalogue; did you mean "
       "\"wire\"?"},
      {"[instance.z]\naccelerator = \"X\"\naccelerators = 2\non_demand = \"3 $/h\"\nsource = "
       "\"s\"\ndate = \"2024\"",
       "mine.toml:1: instance.z: link is missing"},
      {"[link.wire]\n[link.wire]\n", "mine.toml:2: is not TOML"},
  };
  built_in(kSmall);
  ASSERT_EQ(refusal(), "accepted");
  for (const Slip& slip : slips) {
    const std::string user = write("mine.toml", slip.text);
    const std::string text = refusal({user});
    EXPECT_THAT(text, HasSubstr(slip.says));
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 0) << text;
    EXPECT_EQ(load_catalog({user}).error().kind, ErrorKind::kInput);
  }
}

TEST_F(CatalogTest, ReportsTheErrorsOfEveryFileAtOnce) {
  built_in(kSmall);
  const std::string first = write("first.toml", "[link.wire]\nlatency = 5\n");
  const std::string second = write("second.toml", "[acelerator.Q]\n");
  EXPECT_THAT(
      refusal({first, second}),
      AllOf(HasSubstr("first.toml:2: link.wire.latency: is a bare number"),
            HasSubstr("second.toml:1: acelerator: unknown key; did you mean \"accelerator\"?")));
}

TEST_F(CatalogTest, RefusesTwoBuiltInEntriesOfOneName) {
  built_in(kSmall);
  write("built_in/more.toml",
        "[link.wire]\nbandwidth = \"1 GB/s\"\nsource = \"s\"\ndate = \"2024\"\n");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("more.toml:1: link.wire: is defined twice"),
                               HasSubstr("all.toml:7")));
}

TEST_F(CatalogTest, SaysThatAnAbsentFileOrFolderIsMissing) {
  built_in(kSmall);
  EXPECT_EQ(load_catalog({"/no/such/file.toml"}).error().kind, ErrorKind::kMissing);
  ::setenv("PENSTOCK_CATALOG", "/no/such/folder", 1);
  EXPECT_EQ(load_catalog().error().kind, ErrorKind::kMissing);
  ::setenv("PENSTOCK_CATALOG", folder_.c_str(), 1);
  EXPECT_THAT(refusal(), HasSubstr("holds no .toml file"));
}

}  // namespace
}  // namespace penstock::hardware
