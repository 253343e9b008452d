// penstock partition: how to split a network over an array of accelerators.
#include <fmt/format.h>

#include "penstock/cli/command.h"
#include "penstock/core/file.h"
#include "penstock/core/table.h"
#include "penstock/hardware/array.h"
#include "penstock/model/graph.h"
#include "penstock/model/training_bytes.h"
#include "penstock/model/zoo.h"
#include "penstock/partition/partition.h"
#include "penstock/partition/verify.h"
#include "penstock/version.h"

namespace penstock::cli {
namespace {

using core::Json;
using core::Table;
using partition::Network;
using partition::PartitionResult;
using partition::StrategyResult;

// Which network: a file or one of the zoo.
struct ModelOptions {
  std::string file;
  std::string zoo;
  std::int64_t batch = 0;

  void declare(CLI::App& app) {
    app.add_option("MODEL", file, "ONNX file");
    app.add_option("--zoo", zoo, "A built-in network instead: " + names())->type_name("NAME");
    app.add_option("--batch", batch, "Batch of one step over all devices; default: the file's")
        ->check(CLI::PositiveNumber)
        ->type_name("N");
  }
  static std::string names() {
    std::string list;
    for (const std::string& name : model::zoo_names()) list += (list.empty() ? "" : ", ") + name;
    return list;
  }
  bool given() const { return !file.empty() || !zoo.empty(); }
  Status check() const {
    if (file.empty() == zoo.empty()) {
      return core::input_error("partition", "needs one network",
                               "name an ONNX file or --zoo NAME, for example --zoo vgg16");
    }
    return {};
  }
  Result<model::Graph> read() const {
    constexpr std::int64_t kZooBatch = 512;
    if (!zoo.empty()) return model::zoo(zoo, batch > 0 ? batch : kZooBatch);
    model::ReadOptions options;
    if (batch > 0) options.batch = batch;
    return model::read_onnx(file, options);
  }
};

int used_devices(const StrategyResult& strategy) {
  int used = 0;
  for (const partition::DeviceCost& device : strategy.devices) {
    if (device.compute.value() > 0) used += device.count;
  }
  return used;
}

Bytes most_memory(const StrategyResult& strategy) {
  Bytes most;
  for (const partition::DeviceCost& device : strategy.devices) {
    most = std::max(most, device.memory());
  }
  return most;
}

class VerifyCommand {
 public:
  void declare(CLI::App& parent, bool& chosen) {
    CLI::App* app = parent.add_subcommand(
        "verify",
        "Run a plan on virtual workers and compare results and bytes with its prediction");
    app->add_option("PLAN", plan_, "Plan written by penstock partition --out")->required();
    app->add_option("--model", model_, "ONNX file, if not where the plan says")->type_name("FILE");
    app->add_option("--seed", seed_, "Of the random values; default 0")->type_name("N");
    app->footer("Example:\n  penstock partition verify plan.json");
    output_.declare(*app);
    app->callback([&chosen] { chosen = true; });
  }

  Status run() {
    PENSTOCK_TRY(const Json document, core::read_json(plan_));
    PENSTOCK_TRY(const std::string source,
                 core::json_member<std::string>(document, "source", plan_));
    PENSTOCK_TRY(const std::int64_t batch,
                 core::json_member<std::int64_t>(document, "batch", plan_));
    PENSTOCK_TRY(const Json body, core::json_member<Json>(document, "plan", plan_));
    ModelOptions model;
    model.batch = batch;
    constexpr std::string_view kZoo = "zoo:";
    if (!model_.empty()) {
      model.file = model_;
    } else if (source.rfind(kZoo, 0) == 0) {
      model.zoo = source.substr(kZoo.size());
    } else {
      model.file = source;
    }
    PENSTOCK_TRY(const model::Graph graph, model.read());
    PENSTOCK_TRY(const Network network, partition::lower(graph));
    PENSTOCK_TRY(const partition::PartitionPlan plan,
                 partition::plan_from_json(body, network, plan_));
    partition::VerifyOptions options;
    options.seed = seed_;
    PENSTOCK_TRY(const partition::VerifyReport report,
                 partition::verify_plan(graph, network, plan, options));
    PENSTOCK_TRY_STATUS(output_.emit(document_of(report), text_of(report)));
    if (!report.ok) return core::negative(plan_, "does not hold", "see the table above");
    return {};
  }

