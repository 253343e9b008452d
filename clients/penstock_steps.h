// Tells Penstock what each training step did. One header, C++17 and POSIX, nothing else.
//
//   penstock_steps::Steps steps(32);                  // samples in a batch
//   while (steps.more()) {
//     steps.begin();
//     const Batch& batch = steps.synthetic() ? first_batch : loader.next();
//     steps.ready();
//     ... forward, backward; sum gradients over ranks only if steps.all_reduce() ...
//     steps.end();
//   }
//
// Does nothing where no launcher listens, that is, without PENSTOCK_STEPS in the environment. The
// protocol is in docs/markers.md. On a device that runs behind the program, wait for it before each
// mark, or the times are those of the launches.
#ifndef PENSTOCK_STEPS_H_
#define PENSTOCK_STEPS_H_

#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <stdexcept>
#include <string>

namespace penstock_steps {

inline std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec;
}

namespace internal {

inline std::string variable(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? std::string() : std::string(text);
}

// The first of these variables that is set, as a number.
inline int number(std::initializer_list<const char*> names, int fallback) {
  for (const char* name : names) {
    const std::string text = variable(name);
    if (!text.empty()) return std::atoi(text.c_str());
  }
  return fallback;
}

inline int connect_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return -1;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -1;
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return descriptor;
  }
  ::close(descriptor);
  return -1;
}

// `place` is HOST:PORT.
inline int connect_tcp(const std::string& place) {
  const std::size_t colon = place.rfind(':');
  if (colon == std::string::npos) return -1;
  std::string host = place.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), place.c_str() + colon + 1, &hints, &found) != 0) return -1;
  int descriptor = -1;
  for (const addrinfo* at = found; at != nullptr && descriptor < 0; at = at->ai_next) {
    descriptor = ::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, 0);
    if (descriptor >= 0 && ::connect(descriptor, at->ai_addr, at->ai_addrlen) != 0) {
      ::close(descriptor);
      descriptor = -1;
    }
  }
  ::freeaddrinfo(found);
  return descriptor;
}

}  // namespace internal

class Steps {
 public:
  // Rank and world are read from RANK and WORLD_SIZE, or from Slurm's variables, where they are not
  // given. Throws where PENSTOCK_STEPS names a launcher that does not listen.
  explicit Steps(std::int64_t batch, int rank = -1, int world = -1) : batch_(batch) {
    const std::string address = internal::variable("PENSTOCK_STEPS");
    if (address.empty()) return;
    descriptor_ = address.compare(0, 4, "tcp:") == 0 ? internal::connect_tcp(address.substr(4))
                                                     : internal::connect_unix(address);
    if (descriptor_ < 0) {
      throw std::runtime_error("PENSTOCK_STEPS=" + address + ": no launcher listens there");
    }
    active_ = true;
    owner_ = ::getpid();
    limit_ = internal::number({"PENSTOCK_STEP_COUNT"}, 0);
    if (rank < 0) rank = internal::number({"RANK", "SLURM_PROCID", "LOCAL_RANK"}, 0);
    if (world < 0) world = internal::number({"WORLD_SIZE", "SLURM_NTASKS"}, 1);
    send("penstock-steps/1 rank=" + std::to_string(rank) + " world=" + std::to_string(world) +
         " batch=" + std::to_string(batch) + " pid=" + std::to_string(::getpid()));
  }
  Steps(const Steps&) = delete;
  Steps& operator=(const Steps&) = delete;
  ~Steps() {
    if (::getpid() == owner_) send("done");
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  // Whether a launcher listens.
  bool active() const { return active_; }
  // Whether another step is wanted; always, without a launcher.
  bool more() const { return limit_ <= 0 || index_ < limit_; }
  // Whether this run wants batches from memory instead of the loader's.
  bool synthetic() const { return active_ && internal::variable("PENSTOCK_DATA") == "synthetic"; }
  // Whether this run wants gradients summed over the ranks.
  bool all_reduce() const { return !active_ || internal::variable("PENSTOCK_ALL_REDUCE") != "off"; }

  // The step asks for its batch; has it on its device; has ended.
  void begin() { begin_ns_ = ready_ns_ = now_ns(); }
  void ready() { ready_ns_ = now_ns(); }
  void end(std::int64_t samples = -1, double loss = std::numeric_limits<double>::quiet_NaN()) {
    if (descriptor_ >= 0) {
      std::string line =
          "step index=" + std::to_string(index_) + " begin=" + std::to_string(begin_ns_) +
          " ready=" + std::to_string(ready_ns_) + " end=" + std::to_string(now_ns()) +
          " samples=" + std::to_string(samples < 0 ? batch_ : samples);
      if (!std::isnan(loss)) line += " loss=" + std::to_string(loss);
      send(line);
    }
    ++index_;
  }
  // Why the program gives up.
  void error(std::string message) {
    for (char& c : message) {
      if (c == '\n' || c == '\r') c = ' ';
    }
    send("error " + message);
  }

 private:
  // A launcher that is gone is no reason to stop.
  void send(std::string line) {
    line += '\n';
    std::size_t at = 0;
    while (descriptor_ >= 0 && at < line.size()) {
      const ssize_t sent = ::send(descriptor_, line.data() + at, line.size() - at, MSG_NOSIGNAL);
      if (sent > 0) {
        at += static_cast<std::size_t>(sent);
      } else if (errno != EINTR) {
        ::close(descriptor_);
        descriptor_ = -1;
      }
    }
  }

  std::int64_t batch_;
  std::int64_t index_ = 0;
  std::int64_t limit_ = 0;
  std::int64_t begin_ns_ = 0;
  std::int64_t ready_ns_ = 0;
  int descriptor_ = -1;
  bool active_ = false;
  pid_t owner_ = -1;
};

}  // namespace penstock_steps

#endif  // PENSTOCK_STEPS_H_
