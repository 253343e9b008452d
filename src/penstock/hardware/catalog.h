// What can be rented or owned: accelerators, links and instances, each number with its source and
// date.
//
//   PENSTOCK_TRY(Catalog catalog, load_catalog({user_file}));
//   const Accelerator* v100 = catalog.find_accelerator("V100");
//
// The built-in catalogue lies in catalog/*.toml; user files extend or override it, entry by entry
// and field by field.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"

namespace penstock::hardware {

// Where a number comes from: "AWS price list", "2024-04".
struct Provenance {
  std::string source;
  std::string date;
};

// Each entry keeps one provenance a field, keyed by the field's name in the TOML file ("memory",
// "peak.fp16").
using Provenances = std::map<std::string, Provenance>;

struct Accelerator {
  std::string name;
  std::string description;
  std::map<std::string, FlopRate> peak;  // by precision: "fp32", "tf32", "fp16", "bf16", "fp8"
  Bytes memory;
  Bandwidth memory_bandwidth;  // zero where unknown
  Provenances provenance;

  // The rate that training at `precision` can count on: that entry, or the next one as wide or
  // wider that the device has (fp8 -> bf16 or fp16 -> tf32 -> fp32); empty if there is none.
  std::optional<FlopRate> rate(const std::string& precision) const;
};

struct Link {
  std::string name;
  std::string description;
  std::string kind;     // "interconnect", "network" or "memory"
  Bandwidth bandwidth;  // one direction, as one device sees it
  Seconds latency;
  Provenances provenance;
};

struct Instance {
  std::string name;
  std::string accelerator;  // name in the catalogue
  int accelerators = 1;
  std::string link;  // between its accelerators; empty for one accelerator
  int vcpus = 0;
  Bytes memory;
  Bandwidth network;  // zero where unknown: such an instance cannot be used in a fleet of several
  Seconds network_latency;
  Bandwidth storage;  // zero where unknown
  Bytes local_storage;
  Price on_demand;
  std::optional<Price> spot;
  Provenances provenance;
};

struct Catalog {
  std::vector<Accelerator> accelerators;  // sorted by name
  std::vector<Link> links;
  std::vector<Instance> instances;
  std::vector<std::string> files;  // in the order of reading
  std::string hash;                // of the files' contents

  const Accelerator* find_accelerator(const std::string& name) const;
  const Link* find_link(const std::string& name) const;
  const Instance* find_instance(const std::string& name) const;
};

// The precisions that an accelerator's peak may name, narrowest first.
const std::vector<std::string>& precisions();

// Reads the built-in catalogue and then `user_files`. The built-in folder is $PENSTOCK_CATALOG, the
// one installed beside the program, or the source tree's catalog/, whichever is first there. Fails
// with every error of every file: a price or source that is missing, an instance whose accelerator
// is unknown.
Result<Catalog> load_catalog(const std::vector<std::string>& user_files = {});

}  // namespace penstock::hardware
