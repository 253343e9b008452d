#include "penstock/train/internal/rendezvous.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <sstream>
#include <thread>
#include <vector>

#include "penstock/core/file.h"

namespace penstock::train::internal {
namespace {

// The first bytes on a connection, both ways.
struct Greeting {
  char magic[16] = "penstock-ring/1";
  std::int32_t rank = 0;
  std::int32_t world = 0;
  std::int64_t pid = 0;
  char machine[40] = {};  // the kernel's boot id: ranks that share it share a clock
};

std::string boot_id() {
  const Result<std::string> text = core::read_file("/proc/sys/kernel/random/boot_id");
  return text ? text->substr(0, 36) : "";
}

Greeting own_greeting(const RingOptions& options) {
  Greeting greeting;
  greeting.rank = options.rank;
  greeting.world = options.world;
  greeting.pid = ::getpid();
  const std::string id = boot_id();
  std::memcpy(greeting.machine, id.data(), id.size());
  return greeting;
}

Peer expected_peer(int rank) { return {rank, 0}; }

Status check_greeting(const Greeting& greeting, int rank, const RingOptions& options) {
  const Greeting own = own_greeting(options);
  if (std::memcmp(greeting.magic, own.magic, sizeof(own.magic)) != 0 || greeting.rank != rank ||
      greeting.world != own.world) {
    return core::negative(options.rendezvous,
                          fmt::format("met somebody who is not rank {} of {}", rank, own.world),
                          "give every run a rendezvous of its own");
  }
  const bool limited = options.limit.rate.value() > 0 || options.limit.delay.value() > 0;
  if (limited && std::memcmp(greeting.machine, own.machine, sizeof(own.machine)) != 0) {
    return core::input_error(options.rendezvous,
                             "links cannot be limited in the process between machines",
                             "leave out the limit; the network between them has its own");
  }
  return {};
}

std::string rank_file(const RingOptions& options, int rank) {
  return fmt::format("{}.rank{}", options.rendezvous, rank);
}

// Waits for the next rank's file, and reads it again as long as nobody listens where it says: it
// may be a killed run's.
Result<Socket> connect_by_file(const RingOptions& options, int next, Deadline deadline) {
  const std::string path = rank_file(options, next);
  while (true) {
    if (const Result<std::string> text = core::read_file(path); text) {
      Endpoint endpoint;
      std::istringstream(*text) >> endpoint.host >> endpoint.port;
      Result<Socket> socket = connect_tcp(endpoint, Deadline::clock::now());
      if (socket) return socket;
    }
    if (milliseconds_until(deadline) == 0) {
      return core::negative(fmt::format("rank {}", next),
                            "has not come to the meeting of the ranks in time",
                            "see whether it runs, and whether it sees " + path);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

// One line of text, without its line feed.
Result<std::string> receive_line(const Socket& connection, Deadline deadline,
                                 const std::string& who) {
  std::string line;
  for (char c = 0; line.size() < 4096;) {
    PENSTOCK_TRY_STATUS(receive_bytes(connection, &c, 1, deadline, who));
    if (c == '\n') break;
    line += c;
  }
  return line;
}

Status send_line(const Socket& connection, const std::string& line, const std::string& who) {
  return send_bytes(connection, (line + "\n").data(), line.size() + 1, who);
}

// Rank 0 gathers where everybody listens, and tells each rank where its next one does.
Result<Endpoint> lead_meeting(const RingOptions& options, const Endpoint& place, int own_port,
                              Deadline deadline) {
  PENSTOCK_TRY(const Socket listener, listen_tcp("", place.port, options.world));
  const auto world = static_cast<std::size_t>(options.world);
  std::vector<Socket> connections(world);
  std::vector<Endpoint> endpoints(world);
  for (std::size_t met = 1; met < world; ++met) {
    PENSTOCK_TRY(Socket connection,
                 accept_tcp(listener, deadline, fmt::format("{} of {} ranks", met, world)));
    PENSTOCK_TRY(const std::string line, receive_line(connection, deadline, "a rank"));
    std::istringstream words(line);
    std::size_t rank = 0;
    std::size_t its_world = 0;
    Endpoint endpoint;
    words >> rank >> its_world >> endpoint.host >> endpoint.port;
    if (!words || its_world != world || rank == 0 || rank >= world || endpoints[rank].port != 0) {
      return core::negative(options.rendezvous,
                            fmt::format("\"{}\" is no rank that was missing", line),
                            "give every run a rendezvous of its own, and every rank its number");
    }
    endpoints[rank] = endpoint;
    connections[rank] = std::move(connection);
  }
  PENSTOCK_TRY(endpoints[0].host, local_address(connections.back()));
  if (!options.interface.empty()) {
    PENSTOCK_TRY(endpoints[0].host, interface_address(options.interface));
  }
  endpoints[0].port = own_port;
  for (std::size_t rank = 1; rank < world; ++rank) {
    const Endpoint& next = endpoints[(rank + 1) % world];
    PENSTOCK_TRY_STATUS(send_line(connections[rank], fmt::format("{} {}", next.host, next.port),
                                  fmt::format("rank {}", rank)));
  }
  return endpoints[1];
}

Result<Endpoint> join_meeting(const RingOptions& options, const Endpoint& place, int own_port,
                              Deadline deadline) {
  PENSTOCK_TRY(const Socket connection, connect_tcp(place, deadline));
  PENSTOCK_TRY(std::string address, local_address(connection));
  if (!options.interface.empty()) {
    PENSTOCK_TRY(address, interface_address(options.interface));
  }
  PENSTOCK_TRY_STATUS(send_line(
      connection, fmt::format("{} {} {} {}", options.rank, options.world, address, own_port),
      "rank 0"));
  PENSTOCK_TRY(const std::string line, receive_line(connection, deadline, "rank 0"));
  Endpoint next;
  std::istringstream(line) >> next.host >> next.port;
  return next;
}

Result<Socket> connect_by_meeting(const RingOptions& options, const Socket& listener,
                                  Deadline deadline) {
  PENSTOCK_TRY(const Endpoint place, parse_endpoint(options.rendezvous));
  PENSTOCK_TRY(const int port, port_of(listener));
  PENSTOCK_TRY(const Endpoint next, options.rank == 0
                                        ? lead_meeting(options, place, port, deadline)
                                        : join_meeting(options, place, port, deadline));
  return connect_tcp(next, deadline);
}

// The previous rank, among whoever else knocks.
Result<Socket> accept_previous(const RingOptions& options, const Socket& listener, int previous,
                               Deadline deadline, Peer* peer) {
  const std::string who = fmt::format("rank {}", previous);
  PENSTOCK_TRY(Socket connection, accept_tcp(listener, deadline, who));
  Greeting greeting;
  PENSTOCK_TRY_STATUS(receive_bytes(connection, &greeting, sizeof(greeting), deadline, who));
  PENSTOCK_TRY_STATUS(check_greeting(greeting, previous, options));
  peer->pid = greeting.pid;
  const Greeting own = own_greeting(options);
  PENSTOCK_TRY_STATUS(send_bytes(connection, &own, sizeof(own), who));
  return connection;
}

void tune(const Socket& socket) {
  const int on = 1;
  ::setsockopt(socket.descriptor(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  // A shaped link is filled the same way everywhere, whatever the system's default; where cubic
  // cannot be chosen the default has to do.
  constexpr std::string_view kCubic = "cubic";
  ::setsockopt(socket.descriptor(), IPPROTO_TCP, TCP_CONGESTION, kCubic.data(), kCubic.size());
}

// Removes the rank's file when the meeting is over, however it went.
struct OwnFile {
  std::string path;
  ~OwnFile() {
    if (!path.empty()) std::remove(path.c_str());
  }
};

}  // namespace

std::string to_text(const Peer& peer) {
  return fmt::format("rank {} (pid {})", peer.rank, peer.pid);
}

Result<Neighbours> meet(const RingOptions& options) {
  const Deadline deadline = deadline_after(options.start_patience);
  const bool by_file = !options.rendezvous.starts_with("tcp:");
  Neighbours neighbours;
  neighbours.next = expected_peer((options.rank + 1) % options.world);
  neighbours.previous = expected_peer((options.rank + options.world - 1) % options.world);

  std::string address = by_file ? "127.0.0.1" : "";
  if (!options.interface.empty()) {
    PENSTOCK_TRY(address, interface_address(options.interface));
  }
  PENSTOCK_TRY(const Socket listener, listen_tcp(address, 0, options.world));
  OwnFile own_file;
  if (by_file) {
    PENSTOCK_TRY(const int port, port_of(listener));
    const std::string path = rank_file(options, options.rank);
    PENSTOCK_TRY_STATUS(core::write_file(path, fmt::format("{} {}\n", address, port)));
    own_file.path = path;
    PENSTOCK_TRY(neighbours.to_next, connect_by_file(options, neighbours.next.rank, deadline));
  } else {
    PENSTOCK_TRY(neighbours.to_next, connect_by_meeting(options, listener, deadline));
  }
  const Greeting own = own_greeting(options);
  const std::string who = fmt::format("rank {}", neighbours.next.rank);
  PENSTOCK_TRY_STATUS(send_bytes(neighbours.to_next, &own, sizeof(own), who));
  PENSTOCK_TRY(
      neighbours.from_previous,
      accept_previous(options, listener, neighbours.previous.rank, deadline, &neighbours.previous));
  Greeting answer;
  PENSTOCK_TRY_STATUS(receive_bytes(neighbours.to_next, &answer, sizeof(answer), deadline, who));
  PENSTOCK_TRY_STATUS(check_greeting(answer, neighbours.next.rank, options));
  neighbours.next.pid = answer.pid;
  tune(neighbours.to_next);
  tune(neighbours.from_previous);
  return neighbours;
}

}  // namespace penstock::train::internal
