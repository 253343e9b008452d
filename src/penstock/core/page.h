// A page that shows one JSON document: made at build time from ui/ (cmake/report_page.cmake), with
// one place each for its title and for the document.
//
//   write_file(path, fill_page(internal::report_page(), "VGG-16", plan))
#pragma once

#include <string>
#include <string_view>

#include "penstock/core/json_fwd.h"

namespace penstock::core {

inline constexpr std::string_view kTitlePlace = "@title@";
inline constexpr std::string_view kDocumentPlace = "@document@";

// Neither can end its element, whatever it holds.
std::string fill_page(std::string_view page, std::string_view title, const Json& document);

}  // namespace penstock::core
