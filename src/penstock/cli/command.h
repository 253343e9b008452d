// One file a subcommand. A command declares its options, then prepares (validates and touches
// nothing), then runs.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "penstock/core/json.h"
#include "penstock/core/result.h"

namespace penstock::cli {

class Command {
 public:
  virtual ~Command() = default;
  virtual std::string name() const = 0;     // "inspect"
  virtual std::string summary() const = 0;  // one sentence
  virtual std::string example() const = 0;  // a command line that works, shown under --help
  virtual void declare(CLI::App& app) = 0;
  // Checks what the options say without touching anything.
  virtual Status prepare() { return {}; }
  // Does the work. An error sets the exit code; a "no" as the answer is ErrorKind::kNegative.
  virtual Status run() = 0;
};

// Every command, in the order of --help. One line a command: the whole registration.
std::vector<std::unique_ptr<Command>> make_commands();

// Options that commands share.
struct OutputOptions {
  bool json = false;  // one document on standard output, nothing else there
  std::string out;    // also writes the document to this file, atomically
  void declare(CLI::App& app);
  // Prints the document under --json, else `human`; writes --out if given.
  Status emit(const core::Json& document, const std::string& human) const;
};

}  // namespace penstock::cli
