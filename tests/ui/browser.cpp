#include "browser.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "penstock/core/check.h"
#include "penstock/core/file.h"
#include "penstock/plan/report.h"

namespace penstock::ui {
namespace {

using core::Json;

constexpr std::string_view kFactsBegin = "<script type=\"application/json\" id=\"facts\">";
// Long enough for everything that the page does; it passes at once where nothing is due.
constexpr int kVirtualTimeMs = 4000;

std::string quoted(const std::string& text) {
  PENSTOCK_CHECK(text.find('\'') == std::string::npos);
  return "'" + text + "'";
}

Result<std::string> with_probe(std::string html, const std::string& name) {
  PENSTOCK_TRY(const std::string probe, core::read_file(PENSTOCK_SOURCE_DIR "/tests/ui/" + name));
  const std::size_t end = html.rfind("</body>");
  PENSTOCK_CHECK(end < html.size());
  html.insert(end, "<script type=\"module\">" + probe + "</script>");
  return html;
}

}  // namespace

bool has_browser() { return std::system("command -v chromium >/dev/null 2>&1") == 0; }

Folder::Folder() {
  std::string name = (std::filesystem::temp_directory_path() / "penstock-ui-XXXXXX").string();
  PENSTOCK_CHECK(mkdtemp(name.data()) != nullptr);
  path_ = name;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Result<std::string> run_command(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return core::missing_error("", "cannot start " + command);
  std::string output;
  std::array<char, 65536> buffer = {};
  for (std::size_t n = 0; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    output.append(buffer.data(), n);
  }
  const int status = pclose(pipe);
  if (status != 0) {
    return core::negative("", fmt::format("wait status {} of {}", status, command));
  }
  return output;
}

Result<Json> open_page(const Json& document, const Window& window) {
  PENSTOCK_TRY(std::string html, plan::report_html(document));
  return open_html(std::move(html), "probe.js", window);
}

Result<Json> open_html(std::string bare, const std::string& probe, const Window& window) {
  const Folder folder;
  const std::string page = folder.path() + "/page.html";
  PENSTOCK_TRY(const std::string html, with_probe(std::move(bare), probe));
  PENSTOCK_TRY_STATUS(core::write_file(page, html));
  const std::string command = fmt::format(
      "chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run "
      "--disable-background-networking --disable-component-update --disable-sync "
      "--disable-default-apps --hide-scrollbars --user-data-dir={} --window-size={},{} {} "
      "--virtual-time-budget={} --dump-dom {} 2>/dev/null",
      quoted(folder.path() + "/profile"), window.width, window.height,
      // Blink's enumeration has dark first.
      window.dark ? "--blink-settings=preferredColorScheme=0" : "", kVirtualTimeMs,
      quoted("file://" + page + window.fragment));
  PENSTOCK_TRY(const std::string dom, run_command(command));
  const std::size_t begin = dom.rfind(kFactsBegin);
  if (begin == std::string::npos) {
    const std::size_t error = dom.find("data-error=\"");
    return core::negative("page",
                          error == std::string::npos ? "has no facts" : dom.substr(error, 300));
  }
  const std::size_t from = begin + kFactsBegin.size();
  return core::parse_json(dom.substr(from, dom.find("</script>", from) - from), "facts");
}

}  // namespace penstock::ui
