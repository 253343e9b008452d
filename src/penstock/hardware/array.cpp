#include "penstock/hardware/array.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "penstock/core/nearest.h"
#include "penstock/core/spec.h"

namespace penstock::hardware {
namespace {

using core::SpecTable;

constexpr double kMostDevices = 1000000;  // keeps every product of counts an int

struct Speed {
  Bandwidth bandwidth;
  Seconds latency;
};

template <typename Entry>
std::vector<std::string> names_of(const std::vector<Entry>& entries) {
  std::vector<std::string> names;
  for (const Entry& entry : entries) names.push_back(entry.name);
  return names;
}

std::string nearest_or_all(const std::string& name, const std::vector<std::string>& names) {
  std::string hint = core::did_you_mean(name, names);
  return hint.empty() ? fmt::format("known: {}", fmt::join(names, ", ")) : hint;
}

// The value of `key`, a link's name or a bandwidth, with the latency of `latency_key`, which
// defaults to the named link's.
Speed read_speed(SpecTable& table, const std::string& key, const std::string& latency_key,
                 const Catalog& catalog) {
  Speed speed;
  const std::optional<std::string> text = table.text_if(key);
  const Link* link = text ? catalog.find_link(*text) : nullptr;
  const bool is_name =
      text && !text->empty() && std::isalpha(static_cast<unsigned char>(text->front()));
  if (link != nullptr) {
    speed = {link->bandwidth, link->latency};
  } else if (is_name) {
    table.error(key,
                fmt::format("\"{}\" is neither a link of the catalogue nor a bandwidth", *text),
                nearest_or_all(*text, names_of(catalog.links)));
  } else {
    speed.bandwidth = table.quantity<Bandwidth>(key);
  }
  speed.latency = table.quantity_or<Seconds>(latency_key, speed.latency, core::kNotNegative);
  return speed;
}

// What the device is: the catalogue's numbers where an accelerator is named, else the table's own.
void read_device(SpecTable& table, const Catalog& catalog, const std::string& precision,
                 DeviceGroup& group) {
  group.accelerator = table.text_or("accelerator", "");
  const Accelerator* device = catalog.find_accelerator(group.accelerator);
  if (device == nullptr && table.text_if("accelerator")) {
    table.error("accelerator", fmt::format("\"{}\" is not in the catalogue", group.accelerator),
                nearest_or_all(group.accelerator, names_of(catalog.accelerators)));
  }
  if (device == nullptr && !table.has("accelerator")) {
    group.peak = table.quantity<FlopRate>("peak");
    group.memory = table.quantity<Bytes>("memory");
    group.memory_bandwidth =
        table.quantity_or<Bandwidth>("memory_bandwidth", Bandwidth(0), core::kNotNegative);
    return;
  }
  const std::optional<FlopRate> rate = device == nullptr ? std::nullopt : device->rate(precision);
  if (device != nullptr && !rate && !table.has("peak")) {
    std::vector<std::string> known;
    for (const auto& [name, peak] : device->peak) known.push_back(name);
    table.error("accelerator", fmt::format("{} has no rate at {}", group.accelerator, precision),
                fmt::format("state peak, or choose one of {}", fmt::join(known, ", ")));
  }
  const Accelerator none;
  const Accelerator& base = device == nullptr ? none : *device;
  group.peak = table.quantity_or<FlopRate>("peak", rate.value_or(FlopRate(0)));
  group.memory = table.quantity_or<Bytes>("memory", base.memory);
  group.memory_bandwidth =
      table.quantity_or<Bandwidth>("memory_bandwidth", base.memory_bandwidth, core::kNotNegative);
}

// Nodes: per_node must divide count, and more than one node needs a network.
void read_nodes(SpecTable& table, const Catalog& catalog, DeviceGroup& group) {
  const std::int64_t per_node =
      table.integer_or("per_node", group.count, {.min = 1, .max = kMostDevices});
  const bool equal_nodes = per_node >= 1 && group.count % per_node == 0;
  if (equal_nodes) group.per_node = static_cast<int>(per_node);
  if (per_node >= 1 && !equal_nodes) {
    table.error("per_node", fmt::format("{} does not divide count {}", per_node, group.count),
                "nodes must be equal: change one, or write two groups");
  }
  if (table.has("network")) {
    const Speed network = read_speed(table, "network", "network_latency", catalog);
    group.network = network.bandwidth;
    group.network_latency = network.latency;
    return;
  }
  table.text_if("network");
  if (table.text_if("network_latency")) {
    table.error("network_latency", "is given without network", "add network, or drop it");
  }
  if (group.per_node < group.count) {
    table.error("per_node",
                fmt::format("makes {} nodes, and network is missing", group.count / group.per_node),
                "add network = \"25 Gbit/s\" or a link's name");
  }
}

DeviceGroup read_group(SpecTable& table, const Catalog& catalog, const std::string& precision) {
  DeviceGroup group;
  read_device(table, catalog, precision, group);
  const std::int64_t count = table.integer_or("count", 1, {.min = 1, .max = kMostDevices});
  group.count = static_cast<int>(std::clamp<std::int64_t>(count, 1, 1000000));
  group.per_node = group.count;
  const Speed link = read_speed(table, "link", "link_latency", catalog);
  group.link = link.bandwidth;
  group.link_latency = link.latency;
  read_nodes(table, catalog, group);
  group.efficiency = table.number_or("efficiency", 1, {.min = 0, .max = 1, .above_min = true});
  group.launch = table.quantity_or<Seconds>("launch", Seconds(0), core::kNotNegative);
  group.name = table.text_or("name", group.accelerator);
  return group;
}

// The slowest way out of a group: its network if it has nodes, else its link.
Speed way_out(const DeviceGroup& group) {
  if (group.per_node == group.count || group.network >= group.link) {
    return {group.link, group.link_latency};
  }
  return {group.network, group.network_latency};
}

void read_between(SpecTable& root, const Catalog& catalog, Array& array) {
  SpecTable table = root.table("between");
  for (const char* key : {"link", "bandwidth", "latency"}) table.text_if(key);  // known keys
  const bool has_link = table.has("link");
  if (root.has("between") && has_link == table.has("bandwidth")) {
    table.error("", has_link ? "has both link and bandwidth" : "has neither link nor bandwidth",
                "write one of the two");
  }
  Speed speed;
  if (has_link || table.has("bandwidth")) {
    speed = read_speed(table, has_link ? "link" : "bandwidth", "latency", catalog);
  } else {
    for (const DeviceGroup& group : array.groups) {
      const Speed way = way_out(group);
      if (speed.bandwidth.value() == 0 || way.bandwidth < speed.bandwidth) {
        speed.bandwidth = way.bandwidth;
      }
      speed.latency = std::max(speed.latency, way.latency);
    }
  }
  array.between = speed.bandwidth;
  array.between_latency = speed.latency;
}

// Gives every group a name of its own, so that results can tell them apart.
void name_groups(std::vector<DeviceGroup>& groups) {
  const auto taken = [&](std::size_t before, const std::string& name) {
    return std::any_of(groups.begin(), groups.begin() + static_cast<std::ptrdiff_t>(before),
                       [&](const DeviceGroup& group) { return group.name == name; });
  };
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const std::string wanted = groups[i].name.empty() ? "group" : groups[i].name;
    groups[i].name = wanted;
    for (int n = 2; taken(i, groups[i].name); ++n) groups[i].name = fmt::format("{}-{}", wanted, n);
  }
}

}  // namespace

