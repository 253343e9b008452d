#include "penstock/partition/internal/verify_maps.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "penstock/partition/internal/verify_products.h"

namespace penstock::partition::internal {
namespace {

constexpr double kEpsilon = 1e-5;  // ONNX's default for the norms

std::int64_t product(const model::Shape& shape, std::size_t from, std::size_t to) {
  std::int64_t sum = 1;
  for (std::size_t i = from; i < to; ++i) sum *= shape[i];
  return sum;
}

model::Shape pool_kernel(const Invocation& call) {
  const model::Shape& x = call.inputs[0]->shape;
  const model::Shape map(x.begin() + 2, x.end());
  return call.op->integers("kernel_shape", map);
}

// Calls visit(result offset, offsets under the window, their weight) for every output of a pool.
template <typename Visit>
void each_window(const Invocation& call, const Visit& visit) {
  const Window w = window_of(call, pool_kernel(call));
  const model::Shape& x = call.inputs[0]->shape;
  const bool with_padding = call.op->integer("count_include_pad", 0) != 0;
  std::vector<std::size_t> under;
  std::size_t to = 0;
  for (std::int64_t channel = 0; channel < x[0] * x[1]; ++channel) {
    for (std::int64_t oy = 0; oy < w.out[0]; ++oy) {
      for (std::int64_t ox = 0; ox < w.out[1]; ++ox, ++to) {
        under.clear();
        for (std::int64_t ky = 0; ky < w.kernel[0]; ++ky) {
          for (std::int64_t kx = 0; kx < w.kernel[1]; ++kx) {
            const std::int64_t y = w.source(0, oy, ky);
            const std::int64_t z = w.source(1, ox, kx);
            if (y < 0 || z < 0) continue;
            under.push_back(static_cast<std::size_t>((channel * w.in[0] + y) * w.in[1] + z));
          }
        }
        const double count = with_padding ? static_cast<double>(w.kernel[0] * w.kernel[1])
                                          : static_cast<double>(under.size());
        visit(to, under, 1 / count);
      }
    }
  }
}

Array pool(const Invocation& call) {
  Array y = zeros(call.result);
  const std::vector<double>& x = call.inputs[0]->values;
  const bool most = call.op->type == "MaxPool" || call.op->type == "GlobalMaxPool";
  each_window(call, [&](std::size_t to, const std::vector<std::size_t>& under, double weight) {
    double value = most ? -std::numeric_limits<double>::infinity() : 0;
    for (const std::size_t i : under) value = most ? std::max(value, x[i]) : value + x[i];
    y.values[to] = most ? value : value * weight;
  });
  return y;
}

Array pool_back(const Invocation& call, const Array& gradient) {
  Array dx = zeros(call.frames[0]);
  const std::vector<double>& x = call.inputs[0]->values;
  const bool most = call.op->type == "MaxPool" || call.op->type == "GlobalMaxPool";
  each_window(call, [&](std::size_t from, const std::vector<std::size_t>& under, double weight) {
    if (most) {
      std::size_t best = under.front();
      for (const std::size_t i : under) best = x[i] > x[best] ? i : best;
      dx.values[best] += gradient.values[from];
    } else {
      for (const std::size_t i : under) dx.values[i] += gradient.values[from] * weight;
    }
  });
  return dx;
}

// The result of a reduction with its reduced axes kept as 1, so that it broadcasts over the input.
model::Shape kept_shape(const Invocation& call) {
  model::Shape shape = call.inputs[0]->shape;
  const std::vector<std::int64_t> axes = call.listed("axes", 1);
  if (axes.empty()) return model::Shape(shape.size(), 1);
  for (const std::int64_t axis : axes) shape[call.axis(axis, shape.size())] = 1;
  return shape;
}

double reduced_weight(const Invocation& call) {
  if (call.op->type == "ReduceSum") return 1;
  return static_cast<double>(model::elements(kept_shape(call))) /
         static_cast<double>(call.inputs[0]->values.size());
}

Array reduce(const Invocation& call) {
  Array y = zeros(call.result);
  const Array& x = *call.inputs[0];
  const double weight = reduced_weight(call);
  broadcast(x.shape, kept_shape(call),
            [&](std::size_t from, std::size_t to) { y.values[to] += x.values[from] * weight; });
  return y;
}

Array reduce_back(const Invocation& call, const Array& gradient) {
  Array dx = zeros(call.frames[0]);
  const double weight = reduced_weight(call);
  broadcast(dx.shape, kept_shape(call), [&](std::size_t to, std::size_t from) {
    dx.values[to] = gradient.values[from] * weight;
  });
  return dx;
}

// The lines along one axis: `line(first offset, stride, length)`.
template <typename Line>
void each_line(const model::Shape& shape, std::size_t axis, const Line& line) {
  const std::int64_t length = shape[axis];
  const std::int64_t stride = product(shape, axis + 1, shape.size());
  const std::int64_t outer = product(shape, 0, axis);
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < stride; ++i) {
      line(static_cast<std::size_t>(o * length * stride + i), static_cast<std::size_t>(stride),
           static_cast<std::size_t>(length));
    }
  }
}

