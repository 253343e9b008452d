// A command of penstock run in this process, from its words to what it printed and its exit code,
// with a folder of its own that goes when the test ends.
//
//   class PlanCommandTest : public Scenario {};
//   TEST_F(PlanCommandTest, ReadsASpec) {
//     const std::string spec = write("job.toml", "[job]\n...");
//     ASSERT_TRUE(run({"plan", spec, "--json"})) << complained();
//     EXPECT_EQ(printed_json().at("schema"), "penstock-plan/1");
//   }
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "penstock/cli/command.h"
#include "penstock/core/check.h"
#include "penstock/core/file.h"

namespace penstock::cli {

class Scenario : public ::testing::Test {
 protected:
  Scenario() {
    std::string pattern = (std::filesystem::temp_directory_path() / "penstock-XXXXXX").string();
    const char* made = ::mkdtemp(pattern.data());
    if (made == nullptr) throw std::filesystem::filesystem_error("mkdtemp", pattern, {});
    folder_ = made;
  }
  ~Scenario() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  bool exists(const std::string& name) const { return std::filesystem::exists(path(name)); }
  // Gives the path of the new file.
  std::string write(const std::string& name, const std::string& text) const {
    EXPECT_TRUE(core::write_file(path(name), text));
    return path(name);
  }

  // The first word names the command. What CLI11 refuses is refused as the program does it.
  Status run(std::vector<std::string> words) {
    std::vector<std::unique_ptr<Command>> commands = make_commands();
    const auto command = std::find_if(commands.begin(), commands.end(), [&](const auto& known) {
      return known->name() == words.front();
    });
    PENSTOCK_CHECK(command != commands.end());
    CLI::App app;
    (*command)->declare(app);
    words.erase(words.begin());
    std::reverse(words.begin(), words.end());  // as CLI11 wants them
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    Status status;
    try {
      app.parse(std::move(words));
      status = (*command)->prepare();
      if (status) status = (*command)->run();
    } catch (const CLI::ParseError& error) {
      status = core::input_error("", error.what());
    }
    printed_ = ::testing::internal::GetCapturedStdout();
    complained_ = ::testing::internal::GetCapturedStderr();
    if (!status) complained_ += status.error().text() + "\n";
    return status;
  }

  static int exit_code(const Status& status) {
    return status ? 0 : static_cast<int>(status.error().kind);
  }
  const std::string& printed() const { return printed_; }        // on standard output
  const std::string& complained() const { return complained_; }  // on standard error
  core::Json printed_json() const { return json_of(core::parse_json(printed_, "output")); }
  core::Json written_json(const std::string& name) const {
    return json_of(core::read_json(path(name)));
  }

 private:
  static core::Json json_of(const Result<core::Json>& json) {
    EXPECT_TRUE(json) << json.error().text();
    return json.value_or(core::Json());
  }

  std::string folder_;
  std::string printed_;
  std::string complained_;
};

}  // namespace penstock::cli
