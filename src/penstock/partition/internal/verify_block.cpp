#include "penstock/partition/internal/verify_block.h"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "penstock/core/check.h"

namespace penstock::partition::internal {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// For each position of `inner` its place in `outer`, or -1.
Indices places(const Indices& inner, const Indices& outer) {
  Indices found;
  found.reserve(inner.size());
  auto from = outer.begin();
  for (const std::int64_t index : inner) {
    from = std::lower_bound(from, outer.end(), index);
    found.push_back(from != outer.end() && *from == index ? from - outer.begin() : -1);
  }
  return found;
}

// Calls move(inner offset, outer offset) for every element that both frames hold.
template <typename Move>
void match(const Frame& inner, const Frame& outer, const Move& move) {
  const std::size_t rank = inner.size();
  std::vector<Indices> place;
  for (std::size_t i = 0; i < rank; ++i) place.push_back(places(inner[i], outer[i]));
  const std::int64_t total = frame_elements(inner);
  std::vector<std::size_t> index(rank, 0);
  for (std::int64_t offset = 0; offset < total; ++offset) {
    std::int64_t to = 0;
    for (std::size_t i = 0; i < rank && to >= 0; ++i) {
      const std::int64_t p = place[i][index[i]];
      to = p < 0 ? -1 : to * static_cast<std::int64_t>(outer[i].size()) + p;
    }
    if (to >= 0) move(offset, to);
    for (std::size_t i = rank; i-- > 0;) {
      if (++index[i] < inner[i].size()) break;
      index[i] = 0;
    }
  }
}

model::Shape shape_of(const Frame& frame) {
  model::Shape shape;
  for (const Indices& axis : frame) shape.push_back(static_cast<std::int64_t>(axis.size()));
  return shape;
}

// Calls move(block position, sum position, length) for every run that the two have in common.
template <typename Move>
void overlay(const Block& from, const Block& to, const Move& move) {
  const Indices rows = places(to.rows, from.rows);
  const Indices columns = places(to.columns, from.columns);
  const auto from_columns = static_cast<std::int64_t>(from.columns.size());
  const auto to_columns = static_cast<std::int64_t>(to.columns.size());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (rows[r] < 0) continue;
    for (std::size_t c = 0; c < columns.size(); ++c) {
      if (columns[c] < 0) continue;
      move((rows[r] * from_columns + columns[c]) * from.unit,
           (static_cast<std::int64_t>(r) * to_columns + static_cast<std::int64_t>(c)) * to.unit);
    }
  }
}

}  // namespace

Indices counted(std::int64_t size) {
  Indices indices(at(size));
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}

std::int64_t frame_elements(const Frame& frame) { return model::elements(shape_of(frame)); }

Frame whole_frame(const model::Shape& shape) {
  Frame frame;
  for (const std::int64_t size : shape) frame.push_back(counted(size));
  return frame;
}

Array zeros(const Frame& frame) {
  return {shape_of(frame), std::vector<double>(at(frame_elements(frame)), 0.0)};
}

Array cut(const Array& whole, const Frame& outer, const Frame& inner) {
  Array part = zeros(inner);
  match(inner, outer,
        [&](std::int64_t to, std::int64_t from) { part.values[at(to)] = whole.values[at(from)]; });
  return part;
}

void add_part(const Array& part, const Frame& inner, const Frame& outer, Array& whole) {
  match(inner, outer,
        [&](std::int64_t from, std::int64_t to) { whole.values[at(to)] += part.values[at(from)]; });
}

Block empty_block(Indices rows, Indices columns, std::int64_t unit) {
  Block block;
  block.rows = std::move(rows);
  block.columns = std::move(columns);
  block.unit = unit;
  block.values.assign(at(block.elements()), 0.0);
  return block;
}

Block select(const Block& block, const Indices& rows, const Indices& columns) {
  Block part = empty_block(rows, columns, block.unit);
  add(block, part);
  return part;
}

void add(const Block& block, Block& sum) {
  PENSTOCK_CHECK(block.unit == sum.unit);
  overlay(block, sum, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = 0; i < sum.unit; ++i) {
      sum.values[at(to + i)] += block.values[at(from + i)];
    }
  });
}

