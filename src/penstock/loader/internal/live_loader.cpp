#include "penstock/loader/internal/live_loader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <vector>

#include "penstock/core/clock.h"
#include "penstock/core/file.h"
#include "penstock/core/interrupt.h"

namespace penstock::loader::internal {
namespace {

constexpr Seconds kStartPatience(30);
constexpr Seconds kAnswerPatience(5);
constexpr int kLookMilliseconds = 20;

void rest(Seconds time) {
  const auto ns = static_cast<long>(time.value() * 1e9);
  timespec wanted = {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  ::clock_nanosleep(CLOCK_MONOTONIC, 0, &wanted, nullptr);
}

}  // namespace

Seconds monotonic_now() { return Seconds(static_cast<double>(core::now_ns()) * 1e-9); }

LiveLoader::LiveLoader(const JobSpec& job, std::string stem)
    : job_(job), control_(stem + ".control"), messages_(stem + ".messages") {}

Result<std::unique_ptr<LiveLoader>> LiveLoader::start(const JobSpec& job,
                                                      const std::string& program,
                                                      const core::PrivateFolder& folder,
                                                      int number) {
  std::unique_ptr<LiveLoader> loader(
      new LiveLoader(job, fmt::format("{}/{}", folder.path(), number)));
  loader->channel_ = fmt::format("/dev/shm/{}-{}",
                                 std::filesystem::path(folder.path()).filename().string(), number);
  PENSTOCK_TRY_STATUS(loader->spawn(program, loader->channel_));
  PENSTOCK_TRY_STATUS(loader->open_channel(loader->channel_));
  PENSTOCK_TRY_STATUS(loader->connect());
  loader->accelerators_ = std::thread([l = loader.get()] { l->accelerate(); });
  return loader;
}

LiveLoader::~LiveLoader() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (socket_ >= 0) ::close(socket_);
  if (process_ > 0) {
    ::kill(process_, SIGTERM);
    constexpr int kTries = 100;  // two seconds, then by force
    for (int i = 0; i < kTries && !has_exited(); ++i) rest(Seconds(kLookMilliseconds * 1e-3));
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
    }
  }
  if (accelerators_.joinable()) accelerators_.join();
  reader_.reset();
  ::unlink(channel_.c_str());
  ::unlink(control_.c_str());
}

