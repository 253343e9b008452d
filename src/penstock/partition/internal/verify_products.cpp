#include "penstock/partition/internal/verify_products.h"

#include <Eigen/Core>
#include <algorithm>

namespace penstock::partition::internal {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Part = Eigen::Map<Matrix>;
using ConstPart = Eigen::Map<const Matrix>;

// The sizes of one convolution; maps of one axis count as two with a first of size 1.
struct Convolution {
  Window window;
  std::int64_t items = 1;
  std::int64_t groups = 1;
  std::int64_t in = 1;   // channels of one group
  std::int64_t out = 1;  // likewise

  std::int64_t patch() const { return in * window.kernel[0] * window.kernel[1]; }
  std::int64_t in_map() const { return window.in[0] * window.in[1]; }
  std::int64_t out_map() const { return window.out[0] * window.out[1]; }
};

Convolution sizes(const Invocation& call) {
  const model::Shape& x = call.inputs[0]->shape;
  const model::Shape& w = call.inputs[1]->shape;
  const std::int64_t whole_out = call.whole_shape(call.op->outputs[0])[1];
  Convolution c;
  c.window = window_of(call, {w.begin() + 2, w.end()});
  c.items = x[0];
  const auto local_out = static_cast<std::int64_t>(call.result[1].size());
  const std::int64_t whole_groups = call.op->integer("group", 1);
  // A worker with a part of a grouped convolution's channels has whole groups of them.
  c.groups = whole_groups == 1 ? 1 : whole_groups * local_out / whole_out;
  if (c.groups == 0) return c;
  c.in = x[1] / c.groups;
  c.out = local_out / c.groups;
  return c;
}

template <typename Move>
void each_patch_element(const Convolution& c, const Move& move) {
  const Window& w = c.window;
  std::int64_t row = 0;
  for (std::int64_t i = 0; i < c.in; ++i) {
    for (std::int64_t ky = 0; ky < w.kernel[0]; ++ky) {
      for (std::int64_t kx = 0; kx < w.kernel[1]; ++kx, ++row) {
        for (std::int64_t oy = 0; oy < w.out[0]; ++oy) {
          const std::int64_t y = w.source(0, oy, ky);
          if (y < 0) continue;
          for (std::int64_t ox = 0; ox < w.out[1]; ++ox) {
            const std::int64_t x = w.source(1, ox, kx);
            if (x >= 0) move(row, oy * w.out[1] + ox, (i * w.in[0] + y) * w.in[1] + x);
          }
        }
      }
    }
  }
}

// The input under every kernel position, one column for each output position.
Matrix patches(const Convolution& c, const double* x) {
  Matrix columns = Matrix::Zero(c.patch(), c.out_map());
  each_patch_element(c, [&](std::int64_t row, std::int64_t column, std::int64_t from) {
    columns(row, column) = x[from];
  });
  return columns;
}

}  // namespace

Window window_of(const Invocation& call, const model::Shape& kernel) {
  const model::Operator& op = *call.op;
  const std::size_t rank = kernel.size();
  const std::vector<std::int64_t> ones(rank, 1);
  const std::vector<std::int64_t> strides = op.integers("strides", ones);
  const std::vector<std::int64_t> dilations = op.integers("dilations", ones);
  const std::vector<std::int64_t> pads =
      op.integers("pads", std::vector<std::int64_t>(2 * rank, 0));
  const std::string automatic = call.text("auto_pad");
  Window w;
  for (std::size_t i = 0; i < rank; ++i) {
    const std::size_t d = i + 2 - rank;
    w.in[d] = static_cast<std::int64_t>(call.frames[0][i + 2].size());
    w.out[d] = static_cast<std::int64_t>(call.result[i + 2].size());
    w.kernel[d] = kernel[i];
    w.stride[d] = strides[i];
    w.dilation[d] = dilations[i];
    w.before[d] = pads[i];
    if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
      const std::int64_t reach = (w.out[d] - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1;
      const std::int64_t padding = std::max<std::int64_t>(0, reach - w.in[d]);
      w.before[d] = automatic == "SAME_UPPER" ? padding / 2 : padding - padding / 2;
    }
  }
  return w;
}

