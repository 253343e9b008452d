#include "penstock/partition/internal/lowering_axes.h"

#include <gtest/gtest.h>

#include <numeric>
#include <utility>
#include <vector>

#include "penstock/core/random.h"

namespace penstock::partition {
namespace {

using model::Shape;

// Moves the numbers 0, 1, 2, ... as a relayout moves elements.
std::vector<std::int64_t> transposed(const std::vector<std::int64_t>& data, const Shape& shape,
                                     const std::vector<std::size_t>& order) {
  std::vector<std::int64_t> result(data.size());
  for (std::size_t i = 0; i < data.size(); ++i) {
    std::vector<std::int64_t> place(shape.size());
    std::int64_t rest = static_cast<std::int64_t>(i);
    for (std::size_t a = order.size(); a-- > 0; rest /= shape[order[a]])
      place[order[a]] = rest % shape[order[a]];
    std::int64_t from = 0;
    for (std::size_t a = 0; a < shape.size(); ++a) from = from * shape[a] + place[a];
    result[i] = data[static_cast<std::size_t>(from)];
  }
  return result;
}

// Which grain of the channels a placement says that element `i` belongs to.
std::int64_t claimed_grain(const internal::Placement& placement, std::int64_t i,
                           std::int64_t grains) {
  std::vector<internal::Factor> factors;
  for (const internal::Axis& axis : placement.axes)
    factors.insert(factors.end(), axis.begin(), axis.end());
  for (auto factor = factors.rbegin(); factor != factors.rend(); i /= factor++->size)
    if (factor->role == internal::Role::kChannels)
      return i % factor->size / (factor->size / grains);
  return 0;
}

TEST(LowerAxesTest, PlacementsSayWhereRandomRelayoutsReallyPutTheChannels) {
  core::RandomStream random(7, "relayouts");
  const std::int64_t channels = 12;
  int followed = 0;
  for (int round = 0; round < 500; ++round) {
    Shape shape = {2, channels, 6};
    internal::ChannelSets sets;
    internal::Placement placement = internal::plain_placement(shape);
    internal::declare_rows(placement, 0, 2);
    internal::declare_channels(placement, 1, channels, sets);
    const int set = placement.channels;
    std::vector<std::int64_t> data(2 * channels * 6);
    std::iota(data.begin(), data.end(), 0);
    for (int step = 0; step < 4; ++step) {
      if (random.below(2) == 0) {
        std::vector<std::size_t> order(shape.size());
        std::iota(order.begin(), order.end(), 0);
        for (std::size_t i = order.size(); i > 1; --i)
          std::swap(order[i - 1], order[static_cast<std::size_t>(random.below(i))]);
        data = transposed(data, shape, order);
        const Shape before = shape;
        const auto axes = placement.axes;
        for (std::size_t i = 0; i < order.size(); ++i) {
          shape[i] = before[order[i]];
          placement.axes[i] = axes[order[i]];
        }
      } else {
        const std::vector<Shape> shapes = {{24, 6},    {2, 3, 4, 6}, {144},      {6, 24},
                                           {4, 3, 12}, {2, 1, 72},   {12, 2, 6}, {2, 6, 2, 6}};
        shape = shapes[static_cast<std::size_t>(random.below(shapes.size()))];
        placement = internal::regroup(placement, shape, sets);
      }
      if (placement.channels < 0) break;
      ++followed;
      const std::int64_t grains = sets.grains(set);
      for (std::size_t i = 0; i < data.size(); ++i) {
        const std::int64_t channel = data[i] / 6 % channels;
        ASSERT_EQ(claimed_grain(placement, static_cast<std::int64_t>(i), grains),
                  channel / (channels / grains));
      }
    }
  }
  EXPECT_GT(followed, 500) << "too few relayouts were followed for the test to mean something";
}

}  // namespace
}  // namespace penstock::partition