Indices intersection(const Indices& a, const Indices& b) {
  Indices both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

Indices difference(const Indices& a, const Indices& b) {
  Indices rest;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(rest));
  return rest;
}

Grid::Grid(const Placement& placement, std::int64_t grains) {
  for (const Axis& axis : placement.axes) {
    std::vector<Run> runs;
    for (const Factor& factor : axis) {
      if (factor.role == Role::kRows) {
        rows_ = factor.size;
        runs.push_back({factor.size, Part::kRows});
      } else if (factor.role == Role::kChannels) {
        if (grains < 1 || factor.size % grains != 0) whole_grains_ = false;
        columns_ = std::max<std::int64_t>(grains, 1);
        runs.push_back({columns_, Part::kColumns});
        const std::int64_t within = std::max<std::int64_t>(factor.size / columns_, 1);
        runs.push_back({within, Part::kOther});
        unit_ *= within;
      } else {
        runs.push_back({factor.size, Part::kOther});
        unit_ *= factor.size;
      }
    }
    axes_.push_back(std::move(runs));
  }
}

Frame Grid::frame(const Indices& rows, const Indices& columns) const {
  Frame frame;
  for (const std::vector<Run>& axis : axes_) {
    Indices positions = {0};
    for (const Run& run : axis) {
      const Indices whole = run.part == Part::kOther ? counted(run.size) : Indices();
      const Indices& chosen = run.part == Part::kRows      ? rows
                              : run.part == Part::kColumns ? columns
                                                           : whole;
      Indices next;
      next.reserve(positions.size() * chosen.size());
      for (const std::int64_t outer : positions) {
        for (const std::int64_t inner : chosen) next.push_back(outer * run.size + inner);
      }
      positions = std::move(next);
    }
    frame.push_back(std::move(positions));
  }
  // Who has no item or no channel has nothing, also of a tensor whose axes do not show them.
  if ((rows.empty() || columns.empty()) && !frame.empty()) frame.front().clear();
  return frame;
}

// Visits the dense elements in order, with the position of each in a block.
template <typename Move>
void Grid::walk(std::int64_t row_count, std::int64_t column_count, const Move& move) const {
  std::vector<std::int64_t> sizes;
  std::vector<std::int64_t> strides;
  std::int64_t inside = 1;
  std::int64_t total = 1;
  for (std::size_t a = axes_.size(); a-- > 0;) {
    for (std::size_t i = axes_[a].size(); i-- > 0;) {
      const Run& run = axes_[a][i];
      sizes.push_back(run.part == Part::kRows      ? row_count
                      : run.part == Part::kColumns ? column_count
                                                   : run.size);
      strides.push_back(run.part == Part::kRows      ? column_count * unit_
                        : run.part == Part::kColumns ? unit_
                                                     : inside);
      if (run.part == Part::kOther) inside *= run.size;
      total *= sizes.back();
    }
  }
  std::vector<std::int64_t> index(sizes.size(), 0);
  std::int64_t position = 0;
  for (std::int64_t dense = 0; dense < total; ++dense) {
    move(at(dense), at(position));
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      position += strides[i];
      if (++index[i] < sizes[i]) break;
      position -= strides[i] * sizes[i];
      index[i] = 0;
    }
  }
}

Array Grid::to_array(const Block& block) const {
  Array array = zeros(frame(block.rows, block.columns));
  walk(static_cast<std::int64_t>(block.rows.size()),
       static_cast<std::int64_t>(block.columns.size()),
       [&](std::size_t dense, std::size_t position) {
         array.values[dense] = block.values[position];
       });
  return array;
}

Block Grid::to_block(const Array& array, const Indices& rows, const Indices& columns) const {
  Block block = empty_block(rows, columns, unit_);
  PENSTOCK_CHECK(block.values.size() == array.values.size());
  walk(static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(columns.size()),
       [&](std::size_t dense, std::size_t position) {
         block.values[position] = array.values[dense];
       });
  return block;
}

}  // namespace penstock::partition::internal
