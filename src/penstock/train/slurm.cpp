#include "penstock/train/slurm.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <string_view>

#include "penstock/core/interrupt.h"
#include "penstock/train/internal/child_process.h"
#include "penstock/train/internal/slurm.h"
#include "penstock/train/internal/tcp.h"

namespace penstock::train {
namespace {

using internal::ChildProcess;

// What the command inside of the allocation says of it.
constexpr std::string_view kGranted = "penstock-allocation ";
// Ports for meetings: below those that Linux hands out by itself (32768 and up), above those of
// common services.
constexpr int kFirstPort = 20000;
constexpr int kPorts = 12000;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int number_of(const std::string& text) {
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// Slurm's own words, with an exit code that tells "no" from "nobody there".
Error refusal(const std::string& program, const std::string& words) {
  for (const char* absent : {"Unable to contact", "configuration source", "slurm.conf"}) {
    if (words.find(absent) == std::string::npos) continue;
    return core::missing_error(program, "Slurm does not answer: " + words,
                               "see whether slurmctld runs, and whether SLURM_CONF names its "
                               "configuration")
        .value();
  }
  return core::negative(
             program, "Slurm gives no nodes: " + words,
             "ask for what a partition has (sinfo), through --ranks, --nodes and salloc's "
             "own variables, such as SALLOC_PARTITION")
      .value();
}

Error without_slurm(Error error) {
  if (error.kind != ErrorKind::kMissing) return error;
  return core::missing_error("srun", "Slurm's commands are not installed",
                             "sudo apt-get install slurm-client, or run without --launcher slurm")
      .value();
}

Result<std::string> scontrol(const std::vector<std::string>& words) {
  std::vector<std::string> command = {"scontrol"};
  command.insert(command.end(), words.begin(), words.end());
  Result<std::string> text = internal::run_program(command);
  if (text) return text;
  if (text.error().kind == ErrorKind::kMissing) return core::fail(without_slurm(text.error()));
  return core::fail(refusal("scontrol", text.error().message));
}

bool is_loopback(const std::string& address) { return address.starts_with("127."); }

// The addresses of nodes; names and lists are Slurm's ("node[1-2]").
Result<std::vector<std::string>> addresses_of(const std::vector<std::string>& names) {
  std::vector<std::string> addresses;
  for (const std::string& name : names) {
    PENSTOCK_TRY(const std::string text, scontrol({"--oneliner", "show", "node", name}));
    constexpr std::string_view kKey = " NodeAddr=";
    const std::size_t at = text.find(kKey);
    const std::size_t begin = at == std::string::npos ? at : at + kKey.size();
    const std::string host =
        begin == std::string::npos ? name : text.substr(begin, text.find(' ', begin) - begin);
    PENSTOCK_TRY(addresses.emplace_back(), internal::address_of(host));
  }
  return addresses;
}

Result<SlurmNodes> look_up(const std::string& job, const std::string& list, int count) {
  SlurmNodes nodes;
  nodes.job = job;
  PENSTOCK_TRY(const std::string text, scontrol({"show", "hostnames", list}));
  std::istringstream lines(text);
  for (std::string name; std::getline(lines, name);) nodes.names.push_back(name);
  if (nodes.names.size() < static_cast<std::size_t>(count)) {
    return core::input_error("SLURM_JOB_ID",
                             fmt::format("the allocation {} has {} nodes where {} are wanted", job,
                                         nodes.names.size(), count),
                             "make it larger, or leave it, so that one is asked for");
  }
  nodes.names.resize(static_cast<std::size_t>(count));
  PENSTOCK_TRY(const std::vector<std::string> addresses, addresses_of(nodes.names));
  nodes.address = addresses.front();
  if (is_loopback(nodes.address) && !std::all_of(addresses.begin(), addresses.end(), is_loopback)) {
    return core::input_error(
        nodes.names.front(),
        fmt::format("is {} here, where other nodes cannot reach it", nodes.address),
        "give it an address of the network in /etc/hosts, or as NodeAddr in slurm.conf");
  }
  PENSTOCK_TRY(nodes.our_address, internal::own_address_towards(nodes.address));
  return nodes;
}

int processors_of_our_allocation(const SlurmRequest& request) {
  if (const int processors = number_of(variable("SLURM_CPUS_PER_TASK")); processors > 0) {
    return processors;
  }
  // "8(x2),4": of the nodes, as many as the first of them have.
  return std::max(1,
                  number_of(variable("SLURM_JOB_CPUS_PER_NODE")) * request.nodes / request.ranks);
}

}  // namespace

struct SlurmAllocation::State {
  SlurmNodes nodes;
  std::optional<ChildProcess> salloc;  // absent: the allocation is not ours
  int next_port = 0;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { give_back(); }

