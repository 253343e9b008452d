#include "penstock/plan/candidate.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>

#include "penstock/core/check.h"
#include "penstock/core/interrupt.h"
#include "penstock/core/json.h"
#include "penstock/core/nearest.h"
#include "penstock/core/progress.h"
#include "penstock/hardware/array.h"
#include "penstock/model/training_bytes.h"
#include "penstock/profile/measured_job.h"

namespace penstock::plan {

using hardware::Catalog;
using hardware::Instance;
using partition::Network;
using partition::PartitionResult;
using partition::StrategyResult;

namespace {

std::string fleet_name(const Instance& instance, int nodes, Market market) {
  std::string name = nodes == 1 ? instance.name : fmt::format("{} x {}", nodes, instance.name);
  if (market == Market::kSpot) name += " (spot)";
  return name;
}

bool matches(const std::string& pattern, const std::string& name) {
  return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

Status check_patterns(const PlanSpec& spec, const Catalog& catalog) {
  std::vector<std::string> names;
  for (const Instance& instance : catalog.instances) names.push_back(instance.name);
  std::vector<Error> errors;
  for (const std::string& pattern : spec.fleets.instances) {
    const bool found = std::any_of(names.begin(), names.end(),
                                   [&](const std::string& n) { return matches(pattern, n); });
    if (found) continue;
    const std::string hint = core::did_you_mean(pattern, names);
    errors.push_back(
        core::input_error(spec.path + ": fleet.instances",
                          fmt::format("\"{}\" matches no instance of the catalogue", pattern),
                          hint.empty() ? "penstock catalog lists them" : hint)
            .value());
  }
  if (!errors.empty()) return core::fail(core::join_errors(std::move(errors)));
  return {};
}

// The arithmetic that stands in for the job's precision on a device that has none of its own
// (Accelerator::rate), or the precision itself.
std::string arithmetic(const hardware::Accelerator& device, const std::string& precision) {
  if (device.peak.count(precision) > 0) return precision;
  const std::optional<FlopRate> rate = device.rate(precision);
  const std::vector<std::string>& names = hardware::precisions();
  const auto first =
      std::find(names.begin(), names.end(), precision == "fp16" ? "bf16" : precision);
  for (auto name = first; rate && name != names.end(); ++name) {
    const auto peak = device.peak.find(*name);
    if (peak != device.peak.end() && peak->second == *rate) return *name;
  }
  return precision;
}

// "... cannot hold vgg16 at batch 256: the leanest plan needs 18 GB on a device of 16 GB" comes
// with the fleet and the model in front, which the reader of a list of fleets has before him.
std::string reason_of(const Error& error) {
  if (error.kind != ErrorKind::kNegative) return error.message;
  const std::size_t colon = error.message.find(": ");
  return "does not fit: " +
         (colon == std::string::npos ? error.message : error.message.substr(colon + 2));
}

// The efficiency at which the device reaches its measured rate, if there is one.
std::optional<double> measured_efficiency(const PlanSpec& spec, const Catalog& catalog,
                                          const Instance& instance,
                                          const EvaluateOptions& options) {
  const auto found = options.measured.find(instance.accelerator);
  const hardware::Accelerator* device = catalog.find_accelerator(instance.accelerator);
  if (found == options.measured.end() || device == nullptr) return std::nullopt;
  const std::optional<FlopRate> peak = device->rate(spec.job.precision);
  // Above peak it is not the catalogue's device that was measured.
  if (!peak || found->second.rate > *peak) return std::nullopt;
  return found->second.rate / *peak;
}

Evaluation evaluate_fleet(const PlanSpec& spec, const Network& network, const Catalog& catalog,
                          const Instance& instance, int nodes, const EvaluateOptions& given) {
  Evaluation evaluation;
  const std::optional<double> measured = measured_efficiency(spec, catalog, instance, given);
  const Result<hardware::Array> array =
      hardware::array_of_instances(catalog, instance, nodes, spec.job.precision,
                                   measured.value_or(spec.fleets.efficiency), spec.fleets.launch);
  if (!array) {
    evaluation.refusal = reason_of(array.error());
    return evaluation;
  }
  const hardware::Accelerator& device = *catalog.find_accelerator(instance.accelerator);
  const std::string precision = arithmetic(device, spec.job.precision);
  if (precision != spec.job.precision) {
    evaluation.note =
        fmt::format("computes in {}: {} has no {}", precision, device.name, spec.job.precision);
  }
  if (measured) {
    evaluation.measured = true;
    evaluation.note += fmt::format("{}compute as measured: {:.3g} % of peak ({} of the book)",
                                   evaluation.note.empty() ? "" : "; ", 100 * *measured,
                                   given.measured.at(instance.accelerator).source);
  }
  partition::PartitionOptions options;
  options.mode = partition::Mode::kMesh;
  options.bytes_per_element = model::bytes_per_element(precision);
  options.memory.bytes_per_weight = model::bytes_per_weight(spec.job.optimizer);
  Result<PartitionResult> result = partition::partition_network(network, *array, options);
  if (!result) {
    evaluation.refusal = reason_of(result.error());
    return evaluation;
  }
  for (const StrategyResult& strategy : result->strategies) {
    evaluation.strategies.push_back({strategy.name, strategy.step});
  }
  evaluation.best = std::move(result->strategies[static_cast<std::size_t>(result->best)]);
  return evaluation;
}

}  // namespace

int Candidate::devices_used() const {
  int used = 0;
  for (const partition::DeviceCost& device : evaluation->best.devices) {
    if (device.compute.value() > 0) used += device.count;
  }
  return used;
}

Offer Candidate::offer(std::int64_t steps) const {
  Offer offer;
  offer.nodes = nodes;
  offer.runs = evaluation->refusal.empty();
  if (!offer.runs) return offer;
  offer.time = evaluation->best.step * static_cast<double>(steps);
  offer.cost = (price * static_cast<double>(nodes)) * offer.time;
  return offer;
}

Result<std::vector<Candidate>> find_candidates(const PlanSpec& spec, const Catalog& catalog) {
  PENSTOCK_TRY_STATUS(check_patterns(spec, catalog));
  std::vector<Candidate> candidates;
  for (const Instance& instance : catalog.instances) {
    const auto& patterns = spec.fleets.instances;
    const bool wanted = std::any_of(patterns.begin(), patterns.end(), [&](const std::string& p) {
      return matches(p, instance.name);
    });
    if (!wanted) continue;
    for (const int nodes : spec.fleets.nodes) {
      for (const Market market : spec.fleets.markets) {
        if (market == Market::kSpot && !instance.spot) continue;
        Candidate candidate;
        candidate.instance = instance;
        candidate.nodes = nodes;
        candidate.market = market;
        candidate.name = fleet_name(instance, nodes, market);
        candidate.price = market == Market::kSpot ? *instance.spot : instance.on_demand;
        candidates.push_back(std::move(candidate));
      }
    }
  }
  if (candidates.empty()) {
    return core::input_error(spec.path + ": goal.market",
                             "no instance in fleet.instances has a spot price",
                             "allow others, or market = \"on-demand\"");
  }
  return candidates;
}

Result<std::map<std::string, MeasuredRate>> measured_rates(const PlanSpec& spec,
                                                           ledger::Book& book) {
  std::map<std::string, MeasuredRate> rates;
  if (spec.job.precision != "fp32") return rates;
  const std::string model =
      spec.job.zoo.empty() ? std::filesystem::path(spec.job.model).stem().string() : spec.job.zoo;
  PENSTOCK_TRY(const std::vector<ledger::BookEntry> entries, book.list("profile"));
  for (const ledger::BookEntry& entry : entries) {
    PENSTOCK_TRY(const core::Json payload, book.payload_of(entry.id));
    const std::string where = fmt::format("{}: entry {}", book.path(), entry.id);
    PENSTOCK_TRY(const profile::MeasuredJob job,
                 profile::measured_job_from_document(payload, where));
    if (job.model != model || !(job.macs_per_sample > 0)) continue;
    // Six operations a multiply-add: forward, and backward by activations and by weights.
    const double flop = 6 * job.macs_per_sample * static_cast<double>(job.batch);
    rates[job.accelerator] = {FlopRate(flop / job.single_step_s),
                              fmt::format("entry {}", entry.id)};
  }
  return rates;
}

Status evaluate(const PlanSpec& spec, const Network& network, const Catalog& catalog,
                const EvaluateOptions& options, std::vector<Candidate>& candidates) {
  // Markets differ in price only. Each fleet has a slot, so the order of the threads is not seen.
  std::map<std::pair<std::string, int>, std::size_t> slot_of;
  std::vector<const Candidate*> fleets;
  for (const Candidate& candidate : candidates) {
    const auto key = std::make_pair(candidate.instance.name, candidate.nodes);
    if (slot_of.emplace(key, fleets.size()).second) fleets.push_back(&candidate);
  }
  std::vector<std::shared_ptr<const Evaluation>> slots(fleets.size());
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  core::Progress progress("plan", static_cast<std::int64_t>(fleets.size()), options.progress);
  const auto work = [&] {
    for (std::size_t i = next++; i < fleets.size() && !core::interrupted(); i = next++) {
      slots[i] = std::make_shared<const Evaluation>(
          evaluate_fleet(spec, network, catalog, fleets[i]->instance, fleets[i]->nodes, options));
      const std::lock_guard lock(mutex);
      progress.advance();
    }
  };
  const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
  const std::size_t wanted =
      options.threads > 0 ? static_cast<std::size_t>(options.threads) : cores;
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < std::min(wanted, fleets.size()); ++i) threads.emplace_back(work);
    work();
  }
  if (core::interrupted()) {
    return core::negative(spec.path, "interrupted; nothing was written", "run it again");
  }
  for (Candidate& candidate : candidates) {
    candidate.evaluation = slots[slot_of.at({candidate.instance.name, candidate.nodes})];
  }
  return {};
}

ledger::Ledger job_ledger(const Candidate& candidate, const std::string& title, std::int64_t steps,
                          bool by_layer) {
  const ledger::Ledger& step = candidate.evaluation->best.ledger;
  ledger::Ledger job(title, step.evidence());
  const double times = static_cast<double>(steps);
  for (const ledger::Account& account : step.accounts()) {
    ledger::Account& copy = job.add_account(account.resource, account.count);
    for (const ledger::Entry& entry : account.entries) {
      copy.add(entry.activity, by_layer ? entry.label : "all layers", entry.time * times);
    }
  }
  const std::int64_t left_out = candidate.devices() - step.resources();
  if (left_out > 0) job.add_account("left out", static_cast<int>(left_out));
  const Offer offer = candidate.offer(steps);
  job.set_cost(offer.cost);
  const Status closed = job.close(offer.time);
  PENSTOCK_CHECK(closed.has_value());
  return job;
}

}  // namespace penstock::plan
