#include "penstock/core/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

namespace penstock::core {
namespace {
// Threads poll it too, for which a volatile sig_atomic_t is not enough.
std::atomic<bool> stop{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void on_signal(int number) {
  if (stop.exchange(true)) ::_exit(128 + number);
}
}  // namespace

void install_interrupt_handler() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

bool interrupted() { return stop.load(std::memory_order_relaxed); }

}  // namespace penstock::core
