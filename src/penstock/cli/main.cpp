// Dispatch and one catch ladder; everything else lies in the command files.
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <new>

#include "penstock/cli/command.h"
#include "penstock/core/interrupt.h"
#include "penstock/version.h"

namespace penstock::cli {
namespace {

constexpr int kDone = 0;

int run(int argc, char** argv) {
  CLI::App app{
      "Penstock finds where deep learning stalls, decides what to do about it, and does it."};
  app.set_version_flag("--version", std::string("penstock ") + kVersion);
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);

  std::vector<std::unique_ptr<Command>> commands = make_commands();
  Command* chosen = nullptr;
  for (const auto& command : commands) {
    CLI::App* sub = app.add_subcommand(command->name(), command->summary());
    sub->footer("Example:\n  " + command->example());
    command->declare(*sub);
    sub->final_callback([&chosen, c = command.get()] { chosen = c; });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", app.help());
    return kDone;
  } catch (const CLI::Success& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    fmt::print(stderr, "penstock: {}; see penstock --help\n", e.what());
    return static_cast<int>(ErrorKind::kInput);
  }

  Status status = chosen->prepare();
  if (status) status = chosen->run();
  if (status) return kDone;
  fmt::print(stderr, "penstock: {}\n", status.error().text());
  return static_cast<int>(status.error().kind);
}

}  // namespace
}  // namespace penstock::cli

int main(int argc, char** argv) {
  penstock::core::install_interrupt_handler();
  try {
    return penstock::cli::run(argc, argv);
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "penstock: out of memory; try a smaller model or array\n");
  } catch (const std::exception& e) {
    fmt::print(stderr, "penstock: bug: {}\n", e.what());
  }
  return static_cast<int>(penstock::ErrorKind::kBug);
}
