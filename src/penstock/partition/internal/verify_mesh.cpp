#include "penstock/partition/internal/verify_mesh.h"

#include <algorithm>
#include <map>

namespace penstock::partition::internal {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

Indices MeshExchange::rows_of(int device, const Indices& rows, Axes axes) const {
  Indices held;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    bool mine = true;
    for (int k = 0; k < space_.axes() && mine; ++k) {
      if ((axes >> k & 1u) == 0) continue;
      mine = space_.row_digit(static_cast<std::int64_t>(i), k) == space_.coordinate(device, k);
    }
    if (mine) held.push_back(rows[i]);
  }
  return held;
}

Indices MeshExchange::columns_of(int device, const Indices& columns, Axes axes) const {
  Indices held;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    bool mine = true;
    for (int k = 0; k < space_.axes() && mine; ++k) {
      if ((axes >> k & 1u) == 0) continue;
      mine = space_.column_digit(static_cast<std::int64_t>(i), k) == space_.coordinate(device, k);
    }
    if (mine) held.push_back(columns[i]);
  }
  return held;
}

int MeshExchange::rank_in(int device, Axes axes) const {
  int rank = 0;
  for (int k = 0; k < space_.axes(); ++k) {
    if ((axes >> k & 1u) != 0) rank = rank * space_.radices()[at(k)] + space_.coordinate(device, k);
  }
  return rank;
}

std::vector<std::vector<int>> MeshExchange::rings(Axes axes) const {
  std::map<int, std::vector<int>> by_rest;
  const auto rest = static_cast<Axes>(space_.all() & ~axes);
  for (int d = 0; d < devices(); ++d) by_rest[rank_in(d, rest)].push_back(d);
  std::vector<std::vector<int>> sets;
  for (auto& [key, ring] : by_rest) {
    std::sort(ring.begin(), ring.end(),
              [&](int a, int b) { return rank_in(a, axes) < rank_in(b, axes); });
    sets.push_back(std::move(ring));
  }
  return sets;
}

// First every chunk travels once around, gathering summands, then once more, complete.
void MeshExchange::ring(const std::vector<int>& devices, Movement movement,
                        const std::vector<std::vector<double>*>& arrays) const {
  const auto n = static_cast<std::int64_t>(devices.size());
  const auto elements = static_cast<std::int64_t>(arrays[at(devices[0])]->size());
  const auto begin = [&](std::int64_t k) { return k * elements / n; };
  for (const bool gathering : {false, true}) {
    for (std::int64_t step = 0; step + 1 < n; ++step) {
      std::vector<std::vector<double>> messages;
      const auto chunk = [&](std::int64_t sender) {
        return ((sender + (gathering ? 1 : 0) - step) % n + n) % n;
      };
      for (std::int64_t i = 0; i < n; ++i) {
        const std::vector<double>& array = *arrays[at(devices[at(i)])];
        messages.emplace_back(array.begin() + begin(chunk(i)), array.begin() + begin(chunk(i) + 1));
      }
      for (std::int64_t i = 0; i < n; ++i) {
        const int receiver = devices[at((i + 1) % n)];
        transport_.deliver(workers_[at(receiver)], movement, messages[at(i)]);
        double* target = arrays[at(receiver)]->data() + begin(chunk(i));
        for (const double v : messages[at(i)]) {
          *target = gathering ? v : *target + v;
          ++target;
        }
      }
    }
  }
}

void MeshExchange::all_reduce(Axes axes, Movement movement,
                              std::vector<std::vector<double>*> arrays) const {
  if (space_.parts(axes) == 1) return;
  for (const std::vector<int>& set : rings(axes)) ring(set, movement, arrays);
}

std::vector<Block> MeshExchange::reduce_scatter(const Conversion& c,
                                                const std::vector<Block>& blocks,
                                                const Indices& rows, const Indices& columns) const {
  std::vector<Block> middle(blocks.size());
  for (const std::vector<int>& set : rings(c.scatter)) {
    for (const int d : set) {
      const Indices r = rows_of(d, rows, c.middle.rows);
      const Indices k = columns_of(d, columns, c.middle.columns);
      Block total = select(blocks[at(d)], r, k);
      for (const int peer : set) {
        if (peer == d) continue;
        add(transport_.deliver(workers_[at(d)], Movement::kPlanned, select(blocks[at(peer)], r, k)),
            total);
      }
      middle[at(d)] = std::move(total);
    }
  }
  return middle;
}

std::vector<Block> MeshExchange::fetch(const Conversion& c, const std::vector<Block>& blocks,
                                       const Indices& rows, const Indices& columns) const {
  std::vector<Block> after(blocks.size());
  for (const std::vector<int>& set : rings(c.fetch)) {
    for (const int d : set) {
      const Rectangle needed{rows_of(d, rows, c.after.rows),
                             columns_of(d, columns, c.after.columns)};
      const Block& own = blocks[at(d)];
      Block whole = select(own, needed.rows, needed.columns);
      for (const Rectangle& r : lacking(needed, {own.rows, own.columns})) {
        for (const int peer : set) {
          if (peer == d) continue;
          const Indices from_rows = intersection(blocks[at(peer)].rows, r.rows);
          const Indices from_columns = intersection(blocks[at(peer)].columns, r.columns);
          if (from_rows.empty() || from_columns.empty()) continue;
          add(transport_.deliver(workers_[at(d)], Movement::kPlanned,
                                 select(blocks[at(peer)], from_rows, from_columns)),
              whole);
        }
      }
      after[at(d)] = std::move(whole);
    }
  }
  return after;
}

std::vector<Block> MeshExchange::convert(const Conversion& c, std::vector<Block> blocks,
                                         const Indices& rows, const Indices& columns) const {
  if (c.scatter != 0) blocks = reduce_scatter(c, blocks, rows, columns);
  if (c.reduce != 0) {
    std::vector<std::vector<double>*> arrays;
    for (Block& block : blocks) arrays.push_back(&block.values);
    all_reduce(c.reduce, Movement::kPlanned, std::move(arrays));
  }
  // Without a fetch every device has what it needs, or more.
  return fetch(c, blocks, rows, columns);
}

}  // namespace penstock::partition::internal
