#include "penstock/cluster/speed.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <numeric>

#include "penstock/cluster/internal/gavel_throughputs.h"
#include "penstock/cluster/internal/pollux_profiles.h"
#include "penstock/core/file.h"
#include "penstock/core/random.h"

namespace penstock::cluster {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::string shared_data() {
  const char* root = std::getenv("PENSTOCK_SHARED");
  const fs::path path = fs::path(root != nullptr ? root : PENSTOCK_SOURCE_DIR "/../shared");
  return fs::exists(path / "data/cluster") ? (path / "data/cluster").string() : "";
}

Topology named(Topology cluster, const std::string& accelerator) {
  cluster.accelerator = accelerator;
  return cluster;
}

// A random placement of `accelerators` on an empty cluster.
Placement random_placement(const Topology& cluster, int accelerators, core::RandomStream& random) {
  std::map<std::int32_t, std::int32_t> parts;
  while (accelerators > 0) {
    const auto node = static_cast<std::int32_t>(random.below(cluster.nodes.size()));
    const int room = cluster.nodes[static_cast<std::size_t>(node)].accelerators - parts[node];
    if (room == 0) continue;
    const int take = std::min(accelerators,
                              1 + static_cast<int>(random.below(static_cast<std::uint64_t>(room))));
    parts[node] += take;
    accelerators -= take;
  }
  Placement placement;
  for (const auto& [node, count] : parts) {
    if (count > 0) placement.parts.push_back({node, count});
  }
  return placement;
}

// A folder of profiles made up for one test.
class SpeedTest : public ::testing::Test {
 protected:
  SpeedTest()
      : folder_(fs::path(::testing::TempDir()) /
                ("penstock_speed_test_" + std::to_string(::getpid()) + "_" +
                 ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::create_directories(folder_);
  }
  ~SpeedTest() override { fs::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) const {
    EXPECT_TRUE(core::write_file((folder_ / name).string(), text));
  }
  SpeedBook book(const SpeedFiles& files) const {
    auto read = SpeedBook::read(files);
    EXPECT_TRUE(read) << read.error().text();
    return read ? *std::move(read) : SpeedBook();
  }
  SpeedBook small_book() const {
    write("bert_placements.csv",
          "placement,local_bsz,step_time,sync_time\n"
          "1,4,1.0,0\n1,16,2.0,0\n"
          "2,4,1.2,0.2\n2,16,2.2,0.2\n"
          "11,4,2.4,1.4\n11,16,2.2,0.2\n"
          "4,4,1.5,0.5\n22,4,3.0,2.0\n112,4,2.0,1.0\n121,4,4.0,3.0\n1111,4,2.5,1.5\n");
    return book({.pollux = folder_.string(), .gavel = ""});
  }
  fs::path folder_;
};

TEST_F(SpeedTest, AMeasuredPlacementIsItsTimeOverTheBestMeasured) {
  SpeedBook speeds = small_book();
  const Topology cluster = named(uniform(1, 4, 4), "t4");
  const int four = speeds.job_class("BERT", 4, 16, -1);
  EXPECT_DOUBLE_EQ(speeds.at(four, cluster, {{{2, 4}}}).slowdown, 1);
  const Speed halves = speeds.at(four, cluster, {{{0, 2}, {1, 2}}});
  EXPECT_DOUBLE_EQ(halves.slowdown, 3.0 / 1.5);
  EXPECT_DOUBLE_EQ(halves.compute_share, 1.0 / 3);
  EXPECT_EQ(halves.source, SpeedSource::kMeasured);
  // Waiting beyond that of one node fills the uplink.
  EXPECT_DOUBLE_EQ(halves.uplink_bytes_per_s, (2.0 - 0.5) / 3.0 * 12.5e9);
  const Speed ones = speeds.at(four, cluster, {{{0, 1}, {1, 1}, {2, 1}, {3, 1}}});
  EXPECT_LT(ones.slowdown, halves.slowdown);
}

TEST_F(SpeedTest, OrdersOfOneMultisetAreOnePlacement) {
  SpeedBook speeds = small_book();
  const Topology cluster = named(uniform(1, 4, 4), "t4");
  const int four = speeds.job_class("bert", 4, 16, -1);
  const double first = speeds.at(four, cluster, {{{0, 1}, {1, 1}, {2, 2}}}).slowdown;
  EXPECT_DOUBLE_EQ(first, (2.0 + 4.0) / 2 / 1.5);
  EXPECT_DOUBLE_EQ(first, speeds.at(four, cluster, {{{0, 2}, {1, 1}, {3, 1}}}).slowdown);
}

TEST_F(SpeedTest, BetweenBatchesTimesAreInterpolatedOnALogarithmicAxis) {
  SpeedBook speeds = small_book();
  const Topology cluster = named(uniform(1, 4, 4), "t4");
  // 8 per accelerator lies in the middle of 4 and 16.
  const int two = speeds.job_class("bert", 2, 16, -1);
  EXPECT_NEAR(speeds.at(two, cluster, {{{0, 1}, {1, 1}}}).slowdown, 2.3 / 1.7, 1e-12);
  const int beyond = speeds.job_class("bert", 2, 200, -1);
  EXPECT_NEAR(speeds.at(beyond, cluster, {{{0, 1}, {1, 1}}}).slowdown, 1, 1e-12);
}

TEST_F(SpeedTest, TheReferenceMustFitTheCluster) {
  SpeedBook speeds = small_book();
  // Nodes of two: four in one node (1.5 s) cannot be, so four ones (2.5 s) are best.
  const Topology cluster = named(uniform(1, 4, 2), "t4");
  const int four = speeds.job_class("bert", 4, 16, -1);
  EXPECT_DOUBLE_EQ(speeds.at(four, cluster, {{{0, 1}, {1, 1}, {2, 1}, {3, 1}}}).slowdown, 1);
  EXPECT_DOUBLE_EQ(speeds.at(four, cluster, {{{0, 2}, {1, 2}}}).slowdown, 3.0 / 2.5);
  EXPECT_DOUBLE_EQ(speeds.at(four, cluster, {{{0, 2}, {1, 1}, {2, 1}}}).slowdown, 3.0 / 2.5);
}

TEST_F(SpeedTest, WhatWasNotMeasuredIsInterpolatedOverNodesAndDensity) {
  SpeedBook speeds = [&] {
    write("bert_scalability.csv",
          "num_nodes,num_replicas,local_bsz,step_time,sync_time\n16,16,4,4.5,3.5\n");
    return small_book();
  }();
  const Topology cluster = named(uniform(1, 16, 4), "t4");
  const int eight = speeds.job_class("bert", 8, 32, -1);
  Placement ones;
  for (int node = 0; node < 8; ++node) ones.parts.push_back({node, 1});
  const Speed speed = speeds.at(eight, cluster, ones);
  EXPECT_EQ(speed.source, SpeedSource::kInterpolated);
  // 8 nodes lie in the middle of 4 (2.5 s) and 16 (4.5 s); the best is two full nodes, measured as
  // two and two.
  EXPECT_NEAR(speed.slowdown, 3.5 / 3.0, 1e-12);
}

TEST_F(SpeedTest, BadRowsAreReportedByLine) {
  write("bert_placements.csv",
        "placement,local_bsz,step_time,sync_time\n1,4,1,0\n0,4,1,0\n1,4,1\n2,4,1,2\n2,x,1,0\n");
  const auto read = SpeedBook::read({.pollux = folder_.string(), .gavel = ""});
  ASSERT_FALSE(read);
  for (const char* line : {"csv:3", "csv:4", "csv:5", "csv:6"}) {
    EXPECT_THAT(read.error().text(), HasSubstr(line));
  }
  write("bert_placements.csv", "placement,step_time\n");
  EXPECT_FALSE(SpeedBook::read({.pollux = folder_.string(), .gavel = ""}));
  EXPECT_EQ(SpeedBook::read({.pollux = (folder_ / "none").string(), .gavel = ""}).error().kind,
            ErrorKind::kMissing);
  write("gavel.json",
        "{\"v100\": {\"('LM (batch size 5)', 2)\": {}}, \"v100_unconsolidated\": {}}");
  EXPECT_FALSE(SpeedBook::read({.pollux = "", .gavel = (folder_ / "gavel.json").string()}));
}

TEST_F(SpeedTest, GavelComparesOneNodeWithSeveralOnTheClustersAccelerator) {
  write("gavel.json",
        "{\"v100\": {\"('LM (batch size 5)', 1)\": {\"null\": 10}, \"('LM (batch size 5)', 2)\": "
        "{\"null\": 16}}, \"v100_unconsolidated\": {\"('LM (batch size 5)', 2)\": {\"null\": 4}},"
        "\"k80\": {\"('LM (batch size 5)', 1)\": {\"null\": 2}, \"('LM (batch size 5)', 2)\": "
        "{\"null\": 3}}, \"k80_unconsolidated\": {\"('LM (batch size 5)', 2)\": {\"null\": 6}}}");
  SpeedBook speeds = book({.pollux = "", .gavel = (folder_ / "gavel.json").string()});
  const int lm = speeds.job_class("lm", 2, 10, -1);
  const Placement apart{{{0, 1}, {1, 1}}};
  const Speed v100 = speeds.at(lm, named(uniform(1, 2, 4), "v100-32gb"), apart);
  EXPECT_DOUBLE_EQ(v100.slowdown, 4);
  EXPECT_DOUBLE_EQ(v100.compute_share, 16.0 / 20 / 4);
  EXPECT_EQ(v100.source, SpeedSource::kMeasured);
  // A ratio below 1 is noise.
  EXPECT_DOUBLE_EQ(speeds.at(lm, named(uniform(1, 2, 4), "k80"), apart).slowdown, 1);
  // Nodes of one: there is no closer placement.
  EXPECT_DOUBLE_EQ(speeds.at(lm, named(uniform(1, 2, 1), "v100"), apart).slowdown, 1);
}

TEST_F(SpeedTest, TheOwnShareOfNetworkTimeScalesWithTheLinks) {
  SpeedBook speeds;
  Topology cluster = named(uniform(1, 4, 8), "v100");
  // Links that move what the trace's did: 16.5 GB/s inside, 8.25 GB/s between.
  cluster.inside.bandwidth = Bandwidth(16.5e9 / 0.65);
  cluster.node_uplink.bandwidth = Bandwidth(8.25e9 / 0.65);
  const int job = speeds.job_class("no such model", 8, 0, 0.2);
  const Speed inside = speeds.at(job, cluster, {{{0, 8}}});
  EXPECT_DOUBLE_EQ(inside.slowdown, 1);
  EXPECT_NEAR(inside.compute_share, 0.8, 1e-12);
  // 0.25 of the computation becomes 0.5.
  const Speed apart = speeds.at(job, cluster, {{{0, 4}, {1, 4}}});
  EXPECT_NEAR(apart.slowdown, 1.5 / 1.25, 1e-12);
  EXPECT_NEAR(apart.compute_share, 1 / 1.5, 1e-12);
  EXPECT_NEAR(apart.uplink_bytes_per_s, 8.25e9 / 3, 1);
  EXPECT_EQ(apart.source, SpeedSource::kModelled);
}

TEST_F(SpeedTest, AFasterNetworkNeverSlowsAModelledJob) {
  SpeedBook speeds;
  for (const char* model : {"vgg16", "bert", "resnet50", "gpt2", "unheard-of"}) {
    for (const int accelerators : {2, 5, 8, 12, 24}) {
      const int job = speeds.job_class(model, accelerators, 0, -1);
      double rack = 1e300;
      double network = 1e300;
      for (double gigabits = 1; gigabits < 2000; gigabits *= 1.7) {
        Topology cluster = uniform(2, 4, 8);
        cluster.node_uplink.bandwidth = Bandwidth(gigabits / 8 * 1e9);
        cluster.rack_uplink.bandwidth = cluster.node_uplink.bandwidth * 0.5;
        const double now_rack = speeds.slowdown(job, cluster, Tier::kRack);
        const double now_network = speeds.slowdown(job, cluster, Tier::kNetwork);
        EXPECT_LE(now_rack, rack * (1 + 1e-12)) << model << " on " << accelerators;
        EXPECT_GE(now_network, now_rack * (1 - 1e-12));
        if (accelerators <= 8) {
          EXPECT_LE(now_network, network * (1 + 1e-12)) << model << " on " << accelerators;
        }
        rack = now_rack;
        network = now_network;
      }
    }
  }
}

TEST_F(SpeedTest, FlatPlacementsAreAllAtFullSpeed) {
  SpeedBook speeds = SpeedBook::flat();
  const Topology cluster = uniform(2, 4, 8);
  const int job = speeds.job_class("vgg16", 16, 0, 0.5);
  core::RandomStream random(1, "flat");
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(speeds.at(job, cluster, random_placement(cluster, 16, random)).slowdown, 1);
  }
  EXPECT_EQ(speeds.slowdown(job, cluster, Tier::kNetwork), 1);
}

TEST_F(SpeedTest, StatedSlowdownsAreRelativeToTheBestTierOfTheJob) {
  SpeedBook speeds = small_book();
  const Topology cluster = uniform(2, 4, 8);
  speeds.state("VGG-16", 1.6, 3.0);
  const int small = speeds.job_class("vgg16", 8, 0, -1);
  EXPECT_DOUBLE_EQ(speeds.slowdown(small, cluster, Tier::kNode), 1);
  EXPECT_DOUBLE_EQ(speeds.slowdown(small, cluster, Tier::kRack), 1.6);
  EXPECT_DOUBLE_EQ(speeds.at(small, cluster, {{{0, 4}, {7, 4}}}).slowdown, 3.0);
  const int large = speeds.job_class("vgg16", 16, 0, -1);
  EXPECT_DOUBLE_EQ(speeds.at(large, cluster, {{{0, 8}, {1, 8}}}).slowdown, 1);
  EXPECT_DOUBLE_EQ(speeds.at(large, cluster, {{{0, 8}, {7, 8}}}).slowdown, 3.0 / 1.6);
  // What is stated later holds at once; the empty model stands for all others.
  speeds.state("", 1.1, 1.2);
  const int other = speeds.job_class("bert", 4, 16, -1);
  EXPECT_DOUBLE_EQ(speeds.at(other, cluster, {{{0, 2}, {7, 2}}}).slowdown, 1.2);
  EXPECT_DOUBLE_EQ(speeds.slowdown(small, cluster, Tier::kRack), 1.6);
}

TEST_F(SpeedTest, AnUnknownModelIsTheMedianOfThoseKnown) {
  write("a_placements.csv",
        "placement,local_bsz,step_time,sync_time\n1,4,1,0\n2,4,1,0\n11,4,2,1\n");
  const Topology cluster = named(uniform(1, 2, 4), "t4");
  for (const char* model : {"bert", "yolov3", "imagenet"}) {
    const int slow = model == std::string("bert") ? 5 : model == std::string("yolov3") ? 3 : 2;
    write(std::string(model) + "_placements.csv",
          "placement,local_bsz,step_time,sync_time\n1,4,1,0\n2,4,1,0\n11,4," +
              std::to_string(slow) + ",0.5\n");
  }
  SpeedBook speeds = book({.pollux = folder_.string(), .gavel = ""});
  const int job = speeds.job_class("unheard-of", 2, 8, -1);
  const Speed speed = speeds.at(job, cluster, {{{0, 1}, {1, 1}}});
  EXPECT_DOUBLE_EQ(speed.slowdown, 3);
  EXPECT_EQ(speed.source, SpeedSource::kClass);
  // A profile of one's own is known by its name.
  const int own = speeds.job_class("a", 2, 8, -1);
  EXPECT_DOUBLE_EQ(speeds.at(own, cluster, {{{0, 1}, {1, 1}}}).slowdown, 2);
}

TEST_F(SpeedTest, MeasurementsOfAnotherAcceleratorSayThatTheyAre) {
  SpeedBook speeds = small_book();
  const int job = speeds.job_class("bert", 2, 8, -1);
  const Placement apart{{{0, 1}, {1, 1}}};
  EXPECT_EQ(speeds.at(job, named(uniform(1, 2, 4), "a100"), apart).source, SpeedSource::kElsewhere);
  EXPECT_EQ(speeds.at(job, uniform(1, 2, 4), apart).source, SpeedSource::kMeasured);
  // The job's own share comes before.
  const int shared = speeds.job_class("bert", 2, 8, 0.1);
  EXPECT_EQ(speeds.at(shared, named(uniform(1, 2, 4), "a100"), apart).source,
            SpeedSource::kModelled);
}

TEST_F(SpeedTest, OneBookKeepsClustersApart) {
  SpeedBook speeds;
  const int job = speeds.job_class("vgg16", 8, 0, -1);
  std::vector<double> first;
  for (int pass = 0; pass < 2; ++pass) {
    std::size_t index = 0;
    for (const int nodes : {2, 4, 8}) {
      for (const double gigabytes : {1.0, 5.0}) {
        Topology cluster = uniform(2, nodes, 16 / nodes);
        cluster.node_uplink.bandwidth = Bandwidth(gigabytes * 1e9);
        SpeedBook fresh;
        const double alone =
            fresh.slowdown(fresh.job_class("vgg16", 8, 0, -1), cluster, Tier::kNetwork);
        EXPECT_EQ(speeds.slowdown(job, cluster, Tier::kNetwork), alone);
        if (pass == 0) first.push_back(alone);
        EXPECT_EQ(alone, first[index++]);
      }
    }
  }
}

class SharedSpeedTest : public ::testing::Test {
 protected:
  void SetUp() override {
    data_ = shared_data();
    if (data_.empty()) GTEST_SKIP() << "the shared profiles are absent; set PENSTOCK_SHARED";
  }
  SpeedBook book() const {
    auto read = SpeedBook::read({.pollux = data_ + "/pollux/profiles",
                                 .gavel = data_ + "/gavel/simulation_throughputs.json"});
    EXPECT_TRUE(read) << read.error().text();
    return read ? *std::move(read) : SpeedBook();
  }
  std::string data_;
};

// Geometric mean over the local batches that both placements were measured at.
double mean_ratio(const PolluxProfiles::Model& model, const std::vector<int>& apart,
                  const std::vector<int>& together) {
  double sum = 0;
  int count = 0;
  for (const auto& [batch, time] : model.placements.at(apart)) {
    const auto& other = model.placements.at(together);
    const auto at = other.find(batch);
    if (at == other.end()) continue;
    sum += std::log(time.step_s / at->second.step_s);
    ++count;
  }
  return std::exp(sum / count);
}

TEST_F(SharedSpeedTest, GeometricMeansAreThoseOfTheDossier) {
  const auto profiles = PolluxProfiles::read(data_ + "/pollux/profiles");
  ASSERT_TRUE(profiles) << profiles.error().text();
  // Pollux's profiles by model: 2 -> 1+1, 4 -> 2+2, 4 -> 1+1+1+1, to two decimals.
  const std::map<std::string, std::vector<double>> expected = {
      {"bert", {1.99, 2.79, 1.81}},    {"yolov3", {1.99, 2.20, 1.39}},
      {"ncf", {1.80, 2.18, 1.62}},     {"imagenet", {1.23, 1.37, 1.18}},
      {"cifar10", {1.20, 1.50, 1.35}}, {"deepspeech2", {1.12, 1.23, 1.08}},
  };
  ASSERT_EQ(profiles->models().size(), expected.size());
  for (const auto& [name, means] : expected) {
    const PolluxProfiles::Model* model = profiles->find(name);
    ASSERT_NE(model, nullptr) << name;
    EXPECT_NEAR(mean_ratio(*model, {1, 1}, {2}) / means[0], 1, 0.01) << name;
    EXPECT_NEAR(mean_ratio(*model, {2, 2}, {4}) / means[1], 1, 0.01) << name;
    EXPECT_NEAR(mean_ratio(*model, {1, 1, 1, 1}, {4}) / means[2], 1, 0.01) << name;
  }
}

TEST_F(SharedSpeedTest, TheBookGivesWhatWasMeasured) {
  SpeedBook speeds = book();
  const auto profiles = PolluxProfiles::read(data_ + "/pollux/profiles");
  ASSERT_TRUE(profiles);
  const Topology cluster = named(uniform(1, 16, 4), "t4");
  for (const PolluxProfiles::Model& model : profiles->models()) {
    const auto& halves = model.placements.at({2, 2});
    for (const auto& [batch, time] : halves) {
      const auto together = model.placements.at({4}).find(batch);
      if (together == model.placements.at({4}).end()) continue;
      const int job = speeds.job_class(model.name, 4, 4 * batch, -1);
      double best = time.step_s;
      for (const auto& [counts, curve] : model.placements) {
        const auto at = curve.find(batch);
        const bool four = std::accumulate(counts.begin(), counts.end(), 0) == 4;
        if (four && at != curve.end()) best = std::min(best, at->second.step_s);
      }
      const Speed speed = speeds.at(job, cluster, {{{3, 2}, {5, 2}}});
      EXPECT_NEAR(speed.slowdown, time.step_s / best, 1e-12) << model.name << " " << batch;
      EXPECT_NEAR(speed.compute_share, 1 - time.sync_s / time.step_s, 1e-12);
      EXPECT_EQ(speed.source, SpeedSource::kMeasured);
    }
  }
}

TEST_F(SharedSpeedTest, GavelsRangesAreThoseOfTheDossier) {
  const auto gavel = GavelThroughputs::read(data_ + "/gavel/simulation_throughputs.json");
  ASSERT_TRUE(gavel) << gavel.error().text();
  EXPECT_NEAR(gavel->ratio("v100", "LM", 2, 5)->slowdown, 4.6, 0.05);
  EXPECT_NEAR(gavel->ratio("v100", "LM", 8, 5)->slowdown, 9.6, 0.05);
  EXPECT_NEAR(gavel->ratio("v100", "LM", 8, 80)->slowdown, 4.8, 0.05);
  EXPECT_NEAR(gavel->ratio("v100", "ResNet-18", 8, 16)->slowdown, 5.9, 0.05);
  EXPECT_NEAR(gavel->ratio("v100", "Transformer", 4, 64)->slowdown, 1.9, 0.05);
  EXPECT_EQ(gavel->ratio("v100", "ResNet-50", 8, 128)->slowdown, 1);  // 0.74, clipped
  EXPECT_FALSE(gavel->ratio("v100", "BERT", 8, 8));
  EXPECT_FALSE(gavel->ratio("t4", "LM", 8, 5));
}

// Muri's traces give iteration times of 8 and of 16 accelerators: what leaving the node cost there.
TEST_F(SharedSpeedTest, TheShareInsideANodeForetellsMurisTwoNodes) {
  SpeedBook speeds;
  Topology cluster = named(uniform(1, 8, 8), "v100");
  cluster.inside.bandwidth = Bandwidth(25e9);
  struct Row {
    const char* model;
    double share_of_8;
    double ratio;  // iteration time on 16 over that on 8, medians of trace1, trace3 and testbed
  };
  const Row rows[] = {{"bert", 59. / 192, 244. / 192},        {"gpt2", 49. / 437, 491. / 437},
                      {"vgg16", 66. / 214, 332. / 214},       {"vgg19", 60. / 226, 302. / 226},
                      {"resnet18", 77. / 1010, 1055. / 1010}, {"a2c", 0.4 / 555, 567. / 555}};
  for (const Row& row : rows) {
    const int job = speeds.job_class(row.model, 8, 0, row.share_of_8);
    const double modelled = speeds.at(job, cluster, {{{0, 4}, {1, 4}}}).slowdown;
    // VGG-16, the worst, is foretold 0.155 too fast.
    EXPECT_NEAR(modelled / row.ratio, 1, 0.16) << row.model << " " << modelled;
  }
}

TEST_F(SharedSpeedTest, EveryPlacementIsAtBestAtFullSpeedAndOneIs) {
  SpeedBook speeds = book();
  core::RandomStream random(3, "placements");
  for (const char* accelerator : {"", "t4", "v100", "k80", "a100"}) {
    for (const Topology& shape : {uniform(2, 4, 8), uniform(3, 5, 4), uniform(1, 16, 2)}) {
      const Topology cluster = named(shape, accelerator);
      for (const char* model : {"bert", "cifar10", "ResNet-50", "LM", "vgg19", "gpt2", "", "?"}) {
        for (const int accelerators : {1, 2, 3, 4, 7, 8, 12, 16, 30}) {
          const double share = random.below(3) == 0 ? random.uniform() : -1;
          const int batch = static_cast<int>(random.below(2) * random.below(4000));
          const int job = speeds.job_class(model, accelerators, batch, share);
          for (int i = 0; i < 8; ++i) {
            const Speed speed =
                speeds.at(job, cluster, random_placement(cluster, accelerators, random));
            ASSERT_GE(speed.slowdown, 1);
            ASSERT_LT(speed.slowdown, 30);
            ASSERT_GT(speed.compute_share, 0);
            ASSERT_LE(speed.compute_share, 1);
            ASSERT_GE(speed.uplink_bytes_per_s, 0);
            ASSERT_LE(speed.uplink_bytes_per_s, cluster.node_uplink.bandwidth.value());
          }
          ASSERT_GE(speeds.slowdown(job, cluster, Tier::kNode), 1);
        }
      }
    }
  }
}

TEST_F(SharedSpeedTest, ACloneAnswersAlike) {
  SpeedBook speeds = book();
  const Topology cluster = uniform(2, 4, 8);
  const int job = speeds.job_class("bert", 16, 64, -1);
  SpeedBook clone = speeds.clone();
  core::RandomStream random(5, "clone");
  for (int i = 0; i < 100; ++i) {
    const Placement placement = random_placement(cluster, 16, random);
    EXPECT_EQ(clone.at(job, cluster, placement).slowdown,
              speeds.at(job, cluster, placement).slowdown);
  }
}

}  // namespace
}  // namespace penstock::cluster
