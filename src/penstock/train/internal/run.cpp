#include "penstock/train/internal/run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "penstock/core/file.h"
#include "penstock/core/interrupt.h"
#include "penstock/train/internal/slurm.h"
#include "penstock/train/internal/steps_socket.h"

namespace penstock::train::internal {
namespace {

using std::chrono::milliseconds;

// How long, after the first failure, others may still show that they are its cause.
constexpr milliseconds kCauseGrace{300};
// Between the request to end and the end by force.
constexpr milliseconds kEndGrace{3000};
constexpr milliseconds kTurn{100};
constexpr double kStepsPerPatience = 5;
constexpr std::size_t kLongestLine = 1 << 16;

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

// Whether a rank's complaint names another rank, as the ring's do, "rank 1 (pid 4711) has ended",
// or says at least that it is another, as libtorch's do.
bool blames_another(const std::string& message, int own_rank) {
  if (message.find("a peer has died") != std::string::npos) return true;
  constexpr std::string_view kRank = "rank ";
  for (std::size_t at = message.find(kRank); at != std::string::npos;
       at = message.find(kRank, at + 1)) {
    char* end = nullptr;
    const long rank = std::strtol(message.c_str() + at + kRank.size(), &end, 10);
    if (std::string_view(end).starts_with(" (pid") && rank != own_rank) return true;
  }
  return false;
}

}  // namespace

Run::Run(const Launch& launch)
    : launch_(launch), states_(launch.ranks.size()), started_(Clock::now()) {
  record_.ranks.resize(launch.ranks.size());
  for (RankState& state : states_) state.heard = started_;
}

Run::~Run() { end_all(); }

Result<RunRecord> Run::to_end() {
  PENSTOCK_TRY_STATUS(start());
  watch();
  // Before it says how it takes our ending of it.
  const std::string words = words_of_srun();
  end_all();
  if (record_.interrupted) return std::move(record_);
  if (finding_) {
    Error error = std::move(finding_->error);
    if (finding_->nearness == Nearness::kGone) error.message += words;
    if (finding_->nearness >= Nearness::kOwnError) {
      for (const Process& process : processes_) {
        const int code = WIFEXITED(process.status) ? WEXITSTATUS(process.status) : 0;
        const bool its = launch_.slurm ? !process.companion : process.rank == finding_->rank;
        if (its && finding_->rank != kNoRank && code >= 1 && code <= 4) {
          error.kind = static_cast<ErrorKind>(code);
        }
      }
    }
    return core::fail(std::move(error));
  }
  for (std::size_t rank = 0; rank < states_.size(); ++rank) {
    if (!record_.ranks[rank].steps.empty()) continue;
    return core::input_error(
        rank_name(static_cast<int>(rank)), "ended without a step",
        "a program says its steps through the step markers; see docs/markers.md");
  }
  return std::move(record_);
}

Status Run::start() {
  PENSTOCK_TRY(folder_, core::PrivateFolder::create());
  PENSTOCK_TRY_STATUS(listen());
  PENSTOCK_TRY_STATUS(start_companions());
  return start_ranks();
}

Status Run::start_companions() {
  if (launch_.slurm && !launch_.companions.empty()) {
    Process process;
    process.name = "srun of the loaders";
    process.companion = true;
    return start_through_slurm(launch_.companions, std::move(process));
  }
  for (std::size_t i = 0; i < launch_.companions.size(); ++i) {
    const RankCommand& command = launch_.companions[i];
    Process process;
    process.name =
        fmt::format("{} ({})", command.name.empty() ? fmt::format("companion {}", i) : command.name,
                    command.command.front());
    process.companion = true;
    PENSTOCK_TRY_STATUS(start_process(std::move(process), command, command.environment));
  }
  return {};
}

Status Run::listen() {
  address_ = folder_->path() + "/steps";
  int port = 0;
  PENSTOCK_TRY(const int descriptor,
               launch_.slurm ? listen_steps_tcp(&port) : listen_steps_unix(address_));
  listener_ = Socket(descriptor);
  ::fcntl(descriptor, F_SETFL, O_NONBLOCK);
  if (launch_.slurm) address_ = to_text(Endpoint{launch_.slurm->our_address, port});
  return {};
}

std::map<std::string, std::string> Run::rank_environment(std::size_t rank) const {
  std::map<std::string, std::string> environment = launch_.ranks[rank].environment;
  environment["PENSTOCK_STEPS"] = address_;
  const std::size_t of_node = launch_.slurm
                                  ? ranks_of_node(launch_.ranks.size(), launch_.slurm->names.size())
                                  : launch_.ranks.size();
  environment.emplace("RANK", std::to_string(rank));
  environment.emplace("LOCAL_RANK", std::to_string(rank % of_node));
  environment.emplace("WORLD_SIZE", std::to_string(launch_.ranks.size()));
  return environment;
}

Status Run::start_process(Process process, const RankCommand& command,
                          std::map<std::string, std::string> environment) {
  // What srun has started ends when srun is interrupted, and would not when it is killed.
  PENSTOCK_TRY(process.child,
               start_child({.command = command.command,
                            .environment = std::move(environment),
                            .network_namespace = command.network_namespace,
                            .processors = command.processors,
                            .signal_with_parent = launch_.slurm ? SIGINT : SIGKILL}));
  processes_.push_back(std::move(process));
  return {};
}

Status Run::start_ranks() {
  if (launch_.slurm) {
    std::vector<RankCommand> ranks = launch_.ranks;
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
      ranks[rank].environment = rank_environment(rank);
    }
    Process process;
    process.name = "srun";
    return start_through_slurm(std::move(ranks), std::move(process));
  }
  for (std::size_t rank = 0; rank < launch_.ranks.size(); ++rank) {
    Process process;
    process.rank = static_cast<int>(rank);
    process.name = fmt::format("rank {}", rank);
    PENSTOCK_TRY_STATUS(
        start_process(std::move(process), launch_.ranks[rank], rank_environment(rank)));
  }
  return {};
}

