// A report page in headless Chromium, without network and with a profile of its own.
//
//   const Json facts = open_page(document, {.fragment = "#candidate=2"}).value();
//   EXPECT_EQ(facts["error"], nullptr);
#pragma once

#include <string>

#include "penstock/core/json.h"
#include "penstock/core/result.h"

namespace penstock::ui {

bool has_browser();

struct Window {
  int width = 1280;
  int height = 900;
  bool dark = false;
  std::string fragment = "";  // "#candidate=2"
};

// Draws the document and gives the facts that probe.js finds.
Result<core::Json> open_page(const core::Json& document, const Window& window);
// The same of any page, with a probe of this folder.
Result<core::Json> open_html(std::string html, const std::string& probe, const Window& window);

// Runs a shell command and gives what it prints on standard output.
Result<std::string> run_command(const std::string& command);

// A folder that goes away with its object.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace penstock::ui
