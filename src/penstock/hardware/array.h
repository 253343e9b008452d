// The accelerators that one training job runs on: groups of equal devices, and the links in and
// between the groups.
//
//   PENSTOCK_TRY(Array array, read_array("examples/arrays/tpu-v2x128-v3x128.toml", catalog,
//   "bf16"));
#pragma once

#include <string>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"
#include "penstock/hardware/catalog.h"

namespace penstock::hardware {

// Equal devices. Where `per_node` is below `count`, the group spans several nodes, and traffic that
// leaves a node shares that node's `network`.
struct DeviceGroup {
  std::string name;
  std::string accelerator;
  int count = 1;
  FlopRate peak;               // at the job's precision
  double efficiency = 1;       // the fraction of peak and of memory bandwidth that kernels reach
  Bytes memory;                // per device
  Bandwidth memory_bandwidth;  // per device; zero: not modelled
  Seconds launch;              // floor of one kernel; zero: not modelled
  Bandwidth link;              // one device's link inside a node, one direction
  Seconds link_latency;
  int per_node = 1;   // devices in a node; count for one node
  Bandwidth network;  // one node's network, one direction; unused with one node
  Seconds network_latency;

  // peak * efficiency
  FlopRate sustained() const { return peak * efficiency; }
};

struct Array {
  std::string name;
  std::vector<DeviceGroup> groups;  // at least one
  Bandwidth between;                // of the pair of links that joins two groups, one direction
  Seconds between_latency;

  int devices() const;
};

// Reads an array file. A group names an accelerator of the catalogue, or states peak, memory and
// memory_bandwidth itself; its link is a catalogue link's name or a bandwidth. `between` defaults
// to the slowest of the groups' links, a group of several nodes counting with its network.
Result<Array> read_array(const std::string& path, const Catalog& catalog,
                         const std::string& precision);

// `nodes` instances of one type as an array, with the given efficiency and launch floor. Fails
// where nodes > 1 and the catalogue has no network bandwidth for the instance.
Result<Array> array_of_instances(const Catalog& catalog, const Instance& instance, int nodes,
                                 const std::string& precision, double efficiency, Seconds launch);

}  // namespace penstock::hardware