Status LiveLoader::spawn(const std::string& program, const std::string& channel) {
  // Two steps ahead, so that a step of several accelerators finds all its batches.
  const int slots = std::max(4, 2 * job_.model.accelerators);
  std::vector<std::string> words = {program,     "load",
                                    "run",       job_.data,
                                    "--channel", channel,
                                    "--batch",   std::to_string(job_.model.batch),
                                    "--workers", "1",
                                    "--epochs",  "0",
                                    "--slots",   std::to_string(slots),
                                    "--control", control_};
  words.insert(words.end(), job_.loader_arguments.begin(), job_.loader_arguments.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const int messages = ::open(messages_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) {
    return core::missing_error(program, std::string("cannot start: ") + std::strerror(errno));
  }
  if (child == 0) {
    // A group of its own: Ctrl-C at the terminal is ours, and we end the loader in order.
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(1);
    ::dup2(messages, STDOUT_FILENO);
    ::dup2(messages, STDERR_FILENO);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  if (messages >= 0) ::close(messages);
  process_ = child;
  return {};
}

bool LiveLoader::has_exited() {
  if (process_ <= 0) return true;
  if (::waitpid(process_, nullptr, WNOHANG) == 0) return false;
  process_ = -1;
  return true;
}

Error LiveLoader::exit_error() {
  const auto said = core::read_file(messages_);
  std::string last = said ? *said : std::string();
  while (!last.empty() && last.back() == '\n') last.pop_back();
  last.erase(0, last.find_last_of('\n') + 1);
  return {ErrorKind::kMissing,
          "the loader of job \"" + job_.model.name + "\" ended" +
              (last.empty() ? std::string() : ": " + last),
          job_.data,
          "try it alone: penstock load run " + job_.data,
          {},
          {}};
}

Status LiveLoader::open_channel(const std::string& channel) {
  const Seconds limit = monotonic_now() + kStartPatience;
  while (true) {
    Result<train::BatchReader> reader =
        train::BatchReader::open(channel, Seconds(kLookMilliseconds * 1e-3));
    if (reader) {
      reader_.emplace(*std::move(reader));
      // Both sides have it in memory now; without its name nothing stays, however we all end.
      ::unlink(channel.c_str());
      return {};
    }
    if (core::interrupted()) return core::negative(job_.model.name, "interrupted");
    if (has_exited()) return core::fail(exit_error());
    if (monotonic_now() > limit) return core::fail(std::move(reader).error());
  }
}

Status LiveLoader::connect() {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (control_.size() >= sizeof address.sun_path) {
    return core::input_error(control_, "is too long for the path of a socket",
                             "set TMPDIR to a shorter path");
  }
  std::memcpy(address.sun_path, control_.c_str(), control_.size() + 1);
  socket_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const Seconds limit = monotonic_now() + kStartPatience;
  while (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (has_exited()) return core::fail(exit_error());
    if (monotonic_now() > limit) {
      return core::missing_error(control_, "the loader does not listen at its control socket");
    }
    rest(Seconds(kLookMilliseconds * 1e-3));
  }
  return {};
}

Status LiveLoader::set_workers(int workers) {
  if (workers == workers_) return {};
  const std::string line = fmt::format("workers {}\n", workers);
  std::string answer;
  const Seconds limit = monotonic_now() + kAnswerPatience;
  bool is_sent =
      ::send(socket_, line.data(), line.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(line.size());
  while (is_sent && answer.find('\n') == std::string::npos && monotonic_now() < limit) {
    pollfd ready = {.fd = socket_, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, kLookMilliseconds) <= 0) continue;
    char bytes[256];
    const ssize_t got = ::recv(socket_, bytes, sizeof bytes, 0);
    if (got <= 0) break;
    answer.append(bytes, static_cast<std::size_t>(got));
  }
  if (answer.find("\"workers\"") == std::string::npos) {
    if (has_exited()) return core::fail(exit_error());
    return core::missing_error(control_, fmt::format("the loader of job \"{}\" did not take {} "
                                                     "workers: \"{}\"",
                                                     job_.model.name, workers, answer));
  }
  workers_ = workers;
  return {};
}

void LiveLoader::set_goal(std::int64_t samples) {
  {
    const std::lock_guard lock(mutex_);
    goal_ = samples;
    ++run_;
    state_.samples = 0;
    state_.compute = Seconds(0);
    state_.is_done = false;
  }
  changed_.notify_all();
}

Result<LiveState> LiveLoader::state() {
  const std::lock_guard lock(mutex_);
  if (error_) return core::fail(*error_);
  LiveState now = state_;
  now.at = monotonic_now();
  now.counters = reader_->counters();
  return now;
}

// One batch for each accelerator.
Status LiveLoader::take_batches(std::int64_t& samples) {
  for (int i = 0; i < job_.model.accelerators; ++i) {
    PENSTOCK_TRY(const std::optional<train::BatchView> batch, reader_->next());
    if (!batch) return core::negative(job_.data, "the loader has ended");
    samples += batch->samples;
    reader_->release();
  }
  return {};
}

void LiveLoader::accelerate() {
  Seconds end;  // of the last step, by the rule
  while (true) {
    std::int64_t run = 0;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || (goal_ > 0 && !state_.is_done); });
      if (stopping_) return;
      run = run_;
    }
    std::int64_t samples = 0;
    const Seconds asked = monotonic_now();
    const Status taken = take_batches(samples);
    const Seconds ready = monotonic_now();
    if (!taken) {
      const std::lock_guard lock(mutex_);
      if (!stopping_) error_ = taken.error();
      return;
    }
    // A batch that was there at once was there when the last step ended; what the sleep overran is
    // then no wait for data.
    constexpr Seconds kAtOnce(200e-6);
    constexpr Seconds kLate(5e-3);
    const bool was_there = ready - asked < kAtOnce && asked - end < kLate;
    end = (was_there ? end : ready) + job_.model.step;
    core::wait_until_ns(static_cast<std::int64_t>(end.value() * 1e9));
    const std::lock_guard lock(mutex_);
    if (run != run_) continue;
    state_.samples += samples;
    state_.compute += job_.model.step;
    if (state_.samples >= goal_) {
      state_.is_done = true;
      state_.ended = end;
    }
  }
}

}  // namespace penstock::loader::internal
