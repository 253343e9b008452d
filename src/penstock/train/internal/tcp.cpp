#include "penstock/train/internal/tcp.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <thread>

namespace penstock::train::internal {
namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Result<AddressList> resolve(const std::string& host, int port, bool passive) {
  addrinfo hints{};
  hints.ai_family = host.empty() ? AF_INET : AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0);
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(host.empty() ? nullptr : host.c_str(),
                                 std::to_string(port).c_str(), &hints, &found);
  if (code == 0) return AddressList(found, &::freeaddrinfo);
  return core::input_error(to_text({host, port}),
                           fmt::format("the host is not known: {}", ::gai_strerror(code)));
}

Socket new_socket(const addrinfo& address) {
  return Socket(::socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC, 0));
}

// One attempt; errno says what went wrong.
bool try_connect(const addrinfo& address, const Socket& socket) {
  return socket.descriptor() >= 0 &&
         ::connect(socket.descriptor(), address.ai_addr, address.ai_addrlen) == 0;
}

// Whether an error may go away when the other side has started.
bool may_pass(int error) {
  return error == ECONNREFUSED || error == ETIMEDOUT || error == EHOSTUNREACH ||
         error == ENETUNREACH || error == EINTR;
}

std::string text_of(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
  } else {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
  }
  return text;
}

Result<sockaddr_storage> local_name(const Socket& socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (::getsockname(socket.descriptor(), reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    return address;
  }
  return core::missing_error("", fmt::format("a socket has no address: {}", std::strerror(errno)));
}

}  // namespace

Socket::~Socket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Deadline deadline_after(Seconds duration) {
  return std::chrono::steady_clock::now() +
         std::chrono::nanoseconds(static_cast<std::int64_t>(duration.value() * 1e9));
}

int milliseconds_until(Deadline deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1'000'000'000));
}

Result<Endpoint> parse_endpoint(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  Endpoint endpoint;
  if (text.starts_with("tcp:") && colon > 4) {
    endpoint.host = text.substr(4, colon - 4);
    if (endpoint.host.starts_with('[') && endpoint.host.ends_with(']')) {
      endpoint.host = endpoint.host.substr(1, endpoint.host.size() - 2);
    }
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + colon + 1, end, endpoint.port);
    if (!endpoint.host.empty() && parsed.ec == std::errc() && parsed.ptr == end &&
        endpoint.port > 0 && endpoint.port < 65536) {
      return endpoint;
    }
  }
  return core::input_error(text, "is not of the form tcp:HOST:PORT");
}

std::string to_text(const Endpoint& endpoint) {
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  const std::string host = v6 ? "[" + endpoint.host + "]" : endpoint.host;
  return fmt::format("tcp:{}:{}", host, endpoint.port);
}