int Array::devices() const {
  int total = 0;
  for (const DeviceGroup& group : groups) total += group.count;
  return total;
}

Result<Array> read_array(const std::string& path, const Catalog& catalog,
                         const std::string& precision) {
  PENSTOCK_TRY(core::SpecFile file, core::SpecFile::read(path));
  SpecTable root = file.root();
  Array array;
  array.name = root.text_or("name", std::filesystem::path(path).stem().string());
  for (SpecTable& table : root.tables("group")) {
    array.groups.push_back(read_group(table, catalog, precision));
  }
  if (!root.has("group")) root.error("group", "is missing", "add a [[group]] table");
  read_between(root, catalog, array);
  PENSTOCK_TRY_STATUS(file.finish());
  if (array.groups.empty()) return core::input_error(path, "has no group", "add a [[group]] table");
  std::int64_t total = 0;
  for (const DeviceGroup& group : array.groups) total += group.count;
  if (total > static_cast<std::int64_t>(kMostDevices)) {
    return core::input_error(path, fmt::format("has {} devices", total), "use at most 1000000");
  }
  name_groups(array.groups);
  return array;
}

Result<Array> array_of_instances(const Catalog& catalog, const Instance& instance, int nodes,
                                 const std::string& precision, double efficiency, Seconds launch) {
  if (nodes < 1) {
    return core::input_error(instance.name, fmt::format("{} nodes", nodes), "use at least 1");
  }
  if (nodes > 1 && instance.network.value() == 0) {
    return core::input_error(instance.name,
                             fmt::format("its network bandwidth is unknown, so {} of them cannot "
                                         "be planned",
                                         nodes),
                             "add network to it in a catalogue of your own");
  }
  const Accelerator* device = catalog.find_accelerator(instance.accelerator);
  if (device == nullptr) {
    return core::input_error(instance.name,
                             fmt::format("\"{}\" is not in the catalogue", instance.accelerator));
  }
  const std::optional<FlopRate> rate = device->rate(precision);
  if (!rate) {
    return core::input_error(instance.name,
                             fmt::format("{} has no rate at {}", device->name, precision));
  }
  DeviceGroup group;
  group.name = instance.name;
  group.accelerator = device->name;
  group.count = instance.accelerators * nodes;
  group.per_node = instance.accelerators;
  group.peak = *rate;
  group.efficiency = efficiency;
  group.memory = device->memory;
  group.memory_bandwidth = device->memory_bandwidth;
  group.launch = launch;
  group.network = instance.network;
  group.network_latency = instance.network_latency;
  // A single device talks to others over the network alone.
  const Link* link = catalog.find_link(instance.link);
  const bool alone = instance.accelerators == 1 || link == nullptr;
  group.link = alone ? instance.network : link->bandwidth;
  group.link_latency = alone ? instance.network_latency : link->latency;

  Array array;
  array.name = nodes == 1 ? instance.name : fmt::format("{} x {}", nodes, instance.name);
  array.between = nodes == 1 ? group.link : group.network;
  array.between_latency = nodes == 1 ? group.link_latency : group.network_latency;
  array.groups.push_back(std::move(group));
  return array;
}

}  // namespace penstock::hardware
