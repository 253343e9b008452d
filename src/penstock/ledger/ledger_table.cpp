#include <fmt/format.h>

#include <algorithm>

#include "penstock/core/table.h"
#include "penstock/ledger/ledger.h"

namespace penstock::ledger {
namespace {

constexpr std::size_t kPage = 100;          // columns of text
constexpr std::size_t kResourceWidth = 36;  // the most that a resource's name takes

// "4.2%" below ten, whole percents above: a share is read at a glance, never computed with.
std::string share_text(double share) {
  const double percent = 100 * share;
  if (percent > 0 && percent < 0.05) return "<.1%";
  return percent < 9.95 ? fmt::format("{:.1f}%", percent) : fmt::format("{:.0f}%", percent);
}

std::string cell(Seconds time, Seconds whole) {
  if (time.value() == 0) return "-";
  return fmt::format("{} {:>4}", core::format_quantity(time), share_text(time / whole));
}

using Row = std::vector<std::string>;

std::vector<Row> make_rows(const Ledger& ledger, const std::vector<Activity>& columns) {
  std::vector<Row> rows;
  for (const Account& account : ledger.accounts()) {
    Row& row = rows.emplace_back();
    row.push_back(account.count == 1 ? account.resource
                                     : fmt::format("{} x {}", account.resource, account.count));
    for (const Activity activity : columns) {
      row.push_back(cell(account.of(activity), ledger.whole()));
    }
  }
  if (rows.size() > 1) {
    Row& row = rows.emplace_back();
    row.push_back(fmt::format("mean of {}", ledger.resources()));
    for (const Activity activity : columns) {
      row.push_back(cell(ledger.mean(activity), ledger.whole()));
    }
  }
  return rows;
}

}  // namespace

std::string Ledger::heading() const {
  std::string text =
      fmt::format("{} ({}): {}", title_, evidence_name(evidence_), core::format_quantity(whole_));
  if (cost_) text += ", " + core::format_quantity(*cost_);
  return text;
}

std::string Ledger::table() const {
  if (accounts_.empty()) return "no accounts\n";
  std::vector<Activity> columns;
  for (const Activity activity : all_activities()) {
    if (of(activity).value() > 0) columns.push_back(activity);
  }
  if (columns.empty()) return "no time\n";

  const std::vector<Row> rows = make_rows(*this, columns);
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c <= columns.size(); ++c) {
    std::size_t widest = c == 0 ? 8 : activity_name(columns[c - 1]).size();
    for (const Row& row : rows) widest = std::max(widest, row[c].size());
    widths.push_back(widest);
  }
  std::string text;
  std::size_t first = 1;
  while (first <= columns.size()) {
    std::size_t taken = std::min(widths[0], kResourceWidth);
    std::size_t last = first;
    while (last <= columns.size() && (last == first || taken + 2 + widths[last] <= kPage)) {
      taken += 2 + widths[last++];
    }
    std::vector<core::Table::Column> titles = {{"resource", core::Table::Align::kLeft}};
    for (std::size_t c = first; c < last; ++c) {
      titles.push_back({std::string(activity_name(columns[c - 1])), core::Table::Align::kRight});
    }
    core::Table table(std::move(titles));
    for (const Row& row : rows) {
      Row cells = {row[0]};
      for (std::size_t c = first; c < last; ++c) cells.push_back(row[c]);
      table.add_row(std::move(cells));
    }
    if (!text.empty()) text += "\n";
    text += table.text(kPage);
    first = last;
  }
  return text;
}

}  // namespace penstock::ledger
