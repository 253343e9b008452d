#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "penstock/core/json.h"
#include "penstock/partition/partition.h"

namespace penstock::partition {

using core::Json;
using hardware::Array;
using hardware::DeviceGroup;

namespace {

constexpr const char* kSchema = "penstock-partition/1";

Json group_json(const DeviceGroup& g) {
  return {{"name", g.name},
          {"accelerator", g.accelerator},
          {"count", g.count},
          {"peak_flop_per_s", g.peak.value()},
          {"efficiency", g.efficiency},
          {"memory_bytes", g.memory.value()},
          {"memory_bandwidth_bytes_per_s", g.memory_bandwidth.value()},
          {"launch_s", g.launch.value()},
          {"link_bytes_per_s", g.link.value()},
          {"link_latency_s", g.link_latency.value()},
          {"per_node", g.per_node},
          {"network_bytes_per_s", g.network.value()},
          {"network_latency_s", g.network_latency.value()}};
}

Json array_json(const Array& array) {
  Json groups = Json::array();
  for (const DeviceGroup& g : array.groups) groups.push_back(group_json(g));
  return {{"name", array.name},
          {"groups", std::move(groups)},
          {"between_bytes_per_s", array.between.value()},
          {"between_latency_s", array.between_latency.value()}};
}

std::string state_name(const Node& node, int state) {
  if (node.kind == NodeKind::kLayer) return std::string(type_name(static_cast<Type>(state)));
  return std::string(1, layout_letter(static_cast<Layout>(state)));
}

Json split_json(const Network& network, int at, const Split& split) {
  Json states = Json::array();
  for (std::size_t v = 0; v < split.states.size(); ++v) {
    states.push_back(state_name(network.nodes[v], split.states[v]));
  }
  Json json = {{"at", at}, {"states", std::move(states)}};
  const bool shared = std::all_of(split.shares.begin(), split.shares.end(),
                                  [&](double s) { return s == split.shares.front(); });
  if (shared) {
    json["share"] = split.shares.front();
  } else {
    json["shares"] = split.shares;
  }
  return json;
}

Json mesh_json(int at, const MeshPlan& mesh) {
  Json rows = Json::array();
  Json in = Json::array();
  Json out = Json::array();
  for (const MeshState& s : mesh.states) {
    rows.push_back(s.rows);
    in.push_back(s.in);
    out.push_back(s.out);
  }
  return {{"at", at},
          {"devices", mesh.devices},
          {"batch_axes", std::move(rows)},
          {"in_axes", std::move(in)},
          {"out_axes", std::move(out)}};
}

// Reads members of one JSON object and keeps the first error.
class Reader {
 public:
  Reader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) error("is not an object");
  }

  template <typename T>
  T get(const std::string& key) {
    auto value = core::json_member<T>(object_, key, where_);
    if (!value) {
      if (status_) status_ = core::fail(value.error());
      return T{};
    }
    return *std::move(value);
  }

  // A finite number in [least, most].
  double number(const std::string& key, double least, double most = INFINITY) {
    const double value = get<double>(key);
    if (status_ && !(value >= least && value <= most && std::isfinite(value))) {
      error(fmt::format("\"{}\" is {}, must be at least {}", key, value, least));
    }
    return value;
  }

  void error(const std::string& message) {
    if (status_) status_ = core::input_error(where_, message);
  }
  const Status& status() const { return status_; }

 private:
  const Json& object_;
  std::string where_;
  Status status_;
};

