// A plan, or a lone ledger, as one HTML page that needs nothing else: no network, no other file.
//
//   PENSTOCK_TRY_STATUS(write_report(plan, "plan.html"));
//
// The page shows JSON of schema "penstock-plan/1" or "penstock-ledger/1"; ui/README.md lists what
// it reads. It is made at build time from ui/, and the document is put into it here.
#pragma once

#include <string>

#include "penstock/core/json_fwd.h"
#include "penstock/core/result.h"

namespace penstock::plan {

// Refuses what the page could not draw: an unknown schema, an index or a name that points nowhere.
// All errors at once, each with its path in the document.
Result<std::string> report_html(const core::Json& document);
Status write_report(const core::Json& document, const std::string& path);

}  // namespace penstock::plan
