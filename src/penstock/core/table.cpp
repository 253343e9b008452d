#include "penstock/core/table.h"

#include <algorithm>
#include <numeric>

#include "penstock/core/check.h"

namespace penstock::core {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kNarrowest = 8;

// Columns on a terminal: code points, since the text that we print has no wide or joined ones.
std::size_t display_width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string cut(const std::string& text, std::size_t width) {
  if (display_width(text) <= width) return text;
  std::string kept;
  std::size_t shown = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool starts = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
    if (starts && ++shown > width - 2) break;
    kept += text[i];
  }
  return kept + "..";
}

}  // namespace

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::add_row(std::vector<std::string> cells) {
  PENSTOCK_CHECK(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::text(std::size_t width) const {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    std::size_t widest = display_width(columns_[c].title);
    for (const auto& row : rows_) widest = std::max(widest, display_width(row[c]));
    widths.push_back(widest);
  }
  const auto total = [&] {
    return std::accumulate(widths.begin(), widths.end(), kGap * (widths.size() - 1));
  };
  while (total() > width) {
    std::size_t victim = columns_.size();
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      if (columns_[c].align != Align::kLeft || widths[c] <= kNarrowest) continue;
      if (victim == columns_.size() || widths[c] > widths[victim]) victim = c;
    }
    if (victim == columns_.size()) break;
    widths[victim] -= std::min(widths[victim] - kNarrowest, total() - width);
  }

  std::string out;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t c = 0; c < cells.size(); ++c) {
      if (c != 0) line.append(kGap, ' ');
      const std::string cell = cut(cells[c], widths[c]);
      const std::size_t padding = widths[c] - display_width(cell);
      if (columns_[c].align == Align::kRight) line.append(padding, ' ');
      line += cell;
      if (columns_[c].align == Align::kLeft) line.append(padding, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  std::vector<std::string> titles;
  std::vector<std::string> rules;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    titles.push_back(columns_[c].title);
    rules.emplace_back(widths[c], '-');
  }
  add_line(titles);
  add_line(rules);
  for (const auto& row : rows_) add_line(row);
  return out;
}

}  // namespace penstock::core
