// A job's loader model from what its loader counted in windows of time.
//
//   std::vector<LoaderWindow> windows;
//   remember({.begin = before, .end = now, .workers = 2}, windows);
//   if (fit_model(windows, model)) ... its costs and its curve are known ...
#pragma once

#include <optional>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/loader/internal/live_loader.h"
#include "penstock/loader/throughput.h"

namespace penstock::loader::internal {

// Between two moments, with the same number of workers throughout.
struct LoaderWindow {
  LiveState begin;
  LiveState end;
  int workers = 1;

  Seconds length() const { return end.at - begin.at; }
  double taken() const { return static_cast<double>(end.samples - begin.samples); }
  double loaded() const {
    return static_cast<double>(end.counters.samples - begin.counters.samples);
  }
  // Cores that the loader used.
  double cores() const {
    return static_cast<double>(end.counters.cpu_ns - begin.counters.cpu_ns) * 1e-9 /
           length().value();
  }
  double rate() const { return taken() / length().value(); }
};

// Keeps the newest window of each of the last few numbers of workers.
void remember(const LoaderWindow& window, std::vector<LoaderWindow>& windows);

// Sets the costs of a sample and the curve; false, and nothing changed, where the windows hold too
// few samples. Neither processor time nor a wait for storage depends on what else uses the cores,
// so windows of a shared machine will do. One number of workers tells no ceiling.
bool fit_model(const std::vector<LoaderWindow>& windows, JobModel& model);

// The cores that the loaders of one machine had in windows of the same time; nothing where none of
// them waited for a core, because then there may be more. Fewer than the machine has where others
// use them, or where the host of a virtual machine takes them.
std::optional<double> contended_cores(const std::vector<LoaderWindow>& together);

}  // namespace penstock::loader::internal
