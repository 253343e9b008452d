// TCP connections between ranks, and to a launcher on another machine.
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"

namespace penstock::train::internal {

// Owns a descriptor.
class Socket {
 public:
  explicit Socket(int descriptor = -1) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(other.release()) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Socket();
  int descriptor() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

struct Endpoint {
  std::string host;
  int port = 0;
};

// A point in time after which to give up.
using Deadline = std::chrono::steady_clock::time_point;
Deadline deadline_after(Seconds duration);
// Until then in milliseconds, rounded up, for poll(); 0 when it has passed.
int milliseconds_until(Deadline deadline);

// "tcp:HOST:PORT"; an IPv6 HOST stands in brackets.
Result<Endpoint> parse_endpoint(const std::string& text);
std::string to_text(const Endpoint& endpoint);

// An empty host stands for every address of this machine, port 0 for one that the kernel chooses.
Result<Socket> listen_tcp(const std::string& host, int port, int backlog);
Result<int> port_of(const Socket& listener);
// The address that a connection has at this end.
Result<std::string> local_address(const Socket& connection);
// Tries again while nobody listens there yet.
Result<Socket> connect_tcp(const Endpoint& endpoint, Deadline deadline);
// Fails when the deadline passes; `who` is waited for.
Result<Socket> accept_tcp(const Socket& listener, Deadline deadline, const std::string& who);
// The IPv4 address of a host.
Result<std::string> address_of(const std::string& host);
// Ours on the way to an IPv4 address, and the network device that has it. On the host of that
// address it is the address itself.
Result<std::string> own_address_towards(const std::string& address);
Result<std::string> interface_towards(const std::string& address);
// The IPv4 address of a network device.
Result<std::string> interface_address(const std::string& interface);

// Whole buffers on blocking sockets, for the hand-shakes.
Status send_bytes(const Socket& connection, const void* bytes, std::size_t size,
                  const std::string& who);
Status receive_bytes(const Socket& connection, void* bytes, std::size_t size, Deadline deadline,
                     const std::string& who);

}  // namespace penstock::train::internal
