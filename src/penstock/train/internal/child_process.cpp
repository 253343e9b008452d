#include "penstock/train/internal/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

extern char** environ;

namespace penstock::train::internal {
namespace {

constexpr std::size_t kTailBytes = 4096;
constexpr std::size_t kShownLines = 6;

// Where the start of a child failed; travels over a pipe, since a forked child may not allocate.
enum class Stage { kNamespace, kProcessors, kProgram };
struct Failure {
  Stage stage;
  int error;
};

// The path that a shell would run, found before the fork.
std::string path_of(const std::string& program) {
  if (program.find('/') != std::string::npos) return program;
  const char* variable = std::getenv("PATH");
  std::string_view folders = variable == nullptr ? "/usr/bin:/bin" : variable;
  while (!folders.empty()) {
    const std::size_t end = std::min(folders.find(':'), folders.size());
    const std::string path = std::string(folders.substr(0, end)) + "/" + program;
    if (::access(path.c_str(), X_OK) == 0) return path;
    folders.remove_prefix(std::min(end + 1, folders.size()));
  }
  return program;
}

std::vector<std::string> merged_environment(const std::map<std::string, std::string>& added) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!added.contains(std::string(text.substr(0, text.find('='))))) merged.emplace_back(text);
  }
  for (const auto& [name, value] : added) merged.push_back(fmt::format("{}={}", name, value));
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// Everything that the child needs after the fork, where it may only make system calls.
struct Prepared {
  std::string path;
  std::vector<char*> arguments;
  std::vector<char*> environment;
  int network_namespace = -1;
  int null_input = -1;
  int output = -1;
  int failure = -1;
  bool has_processors = false;
  cpu_set_t processors;
  pid_t parent = 0;
  int signal_with_parent = SIGKILL;
};

[[noreturn]] void give_up(const Prepared& prepared, Stage stage) {
  const Failure failure = {stage, errno};
  [[maybe_unused]] const ssize_t n = ::write(prepared.failure, &failure, sizeof(failure));
  ::_exit(127);
}

[[noreturn]] void become(const Prepared& prepared) {
  ::setpgid(0, 0);
  // The parent may have died before the call that ties us to it.
  ::prctl(PR_SET_PDEATHSIG, prepared.signal_with_parent);
  if (::getppid() != prepared.parent) ::_exit(127);
  for (const int number : {SIGINT, SIGTERM, SIGPIPE}) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (prepared.network_namespace >= 0 && ::setns(prepared.network_namespace, CLONE_NEWNET) != 0) {
    give_up(prepared, Stage::kNamespace);
  }
  if (prepared.has_processors &&
      ::sched_setaffinity(0, sizeof(prepared.processors), &prepared.processors) != 0) {
    give_up(prepared, Stage::kProcessors);
  }
  ::dup2(prepared.null_input, STDIN_FILENO);
  ::dup2(prepared.output, STDOUT_FILENO);
  ::dup2(prepared.output, STDERR_FILENO);
  ::execve(prepared.path.c_str(), prepared.arguments.data(), prepared.environment.data());
  give_up(prepared, Stage::kProgram);
}

tl::unexpected<Error> start_error(const ChildCommand& command, const Failure& failure) {
  const std::string& program = command.command.front();
  const char* reason = std::strerror(failure.error);
  switch (failure.stage) {
    case Stage::kNamespace:
      return core::missing_error(
          command.network_namespace,
          fmt::format("{} cannot enter this network namespace: {}", program, reason));
    case Stage::kProcessors:
      return core::input_error(program,
                               fmt::format("cannot run on the processors given: {}", reason));
    case Stage::kProgram:
      break;
  }
  return core::missing_error(program, fmt::format("cannot be started: {}", reason));
}

struct Pipe {
  Socket read;
  Socket write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) == 0) return Pipe{Socket(ends[0]), Socket(ends[1])};
  return core::missing_error("", fmt::format("no pipe can be had: {}", std::strerror(errno)));
}

}  // namespace

Result<ChildProcess> start_child(const ChildCommand& command) {
  PENSTOCK_TRY(Pipe output, make_pipe());
  PENSTOCK_TRY(Pipe failures, make_pipe());
  std::vector<std::string> arguments = command.command;
  std::vector<std::string> environment = merged_environment(command.environment);
  Prepared prepared{};
  prepared.path = path_of(arguments.front());
  prepared.arguments = pointers(arguments);
  prepared.environment = pointers(environment);
  prepared.output = output.write.descriptor();
  prepared.failure = failures.write.descriptor();
  prepared.parent = ::getpid();
  prepared.signal_with_parent = command.signal_with_parent;
  const Socket null_input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  prepared.null_input = null_input.descriptor();
  Socket network;
  if (!command.network_namespace.empty()) {
    network =
        Socket(::open(("/run/netns/" + command.network_namespace).c_str(), O_RDONLY | O_CLOEXEC));
    if (network.descriptor() < 0) return start_error(command, {Stage::kNamespace, errno});
    prepared.network_namespace = network.descriptor();
  }
  prepared.has_processors = !command.processors.empty();
  CPU_ZERO(&prepared.processors);
  for (const int processor : command.processors) {
    if (processor < 0 || processor >= CPU_SETSIZE) {
      return start_error(command, {Stage::kProcessors, EINVAL});
    }
    CPU_SET(static_cast<std::size_t>(processor), &prepared.processors);
  }

  const pid_t pid = ::fork();
  if (pid == 0) become(prepared);
  if (pid < 0) return start_error(command, {Stage::kProgram, errno});
  // Both sides do it, so that the group exists whoever runs first.
  ::setpgid(pid, pid);
  // The C library's header for this call lacks C linkage before glibc 2.37.
  const auto ended = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  ChildProcess child{pid, Socket(ended), std::move(output.read)};
  failures.write = Socket();
  Failure failure{};
  if (::read(failures.read.descriptor(), &failure, sizeof(failure)) == sizeof(failure)) {
    ::waitpid(pid, nullptr, 0);
    return start_error(command, failure);
  }
  ::fcntl(child.output.descriptor(), F_SETFL, O_NONBLOCK);
  return child;
}

void LastLines::add(std::string_view text) {
  tail_ += text;
  if (tail_.size() > kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
}

std::string LastLines::text() const {
  std::string shown;
  std::size_t end = tail_.size();
  for (std::size_t lines = 0; lines < kShownLines && end > 0;) {
    const std::size_t feed = tail_.rfind('\n', end - 1);
    const std::size_t begin = feed == std::string::npos ? 0 : feed + 1;
    if (begin < end) {
      shown = tail_.substr(begin, end - begin) + (shown.empty() ? "" : " | ") + shown;
      ++lines;
    }
    end = begin == 0 ? 0 : begin - 1;
  }
  return shown;
}

Result<std::string> run_program(const std::vector<std::string>& command) {
  PENSTOCK_TRY(
      const ChildProcess child,
      start_child(
          {.command = command, .environment = {}, .network_namespace = "", .processors = {}}));
  ::fcntl(child.output.descriptor(), F_SETFL, 0);
  std::string text;
  char buffer[4096];
  while (true) {
    const ssize_t n = ::read(child.output.descriptor(), buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(buffer, static_cast<std::size_t>(n));
  }
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) continue;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return text;
  LastLines last;
  last.add(text);
  return core::negative(fmt::format("{}", fmt::join(command, " ")),
                        "failed: " + (last.text().empty() ? "it says nothing" : last.text()));
}

}  // namespace penstock::train::internal