Status Run::start_through_slurm(std::vector<RankCommand> commands, Process process) {
  const std::string file = folder_->path() + (process.companion ? "/companions" : "/ranks");
  PENSTOCK_TRY_STATUS(core::write_file(file, multi_prog_file(commands)));
  RankCommand command;
  command.command = srun_command(commands.size(), *launch_.slurm, file);
  return start_process(std::move(process), command, {});
}

bool Run::ranks_run() const {
  return std::any_of(processes_.begin(), processes_.end(),
                     [](const Process& process) { return !process.companion && !process.ended; });
}

bool Run::any_runs() const {
  return std::any_of(processes_.begin(), processes_.end(),
                     [](const Process& process) { return !process.ended; });
}

void Run::watch() {
  while (ranks_run()) {
    turn(kTurn);
    if (core::interrupted()) {
      record_.interrupted = true;
      return;
    }
    if (!finding_) check_patience();
    if (finding_ && Clock::now() - found_ > kCauseGrace) return;
  }
}

// Waits for something to happen, and handles it.
bool Run::turn(milliseconds limit) {
  std::vector<pollfd> wanted;
  const auto want = [&](int descriptor) { wanted.push_back({descriptor, POLLIN, 0}); };
  want(listener_.descriptor());
  for (const Connection& connection : connections_) want(connection.socket.descriptor());
  for (const Process& process : processes_) {
    want(process.child.output.descriptor());
    want(process.ended ? -1 : process.child.ended.descriptor());
  }
  if (::poll(wanted.data(), wanted.size(), static_cast<int>(limit.count())) <= 0) return false;
  // Lines go before ends: a rank says why it ends.
  const std::size_t known = connections_.size();
  read_lines();
  for (std::size_t i = 0; i < processes_.size(); ++i) {
    const pollfd* polled = &wanted[1 + known + 2 * i];
    if (polled[0].revents != 0) read_output(processes_[i]);
    if (polled[1].revents != 0) reap(processes_[i]);
  }
  std::erase_if(connections_, [](const Connection& connection) { return connection.closed; });
  return true;
}

// Everything that ranks have said so far, those included that have just come.
void Run::read_lines() {
  while (true) {
    Socket socket(::accept4(listener_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC));
    if (socket.descriptor() < 0) break;
    Connection connection;
    connection.socket = std::move(socket);
    connections_.push_back(std::move(connection));
  }
  for (Connection& connection : connections_) {
    while (!connection.closed && read_connection(connection)) continue;
  }
}

