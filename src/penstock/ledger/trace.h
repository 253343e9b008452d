// Ledgers as Chrome trace events, which Perfetto (ui.perfetto.dev) and chrome://tracing open.
//
//   PENSTOCK_TRY_STATUS(core::write_file("step.trace.json", trace_of({&planned,
//   &measured}).dump()));
//
// Format: "Trace Event Format" (Google, 2016), JSON object form: complete events "X" and metadata
// events "M"; times in microseconds.
#pragma once

#include <vector>

#include "penstock/core/json_fwd.h"
#include "penstock/ledger/ledger.h"

namespace penstock::ledger {

// One process a ledger, one row a resource; an account for several resources is drawn once.
core::Json trace_of(const std::vector<const Ledger*>& ledgers);

}  // namespace penstock::ledger
