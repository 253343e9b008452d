// Whole files in and out. A write is atomic: readers see the old bytes or the new ones, and an
// interrupt leaves nothing half-written.
#pragma once

#include <string>
#include <string_view>

#include "penstock/core/result.h"

namespace penstock::core {

Result<std::string> read_file(const std::string& path);
// Writes a temporary file beside `path`, then renames it over `path`.
Status write_file(const std::string& path, std::string_view bytes);
// FNV-1a, 64 bits, as 16 hexadecimal digits: names a content, resists no attacker.
std::string content_hash(std::string_view bytes);

}  // namespace penstock::core