 private:
  Json document_of(const partition::VerifyReport& report) const {
    Json workers = Json::array();
    for (const auto& worker : report.workers) {
      workers.push_back({{"name", worker.name},
                         {"received_bytes", worker.received_bytes},
                         {"predicted_bytes", worker.predicted_bytes}});
    }
    return {{"schema", "penstock-verify/1"},
            {"version", kVersion},
            {"plan", plan_},
            {"seed", seed_},
            {"ok", report.ok},
            {"output_error", report.output_error},
            {"gradient_error", report.gradient_error},
            {"workers", std::move(workers)},
            {"notes", report.notes}};
  }

  static std::string text_of(const partition::VerifyReport& report) {
    std::string text = fmt::format("outputs differ by {:.1e}, gradients by {:.1e} (relative)\n\n",
                                   report.output_error, report.gradient_error);
    Table table({{"worker"},
                 {"received", Table::Align::kRight},
                 {"predicted", Table::Align::kRight},
                 {""}});
    constexpr std::size_t kShown = 40;
    std::size_t shown = 0;
    std::size_t equal = 0;
    for (const auto& worker : report.workers) {
      const bool same = worker.received_bytes == worker.predicted_bytes;
      if (same) ++equal;
      if (same && ++shown > kShown) continue;
      table.add_row({worker.name, fmt::format("{} B", worker.received_bytes),
                     fmt::format("{} B", worker.predicted_bytes), same ? "equal" : "DIFFERS"});
    }
    text += table.text();
    text += fmt::format("\n{} of {} workers received exactly what was predicted\n", equal,
                        report.workers.size());
    for (const std::string& note : report.notes) text += "note: " + note + "\n";
    text += report.ok ? "the plan holds\n" : "the plan does NOT hold\n";
    return text;
  }

  std::string plan_;
  std::string model_;
  std::uint64_t seed_ = 0;
  OutputOptions output_;
};

class PartitionCommand : public Command {
 public:
  std::string name() const override { return "partition"; }
  std::string summary() const override {
    return "Split a network over unlike accelerators: how, how long a step takes, and where it "
           "goes";
  }
  std::string example() const override {
    return "penstock partition --zoo vgg16 --array examples/arrays/tpu-v2x8-v3x8.toml";
  }

  void declare(CLI::App& app) override {
    model_.declare(app);
    app.add_option("--array", array_, "Accelerators and links to split over")->type_name("FILE");
    app.add_option("--mode", mode_, "paper, fused or mesh; default mesh")->type_name("MODE");
    app.add_option("--strategy", strategy_,
                   "data, owt, hypar, accpar or all (paper and fused mode); default all")
        ->type_name("NAME");
    app.add_option("--precision", precision_, "fp32, tf32, fp16, bf16 or fp8; default bf16")
        ->check(CLI::IsMember(hardware::precisions()))
        ->type_name("NAME");
    app.add_option("--optimizer", optimizer_, "sgd, momentum or adam; default sgd")
        ->check(CLI::IsMember(model::optimizers()))
        ->type_name("NAME");
    app.add_option("--plan", plan_, "Evaluate this plan instead of searching for one")
        ->type_name("FILE");
    app.add_option("--catalog", catalogs_, "A catalogue of your own, over the built-in one")
        ->type_name("FILE");
    app.add_option("--trace", trace_, "Write the step's timeline per device (opens in Perfetto)")
        ->type_name("FILE");
    output_.declare(app);
    verify_.declare(app, verifying_);
  }

