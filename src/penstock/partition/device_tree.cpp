#include "penstock/partition/device_tree.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "penstock/core/check.h"

namespace penstock::partition {
namespace {

using hardware::Array;
using hardware::DeviceGroup;

class Builder {
 public:
  Builder(const Array& array, bool whole_groups) : array_(array), whole_groups_(whole_groups) {}

  DeviceTree build() {
    std::vector<int> order(array_.groups.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return array_.groups[a].sustained() < array_.groups[b].sustained();
    });
    join(order);
    return std::move(tree_);
  }

 private:
  int reserve() {
    tree_.nodes.emplace_back();
    return static_cast<int>(tree_.nodes.size()) - 1;
  }

  // Groups ordered by speed, cut where the two halves' total rates are most alike.
  int join(const std::vector<int>& groups) {
    if (groups.size() == 1) return halve(groups[0], array_.groups[groups[0]].count);
    FlopRate total;
    for (const int g : groups) total += array_.groups[g].sustained() * array_.groups[g].count;
    std::size_t cut = 1;
    FlopRate left;
    FlopRate best = total;
    for (std::size_t i = 1; i < groups.size(); ++i) {
      const DeviceGroup& g = array_.groups[groups[i - 1]];
      left += g.sustained() * g.count;
      const FlopRate gap = left * 2 > total ? left * 2 - total : total - left * 2;
      if (gap < best) {
        best = gap;
        cut = i;
      }
    }
    const auto middle = groups.begin() + static_cast<std::ptrdiff_t>(cut);
    const int self = reserve();
    const int a = join({groups.begin(), middle});
    const int b = join({middle, groups.end()});
    TreeNode& node = tree_.nodes[self];
    node.children[0] = a;
    node.children[1] = b;
    node.network = true;
    for (int side = 0; side < 2; ++side) {
      node.own[side] = slowest_link(side == 0 ? std::vector<int>(groups.begin(), middle)
                                              : std::vector<int>(middle, groups.end()));
      node.charged[side] = array_.between;
    }
    finish(node);
    return self;
  }

  Bandwidth slowest_link(const std::vector<int>& groups) const {
    Bandwidth slowest = array_.groups[groups[0]].link;
    for (const int g : groups) slowest = std::min(slowest, array_.groups[g].link);
    return slowest;
  }

  int halve(int g, int count) {
    const auto known = made_.find({g, count});
    if (known != made_.end()) return known->second;
    const DeviceGroup& group = array_.groups[g];
    const int self = reserve();
    made_[{g, count}] = self;
    if (count == 1 || whole_groups_) {
      TreeNode& leaf = tree_.nodes[self];
      leaf.group = g;
      leaf.devices = count;
      leaf.rate = group.sustained() * count;
      return self;
    }
    // Whole nodes stay together for as long as there are several.
    const int unit = count > group.per_node ? group.per_node : 1;
    const int small = count / unit / 2 * unit;
    const int a = halve(g, count - small);
    const int b = halve(g, small);
    TreeNode& node = tree_.nodes[self];
    node.group = g;
    node.children[0] = a;
    node.children[1] = b;
    const bool crosses = count > group.per_node;
    node.network = crosses;
    for (int side = 0; side < 2; ++side) {
      node.own[side] = node.charged[side] = crosses ? group.network : group.link;
    }
    finish(node);
    return self;
  }

  void finish(TreeNode& node) {
    node.devices = 0;
    for (const int child : node.children) {
      node.devices += tree_.nodes[child].devices;
      node.rate += tree_.nodes[child].rate;
    }
  }

  const Array& array_;
  bool whole_groups_;
  DeviceTree tree_;
  std::map<std::pair<int, int>, int> made_;
};

int depth(const DeviceTree& tree, int node) {
  const TreeNode& n = tree.nodes[node];
  if (n.leaf()) return 0;
  return 1 + std::max(depth(tree, n.children[0]), depth(tree, n.children[1]));
}

}  // namespace

DeviceTree build_tree(const hardware::Array& array) {
  PENSTOCK_CHECK(!array.groups.empty());
  return Builder(array, false).build();
}

DeviceTree build_group_tree(const hardware::Array& array) {
  PENSTOCK_CHECK(!array.groups.empty());
  DeviceTree tree = Builder(array, true).build();
  tree.of_groups = true;
  return tree;
}

int DeviceTree::levels() const { return depth(*this, 0); }

}  // namespace penstock::partition
