// A job's loader model from what its loader counted between two moments.
#pragma once

#include "penstock/core/quantity.h"
#include "penstock/loader/internal/live_loader.h"
#include "penstock/loader/throughput.h"

namespace penstock::loader::internal {

struct LoaderWindow {
  LiveState begin;
  LiveState end;

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

// Sets the costs of a sample; false, and nothing changed, where the window holds too few samples.
// Processor time and storage waits do not depend on what else runs, so any window will do.
bool fit_costs(const LoaderWindow& window, JobModel& model);
// What n workers deliver while nothing makes them wait for a free batch: over the busy time of the
// workers in the window.
Probe probe_of(const LoaderWindow& window, int workers);

}  // namespace penstock::loader::internal
