// What `penstock plan` is asked: the job, the goal, and the fleets that may be rented.
//
//   PENSTOCK_TRY(const PlanSpec spec, read_spec("examples/train-vgg16.toml"));
//   PENSTOCK_TRY(const model::Graph graph, read_model(spec));
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "penstock/core/json_fwd.h"
#include "penstock/core/quantity.h"
#include "penstock/core/result.h"
#include "penstock/model/graph.h"
#include "penstock/plan/choose.h"

namespace penstock::plan {

enum class Market { kOnDemand, kSpot };
std::string_view market_name(Market market);  // "on-demand", "spot"

// Training over `epochs` passes of `samples`, `batch` of them a step over all devices together.
struct Job {
  std::string model;  // an ONNX file, or empty
  std::string zoo;    // else a network of model/zoo.h
  std::int64_t samples = 0;
  std::int64_t epochs = 0;
  std::int64_t batch = 0;
  std::string optimizer;  // "sgd", "momentum" or "adam"
  std::string precision;  // "fp32", "tf32", "fp16" or "bf16"

  std::int64_t steps() const { return (samples + batch - 1) / batch * epochs; }
};

struct Fleets {
  std::vector<std::string> instances;  // names with * and ?
  std::vector<int> nodes;              // ascending
  std::vector<Market> markets;
  std::vector<std::string> catalogs;  // files over the built-in catalogue
  double efficiency = 0;              // the fraction of peak that kernels reach
  Seconds launch;                     // floor of one kernel
};

struct PlanSpec {
  std::string path;  // of the spec itself
  std::string name;
  Job job;
  Goal goal;
  Fleets fleets;

  core::Json to_json() const;  // with every default filled in
};

// Files that the spec names are relative to its folder. Reports every error with its line.
Result<PlanSpec> read_spec(const std::string& path);
Result<model::Graph> read_model(const PlanSpec& spec);

}  // namespace penstock::plan
