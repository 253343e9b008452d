#include "penstock/trace/internal/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "penstock/core/check.h"
#include "penstock/core/nearest.h"
#include "penstock/trace/internal/exact.h"

namespace penstock::trace::internal {
namespace {

constexpr std::size_t kMostErrors = 20;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::string_view trimmed(std::string_view cell) {
  while (!cell.empty() && (cell.front() == ' ' || cell.front() == '\t')) cell.remove_prefix(1);
  while (!cell.empty() && (cell.back() == ' ' || cell.back() == '\t')) cell.remove_suffix(1);
  return cell;
}

}  // namespace

std::string shown(std::string_view cell) {
  constexpr std::size_t kMost = 40;
  std::string text(cell.substr(0, kMost));
  for (char& c : text) {
    if (c < ' ' || c == '\x7f') c = '?';
  }
  if (cell.size() > kMost) text += "...";
  return text;
}

Rows::Rows(std::string_view text, std::string file, Layout layout)
    : file_(std::move(file)), layout_(layout), rest_(text) {
  if (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
  if (!layout_.has_heading || !next_line()) return;
  is_good_ = true;
  split();
  columns_.assign(cells_.begin(), cells_.end());
  if (!is_good_) is_unreadable_ = true;
}

std::size_t Rows::cells_of_first_row() const {
  Rows ahead(*this);
  if (!ahead.next_line()) return 0;
  ahead.split();
  return ahead.cells_.size();
}

std::size_t Rows::rows_at_most() const {
  return static_cast<std::size_t>(std::count(rest_.begin(), rest_.end(), '\n')) + 1;
}

int Rows::column_if(std::string_view name) const {
  const auto found = std::find(columns_.begin(), columns_.end(), name);
  return found == columns_.end() ? -1 : static_cast<int>(found - columns_.begin());
}

int Rows::column(std::string_view name) {
  const int place = column_if(name);
  if (place >= 0 || columns_.empty()) return place;
  is_unreadable_ = true;
  const std::string nearest = core::did_you_mean(name, columns_);
  record(line_, fmt::format("the heading has no column \"{}\"", name),
         nearest.empty()
             ? fmt::format("it has {}", shown(fmt::format("{}", fmt::join(columns_, ", "))))
             : nearest);
  return -1;
}

bool Rows::next_line() {
  while (!rest_.empty()) {
    const std::size_t feed = rest_.find('\n');
    is_ended_ = feed != std::string_view::npos;
    current_ = rest_.substr(0, feed);
    rest_.remove_prefix(is_ended_ ? feed + 1 : rest_.size());
    ++line_;
    if (current_.ends_with('\r')) current_.remove_suffix(1);
    if (trimmed(current_).empty()) continue;
    if (layout_.has_remarks && current_.front() == '#') continue;
    return true;
  }
  return false;
}

// The cell that begins with the quotation mark at `at`, which moves to the end of the cell.
std::string_view Rows::quoted(std::size_t& at) {
  const std::size_t begin = ++at;
  bool is_escaped = false;
  for (; at < current_.size(); ++at) {
    if (current_[at] != '"') continue;
    if (at + 1 == current_.size() || current_[at + 1] != '"') break;
    is_escaped = true;
    ++at;
  }
  const std::string_view inside = current_.substr(begin, at - begin);
  if (at == current_.size()) {
    wrong(-1, fmt::format("the quotation mark before \"{}\" is never closed", shown(inside)),
          is_ended_ ? "close it on the same line" : "the file is cut off here: copy it again");
    return inside;
  }
  ++at;
  if (trimmed(current_.substr(at, current_.find(layout_.separator, at) - at)).size() > 0) {
    wrong(-1, fmt::format("text follows the closing quotation mark of \"{}\"", shown(inside)),
          "write \"\" for a quotation mark inside quotes");
  }
  at = std::min(current_.find(layout_.separator, at), current_.size());
  if (!is_escaped) return inside;
  std::string& text = unescaped_.emplace_back();
  for (std::size_t i = 0; i < inside.size(); ++i) {
    text += inside[i];
    if (inside[i] == '"') ++i;
  }
  return text;
}

void Rows::split() {
  cells_.clear();
  unescaped_.clear();
  for (std::size_t at = 0;; ++at) {
    if (layout_.has_quotes) {
      const std::size_t first = current_.find_first_not_of(' ', at);
      if (first != std::string_view::npos && current_[first] == '"') {
        at = first;
        cells_.push_back(quoted(at));
        if (at >= current_.size()) return;
        continue;
      }
    }
    const std::size_t begin = at;
    while (at < current_.size() && current_[at] != layout_.separator) ++at;
    cells_.push_back(trimmed(current_.substr(begin, at - begin)));
    if (at >= current_.size()) return;
  }
}

bool Rows::next() {
  if (is_unreadable_ || columns_.empty()) return false;
  while (next_line()) {
    is_good_ = true;
    split();
    if (cells_.size() == columns_.size()) return true;
    if (!is_good_) continue;
    if (!is_ended_ && cells_.size() < columns_.size()) {
      wrong(
          -1,
          fmt::format("the file is cut off here: {} of {} values", cells_.size(), columns_.size()),
          "copy it again, or delete this line");
    } else {
      wrong(-1, fmt::format("{} values where there are {} columns", cells_.size(), columns_.size()),
            fmt::format("write one for each of {}", fmt::join(columns_, ", ")));
    }
  }
  is_good_ = false;
  return false;
}

void Rows::record(std::size_t line, std::string message, std::string_view mend) {
  if (errors_.size() == kMostErrors) {
    ++unreported_;
    return;
  }
  errors_.push_back({ErrorKind::kInput,
                     std::move(message),
                     fmt::format("{}:{}", file_, line),
                     std::string(mend),
                     {},
                     {}});
}

void Rows::wrong(int column, std::string_view message, std::string_view mend) {
  is_good_ = false;
  if (column < 0) return record(line_, std::string(message), mend);
  record(line_,
         fmt::format("{} \"{}\" {}", columns_[static_cast<std::size_t>(column)],
                     shown(text(column)), message),
         mend);
}

Error Rows::error() {
  PENSTOCK_CHECK(!errors_.empty());
  if (unreported_ > 0) {
    errors_.push_back(
        {ErrorKind::kInput, fmt::format("and {} more", unreported_), file_, "", {}, {}});
  }
  return core::join_errors(std::move(errors_));
}

std::int64_t Rows::scaled(int column, int digits, std::int64_t least) {
  if (column < 0) return least;
  const Scaled parsed = scaled_decimal(text(column), digits);
  if (parsed.verdict == Decimal::kNone) {
    wrong(column, "is no number", "write seconds or what the format counts in, without a unit");
  } else if (parsed.verdict == Decimal::kNegative) {
    wrong(column, "is negative", "write a time from 0 on, or delete the row");
  } else if (parsed.verdict == Decimal::kTooLarge || parsed.value > kLongest) {
    wrong(column, "is over 100 years", "check the unit of the column");
  } else if (parsed.value < least) {
    wrong(column, "is no time at all", "write a time above 0, or delete the row");
  } else {
    return parsed.value;
  }
  return least;
}

std::int64_t Rows::time_ns(int column, int digits) { return scaled(column, digits, 0); }

std::int64_t Rows::duration_ns(int column, int digits) { return scaled(column, digits, 1); }

std::int64_t Rows::count(int column, std::int64_t least, std::int64_t most) {
  if (column < 0) return least;
  const Scaled parsed = scaled_decimal(text(column), 0);
  if (parsed.verdict == Decimal::kGood && parsed.is_exact && parsed.value >= least &&
      parsed.value <= most) {
    return parsed.value;
  }
  wrong(column, fmt::format("is no whole number from {} to {}", least, most),
        "mend it, or delete the row");
  return least;
}

std::int32_t Rows::accelerators(int column) {
  return static_cast<std::int32_t>(count(column, 1, 1 << 20));
}

double Rows::number(int column) {
  const std::string_view cell = text(column);
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error == std::errc() && end == cell.data() + cell.size() && std::isfinite(value) &&
      value > 0) {
    return value;
  }
  wrong(column, "is no number above 0", "mend it, or delete the row");
  return 1;
}

}  // namespace penstock::trace::internal
