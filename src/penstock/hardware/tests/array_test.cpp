#include "penstock/hardware/array.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>

#include "penstock/core/file.h"

namespace penstock::hardware {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class ArrayTest : public ::testing::Test {
 protected:
  ArrayTest()
      : path_((fs::path(::testing::TempDir()) /
               ("penstock_array_test_" + std::to_string(::getpid()) + "_" +
                ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".toml"))
                  .string()) {
    auto catalog = load_catalog();
    EXPECT_TRUE(catalog) << catalog.error().text();
    if (catalog) catalog_ = *std::move(catalog);
  }
  ~ArrayTest() override { fs::remove(path_); }
  Result<Array> read(const std::string& text, const std::string& precision = "fp16") const {
    EXPECT_TRUE(core::write_file(path_, text));
    return read_array(path_, catalog_, precision);
  }
  Array read_right(const std::string& text, const std::string& precision = "fp16") const {
    auto array = read(text, precision);
    EXPECT_TRUE(array) << array.error().text();
    Array empty;
    empty.groups.resize(2);
    return array ? *std::move(array) : empty;
  }
  Result<Array> example(const std::string& name, const std::string& precision) const {
    return read_array(PENSTOCK_SOURCE_DIR "/examples/arrays/" + name, catalog_, precision);
  }
  std::string path_;
  Catalog catalog_;
};

TEST_F(ArrayTest, ReadsAccParsArrayAsPeakAndLinkAlone) {
  const auto array = example("tpu-v2x128-v3x128.toml", "bf16");
  ASSERT_TRUE(array) << array.error().text();
  ASSERT_EQ(array->groups.size(), 2u);
  EXPECT_EQ(array->devices(), 256);
  const double rates[] = {180e12, 420e12};
  const double links[] = {1e9, 2e9};
  const double memories[] = {64e9, 128e9};
  for (std::size_t i = 0; i < 2; ++i) {
    const DeviceGroup& group = array->groups[i];
    EXPECT_EQ(group.count, 128);
    EXPECT_EQ(group.per_node, 128);
    EXPECT_DOUBLE_EQ(group.sustained().value(), rates[i]);
    EXPECT_DOUBLE_EQ(group.link.value(), links[i]);
    EXPECT_DOUBLE_EQ(group.memory.value(), memories[i]);
    EXPECT_EQ(group.memory_bandwidth.value(), 0);
    EXPECT_EQ(group.link_latency.value(), 0);
    EXPECT_EQ(group.launch.value(), 0);
  }
  EXPECT_DOUBLE_EQ(array->between.value(), 1e9);
  EXPECT_EQ(array->between_latency.value(), 0);
}

TEST_F(ArrayTest, ReadsEveryExample) {
  int read = 0;
  for (const auto& file : fs::directory_iterator(PENSTOCK_SOURCE_DIR "/examples/arrays")) {
    const auto array = read_array(file.path().string(), catalog_, "bf16");
    EXPECT_TRUE(array) << array.error().text();
    ++read;
  }
  EXPECT_GE(read, 6);
  EXPECT_EQ(example("tpu-v3x128.toml", "bf16")->devices(), 128);
  EXPECT_EQ(example("tpu-v2x8-v3x8.toml", "bf16")->devices(), 16);
  EXPECT_EQ(example("v100x8.toml", "fp16")->devices(), 8);
}

TEST_F(ArrayTest, TakesBandwidthAndLatencyFromANamedLink) {
  const auto array = example("v100x8-t4x8.toml", "fp16");
  ASSERT_TRUE(array) << array.error().text();
  const Link* nvlink = catalog_.find_link("NVLink2-double");
  EXPECT_EQ(array->groups[0].link, nvlink->bandwidth);
  EXPECT_EQ(array->groups[0].link_latency, nvlink->latency);
  EXPECT_DOUBLE_EQ(array->groups[0].sustained().value(), 0.7 * 125e12);
  EXPECT_DOUBLE_EQ(array->groups[0].launch.value(), 7e-6);
  EXPECT_DOUBLE_EQ(array->groups[0].memory_bandwidth.value(), 900e9);
  EXPECT_DOUBLE_EQ(array->between.value(), 25e9 / 8);
  EXPECT_EQ(array->between_latency, catalog_.find_link("Ethernet-25G")->latency);
}

TEST_F(ArrayTest, SplitsAGroupIntoNodes) {
  const auto array = example("a100x16.toml", "bf16");
  ASSERT_TRUE(array) << array.error().text();
  EXPECT_EQ(array->groups[0].count, 16);
  EXPECT_EQ(array->groups[0].per_node, 8);
  EXPECT_DOUBLE_EQ(array->groups[0].network.value(), 50e9);
  EXPECT_DOUBLE_EQ(array->between.value(), 50e9);
}

TEST_F(ArrayTest, TakesADeviceThatNoCatalogueKnows) {
  const Array array = read_right(R"([[group]]
name = "mine"
peak = "10 TFLOP/s"
memory = "8 GiB"
link = "1 GB/s"
link_latency = "3 us"
)");
  EXPECT_EQ(array.groups[0].name, "mine");
  EXPECT_EQ(array.groups[0].count, 1);
  EXPECT_DOUBLE_EQ(array.groups[0].peak.value(), 10e12);
  EXPECT_EQ(array.groups[0].memory_bandwidth.value(), 0);
  EXPECT_DOUBLE_EQ(array.groups[0].link_latency.value(), 3e-6);
}

TEST_F(ArrayTest, PrefersItsOwnNumbersToTheCatalogues) {
  const Array array = read_right(R"([[group]]
accelerator = "V100"
peak = "100 TFLOP/s"
memory = "10 GiB"
memory_bandwidth = "800 GB/s"
link = "NVLink2-single"
link_latency = "9 us"
)");
  EXPECT_DOUBLE_EQ(array.groups[0].peak.value(), 100e12);
  EXPECT_DOUBLE_EQ(array.groups[0].memory.value(), 10 * 1073741824.0);
  EXPECT_DOUBLE_EQ(array.groups[0].memory_bandwidth.value(), 800e9);
  EXPECT_DOUBLE_EQ(array.groups[0].link_latency.value(), 9e-6);
}

TEST_F(ArrayTest, JoinsGroupsByTheSlowestWayOutUnlessToldOtherwise) {
  const Array array = read_right(R"([[group]]
accelerator = "V100"
count = 4
per_node = 2
link = "50 GB/s"
network = "1 GB/s"
network_latency = "20 us"
[[group]]
accelerator = "V100"
link = "2 GB/s"
)");
  EXPECT_DOUBLE_EQ(array.between.value(), 1e9);
  EXPECT_DOUBLE_EQ(array.between_latency.value(), 20e-6);
  EXPECT_EQ(array.groups[0].name, "V100");
  EXPECT_EQ(array.groups[1].name, "V100-2");
}

struct Slip {
  const char* text;
  const char* says;
};

TEST_F(ArrayTest, NamesFileLineAndMendOfEachSlip) {
  const std::string start = "[[group]]\naccelerator = \"V100\"\n";
  const Slip slips[] = {
      {"link = \"1 GB/s\"\ncount = 0", ":4: group[0].count: is 0; must lie between 1 and"},
      {"link = \"1 GB/s\"\ncount = -4", ":4: group[0].count: is -4; must lie between 1 and"},
      {"link = \"1 GB/s\"\ncount = 2000000000", ":4: group[0].count: is 2000000000; must lie"},
      {"link = 8", ":3: group[0].link: is a bare number; write it as text with its unit"},
      {"link = \"8\"", ":3: group[0].link: \"8\" has no unit"},
      {"link = \"8 Gb/s\"", ":3: group[0].link: \"8 Gb/s\" has the unit \"Gb/s\""},
      {"link = \"NVLink5\"", "is neither a link of the catalogue nor a bandwidth; did you mean"},
      {"", ":1: group[0].link: is missing"},
      {"link = \"1 GB/s\"\nmemory = \"16 Gb\"", "write \"16 GB\" for bytes"},
      {"link = \"1 GB/s\"\nmemory = 16", ":4: group[0].memory: is a bare number"},
      {"link = \"1 GB/s\"\npeak = \"-1 TFLOP/s\"", ":4: group[0].peak: is \"-1 TFLOP/s\""},
      {"link = \"1 GB/s\"\nefficiency = 1.5", ":4: group[0].efficiency: is 1.5; must lie above 0"},
      {"link = \"1 GB/s\"\nefficiency = 0", ":4: group[0].efficiency: is 0; must lie above 0"},
      {"link = \"1 GB/s\"\ncount = 8\nper_node = 3\nnetwork = \"1 GB/s\"",
       ":5: group[0].per_node: 3 does not divide count 8"},
      {"link = \"1 GB/s\"\ncount = 8\nper_node = 0", ":5: group[0].per_node: is 0; must lie"},
      {"link = \"1 GB/s\"\ncount = 8\nper_node = 4",
       ":5: group[0].per_node: makes 2 nodes, and network is missing; add network"},
      {"link = \"1 GB/s\"\nnetwork_latency = \"5 us\"",
       ":4: group[0].network_latency: is given without network"},
      {"link = \"1 GB/s\"\ncuont = 3", ":4: group[0].cuont: unknown key; did you mean \"count\"?"},
      {"link = \"1 GB/s\"\n[between]\nlatency = \"1 us\"",
       ":4: between: has neither link nor bandwidth"},
      {"link = \"1 GB/s\"\n[between]\nlink = \"CXL2-x8\"\nbandwidth = \"1 GB/s\"",
       ":4: between: has both link and bandwidth"},
  };
  for (const Slip& slip : slips) {
    const auto array = read(start + slip.text);
    ASSERT_FALSE(array) << slip.text;
    EXPECT_THAT(array.error().text(), HasSubstr(slip.says));
    EXPECT_THAT(array.error().text(), HasSubstr(path_ + ":"));
    EXPECT_TRUE(array.error().more.empty()) << array.error().text();
    EXPECT_EQ(array.error().kind, ErrorKind::kInput);
  }
}

TEST_F(ArrayTest, NamesTheNearestAccelerator) {
  const auto array = read("[[group]]\naccelerator = \"V10\"\nlink = \"1 GB/s\"\n");
  ASSERT_FALSE(array);
  EXPECT_THAT(array.error().text(), HasSubstr(":2: group[0].accelerator: \"V10\" is not in the "
                                              "catalogue; did you mean \"V100\"?"));
}

TEST_F(ArrayTest, RefusesAPrecisionThatTheDeviceLacks) {
  const auto array = read("[[group]]\naccelerator = \"TPU-v2\"\nlink = \"1 GB/s\"\n", "fp32");
  ASSERT_FALSE(array);
  EXPECT_THAT(array.error().text(),
              HasSubstr("TPU-v2 has no rate at fp32; state peak, or choose one of bf16"));
}

TEST_F(ArrayTest, RefusesAFileWithoutGroups) {
  EXPECT_THAT(read("name = \"none\"\n").error().text(), HasSubstr("group: is missing"));
  EXPECT_THAT(read("group = []\n").error().text(), HasSubstr("has no group"));
  EXPECT_THAT(read("group = 3\n").error().text(), HasSubstr(":1: group: is an integer"));
  EXPECT_EQ(read_array("/no/such.toml", catalog_, "fp16").error().kind, ErrorKind::kMissing);
}

TEST_F(ArrayTest, MakesAnArrayOfOneInstance) {
  const Instance& p3 = *catalog_.find_instance("p3.16xlarge");
  const auto array = array_of_instances(catalog_, p3, 1, "fp16", 0.7, Seconds(7e-6));
  ASSERT_TRUE(array) << array.error().text();
  ASSERT_EQ(array->groups.size(), 1u);
  const DeviceGroup& group = array->groups[0];
  EXPECT_EQ(group.count, 8);
  EXPECT_EQ(group.per_node, 8);
  EXPECT_DOUBLE_EQ(group.sustained().value(), 0.7 * 125e12);
  EXPECT_DOUBLE_EQ(group.link.value(), 50e9);
  EXPECT_EQ(array->between, group.link);
}

TEST_F(ArrayTest, JoinsSeveralInstancesByTheirNetwork) {
  const Instance& p3 = *catalog_.find_instance("p3.8xlarge");
  const auto array = array_of_instances(catalog_, p3, 2, "fp16", 1, Seconds(0));
  ASSERT_TRUE(array) << array.error().text();
  EXPECT_EQ(array->devices(), 8);
  EXPECT_EQ(array->groups[0].per_node, 4);
  EXPECT_DOUBLE_EQ(array->groups[0].network.value(), 1.25e9);
  EXPECT_GT(array->groups[0].network_latency.value(), 0);
  EXPECT_DOUBLE_EQ(array->between.value(), 1.25e9);
}

TEST_F(ArrayTest, LinksSingleDeviceInstancesByTheirNetwork) {
  const Instance& p3 = *catalog_.find_instance("p3.2xlarge");
  const auto array = array_of_instances(catalog_, p3, 4, "fp16", 1, Seconds(0));
  ASSERT_TRUE(array) << array.error().text();
  EXPECT_EQ(array->groups[0].per_node, 1);
  EXPECT_EQ(array->groups[0].link, array->groups[0].network);
}

TEST_F(ArrayTest, RefusesSeveralInstancesOfUnknownNetwork) {
  const Instance& p2 = *catalog_.find_instance("p2.xlarge");
  EXPECT_TRUE(array_of_instances(catalog_, p2, 1, "fp32", 1, Seconds(0)));
  const auto array = array_of_instances(catalog_, p2, 2, "fp32", 1, Seconds(0));
  ASSERT_FALSE(array);
  EXPECT_THAT(array.error().text(), HasSubstr("p2.xlarge: its network bandwidth is unknown"));
  EXPECT_FALSE(array_of_instances(catalog_, p2, 0, "fp32", 1, Seconds(0)));
}

}  // namespace
}  // namespace penstock::hardware
