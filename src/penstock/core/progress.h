// Progress with an estimated time of arrival, on standard error, once work has taken two seconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace penstock::core {

class Progress {
 public:
  // Silent where `enabled` is false; draws over one line on a terminal, else prints a line every
  // ten seconds.
  Progress(std::string task, std::int64_t total, bool enabled = true);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void advance(std::int64_t steps = 1);

 private:
  using Clock = std::chrono::steady_clock;
  std::string task_;
  std::int64_t total_;
  std::int64_t done_ = 0;
  bool enabled_;
  bool terminal_;
  bool shown_ = false;
  Clock::time_point start_;
  Clock::time_point last_;
};

}  // namespace penstock::core