  Status prepare() override {
    if (verifying_) return {};
    PENSTOCK_TRY_STATUS(model_.check());
    if (array_.empty() && plan_.empty()) {
      return core::input_error("partition", "needs an array",
                               "add --array FILE, for example examples/arrays/v100x8.toml");
    }
    PENSTOCK_TRY(options_.mode, partition::mode_from_name(mode_));
    if (strategy_ != "all") {
      options_.strategies.clear();
      for (const partition::Strategy s : partition::all_strategies()) {
        if (partition::strategy_name(s) == strategy_) options_.strategies = {s};
      }
      if (options_.strategies.empty()) {
        return core::input_error("--strategy", "\"" + strategy_ + "\" is no strategy",
                                 "use data, owt, hypar, accpar or all");
      }
    }
    options_.bytes_per_element = model::bytes_per_element(precision_);
    options_.memory.bytes_per_weight = model::bytes_per_weight(optimizer_);
    options_.progress = true;
    return {};
  }

  Status run() override {
    if (verifying_) return verify_.run();
    PENSTOCK_TRY(const model::Graph graph, model_.read());
    PENSTOCK_TRY(const Network network, partition::lower(graph));
    PENSTOCK_TRY(const hardware::Catalog catalog, hardware::load_catalog(catalogs_));
    for (const auto* warnings : {&graph.warnings, &network.warnings}) {
      for (const std::string& warning : *warnings) fmt::print(stderr, "warning: {}\n", warning);
    }
    PENSTOCK_TRY(const PartitionResult result, solve(network, catalog));
    const StrategyResult& best = result.strategies[result.best];
    if (!trace_.empty()) {
      ledger::Ledger ledger = best.ledger;
      for (ledger::Span& span : partition::timeline(network, best)) {
        ledger.add_span(std::move(span));
      }
      PENSTOCK_TRY_STATUS(core::write_file(trace_, ledger.to_trace().dump() + "\n"));
    }
    return output_.emit(document(graph, network, catalog, result), text(network, result));
  }

 private:
  Result<PartitionResult> solve(const Network& network, const hardware::Catalog& catalog) const {
    if (plan_.empty()) {
      PENSTOCK_TRY(const hardware::Array array, hardware::read_array(array_, catalog, precision_));
      return partition::partition_network(network, array, options_);
    }
    PENSTOCK_TRY(const Json document, core::read_json(plan_));
    PENSTOCK_TRY(const Json body, core::json_member<Json>(document, "plan", plan_));
    PENSTOCK_TRY(partition::PartitionPlan plan, partition::plan_from_json(body, network, plan_));
    if (!array_.empty()) {
      PENSTOCK_TRY(const hardware::Array array, hardware::read_array(array_, catalog, precision_));
      PENSTOCK_TRY_STATUS(move_to(array, plan));
    }
    PartitionResult result;
    result.strategies.push_back(partition::as_result(network, std::move(plan)));
    return result;
  }

  // Another array of the same shape under a plan.
  Status move_to(const hardware::Array& array, partition::PartitionPlan& plan) const {
    bool same = array.groups.size() == plan.array.groups.size();
    for (std::size_t g = 0; same && g < array.groups.size(); ++g) {
      same = array.groups[g].count == plan.array.groups[g].count &&
             array.groups[g].per_node == plan.array.groups[g].per_node;
    }
    if (!same) {
      return core::input_error(array_, "has other groups than the plan " + plan_,
                               "leave out --plan to search for a plan on it");
    }
    plan.array = array;
    return {};
  }

  const StrategyResult& data_parallel(const PartitionResult& result) const {
    for (const char* wanted : {"data", "ring-data"}) {
      for (const StrategyResult& s : result.strategies) {
        if (s.name == wanted) return s;
      }
    }
    return result.strategies.front();
  }

