// The report page as made at build time from ui/ (cmake/report_page.cmake).
#pragma once

#include <string_view>

namespace penstock::cluster::internal {

std::string_view report_page();

}  // namespace penstock::cluster::internal