std::size_t softmax_axis(const Invocation& call) {
  return call.axis(call.op->integer("axis", -1), call.inputs[0]->shape.size());
}

Array softmax(const Invocation& call) {
  const bool logarithm = call.op->type == "LogSoftmax";
  Array y = *call.inputs[0];
  each_line(y.shape, softmax_axis(call), [&](std::size_t first, std::size_t stride, std::size_t n) {
    double most = y.values[first];
    for (std::size_t i = 0; i < n; ++i) most = std::max(most, y.values[first + i * stride]);
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += std::exp(y.values[first + i * stride] - most);
    for (std::size_t i = 0; i < n; ++i) {
      double& v = y.values[first + i * stride];
      v = logarithm ? v - most - std::log(sum) : std::exp(v - most) / sum;
    }
  });
  return y;
}

Array softmax_back(const Invocation& call, const Array& y, const Array& gradient) {
  const bool logarithm = call.op->type == "LogSoftmax";
  Array dx = gradient;
  each_line(y.shape, softmax_axis(call), [&](std::size_t first, std::size_t stride, std::size_t n) {
    double sum = 0;
    for (std::size_t i = first; i < first + n * stride; i += stride) {
      sum += gradient.values[i] * (logarithm ? 1 : y.values[i]);
    }
    for (std::size_t i = first; i < first + n * stride; i += stride) {
      dx.values[i] = logarithm ? gradient.values[i] - std::exp(y.values[i]) * sum
                               : y.values[i] * (gradient.values[i] - sum);
    }
  });
  return dx;
}

// y = (x - mean) / sqrt(variance + epsilon) over the trailing axes, then scale and shift.
struct LayerNorm {
  std::size_t size = 1;
  double epsilon = kEpsilon;
};

LayerNorm layer_norm_of(const Invocation& call) {
  const model::Shape& shape = call.inputs[0]->shape;
  LayerNorm norm;
  const std::size_t axis = call.axis(call.op->integer("axis", -1), shape.size());
  norm.size = static_cast<std::size_t>(product(shape, axis, shape.size()));
  norm.epsilon = call.number("epsilon", kEpsilon);
  return norm;
}

// The normalised input, and the standard deviation of each stretch of it.
std::vector<double> normalise(const std::vector<double>& x, const LayerNorm& norm,
                              std::vector<double>& deviations) {
  std::vector<double> y = x;
  for (std::size_t first = 0; first < x.size(); first += norm.size) {
    double mean = 0;
    for (std::size_t i = 0; i < norm.size; ++i) mean += x[first + i];
    mean /= static_cast<double>(norm.size);
    double variance = 0;
    for (std::size_t i = 0; i < norm.size; ++i) {
      variance += (x[first + i] - mean) * (x[first + i] - mean);
    }
    deviations.push_back(std::sqrt(variance / static_cast<double>(norm.size) + norm.epsilon));
    for (std::size_t i = 0; i < norm.size; ++i) {
      y[first + i] = (x[first + i] - mean) / deviations.back();
    }
  }
  return y;
}

