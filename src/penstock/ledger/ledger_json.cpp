#include "penstock/ledger/internal/ledger_json.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <set>

#include "penstock/core/check.h"
#include "penstock/core/json.h"
#include "penstock/core/nearest.h"
#include "penstock/ledger/internal/fields.h"
#include "penstock/ledger/ledger.h"

namespace penstock::ledger {
namespace {

using core::Json;
using internal::Fields;
using internal::Place;

std::vector<std::string> activity_names() {
  std::vector<std::string> names;
  for (const Activity activity : all_activities()) names.emplace_back(activity_name(activity));
  return names;
}

std::string unknown_activity(std::string_view name) {
  return fmt::format("\"{}\" is not an activity", name);
}

std::string activity_mend(std::string_view name) {
  const std::string near = core::did_you_mean(name, activity_names());
  return near.empty() ? fmt::format("use one of {}", fmt::join(activity_names(), ", ")) : near;
}

std::optional<Activity> read_activity(Fields& fields) {
  const std::optional<std::string> name = fields.text("activity");
  if (!name) return std::nullopt;
  const std::optional<Activity> activity = activity_from_name(*name);
  if (!activity) fields.error("activity", unknown_activity(*name), activity_mend(*name));
  return activity;
}

std::vector<Entry> read_entries(const Json& array, const Place& place, std::vector<Error>& errors) {
  std::vector<Entry> entries;
  std::set<std::pair<std::string, std::string>> seen;
  for (std::size_t i = 0; i < array.size(); ++i) {
    Fields fields(array[i], place.element(i), errors);
    Entry entry;
    const std::optional<Activity> activity = read_activity(fields);
    entry.label = fields.text("label").value_or("");
    entry.time = Seconds(fields.not_negative("time_s"));
    fields.refuse_others();
    if (!activity) continue;
    entry.activity = *activity;
    if (!seen.emplace(activity_name(*activity), entry.label).second) {
      fields.error("label", fmt::format("\"{}\" has its {} time twice", entry.label,
                                        activity_name(*activity)));
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

void record(std::vector<Error>& errors, const Place& place, std::string message,
            std::string mend = "") {
  errors.push_back(core::input_error(place.text(), std::move(message), std::move(mend)).value());
}

std::string wrong_sum(double sum, Seconds whole) {
  const double miss = sum - whole.value();
  return fmt::format("sum to {:.12g} s, but the whole is {:.12g} s: {:.3g} s {}", sum,
                     whole.value(), std::abs(miss), miss > 0 ? "too much" : "missing");
}

using ActivityTimes = std::array<double, kActivities>;

ActivityTimes read_activities(const Json& object, const Place& place, std::vector<Error>& errors) {
  ActivityTimes times = {};
  for (const auto& [name, value] : object.items()) {
    if (const std::optional<Activity> activity = activity_from_name(name)) {
      times[static_cast<std::size_t>(*activity)] =
          internal::not_negative_number(value, place.member(name), errors);
    } else {
      record(errors, place, unknown_activity(name), activity_mend(name));
    }
  }
  return times;
}

// The levels must agree: the entries with the activities, and both with the whole. The comparisons
// are negated, so that a sum that overflowed to infinity or NaN is refused too.
void check_sums(const Account& account, const ActivityTimes& activities, Seconds whole,
                const Place& place, std::vector<Error>& errors) {
  const double tolerance = kSumTolerance * whole.value();
  const std::size_t before = errors.size();
  double sum = 0;
  for (const Activity activity : all_activities()) {
    const double said = activities[static_cast<std::size_t>(activity)];
    const double booked = account.of(activity).value();
    sum += said;
    if (!(std::abs(said - booked) <= tolerance)) {
      record(errors, place.member("activities").member(std::string(activity_name(activity))),
             fmt::format("is {:.12g} s, but its entries sum to {:.12g} s", said, booked));
    }
  }
  const double total = account.total().value();
  if (!(std::abs(sum - whole.value()) <= tolerance)) {
    record(errors, place.member("activities"), wrong_sum(sum, whole));
  } else if (errors.size() == before && !(std::abs(total - whole.value()) <= tolerance)) {
    record(errors, place.member("entries"), wrong_sum(total, whole));
  }
}

// Without a `whole` that could be read, what hangs on it goes unchecked.
void read_accounts(const Json& array, const Place& place, std::optional<Seconds> whole,
                   Ledger& ledger, std::vector<Error>& errors) {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < array.size(); ++i) {
    const Place here = place.element(i);
    const std::size_t before = errors.size();
    Fields fields(array[i], here, errors);
    const std::string resource = fields.text("resource").value_or("");
    const int count = fields.positive_count("count");
    const Json& activities = fields.object("activities");
    const Json& entries = fields.array("entries");
    fields.refuse_others();
    Account& account = ledger.add_account(resource, count);
    account.entries = read_entries(entries, here.member("entries"), errors);
    if (!seen.insert(resource).second) {
      fields.error("resource", fmt::format("\"{}\" has an account already", resource));
    }
    const ActivityTimes times = read_activities(activities, here.member("activities"), errors);
    if (whole && errors.size() == before) check_sums(account, times, *whole, here, errors);
  }
}

void read_spans(const Json& array, const Place& place, Ledger& ledger, std::vector<Error>& errors) {
  for (std::size_t i = 0; i < array.size(); ++i) {
    Fields fields(array[i], place.element(i), errors);
    Span span;
    span.resource = fields.text("resource").value_or("");
    span.name = fields.text("name").value_or("");
    span.activity = read_activity(fields).value_or(Activity::kIdle);
    span.start = Seconds(fields.not_negative("start_s"));
    span.duration = Seconds(fields.not_negative("duration_s"));
    fields.refuse_others();
    ledger.add_span(std::move(span));
  }
}

Evidence read_evidence(Fields& root) {
  const std::optional<std::string> name = root.text("evidence");
  const std::optional<Evidence> evidence = evidence_from_name(name.value_or("predicted"));
  if (!evidence) {
    root.error("evidence", fmt::format("\"{}\" is not a kind of evidence", *name),
               "use one of predicted, simulated, measured");
  }
  return evidence.value_or(Evidence::kPredicted);
}

void check_schema(Fields& root) {
  const std::optional<std::string> schema = root.text("schema");
  if (!schema || *schema == internal::kSchema) return;
  if (schema->starts_with(internal::kSchemaName)) {
    root.error("schema",
               fmt::format("is \"{}\", but this Penstock reads \"{}\"", *schema, internal::kSchema),
               "write the ledger again with this version");
  } else {
    root.error("schema", fmt::format("must be \"{}\", not \"{}\"", internal::kSchema, *schema),
               "name a ledger");
  }
}

// What from_json() would refuse is not written either; JSON has no NaN.
bool readable(double number) { return std::isfinite(number) && number >= 0; }

}  // namespace

Json Ledger::to_json() const {
  const double tolerance = kSumTolerance * whole_.value();
  Json accounts = Json::array();
  for (const Account& account : accounts_) {
    PENSTOCK_CHECK(std::abs((account.total() - whole_).value()) <= tolerance);
    Json activities = Json::object();
    Json entries = Json::array();
    for (const Activity activity : all_activities()) {
      bool occurs = false;
      for (const Entry& entry : account.entries) occurs = occurs || entry.activity == activity;
      if (occurs) activities[std::string(activity_name(activity))] = account.of(activity).value();
    }
    for (const Entry& entry : account.entries) {
      entries.push_back({{"activity", activity_name(entry.activity)},
                         {"label", entry.label},
                         {"time_s", entry.time.value()}});
    }
    accounts.push_back({{"resource", account.resource},
                        {"count", account.count},
                        {"activities", std::move(activities)},
                        {"entries", std::move(entries)}});
  }
  Json spans = Json::array();
  for (const Span& span : spans_) {
    PENSTOCK_CHECK(readable(span.start.value()));
    PENSTOCK_CHECK(readable(span.duration.value()));
    spans.push_back({{"resource", span.resource},
                     {"name", span.name},
                     {"activity", activity_name(span.activity)},
                     {"start_s", span.start.value()},
                     {"duration_s", span.duration.value()}});
  }
  Json json = {{"schema", internal::kSchema},
               {"title", title_},
               {"evidence", evidence_name(evidence_)},
               {"whole_s", whole_.value()}};
  if (cost_) {
    PENSTOCK_CHECK(readable(cost_->value()));
    json["cost_usd"] = cost_->value();
  }
  json["accounts"] = std::move(accounts);
  json["spans"] = std::move(spans);
  return json;
}

Result<Ledger> Ledger::from_json(const Json& json, const std::string& where) {
  return internal::read_ledger(json, {where, ""});
}

Result<Ledger> internal::read_ledger(const Json& json, const Place& place) {
  std::vector<Error> errors;
  Fields root(json, place, errors);
  if (!errors.empty()) return core::fail(core::join_errors(std::move(errors)));
  check_schema(root);
  if (!errors.empty()) return core::fail(core::join_errors(std::move(errors)));

  const std::string title = root.text("title").value_or("");
  const Evidence evidence = read_evidence(root);
  const std::size_t before = errors.size();
  const Seconds whole(root.not_negative("whole_s"));
  const bool whole_is_known = errors.size() == before;
  Ledger ledger(title, evidence);
  if (root.has("cost_usd")) ledger.set_cost(Dollars(root.not_negative("cost_usd")));
  read_accounts(root.array("accounts"), place.member("accounts"),
                whole_is_known ? std::optional(whole) : std::nullopt, ledger, errors);
  read_spans(root.array("spans"), place.member("spans"), ledger, errors);
  root.refuse_others();
  if (!errors.empty()) return core::fail(core::join_errors(std::move(errors)));
  PENSTOCK_TRY_STATUS(ledger.close(whole));  // adds nothing: every sum has been checked
  return ledger;
}

}  // namespace penstock::ledger
