#include "penstock/core/page.h"

#include "penstock/core/check.h"
#include "penstock/core/json.h"

namespace penstock::core {
namespace {

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// JSON for a script element. A "<" stands only inside strings, and as an escape it can begin
// neither "</script" nor "<!--", which end or change the element (HTML standard, 4.12.1.3).
std::string embed(const Json& document) {
  const std::string text = document.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string fill_page(std::string_view page, std::string_view title, const Json& document) {
  const std::size_t head = page.find(kTitlePlace);
  const std::size_t body = page.find(kDocumentPlace);
  PENSTOCK_CHECK(head < body);
  PENSTOCK_CHECK(body < page.size());
  std::string html(page.substr(0, head));
  html += escape_html(title);
  const std::size_t after_title = head + kTitlePlace.size();
  html += page.substr(after_title, body - after_title);
  html += embed(document);
  html += page.substr(body + kDocumentPlace.size());
  return html;
}

}  // namespace penstock::core
