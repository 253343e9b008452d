// What moves between workers, counted element by element; and values that are still partial sums.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "penstock/partition/internal/verify_block.h"

namespace penstock::partition::internal {

enum class Movement {
  kPlanned,
  // Between layers with unlike ratios, which the paper's table does not charge (room page 0.8).
  kRatioChange,
  // Partial sums of the gradient of a scale behind partial sums, which no table charges.
  kScaleGradient,
};
inline constexpr int kMovements = 3;

// One message is received at a time: workers compute at the same time, but exchange in order.
class Transport {
 public:
  // Loses the element of that number, if it is not negative.
  explicit Transport(std::int64_t lost_element) : until_loss_(lost_element) {}

  int add_worker();
  // Hands a message over to a worker.
  void deliver(int worker, Movement movement, std::vector<double>& message);
  Block deliver(int worker, Movement movement, Block message);
  std::int64_t received(int worker, Movement movement) const {
    return received_[static_cast<std::size_t>(worker)].elements[static_cast<int>(movement)];
  }

 private:
  struct Count {
    std::int64_t elements[kMovements] = {0, 0, 0};
  };
  std::vector<Count> received_;
  std::int64_t until_loss_;
};

// A summand. Its lane says, for each split below the tree node that holds it, which side's summand
// it is (kAll: it is complete there).
inline constexpr std::int16_t kAll = -1;
using Lane = std::vector<std::int16_t>;
struct Piece {
  Lane lane;
  Block block;
};
using Pieces = std::vector<Piece>;  // the value is their sum

Pieces select(const Pieces& pieces, const Indices& rows, const Indices& columns);
Block sum(const Pieces& pieces, const Indices& rows, const Indices& columns, std::int64_t unit);
// Removes the lanes' first place.
Pieces below(Pieces pieces);
// Puts a first place before the lanes.
Pieces above(Pieces pieces, std::int16_t place);
// Pieces of the same lane as one, where together they fill rows times columns.
Pieces joined(const Pieces& a, const Pieces& b);

// The items and channels that a conversion lacks, in rectangles: `needed` less what `held` has.
struct Rectangle {
  Indices rows;
  Indices columns;
};
std::vector<Rectangle> lacking(const Rectangle& needed, const Rectangle& held);

// The largest difference between two blocks of the same items and channels, relative to the
// largest value.
class Disagreement {
 public:
  void compare(const std::vector<double>& a, const std::vector<double>& b);
  double largest() const { return largest_; }

 private:
  double largest_ = 0;
};

}  // namespace penstock::partition::internal
