#include "penstock/cluster/internal/speed_sources.h"

#include <algorithm>

#include "penstock/cluster/internal/link_model.h"

namespace penstock::cluster {
namespace {

constexpr std::string_view kPolluxAccelerator = "t4";
constexpr std::string_view kUnnamedGavelDevice = "v100";

// "v100-32gb" is a V100.
std::string family(const Topology& cluster) {
  return cluster.accelerator.substr(0, cluster.accelerator.find('-'));
}

double uplink_bandwidth(const Topology& cluster, const Shape& shape) {
  return shape.one_node() ? 0 : limiting_link(cluster, shape).bandwidth.value();
}

// Measurements know one switch. Over a rack uplink that is thinner than a node's, what crosses it
// takes longer by their ratio.
double rack_factor(const Topology& cluster, const Shape& shape) {
  const double node = cluster.node_uplink.bandwidth.value();
  const double rack = cluster.rack_uplink.bandwidth.value();
  return shape.crosses_racks && rack > 0 ? std::max(1.0, node / rack) : 1;
}

// The closest placement of as many accelerators in an empty cluster.
Shape closest(const Topology& cluster, int accelerators) {
  for (const Tier tier : {Tier::kNode, Tier::kRack, Tier::kNetwork}) {
    if (std::optional<Shape> shape = densest(cluster, accelerators, tier)) return *shape;
  }
  return {{accelerators}, false};
}

double local_batch(const JobTraits& job) {
  return static_cast<double>(job.batch) / static_cast<double>(job.accelerators);
}

}  // namespace

Result<SpeedSources> SpeedSources::read(const SpeedFiles& files) {
  SpeedSources sources;
  if (!files.pollux.empty()) {
    PENSTOCK_TRY(PolluxProfiles profiles, PolluxProfiles::read(files.pollux));
    sources.pollux_ = std::make_shared<const PolluxProfiles>(std::move(profiles));
  }
  if (!files.gavel.empty()) {
    PENSTOCK_TRY(GavelThroughputs throughputs, GavelThroughputs::read(files.gavel));
    sources.gavel_ = std::make_shared<const GavelThroughputs>(std::move(throughputs));
  }
  return sources;
}

void SpeedSources::state(const std::string& model, double rack, double network) {
  stated_[plain_name(model)] = {rack, network};
}

Speed SpeedSources::speed(const JobTraits& job, const Topology& cluster, const Shape& shape) const {
  if (const std::optional<Speed> known = stated(job, cluster, shape)) return *known;
  // One accelerator waits for no other.
  if (job.accelerators == 1) return {.source = SpeedSource::kModelled};
  if (const std::optional<Speed> known = known_speed(job, cluster, shape)) return *known;
  return class_median(job, cluster, shape);
}

std::optional<Speed> SpeedSources::known_speed(const JobTraits& job, const Topology& cluster,
                                               const Shape& shape) const {
  const bool at_home = cluster.accelerator.empty() || family(cluster) == kPolluxAccelerator;
  std::optional<Speed> speed;
  if (at_home) speed = pollux(job, cluster, shape, false);
  if (!speed && job.network_share >= 0) speed = modelled(job, cluster, shape);
  if (!speed) speed = gavel(job, cluster, shape);
  if (!speed && !at_home) speed = pollux(job, cluster, shape, true);
  if (!speed) speed = modelled(job, cluster, shape);
  return speed;
}

std::optional<Speed> SpeedSources::stated(const JobTraits& job, const Topology& cluster,
                                          const Shape& shape) const {
  auto found = stated_.find(job.model);
  if (found == stated_.end()) found = stated_.find("");
  if (found == stated_.end()) return std::nullopt;
  const auto time = [&](const Shape& where) {
    if (where.one_node()) return 1.0;
    return where.crosses_racks ? found->second.network : found->second.rack;
  };
  const double here = time(shape);
  const double best = time(closest(cluster, job.accelerators));
  return Speed{std::max(1.0, here / best), 1 / here,
               (1 - 1 / here) * uplink_bandwidth(cluster, shape), SpeedSource::kStated};
}

const PolluxProfiles::Model* SpeedSources::profile_of(const std::string& plain) const {
  if (!pollux_ || plain.empty()) return nullptr;
  if (const PolluxProfiles::Model* own = pollux_->find(plain)) return own;
  const KnownModel* known = find_known_model(plain);
  return known == nullptr || known->pollux.empty() ? nullptr : pollux_->find(known->pollux);
}

std::optional<Speed> SpeedSources::pollux(const JobTraits& job, const Topology& cluster,
                                          const Shape& shape, bool elsewhere) const {
  const PolluxProfiles::Model* profile = profile_of(job.model);
  if (profile == nullptr) return std::nullopt;
  const double wanted = job.batch > 0 ? local_batch(job) : usual_batch(*profile);
  const auto step = [&](const Shape& where, double batch) {
    const std::optional<StepTime> exact = measured_step(*profile, where.counts, batch);
    StepTime time = exact ? *exact : interpolated_step(*profile, where.counts, batch);
    const double extra = time.sync_s * (rack_factor(cluster, where) - 1);
    return std::pair(StepTime{time.step_s + extra, time.sync_s + extra}, exact.has_value());
  };
  const auto common_batch = [&](const Shape& a, const Shape& b) {
    const auto [a_low, a_high] = batch_range(*profile, a.counts);
    const auto [b_low, b_high] = batch_range(*profile, b.counts);
    const double low = std::max(a_low, b_low);
    return std::clamp(wanted, low, std::max(low, std::min(a_high, b_high)));
  };
  // Every placement of as many accelerators that was measured and that the cluster can hold.
  std::vector<Shape> references{closest(cluster, job.accelerators)};
  for (const auto& [counts, curve] : profile->placements) {
    if (Shape{counts, false}.accelerators() != job.accelerators) continue;
    if (std::optional<Shape> fit = fitted(cluster, counts)) references.push_back(*std::move(fit));
  }
  Speed speed;
  for (const Shape& reference : references) {
    const double batch = common_batch(shape, reference);
    const double ratio = step(shape, batch).first.step_s / step(reference, batch).first.step_s;
    speed.slowdown = std::max(speed.slowdown, ratio);
  }
  const Shape together{{job.accelerators}, false};
  const double batch = common_batch(shape, together);
  const auto [time, exact] = step(shape, batch);
  const double excess = std::max(0.0, time.sync_s - step(together, batch).first.sync_s);
  speed.compute_share = 1 - time.sync_s / time.step_s;
  speed.uplink_bytes_per_s = excess / time.step_s * uplink_bandwidth(cluster, shape);
  speed.source = elsewhere ? SpeedSource::kElsewhere
                 : exact   ? SpeedSource::kMeasured
                           : SpeedSource::kInterpolated;
  return speed;
}

std::optional<Speed> SpeedSources::gavel(const JobTraits& job, const Topology& cluster,
                                         const Shape& shape) const {
  const KnownModel* known = find_known_model(job.model);
  if (!gavel_ || known == nullptr || known->gavel.empty()) return std::nullopt;
  const std::string device =
      cluster.accelerator.empty() ? std::string(kUnnamedGavelDevice) : family(cluster);
  const std::optional<GavelRatio> ratio =
      gavel_->ratio(device, std::string(known->gavel), job.accelerators, local_batch(job));
  if (!ratio) return std::nullopt;
  const auto time = [&](const Shape& where) {
    return where.one_node() ? 1.0 : 1 + (ratio->slowdown - 1) * rack_factor(cluster, where);
  };
  const double here = time(shape);
  const double best = time(closest(cluster, job.accelerators));
  return Speed{std::max(1.0, here / best), ratio->compute_share / here,
               (1 - 1 / here) * uplink_bandwidth(cluster, shape),
               ratio->measured ? SpeedSource::kMeasured : SpeedSource::kInterpolated};
}

std::optional<Speed> SpeedSources::modelled(const JobTraits& job, const Topology& cluster,
                                            const Shape& shape) const {
  const KnownModel* known = find_known_model(job.model);
  if (known == nullptr && job.network_share < 0) return std::nullopt;
  const auto step = [&](const Shape& where) {
    if (job.network_share >= 0) return step_of_share(job.network_share, cluster, where);
    const double batch = job.batch > 0 ? local_batch(job) : known->batch;
    return modelled_step(*known, batch, cluster, where);
  };
  const ModelledStep here = step(shape);
  const ModelledStep best = step(closest(cluster, job.accelerators));
  const double time = here.compute + here.sync;
  return Speed{std::max(1.0, time / (best.compute + best.sync)), here.compute / time,
               here.uplink_bytes / time, SpeedSource::kModelled};
}

std::vector<std::string> SpeedSources::class_models(const Topology& cluster) const {
  std::vector<std::string> names;
  const std::string device =
      cluster.accelerator.empty() ? std::string(kUnnamedGavelDevice) : family(cluster);
  for (const KnownModel& model : known_models()) {
    const bool profiled = profile_of(std::string(model.name)) != nullptr;
    const bool timed = gavel_ && !model.gavel.empty() &&
                       gavel_->ratio(device, std::string(model.gavel), 2, 0).has_value();
    if (profiled || timed) names.emplace_back(model.name);
  }
  if (!names.empty()) return names;
  for (const KnownModel& model : known_models()) names.emplace_back(model.name);
  return names;
}

Speed SpeedSources::class_median(const JobTraits& job, const Topology& cluster,
                                 const Shape& shape) const {
  std::vector<Speed> speeds;
  for (const std::string& model : class_models(cluster)) {
    // A batch says nothing about a model of another kind.
    const JobTraits traits{model, job.accelerators, 0, -1};
    if (const auto speed = known_speed(traits, cluster, shape)) speeds.push_back(*speed);
  }
  std::stable_sort(speeds.begin(), speeds.end(),
                   [](const Speed& a, const Speed& b) { return a.slowdown < b.slowdown; });
  Speed middle = speeds[(speeds.size() - 1) / 2];
  middle.source = SpeedSource::kClass;
  return middle;
}

}  // namespace penstock::cluster
