// The bytes that training keeps for one weight, and those of one value.
//
//   const double held = parameters * bytes_per_weight("adam");   // 16 bytes each
#pragma once

#include <string>
#include <vector>

namespace penstock::model {

// "sgd", "momentum" (SGD with it) and "adam".
const std::vector<std::string>& optimizers();

// Weight, gradient and the optimizer's state together. In fp32: weight 4 and gradient 4, with 4 for
// each of the optimizer's states (momentum has one, Adam two). Below: weight 2, gradient 2 and the
// 32-bit master weight 4, with the same states in 32 bits (Rajbhandari et al., ZeRO, SC 2020,
// section 3.1: Adam 16); fp8 is a format of products, whose weights and gradients stay in 16 bits.
// So every precision comes to 8, 12 and 16. `optimizer` is one of optimizers().
double bytes_per_weight(const std::string& optimizer);

// Of an activation or a gradient on its way between devices. `precision` is one of
// hardware::precisions().
double bytes_per_element(const std::string& precision);

}  // namespace penstock::model
