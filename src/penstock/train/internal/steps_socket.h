// Both ends of the socket that carries step markers: "PATH" of a Unix stream socket, or
// "tcp:HOST:PORT" where ranks run on other machines than their launcher.
#pragma once

#include <string>
#include <string_view>

#include "penstock/core/result.h"

namespace penstock::train::internal {

// A connected descriptor, closed on exec.
Result<int> connect_steps(const std::string& address);
// A listening descriptor, closed on exec.
Result<int> listen_steps_unix(const std::string& path);
// Listens on every address of this machine, at a port that the kernel chooses and `port` gets.
Result<int> listen_steps_tcp(int* port);
// False where the other side has gone.
bool send_whole(int descriptor, std::string_view bytes);

}  // namespace penstock::train::internal
