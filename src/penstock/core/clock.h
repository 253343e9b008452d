// The machine's clocks, in nanoseconds.
//
//   const std::int64_t begin = now_ns();
//   wait_until_ns(begin + 1'000'000);   // to a moment and not for a time: waking late does not add
//   up
#pragma once

#include <cerrno>
#include <cstdint>
#include <ctime>

namespace penstock::core {

inline std::int64_t clock_ns(clockid_t clock) {
  timespec now = {};
  ::clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}
inline std::int64_t now_ns() { return clock_ns(CLOCK_MONOTONIC); }  // the same for all processes

inline void wait_until_ns(std::int64_t moment_ns) {
  const timespec moment = {.tv_sec = moment_ns / 1'000'000'000,
                           .tv_nsec = moment_ns % 1'000'000'000};
  while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, nullptr) == EINTR) {
  }
}

}  // namespace penstock::core