  Status ask_for(const SlurmRequest& request);
  Result<std::string> wait_for_grant();
  bool has_ended(int milliseconds) const;
  void give_back();
};

Status SlurmAllocation::State::ask_for(const SlurmRequest& request) {
  Result<ChildProcess> child = internal::start_child(
      {.command = internal::salloc_command(request, std::string(kGranted)),
       .environment = {},
       .network_namespace = "",
       .processors = {},
       // salloc hands it on to its command, which ends, and with it the allocation.
       .signal_with_parent = SIGTERM});
  if (!child) return core::fail(without_slurm(child.error()));
  salloc = *std::move(child);
  PENSTOCK_TRY(const std::string granted, wait_for_grant());
  const std::size_t blank = granted.find(' ');
  PENSTOCK_TRY(nodes, look_up(granted.substr(0, blank), granted.substr(blank + 1), request.nodes));
  return {};
}

// "JOB NODES".
Result<std::string> SlurmAllocation::State::wait_for_grant() {
  std::string text;
  while (true) {
    pollfd wanted = {salloc->output.descriptor(), POLLIN, 0};
    ::poll(&wanted, 1, 100);
    if (core::interrupted()) return core::negative("salloc", "interrupted in Slurm's queue");
    char buffer[4096];
    const ssize_t n = ::read(salloc->output.descriptor(), buffer, sizeof(buffer));
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n <= 0) break;
    text.append(buffer, static_cast<std::size_t>(n));
    const std::size_t begin = text.find(kGranted);
    const std::size_t end = begin == std::string::npos ? begin : text.find('\n', begin);
    if (end == std::string::npos) continue;
    const std::size_t from = begin + kGranted.size();
    return text.substr(from, end - from);
  }
  internal::LastLines last;
  last.add(text);
  return core::fail(refusal("salloc", last.text()));
}

bool SlurmAllocation::State::has_ended(int milliseconds) const {
  pollfd wanted = {salloc->ended.descriptor(), POLLIN, 0};
  return ::poll(&wanted, 1, milliseconds) > 0;
}

void SlurmAllocation::State::give_back() {
  if (!salloc) return;
  constexpr int kGraceMilliseconds = 5000;
  ::kill(salloc->pid, SIGTERM);
  if (!has_ended(kGraceMilliseconds)) {
    if (!nodes.job.empty()) (void)internal::run_program({"scancel", "--quiet", nodes.job});
    ::kill(-salloc->pid, SIGKILL);
  }
  while (::waitpid(salloc->pid, nullptr, 0) < 0 && errno == EINTR) continue;
  salloc.reset();
}

SlurmAllocation::SlurmAllocation(std::unique_ptr<State> state) : state_(std::move(state)) {}
SlurmAllocation::SlurmAllocation(SlurmAllocation&&) noexcept = default;
SlurmAllocation& SlurmAllocation::operator=(SlurmAllocation&&) noexcept = default;
SlurmAllocation::~SlurmAllocation() = default;

Result<SlurmAllocation> SlurmAllocation::create(const SlurmRequest& request) {
  auto state = std::make_unique<State>();
  if (const std::string job = variable("SLURM_JOB_ID"); !job.empty()) {
    PENSTOCK_TRY(state->nodes, look_up(job, variable("SLURM_JOB_NODELIST"), request.nodes));
    state->nodes.processors_of_rank = processors_of_our_allocation(request);
  } else {
    PENSTOCK_TRY_STATUS(state->ask_for(request));
  }
  if (request.processors_of_rank > 0) {
    state->nodes.processors_of_rank = request.processors_of_rank;
  }
  // Profiles that run at once begin in different places.
  state->next_port = static_cast<int>((number_of(state->nodes.job) * 131L + ::getpid()) % kPorts);
  return SlurmAllocation(std::move(state));
}

const SlurmNodes& SlurmAllocation::nodes() const { return state_->nodes; }

SlurmNodes SlurmAllocation::first(int nodes) const {
  SlurmNodes part = state_->nodes;
  part.names.resize(static_cast<std::size_t>(nodes));
  return part;
}

std::string SlurmAllocation::new_rendezvous() {
  // Only the first node knows its ports for sure; where it is this machine, so do we.
  for (int attempt = 0; attempt < kPorts; ++attempt) {
    const int port = kFirstPort + state_->next_port++ % kPorts;
    if (internal::listen_tcp("", port, 1)) {
      return internal::to_text(internal::Endpoint{state_->nodes.address, port});
    }
  }
  return internal::to_text(internal::Endpoint{state_->nodes.address, kFirstPort});
}

std::string SlurmAllocation::interface() const { return "route:" + state_->nodes.address; }

}  // namespace penstock::train
