// JSON that keeps the order of its keys. Keys end in their unit: latency_s, cost_usd, memory_bytes.
// A header that only names the type includes core/json_fwd.h.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "penstock/core/result.h"

namespace penstock::core {

using Json = nlohmann::ordered_json;

// `name` stands for the text in errors.
Result<Json> parse_json(const std::string& text, const std::string& name);
Result<Json> read_json(const std::string& path);
// Two spaces of indent and a final line feed; the same bytes for the same value.
std::string json_text(const Json& value);

// The member `key` of an object as T, or an error that names the file and the key.
template <typename T>
Result<T> json_member(const Json& object, const std::string& key, const std::string& where) {
  if (!object.is_object() || !object.contains(key)) {
    return input_error(where, "\"" + key + "\" is missing");
  }
  try {
    return object.at(key).get<T>();
  } catch (const nlohmann::json::exception&) {
    return input_error(where, "\"" + key + "\" has the wrong type: " + object.at(key).dump());
  }
}

}  // namespace penstock::core
