#include "penstock/ledger/trace.h"

#include <fmt/format.h>

#include <map>

#include "penstock/core/json.h"

namespace penstock::ledger {
namespace {

using core::Json;

constexpr double kMicro = 1e6;  // microseconds in a second

std::string row_name(const Account& account) {
  return account.count == 1 ? account.resource
                            : fmt::format("{} x {}", account.resource, account.count);
}

// The rows of one process: accounts first, then what only spans name (links, for example).
class Rows {
 public:
  Rows(const Ledger& ledger, int process, Json& events) : process_(process), events_(events) {
    for (const Account& account : ledger.accounts()) add(account.resource, row_name(account));
    for (const Span& span : ledger.spans()) {
      if (!numbers_.contains(span.resource)) add(span.resource, span.resource);
    }
  }

  void draw(const std::string& resource, std::string_view name, Activity activity, Seconds start,
            Seconds duration) {
    const std::string_view kind = activity_name(activity);
    events_.push_back({{"name", name.empty() ? kind : name},
                       {"cat", kind},
                       {"ph", "X"},
                       {"ts", start.value() * kMicro},
                       {"dur", duration.value() * kMicro},
                       {"pid", process_},
                       {"tid", numbers_.at(resource)}});
  }

 private:
  void add(const std::string& resource, const std::string& name) {
    const int number = static_cast<int>(numbers_.size()) + 1;
    numbers_.emplace(resource, number);
    describe(number, "thread_name", {{"name", name}});
    describe(number, "thread_sort_index", {{"sort_index", number}});
  }

  void describe(int row, std::string_view what, Json arguments) {
    events_.push_back({{"name", what},
                       {"ph", "M"},
                       {"pid", process_},
                       {"tid", row},
                       {"args", std::move(arguments)}});
  }

  int process_;
  Json& events_;
  std::map<std::string, int> numbers_;
};

void describe_process(const Ledger& ledger, int process, Json& events) {
  const auto describe = [&](std::string_view what, Json arguments) {
    events.push_back(
        {{"name", what}, {"ph", "M"}, {"pid", process}, {"args", std::move(arguments)}});
  };
  describe("process_name", {{"name", ledger.title()}});
  describe("process_labels", {{"labels", evidence_name(ledger.evidence())}});
  describe("process_sort_index", {{"sort_index", process}});
}

void draw_ledger(const Ledger& ledger, int process, Json& events) {
  describe_process(ledger, process, events);
  Rows rows(ledger, process, events);
  for (const Span& span : ledger.spans()) {
    rows.draw(span.resource, span.name, span.activity, span.start, span.duration);
  }
  if (!ledger.spans().empty()) return;
  for (const Account& account : ledger.accounts()) {
    Seconds start;
    for (const Entry& entry : account.entries) {
      rows.draw(account.resource, entry.label, entry.activity, start, entry.time);
      start += entry.time;
    }
  }
}

}  // namespace

Json trace_of(const std::vector<const Ledger*>& ledgers) {
  Json events = Json::array();
  int process = 0;
  for (const Ledger* ledger : ledgers) draw_ledger(*ledger, ++process, events);
  return {{"traceEvents", std::move(events)}, {"displayTimeUnit", "ms"}};
}

Json Ledger::to_trace() const { return trace_of({this}); }

}  // namespace penstock::ledger
