#include "penstock/loader/control.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>
#include <vector>

#include "penstock/core/json.h"

namespace penstock::loader {
namespace {

constexpr std::size_t kLongestLine = 4096;
constexpr int kMostWorkers = 1024;

double seconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) * 1e-9; }

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return core::input_error(path, "is too long for the path of a socket",
                             fmt::format("use at most {} characters", sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

bool somebody_listens(const sockaddr_un& address) {
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool is_taken =
      ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(probe);
  return is_taken;
}

}  // namespace

std::string state_line(const PipelineState& state, Seconds elapsed) {
  const train::LoaderCounters& c = state.counters;
  const core::Json json = {{"workers", c.workers},
                           {"samples", c.samples},
                           {"bad_samples", c.bad_samples},
                           {"epoch", state.epoch},
                           {"elapsed_s", elapsed.value()},
                           {"fetch_s", seconds(c.fetch_ns)},
                           {"prep_s", seconds(c.prep_ns)},
                           {"blocked_s", seconds(c.blocked_ns)},
                           {"cpu_s", seconds(c.cpu_ns)},
                           {"bytes", c.bytes},
                           {"disk_bytes", c.disk_bytes},
                           {"cache_hits", state.cache.hits},
                           {"cache_misses", state.cache.misses},
                           {"cache_bytes", state.cache.bytes},
                           {"io_uring", state.io_uring}};
  return json.dump();
}

std::string answer_control(const std::string& line, Pipeline& pipeline, Seconds elapsed) {
  constexpr std::string_view kWorkers = "workers ";
  if (line == "state") return state_line(pipeline.state(), elapsed);
  if (line.starts_with(kWorkers)) {
    int workers = 0;
    const char* end = line.data() + line.size();
    const auto [stop, error] = std::from_chars(line.data() + kWorkers.size(), end, workers);
    if (error == std::errc() && stop == end && workers >= 1 && workers <= kMostWorkers) {
      pipeline.set_workers(workers);
      return core::Json{{"workers", workers}}.dump();
    }
  }
  return core::Json{{"error", "\"" + line +
                                  "\" is neither \"state\" nor \"workers N\" with N from 1 to " +
                                  std::to_string(kMostWorkers)}}
      .dump();
}

Result<ControlSocket> ControlSocket::listen(const std::string& path) {
  PENSTOCK_TRY(const sockaddr_un address, address_of(path));
  if (somebody_listens(address)) {
    return core::input_error(path, "another loader listens at this socket", "name another path");
  }
  ControlSocket control;
  control.listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  int code = ::bind(control.listener_, generic, sizeof address);
  struct stat info = {};
  if (code != 0 && errno == EADDRINUSE && ::stat(path.c_str(), &info) == 0 &&
      S_ISSOCK(info.st_mode)) {
    ::unlink(path.c_str());  // a killed loader's
    code = ::bind(control.listener_, generic, sizeof address);
  }
  if (code != 0 || ::listen(control.listener_, 16) != 0) {
    return core::missing_error(path, std::string("cannot be listened at: ") + std::strerror(errno),
                               "name a path in a writable folder");
  }
  control.path_ = path;
  return control;
}

ControlSocket::ControlSocket(ControlSocket&& other) noexcept { *this = std::move(other); }
ControlSocket& ControlSocket::operator=(ControlSocket&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(listener_, other.listener_);
  std::swap(clients_, other.clients_);
  return *this;
}
ControlSocket::~ControlSocket() {
  for (const auto& [client, line] : clients_) ::close(client);
  if (listener_ >= 0) ::close(listener_);
  if (!path_.empty()) ::unlink(path_.c_str());
}

void ControlSocket::serve(Seconds patience,
                          const std::function<std::string(const std::string&)>& answer) {
  std::vector<pollfd> watched = {{listener_, POLLIN, 0}};
  for (const auto& [client, line] : clients_) watched.push_back({client, POLLIN, 0});
  const int count =
      ::poll(watched.data(), watched.size(), static_cast<int>(patience.value() * 1e3));
  if (count <= 0) return;
  for (const pollfd& ready : watched) {
    if (ready.revents == 0) continue;
    if (ready.fd == listener_) {
      const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (client >= 0) clients_[client] = "";
      continue;
    }
    char text[512];
    const ssize_t got = ::recv(ready.fd, text, sizeof text, 0);
    std::string& line = clients_[ready.fd];
    bool is_gone = got <= 0 && !(got < 0 && (errno == EAGAIN || errno == EINTR));
    if (got > 0) line.append(text, static_cast<std::size_t>(got));
    for (std::size_t end = line.find('\n'); end != std::string::npos; end = line.find('\n')) {
      const std::string reply = answer(line.substr(0, end)) + "\n";
      line.erase(0, end + 1);
      is_gone = is_gone || ::send(ready.fd, reply.data(), reply.size(), MSG_NOSIGNAL) !=
                               static_cast<ssize_t>(reply.size());
    }
    if (is_gone || line.size() > kLongestLine) {
      ::close(ready.fd);
      clients_.erase(ready.fd);
    }
  }
}

}  // namespace penstock::loader
