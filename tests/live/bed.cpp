#include "bed.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "penstock/core/clock.h"
#include "penstock/core/file.h"

extern char** environ;

namespace penstock::live {
namespace {

namespace fs = std::filesystem;

std::string text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// "NAME=value" in the environment of a process.
bool has_variable(const std::string& process, const std::string& variable) {
  const std::string text = '\0' + text_of(process + "/environ");
  return text.find('\0' + variable + '\0') != std::string::npos;
}

pid_t parent_of(const std::string& process) {
  const std::string text = text_of(process + "/status");
  const std::size_t at = text.find("\nPPid:");
  return at == std::string::npos ? 0 : pid_t(std::strtol(text.c_str() + at + 6, nullptr, 10));
}

std::vector<std::string> processes() {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator at("/proc", error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.find_first_not_of("0123456789") == std::string::npos) found.push_back(at->path());
  }
  return found;
}

}  // namespace

Process::Process(const std::vector<std::string>& words, const std::string& log) {
  std::vector<std::string> copy = words;
  std::vector<char*> arguments;
  for (std::string& word : copy) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, (log + ".out").c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (::posix_spawnp(&child_, arguments[0], &actions, nullptr, arguments.data(), environ) != 0) {
    child_ = -1;
    code_ = 127;
  }
  ::posix_spawn_file_actions_destroy(&actions);
}

Process::Process(Process&& other) noexcept
    : child_(std::exchange(other.child_, -1)), code_(other.code_) {}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(child_, other.child_);
  std::swap(code_, other.code_);
  return *this;
}

Process::~Process() {
  if (child_ <= 0) return;
  signal(SIGKILL);
  wait();
}

void Process::signal(int number) const {
  if (child_ > 0) ::kill(child_, number);
}

int Process::wait() {
  int status = 0;
  while (child_ > 0 && ::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
  }
  if (child_ > 0) code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  child_ = -1;
  return code_;
}

bool Process::is_running() {
  int status = 0;
  if (child_ <= 0 || ::waitpid(child_, &status, WNOHANG) == 0) return child_ > 0;
  code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  child_ = -1;
  return false;
}

Result<std::unique_ptr<Bed>> Bed::start(const BedShape& shape) {
  PENSTOCK_TRY(core::PrivateFolder folder, core::PrivateFolder::create());
  std::unique_ptr<Bed> bed(new Bed(std::move(folder)));
  bed->bed_ = bed->folder() + "/bed";
  bed->jobs_ = bed->folder() + "/jobs";
  fs::create_directory(bed->jobs_);
  Process up({PENSTOCK_SOURCE_DIR "/examples/slurm/up", "--scheduler", "builtin", "--nodes",
              std::to_string(shape.nodes), "--accelerators", std::to_string(shape.accelerators),
              "--racks", std::to_string(shape.racks), bed->bed_},
             bed->folder() + "/up");
  const int code = up.wait();
  if (code == 3) return core::missing_error("Slurm", text_of(bed->folder() + "/up"));
  if (code != 0) return core::negative("Slurm", text_of(bed->folder() + "/up"));
  ::setenv("SLURM_CONF", (bed->bed_ + "/slurm.conf").c_str(), 1);
  // By default Slurm waits up to 3 s for further jobs before it looks at a released one.
  std::ofstream(bed->bed_ + "/slurm.conf", std::ios::app)
      << "SchedulerParameters=batch_sched_delay=0,sched_min_interval=0\n";
  Process({"scontrol", "reconfigure"}, bed->folder() + "/reconfigure").wait();
  PENSTOCK_TRY(bed->slurm_, cluster::open_slurm({}));
  PENSTOCK_TRY_STATUS(core::write_file(
      bed->folder() + "/cluster.toml",
      fmt::format("[cluster]\nname = \"bed\"\nracks = {}\nnodes_per_rack = {}\n"
                  "accelerators_per_node = {}\n[links.inside]\nbandwidth = \"150 GB/s\"\n"
                  "[links.node_uplink]\nbandwidth = \"100 Gbit/s\"\n"
                  "[slowdown.vgg16]\nrack = 1.5\nnetwork = 2.5\n",
                  shape.racks, shape.nodes / shape.racks, shape.accelerators)));
  return bed;
}