Array convolve(const Invocation& call) {
  const Convolution c = sizes(call);
  Array y = zeros(call.result);
  const Array& x = *call.inputs[0];
  const Array& w = *call.inputs[1];
  for (std::int64_t n = 0; n < c.items; ++n) {
    for (std::int64_t g = 0; g < c.groups; ++g) {
      const double* source = x.values.data() + (n * c.groups + g) * c.in * c.in_map();
      Part target(y.values.data() + (n * c.groups + g) * c.out * c.out_map(), c.out, c.out_map());
      const ConstPart weight(w.values.data() + g * c.out * c.patch(), c.out, c.patch());
      target.noalias() = weight * patches(c, source);
    }
  }
  if (call.inputs.size() < 3 || call.inputs[2] == nullptr) return y;
  const std::int64_t channels = c.groups * c.out;
  for (std::size_t i = 0; i < y.values.size(); ++i) {
    const auto channel = static_cast<std::int64_t>(i) / c.out_map() % channels;
    y.values[i] += call.inputs[2]->values[static_cast<std::size_t>(channel)];
  }
  return y;
}

std::vector<Array> convolve_back(const Invocation& call, const Array& gradient,
                                 const std::vector<bool>& wanted) {
  const Convolution c = sizes(call);
  std::vector<Array> result(call.inputs.size());
  const Array& x = *call.inputs[0];
  const Array& w = *call.inputs[1];
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (wanted[i]) result[i] = zeros(call.frames[i]);
  }
  for (std::int64_t n = 0; n < c.items; ++n) {
    for (std::int64_t g = 0; g < c.groups; ++g) {
      const std::int64_t block = n * c.groups + g;
      const ConstPart e(gradient.values.data() + block * c.out * c.out_map(), c.out, c.out_map());
      const double* source = x.values.data() + block * c.in * c.in_map();
      if (wanted[1]) {
        Part target(result[1].values.data() + g * c.out * c.patch(), c.out, c.patch());
        target.noalias() += e * patches(c, source).transpose();
      }
      if (!wanted[0]) continue;
      const ConstPart weight(w.values.data() + g * c.out * c.patch(), c.out, c.patch());
      const Matrix columns = weight.transpose() * e;
      double* target = result[0].values.data() + block * c.in * c.in_map();
      each_patch_element(c, [&](std::int64_t row, std::int64_t column, std::int64_t to) {
        target[to] += columns(row, column);
      });
    }
  }
  if (wanted.size() > 2 && wanted[2]) {
    const std::int64_t channels = c.groups * c.out;
    for (std::size_t i = 0; i < gradient.values.size(); ++i) {
      const auto channel = static_cast<std::int64_t>(i) / c.out_map() % channels;
      result[2].values[static_cast<std::size_t>(channel)] += gradient.values[i];
    }
  }
  return result;
}