Array layer_norm(const Invocation& call) {
  const LayerNorm norm = layer_norm_of(call);
  Array y = zeros(call.result);
  std::vector<double> deviations;
  y.values = normalise(call.inputs[0]->values, norm, deviations);
  for (std::size_t i = 0; i < y.values.size(); ++i) {
    y.values[i] *= call.inputs[1]->values[i % norm.size];
    if (call.inputs.size() > 2 && call.inputs[2] != nullptr) {
      y.values[i] += call.inputs[2]->values[i % norm.size];
    }
  }
  return y;
}

std::vector<Array> layer_norm_back(const Invocation& call, const Array& gradient,
                                   const std::vector<bool>& wanted) {
  const LayerNorm norm = layer_norm_of(call);
  std::vector<Array> result(call.inputs.size());
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (wanted[i]) result[i] = zeros(call.frames[i]);
  }
  std::vector<double> deviations;
  const std::vector<double> y = normalise(call.inputs[0]->values, norm, deviations);
  const std::vector<double>& scale = call.inputs[1]->values;
  const auto size = static_cast<double>(norm.size);
  for (std::size_t first = 0; first < y.size(); first += norm.size) {
    double sum = 0;
    double along = 0;
    for (std::size_t i = 0; i < norm.size; ++i) {
      const double e = gradient.values[first + i];
      if (wanted[1]) result[1].values[i] += e * y[first + i];
      if (wanted.size() > 2 && wanted[2]) result[2].values[i] += e;
      sum += e * scale[i];
      along += e * scale[i] * y[first + i];
    }
    if (!wanted[0]) continue;
    for (std::size_t i = 0; i < norm.size; ++i) {
      const double e = gradient.values[first + i] * scale[i];
      result[0].values[first + i] =
          (e - sum / size - y[first + i] * along / size) / deviations[first / norm.size];
    }
  }
  return result;
}

// With given statistics, as in inference: an affine map of each channel.
struct Affine {
  double factor;  // of the input, before the scale
  double mean;
  std::size_t channel;
};

template <typename Visit>
void each_affine(const Invocation& call, const Visit& visit) {
  const Array& x = *call.inputs[0];
  const double epsilon = call.number("epsilon", kEpsilon);
  const auto map = static_cast<std::size_t>(product(x.shape, 2, x.shape.size()));
  const auto channels = static_cast<std::size_t>(x.shape[1]);
  for (std::size_t i = 0; i < x.values.size(); ++i) {
    const std::size_t channel = i / map % channels;
    const double variance = call.inputs[4]->values[channel];
    visit(i, Affine{1 / std::sqrt(variance + epsilon), call.inputs[3]->values[channel], channel});
  }
}

Array batch_norm(const Invocation& call) {
  Array y = zeros(call.result);
  each_affine(call, [&](std::size_t i, const Affine& a) {
    y.values[i] =
        (call.inputs[0]->values[i] - a.mean) * a.factor * call.inputs[1]->values[a.channel] +
        call.inputs[2]->values[a.channel];
  });
  return y;
}

std::vector<Array> batch_norm_back(const Invocation& call, const Array& gradient,
                                   const std::vector<bool>& wanted) {
  std::vector<Array> result(call.inputs.size());
  for (std::size_t i = 0; i < 3; ++i) {
    if (wanted[i]) result[i] = zeros(call.frames[i]);
  }
  each_affine(call, [&](std::size_t i, const Affine& a) {
    const double e = gradient.values[i];
    if (wanted[0]) result[0].values[i] = e * a.factor * call.inputs[1]->values[a.channel];
    if (wanted[1]) {
      result[1].values[a.channel] += e * (call.inputs[0]->values[i] - a.mean) * a.factor;
    }
    if (wanted[2]) result[2].values[a.channel] += e;
  });
  return result;
}

// Divides by a power of the squares summed over neighbouring channels (Krizhevsky 2012).
struct Neighbours {
  std::int64_t before = 0;
  std::int64_t after = 0;
  double alpha = 1e-4;
  double beta = 0.75;
  double bias = 1;
};

Neighbours neighbours_of(const Invocation& call) {
  const std::int64_t size = call.op->integer("size", 1);
  return {(size - 1) / 2, size - 1 - (size - 1) / 2,
          call.number("alpha", 1e-4) / static_cast<double>(size), call.number("beta", 0.75),
          call.number("bias", 1)};
}

