// The products with a weight matrix, on Eigen.
#pragma once

#include "penstock/partition/internal/verify_operators.h"

namespace penstock::partition::internal {

// A sliding window over one or two map axes: of a convolution or a pool.
struct Window {
  std::int64_t in[2] = {1, 1};
  std::int64_t out[2] = {1, 1};
  std::int64_t kernel[2] = {1, 1};
  std::int64_t stride[2] = {1, 1};
  std::int64_t dilation[2] = {1, 1};
  std::int64_t before[2] = {0, 0};  // padding

  // The input position under kernel position k of output position o, or -1 in the padding.
  std::int64_t source(int dimension, std::int64_t o, std::int64_t k) const {
    const std::int64_t i = o * stride[dimension] + k * dilation[dimension] - before[dimension];
    return i >= 0 && i < in[dimension] ? i : -1;
  }
};
Window window_of(const Invocation& call, const model::Shape& kernel);

Array convolve(const Invocation& call);
std::vector<Array> convolve_back(const Invocation& call, const Array& gradient,
                                 const std::vector<bool>& wanted);
// Gemm and MatMul, with batch dimensions.
Array multiply(const Invocation& call);
std::vector<Array> multiply_back(const Invocation& call, const Array& gradient,
                                 const std::vector<bool>& wanted);

// Calls move(offset in the result, offset in the operand) for each element of the result, the
// operand repeated along the axes where it has one position.
template <typename Move>
void broadcast(const model::Shape& result, const model::Shape& operand, const Move& move) {
  const std::size_t rank = result.size();
  std::vector<std::int64_t> strides(rank, 0);
  std::int64_t stride = 1;
  for (std::size_t i = 0; i < operand.size(); ++i) {
    const std::size_t from = operand.size() - 1 - i;
    if (operand[from] != 1) strides[rank - 1 - i] = stride;
    stride *= operand[from];
  }
  std::int64_t total = 1;
  for (const std::int64_t size : result) total *= size;
  std::vector<std::int64_t> index(rank, 0);
  std::int64_t position = 0;
  for (std::int64_t offset = 0; offset < total; ++offset) {
    move(static_cast<std::size_t>(offset), static_cast<std::size_t>(position));
    for (std::size_t i = rank; i-- > 0;) {
      position += strides[i];
      if (++index[i] < result[i]) break;
      position -= strides[i] * result[i];
      index[i] = 0;
    }
  }
}

}  // namespace penstock::partition::internal
