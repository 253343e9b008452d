#include "penstock/profile/fleet_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace penstock::profile {
namespace {

using hardware::Accelerator;
using hardware::Catalog;
using hardware::Instance;

// Forward once, backward twice (by activations and by weights), two operations a multiply-add.
constexpr double kFlopPerMac = 6;
// Of the step that is the backward pass, where it was not measured: two of those three products.
constexpr double kBackward = 2.0 / 3;

bool set_compute(const MeasuredJob& job, const FleetJob& wanted, const Instance& instance,
                 const Catalog& catalog, FleetStep& step) {
  if (instance.accelerator == job.accelerator) {
    step.measured = true;
    step.compute_s = job.single_step_s;
    step.relative_error = job.step_error;
    return true;
  }
  const Accelerator* device = catalog.find_accelerator(instance.accelerator);
  const std::optional<FlopRate> peak =
      device != nullptr ? device->rate(wanted.precision) : std::nullopt;
  if (!peak) {
    step.refusal = fmt::format("{} has no {}", instance.accelerator, wanted.precision);
    return false;
  }
  if (!(job.macs_per_sample > 0)) {
    step.refusal = "the profile knows no operations: the model was not read from a file";
    return false;
  }
  const double flop = kFlopPerMac * job.macs_per_sample * static_cast<double>(job.batch);
  step.compute_s = flop / (peak->value() * wanted.efficiency);
  step.relative_error = wanted.model_error;
  return true;
}

bool set_communication(const MeasuredJob& job, const FleetJob& wanted, const Instance& instance,
                       int nodes, const Catalog& catalog, FleetStep& step) {
  const int inside = instance.accelerators;
  LinkModel interconnect;
  if (inside > 1) {
    const hardware::Link* link = catalog.find_link(instance.link);
    if (link == nullptr) {
      step.refusal = "the link between its accelerators is not known";
      return false;
    }
    interconnect = {link->latency.value(), link->bandwidth.value()};
  }
  if (nodes > 1 && instance.network.value() <= 0) {
    step.refusal = "its network is not known";
    return false;
  }
  const LinkModel network{instance.network_latency.value(), instance.network.value()};
  const double backward =
      step.measured && job.backward_s > 0 ? job.backward_s : step.compute_s * kBackward;
  const auto buckets = fill_buckets(evenly_ready(job.gradient_bytes, backward), wanted.buckets);
  const auto exposed = [&](int across) {
    return overlap_of(buckets, backward,
                      [&](double bytes) {
                        return hierarchical_time(interconnect, inside, network, across, bytes);
                      })
        .exposed_s;
  };
  step.interconnect_s = exposed(1);
  step.network_s = exposed(nodes) - step.interconnect_s;
  return true;
}

void set_data(const MeasuredJob& job, const FleetJob& wanted, const Instance& instance, int nodes,
              FleetStep& step) {
  if (job.prep_rate <= 0 || job.sample_bytes <= 0) return;
  const double samples = static_cast<double>(job.batch) * instance.accelerators * nodes;
  if (instance.vcpus > 0) {
    step.prep_s = samples * (job.prep_cores / job.prep_rate) / (instance.vcpus * nodes);
  } else {
    step.note = "its cores are not known, nor whether they keep up";
  }
  const double dataset =
      wanted.dataset_bytes > 0 ? wanted.dataset_bytes : wanted.samples * job.sample_bytes;
  const double cached = instance.memory.value() * wanted.cache_share;
  step.hits = hit_ratio(wanted.policy, std::min(1.0, cached / dataset));
  if (instance.storage.value() <= 0) {
    step.note = "its storage is not known: fetching is taken to keep up";
    return;
  }
  step.cold_fetch_s = samples * job.sample_bytes / (instance.storage.value() * nodes);
  step.fetch_s = step.cold_fetch_s * (1 - step.hits);
}

void combine(const MeasuredJob& job, const FleetJob& wanted, const Instance& instance, int nodes,
             FleetStep& step) {
  const double training = step.compute_s + step.interconnect_s + step.network_s;
  step.steady_step_s = std::max({training, step.prep_s, step.fetch_s});
  step.cold_step_s = std::max({training, step.prep_s, step.cold_fetch_s});
  if (step.steady_step_s > training) {
    step.binds = step.fetch_s >= step.prep_s ? "fetch" : "prep";
  } else {
    const std::array<std::pair<double, const char*>, 3> parts = {
        {{step.compute_s, "compute"},
         {step.interconnect_s, "interconnect"},
         {step.network_s, "network"}}};
    step.binds = std::max_element(parts.begin(), parts.end(), [](const auto& a, const auto& b) {
                   return a.first < b.first;
                 })->second;
  }
  const double samples = static_cast<double>(job.batch) * instance.accelerators * nodes;
  const double steps = std::ceil(wanted.samples / samples);
  step.time = wanted.startup +
              Seconds(steps * (step.cold_step_s + (wanted.epochs - 1) * step.steady_step_s));
  step.runs = true;
}

}  // namespace

FleetStep predict_on(const MeasuredJob& job, const FleetJob& wanted, const Instance& instance,
                     int nodes, const Catalog& catalog) {
  FleetStep step;
  if (!set_compute(job, wanted, instance, catalog, step)) return step;
  if (!set_communication(job, wanted, instance, nodes, catalog, step)) return step;
  set_data(job, wanted, instance, nodes, step);
  combine(job, wanted, instance, nodes, step);
  return step;
}

double probability_within(const FleetStep& step, Seconds budget) {
  if (!step.runs) return 0;
  const double spread = step.relative_error * step.time.value();
  if (spread <= 0) return step.time <= budget ? 1 : 0;
  const double z = (budget - step.time).value() / spread;
  return 0.5 * std::erfc(-z / std::sqrt(2.0));
}

Seconds time_with_confidence(const FleetStep& step, double confidence) {
  // The normal quantile by bisection of its distribution: once per candidate, so speed is no
  // matter.
  double low = -8;
  double high = 8;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < confidence ? low : high) = middle;
  }
  return step.time * (1 + low * step.relative_error);
}

}  // namespace penstock::profile
