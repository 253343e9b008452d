// Ledger::from_json() at a known place inside a larger file.
#pragma once

#include <string_view>

#include "penstock/core/json_fwd.h"
#include "penstock/ledger/internal/fields.h"
#include "penstock/ledger/ledger.h"

namespace penstock::ledger::internal {

inline constexpr std::string_view kSchemaName = "penstock-ledger/";
inline constexpr std::string_view kSchema = "penstock-ledger/1";

Result<Ledger> read_ledger(const core::Json& json, const Place& place);

}  // namespace penstock::ledger::internal
