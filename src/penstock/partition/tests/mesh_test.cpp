#include "penstock/partition/mesh.h"

#include <gtest/gtest.h>

#include <cmath>

#include "penstock/model/zoo.h"
#include "penstock/partition/partition.h"
#include "penstock/partition/tests/network_sketch.h"

namespace penstock::partition {
namespace {

Network zoo_network(const std::string& name) { return *lower(*model::zoo(name, 512)); }

double best_step(const Network& network, const MeshSpace& space, const MeshOptions& options) {
  const std::vector<Extent> extents = whole_extents(network);
  const MeshPlan plan = plan_mesh(network, extents, space, options);
  EXPECT_TRUE(plan.proven);
  return evaluate_mesh(network, extents, space, plan, options).step.value();
}

// Room page 1.11: 128 boards at 2 GB/s, partial sums made whole before the layout changes.
TEST(MeshTest, MatchesTheRoomPageWithWholeSums) {
  const auto group = device_group("v3", 128, 420e12, 2e9);
  const MeshSpace space(group, 128);
  MeshOptions whole_sums;
  whole_sums.reduce_scatter = false;
  const struct {
    const char* name;
    double ring, best;  // ms, to the page's two decimals
  } rows[] = {{"alexnet", 123.83, 8.36},
              {"vgg11", 264.06, 19.19},
              {"vgg16", 275.41, 28.60},
              {"vgg19", 286.18, 37.44}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const Network network = zoo_network(row.name);
    const std::vector<Extent> extents = whole_extents(network);
    const MeshPlan data = data_parallel_mesh(network, extents, space);
    EXPECT_NEAR(evaluate_mesh(network, extents, space, data, whole_sums).step.value() * 1e3,
                row.ring, 0.01);
    EXPECT_NEAR(best_step(network, space, whole_sums) * 1e3, row.best, 0.011);
    EXPECT_LT(best_step(network, space, {}), best_step(network, space, whole_sums));
  }
}

// Every state of every node, on a chain small enough.
TEST(MeshTest, EqualsAllPlansOfASmallChain) {
  core::RandomStream random(20, "mesh");
  for (int trial = 0; trial < 4; ++trial) {
    const Network network = random_chain(random, 3, 64);
    const auto group = device_group("d", 8, 1e12, 1e9);
    const MeshSpace space(group, 4);
    const std::vector<Extent> extents = whole_extents(network);
    const auto full = static_cast<Axes>(space.all());
    std::vector<MeshState> states;
    // Contiguous runs of axes: the batch first, then one side of the channels, the other last.
    for (const auto& [b, x, y] : std::vector<std::array<Axes, 3>>{
             {3, 0, 0}, {1, 2, 0}, {1, 0, 2}, {0, 3, 0}, {0, 0, 3}, {0, 1, 2}, {0, 2, 1}}) {
      EXPECT_EQ(b | x | y, full);
      states.push_back({b, x, y});
    }
    MeshOptions options;
    options.reduce_scatter = trial % 2 == 0;
    double expected = INFINITY;
    for (const MeshState& a : states) {
      for (const MeshState& b : states) {
        for (const MeshState& c : states) {
          MeshPlan plan;
          plan.devices = 4;
          plan.states = {a, b, c};
          expected = std::min(expected,
                              evaluate_mesh(network, extents, space, plan, options).step.value());
        }
      }
    }
    EXPECT_NEAR(best_step(network, space, options), expected, 1e-12 * expected);
  }
}

TEST(MeshTest, ItemsAreHeldByExactlyOneCoordinateOfTheAxesThatCutThem) {
  const auto group = device_group("d", 12, 1e12, 1e9);
  const MeshSpace space(group, 12);
  for (const std::int64_t items : {1, 7, 12, 25, 100}) {
    for (unsigned axes = 0; axes <= space.all(); ++axes) {
      std::int64_t rows = 0;
      std::int64_t columns = 0;
      for (int device = 0; device < 12; ++device) {
        rows += space.rows_of(device, items, static_cast<Axes>(axes));
        columns += space.columns_of(device, items, static_cast<Axes>(axes));
      }
      // Each item is held once for every coordinate of the axes that do not cut it.
      const std::int64_t copies = 12 / space.parts(static_cast<Axes>(axes));
      EXPECT_EQ(rows, items * copies);
      EXPECT_EQ(columns, items * copies);
      EXPECT_EQ(space.most_rows(items)[axes],
                static_cast<double>(space.rows_of(0, items, static_cast<Axes>(axes))));
    }
  }
}

// The planner's bytes are those that the fullest device receives, exactly where all divides evenly.
TEST(MeshTest, PredictedBytesAreWhatEachDeviceReceives) {
  NetworkSketch sketch(64);
  int at = sketch.layer(-1, 64, 128);
  at = sketch.layer(at, 128, 64);
  sketch.layer(at, 64, 256);
  const Network network = sketch.take();
  const auto group = device_group("d", 8, 1e12, 1e9);
  const MeshSpace space(group, 8);
  const std::vector<Extent> extents = whole_extents(network);
  for (const bool scatter : {true, false}) {
    MeshOptions options;
    options.bytes_per_element = 1;
    options.reduce_scatter = scatter;
    MeshPlan plan;
    plan.devices = 8;
    plan.states = {{1, 2, 4}, {1, 6, 0}, {3, 0, 4}};
    const MeshCost cost = evaluate_mesh(network, extents, space, plan, options);
    for (int v = 0; v < 3; ++v) {
      for (int device = 0; device < 8; ++device) {
        EXPECT_EQ(
            static_cast<double>(mesh_received(network, extents, space, plan, v, device, options)),
            cost.phases[static_cast<std::size_t>(v)].received);
      }
    }
  }
}

TEST(MeshTest, NeverLosesToRingDataParallelism) {
  core::RandomStream random(21, "ring");
  for (int trial = 0; trial < 20; ++trial) {
    const Network network = random_series_parallel(random, 20);
    const auto group = device_group("d", 16, 1e12, 1e9 * (0.1 + 10 * random.uniform()));
    const MeshSpace space(group, 8);
    const std::vector<Extent> extents = whole_extents(network);
    const MeshPlan data = data_parallel_mesh(network, extents, space);
    EXPECT_LE(best_step(network, space, {}),
              evaluate_mesh(network, extents, space, data, {}).step.value() * (1 + 1e-12));
  }
}

TEST(MeshTest, MoreDevicesOrFasterOnesNeverSlowAPlanThatMayIdle) {
  core::RandomStream random(22, "monotone");
  for (int trial = 0; trial < 6; ++trial) {
    const Network network = random_series_parallel(random, 14);
    const double link = 1e8 * std::pow(10.0, 2 * random.uniform());
    MeshOptions options;
    options.may_idle = true;
    const auto best = [&](int count, double rate, double bandwidth) {
      const auto group = device_group("d", count, rate, bandwidth);
      const std::vector<Extent> extents = whole_extents(network);
      const MeshPlan plan = best_mesh(network, extents, group, 1, count, options);
      return evaluate_mesh(network, extents, MeshSpace(group, plan.devices), plan, options)
          .step.value();
    };
    double last = INFINITY;
    for (int count = 1; count <= 34; ++count) {
      const double now = best(count, 1e12, link);
      EXPECT_LE(now, last * (1 + 1e-12)) << count << " devices";
      last = now;
    }
    EXPECT_LE(best(8, 2e12, link), best(8, 1e12, link));
    EXPECT_LE(best(8, 1e12, 2 * link), best(8, 1e12, link));
  }
}

// A large batch over small weights with much optimizer state: data parallelism is fastest, and
// holds the most.
TEST(MeshTest, RespectsTheMemoryOfADevice) {
  const Network network = wide_batch_network();
  const std::vector<Extent> extents = whole_extents(network);
  MeshOptions options;
  options.memory.bytes_per_weight = 16;
  auto group = device_group("d", 4, 1e12, 1e9);
  const MeshSpace free_space(group, 4);
  const MeshPlan free_plan = plan_mesh(network, extents, free_space, options);
  const MeshCost free_cost = evaluate_mesh(network, extents, free_space, free_plan, options);
  group.memory = (free_cost.weights + free_cost.activations) * 0.6;
  const MeshSpace tight(group, 4);
  const MeshPlan plan = plan_mesh(network, extents, tight, options);
  const MeshCost cost = evaluate_mesh(network, extents, tight, plan, options);
  EXPECT_LE(cost.weights + cost.activations, group.memory);
  EXPECT_GT(cost.step, free_cost.step);
  // A price on memory finds the best plan of its memory, but not every memory has a price.
  EXPECT_FALSE(plan.proven);
}

TEST(MeshTest, TrafficThatLeavesANodeSharesItsNetwork) {
  auto group = device_group("d", 16, 1e12, 100e9);
  group.per_node = 8;
  group.network = Bandwidth(10e9);
  const MeshSpace space(group, 16);
  EXPECT_EQ(space.radices(), (std::vector<int>{2, 2, 2, 2}));
  // All 16 in one ring: one stream in and out of each node. Pairs across nodes: eight of them.
  EXPECT_DOUBLE_EQ(space.seconds_per_byte(0b1111), 1 / 10e9);
  EXPECT_DOUBLE_EQ(space.seconds_per_byte(0b0001), 8 / 10e9);
  EXPECT_DOUBLE_EQ(space.seconds_per_byte(0b1110), 1 / 100e9);
}

}  // namespace
}  // namespace penstock::partition
