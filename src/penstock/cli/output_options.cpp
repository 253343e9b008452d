#include <cstdio>

#include "penstock/cli/command.h"
#include "penstock/core/file.h"

namespace penstock::cli {

void OutputOptions::declare(CLI::App& app) {
  app.add_flag("--json", json, "Print one JSON document instead of tables");
  app.add_option("--out", out, "Also write the JSON document to this file")->type_name("FILE");
}

Status OutputOptions::emit(const core::Json& document, const std::string& human) const {
  const std::string text = core::json_text(document);
  const std::string& shown = json ? text : human;
  std::fwrite(shown.data(), 1, shown.size(), stdout);
  const bool is_shown = std::fflush(stdout) == 0;
  // Shown first: a file that cannot be written takes nothing from the answer.
  if (!out.empty()) PENSTOCK_TRY_STATUS(core::write_file(out, text));
  if (!is_shown) return core::missing_error("standard output", "cannot be written");
  return {};
}

}  // namespace penstock::cli
