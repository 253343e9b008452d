#include "penstock/cluster/fair_share.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <vector>

#include "penstock/core/random.h"

namespace penstock::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using FlowId = FairShare::FlowId;

struct WantedFlow {
  std::vector<std::int32_t> links;
  double demand = 0;
};
using Flows = std::map<FlowId, WantedFlow>;

// Progressive filling over everything, a step at a time.
std::map<FlowId, double> shares_by_filling(const std::vector<double>& capacities,
                                           const Flows& flows) {
  std::map<FlowId, double> rate;
  std::map<FlowId, bool> growing;
  for (const auto& [id, flow] : flows) {
    rate[id] = 0;
    growing[id] = true;
  }
  while (std::any_of(growing.begin(), growing.end(), [](const auto& one) { return one.second; })) {
    double step = std::numeric_limits<double>::infinity();
    for (const auto& [id, flow] : flows) {
      if (growing[id]) step = std::min(step, flow.demand - rate[id]);
    }
    std::vector<double> left = capacities;
    std::vector<int> count(capacities.size(), 0);
    for (const auto& [id, flow] : flows) {
      for (const std::int32_t link : flow.links) {
        left[static_cast<std::size_t>(link)] -= rate[id];
        count[static_cast<std::size_t>(link)] += growing[id] ? 1 : 0;
      }
    }
    for (std::size_t link = 0; link < left.size(); ++link) {
      if (count[link] > 0) step = std::min(step, std::max(0.0, left[link]) / count[link]);
    }
    for (auto& [id, value] : rate) {
      if (growing[id]) value += step;
    }
    for (const auto& [id, flow] : flows) {
      bool stops = rate[id] >= flow.demand * (1 - 1e-13);
      for (const std::int32_t link : flow.links) {
        const auto at = static_cast<std::size_t>(link);
        stops = stops || (count[at] > 0 && left[at] - count[at] * step <= capacities[at] * 1e-13);
      }
      if (stops) growing[id] = false;
    }
  }
  for (const auto& [id, flow] : flows) rate[id] /= flow.demand;
  return rate;
}

TEST(FairShareTest, AFlowAloneGetsWhatItAsksOrWhatItsLinksHave) {
  FairShare links({10, 4});
  const FlowId modest = links.add({0}, 7);
  EXPECT_DOUBLE_EQ(links.share(modest), 1);
  EXPECT_DOUBLE_EQ(links.use(0), 0.7);
  links.remove(modest);
  const FlowId greedy = links.add({0, 1}, 8);
  EXPECT_DOUBLE_EQ(links.share(greedy), 0.5);
  EXPECT_DOUBLE_EQ(links.use(0), 0.4);
  EXPECT_DOUBLE_EQ(links.use(1), 1);
}

TEST(FairShareTest, AThinFlowIsSparedAndTheRestIsHalved) {
  FairShare links({10});
  const FlowId thin = links.add({0}, 2);
  const FlowId one = links.add({0}, 8);
  const FlowId two = links.add({0}, 16);
  EXPECT_DOUBLE_EQ(links.share(thin), 1);
  EXPECT_DOUBLE_EQ(links.share(one), 4.0 / 8);
  EXPECT_DOUBLE_EQ(links.share(two), 4.0 / 16);
}

// The middle link holds a, c and d to a third each; b and e take what a leaves.
TEST(FairShareTest, AFlowIsHeldByItsTightestLinkAndOthersTakeTheRest) {
  FairShare links({1, 1, 1});
  const FlowId a = links.add({0, 1, 2}, 9);
  const FlowId b = links.add({0}, 9);
  const FlowId c = links.add({1}, 9);
  const FlowId d = links.add({1}, 9);
  const FlowId e = links.add({2}, 9);
  EXPECT_NEAR(links.share(a) * 9, 1.0 / 3, 1e-15);
  EXPECT_NEAR(links.share(b) * 9, 2.0 / 3, 1e-15);
  EXPECT_NEAR(links.share(c) * 9, 1.0 / 3, 1e-15);
  EXPECT_NEAR(links.share(d) * 9, 1.0 / 3, 1e-15);
  EXPECT_NEAR(links.share(e) * 9, 2.0 / 3, 1e-15);
}

TEST(FairShareTest, OnlyWhatAFlowTouchesChanges) {
  FairShare links({10, 10, 10});
  const FlowId left = links.add({0}, 8);
  const FlowId right = links.add({2}, 8);
  EXPECT_THAT(links.changed(), ElementsAre(left, right));
  links.clear_changed();
  const FlowId second = links.add({0, 1}, 8);
  EXPECT_THAT(links.changed(), ElementsAre(left, second));
  links.clear_changed();
  links.remove(second);
  EXPECT_THAT(links.changed(), ElementsAre(left));
  links.clear_changed();
  links.remove(links.add({0, 1}, 8));
  EXPECT_THAT(links.changed(), IsEmpty());
}

