// The report page as made at build time from ui/ (cmake/report_page.cmake), with one place each for
// its title and for the document that it shows.
#pragma once

#include <string_view>

namespace penstock::plan::internal {

inline constexpr std::string_view kTitlePlace = "@title@";
inline constexpr std::string_view kDocumentPlace = "@document@";

std::string_view report_page();

}  // namespace penstock::plan::internal
