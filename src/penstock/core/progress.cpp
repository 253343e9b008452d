#include "penstock/core/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "penstock/core/quantity.h"

namespace penstock::core {

using std::chrono::duration;

Progress::Progress(std::string task, std::int64_t total, bool enabled)
    : task_(std::move(task)),
      total_(total),
      enabled_(enabled),
      terminal_(::isatty(STDERR_FILENO) != 0),
      start_(Clock::now()),
      last_(start_) {}

Progress::~Progress() {
  if (shown_ && terminal_) fmt::print(stderr, "\r\033[K");
}

void Progress::advance(std::int64_t steps) {
  done_ += steps;
  if (!enabled_) return;
  const Clock::time_point now = Clock::now();
  const double elapsed = duration<double>(now - start_).count();
  const double interval = terminal_ ? 0.2 : 10.0;
  if (elapsed < 2.0 || duration<double>(now - last_).count() < interval) return;
  last_ = now;
  shown_ = true;
  const double left = elapsed / static_cast<double>(done_) * static_cast<double>(total_ - done_);
  const std::string line = fmt::format("{}: {} of {}, about {} left", task_, done_, total_,
                                       format_quantity(Seconds(left)));
  if (terminal_) {
    fmt::print(stderr, "\r\033[K{}", line);
  } else {
    fmt::print(stderr, "{}\n", line);
  }
  std::fflush(stderr);
}

}  // namespace penstock::core