Result<DeviceGroup> group_from(const Json& json, const std::string& where) {
  Reader r(json, where);
  DeviceGroup g;
  g.name = r.get<std::string>("name");
  g.accelerator = r.get<std::string>("accelerator");
  g.count = static_cast<int>(r.number("count", 1, 1e6));
  g.peak = FlopRate(r.number("peak_flop_per_s", 1));
  g.efficiency = r.number("efficiency", 1e-6, 1);
  g.memory = Bytes(r.number("memory_bytes", 0));
  g.memory_bandwidth = Bandwidth(r.number("memory_bandwidth_bytes_per_s", 0));
  g.launch = Seconds(r.number("launch_s", 0));
  g.link = Bandwidth(r.number("link_bytes_per_s", 0));
  g.link_latency = Seconds(r.number("link_latency_s", 0));
  g.per_node = static_cast<int>(r.number("per_node", 1, 1e6));
  g.network = Bandwidth(r.number("network_bytes_per_s", 0));
  g.network_latency = Seconds(r.number("network_latency_s", 0));
  if (r.status() && g.count % g.per_node != 0) r.error("\"per_node\" does not divide \"count\"");
  PENSTOCK_TRY_STATUS(r.status());
  return g;
}

Result<Array> array_from(const Json& json, const std::string& where) {
  Reader r(json, where + ": array");
  Array array;
  array.name = r.get<std::string>("name");
  array.between = Bandwidth(r.number("between_bytes_per_s", 0));
  array.between_latency = Seconds(r.number("between_latency_s", 0));
  const Json groups = r.get<Json>("groups");
  PENSTOCK_TRY_STATUS(r.status());
  if (!groups.is_array() || groups.empty()) {
    return core::input_error(where, "array.groups must hold at least one group");
  }
  for (std::size_t g = 0; g < groups.size(); ++g) {
    PENSTOCK_TRY(DeviceGroup group,
                 group_from(groups[g], fmt::format("{}: array.groups[{}]", where, g)));
    array.groups.push_back(std::move(group));
  }
  return array;
}

Result<std::uint8_t> state_from(const Node& node, const std::string& name,
                                const std::string& where) {
  const int count = node.kind == NodeKind::kLayer ? kTypes : kLayouts;
  for (int state = 0; state < count; ++state) {
    if (state_name(node, state) != name) continue;
    if ((node.choices >> state & 1u) == 0) {
      return core::input_error(where, fmt::format("{} cannot be split by {}", node.name, name));
    }
    return static_cast<std::uint8_t>(state);
  }
  return core::input_error(where, fmt::format("\"{}\" is no state of {}", name, node.name));
}

Status read_split(const Json& json, const Network& network, const std::string& where,
                  Split& split) {
  Reader r(json, where);
  const auto states = r.get<std::vector<std::string>>("states");
  PENSTOCK_TRY_STATUS(r.status());
  if (states.size() != network.nodes.size()) {
    return core::input_error(
        where, fmt::format("has {} states for {} nodes", states.size(), network.nodes.size()));
  }
  for (std::size_t v = 0; v < states.size(); ++v) {
    PENSTOCK_TRY(const std::uint8_t state, state_from(network.nodes[v], states[v], where));
    split.states.push_back(state);
  }
  if (json.contains("share")) {
    split.shares.assign(states.size(), r.number("share", 0, 1));
  } else {
    split.shares = r.get<std::vector<double>>("shares");
  }
  PENSTOCK_TRY_STATUS(r.status());
  const bool valid = split.shares.size() == states.size() &&
                     std::all_of(split.shares.begin(), split.shares.end(),
                                 [](double s) { return s >= 0 && s <= 1; });
  if (!valid) return core::input_error(where, "needs one share in [0, 1] for each node");
  return {};
}

