// Rows of separated values, read over one buffer without copies; every error by line and column.
//
//   Rows rows(text, "trace.csv", {.has_quotes = true});
//   const int gpus = rows.column("num_gpu");
//   while (rows.next()) {
//     const std::int64_t n = rows.count(gpus, 1, 1 << 20);
//     if (rows.is_good()) ...
//   }
//   if (rows.has_errors()) return core::fail(rows.error());
//
// A getter that fails records the error and gives a number in range, so that one pass reports
// everything. Byte-order marks, CRLF and blank lines are skipped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/core/result.h"

namespace penstock::trace::internal {

struct Layout {
  char separator = ',';
  bool has_heading = true;   // else name_columns() says what the columns are
  bool has_quotes = false;   // a cell may be "quoted", with "" for a quotation mark
  bool has_remarks = false;  // lines that begin with # say nothing
};

class Rows {
 public:
  Rows(std::string_view text, std::string file, Layout layout);

  const std::vector<std::string>& columns() const { return columns_; }
  // For a file without heading: what to call its columns, once their number is known.
  void name_columns(std::vector<std::string> names) { columns_ = std::move(names); }
  std::size_t cells_of_first_row() const;
  // The column's place. An absent one is an error, and no row follows.
  int column(std::string_view name);
  int column_if(std::string_view name) const;  // -1: absent

  // The next row that has a cell for each column; false at the end.
  bool next();
  bool is_good() const { return is_good_; }  // no error in this row so far
  std::size_t line() const { return line_; }
  std::size_t rows_at_most() const;

  // Valid until next(); empty for column -1.
  std::string_view text(int column) const {
    return column < 0 ? std::string_view() : cells_[static_cast<std::size_t>(column)];
  }
  // In units of 10^-digits s, digits as kSecondDigits: from 0, or above 0, to kLongest.
  std::int64_t time_ns(int column, int digits);
  std::int64_t duration_ns(int column, int digits);
  std::int64_t count(int column, std::int64_t least, std::int64_t most);
  std::int32_t accelerators(int column);
  double number(int column);  // finite and above 0

  // Records an error in this row, about the column if it is not -1.
  void wrong(int column, std::string_view message, std::string_view mend);
  bool has_errors() const { return !errors_.empty(); }
  // The first 20, and how many more there are. Only if has_errors().
  Error error();
  const std::string& file() const { return file_; }

 private:
  bool next_line();
  void split();
  std::string_view quoted(std::size_t& at);
  void record(std::size_t line, std::string message, std::string_view mend);
  std::int64_t scaled(int column, int digits, std::int64_t least);

  std::string file_;
  Layout layout_;
  std::string_view rest_;
  std::string_view current_;  // the line
  bool is_ended_ = false;     // the line has a line feed
  bool is_good_ = false;
  bool is_unreadable_ = false;
  std::size_t line_ = 0;
  std::vector<std::string> columns_;
  std::vector<std::string_view> cells_;
  std::deque<std::string> unescaped_;
  std::vector<Error> errors_;
  std::size_t unreported_ = 0;
};

// A cell as errors show it: printable, and not too long.
std::string shown(std::string_view cell);

}  // namespace penstock::trace::internal
