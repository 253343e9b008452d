// A plain text table: left-aligned text, right-aligned numbers, at most 100 columns wide.
#pragma once

#include <string>
#include <vector>

namespace penstock::core {

class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };
  explicit Table(std::vector<Column> columns);
  // One cell for each column.
  void add_row(std::vector<std::string> cells);
  // Ends in a line feed. Where the table would be wider than `width`, the widest left-aligned
  // column is cut, with an ellipsis.
  std::string text(std::size_t width = 100) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace penstock::core