Bed::~Bed() {
  Process({PENSTOCK_SOURCE_DIR "/examples/slurm/down", bed_}, folder() + "/down").wait();
}

Result<std::int64_t> Bed::submit(int accelerators, double work_s, const std::string& comment) {
  std::vector<std::string> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    environment.emplace_back(*variable);
  }
  const double best = iteration_s(accelerators);
  return slurm_->submit(
      {.name = "live",
       .script = fmt::format("#!/bin/sh\nexec srun --ntasks=$SLURM_NNODES --ntasks-per-node=1 {} "
                             "folder={} iterations={} compute=100ms bytes=2MB node=20MB/s "
                             "rack=10MB/s network=5MB/s\n",
                             PENSTOCK_TEST_JOB, jobs_, std::max(1L, std::lround(work_s / best))),
       .comment = comment,
       .folder = jobs_,
       .output = jobs_ + "/output.%j",
       .accelerators = accelerators,
       .environment = std::move(environment)});
}

Process Bed::run(std::vector<std::string> options) {
  options.insert(options.begin(), {PENSTOCK_PROGRAM, "cluster", "run", "--engine", "slurm",
                                   "--book", folder() + "/book.sqlite", "--interval", "0.2 s",
                                   "--cluster", folder() + "/cluster.toml", "--json"});
  return {options, folder() + "/run"};
}

std::string Bed::log() const { return text_of(folder() + "/run"); }

core::Json Bed::document() const {
  const Result<core::Json> json = core::parse_json(text_of(folder() + "/run.out"), "run");
  return json ? *json : core::Json();
}

std::vector<std::int64_t> Bed::done() const {
  std::vector<std::int64_t> ids;
  std::istringstream lines(text_of(jobs_ + "/done"));
  for (std::string line; std::getline(lines, line);) {
    ids.push_back(std::strtoll(line.c_str(), nullptr, 10));
  }
  return ids;
}

void Bed::restart_controller() {
  const std::string file = bed_ + "/pid/slurmctld";
  const auto pid = pid_t(std::strtol(text_of(file).c_str(), nullptr, 10));
  ::kill(pid, SIGTERM);
  for (int i = 0; i < 300 && ::kill(pid, 0) == 0; ++i) {
    core::wait_until_ns(core::now_ns() + 100'000'000);
  }
  Process({"/usr/bin/env", "PENSTOCK_SLURM_BED=" + bed_, "PATH=/usr/sbin:/sbin:/usr/bin:/bin",
           "slurmctld", "-f", bed_ + "/slurm.conf"},
          folder() + "/controller")
      .wait();
}

void Bed::kill_node(const std::string& name) {
  std::set<pid_t> doomed;
  for (const std::string& process : processes()) {
    if (!has_variable(process, "SLURMD_NODENAME=" + name) ||
        !has_variable(process, "SLURM_CONF=" + bed_ + "/slurm.conf")) {
      continue;
    }
    const pid_t parent = parent_of(process);
    // The step's manager first, or it would tell the controller how its tasks ended.
    if (text_of(fmt::format("/proc/{}/comm", parent)).starts_with("slurmstepd")) {
      ::kill(parent, SIGKILL);
    }
    doomed.insert(pid_t(std::strtol(process.c_str() + 6, nullptr, 10)));
  }
  ::kill(pid_t(std::strtol(text_of(bed_ + "/pid/" + name).c_str(), nullptr, 10)), SIGKILL);
  for (const pid_t pid : doomed) ::kill(pid, SIGKILL);
}

std::vector<std::string> Bed::left_behind() {
  std::vector<std::string> left;
  for (const std::string& process : processes()) {
    if (has_variable(process, "SLURM_CONF=" + bed_ + "/slurm.conf") &&
        text_of(process + "/comm").starts_with("penstock-test")) {
      left.push_back(process);
    }
  }
  const auto view = slurm_->look();
  if (!view) return {view.error().text()};
  for (const cluster::BatchJob& job : (*view)->jobs) {
    if (job.state != cluster::BatchState::kEnded) {
      left.push_back(fmt::format("job {} {} {}", job.id, job.state_name, job.comment));
    }
  }
  return left;
}

}  // namespace penstock::live
