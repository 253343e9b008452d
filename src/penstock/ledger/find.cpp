#include "penstock/ledger/find.h"

#include <algorithm>

#include "penstock/core/json.h"
#include "penstock/ledger/internal/ledger_json.h"

namespace penstock::ledger {
namespace {

using core::Json;
using internal::Place;

// Our results nest a handful of levels; the bound keeps a hostile file from exhausting the stack.
constexpr int kDeepest = 32;

class Search {
 public:
  Search(std::vector<NamedLedger>& found, std::vector<Error>& errors)
      : found_(found), errors_(errors) {}

  void take(const Json& json, const Place& place, const std::string& name) {
    Result<Ledger> ledger = internal::read_ledger(json, place);
    if (!ledger) {
      errors_.push_back(ledger.error());
      return;
    }
    const std::string& shown = name.empty() ? ledger->title() : name;
    found_.push_back({shown, place.path, *std::move(ledger)});
  }

  void walk(const Json& json, const Place& place, int depth) {
    if (depth > kDeepest) return;
    if (json.is_array()) {
      for (std::size_t i = 0; i < json.size(); ++i) walk(json[i], place.element(i), depth + 1);
    }
    if (!json.is_object()) return;
    const auto name = json.find("name");
    const bool named = name != json.end() && name->is_string();
    for (const auto& [key, value] : json.items()) {
      if (key == "ledger") {
        take(value, place.member(key), named ? name->get<std::string>() : "");
      } else if (value.is_structured()) {
        walk(value, place.member(key), depth + 1);
      }
    }
  }

 private:
  std::vector<NamedLedger>& found_;
  std::vector<Error>& errors_;
};

bool is_ledger(const Json& document) {
  if (!document.is_object()) return false;
  const auto schema = document.find("schema");
  return schema != document.end() && schema->is_string() &&
         schema->get_ref<const std::string&>().starts_with(internal::kSchemaName);
}

// Whether the walk above would meet a ledger; what lies deeper than it goes counts as one.
bool holds_ledger(const Json& json, int depth) {
  if (!json.is_structured()) return false;
  if (depth > kDeepest || json.contains("ledger")) return true;
  return std::any_of(json.begin(), json.end(),
                     [&](const Json& value) { return holds_ledger(value, depth + 1); });
}

}  // namespace

Json without_ledgers(const Json& document) {
  Json rest = Json::object();
  if (!document.is_object() || is_ledger(document)) return rest;
  for (const auto& [key, value] : document.items()) {
    if (key != "ledger" && !holds_ledger(value, 1)) rest[key] = value;
  }
  return rest;
}

Result<std::vector<NamedLedger>> find_ledgers(const Json& document, const std::string& file) {
  std::vector<NamedLedger> found;
  std::vector<Error> errors;
  Search search(found, errors);
  if (is_ledger(document)) {
    search.take(document, {file, ""}, "");
  } else {
    search.walk(document, {file, ""}, 0);
  }
  if (!errors.empty()) return core::fail(core::join_errors(std::move(errors)));
  if (found.empty()) {
    return core::input_error(file, "holds no ledger",
                             "name a file with the schema \"" + std::string(internal::kSchema) +
                                 "\" or a result with the key \"ledger\"");
  }
  return found;
}

Result<std::vector<NamedLedger>> read_ledgers(const std::string& file) {
  PENSTOCK_TRY(const Json document, core::read_json(file));
  return find_ledgers(document, file);
}

}  // namespace penstock::ledger
