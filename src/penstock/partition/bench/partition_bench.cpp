// How long planning takes, beside exact solvers on the same problem in the same run. BENCHMARKS.md
// holds the figures.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "penstock/core/file.h"
#include "penstock/core/json.h"
#include "penstock/core/random.h"
#include "penstock/model/zoo.h"
#include "penstock/partition/joint_chain.h"
#include "penstock/partition/partition.h"

namespace penstock::partition {
namespace {

hardware::DeviceGroup boards(int count) {
  hardware::DeviceGroup group;
  group.name = "v3";
  group.count = group.per_node = count;
  group.peak = FlopRate(420e12);
  group.link = Bandwidth(2e9);
  group.memory = Bytes(128e9);
  return group;
}

std::string real_resnet50() {
  const char* given = std::getenv("PENSTOCK_SHARED");
  const std::filesystem::path shared = given != nullptr ? given : PENSTOCK_SOURCE_DIR "/../shared";
  return shared / "data/onnx/exported/resnet50_dyn.onnx";
}

Network chain_of_50() {
  Network network;
  network.batch = 4096;
  core::RandomStream random(1, "chain of 50");
  std::int64_t width = 512;
  for (int i = 0; i < 50; ++i) {
    Node node;
    node.name = fmt::format("fc{}", i);
    node.kind = NodeKind::kLayer;
    node.choices = kDenseTypes;
    node.rows = network.batch;
    node.in_columns = width;
    width = static_cast<std::int64_t>(256 * (1 + random.below(16)));
    node.out_columns = width;
    node.out_elements = network.batch * width;
    node.weights = node.in_columns * width;
    node.macs = network.batch * node.weights;
    if (i > 0) {
      node.in_edges = {i - 1};
      network.nodes.back().out_edges = {i - 1};
      network.edges.push_back({i - 1, i, network.batch * node.in_columns, true});
    }
    network.nodes.push_back(std::move(node));
  }
  return network;
}

void BM_JointOptimumOf50LayersOn256Devices(benchmark::State& state) {
  const Network network = chain_of_50();
  const std::vector<Bandwidth> links(8, Bandwidth(2e9));
  for (auto _ : state) {
    benchmark::DoNotOptimize(joint_chain(network, links, FlopRate(420e12), fused_options()).step);
  }
}
BENCHMARK(BM_JointOptimumOf50LayersOn256Devices)->Unit(benchmark::kMillisecond);

// Reads the file, plans over 256 devices with every baseline and the best subset, and writes the
// plan.
void BM_ResNet50FromFileToPlanOn256Devices(benchmark::State& state) {
  const std::string file = real_resnet50();
  if (!std::filesystem::exists(file)) {
    state.SkipWithError((file + " is absent; set PENSTOCK_SHARED").c_str());
    return;
  }
  hardware::Array array;
  array.name = "256 boards";
  array.groups = {boards(256)};
  array.between = array.groups[0].link;
  const std::string out =
      std::filesystem::temp_directory_path() / fmt::format("penstock-bench-{}.json", ::getpid());
  for (auto _ : state) {
    const auto graph = model::read_onnx(file, {.batch = 512});
    const auto network = lower(*graph);
    const auto result = partition_network(*network, array, {});
    const StrategyResult& best = result->strategies[result->best];
    const auto written = core::write_file(out, core::json_text(plan_to_json(*network, best.plan)));
    if (!written) state.SkipWithError("the plan cannot be written");
  }
  std::filesystem::remove(out);
}
BENCHMARK(BM_ResNet50FromFileToPlanOn256Devices)->Unit(benchmark::kMillisecond);

PairwiseProblem resnet50_problem(int devices) {
  const Network network = *lower(*model::zoo("resnet50", 512));
  const auto group = boards(devices);
  return mesh_problem(network, whole_extents(network), MeshSpace(group, devices), {});
}

void BM_SolveResNet50(benchmark::State& state) {
  const PairwiseProblem problem = resnet50_problem(static_cast<int>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(problem.minimise().cost);
}
BENCHMARK(BM_SolveResNet50)->Arg(8)->Arg(256)->Unit(benchmark::kMillisecond);

// Plans a second: the cost of random plans of the same problem.
void BM_EvaluateResNet50Plans(benchmark::State& state) {
  const PairwiseProblem problem = resnet50_problem(static_cast<int>(state.range(0)));
  core::RandomStream random(2, "plans");
  std::vector<std::vector<int>> plans(256);
  for (auto& plan : plans) {
    for (int v = 0; v < problem.variables(); ++v) {
      plan.push_back(static_cast<int>(random.below(static_cast<std::uint64_t>(problem.states(v)))));
    }
  }
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(problem.cost(plans[i++ % plans.size()]));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_EvaluateResNet50Plans)->Arg(8)->Arg(256);

// The same problem in toulbar2's text form, costs in milliseconds.
std::string toulbar_text(const PairwiseProblem& problem) {
  std::string variables;
  std::string functions;
  for (int v = 0; v < problem.variables(); ++v) {
    std::vector<double> ms;
    for (const double cost : problem.costs(v)) ms.push_back(1e3 * cost);
    variables += fmt::format("{}\"v{}\": {}", v == 0 ? "" : ", ", v, problem.states(v));
    functions += fmt::format("{}\"f{}\": {{\"scope\": [\"v{}\"], \"costs\": [{:.9f}]}}",
                             v == 0 ? "" : ",\n", v, v, fmt::join(ms, ", "));
  }
  int e = 0;
  for (const auto& pair : problem.pairs()) {
    std::vector<double> ms;
    for (const double cost : *pair.costs) ms.push_back(1e3 * cost);
    functions += fmt::format(",\n\"e{}\": {{\"scope\": [\"v{}\", \"v{}\"], \"costs\": [{:.9f}]}}",
                             e++, pair.a, pair.b, fmt::join(ms, ", "));
  }
  return fmt::format(
      "{{\"problem\": {{\"name\": \"mesh\", \"mustbe\": \"<1000000.000000000\"}},\n"
      "\"variables\": {{{}}},\n\"functions\": {{{}}}}}\n",
      variables, functions);
}

// The same problem as an integer programme: one binary for each state, one flow for each pair.
std::string glpk_text(const PairwiseProblem& problem) {
  std::string objective;
  std::string rows;
  std::string binaries;
  for (int v = 0; v < problem.variables(); ++v) {
    std::string one;
    for (int s = 0; s < problem.states(v); ++s) {
      objective += fmt::format(" + {:.9f} x{}_{}\n", 1e3 * problem.costs(v)[s], v, s);
      one += fmt::format(" + x{}_{}", v, s);
      binaries += fmt::format(" x{}_{}\n", v, s);
    }
    rows += one + " = 1\n";
  }
  int e = 0;
  for (const auto& pair : problem.pairs()) {
    const int columns = problem.states(pair.b);
    for (int i = 0; i < problem.states(pair.a); ++i) {
      std::string row;
      for (int j = 0; j < columns; ++j) {
        objective +=
            fmt::format(" + {:.9f} y{}_{}_{}\n", 1e3 * (*pair.costs)[i * columns + j], e, i, j);
        row += fmt::format(" + y{}_{}_{}\n", e, i, j);
      }
      rows += row + fmt::format(" - x{}_{} = 0\n", pair.a, i);
    }
    for (int j = 0; j < columns; ++j) {
      std::string row;
      for (int i = 0; i < problem.states(pair.a); ++i) {
        row += fmt::format(" + y{}_{}_{}\n", e, i, j);
      }
      rows += row + fmt::format(" - x{}_{} = 0\n", pair.b, j);
    }
    ++e;
  }
  return "Minimize\n obj:" + objective + "Subject To\n" + rows + "Binary\n" + binaries + "End\n";
}

// One run of an external solver, process start and reading included.
void run_peer(benchmark::State& state, const std::string& text, const std::string& suffix,
              const std::string& program, const std::string& options) {
  if (std::system(("command -v " + program + " >/dev/null 2>&1").c_str()) != 0) {
    state.SkipWithError((program + " is not installed").c_str());
    return;
  }
  const std::string file = std::filesystem::temp_directory_path() /
                           fmt::format("penstock-bench-{}{}", ::getpid(), suffix);
  if (!core::write_file(file, text)) state.SkipWithError("no room for the problem");
  const std::string command =
      fmt::format("timeout 60 {} {} {} >/dev/null 2>&1", program, options, file);
  int status = 0;
  for (auto _ : state) status = std::system(command.c_str());
  if (status != 0) state.SetLabel("no optimum within 60 s");
  std::filesystem::remove(file);
}

void BM_Toulbar2SolvesResNet50(benchmark::State& state) {
  run_peer(state, toulbar_text(resnet50_problem(static_cast<int>(state.range(0)))), ".cfn",
           "toulbar2", "");
}
BENCHMARK(BM_Toulbar2SolvesResNet50)
    ->Arg(8)
    ->Arg(256)
    ->Iterations(1)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void BM_GlpkSolvesResNet50(benchmark::State& state) {
  run_peer(state, glpk_text(resnet50_problem(static_cast<int>(state.range(0)))), ".lp", "glpsol",
           "--lp");
}
BENCHMARK(BM_GlpkSolvesResNet50)
    ->Arg(8)
    ->Arg(256)
    ->Iterations(1)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace penstock::partition
