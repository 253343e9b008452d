// Finds the ledgers in any result of Penstock: a ledger itself, or a document that embeds some.
//
//   PENSTOCK_TRY(const auto found, read_ledgers("plan.json"));
//   for (const NamedLedger& named : found) fmt::print("{}\n{}", named.name, named.ledger.table());
#pragma once

#include <string>
#include <vector>

#include "penstock/core/json_fwd.h"
#include "penstock/ledger/ledger.h"

namespace penstock::ledger {

struct NamedLedger {
  std::string name;  // the "name" beside the key "ledger" ("accpar"), else the ledger's title
  std::string path;  // where in the document: "strategies[3].ledger", or empty for the whole
  Ledger ledger;
};

// A ledger is the document itself, or whatever stands under a key "ledger" in it. Fails with all
// errors, and where there is no ledger at all.
Result<std::vector<NamedLedger>> find_ledgers(const core::Json& document, const std::string& file);
Result<std::vector<NamedLedger>> read_ledgers(const std::string& file);

// The members of a result that hold no ledger: what made it, its spec, seed and version. Empty for
// a ledger itself.
core::Json without_ledgers(const core::Json& document);

}  // namespace penstock::ledger
