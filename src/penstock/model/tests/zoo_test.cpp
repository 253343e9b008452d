#include "penstock/model/zoo.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "model_builder.h"

namespace penstock::model {
namespace {

// Room page "partition", section 1.9; the others follow from torchvision's parameter counts less
// biases and batch norms.
TEST(ZooTest, MacsAndWeightsEqualTheReconstruction) {
  const std::map<std::string, std::pair<std::int64_t, std::int64_t>> expected = {
      {"lenet", {2293000, 430500}},
      {"alexnet", {1135256096, 62367776}},
      {"vgg11", {7609090048, 132851392}},
      {"vgg16", {15470264320, 138344128}},
      {"vgg13", {11184832512 + 123633664, 133047848 - 12136}},
      {"vgg19", {19508428800 + 123633664, 143667240 - 14696}},
      {"resnet18", {1813561344 + 512000, 11689512 - 2 * 4800 - 1000}},
      {"resnet34", {3663249408 + 512000, 21797672 - 2 * 8512 - 1000}},
      {"resnet50", {4087136256 + 2048000, 25557032 - 2 * 26560 - 1000}},
  };
  ASSERT_EQ(zoo_names().size(), expected.size());
  for (const std::string& name : zoo_names()) {
    SCOPED_TRACE(name);
    for (const std::int64_t batch : {std::int64_t{1}, std::int64_t{512}}) {
      const Result<Graph> graph = zoo(name, batch);
      ASSERT_TRUE(graph) << graph.error().text();
      EXPECT_EQ(graph->macs(), batch * expected.at(name).first);
      EXPECT_EQ(graph->parameters, expected.at(name).second);
      EXPECT_EQ(graph->parameters_in_graph, expected.at(name).second);
      EXPECT_EQ(graph->batch, batch);
    }
  }
}

TEST(ZooTest, MapsHaveThePublishedSizes) {
  const Result<Graph> alexnet = zoo("alexnet", 2);
  ASSERT_TRUE(alexnet);
  std::vector<Shape> outputs;
  for (const LayerSummary& layer : layers(*alexnet)) outputs.push_back(layer.output);
  EXPECT_EQ(outputs, (std::vector<Shape>{{2, 96, 55, 55},
                                         {2, 256, 27, 27},
                                         {2, 384, 13, 13},
                                         {2, 384, 13, 13},
                                         {2, 256, 13, 13},
                                         {2, 4096},
                                         {2, 4096},
                                         {2, 1000}}));
}

TEST(ZooTest, GraphsAreWellFormed) {
  for (const std::string& name : zoo_names()) {
    SCOPED_TRACE(name);
    const Result<Graph> graph = zoo(name, 1);
    ASSERT_TRUE(graph);
    std::set<std::string> names;
    for (std::size_t i = 0; i < graph->operators.size(); ++i) {
      const Operator& op = graph->operators[i];
      EXPECT_TRUE(names.insert(op.name).second) << op.name;
      for (const int input : op.inputs) {
        const Tensor& tensor = graph->tensors[static_cast<std::size_t>(input)];
        EXPECT_LT(tensor.producer, static_cast<int>(i));
        EXPECT_NE(std::find(tensor.consumers.begin(), tensor.consumers.end(), static_cast<int>(i)),
                  tensor.consumers.end());
      }
      for (const int output : op.outputs) {
        EXPECT_EQ(graph->tensors[static_cast<std::size_t>(output)].producer, static_cast<int>(i));
      }
    }
  }
}

TEST(ZooTest, RefusesUnknownNamesAndBatches) {
  const Result<Graph> misspelt = zoo("resnet51", 1);
  ASSERT_FALSE(misspelt);
  EXPECT_NE(misspelt.error().text().find("resnet50"), std::string::npos);
  EXPECT_FALSE(zoo("resnet50", 0));
  EXPECT_FALSE(zoo("resnet50", -3));
  EXPECT_FALSE(zoo("resnet50", std::int64_t{1} << 40));
}

}  // namespace
}  // namespace penstock::model