// The flows, links and changes of a random history.
class FairShareHistory {
 public:
  FairShareHistory(std::uint64_t seed, int link_count, double scale)
      : random_(seed, "fair share"), capacities_(static_cast<std::size_t>(link_count)) {
    for (double& capacity : capacities_) capacity = 1 + std::floor(8 * random_.uniform());
    scale_ = scale;
  }

  void add(FairShare& links) {
    WantedFlow flow;
    const std::size_t wanted = 1 + random_.below(std::min<std::size_t>(5, capacities_.size()));
    while (flow.links.size() < wanted) {
      const auto link = static_cast<std::int32_t>(random_.below(capacities_.size()));
      if (std::count(flow.links.begin(), flow.links.end(), link) == 0) flow.links.push_back(link);
    }
    std::sort(flow.links.begin(), flow.links.end());
    // Whole demands make exact ties, others do not.
    flow.demand = scale_ * (random_.below(2) == 0 ? 1.0 + static_cast<double>(random_.below(4))
                                                  : 0.05 + 4 * random_.uniform());
    const FlowId id = links.add(flow.links, flow.demand);
    ASSERT_EQ(flows_.count(id), 0u);
    flows_[id] = flow;
  }
  void remove(FairShare& links) {
    auto victim = flows_.begin();
    std::advance(victim, random_.below(flows_.size()));
    links.remove(victim->first);
    flows_.erase(victim);
  }
  bool adds() { return flows_.empty() || (flows_.size() < 24 && random_.below(2) == 0); }
  bool clears() { return random_.below(3) == 0; }
  const std::vector<double>& capacities() const { return capacities_; }
  const Flows& flows() const { return flows_; }

 private:
  core::RandomStream random_;
  std::vector<double> capacities_;
  double scale_ = 1;
  Flows flows_;
};

TEST(FairShareTest, SharesEqualProgressiveFillingAfterEveryChange) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    FairShareHistory history(seed, 2 + static_cast<int>(seed % 12), seed % 3 == 0 ? 0.4 : 1.5);
    FairShare links(history.capacities());
    for (int step = 0; step < 120; ++step) {
      history.adds() ? history.add(links) : history.remove(links);
      const auto expected = shares_by_filling(history.capacities(), history.flows());
      for (const auto& [id, share] : expected) {
        ASSERT_NEAR(links.share(id), share, 1e-9) << "seed " << seed << " step " << step;
        ASSERT_GT(links.share(id), 0);
        ASSERT_LE(links.share(id), 1);
      }
      for (std::size_t link = 0; link < history.capacities().size(); ++link) {
        ASSERT_LE(links.use(static_cast<std::int32_t>(link)), 1 + 1e-12);
      }
    }
  }
}

TEST(FairShareTest, ChangedNamesExactlyTheFlowsWhoseShareIsNew) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    FairShareHistory history(seed, 3 + static_cast<int>(seed % 9), 1.2);
    FairShare links(history.capacities());
    std::map<FlowId, double> before;
    Flows flows_before;
    for (int step = 0; step < 150; ++step) {
      history.adds() ? history.add(links) : history.remove(links);
      // An id that was given to another flow meanwhile is that flow's, and new.
      for (auto it = before.begin(); it != before.end();) {
        it = history.flows().count(it->first) == 0 ? before.erase(it) : std::next(it);
      }
      const auto now = shares_by_filling(history.capacities(), history.flows());
      std::vector<FlowId> expected;
      for (const auto& [id, share] : now) {
        const auto old = before.find(id);
        if (old == before.end() || std::abs(old->second - share) > 1e-10) expected.push_back(id);
      }
      ASSERT_EQ(links.changed(), expected) << "seed " << seed << " step " << step;
      if (history.clears()) {
        links.clear_changed();
        before = now;
      }
    }
  }
}

TEST(FairShareTest, SharesDependOnTheFlowsThatRemainAlone) {
  core::RandomStream random(7, "order");
  const std::vector<double> capacities(6, 3.7);
  std::vector<WantedFlow> wanted;
  for (int i = 0; i < 20; ++i) {
    const auto first = static_cast<std::int32_t>(random.below(5));
    wanted.push_back({{first, first + 1}, 0.1 + 3 * random.uniform()});
  }
  std::vector<int> leaving{1, 3, 4, 8, 9, 13, 17};
  std::vector<double> reference;
  do {
    FairShare links(capacities);
    for (const WantedFlow& flow : wanted) links.add(flow.links, flow.demand);
    for (const int id : leaving) links.remove(id);
    std::vector<double> shares;
    for (int id = 0; id < 20; ++id) {
      if (std::count(leaving.begin(), leaving.end(), id) == 0) shares.push_back(links.share(id));
    }
    if (reference.empty()) reference = shares;
    ASSERT_EQ(shares, reference);  // to the last bit
  } while (std::next_permutation(leaving.begin(), leaving.end()));
}

}  // namespace
}  // namespace penstock::cluster
