// What is publicly known of the models that job traces name: gradients, work, and where their
// placements have been measured.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace penstock::cluster {

struct KnownModel {
  std::string_view name;    // "resnet50"
  std::string_view pollux;  // <pollux>_placements.csv, or empty
  std::string_view gavel;   // "ResNet-50", or empty
  double parameters = 0;    // gradients are as many fp32 numbers
  double largest = 0;       // of them in the largest tensor
  double forward_flop = 0;  // of one sample
  int batch = 32;           // of one accelerator, where the trace gives none
  std::vector<std::string_view> aliases;
};

const std::vector<KnownModel>& known_models();
// Lower case, letters and digits alone: "ResNet-50" and "resnet_50" are one.
std::string plain_name(std::string_view model);
// Null where the name is not known. `plain` as plain_name() gives it.
const KnownModel* find_known_model(std::string_view plain);

}  // namespace penstock::cluster
