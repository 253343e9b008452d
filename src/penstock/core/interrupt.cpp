#include "penstock/core/interrupt.h"

#include <unistd.h>

#include <csignal>

namespace penstock::core {
namespace {
volatile std::sig_atomic_t stop = 0;
void on_signal(int number) {
  if (stop != 0) ::_exit(128 + number);
  stop = 1;
}
}  // namespace

void install_interrupt_handler() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

bool interrupted() { return stop != 0; }

}  // namespace penstock::core