// False where there is nothing to read for now.
bool Run::read_connection(Connection& connection) {
  char buffer[1 << 16];
  const ssize_t n = ::recv(connection.socket.descriptor(), buffer, sizeof(buffer), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (n <= 0) {
    connection.closed = true;
    check_gone(connection.rank);
    return false;
  }
  connection.text.append(buffer, static_cast<std::size_t>(n));
  std::string_view rest = connection.text;
  for (std::size_t end; (end = rest.find('\n')) != std::string_view::npos;) {
    handle_line(connection, rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
  connection.text = std::string(rest);
  if (connection.text.size() > kLongestLine) {
    find(Nearness::kOwnError, connection.rank,
         core::input_error(rank_name(connection.rank), "sends a line without an end").value());
    connection.closed = true;
  }
  return true;
}

void Run::read_output(Process& process) {
  while (process.child.output.descriptor() >= 0) {
    char buffer[1 << 14];
    const ssize_t n = ::read(process.child.output.descriptor(), buffer, sizeof(buffer));
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n > 0) process.last.add(std::string_view(buffer, static_cast<std::size_t>(n)));
    if (n <= 0) process.child.output = Socket();
  }
}

void Run::reap(Process& process) {
  // What the process has started goes with it. It is a zombie, so its group is still its own.
  ::kill(-process.child.pid, SIGKILL);
  rusage usage{};
  if (::wait4(process.child.pid, &process.status, WNOHANG, &usage) != process.child.pid) return;
  process.ended = true;
  read_output(process);
  if (process.rank != kNoRank) {
    RankRecord& rank = record_.ranks[static_cast<std::size_t>(process.rank)];
    rank.cpu_s = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
    rank.peak_bytes = usage.ru_maxrss * 1024;
  }
  read_lines();
  if (!ending_) check_end(process);
}

void Run::check_end(const Process& process) {
  const std::string name = fmt::format("{} (pid {})", process.name, process.child.pid);
  const std::string lines = process.last.text();
  const std::string said = lines.empty() ? "" : "; its last lines: " + lines;
  if (WIFSIGNALED(process.status)) {
    const int number = WTERMSIG(process.status);
    find(
        Nearness::kSignal, process.rank,
        core::negative(
            "", fmt::format("{} died of signal {} ({}){}", name, number, ::strsignal(number), said),
            number == SIGKILL ? "where nobody killed it, see whether the kernel did "
                                "for want of memory: dmesg"
                              : "")
            .value());
    return;
  }
  const int code = WEXITSTATUS(process.status);
  const bool rank = process.rank != kNoRank;
  if (code == 0 || (rank && states_[static_cast<std::size_t>(process.rank)].complained)) return;
  Error error =
      core::negative("", fmt::format("{} ended with exit code {}{}", name, code, said)).value();
  if (code <= 4) error.kind = static_cast<ErrorKind>(code);
  const bool is_srun = launch_.slurm && !process.companion;
  find(is_srun ? Nearness::kSrun : Nearness::kExit, process.rank, std::move(error));
}

// A rank whose process is not ours and whose connection ends before it has said that it is done.
void Run::check_gone(int rank) {
  if (!launch_.slurm || rank == kNoRank) return;
  const RankState& state = states_[static_cast<std::size_t>(rank)];
  if (state.done || state.complained) return;
  find(Nearness::kGone, rank,
       core::negative(rank_name(rank), "has gone without a word",
                      "see whether its node is up (sinfo -N) and had memory enough (dmesg there)")
           .value());
}

// What Slurm says of the end of a step: "node2: task 1: Killed".
std::string Run::words_of_srun() const {
  for (const Process& process : processes_) {
    const std::string words = process.companion ? "" : process.last.text();
    if (!words.empty()) return "; srun's last lines: " + words;
  }
  return "";
}

void Run::handle_line(Connection& connection, std::string_view line) {
  ++connection.lines;
  const std::string where =
      fmt::format("{}: line {} of its step markers", rank_name(connection.rank), connection.lines);
  const Result<StepsLine> parsed = parse_steps_line(line, where);
  if (!parsed) {
    find(Nearness::kOwnError, connection.rank, parsed.error());
    return;
  }
  if (connection.rank == kNoRank && !std::holds_alternative<StepsHello>(*parsed)) {
    find(Nearness::kOwnError, kNoRank,
         core::input_error(where, "comes before the line that says which rank it is").value());
    return;
  }
  if (connection.rank != kNoRank) {
    states_[static_cast<std::size_t>(connection.rank)].heard = Clock::now();
  }
  std::visit([&](const auto& record) { handle(connection, record); }, *parsed);
}

void Run::handle(Connection& connection, const StepsHello& hello) {
  if (static_cast<std::size_t>(hello.world) != states_.size()) {
    find(Nearness::kOwnError, kNoRank,
         core::input_error(
             rank_name(hello.rank),
             fmt::format("says that there are {} ranks where {} run", hello.world, states_.size()))
             .value());
    return;
  }
  RankState& state = states_[static_cast<std::size_t>(hello.rank)];
  if (state.greeted) {
    find(Nearness::kOwnError, hello.rank,
         core::input_error(rank_name(hello.rank), "is the rank that two programs say they are",
                           "set RANK for each")
             .value());
    return;
  }
  state.greeted = true;
  state.heard = Clock::now();
  connection.rank = hello.rank;
  record_.ranks[static_cast<std::size_t>(hello.rank)].hello = hello;
}

void Run::handle(Connection& connection, const StepRecord& step) {
  std::vector<StepRecord>& steps = record_.ranks[static_cast<std::size_t>(connection.rank)].steps;
  if (!steps.empty() && step.index <= steps.back().index) {
    find(Nearness::kOwnError, connection.rank,
         core::input_error(rank_name(connection.rank), fmt::format("sends step {} after step {}",
                                                                   step.index, steps.back().index))
             .value());
    return;
  }
  steps.push_back(step);
  Seconds& longest = states_[static_cast<std::size_t>(connection.rank)].longest_step;
  longest = std::max(longest, Seconds(static_cast<double>(step.end_ns - step.begin_ns) * 1e-9));
}

void Run::handle(Connection& connection, const StepsError& error) {
  states_[static_cast<std::size_t>(connection.rank)].complained = true;
  const bool hearsay = blames_another(error.message, connection.rank);
  find(hearsay ? Nearness::kHearsay : Nearness::kOwnError, connection.rank,
       core::negative(rank_name(connection.rank), error.message).value());
}

void Run::handle(Connection& connection, const StepsDone&) {
  states_[static_cast<std::size_t>(connection.rank)].done = true;
}

void Run::check_patience() {
  std::string silent;
  Seconds waited;
  for (std::size_t rank = 0; rank < states_.size(); ++rank) {
    const bool ended = !launch_.slurm && processes_[launch_.companions.size() + rank].ended;
    if (ended) continue;
    const bool started = !record_.ranks[rank].steps.empty();
    const Seconds patience =
        started ? std::max(launch_.patience, kStepsPerPatience * states_[rank].longest_step)
                : launch_.start_patience;
    const std::chrono::duration<double> silence =
        Clock::now() - (started ? states_[rank].heard : started_);
    if (silence.count() < patience.value()) continue;
    silent += (silent.empty() ? "" : " and ") + rank_name(static_cast<int>(rank));
    waited = patience;
  }
  if (silent.empty()) return;
  const std::string what =
      fmt::format("no step came for {}: it hangs", core::format_quantity(waited));
  find(Nearness::kOwnError, kNoRank,
       core::negative(silent, what, "where steps really take longer, allow more time").value());
}

void Run::find(Nearness nearness, int rank, Error error) {
  if (ending_) return;
  if (!finding_) found_ = Clock::now();
  if (!finding_ || nearness < finding_->nearness) {
    finding_ = Finding{nearness, rank, std::move(error)};
  }
}

std::string Run::rank_name(int rank) const {
  if (rank == kNoRank) return "a rank";
  if (launch_.slurm) {
    const std::size_t of_node = ranks_of_node(states_.size(), launch_.slurm->names.size());
    const std::string& node = launch_.slurm->names[static_cast<std::size_t>(rank) / of_node];
    return fmt::format("rank {} (on {})", rank, node);
  }
  for (const Process& process : processes_) {
    if (process.rank == rank) return fmt::format("rank {} (pid {})", rank, process.child.pid);
  }
  return fmt::format("rank {}", rank);
}

void Run::signal_all(int number) {
  for (const Process& process : processes_) {
    if (!process.ended) ::kill(-process.child.pid, number);
  }
}

void Run::end_all() {
  ending_ = true;
  if (!any_runs()) return;
  signal_all(SIGTERM);
  end_all_within(kEndGrace);
  if (launch_.slurm && any_runs()) {
    // srun has handed that on to what it has started. Interrupted, it kills it.
    signal_all(SIGINT);
    end_all_within(kEndGrace);
  }
  signal_all(SIGKILL);
  while (any_runs()) turn(kTurn);
}

void Run::end_all_within(milliseconds grace) {
  for (const Clock::time_point until = Clock::now() + grace; any_runs() && Clock::now() < until;) {
    turn(kTurn);
  }
}

}  // namespace penstock::train::internal
