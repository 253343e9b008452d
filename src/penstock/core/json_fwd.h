// Names core::Json without its definition.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace penstock::core {
using Json = nlohmann::ordered_json;
}  // namespace penstock::core
