#include "penstock/partition/layout.h"

#include <algorithm>

#include "penstock/core/check.h"

namespace penstock::partition {

char layout_letter(Layout layout) {
  constexpr char kLetters[] = {'R', 'C', 'D', 'P'};
  return kLetters[static_cast<int>(layout)];
}

std::string_view type_name(Type type) {
  constexpr std::string_view kNames[] = {"I", "II", "III", "G"};
  return kNames[static_cast<int>(type)];
}

Layout forward_in(Type type) {
  constexpr Layout kTable[] = {Layout::kRows, Layout::kColumns, Layout::kReplicated,
                               Layout::kColumns};
  return kTable[static_cast<int>(type)];
}

Layout forward_out(Type type) {
  constexpr Layout kTable[] = {Layout::kRows, Layout::kPartial, Layout::kColumns, Layout::kColumns};
  return kTable[static_cast<int>(type)];
}

Layout backward_in(Type type) {
  constexpr Layout kTable[] = {Layout::kRows, Layout::kReplicated, Layout::kColumns,
                               Layout::kColumns};
  return kTable[static_cast<int>(type)];
}

Layout backward_out(Type type) {
  constexpr Layout kTable[] = {Layout::kRows, Layout::kColumns, Layout::kPartial, Layout::kColumns};
  return kTable[static_cast<int>(type)];
}

double received(Layout from, Layout to, Share before, Share after) {
  PENSTOCK_CHECK(to != Layout::kPartial);
  const auto part = [](Layout layout, Share share) {
    switch (layout) {
      case Layout::kRows:
        return share.rows;
      case Layout::kColumns:
        return share.columns;
      default:
        return 1.0;
    }
  };
  const double needed = part(to, after);
  // The other side's summand of everything needed; a side that needs nothing receives nothing.
  if (from == Layout::kPartial) return needed;
  if (from == Layout::kReplicated) return 0;
  if (from == to) return std::max(0.0, needed - part(from, before));
  const double overlap =
      to == Layout::kReplicated ? part(from, before) : part(from, before) * needed;
  return needed - overlap;
}

}  // namespace penstock::partition
