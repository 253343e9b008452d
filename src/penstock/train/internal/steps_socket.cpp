#include "penstock/train/internal/steps_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "penstock/train/internal/tcp.h"

namespace penstock::train::internal {
namespace {

constexpr int kBacklog = 1024;

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return core::input_error(path, "is too long for the address of a Unix socket",
                             fmt::format("give a path of at most {} characters, for example by a "
                                         "shorter TMPDIR",
                                         sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<int> unix_socket(const std::string& path) {
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor >= 0) return descriptor;
  return core::missing_error(path, fmt::format("no socket can be had: {}", std::strerror(errno)));
}

}  // namespace

Result<int> connect_steps(const std::string& address) {
  if (address.starts_with("tcp:")) {
    PENSTOCK_TRY(const Endpoint endpoint, parse_endpoint(address));
    PENSTOCK_TRY(Socket connection, connect_tcp(endpoint, deadline_after(Seconds(10))));
    return connection.release();
  }
  PENSTOCK_TRY(const sockaddr_un name, unix_address(address));
  PENSTOCK_TRY(const int descriptor, unix_socket(address));
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0) {
    return descriptor;
  }
  const int reason = errno;
  ::close(descriptor);
  return core::missing_error(address,
                             fmt::format("no launcher listens there: {}", std::strerror(reason)),
                             "unset PENSTOCK_STEPS to run without one");
}

Result<int> listen_steps_unix(const std::string& path) {
  PENSTOCK_TRY(const sockaddr_un name, unix_address(path));
  PENSTOCK_TRY(const int descriptor, unix_socket(path));
  if (::bind(descriptor, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0 &&
      ::listen(descriptor, kBacklog) == 0) {
    return descriptor;
  }
  const int reason = errno;
  ::close(descriptor);
  return core::missing_error(path, fmt::format("cannot be listened on: {}", std::strerror(reason)));
}

Result<int> listen_steps_tcp(int* port) {
  PENSTOCK_TRY(Socket listener, listen_tcp("", 0, kBacklog));
  PENSTOCK_TRY(*port, port_of(listener));
  return listener.release();
}

bool send_whole(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace penstock::train::internal