Status read_mesh(const Json& json, const Network& network, const DeviceGroup& group, int most,
                 const std::string& where, MeshPlan& mesh) {
  Reader r(json, where);
  mesh.devices = static_cast<int>(r.number("devices", 1, most));
  const auto rows = r.get<std::vector<Axes>>("batch_axes");
  const auto in = r.get<std::vector<Axes>>("in_axes");
  const auto out = r.get<std::vector<Axes>>("out_axes");
  PENSTOCK_TRY_STATUS(r.status());
  const std::size_t nodes = network.nodes.size();
  if (rows.size() != nodes || in.size() != nodes || out.size() != nodes) {
    return core::input_error(where, fmt::format("needs axes for each of {} nodes", nodes));
  }
  const Axes all = MeshSpace(group, mesh.devices).all();
  for (std::size_t v = 0; v < nodes; ++v) {
    const Node& node = network.nodes[v];
    const bool layer = node.kind == NodeKind::kLayer;
    const bool grouped = layer && (node.choices & choice(Type::kGroup)) != 0;
    const bool overlap =
        (rows[v] & (in[v] | out[v])) != 0 || (layer && !grouped && (in[v] & out[v]) != 0);
    const bool unequal = (!layer || grouped) && in[v] != out[v];
    const auto allows = [&](auto which) { return (node.choices & choice(which)) != 0; };
    const bool refused =
        (rows[v] != 0 && !(layer ? allows(Type::kBatch) : allows(Layout::kRows))) ||
        (in[v] != 0 && !(layer ? grouped || allows(Type::kIn) : allows(Layout::kColumns))) ||
        (out[v] != 0 && !(layer ? grouped || allows(Type::kOut) : allows(Layout::kColumns)));
    if (((rows[v] | in[v] | out[v]) & ~all) != 0 || overlap || unequal || refused) {
      return core::input_error(where, fmt::format("gives {} axes that it cannot take", node.name));
    }
    mesh.states.push_back({rows[v], in[v], out[v]});
  }
  return {};
}

Status read_tree(const Json& json, const Network& network, const std::string& where,
                 PartitionPlan& plan) {
  const DeviceTree tree = plan.device_tree();
  plan.tree.splits.resize(tree.nodes.size());
  plan.tree.meshes.resize(tree.nodes.size());
  Reader r(json, where);
  const Json splits = r.get<Json>("splits");
  const Json meshes = r.get<Json>("meshes");
  PENSTOCK_TRY_STATUS(r.status());
  if (!splits.is_array() || !meshes.is_array()) {
    return core::input_error(where, "\"splits\" and \"meshes\" must be arrays");
  }
  const auto place = [&](const Json& item, const std::string& at) -> Result<int> {
    PENSTOCK_TRY(const int index, core::json_member<int>(item, "at", at));
    if (index < 0 || index >= static_cast<int>(tree.nodes.size())) {
      return core::input_error(
          at, fmt::format("\"at\" is {} of {} tree nodes", index, tree.nodes.size()));
    }
    return index;
  };
  for (std::size_t i = 0; i < splits.size(); ++i) {
    const std::string at = fmt::format("{}: splits[{}]", where, i);
    PENSTOCK_TRY(const int index, place(splits[i], at));
    if (tree.nodes[index].leaf()) return core::input_error(at, "splits a single device");
    if (!plan.tree.splits[index].states.empty()) return core::input_error(at, "repeats a split");
    PENSTOCK_TRY_STATUS(read_split(splits[i], network, at, plan.tree.splits[index]));
  }
  for (std::size_t i = 0; i < meshes.size(); ++i) {
    const std::string at = fmt::format("{}: meshes[{}]", where, i);
    PENSTOCK_TRY(const int index, place(meshes[i], at));
    const TreeNode& node = tree.nodes[index];
    if (!node.leaf()) return core::input_error(at, "lies at a split");
    PENSTOCK_TRY_STATUS(read_mesh(meshes[i], network, plan.array.groups[node.group], node.devices,
                                  at, plan.tree.meshes[index]));
  }
  // Everything below a split that works must be there.
  std::vector<int> open = {0};
  while (!open.empty()) {
    const int index = open.back();
    open.pop_back();
    const TreeNode& node = tree.nodes[index];
    if (node.leaf()) {
      if (node.devices > 1 && plan.tree.meshes[index].states.empty()) {
        return core::input_error(where, fmt::format("has no mesh for tree node {}", index));
      }
      continue;
    }
    const Split& split = plan.tree.splits[index];
    if (split.states.empty()) {
      return core::input_error(where, fmt::format("has no split for tree node {}", index));
    }
    for (int side = 0; side < (node.equal_halves() ? 1 : 2); ++side) {
      const double idle = side == 0 ? 0.0 : 1.0;
      const bool rests = std::all_of(split.shares.begin(), split.shares.end(),
                                     [&](double s) { return s == idle; });
      if (!rests) open.push_back(node.children[side]);
    }
  }
  return {};
}

}  // namespace

