// What communication costs another model on the same link: stall = a L + b G + c.
//
//   PENSTOCK_TRY(const CommModel model, fit_comm_model(samples));
//   PENSTOCK_TRY(const double stall_s, model.predict({.tensors = 161, .gradient_bytes = 1e8}));
//
// L is the number of communicated tensors and G the bytes of gradients (Stash, ICDCS 2023); fitted
// for one link and number of ranks, with a and b at least zero. It refuses to extrapolate: outside
// the convex hull of the models it was fitted on, the answer is an error.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "penstock/core/result.h"

namespace penstock::profile {

struct CommFeatures {
  double tensors = 0;
  double gradient_bytes = 0;
};

struct CommSample {
  std::string model;
  CommFeatures features;
  double stall_s = 0;  // of one step
};

struct CommModel {
  double a_s = 0;  // a tensor
  double b_s_per_byte = 0;
  double c_s = 0;
  double r_squared = 0;
  std::optional<double> left_out_error;  // mean relative error of each model when it is left out
                                         // of the fit; needs four models
  std::vector<CommFeatures> hull;        // counter-clockwise

  double unchecked(const CommFeatures& features) const;
  bool covers(const CommFeatures& features) const;
  Result<double> predict(const CommFeatures& features) const;
};

// Needs three models that do not lie on one line of the features.
Result<CommModel> fit_comm_model(const std::vector<CommSample>& samples);

}  // namespace penstock::profile
