#include "penstock/partition/layout.h"

#include <gtest/gtest.h>

namespace penstock::partition {
namespace {

Layout whole(Layout layout) { return layout == Layout::kPartial ? Layout::kReplicated : layout; }

// Received by the side of share a for the edge p -> t, as a fraction of the tensor.
double classic(Type p, Type t, double a) {
  const Share share{a, a};
  return received(whole(forward_out(p)), forward_in(t), share, share) +
         received(whole(backward_out(t)), backward_in(p), share, share);
}
double fused(Type p, Type t, double a) {
  const Share share{a, a};
  return received(forward_out(p), forward_in(t), share, share) +
         received(backward_out(t), backward_in(p), share, share);
}

constexpr Type kI = Type::kBatch;
constexpr Type kII = Type::kIn;
constexpr Type kIII = Type::kOut;

TEST(LayoutTest, GivesTheClassicTableAtEveryRatio) {
  for (const double a : {0.5, 0.3, 0.7, 0.01}) {
    const double b = 1 - a;
    EXPECT_NEAR(classic(kI, kI, a), 0, 1e-15);
    EXPECT_NEAR(classic(kI, kII, a), 2 * a * b, 1e-15);
    EXPECT_NEAR(classic(kI, kIII, a), b, 1e-15);
    EXPECT_NEAR(classic(kII, kI, a), b, 1e-15);
    EXPECT_NEAR(classic(kII, kII, a), b, 1e-15);
    EXPECT_NEAR(classic(kII, kIII, a), 0, 1e-15);
    EXPECT_NEAR(classic(kIII, kI, a), 2 * a * b, 1e-15);
    EXPECT_NEAR(classic(kIII, kII, a), 0, 1e-15);
    EXPECT_NEAR(classic(kIII, kIII, a), b, 1e-15);
  }
}

TEST(LayoutTest, GivesTheFusedTableAtEveryRatio) {
  for (const double a : {0.5, 0.3, 0.7, 0.01}) {
    const double b = 1 - a;
    EXPECT_NEAR(fused(kI, kI, a), 0, 1e-15);
    EXPECT_NEAR(fused(kI, kII, a), a * b + a * b, 1e-15);
    EXPECT_NEAR(fused(kI, kIII, a), b + a, 1e-15);
    EXPECT_NEAR(fused(kII, kI, a), a + b, 1e-15);
    EXPECT_NEAR(fused(kII, kII, a), a + b, 1e-15);
    EXPECT_NEAR(fused(kII, kIII, a), 1 + 1, 1e-15);
    EXPECT_NEAR(fused(kIII, kI, a), 2 * a * b, 1e-15);
    EXPECT_NEAR(fused(kIII, kII, a), 0, 1e-15);
    EXPECT_NEAR(fused(kIII, kIII, a), b + a, 1e-15);
  }
}

// Room page 1.3, the general form with two ratios.
TEST(LayoutTest, ChargesTheDataThatAChangeOfRatioMoves) {
  const Share before{0.3, 0.3};
  const Share after{0.45, 0.45};
  EXPECT_NEAR(received(Layout::kRows, Layout::kRows, before, after), 0.15, 1e-15);
  EXPECT_NEAR(received(Layout::kRows, Layout::kRows, after, before), 0, 1e-15);
  EXPECT_NEAR(received(Layout::kRows, Layout::kColumns, before, after), 0.45 * 0.7, 1e-15);
  EXPECT_NEAR(received(Layout::kRows, Layout::kReplicated, before, after), 0.7, 1e-15);
}

// Both sides together receive each element that either lacks exactly once.
TEST(LayoutTest, BothSidesTogetherReceiveWhatIsMissing) {
  for (const double a : {0.5, 0.25, 0.9}) {
    const Share one{a, a};
    const Share other{1 - a, 1 - a};
    const auto both = [&](Layout from, Layout to) {
      return received(from, to, one, one) + received(from, to, other, other);
    };
    EXPECT_NEAR(both(Layout::kRows, Layout::kReplicated), 1, 1e-15);
    EXPECT_NEAR(both(Layout::kColumns, Layout::kReplicated), 1, 1e-15);
    EXPECT_NEAR(both(Layout::kRows, Layout::kColumns), 2 * a * (1 - a), 1e-15);
    EXPECT_NEAR(both(Layout::kPartial, Layout::kRows), 1, 1e-15);
    EXPECT_NEAR(both(Layout::kPartial, Layout::kReplicated), 2, 1e-15);
    EXPECT_EQ(both(Layout::kReplicated, Layout::kRows), 0);
  }
}

}  // namespace
}  // namespace penstock::partition