Json plan_to_json(const Network& network, const PartitionPlan& plan) {
  Json names = Json::array();
  for (const Node& node : network.nodes) names.push_back(node.name);
  Json splits = Json::array();
  Json meshes = Json::array();
  for (std::size_t i = 0; i < plan.tree.splits.size(); ++i) {
    if (plan.tree.splits[i].states.empty()) continue;
    splits.push_back(split_json(network, static_cast<int>(i), plan.tree.splits[i]));
  }
  for (std::size_t i = 0; i < plan.tree.meshes.size(); ++i) {
    if (plan.tree.meshes[i].states.empty()) continue;
    meshes.push_back(mesh_json(static_cast<int>(i), plan.tree.meshes[i]));
  }
  return {{"schema", kSchema},
          {"mode", mode_name(plan.mode)},
          {"strategy", plan.strategy},
          {"network", network.name},
          {"batch", network.batch},
          {"bytes_per_element", plan.tree_options.bytes_per_element},
          {"bytes_per_weight", plan.tree_options.memory.bytes_per_weight},
          {"reduce_scatter", plan.mesh_options.reduce_scatter},
          {"proven", plan.tree.proven},
          {"array", array_json(plan.array)},
          {"nodes", std::move(names)},
          {"splits", std::move(splits)},
          {"meshes", std::move(meshes)}};
}

Result<PartitionPlan> plan_from_json(const Json& json, const Network& network,
                                     const std::string& where) {
  Reader r(json, where);
  const auto schema = r.get<std::string>("schema");
  if (r.status() && schema != kSchema) {
    r.error(fmt::format("has the schema \"{}\", not \"{}\"", schema, kSchema));
  }
  const auto mode = r.get<std::string>("mode");
  const auto names = r.get<std::vector<std::string>>("nodes");
  PartitionPlan plan;
  plan.strategy = r.get<std::string>("strategy");
  const double bytes_per_element = r.number("bytes_per_element", 0.125, 64);
  const double bytes_per_weight = r.number("bytes_per_weight", 0, 1024);
  const bool reduce_scatter = r.get<bool>("reduce_scatter");
  const bool proven = r.get<bool>("proven");
  const Json array = r.get<Json>("array");
  PENSTOCK_TRY_STATUS(r.status());
  const auto known = mode_from_name(mode);
  if (!known) return core::fail(Error(known.error()).within(where));
  plan.mode = *known;
  for (std::size_t v = 0; v < std::max(names.size(), network.nodes.size()); ++v) {
    const bool same =
        v < names.size() && v < network.nodes.size() && names[v] == network.nodes[v].name;
    if (same) continue;
    return core::input_error(
        where,
        fmt::format("node {} is {} in the plan and {} in {}", v,
                    v < names.size() ? names[v] : "absent",
                    v < network.nodes.size() ? network.nodes[v].name : "absent", network.name),
        "give the model that the plan was made for");
  }
  PENSTOCK_TRY(plan.array, array_from(array, where));
  plan.tree_options = plan.mode == Mode::kPaper ? paper_options() : fused_options();
  plan.tree_options.bytes_per_element = plan.mesh_options.bytes_per_element = bytes_per_element;
  plan.tree_options.memory.bytes_per_weight = bytes_per_weight;
  plan.mesh_options.memory.bytes_per_weight = bytes_per_weight;
  plan.mesh_options.reduce_scatter = reduce_scatter;
  PENSTOCK_TRY_STATUS(read_tree(json, network, where, plan));
  plan.tree.proven = proven;
  return plan;
}

}  // namespace penstock::partition
