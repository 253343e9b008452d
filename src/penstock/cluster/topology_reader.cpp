#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <optional>

#include "penstock/cluster/topology.h"
#include "penstock/core/nearest.h"
#include "penstock/core/spec.h"
#include "penstock/hardware/catalog.h"

namespace penstock::cluster {
namespace {

using core::SpecTable;

// Keeps every sum of accelerators an int.
constexpr core::Range kCount{.min = 1, .max = 100000};

template <typename Entry>
std::string nearest_name(const std::string& name, const std::vector<Entry>& entries) {
  std::vector<std::string> names;
  for (const Entry& entry : entries) names.push_back(entry.name);
  std::string hint = core::did_you_mean(name, names);
  return hint.empty() ? fmt::format("known: {}", fmt::join(names, ", ")) : hint;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

int count_of(SpecTable& table, std::string_view key) {
  return static_cast<int>(table.integer(key, kCount));
}
int count_or(SpecTable& table, std::string_view key, int fallback) {
  return static_cast<int>(table.integer_or(key, fallback, kCount));
}

class Reader {
 public:
  Reader(const hardware::Catalog& catalog, SpecTable root) : catalog_(catalog), root_(root) {}

  Topology read() {
    SpecTable head = root_.table("cluster", true);
    cluster_.name = head.text("name");
    read_instance(head);
    read_accelerator(head);
    if (root_.has("rack")) {
      for (const char* key : {"racks", "nodes_per_rack", "accelerators_per_node"}) {
        if (head.has(key)) head.error(key, "is given beside [[rack]]", "keep one of the two");
        head.integer_or(key, 1);
      }
      for (SpecTable& rack : root_.tables("rack")) read_rack(rack);
    } else {
      read_equal_racks(head);
    }
    read_links();
    for (auto& [model, table] : root_.named_tables("slowdown")) read_slowdown(model, table);
    cluster_.seal();
    return std::move(cluster_);
  }

 private:
  void read_instance(SpecTable& head) {
    const std::optional<std::string> name = head.text_if("instance");
    if (!name) return;
    instance_ = catalog_.find_instance(*name);
    if (instance_ == nullptr) {
      head.error("instance", fmt::format("\"{}\" is not in the catalogue", *name),
                 nearest_name(*name, catalog_.instances));
      return;
    }
    cluster_.accelerator = lower(instance_->accelerator);
    cluster_.price = instance_->on_demand / static_cast<double>(instance_->accelerators);
    if (const hardware::Link* link = catalog_.find_link(instance_->link)) {
      cluster_.inside = {link->bandwidth, link->latency};
    }
    cluster_.node_uplink = {instance_->network, instance_->network_latency};
  }

  void read_accelerator(SpecTable& head) {
    cluster_.accelerator = lower(head.text_or("accelerator", cluster_.accelerator));
    cluster_.price = head.quantity_or<Price>("price", cluster_.price, core::kNotNegative);
    for (const hardware::Accelerator& known : catalog_.accelerators) {
      if (lower(known.name) != cluster_.accelerator) continue;
      cluster_.rate = known.rate("fp32").value_or(FlopRate(0));
    }
  }

  void add_nodes(int rack, int count, int accelerators, const std::string& name) {
    for (int i = 0; i < count; ++i) {
      const std::size_t index = cluster_.nodes.size() - rack_begin_;
      cluster_.nodes.push_back({name.empty()
                                    ? fmt::format("{}-node{}", cluster_.racks.back(), index)
                                : count == 1 ? name
                                             : fmt::format("{}{}", name, i),
                                rack, accelerators});
    }
  }

  int begin_rack(const std::string& name) {
    cluster_.racks.push_back(name);
    rack_begin_ = cluster_.nodes.size();
    return static_cast<int>(cluster_.racks.size()) - 1;
  }

  void read_equal_racks(SpecTable& head) {
    const int racks = count_or(head, "racks", 1);
    const int nodes = count_of(head, "nodes_per_rack");
    const int accelerators = instance_ != nullptr
                                 ? count_or(head, "accelerators_per_node", instance_->accelerators)
                                 : count_of(head, "accelerators_per_node");
    if (static_cast<double>(racks) * nodes * accelerators > 10 * kCount.max) {
      head.error("nodes_per_rack", "makes more than a million accelerators", "check the counts");
      return;
    }
    for (int i = 0; i < racks; ++i) {
      const int rack = begin_rack(fmt::format("rack{}", i));
      add_nodes(rack, nodes, accelerators, "");
    }
  }

  // A rack of equal nodes, or one with a list of [[rack.node]].
  void read_rack(SpecTable& table) {
    const std::string name = table.text_or("name", fmt::format("rack{}", cluster_.racks.size()));
    if (std::count(cluster_.racks.begin(), cluster_.racks.end(), name) > 0) {
      table.error("name", fmt::format("\"{}\" is another rack's name", name), "rename one");
    }
    const int rack = begin_rack(name);
    const int per_node = instance_ == nullptr ? 0 : instance_->accelerators;
    if (!table.has("node")) {
      const int nodes = count_of(table, "nodes");
      const int accelerators = per_node > 0 ? count_or(table, "accelerators", per_node)
                                            : count_of(table, "accelerators");
      add_nodes(rack, nodes, accelerators, "");
      return;
    }
    for (const char* key : {"nodes", "accelerators"}) {
      if (table.has(key)) table.error(key, "is given beside [[rack.node]]", "keep one of the two");
      table.integer_or(key, 1);
    }
    for (SpecTable& node : table.tables("node")) {
      const int count = count_or(node, "count", 1);
      const int accelerators =
          per_node > 0 ? count_or(node, "accelerators", per_node) : count_of(node, "accelerators");
      add_nodes(rack, count, accelerators, node.text_or("name", ""));
    }
  }

  void read_link(SpecTable& links, const char* key, bool needed, const std::string& why,
                 const std::string& example, Link& link) {
    SpecTable table = links.table(key);
    const bool known = link.bandwidth.value() > 0;  // from the instance
    if (needed && !known && !links.has(key)) {
      links.error("", fmt::format("{} is missing, and {}", key, why), example);
      return;
    }
    if (!links.has(key)) return;
    link.bandwidth = known ? table.quantity_or<Bandwidth>("bandwidth", link.bandwidth)
                           : table.quantity<Bandwidth>("bandwidth");
    link.latency = table.quantity_or<Seconds>("latency", link.latency, core::kNotNegative);
  }

  void read_links() {
    SpecTable links = root_.table("links");
    const std::size_t nodes = cluster_.nodes.size();
    read_link(links, "inside", nodes > 1 && cluster_.largest_node() > 1,
              "nodes have several accelerators", "add [links.inside] with bandwidth = \"150 GB/s\"",
              cluster_.inside);
    read_link(links, "node_uplink", nodes > 1, fmt::format("there are {} nodes", nodes),
              "add [links.node_uplink] with bandwidth = \"100 Gbit/s\"", cluster_.node_uplink);
    read_rack_uplink(links);
  }

  void read_rack_uplink(SpecTable& links) {
    SpecTable table = links.table("rack_uplink");
    const bool both = table.has("bandwidth") && table.has("oversubscription");
    if (both) {
      table.error("oversubscription", "is given beside bandwidth", "keep one of the two");
    }
    const double oversubscription = table.number_or("oversubscription", 1, {.min = 1, .max = 1000});
    std::vector<int> nodes(cluster_.racks.size(), 0);
    for (const Topology::Node& node : cluster_.nodes) ++nodes[static_cast<std::size_t>(node.rack)];
    // One figure for all racks: that of the rack with fewest nodes, where they differ.
    const int fewest = nodes.empty() ? 0 : *std::min_element(nodes.begin(), nodes.end());
    cluster_.rack_uplink.bandwidth = table.quantity_or<Bandwidth>(
        "bandwidth", cluster_.node_uplink.bandwidth * (fewest / oversubscription));
    cluster_.rack_uplink.latency =
        table.quantity_or<Seconds>("latency", cluster_.node_uplink.latency, core::kNotNegative);
  }

  void read_slowdown(const std::string& model, SpecTable& table) {
    StatedSlowdown stated;
    stated.model = model == "default" ? "" : lower(model);
    stated.rack = table.number("rack", {.min = 1, .max = 1000});
    stated.network = table.number("network", {.min = 1, .max = 1000});
    if (stated.network < stated.rack) {
      table.error("network", fmt::format("{} is below rack {}", stated.network, stated.rack),
                  "a job in one rack is no slower than over the network");
    }
    cluster_.slowdowns.push_back(stated);
  }

  const hardware::Catalog& catalog_;
  SpecTable root_;
  const hardware::Instance* instance_ = nullptr;
  std::size_t rack_begin_ = 0;  // of the current rack, in nodes
  Topology cluster_;
};

}  // namespace

Result<Topology> read_topology(const std::string& path) {
  PENSTOCK_TRY(core::SpecFile file, core::SpecFile::read(path));
  PENSTOCK_TRY(const hardware::Catalog catalog, hardware::load_catalog());
  Topology cluster = Reader(catalog, file.root()).read();
  PENSTOCK_TRY_STATUS(file.finish());
  if (cluster.nodes.empty()) {
    return core::input_error(path, "has no node", "add a [[rack]] with nodes and accelerators");
  }
  return cluster;
}

}  // namespace penstock::cluster
