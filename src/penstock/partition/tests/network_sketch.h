// Small networks built by hand for tests, and the plans of every single split enumerated.
#pragma once

#include <string>
#include <vector>

#include "penstock/core/random.h"
#include "penstock/hardware/array.h"
#include "penstock/partition/network.h"

namespace penstock::partition {

class NetworkSketch {
 public:
  explicit NetworkSketch(std::int64_t batch) { network_.batch = batch; }

  int layer(int from, std::int64_t in, std::int64_t out, std::int64_t map = 1,
            std::int64_t kernel = 1) {
    Node node = named("fc", NodeKind::kLayer, kDenseTypes);
    node.in_columns = in;
    node.out_columns = out;
    node.out_elements = network_.batch * out * map;
    node.weights = in * out * kernel;
    node.macs = network_.batch * map * node.weights;
    return add(std::move(node), {from});
  }
  // A tensor of the batch by `columns` that comes from a part of the network not shown.
  int source(std::int64_t columns) {
    Node node = named("source", NodeKind::kGlue, kAnyLayout);
    node.in_columns = node.out_columns = columns;
    node.out_elements = network_.batch * columns;
    return add(std::move(node), {});
  }
  int grouped(int from, std::int64_t groups, std::int64_t map) {
    Node node = named("grouped", NodeKind::kLayer, choice(Type::kBatch) | choice(Type::kGroup));
    node.in_columns = node.out_columns = groups;
    node.out_elements = network_.batch * groups * map;
    node.weights = groups * 9;
    node.macs = network_.batch * map * node.weights;
    return add(std::move(node), {from});
  }
  // Shrinks the map by `shrink`.
  int pool(int from, std::int64_t shrink) {
    Node node = named("pool", NodeKind::kGlue, kAnyLayout);
    const Node& source = network_.nodes[static_cast<std::size_t>(from)];
    node.in_columns = node.out_columns = source.out_columns;
    node.out_elements = source.out_elements / shrink;
    return add(std::move(node), {from});
  }
  int copy(int from) {
    Node node = named("copy", NodeKind::kCopy, kAnyLayout);
    const Node& source = network_.nodes[static_cast<std::size_t>(from)];
    node.in_columns = node.out_columns = source.out_columns;
    node.out_elements = source.out_elements;
    return add(std::move(node), {from});
  }
  int sum(int a, int b) {
    Node node = named("add", NodeKind::kGlue, kAnyLayout);
    const Node& source = network_.nodes[static_cast<std::size_t>(a)];
    node.in_columns = node.out_columns = source.out_columns;
    node.out_elements = source.out_elements;
    return add(std::move(node), {a, b});
  }
  Network take() { return std::move(network_); }

 private:
  Node named(const std::string& type, NodeKind kind, Choices choices) const {
    Node node;
    node.name = type + std::to_string(network_.nodes.size());
    node.type = type == "fc" ? "Gemm" : type;
    node.kind = kind;
    node.choices = choices;
    node.rows = network_.batch;
    return node;
  }
  int add(Node node, const std::vector<int>& from) {
    const int id = static_cast<int>(network_.nodes.size());
    for (const int f : from) {
      if (f < 0) continue;
      Node& source = network_.nodes[static_cast<std::size_t>(f)];
      const int edge = static_cast<int>(network_.edges.size());
      network_.edges.push_back({f, id, source.out_elements, true});
      source.out_edges.push_back(edge);
      node.in_edges.push_back(edge);
    }
    node.stash = node.out_elements;
    network_.nodes.push_back(std::move(node));
    return id;
  }
  Network network_;
};

// Three square layers with far more rows than channels.
inline Network wide_batch_network() {
  NetworkSketch sketch(4096);
  int at = sketch.source(1024);
  for (int i = 0; i < 3; ++i) at = sketch.layer(at, 1024, 1024);
  return sketch.take();
}

// A chain of `length` fully connected layers of random width.
inline Network random_chain(core::RandomStream& random, int length, std::int64_t batch) {
  NetworkSketch sketch(batch);
  int at = -1;
  std::int64_t width = static_cast<std::int64_t>(8 * (1 + random.below(64)));
  for (int i = 0; i < length; ++i) {
    const auto next = static_cast<std::int64_t>(8 * (1 + random.below(64)));
    at = sketch.layer(at, width, next, 1, static_cast<std::int64_t>(1 + random.below(9)));
    width = next;
  }
  return sketch.take();
}

// Residual blocks in series, every path of one or two layers, at most `nodes` nodes.
inline Network random_series_parallel(core::RandomStream& random, std::size_t nodes) {
  const auto batch = static_cast<std::int64_t>(8 * (1 + random.below(32)));
  const auto width = static_cast<std::int64_t>(8 * (1 + random.below(64)));
  NetworkSketch sketch(batch);
  int at = sketch.layer(-1, 64, width);
  std::size_t count = 1;
  while (count + 4 <= nodes) {
    const int fork = sketch.copy(at);
    const int left = sketch.layer(fork, width, width);
    int right = fork;
    count += 3;
    if (random.below(2) == 1 && count + 1 <= nodes) {
      right = sketch.layer(fork, width, width);
      ++count;
    }
    at = sketch.sum(left, right);
  }
  return sketch.take();
}

inline hardware::DeviceGroup device_group(std::string name, int count, double flop_per_s,
                                          double bytes_per_s) {
  hardware::DeviceGroup group;
  group.name = std::move(name);
  group.count = group.per_node = count;
  group.peak = FlopRate(flop_per_s);
  group.link = Bandwidth(bytes_per_s);
  return group;
}

inline hardware::Array array_of(std::vector<hardware::DeviceGroup> groups) {
  hardware::Array array;
  array.name = "sketch";
  array.groups = std::move(groups);
  array.between = array.groups[0].link;
  for (const hardware::DeviceGroup& g : array.groups) {
    array.between = std::min(array.between, g.link);
  }
  return array;
}

}  // namespace penstock::partition