  Json document(const model::Graph& graph, const Network& network, const hardware::Catalog& catalog,
                const PartitionResult& result) const {
    const StrategyResult& best = result.strategies[result.best];
    Json strategies = Json::array();
    for (const StrategyResult& s : result.strategies) {
      strategies.push_back({{"name", s.name},
                            {"step_time_s", s.step.value()},
                            {"speedup_over_data_parallel", data_parallel(result).step / s.step},
                            {"devices_used", used_devices(s)},
                            {"memory_bytes", most_memory(s).value()},
                            {"fits", s.fits},
                            {"proven", s.has_plan && s.plan.tree.proven},
                            {"ledger", s.ledger.to_json()}});
    }
    Json nodes = Json::array();
    for (std::size_t v = 0; v < network.nodes.size(); ++v) {
      nodes.push_back(
          {{"name", network.nodes[v].name},
           {"type", network.nodes[v].type},
           {"split", partition::describe_split(network, best.plan, static_cast<int>(v))},
           {"time_s", best.nodes[v].value()}});
    }
    Json warnings = graph.warnings;
    for (const std::string& warning : network.warnings) warnings.push_back(warning);
    return {{"schema", "penstock-partition-result/1"},
            {"version", kVersion},
            {"model", graph.name},
            {"source", model_.zoo.empty() ? graph.source : "zoo:" + model_.zoo},
            {"batch", graph.batch},
            {"mode", partition::mode_name(best.plan.mode)},
            {"precision", precision_},
            {"optimizer", optimizer_},
            {"array", best.plan.array.name},
            {"catalog_hash", catalog.hash},
            {"best", best.name},
            {"strategies", std::move(strategies)},
            {"nodes", std::move(nodes)},
            {"plan", partition::plan_to_json(network, best.plan)},
            {"warnings", std::move(warnings)}};
  }

  std::string text(const Network& network, const PartitionResult& result) const {
    const StrategyResult& best = result.strategies[result.best];
    std::string text = fmt::format("{} at batch {} on {}, {} mode\n\n", network.name, network.batch,
                                   best.plan.array.name, partition::mode_name(best.plan.mode));
    using A = Table::Align;
    Table table({{"strategy"},
                 {"step", A::kRight},
                 {"x over data", A::kRight},
                 {"devices", A::kRight},
                 {"memory", A::kRight},
                 {""}});
    for (const StrategyResult& s : result.strategies) {
      const bool chosen = &s == &best;
      table.add_row({s.name, core::format_quantity(s.step),
                     fmt::format("{:.2f}", data_parallel(result).step / s.step),
                     std::to_string(used_devices(s)), core::format_quantity(most_memory(s)),
                     !s.fits ? "does not fit" : (chosen ? "<- best" : "")});
    }
    text += table.text() + "\n";
    text += fmt::format("How {} splits each layer", best.name);
    text += best.plan.mode == partition::Mode::kMesh
                ? " (batch x input channels x output channels)\n"
                : " (one type a level, with the first side's share where it is not one half)\n";
    Table split({{"layer"}, {"operator"}, {"split"}, {"time", A::kRight}});
    for (std::size_t v = 0; v < network.nodes.size(); ++v) {
      if (network.nodes[v].kind != partition::NodeKind::kLayer) continue;
      split.add_row({network.nodes[v].name, network.nodes[v].type,
                     partition::describe_split(network, best.plan, static_cast<int>(v)),
                     core::format_quantity(best.nodes[v])});
    }
    text += split.text() + "\nWhere the step goes\n" + best.ledger.table();
    return text;
  }

  ModelOptions model_;
  std::string array_;
  std::string mode_ = "mesh";
  std::string strategy_ = "all";
  std::string precision_ = "bf16";
  std::string optimizer_ = "sgd";
  std::string plan_;
  std::vector<std::string> catalogs_;
  std::string trace_;
  OutputOptions output_;
  partition::PartitionOptions options_;
  bool verifying_ = false;
  VerifyCommand verify_;
};

}  // namespace

std::unique_ptr<Command> make_partition_command() { return std::make_unique<PartitionCommand>(); }

}  // namespace penstock::cli