Result<Socket> listen_tcp(const std::string& host, int port, int backlog) {
  PENSTOCK_TRY(const AddressList addresses, resolve(host, port, true));
  Socket socket = new_socket(*addresses);
  const int on = 1;
  ::setsockopt(socket.descriptor(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (::bind(socket.descriptor(), addresses->ai_addr, addresses->ai_addrlen) == 0 &&
      ::listen(socket.descriptor(), backlog) == 0) {
    return socket;
  }
  return core::missing_error(to_text({host, port}),
                             fmt::format("cannot be listened on: {}", std::strerror(errno)));
}

Result<int> port_of(const Socket& listener) {
  PENSTOCK_TRY(const sockaddr_storage address, local_name(listener));
  // The port has the same place in both families.
  return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

Result<std::string> local_address(const Socket& connection) {
  PENSTOCK_TRY(const sockaddr_storage address, local_name(connection));
  return text_of(address);
}

Result<Socket> connect_tcp(const Endpoint& endpoint, Deadline deadline) {
  PENSTOCK_TRY(const AddressList addresses, resolve(endpoint.host, endpoint.port, false));
  while (true) {
    int reason = 0;
    for (const addrinfo* address = addresses.get(); address != nullptr;
         address = address->ai_next) {
      Socket socket = new_socket(*address);
      if (try_connect(*address, socket)) return socket;
      reason = errno;
    }
    if (!may_pass(reason) || milliseconds_until(deadline) == 0) {
      return core::missing_error(to_text(endpoint),
                                 fmt::format("nobody answers there: {}", std::strerror(reason)));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

Result<Socket> accept_tcp(const Socket& listener, Deadline deadline, const std::string& who) {
  pollfd wanted = {listener.descriptor(), POLLIN, 0};
  int ready = 0;
  do {
    ready = ::poll(&wanted, 1, milliseconds_until(deadline));
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) return core::negative(who, "has not come to the meeting of the ranks in time");
  Socket socket(::accept4(listener.descriptor(), nullptr, nullptr, SOCK_CLOEXEC));
  if (socket.descriptor() >= 0) return socket;
  return core::negative(who, fmt::format("cannot be accepted: {}", std::strerror(errno)));
}

Result<std::string> address_of(const std::string& host) {
  PENSTOCK_TRY(const AddressList addresses, resolve(host, 0, false));
  for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
    if (address->ai_family != AF_INET) continue;
    sockaddr_storage found{};
    std::memcpy(&found, address->ai_addr, address->ai_addrlen);
    return text_of(found);
  }
  return core::input_error(host, "the host has no IPv4 address");
}

Result<std::string> own_address_towards(const std::string& address) {
  // Connecting sends nothing over UDP, but chooses the way; the port is of no matter.
  constexpr int kAnyPort = 9;
  PENSTOCK_TRY(const AddressList addresses, resolve(address, kAnyPort, false));
  const Socket socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (addresses->ai_family == AF_INET && try_connect(*addresses, socket)) {
    return local_address(socket);
  }
  return core::missing_error(address, fmt::format("no way leads there: {}", std::strerror(errno)));
}

Result<std::string> interface_towards(const std::string& address) {
  PENSTOCK_TRY(const std::string own, own_address_towards(address));
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) == 0) {
    const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
    for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
      if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
      sockaddr_storage its{};
      std::memcpy(&its, entry->ifa_addr, sizeof(sockaddr_in));
      if (text_of(its) == own) return std::string(entry->ifa_name);
    }
  }
  // All of 127.0.0.0/8 is loopback's.
  if (own.starts_with("127.")) return std::string("lo");
  return core::missing_error(own, "no network device has this address of ours");
}

Result<std::string> interface_address(const std::string& interface) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) {
    return core::missing_error(
        interface, fmt::format("no list of network devices can be had: {}", std::strerror(errno)));
  }
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  std::string known;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
    if (interface == entry->ifa_name) {
      sockaddr_storage address{};
      std::memcpy(&address, entry->ifa_addr, sizeof(sockaddr_in));
      return text_of(address);
    }
    known += (known.empty() ? "" : ", ") + std::string(entry->ifa_name);
  }
  return core::input_error(interface, "no network device of this name has an IPv4 address",
                           "there are: " + known);
}

Status send_bytes(const Socket& connection, const void* bytes, std::size_t size,
                  const std::string& who) {
  const char* at = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t sent = ::send(connection.descriptor(), at, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) {
      return core::negative(who, fmt::format("has gone: {}", std::strerror(errno)));
    }
    at += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return {};
}

Status receive_bytes(const Socket& connection, void* bytes, std::size_t size, Deadline deadline,
                     const std::string& who) {
  char* at = static_cast<char*>(bytes);
  while (size > 0) {
    pollfd wanted = {connection.descriptor(), POLLIN, 0};
    const int ready = ::poll(&wanted, 1, milliseconds_until(deadline));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return core::negative(who, "does not answer");
    const ssize_t received = ::recv(connection.descriptor(), at, size, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return core::negative(who, "has ended the connection");
    at += received;
    size -= static_cast<std::size_t>(received);
  }
  return {};
}

}  // namespace penstock::train::internal
