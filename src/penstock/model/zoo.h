// The nine networks of AccPar's evaluation, with the geometry of our reconstruction (room page
// "partition", section 1.9): no biases, no batch norm.
#pragma once

#include <string>
#include <vector>

#include "penstock/model/graph.h"

namespace penstock::model {

// lenet alexnet vgg11 vgg13 vgg16 vgg19 resnet18 resnet34 resnet50
std::vector<std::string> zoo_names();
Result<Graph> zoo(const std::string& name, std::int64_t batch);

}  // namespace penstock::model
