// Ctrl-C as a flag that long work polls, so that it can stop with nothing half-written.
#pragma once

namespace penstock::core {

// Routes SIGINT and SIGTERM to the flag; a second signal ends the process at once.
void install_interrupt_handler();
bool interrupted();

}  // namespace penstock::core
