#include "penstock/partition/internal/lowering_axes.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <optional>

#include "penstock/core/check.h"

namespace penstock::partition::internal {
namespace {

bool holds(const Axis& axis, Role role) {
  return std::any_of(axis.begin(), axis.end(), [&](const Factor& f) { return f.role == role; });
}

std::int64_t product(const Axis& axis) {
  return std::accumulate(axis.begin(), axis.end(), std::int64_t{1},
                         [](std::int64_t sum, const Factor& f) { return sum * f.size; });
}

// The two parts of a factor cut after `first` items. Rows cannot be cut: both parts become plain.
std::pair<Factor, Factor> cut(const Factor& factor, std::int64_t first, ChannelSets& sets) {
  Factor outer{first, factor.role, factor.set};
  Factor inner{factor.size / first, factor.role, factor.set};
  if (factor.role == Role::kRows) outer.role = inner.role = Role::kPlain;
  if (factor.role == Role::kChannels) {
    sets.limit(factor.set, first);
    inner.role = Role::kWithin;
  }
  return {outer, inner};
}

// Joins neighbours without a role: where one ends and the next begins means nothing.
Axis coalesced(const Axis& axis) {
  Axis joined;
  for (const Factor& factor : axis) {
    const bool bare = factor.role == Role::kPlain || factor.role == Role::kWithin;
    if (bare && !joined.empty() && joined.back().role == factor.role)
      joined.back().size *= factor.size;
    else
      joined.push_back(factor);
  }
  return joined;
}

// Cuts the factor at `at` and joins what is left of it with what follows.
void cut_at(Axis& axis, std::size_t at, std::int64_t first, ChannelSets& sets) {
  const auto [outer, inner] = cut(axis[at], first, sets);
  Axis rest = {inner};
  rest.insert(rest.end(), axis.begin() + static_cast<std::ptrdiff_t>(at) + 1, axis.end());
  rest = coalesced(rest);
  axis.resize(at);
  axis.push_back(outer);
  axis.insert(axis.end(), rest.begin(), rest.end());
}

// Takes factors from `queue` (its next at the back) that make up an axis of `size`.
std::optional<Axis> take(std::vector<Factor>& queue, std::int64_t size, ChannelSets& sets) {
  Axis axis;
  while (size > 1) {
    if (queue.empty()) return std::nullopt;
    Factor next = queue.back();
    queue.pop_back();
    if (size % next.size != 0) {
      if (next.size % size != 0) return std::nullopt;
      const auto [outer, inner] = cut(next, size, sets);
      next = outer;
      queue.push_back(inner);
    }
    axis.push_back(next);
    size /= next.size;
  }
  return axis;
}

// A grain's inside ahead of the channels in one axis: the channels were shuffled.
bool shuffled(const Axis& axis) {
  bool within = false;
  for (const Factor& factor : axis) {
    if (factor.role == Role::kWithin) within = true;
    if (factor.role == Role::kChannels && within) return true;
  }
  return false;
}

// Channels against an outer plain factor of another tensor, with its channels further in: reads
// them as chunks too.
bool chunk_like(Axis& mine, std::size_t at, const Axis& other, std::size_t from,
                ChannelSets& sets) {
  if (mine[at].role != Role::kChannels || other[from].role != Role::kPlain) return false;
  const Axis rest(other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
  const std::int64_t parts = other[from].size;
  if (!holds(rest, Role::kChannels) || mine[at].size % parts != 0) return false;
  if (!sets.chunk(mine[at].set, parts)) return false;
  Placement one;
  one.axes = {mine};
  mine = sets.resolved(std::move(one)).axes.front();
  return true;
}

int count(const Placement& placement, Role role) {
  int found = 0;
  for (const Axis& axis : placement.axes)
    for (const Factor& factor : axis) found += factor.role == role ? 1 : 0;
  return found;
}

}  // namespace

int ChannelSets::fresh(std::int64_t size) {
  sets_.push_back({-1, size, 1, -1});
  return static_cast<int>(sets_.size()) - 1;
}

int ChannelSets::root(int set) const {
  while (sets_[static_cast<std::size_t>(set)].parent >= 0)
    set = sets_[static_cast<std::size_t>(set)].parent;
  return set;
}

int ChannelSets::innermost(int set) const {
  set = root(set);
  while (sets_[static_cast<std::size_t>(set)].parts > 1)
    set = root(sets_[static_cast<std::size_t>(set)].chunk);
  return set;
}

void ChannelSets::merge(int a, int b) {
  a = innermost(a);
  b = innermost(b);
  if (a == b) return;
  Set& kept = sets_[static_cast<std::size_t>(a)];
  Set& joined = sets_[static_cast<std::size_t>(b)];
  kept.grains = std::gcd(kept.grains, joined.grains);
  joined.parent = a;
}

void ChannelSets::limit(int set, std::int64_t pieces) {
  Set& s = sets_[static_cast<std::size_t>(innermost(set))];
  s.grains = std::gcd(s.grains, pieces);
}

bool ChannelSets::chunk(int set, std::int64_t parts) {
  set = innermost(set);
  const std::int64_t grains = sets_[static_cast<std::size_t>(set)].grains;
  if (parts < 2 || grains % parts != 0 || grains == parts) return false;
  const int part = fresh(grains / parts);
  sets_[static_cast<std::size_t>(set)].parts = parts;
  sets_[static_cast<std::size_t>(set)].chunk = part;
  return true;
}

std::int64_t ChannelSets::grains(int set) const {
  return sets_[static_cast<std::size_t>(innermost(set))].grains;
}

Placement ChannelSets::resolved(Placement placement) const {
  for (Axis& axis : placement.axes) {
    for (std::size_t i = 0; i < axis.size(); ++i) {
      if (axis[i].role != Role::kChannels) continue;
      int set = root(axis[i].set);
      while (sets_[static_cast<std::size_t>(set)].parts > 1) {
        const Set& s = sets_[static_cast<std::size_t>(set)];
        axis[i].size /= s.parts;
        axis.insert(axis.begin() + static_cast<std::ptrdiff_t>(i++), {s.parts, Role::kPlain, -1});
        set = root(s.chunk);
      }
      axis[i].set = set;
    }
  }
  if (placement.channels >= 0) placement.channels = innermost(placement.channels);
  return placement;
}

int axis_of(const Placement& placement, Role role) {
  for (std::size_t i = 0; i < placement.axes.size(); ++i)
    if (holds(placement.axes[i], role)) return static_cast<int>(i);
  return -1;
}

Axis plain_axis(std::int64_t size) { return size > 1 ? Axis{{size, Role::kPlain, -1}} : Axis{}; }

Placement plain_placement(const model::Shape& shape) {
  Placement placement;
  for (const std::int64_t size : shape) placement.axes.push_back(plain_axis(size));
  return placement;
}

bool fits(const Placement& placement, const model::Shape& shape) {
  return std::equal(placement.axes.begin(), placement.axes.end(), shape.begin(), shape.end(),
                    [](const Axis& axis, std::int64_t size) {
                      return product(axis) == std::max<std::int64_t>(size, 1);
                    });
}

void forget(Axis& axis, Role role) {
  for (Factor& factor : axis)
    if (factor.role == role) factor = {factor.size, Role::kPlain, -1};
}

void forget(Placement& placement, Role role) {
  for (Axis& axis : placement.axes) {
    forget(axis, role);
    if (role == Role::kChannels) forget(axis, Role::kWithin);
  }
  if (role == Role::kRows) placement.rows = false;
  if (role == Role::kChannels) placement.channels = -1;
}

void declare_rows(Placement& placement, int axis, std::int64_t batch) {
  forget(placement, Role::kRows);
  placement.rows = true;
  if (batch > 1) placement.axes[static_cast<std::size_t>(axis)] = {{batch, Role::kRows, -1}};
}

void declare_channels(Placement& placement, int axis, std::int64_t size, ChannelSets& sets) {
  forget(placement, Role::kChannels);
  placement.channels = sets.fresh(size);
  placement.axes[static_cast<std::size_t>(axis)] =
      size > 1 ? Axis{{size, Role::kChannels, placement.channels}} : Axis{};
}

void detach(Placement& placement, ChannelSets& sets) {
  if (placement.channels < 0) return;
  std::int64_t size = 1;
  for (const Axis& axis : placement.axes)
    for (const Factor& factor : axis)
      if (factor.role == Role::kChannels) size = factor.size;
  placement.channels = sets.fresh(size);
  for (Axis& axis : placement.axes)
    for (Factor& factor : axis)
      if (factor.role == Role::kChannels) factor.set = placement.channels;
}

void tidy(Placement& placement, std::int64_t batch, const ChannelSets& sets) {
  const int rows = count(placement, Role::kRows);
  if (rows > 1 || (rows == 0 && batch > 1)) forget(placement, Role::kRows);
  const int channels = count(placement, Role::kChannels);
  const bool missing =
      channels == 0 && placement.channels >= 0 && sets.grains(placement.channels) > 1;
  if (channels > 1 || missing || placement.channels < 0) forget(placement, Role::kChannels);
}

Placement regroup(const Placement& in, const model::Shape& shape, ChannelSets& sets) {
  std::vector<Factor> queue;
  std::int64_t before = 1;
  for (const Axis& axis : in.axes) {
    queue.insert(queue.end(), axis.begin(), axis.end());
    before *= product(axis);
  }
  queue = coalesced(queue);
  std::reverse(queue.begin(), queue.end());
  Placement out;
  out.rows = in.rows;
  out.channels = in.channels;
  out.loose = in.loose;
  const bool has_rows = axis_of(in, Role::kRows) >= 0;
  const bool has_channels = axis_of(in, Role::kChannels) >= 0;
  bool followed = before == model::elements(shape);
  for (std::size_t i = 0; followed && i < shape.size(); ++i) {
    std::optional<Axis> axis = take(queue, shape[i], sets);
    followed = axis.has_value();
    if (followed) out.axes.push_back(*std::move(axis));
  }
  if (!followed) {
    out.axes = plain_placement(shape).axes;
    if (has_rows) out.rows = false;
    if (has_channels) out.channels = -1;
    return out;
  }
  if (has_rows && count(out, Role::kRows) != 1) forget(out, Role::kRows);
  const bool mixed = std::any_of(out.axes.begin(), out.axes.end(), shuffled);
  if (has_channels && mixed) forget(out, Role::kChannels);
  return out;
}

Agreement align(Axis a, bool a_loose, Axis b, bool b_loose, ChannelSets& sets) {
  Agreement result;
  // What only one side calls by a role stays so if the other side is loose.
  const auto settle = [&](Role role, bool& agreed, Factor& f, Factor& g) {
    if (f.role == role && g.role == role) return;
    Factor& bare = f.role == role ? g : f;
    const bool bare_loose = f.role == role ? b_loose : a_loose;
    const bool bare_has = bare.role != Role::kPlain && bare.role != Role::kWithin;
    if (bare_loose && !bare_has) return;
    agreed = false;
  };
  if (a_loose && !holds(a, Role::kRows)) a = plain_axis(product(a));
  if (b_loose && !holds(b, Role::kRows)) b = plain_axis(product(b));
  a = coalesced(a);
  b = coalesced(b);
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() && j < b.size()) {
    const bool chunked =
        (!b_loose && chunk_like(a, i, b, j, sets)) || (!a_loose && chunk_like(b, j, a, i, sets));
    if (chunked) continue;
    Factor& f = a[i];
    Factor& g = b[j];
    if (f.size != g.size) {
      Axis& wider = f.size > g.size ? a : b;
      const std::size_t at = f.size > g.size ? i : j;
      const std::int64_t size = std::min(f.size, g.size);
      const bool channels = f.role == Role::kChannels && g.role == Role::kChannels;
      if (const std::int64_t both = std::gcd(f.size, g.size); channels && both > 1) {
        // Either may have to be cut: 6 and 4 groups of the same channels go together by 2.
        if (f.size != both) cut_at(a, i, both, sets);
        if (g.size != both) cut_at(b, j, both, sets);
        continue;
      }
      if (wider[at].size % size != 0) {
        result.rows = !holds(a, Role::kRows) && !holds(b, Role::kRows);
        result.channels = !holds(a, Role::kChannels) && !holds(b, Role::kChannels);
        result.axis = plain_axis(product(a));
        return result;
      }
      if (wider[at].role == Role::kRows) result.rows = false;
      cut_at(wider, at, size, sets);
      continue;
    }
    if (f.role == Role::kRows || g.role == Role::kRows) settle(Role::kRows, result.rows, f, g);
    if (f.role == Role::kChannels || g.role == Role::kChannels)
      settle(Role::kChannels, result.channels, f, g);
    if (f.role == Role::kChannels && g.role == Role::kChannels) sets.merge(f.set, g.set);
    const auto rank = [](Role role) {
      return role == Role::kRows || role == Role::kChannels ? 2 : role == Role::kWithin ? 1 : 0;
    };
    result.axis.push_back(rank(f.role) >= rank(g.role) ? f : g);
    ++i;
    ++j;
  }
  return result;
}

}  // namespace penstock::partition::internal
