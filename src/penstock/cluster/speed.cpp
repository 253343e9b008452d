#include "penstock/cluster/speed.h"

#include <array>
#include <cmath>
#include <map>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "penstock/cluster/internal/speed_sources.h"
#include "penstock/core/check.h"

namespace penstock::cluster {
namespace {

// 128 bits, so that a collision among the shapes of any simulation is out of the question.
struct ShapeKey {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool operator==(const ShapeKey&) const = default;
};
struct ShapeKeyHash {
  std::size_t operator()(const ShapeKey& key) const { return key.high ^ key.low; }
};

// splitmix64's finaliser (Steele, Lea and Flood 2014).
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// Sums over the parts are equal for equal multisets, whatever the nodes and their order.
ShapeKey key_of(int job_class, const Topology& cluster, const Placement& placement) {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool crosses = false;
  const auto rack_of = [&cluster](std::int32_t node) {
    return cluster.nodes[static_cast<std::size_t>(node)].rack;
  };
  const int first = rack_of(placement.parts.front().node);
  for (const Placement::Part& part : placement.parts) {
    const auto count = static_cast<std::uint64_t>(part.accelerators);
    high += mix(count + 0x9e3779b97f4a7c15ULL);
    low += mix(count * 0xd6e8feb86659fd93ULL + 1);
    crosses = crosses || rack_of(part.node) != first;
  }
  const std::uint64_t rest = static_cast<std::uint64_t>(job_class) * 2 + (crosses ? 1 : 0);
  return {mix(high + mix(rest + 1)), mix(low ^ mix(~rest))};
}

// One cluster as a book has seen it. Its links may be changed by whoever sweeps them.
struct ClusterKey {
  std::uint64_t fingerprint = 0;
  std::array<double, 7> figures{};
  std::string accelerator;
  bool operator==(const ClusterKey&) const = default;
  static std::array<double, 7> figures_of(const Topology& cluster) {
    return {cluster.inside.bandwidth.value(),
            cluster.inside.latency.value(),
            cluster.node_uplink.bandwidth.value(),
            cluster.node_uplink.latency.value(),
            cluster.rack_uplink.bandwidth.value(),
            cluster.rack_uplink.latency.value(),
            cluster.rate.value()};
  }
  bool is(const Topology& cluster) const {
    return fingerprint == cluster.fingerprint && accelerator == cluster.accelerator &&
           figures == figures_of(cluster);
  }
};

struct View {
  ClusterKey cluster;
  std::unordered_map<ShapeKey, Speed, ShapeKeyHash> speeds;
  std::vector<std::array<double, kTiers>> tier_slowdowns;  // by class; 0: not computed
};

}  // namespace

struct SpeedBook::State {
  bool is_flat = false;
  SpeedSources sources;
  std::vector<JobTraits> classes;
  std::map<std::tuple<std::string, int, int, int>, int> class_of;
  std::vector<View> views;
  std::size_t current = 0;  // of views

