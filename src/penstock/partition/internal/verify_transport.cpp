#include "penstock/partition/internal/verify_transport.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

namespace penstock::partition::internal {

int Transport::add_worker() {
  received_.emplace_back();
  return static_cast<int>(received_.size()) - 1;
}

void Transport::deliver(int worker, Movement movement, std::vector<double>& message) {
  const auto size = static_cast<std::int64_t>(message.size());
  std::int64_t& count =
      received_[static_cast<std::size_t>(worker)].elements[static_cast<int>(movement)];
  count += size;
  if (until_loss_ >= 0 && until_loss_ < size) {
    message[static_cast<std::size_t>(until_loss_)] = 0;
    --count;
  }
  if (until_loss_ >= 0) until_loss_ -= std::min(until_loss_ + 1, size);
}

Block Transport::deliver(int worker, Movement movement, Block message) {
  deliver(worker, movement, message.values);
  return message;
}

Pieces select(const Pieces& pieces, const Indices& rows, const Indices& columns) {
  Pieces chosen;
  for (const Piece& piece : pieces) {
    const Indices r = intersection(piece.block.rows, rows);
    const Indices c = intersection(piece.block.columns, columns);
    if (!r.empty() && !c.empty()) chosen.push_back({piece.lane, select(piece.block, r, c)});
  }
  return chosen;
}

Block sum(const Pieces& pieces, const Indices& rows, const Indices& columns, std::int64_t unit) {
  Block total = empty_block(rows, columns, unit);
  for (const Piece& piece : pieces) add(piece.block, total);
  return total;
}

Pieces below(Pieces pieces) {
  for (Piece& piece : pieces) {
    if (!piece.lane.empty()) piece.lane.erase(piece.lane.begin());
  }
  return pieces;
}

Pieces above(Pieces pieces, std::int16_t place) {
  for (Piece& piece : pieces) piece.lane.insert(piece.lane.begin(), place);
  return pieces;
}

Pieces joined(const Pieces& a, const Pieces& b) {
  Pieces all = a;
  for (const Piece& piece : b) {
    const auto same = std::find_if(all.begin(), all.end(), [&](const Piece& other) {
      const bool beside =
          other.block.rows == piece.block.rows || other.block.columns == piece.block.columns;
      return other.lane == piece.lane && beside;
    });
    if (same == all.end()) {
      all.push_back(piece);
      continue;
    }
    Indices rows;
    Indices columns;
    std::set_union(same->block.rows.begin(), same->block.rows.end(), piece.block.rows.begin(),
                   piece.block.rows.end(), std::back_inserter(rows));
    std::set_union(same->block.columns.begin(), same->block.columns.end(),
                   piece.block.columns.begin(), piece.block.columns.end(),
                   std::back_inserter(columns));
    Block both = empty_block(std::move(rows), std::move(columns), piece.block.unit);
    add(same->block, both);
    add(piece.block, both);
    same->block = std::move(both);
  }
  return all;
}

std::vector<Rectangle> lacking(const Rectangle& needed, const Rectangle& held) {
  std::vector<Rectangle> rectangles;
  Rectangle other_rows{difference(needed.rows, held.rows), needed.columns};
  Rectangle other_columns{intersection(needed.rows, held.rows),
                          difference(needed.columns, held.columns)};
  for (Rectangle& r : std::vector<Rectangle>{std::move(other_rows), std::move(other_columns)}) {
    if (!r.rows.empty() && !r.columns.empty()) rectangles.push_back(std::move(r));
  }
  return rectangles;
}

void Disagreement::compare(const std::vector<double>& a, const std::vector<double>& b) {
  double most = 0;
  double apart = a.size() == b.size() ? 0 : std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    most = std::max(most, std::abs(b[i]));
    const double d = std::abs(a[i] - b[i]);
    // Not a number is as wrong as can be.
    apart = d == d ? std::max(apart, d) : std::numeric_limits<double>::infinity();
  }
  if (apart > 0) largest_ = std::max(largest_, most > 0 ? apart / most : apart);
}

}  // namespace penstock::partition::internal
