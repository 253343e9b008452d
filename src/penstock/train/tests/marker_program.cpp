// A training program for the launcher's tests: it says steps, and then does what its arguments ask.
//
//   marker_program STEPS [end|exit CODE|die|hang|long-step|ignore-end|rubbish|complain TEXT|orphan]
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "penstock/train/steps.h"

namespace {

using namespace penstock::train;

int number(const char* name, int fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::atoi(text);
}

[[noreturn]] void hang() {
  while (true) ::pause();
}

int act(const std::string& action, const char* detail, StepsWriter& writer) {
  if (action == "exit") {
    std::fprintf(stderr, "first line\nthe reason\n");
    return std::atoi(detail);
  }
  if (action == "die") ::raise(SIGKILL);
  if (action == "hang") hang();
  if (action == "long-step") {
    writer.write(StepRecord{.index = 100, .begin_ns = 0, .ready_ns = 0, .end_ns = 50'000'000});
    hang();
  }
  if (action == "ignore-end") {
    ::signal(SIGTERM, SIG_IGN);
    hang();
  }
  if (action == "rubbish") writer.write(StepRecord{.index = -1});
  if (action == "complain") {
    writer.write(StepsError{detail});
    return 3;
  }
  if (action == "orphan" && ::fork() == 0) hang();
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const int rank = number("RANK", 0);
  StepsHello hello = {.rank = rank, .world = number("WORLD_SIZE", 1), .batch = 8};
  hello.pid = ::getpid();
  penstock::Result<StepsWriter> writer = StepsWriter::connect(hello);
  if (!writer) {
    std::fprintf(stderr, "%s\n", writer.error().text().c_str());
    return 3;
  }
  const int steps = count > 1 ? std::atoi(arguments[1]) : 0;
  for (int step = 0; step < steps; ++step) {
    writer->write(StepRecord{.index = step, .begin_ns = 10, .ready_ns = 20, .end_ns = 100 + rank});
  }
  const std::string action = count > 2 ? arguments[2] : "end";
  const int code = act(action, count > 3 ? arguments[3] : "", *writer);
  if (code == 0) writer->write(StepsDone{});
  return code;
}
