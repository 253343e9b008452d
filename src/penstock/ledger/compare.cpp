#include "penstock/ledger/compare.h"

#include <fmt/format.h>

#include "penstock/core/json.h"
#include "penstock/core/table.h"

namespace penstock::ledger {
namespace {

using core::Json;

std::optional<double> ratio_of(Seconds other, Seconds first) {
  if (first.value() == 0) return std::nullopt;
  return other / first;
}

Json json_of(std::optional<double> ratio) { return ratio ? Json(*ratio) : Json(nullptr); }

std::string signed_text(Seconds time) {
  return (time.value() > 0 ? "+" : "") + core::format_quantity(time);
}

std::string ratio_text(std::optional<double> ratio) {
  return ratio ? fmt::format("{:.3f}", *ratio) : "-";
}

}  // namespace

std::optional<double> ActivityChange::ratio() const { return ratio_of(other, first); }

std::optional<double> Comparison::ratio() const { return ratio_of(other, first); }

bool Comparison::exceeds(double percent) const {
  return difference() > first * (percent / 100 + kSumTolerance);
}

Comparison compare(const Ledger& first, const Ledger& other) {
  Comparison comparison;
  comparison.first = first.whole();
  comparison.other = other.whole();
  comparison.first_cost = first.cost();
  comparison.other_cost = other.cost();
  comparison.evidence_differs = first.evidence() != other.evidence();
  Seconds most = first.whole() * kSumTolerance;  // below it lies only rounding
  for (const Activity activity : all_activities()) {
    const ActivityChange change{activity, first.mean(activity), other.mean(activity)};
    if (change.first.value() == 0 && change.other.value() == 0) continue;
    comparison.changes.push_back(change);
    if (change.difference() > most) {
      most = change.difference();
      comparison.worst = activity;
    }
  }
  return comparison;
}

Json Comparison::to_json() const {
  Json activities = Json::array();
  for (const ActivityChange& change : changes) {
    activities.push_back({{"activity", activity_name(change.activity)},
                          {"first_s", change.first.value()},
                          {"other_s", change.other.value()},
                          {"difference_s", change.difference().value()},
                          {"ratio", json_of(change.ratio())}});
  }
  Json json = {{"first_s", first.value()},
               {"other_s", other.value()},
               {"difference_s", difference().value()},
               {"ratio", json_of(ratio())}};
  if (first_cost && other_cost) json["cost_difference_usd"] = (*other_cost - *first_cost).value();
  json["evidence_differs"] = evidence_differs;
  json["worst"] = worst ? Json(activity_name(*worst)) : Json(nullptr);
  json["activities"] = std::move(activities);
  return json;
}

std::string Comparison::table(const std::string& first_name, const std::string& other_name) const {
  using Align = core::Table::Align;
  core::Table table({{"activity", Align::kLeft},
                     {first_name, Align::kRight},
                     {other_name, Align::kRight},
                     {"difference", Align::kRight},
                     {"ratio", Align::kRight}});
  Seconds growth;
  for (const ActivityChange& change : changes) {
    if (worst == change.activity) growth = change.difference();
    table.add_row({std::string(activity_name(change.activity)), core::format_quantity(change.first),
                   core::format_quantity(change.other), signed_text(change.difference()),
                   ratio_text(change.ratio())});
  }
  table.add_row({"whole", core::format_quantity(first), core::format_quantity(other),
                 signed_text(difference()), ratio_text(ratio())});
  if (first_cost && other_cost) {
    const Dollars more = *other_cost - *first_cost;
    table.add_row({"cost", core::format_quantity(*first_cost), core::format_quantity(*other_cost),
                   (more.value() > 0 ? "+" : "") + core::format_quantity(more),
                   first_cost->value() == 0 ? "-" : ratio_text(*other_cost / *first_cost)});
  }
  return table.text() +
         (worst ? fmt::format("{} grew most: {}\n", activity_name(*worst), signed_text(growth))
                : "no activity grew\n");
}

}  // namespace penstock::ledger
