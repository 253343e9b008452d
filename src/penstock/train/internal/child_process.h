// A program started as a process group of its own that ends with its parent.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "penstock/core/result.h"
#include "penstock/train/internal/tcp.h"

namespace penstock::train::internal {

struct ChildCommand {
  std::vector<std::string> command;
  std::map<std::string, std::string> environment;  // added to ours
  std::string network_namespace;
  std::vector<int> processors;
  int signal_with_parent = 9;  // what it gets when we die
};

struct ChildProcess {
  pid_t pid = -1;
  Socket ended;   // readable when the process has ended
  Socket output;  // its standard output and error, non-blocking
};

Result<ChildProcess> start_child(const ChildCommand& command);

// What a child has written last, for the error that names it.
class LastLines {
 public:
  void add(std::string_view text);
  // "a | b | c", or empty.
  std::string text() const;

 private:
  std::string tail_;
};

// Runs a short command to its end. Fails with its last lines where it cannot be started or does not
// exit with 0.
Result<std::string> run_program(const std::vector<std::string>& command);

}  // namespace penstock::train::internal