// Calls visit(first, step, sums) for each item and pixel: channel c is at first + c * step.
template <typename Visit>
void each_pixel(const Array& x, const Neighbours& n, const Visit& visit) {
  each_line(x.shape, 1, [&](std::size_t first, std::size_t step, std::size_t channels) {
    std::vector<double> sums(channels, n.bias);
    const auto last = static_cast<std::int64_t>(channels) - 1;
    for (std::int64_t c = 0; c <= last; ++c) {
      for (std::int64_t k = std::max<std::int64_t>(0, c - n.before);
           k <= std::min(last, c + n.after); ++k) {
        const double v = x.values[first + static_cast<std::size_t>(k) * step];
        sums[static_cast<std::size_t>(c)] += n.alpha * v * v;
      }
    }
    visit(first, step, sums);
  });
}

Array local_response(const Invocation& call) {
  const Neighbours n = neighbours_of(call);
  Array y = *call.inputs[0];
  each_pixel(*call.inputs[0], n,
             [&](std::size_t first, std::size_t step, const std::vector<double>& sums) {
               for (std::size_t c = 0; c < sums.size(); ++c) {
                 y.values[first + c * step] *= std::pow(sums[c], -n.beta);
               }
             });
  return y;
}

Array local_response_back(const Invocation& call, const Array& gradient) {
  const Neighbours n = neighbours_of(call);
  const Array& x = *call.inputs[0];
  Array dx = gradient;
  each_pixel(x, n, [&](std::size_t first, std::size_t step, const std::vector<double>& sums) {
    const auto last = static_cast<std::int64_t>(sums.size()) - 1;
    std::vector<double> pulls;
    for (std::size_t c = 0; c < sums.size(); ++c) {
      const std::size_t i = first + c * step;
      dx.values[i] *= std::pow(sums[c], -n.beta);
      pulls.push_back(gradient.values[i] * x.values[i] * std::pow(sums[c], -n.beta - 1));
    }
    for (std::int64_t k = 0; k <= last; ++k) {
      double sum = 0;
      for (std::int64_t c = std::max<std::int64_t>(0, k - n.after);
           c <= std::min(last, k + n.before); ++c) {
        sum += pulls[static_cast<std::size_t>(c)];
      }
      const std::size_t i = first + static_cast<std::size_t>(k) * step;
      dx.values[i] -= 2 * n.alpha * n.beta * x.values[i] * sum;
    }
  });
  return dx;
}

bool is_pool(const std::string& type) {
  return type == "MaxPool" || type == "AveragePool" || type == "GlobalAveragePool" ||
         type == "GlobalMaxPool";
}

}  // namespace

bool reduces_or_normalises(const std::string& type) {
  return is_pool(type) || type == "ReduceMean" || type == "ReduceSum" || type == "Softmax" ||
         type == "LRN" || type == "LogSoftmax" || type == "LayerNormalization" ||
         type == "BatchNormalization";
}

Array map_forward(const Invocation& call) {
  const std::string& type = call.op->type;
  if (is_pool(type)) return pool(call);
  if (type == "LRN") return local_response(call);
  if (type == "LayerNormalization") return layer_norm(call);
  if (type == "BatchNormalization") return batch_norm(call);
  if (type == "Softmax" || type == "LogSoftmax") return softmax(call);
  return reduce(call);
}

std::vector<Array> map_back(const Invocation& call, const Array& output, const Array& gradient,
                            const std::vector<bool>& wanted) {
  const std::string& type = call.op->type;
  if (type == "LayerNormalization") return layer_norm_back(call, gradient, wanted);
  if (type == "BatchNormalization") return batch_norm_back(call, gradient, wanted);
  std::vector<Array> result(call.inputs.size());
  if (!wanted[0]) return result;
  if (is_pool(type)) {
    result[0] = pool_back(call, gradient);
  } else if (type == "LRN") {
    result[0] = local_response_back(call, gradient);
  } else if (type == "Softmax" || type == "LogSoftmax") {
    result[0] = softmax_back(call, output, gradient);
  } else {
    result[0] = reduce_back(call, gradient);
  }
  return result;
}

}  // namespace penstock::partition::internal
