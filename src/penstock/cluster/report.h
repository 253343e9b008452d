// A simulated cluster for people: tables, a timeline of every accelerator, a page.
#pragma once

#include <string>

#include "penstock/cluster/simulate.h"
#include "penstock/core/json_fwd.h"
#include "penstock/core/result.h"

namespace penstock::cluster {

// One row a job, by submission: name, accelerators, model, submit_s, start_s, end_s, jct_s, held_s,
// declined_for_node_s, declined_for_rack_s, starts, preemptions, migrations.
std::string outcomes_csv(const trace::JobTrace& trace, const SimulationResult& result);

// Where the slowdowns of the run came from, as counts of starts.
core::Json speed_sources_json(const SimulationResult& result);
std::string speed_sources_text(const SimulationResult& result);

// One row an accelerator, one span a stay of a job; needs Simulation::keep_episodes.
ledger::Ledger timeline(const trace::JobTrace& trace, const Topology& cluster,
                        const SimulationResult& result);

// One HTML page: accelerators over time, utilisation, the law of completion times, the delay
// timers. `document` is the run as the command line prints it. Needs keep_episodes and keep_timers.
Status write_report(const core::Json& document, const trace::JobTrace& trace,
                    const Topology& cluster, const SimulationResult& result,
                    const std::string& path);
// The same in two steps: what the page shows, "penstock-cluster-report/1" (ui/README.md lists it),
// and the page. A long trace is thinned to what can be seen, and says so.
core::Json report_json(const core::Json& document, const trace::JobTrace& trace,
                       const Topology& cluster, const SimulationResult& result);
std::string report_html(const core::Json& report);

}  // namespace penstock::cluster
