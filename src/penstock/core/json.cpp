#include "penstock/core/json.h"

#include <algorithm>

#include "penstock/core/file.h"

namespace penstock::core {

Result<Json> parse_json(const std::string& text, const std::string& name) {
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::parse_error& e) {
    const std::size_t byte = std::min<std::size_t>(e.byte, text.size());
    const auto line =
        1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(byte), '\n');
    return input_error(name + ":" + std::to_string(line), "is not JSON", "check the text there");
  }
}

Result<Json> read_json(const std::string& path) {
  PENSTOCK_TRY(const std::string text, read_file(path));
  return parse_json(text, path);
}

std::string json_text(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace penstock::core
