#include "penstock/cluster/topology.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>

#include "penstock/core/file.h"
#include "penstock/core/json.h"

namespace penstock::cluster {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class TopologyTest : public ::testing::Test {
 protected:
  TopologyTest()
      : path_((fs::path(::testing::TempDir()) /
               ("penstock_topology_test_" + std::to_string(::getpid()) + "_" +
                ::testing::UnitTest::GetInstance()->current_test_info()->name() + ".toml"))
                  .string()) {}
  ~TopologyTest() override { fs::remove(path_); }
  Result<Topology> read(const std::string& text) const {
    EXPECT_TRUE(core::write_file(path_, text));
    return read_topology(path_);
  }
  std::string errors(const std::string& text) const {
    const auto cluster = read(text);
    return cluster ? "no error" : cluster.error().text();
  }
  static Topology example(const std::string& name) {
    auto cluster = read_topology(PENSTOCK_SOURCE_DIR "/examples/clusters/" + name);
    EXPECT_TRUE(cluster) << cluster.error().text();
    return cluster ? *std::move(cluster) : Topology();
  }
  std::string path_;
};

constexpr const char* kLinks =
    "[links.inside]\nbandwidth = \"150 GB/s\"\n[links.node_uplink]\nbandwidth = \"10 GB/s\"\n";

TEST_F(TopologyTest, ReadsRacksOfEqualNodes) {
  const Topology cluster = example("2x4x8.toml");
  EXPECT_EQ(cluster.accelerators(), 64);
  EXPECT_EQ(cluster.racks.size(), 2u);
  ASSERT_EQ(cluster.nodes.size(), 8u);
  EXPECT_EQ(cluster.nodes[3].rack, 0);
  EXPECT_EQ(cluster.nodes[4].rack, 1);
  EXPECT_EQ(cluster.largest_node(), 8);
  EXPECT_EQ(cluster.largest_rack(), 32);
  EXPECT_EQ(cluster.accelerator, "v100");
  EXPECT_DOUBLE_EQ(cluster.inside.bandwidth.value(), 150e9);
  EXPECT_DOUBLE_EQ(cluster.node_uplink.bandwidth.value(), 12.5e9);
  EXPECT_DOUBLE_EQ(cluster.rack_uplink.bandwidth.value(), 4 * 12.5e9 / 4);
  EXPECT_DOUBLE_EQ(cluster.price.value() * 3600, 3.06);
  EXPECT_GT(cluster.rate.value(), 0);
}

TEST_F(TopologyTest, ReadsTheOtherExamples) {
  const Topology testbed = example("testbed-8x8.toml");
  EXPECT_EQ(testbed.accelerators(), 64);
  EXPECT_EQ(testbed.racks.size(), 1u);
  const Topology philly = example("philly-512.toml");
  EXPECT_EQ(philly.accelerators(), 512);
  EXPECT_EQ(philly.nodes.size(), 112u);
  EXPECT_EQ(philly.racks.size(), 8u);
  EXPECT_EQ(example("t4-16x4.toml").accelerators(), 64);
}

TEST_F(TopologyTest, AnInstanceGivesAcceleratorLinksAndPrice) {
  const auto cluster = read(
      "[cluster]\nname = \"rented\"\ninstance = \"p3.16xlarge\"\nnodes_per_rack = 2\n"
      "[links.rack_uplink]\nbandwidth = \"3 GB/s\"\n");
  ASSERT_TRUE(cluster) << cluster.error().text();
  EXPECT_EQ(cluster->accelerator, "v100");
  EXPECT_EQ(cluster->accelerators(), 16);
  EXPECT_NEAR(cluster->price.value() * 3600, 24.48 / 8, 1e-12);
  EXPECT_DOUBLE_EQ(cluster->node_uplink.bandwidth.value(), 25e9 / 8);
  EXPECT_DOUBLE_EQ(cluster->rack_uplink.bandwidth.value(), 3e9);
}

TEST_F(TopologyTest, ReadsUnequalNodesByRack) {
  const auto cluster = read(std::string("[cluster]\nname = \"mixed\"\n") + kLinks +
                            "[[rack]]\nname = \"old\"\nnodes = 2\naccelerators = 4\n"
                            "[[rack]]\nname = \"new\"\n"
                            "[[rack.node]]\nname = \"big\"\naccelerators = 16\n"
                            "[[rack.node]]\naccelerators = 1\ncount = 2\n"
                            "[slowdown.vgg16]\nrack = 1.6\nnetwork = 3\n");
  ASSERT_TRUE(cluster) << cluster.error().text();
  std::vector<std::string> names;
  std::vector<int> sizes;
  for (const Topology::Node& node : cluster->nodes) {
    names.push_back(node.name);
    sizes.push_back(node.accelerators);
  }
  EXPECT_THAT(names,
              ::testing::ElementsAre("old-node0", "old-node1", "big", "new-node1", "new-node2"));
  EXPECT_THAT(sizes, ::testing::ElementsAre(4, 4, 16, 1, 1));
  EXPECT_EQ(cluster->largest_rack(), 18);
  // Of the rack with fewest nodes, not oversubscribed.
  EXPECT_DOUBLE_EQ(cluster->rack_uplink.bandwidth.value(), 20e9);
  ASSERT_EQ(cluster->slowdowns.size(), 1u);
  EXPECT_EQ(cluster->slowdowns[0].model, "vgg16");
  EXPECT_DOUBLE_EQ(cluster->slowdowns[0].network, 3);
}

TEST_F(TopologyTest, ReportsEveryErrorWithItsLine) {
  const std::string text = errors(
      "[cluster]\nname = \"wrong\"\nracks = 2\nnodes_per_rack = 2\naccelerators_per_node = 0\n"
      "colour = \"red\"\n[links.inside]\nbandwidth = \"150\"\n"
      "[links.rack_uplink]\noversubscription = 0.5\n");
  EXPECT_THAT(text, AllOf(HasSubstr(":5: "), HasSubstr("accelerators_per_node"), HasSubstr(":6: "),
                          HasSubstr("colour"), HasSubstr(":8: "), HasSubstr(":10: "),
                          HasSubstr("node_uplink is missing, and there are 4 nodes")))
      << text;
}

TEST_F(TopologyTest, SeveralNodesNeedLinksAndOneDoesNot) {
  const std::string head = "[cluster]\nname = \"n\"\naccelerators_per_node = 8\nnodes_per_rack = ";
  EXPECT_THAT(errors(head + "2\n"), AllOf(HasSubstr("inside is missing"),
                                          HasSubstr("node_uplink is missing, and there are 2")));
  EXPECT_EQ(errors(head + "1\n"), "no error");
}

TEST_F(TopologyTest, RejectsWhatContradictsItself) {
  const std::string head = "[cluster]\nname = \"n\"\n";
  const std::string rack = "[[rack]]\nname = \"a\"\nnodes = 1\naccelerators = 1\n";
  EXPECT_THAT(errors(head + "racks = 2\n" + kLinks + rack), HasSubstr("beside [[rack]]"));
  EXPECT_THAT(errors(head + kLinks + rack + rack), HasSubstr("another rack's name"));
  EXPECT_THAT(errors(head + kLinks + rack + "[[rack.node]]\naccelerators = 2\n"),
              HasSubstr("beside [[rack.node]]"));
  EXPECT_THAT(errors(head + rack + "[slowdown.x]\nrack = 3\nnetwork = 2\n"),
              HasSubstr("below rack"));
  EXPECT_THAT(errors(head + "instance = \"p3.17xlarge\"\nnodes_per_rack = 1\n"),
              HasSubstr("did you mean"));
}

TEST_F(TopologyTest, BestTierIsTheSmallestThatHolds) {
  const Topology cluster = uniform(2, 4, 8);
  EXPECT_EQ(cluster.best_tier(8), Tier::kNode);
  EXPECT_EQ(cluster.best_tier(9), Tier::kRack);
  EXPECT_EQ(cluster.best_tier(32), Tier::kRack);
  EXPECT_EQ(cluster.best_tier(33), Tier::kNetwork);
  EXPECT_EQ(one_node(64).best_tier(64), Tier::kNode);
}

TEST_F(TopologyTest, TheTierOfAPlacementIsWhatItsPartsCross) {
  const Topology cluster = uniform(2, 4, 8);
  EXPECT_EQ(tier_of(cluster, {{{3, 8}}}), Tier::kNode);
  EXPECT_EQ(tier_of(cluster, {{{0, 1}, {3, 1}}}), Tier::kRack);
  EXPECT_EQ(tier_of(cluster, {{{3, 1}, {4, 1}}}), Tier::kNetwork);
}

TEST_F(TopologyTest, FingerprintsTellShapesApart) {
  EXPECT_EQ(uniform(2, 4, 8).fingerprint, uniform(2, 4, 8).fingerprint);
  EXPECT_NE(uniform(2, 4, 8).fingerprint, uniform(1, 8, 8).fingerprint);
  EXPECT_NE(uniform(2, 4, 8).fingerprint, uniform(2, 4, 4).fingerprint);
}

TEST_F(TopologyTest, TheDocumentKeepsEveryNodeAndLink) {
  const core::Json json = uniform(2, 2, 4).to_json();
  EXPECT_EQ(json["accelerators"], 16);
  EXPECT_EQ(json["racks"][1]["node_accelerators"], core::Json::parse("[4, 4]"));
  EXPECT_DOUBLE_EQ(json["links"]["node_uplink"]["bandwidth_bytes_per_s"], 12.5e9);
}

}  // namespace
}  // namespace penstock::cluster
