// Time to read real graphs: parse, shapes, counts.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>

#include "penstock/core/file.h"
#include "penstock/model/graph.h"

namespace penstock::model {
namespace {

void read(benchmark::State& state, const std::string& file, std::optional<std::int64_t> batch) {
  const char* root = std::getenv("PENSTOCK_SHARED");
  const std::string folder = root != nullptr ? root : PENSTOCK_SOURCE_DIR "/../shared";
  const Result<std::string> bytes = core::read_file(folder + "/data/onnx/" + file);
  if (!bytes) {
    state.SkipWithError("the shared graphs are absent; set PENSTOCK_SHARED");
    return;
  }
  for (auto _ : state) {
    Result<Graph> graph = parse_onnx(*bytes, file, {.batch = batch});
    benchmark::DoNotOptimize(graph);
  }
}

BENCHMARK_CAPTURE(read, resnet50, "light/light_resnet50.onnx", std::nullopt)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(read, resnet50_batch512, "light/light_resnet50.onnx", 512)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(read, vit_b_16, "exported/vit_b_16.onnx", std::nullopt)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(read, vit_b_16_batch512, "exported/vit_b_16.onnx", 512)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(read, gpt2s, "exported/gpt2s.onnx", std::nullopt)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace penstock::model