namespace {

// The matrices of one product: `a` is m x k and `b` k x n, either stored turned, for each of the
// batch dimensions' positions.
struct Product {
  bool turned_a = false;
  bool turned_b = false;
  std::int64_t m = 1, k = 1, n = 1;
  model::Shape batch;  // of the result
  model::Shape batch_a;
  model::Shape batch_b;
  double alpha = 1;
};

Product product_of(const Invocation& call) {
  Product p;
  const bool gemm = call.op->type == "Gemm";
  p.turned_a = gemm && call.op->integer("transA", 0) != 0;
  p.turned_b = gemm && call.op->integer("transB", 0) != 0;
  if (gemm) p.alpha = call.number("alpha", 1);
  const model::Shape& a = call.inputs[0]->shape;
  const model::Shape& b = call.inputs[1]->shape;
  p.m = p.turned_a ? a[a.size() - 1] : a[a.size() - 2];
  p.k = p.turned_a ? a[a.size() - 2] : a[a.size() - 1];
  p.n = p.turned_b ? b[b.size() - 2] : b[b.size() - 1];
  for (std::size_t i = 0; i + 2 < call.result.size(); ++i) {
    p.batch.push_back(static_cast<std::int64_t>(call.result[i].size()));
  }
  p.batch_a.assign(a.begin(), a.end() - 2);
  p.batch_b.assign(b.begin(), b.end() - 2);
  return p;
}

// Calls move(number of the result's matrix, a's, b's).
template <typename Move>
void each_matrix(const Product& p, const Move& move) {
  std::vector<std::size_t> of_b;
  broadcast(p.batch, p.batch_b, [&](std::size_t, std::size_t from) { of_b.push_back(from); });
  broadcast(p.batch, p.batch_a,
            [&](std::size_t to, std::size_t from) { move(to, from, of_b[to]); });
}

ConstPart stored(const Array& array, std::size_t number, std::int64_t rows, std::int64_t columns,
                 bool turned) {
  return {array.values.data() + static_cast<std::int64_t>(number) * rows * columns,
          turned ? columns : rows, turned ? rows : columns};
}

Part stored(Array& array, std::size_t number, std::int64_t rows, std::int64_t columns,
            bool turned) {
  return {array.values.data() + static_cast<std::int64_t>(number) * rows * columns,
          turned ? columns : rows, turned ? rows : columns};
}

}  // namespace

Array multiply(const Invocation& call) {
  const Product p = product_of(call);
  Array y = zeros(call.result);
  each_matrix(p, [&](std::size_t to, std::size_t of_a, std::size_t of_b) {
    const ConstPart a = stored(*call.inputs[0], of_a, p.m, p.k, p.turned_a);
    const ConstPart b = stored(*call.inputs[1], of_b, p.k, p.n, p.turned_b);
    Part c = stored(y, to, p.m, p.n, false);
    const Matrix left = p.turned_a ? Matrix(a.transpose()) : Matrix(a);
    if (p.turned_b) {
      c.noalias() = p.alpha * (left * b.transpose());
    } else {
      c.noalias() = p.alpha * (left * b);
    }
  });
  if (call.inputs.size() < 3 || call.inputs[2] == nullptr) return y;
  const double beta = call.number("beta", 1);
  broadcast(y.shape, call.inputs[2]->shape, [&](std::size_t to, std::size_t from) {
    y.values[to] += beta * call.inputs[2]->values[from];
  });
  return y;
}

std::vector<Array> multiply_back(const Invocation& call, const Array& gradient,
                                 const std::vector<bool>& wanted) {
  const Product p = product_of(call);
  std::vector<Array> result(call.inputs.size());
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (wanted[i]) result[i] = zeros(call.frames[i]);
  }
  each_matrix(p, [&](std::size_t to, std::size_t of_a, std::size_t of_b) {
    const ConstPart a = stored(*call.inputs[0], of_a, p.m, p.k, p.turned_a);
    const ConstPart b = stored(*call.inputs[1], of_b, p.k, p.n, p.turned_b);
    const ConstPart e = stored(gradient, to, p.m, p.n, false);
    if (wanted[0]) {
      const Matrix right = p.turned_b ? Matrix(b) : Matrix(b.transpose());
      const Matrix da = p.alpha * (e * right);
      Part target = stored(result[0], of_a, p.m, p.k, p.turned_a);
      if (p.turned_a) {
        target += da.transpose();
      } else {
        target += da;
      }
    }
    if (wanted[1]) {
      const Matrix left = p.turned_a ? Matrix(a) : Matrix(a.transpose());
      const Matrix db = p.alpha * (left * e);
      Part target = stored(result[1], of_b, p.k, p.n, p.turned_b);
      if (p.turned_b) {
        target += db.transpose();
      } else {
        target += db;
      }
    }
  });
  if (wanted.size() > 2 && wanted[2]) {
    const double beta = call.number("beta", 1);
    broadcast(gradient.shape, call.inputs[2]->shape, [&](std::size_t from, std::size_t to) {
      result[2].values[to] += beta * gradient.values[from];
    });
  }
  return result;
}

}  // namespace penstock::partition::internal
