#include "penstock/plan/spec.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "penstock/core/json.h"
#include "penstock/core/nearest.h"
#include "penstock/core/spec.h"
#include "penstock/model/training_bytes.h"
#include "penstock/model/zoo.h"

namespace penstock::plan {
namespace {

using core::SpecTable;

// Both of autoparallel's cost model: 70 % of peak and a floor of 7 us a kernel (room page
// "partition" 1.5).
constexpr double kEfficiency = 0.7;
constexpr Seconds kLaunch{7e-6};
constexpr std::int64_t kMaxNodes = 4;
constexpr double kMostNodes = 4096;
// Keeps steps, an integer product of the two, far from overflow.
constexpr double kMostSamples = 1e12;
constexpr double kMostEpochs = 1e6;

std::string beside(const std::string& spec, const std::string& file) {
  const std::filesystem::path path(file);
  if (path.is_absolute()) return file;
  return (std::filesystem::path(spec).parent_path() / path).lexically_normal().string();
}

void read_model_name(SpecTable& table, const std::string& spec, Job& job) {
  job.model = table.text_or("model", "");
  job.zoo = table.text_or("zoo", "");
  if (!job.model.empty()) job.model = beside(spec, job.model);
  if (job.model.empty() == job.zoo.empty()) {
    table.error("", "[job] needs either model or zoo",
                "name an ONNX file: model = \"net.onnx\", or a network: zoo = \"vgg16\"");
    return;
  }
  const std::vector<std::string> names = model::zoo_names();
  if (job.zoo.empty() || std::find(names.begin(), names.end(), job.zoo) != names.end()) return;
  const std::string hint = core::did_you_mean(job.zoo, names);
  table.error("zoo", fmt::format("\"{}\" is not in the zoo", job.zoo),
              hint.empty() ? fmt::format("known: {}", fmt::join(names, ", ")) : hint);
}

Job read_job(SpecTable table, const std::string& spec) {
  Job job;
  table.choice_or("kind", "train", {"train"});
  read_model_name(table, spec, job);
  job.samples = table.integer("samples", {.min = 1, .max = kMostSamples});
  job.epochs = table.integer("epochs", {.min = 1, .max = kMostEpochs});
  job.batch = table.integer("batch", {.min = 1, .max = kMostSamples});
  job.optimizer = table.choice_or("optimizer", "momentum", model::optimizers());
  job.precision = table.choice_or("precision", "fp32", {"fp32", "tf32", "fp16", "bf16"});
  if (job.samples > 0 && job.batch > job.samples) {
    table.error("batch", fmt::format("{} is more than the {} samples", job.batch, job.samples),
                "lower it");
  }
  return job;
}

Goal read_goal(SpecTable table, std::vector<Market>& markets) {
  Goal goal;
  if (table.has("finish_by")) goal.finish_by = table.quantity<Seconds>("finish_by");
  if (table.has("spend_at_most")) goal.spend_at_most = table.quantity<Dollars>("spend_at_most");
  const std::string market = table.choice_or("market", "on-demand", {"on-demand", "spot", "any"});
  if (market != "spot") markets.push_back(Market::kOnDemand);
  if (market != "on-demand") markets.push_back(Market::kSpot);
  return goal;
}

Fleets read_fleets(SpecTable table, const std::string& spec) {
  Fleets fleets;
  fleets.instances = table.texts_or("instances", {"*"});
  if (fleets.instances.empty()) {
    table.error("instances", "is empty", "leave it out for every instance of the catalogue");
  }
  const core::Range range{.min = 1, .max = kMostNodes};
  const std::int64_t most = table.integer_or("max_nodes", kMaxNodes, range);
  std::set<int> nodes;
  for (std::int64_t n = 1; n <= most; n *= 2) nodes.insert(static_cast<int>(n));
  for (const std::int64_t n : table.integers_or("nodes", {}, range)) {
    nodes.insert(static_cast<int>(n));
  }
  if (most >= 1) nodes.insert(static_cast<int>(most));
  fleets.nodes.assign(nodes.begin(), nodes.end());
  for (const std::string& file : table.texts_or("catalog", {})) {
    fleets.catalogs.push_back(beside(spec, file));
  }
  fleets.efficiency =
      table.number_or("efficiency", kEfficiency, {.min = 0, .max = 1, .above_min = true});
  fleets.launch = table.quantity_or<Seconds>("launch", kLaunch, core::kNotNegative);
  return fleets;
}

}  // namespace

std::string_view market_name(Market market) {
  return market == Market::kSpot ? "spot" : "on-demand";
}

core::Json PlanSpec::to_json() const {
  core::Json job_json = {{"kind", "train"}};
  if (job.zoo.empty()) {
    job_json["model"] = job.model;
  } else {
    job_json["zoo"] = job.zoo;
  }
  job_json["samples"] = job.samples;
  job_json["epochs"] = job.epochs;
  job_json["batch"] = job.batch;
  job_json["optimizer"] = job.optimizer;
  job_json["precision"] = job.precision;
  core::Json goal_json = core::Json::object();
  if (goal.finish_by) goal_json["finish_by_s"] = goal.finish_by->value();
  if (goal.spend_at_most) goal_json["spend_at_most_usd"] = goal.spend_at_most->value();
  goal_json["market"] = fleets.markets.size() > 1 ? "any" : market_name(fleets.markets.front());
  return {{"name", name},
          {"job", std::move(job_json)},
          {"goal", std::move(goal_json)},
          {"fleet",
           {{"instances", fleets.instances},
            {"nodes", fleets.nodes},
            {"catalog", fleets.catalogs},
            {"efficiency", fleets.efficiency},
            {"launch_s", fleets.launch.value()}}}};
}

Result<PlanSpec> read_spec(const std::string& path) {
  PENSTOCK_TRY(core::SpecFile file, core::SpecFile::read(path));
  SpecTable root = file.root();
  PlanSpec spec;
  spec.path = path;
  spec.name = root.text_or("name", std::filesystem::path(path).stem().string());
  spec.job = read_job(root.table("job", true), path);
  std::vector<Market> markets;
  spec.goal = read_goal(root.table("goal"), markets);
  spec.fleets = read_fleets(root.table("fleet"), path);
  spec.fleets.markets = std::move(markets);
  PENSTOCK_TRY_STATUS(file.finish());
  return spec;
}

Result<model::Graph> read_model(const PlanSpec& spec) {
  if (!spec.job.zoo.empty()) return model::zoo(spec.job.zoo, spec.job.batch);
  return model::read_onnx(spec.job.model, {.batch = spec.job.batch});
}

}  // namespace penstock::plan