  View& view_of(const Topology& cluster) {
    if (current < views.size() && views[current].cluster.is(cluster)) return views[current];
    PENSTOCK_CHECK(cluster.fingerprint != 0U);  // seal() it
    for (current = 0; current < views.size(); ++current) {
      if (views[current].cluster.is(cluster)) return views[current];
    }
    views.push_back(
        {{cluster.fingerprint, ClusterKey::figures_of(cluster), cluster.accelerator}, {}, {}});
    return views.back();
  }
  const JobTraits& traits(int job_class) const {
    return classes[static_cast<std::size_t>(job_class)];
  }
};

std::string_view speed_source_name(SpeedSource source) {
  switch (source) {
    case SpeedSource::kStated:
      return "stated";
    case SpeedSource::kMeasured:
      return "measured";
    case SpeedSource::kInterpolated:
      return "interpolated";
    case SpeedSource::kElsewhere:
      return "elsewhere";
    case SpeedSource::kModelled:
      return "modelled";
    case SpeedSource::kClass:
      return "class";
  }
  return "?";
}

double model_skew(const std::string& model) {
  const KnownModel* known = find_known_model(plain_name(model));
  return known == nullptr ? 0 : known->largest / known->parameters;
}

SpeedBook::SpeedBook() : state_(std::make_unique<State>()) {}
SpeedBook::SpeedBook(std::unique_ptr<State> state) : state_(std::move(state)) {}
SpeedBook::~SpeedBook() = default;
SpeedBook::SpeedBook(SpeedBook&&) noexcept = default;
SpeedBook& SpeedBook::operator=(SpeedBook&&) noexcept = default;

Result<SpeedBook> SpeedBook::read(const SpeedFiles& files) {
  SpeedBook book;
  PENSTOCK_TRY(book.state_->sources, SpeedSources::read(files));
  return book;
}

SpeedBook SpeedBook::flat() {
  SpeedBook book;
  book.state_->is_flat = true;
  return book;
}

SpeedBook SpeedBook::clone() const {
  auto state = std::make_unique<State>();
  state->is_flat = state_->is_flat;
  state->sources = state_->sources;
  state->classes = state_->classes;
  state->class_of = state_->class_of;
  return SpeedBook(std::move(state));
}

void SpeedBook::state(const std::string& model, double rack, double network) {
  PENSTOCK_CHECK(rack >= 1);
  PENSTOCK_CHECK(network >= rack);
  state_->sources.state(model, rack, network);
  state_->views.clear();
}

int SpeedBook::job_class(const std::string& model, int accelerators, int batch,
                         double network_share) {
  PENSTOCK_CHECK(accelerators >= 1);
  // In thousandths: measured shares are no more exact, and jobs of one kind share a class.
  const int share = network_share < 0 ? -1 : static_cast<int>(std::lround(network_share * 1000));
  const auto [entry, is_new] = state_->class_of.try_emplace(
      {model, accelerators, batch, share}, static_cast<int>(state_->classes.size()));
  if (is_new) {
    state_->classes.push_back(
        {plain_name(model), accelerators, batch, share < 0 ? -1 : share / 1e3});
  }
  return entry->second;
}

Speed SpeedBook::at(int job_class, const Topology& cluster, const Placement& placement) {
  if (state_->is_flat) return {.source = SpeedSource::kStated};
  View& view = state_->view_of(cluster);
  const auto [entry, is_new] = view.speeds.try_emplace(key_of(job_class, cluster, placement));
  if (is_new) {
    const JobTraits& job = state_->traits(job_class);
    const Shape shape = shape_of(cluster, placement);
    PENSTOCK_CHECK(shape.accelerators() == job.accelerators);
    entry->second = state_->sources.speed(job, cluster, shape);
  }
  return entry->second;
}

double SpeedBook::slowdown(int job_class, const Topology& cluster, Tier tier) {
  if (state_->is_flat) return 1;
  View& view = state_->view_of(cluster);
  if (view.tier_slowdowns.size() < state_->classes.size()) {
    view.tier_slowdowns.resize(state_->classes.size(), {});
  }
  double& slowdown =
      view.tier_slowdowns[static_cast<std::size_t>(job_class)][static_cast<std::size_t>(tier)];
  if (slowdown > 0) return slowdown;
  const JobTraits& job = state_->traits(job_class);
  std::optional<Shape> shape;
  for (int wider = static_cast<int>(tier); wider < kTiers && !shape; ++wider) {
    shape = densest(cluster, job.accelerators, static_cast<Tier>(wider));
  }
  // Where a cluster has no such tier, all that it has is closer.
  for (int closer = static_cast<int>(tier) - 1; closer >= 0 && !shape; --closer) {
    shape = densest(cluster, job.accelerators, static_cast<Tier>(closer));
  }
  slowdown = shape ? state_->sources.speed(job, cluster, *shape).slowdown : 1;
  return slowdown;
}

}  // namespace penstock::cluster
