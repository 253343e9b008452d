#include "penstock/profile/comm_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace penstock::profile {
namespace {

struct Coefficients {
  double a = 0;
  double b = 0;
  double c = 0;
  double at(const CommFeatures& f) const { return a * f.tensors + b * f.gradient_bytes + c; }
};

double squared_error(const Coefficients& fit, const std::vector<CommSample>& samples) {
  double sum = 0;
  for (const CommSample& s : samples) {
    const double off = fit.at(s.features) - s.stall_s;
    sum += off * off;
  }
  return sum;
}

// Ordinary least squares of the stall over a constant and those features that are in use.
Coefficients least_squares(const std::vector<CommSample>& samples, bool use_a, bool use_b) {
  const auto count = static_cast<double>(samples.size());
  double mean_l = 0, mean_g = 0, mean_t = 0;
  for (const CommSample& s : samples) {
    mean_l += s.features.tensors / count;
    mean_g += s.features.gradient_bytes / count;
    mean_t += s.stall_s / count;
  }
  double ll = 0, lg = 0, gg = 0, lt = 0, gt = 0;
  for (const CommSample& s : samples) {
    const double l = s.features.tensors - mean_l;
    const double g = s.features.gradient_bytes - mean_g;
    const double t = s.stall_s - mean_t;
    ll += l * l;
    lg += l * g;
    gg += g * g;
    lt += l * t;
    gt += g * t;
  }
  Coefficients fit;
  if (use_a && use_b) {
    const double determinant = ll * gg - lg * lg;
    if (determinant > 1e-12 * ll * gg) {
      fit.a = (lt * gg - gt * lg) / determinant;
      fit.b = (gt * ll - lt * lg) / determinant;
    }
  } else if (use_a && ll > 0) {
    fit.a = lt / ll;
  } else if (use_b && gg > 0) {
    fit.b = gt / gg;
  }
  fit.c = mean_t - fit.a * mean_l - fit.b * mean_g;
  return fit;
}

// With two coefficients bounded below, the optimum of the constrained problem is the best of the
// four problems in which some of them are held at zero and the others come out positive.
Coefficients bounded_least_squares(const std::vector<CommSample>& samples) {
  Coefficients best = least_squares(samples, false, false);
  double least = squared_error(best, samples);
  constexpr std::array<std::array<bool, 2>, 3> kInUse = {
      {{true, false}, {false, true}, {true, true}}};
  for (const auto& [use_a, use_b] : kInUse) {
    const Coefficients fit = least_squares(samples, use_a, use_b);
    if (fit.a < 0 || fit.b < 0) continue;
    const double error = squared_error(fit, samples);
    if (error < least) {
      least = error;
      best = fit;
    }
  }
  return best;
}

double cross(const CommFeatures& o, const CommFeatures& a, const CommFeatures& b) {
  return (a.tensors - o.tensors) * (b.gradient_bytes - o.gradient_bytes) -
         (a.gradient_bytes - o.gradient_bytes) * (b.tensors - o.tensors);
}

// Andrew's monotone chain.
std::vector<CommFeatures> convex_hull(std::vector<CommFeatures> points) {
  std::sort(points.begin(), points.end(), [](const CommFeatures& x, const CommFeatures& y) {
    return x.tensors < y.tensors || (x.tensors == y.tensors && x.gradient_bytes < y.gradient_bytes);
  });
  std::vector<CommFeatures> hull;
  for (int side = 0; side < 2; ++side) {
    const std::size_t start = hull.size();
    for (const CommFeatures& p : points) {
      while (hull.size() >= start + 2 && cross(hull[hull.size() - 2], hull.back(), p) <= 0) {
        hull.pop_back();
      }
      hull.push_back(p);
    }
    hull.pop_back();
    std::reverse(points.begin(), points.end());
  }
  return hull;
}

}  // namespace

double CommModel::unchecked(const CommFeatures& features) const {
  return Coefficients{a_s, b_s_per_byte, c_s}.at(features);
}

bool CommModel::covers(const CommFeatures& features) const {
  for (std::size_t i = 0; i < hull.size(); ++i) {
    const CommFeatures& from = hull[i];
    const CommFeatures& to = hull[(i + 1) % hull.size()];
    // A point on an edge may come out a rounding below zero.
    const double scale = std::abs(to.tensors - from.tensors) * features.gradient_bytes +
                         std::abs(to.gradient_bytes - from.gradient_bytes) * features.tensors;
    if (cross(from, to, features) < -1e-9 * scale) return false;
  }
  return true;
}

Result<double> CommModel::predict(const CommFeatures& features) const {
  if (!covers(features)) {
    return core::negative(
        "communication model",
        fmt::format("{:.0f} tensors with {:.3g} bytes of gradients lie outside the models that it "
                    "was fitted on",
                    features.tensors, features.gradient_bytes),
        "profile a model on the far side of it first");
  }
  return unchecked(features);
}

Result<CommModel> fit_comm_model(const std::vector<CommSample>& samples) {
  CommModel model;
  std::vector<CommFeatures> points;
  for (const CommSample& sample : samples) points.push_back(sample.features);
  if (points.size() >= 3) model.hull = convex_hull(points);
  if (model.hull.size() < 3) {
    return core::negative(
        "communication model",
        fmt::format("{} profiled models do not tell tensors and bytes apart", samples.size()),
        "profile at least three, some deep and some wide, on the same link");
  }
  const Coefficients fit = bounded_least_squares(samples);
  model.a_s = fit.a;
  model.b_s_per_byte = fit.b;
  model.c_s = fit.c;
  double mean = 0;
  for (const CommSample& s : samples) mean += s.stall_s / static_cast<double>(samples.size());
  double total = 0;
  for (const CommSample& s : samples) total += (s.stall_s - mean) * (s.stall_s - mean);
  model.r_squared = total > 0 ? 1 - squared_error(fit, samples) / total : 1;

  if (samples.size() >= 4) {
    double sum = 0;
    for (std::size_t left = 0; left < samples.size(); ++left) {
      std::vector<CommSample> others = samples;
      others.erase(others.begin() + static_cast<std::ptrdiff_t>(left));
      const double predicted = bounded_least_squares(others).at(samples[left].features);
      sum += std::abs(predicted - samples[left].stall_s) / std::abs(samples[left].stall_s);
    }
    model.left_out_error = sum / static_cast<double>(samples.size());
  }
  return model;
}

}  // namespace penstock::profile
