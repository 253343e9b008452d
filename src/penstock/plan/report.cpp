#include "penstock/plan/report.h"

#include <fmt/format.h>

#include <cstdint>
#include <set>
#include <string_view>
#include <vector>

#include "penstock/core/file.h"
#include "penstock/core/json.h"
#include "penstock/core/page.h"
#include "penstock/plan/internal/page.h"

namespace penstock::plan {
namespace {

using core::Json;

constexpr std::string_view kPlanSchema = "penstock-plan/1";
constexpr std::string_view kLedgerSchema = "penstock-ledger/1";

void record(std::vector<Error>& errors, std::string where, std::string message) {
  errors.push_back(core::input_error("report: " + std::move(where), std::move(message)).value());
}

// The array `key` of the object, empty (and on record) if it is missing.
const Json& array_member(const Json& object, const std::string& key, std::vector<Error>& errors) {
  static const Json kEmpty = Json::array();
  const auto member = object.find(key);
  if (member != object.end() && member->is_array()) return *member;
  record(errors, key, "is missing, or is no array");
  return kEmpty;
}

// Null stands for "none" where `optional`.
void check_index(const Json& object, const std::string& key, const std::string& place,
                 const Json& candidates, bool optional, std::vector<Error>& errors) {
  const auto index = object.find(key);
  if (index == object.end() || index->is_null()) {
    if (!optional) record(errors, place + key, "is missing");
    return;
  }
  const auto end = static_cast<std::int64_t>(candidates.size());
  const std::int64_t at = index->is_number_integer() ? index->get<std::int64_t>() : -1;
  if (at < 0 || at >= end) {
    record(errors, place + key,
           fmt::format("{} is not the index of one of {} candidates", index->dump(), end));
  }
}

void check_graph(const Json& graph, std::vector<Error>& errors) {
  std::set<Json> ids;
  const Json& nodes = array_member(graph, "nodes", errors);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!nodes[i].is_object() || !nodes[i].contains("id")) {
      record(errors, fmt::format("graph.nodes[{}].id", i), "is missing");
    } else if (!ids.insert(nodes[i]["id"]).second) {
      record(errors, fmt::format("graph.nodes[{}].id", i),
             fmt::format("{} is another node's too", nodes[i]["id"].dump()));
    }
  }
  const Json& edges = array_member(graph, "edges", errors);
  for (std::size_t i = 0; i < edges.size(); ++i) {
    for (const char* end : {"from", "to"}) {
      const std::string place = fmt::format("graph.edges[{}].{}", i, end);
      if (!edges[i].is_object() || !edges[i].contains(end)) {
        record(errors, place, "is missing");
      } else if (!ids.contains(edges[i][end])) {
        record(errors, place, fmt::format("{} is no node", edges[i][end].dump()));
      }
    }
  }
}

std::vector<Error> check_plan(const Json& plan) {
  std::vector<Error> errors;
  const Json& candidates = array_member(plan, "candidates", errors);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    for (const char* key : {"name", "time_s", "cost_usd"}) {
      if (!candidates[i].is_object() || !candidates[i].contains(key)) {
        record(errors, fmt::format("candidates[{}].{}", i, key), "is missing");
      }
    }
  }
  check_index(plan, "chosen", "", candidates, true, errors);
  check_index(plan, "nearest", "", candidates, true, errors);
  if (plan.contains("thresholds")) {
    const Json& thresholds = array_member(plan, "thresholds", errors);
    for (std::size_t i = 0; i < thresholds.size(); ++i) {
      check_index(thresholds[i], "candidate", fmt::format("thresholds[{}].", i), candidates, false,
                  errors);
    }
  }
  if (plan.contains("graph") && !plan["graph"].is_null()) check_graph(plan["graph"], errors);
  return errors;
}

std::vector<Error> check_ledger(const Json& ledger) {
  std::vector<Error> errors;
  array_member(ledger, "accounts", errors);
  const auto whole = ledger.find("whole_s");
  if (whole == ledger.end() || !whole->is_number()) {
    record(errors, "whole_s", "is missing, or is no number");
  }
  return errors;
}

}  // namespace

Result<std::string> report_html(const Json& document) {
  const auto schema = document.is_object() ? document.find("schema") : document.end();
  const bool plan = schema != document.end() && *schema == kPlanSchema;
  const bool ledger = schema != document.end() && *schema == kLedgerSchema;
  if (!plan && !ledger) {
    return core::input_error("report: schema",
                             schema == document.end()
                                 ? std::string("is missing")
                                 : fmt::format("{} has no page", schema->dump()),
                             fmt::format("give a {} or a {}", kPlanSchema, kLedgerSchema));
  }
  std::vector<Error> errors = plan ? check_plan(document) : check_ledger(document);
  if (!errors.empty()) return core::fail(core::join_errors(std::move(errors)));

  const auto title = document.find("title");
  const std::string name =
      title != document.end() && title->is_string() ? title->get<std::string>() : "Penstock";
  return core::fill_page(internal::report_page(), name, document);
}

Status write_report(const Json& document, const std::string& path) {
  PENSTOCK_TRY(const std::string html, report_html(document));
  return core::write_file(path, html);
}

}  // namespace penstock::plan
