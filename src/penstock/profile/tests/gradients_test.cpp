#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <string>

#include "penstock/model/graph.h"
#include "penstock/profile/internal/setting.h"

namespace penstock::profile {
namespace {

// Tensors and parameters as torchvision 0.14 has them: sum(p.numel() for p in m.parameters()).
struct Network {
  const char* file;
  std::size_t tensors;
  std::int64_t parameters;
};

TEST(GradientsTest, AreThoseOfTheNetworkBeforeExport) {
  const char* shared = std::getenv("PENSTOCK_SHARED");
  const std::string folder =
      (shared != nullptr ? std::string(shared) : PENSTOCK_SOURCE_DIR "/../shared") +
      "/data/onnx/exported/";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not there";
  for (const Network& network :
       {Network{"resnet18.onnx", 62, 11'689'512}, Network{"mobilenet_v2.onnx", 158, 3'504'872},
        Network{"resnet50_train.onnx", 161, 25'557'032}, Network{"vgg11.onnx", 22, 132'863'336}}) {
    const Result<model::Graph> graph = model::read_onnx(folder + network.file, {.batch = 1});
    ASSERT_TRUE(graph) << graph.error().text();
    const std::vector<std::int64_t> bytes = internal::gradients_of(*graph);
    EXPECT_EQ(bytes.size(), network.tensors) << network.file;
    const std::int64_t sum = std::accumulate(bytes.begin(), bytes.end(), std::int64_t{0});
    EXPECT_EQ(sum, 4 * network.parameters) << network.file;
  }
}

}  // namespace
}  // namespace penstock::profile
