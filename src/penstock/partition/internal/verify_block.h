// Parts of tensors as the verifier's workers hold them: which batch items and channels a part has,
// and where these lie in the dense array that an operator works on.
#pragma once

#include <cstdint>
#include <vector>

#include "penstock/model/graph.h"
#include "penstock/partition/internal/lowering_axes.h"

namespace penstock::partition::internal {

// Ascending, of the whole tensor: items, channels, or positions along an axis.
using Indices = std::vector<std::int64_t>;
Indices counted(std::int64_t size);  // 0 to size - 1

// The positions that a dense array holds along each axis of the tensor.
using Frame = std::vector<Indices>;
std::int64_t frame_elements(const Frame& frame);
Frame whole_frame(const model::Shape& shape);

// Dense, last axis fastest.
struct Array {
  model::Shape shape;
  std::vector<double> values;
};
Array zeros(const Frame& frame);
// What the inner frame holds of the outer one; positions that the outer one lacks are zero.
Array cut(const Array& whole, const Frame& outer, const Frame& inner);
// The reverse: adds the part to the whole.
void add_part(const Array& part, const Frame& inner, const Frame& outer, Array& whole);

// A part of one tensor: `unit` elements for each item and channel, items outermost.
struct Block {
  Indices rows;
  Indices columns;
  std::int64_t unit = 1;
  std::vector<double> values;

  std::int64_t elements() const {
    return static_cast<std::int64_t>(rows.size() * columns.size()) * unit;
  }
};
Block empty_block(Indices rows, Indices columns, std::int64_t unit);
// The block over other items and channels; what it lacks is zero.
Block select(const Block& block, const Indices& rows, const Indices& columns);
// Adds what the two have in common.
void add(const Block& block, Block& sum);
Indices intersection(const Indices& a, const Indices& b);
Indices difference(const Indices& a, const Indices& b);

// Where a tensor's items and channels lie: the factors of its axes, each channel split off.
class Grid {
 public:
  Grid() = default;
  // The channels come in `grains` whole pieces.
  Grid(const Placement& placement, std::int64_t grains);

  std::int64_t rows() const { return rows_; }
  std::int64_t columns() const { return columns_; }
  std::int64_t unit() const { return unit_; }
  bool whole_grains() const { return whole_grains_; }  // false: grains do not divide the channels

  Frame frame(const Indices& rows, const Indices& columns) const;
  Array to_array(const Block& block) const;
  Block to_block(const Array& array, const Indices& rows, const Indices& columns) const;

 private:
  enum class Part : std::uint8_t { kRows, kColumns, kOther };
  struct Run {
    std::int64_t size = 1;
    Part part = Part::kOther;
  };
  template <typename Move>
  void walk(std::int64_t row_count, std::int64_t column_count, const Move& move) const;

  std::vector<std::vector<Run>> axes_;
  std::int64_t rows_ = 1;
  std::int64_t columns_ = 1;
  std::int64_t unit_ = 1;
  bool whole_grains_ = true;
};

}  // namespace penstock::partition::internal
