// penstock load, from words to documents, exit codes and files.
#include <gtest/gtest.h>

#include "penstock/cli/command_load.h"

namespace penstock::cli {
namespace {

TEST(LoadCommandTest, HasItsSubcommands) {
  CLI::App app;
  make_load_command()->declare(app);
  for (const char* name : {"synth", "bench", "run"}) {
    EXPECT_NO_THROW((void)app.get_subcommand(name)) << name;
  }
}

}  // namespace
}  // namespace penstock::cli
