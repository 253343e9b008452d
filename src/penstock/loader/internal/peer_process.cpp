#include "penstock/loader/internal/peer_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "penstock/loader/peers_script.h"

extern char** environ;

namespace penstock::loader {
namespace {

tl::unexpected<Error> ended() {
  return core::missing_error("load bench", "the Python process of the peers has ended",
                             "see its message above, or leave it out with --no-peers");
}

}  // namespace

Result<PeerProcess> PeerProcess::start(const std::string& python) {
  int down[2];
  int up[2];
  if (::pipe2(down, O_CLOEXEC) != 0 || ::pipe2(up, O_CLOEXEC) != 0) {
    return core::missing_error("load bench", std::string("no pipe: ") + std::strerror(errno));
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, down[0], STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, up[1], STDOUT_FILENO);
  std::string name = python;
  std::string option = "-c";
  std::string script = kPeersScript;
  char* arguments[] = {name.data(), option.data(), script.data(), nullptr};
  PeerProcess process;
  const int code =
      ::posix_spawnp(&process.pid_, python.c_str(), &actions, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(down[0]);
  ::close(up[1]);
  process.to_ = down[1];
  process.from_ = up[0];
  if (code != 0) {
    process.pid_ = -1;
    return core::missing_error(python, std::string("cannot be started: ") + std::strerror(code),
                               "install python3, or leave the peers out with --no-peers");
  }
  return process;
}

PeerProcess::PeerProcess(PeerProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      to_(std::exchange(other.to_, -1)),
      from_(std::exchange(other.from_, -1)),
      received_(std::move(other.received_)) {}

PeerProcess::~PeerProcess() {
  if (to_ >= 0) ::close(to_);
  if (from_ >= 0) ::close(from_);
  if (pid_ < 0) return;
  ::kill(pid_, SIGTERM);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void PeerProcess::send(const std::string& line) {
  const std::string whole = line + "\n";
  // A process that has ended must not end us; the next receive() says that it is gone.
  struct sigaction ignore = {};
  struct sigaction before = {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &before);
  std::size_t done = 0;
  while (done < whole.size()) {
    const ssize_t put = ::write(to_, whole.data() + done, whole.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) break;
    done += static_cast<std::size_t>(put);
  }
  ::sigaction(SIGPIPE, &before, nullptr);
}

Result<std::string> PeerProcess::receive() {
  for (;;) {
    const std::size_t end = received_.find('\n');
    if (end != std::string::npos) {
      std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return line;
    }
    char text[1024];
    const ssize_t got = ::read(from_, text, sizeof text);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return ended();
    received_.append(text, static_cast<std::size_t>(got));
  }
}

Result<std::vector<std::pair<std::string, std::string>>> PeerProcess::peers() {
  send("peers");
  std::vector<std::pair<std::string, std::string>> found;
  for (;;) {
    PENSTOCK_TRY(const std::string line, receive());
    if (line.empty()) return found;
    const std::size_t tab = line.find('\t');
    found.emplace_back(line.substr(0, tab), tab == std::string::npos ? "" : line.substr(tab + 1));
  }
}

Result<double> PeerProcess::run(const std::string& peer, std::size_t first, std::size_t last) {
  send("run\t" + peer + "\t" + std::to_string(first) + "\t" + std::to_string(last));
  PENSTOCK_TRY(const std::string line, receive());
  return std::strtod(line.c_str(), nullptr);
}

}  // namespace penstock::loader
