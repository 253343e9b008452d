// Slurm through its programs, where there is no libslurm of the right version.
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "penstock/cluster/internal/slurm_doors.h"
#include "penstock/cluster/internal/slurm_text.h"

extern char** environ;

namespace penstock::cluster::internal {
namespace {

struct Output {
  std::string text;
  int status = 0;
};

// Both streams together: what a program of Slurm says in refusal is on either.
Result<Output> run_program(std::vector<std::string> words, const std::string& input,
                           const std::vector<std::string>* environment) {
  std::array<int, 2> from{};
  std::array<int, 2> to{};
  if (::pipe2(from.data(), O_CLOEXEC) != 0) return core::missing_error(words[0], "no pipe left");
  if (::pipe2(to.data(), O_CLOEXEC) != 0) {
    ::close(from[0]);
    ::close(from[1]);
    return core::missing_error(words[0], "no pipe left");
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, from[1], STDERR_FILENO);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::vector<char*> variables;
  if (environment != nullptr) {
    for (const std::string& variable : *environment) {
      variables.push_back(const_cast<char*>(variable.c_str()));
    }
    variables.push_back(nullptr);
  }
  pid_t child = 0;
  const int failure = ::posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(),
                                     environment == nullptr ? environ : variables.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(from[1]);
  ::close(to[0]);
  if (failure != 0) {
    ::close(from[0]);
    ::close(to[1]);
    return core::missing_error("Slurm", words[0] + " cannot be started: " + std::strerror(failure),
                               "apt-get install slurm-client");
  }
  // Scripts are smaller than a pipe's 64 KiB, so this does not wait for the reader.
  for (std::size_t sent = 0; sent < input.size();) {
    const ssize_t count = ::write(to[1], input.data() + sent, input.size() - sent);
    if (count < 0 && errno != EINTR) break;
    if (count > 0) sent += std::size_t(count);
  }
  ::close(to[1]);
  Output output;
  std::array<char, 65536> part{};
  for (ssize_t got = 0; (got = ::read(from[0], part.data(), part.size())) != 0;) {
    if (got < 0 && errno != EINTR) break;
    if (got > 0) output.text.append(part.data(), std::size_t(got));
  }
  ::close(from[0]);
  while (::waitpid(child, &output.status, 0) < 0 && errno == EINTR) {
  }
  return output;
}

class SlurmPrograms : public BatchSystem {
 public:
  explicit SlurmPrograms(std::string resource) : resource_(std::move(resource)) {}
  std::string name() const override { return "scontrol"; }

  Result<const BatchView*> look() override {
    PENSTOCK_TRY(const std::vector<SlurmRecord> nodes, records({"show", "node"}));
    PENSTOCK_TRY(const std::vector<SlurmRecord> switches, records({"show", "topology"}));
    PENSTOCK_TRY(const std::vector<SlurmRecord> jobs, records({"--details", "show", "job"}));
    view_ = {};
    for (const SlurmRecord& record : nodes) {
      if (!record.value("NodeName").empty()) view_.nodes.push_back(node_of(record, resource_));
    }
    set_racks(view_.nodes, switches);
    for (const SlurmRecord& record : jobs) {
      if (!record.value("JobId").empty()) view_.jobs.push_back(job_of(record, resource_));
    }
    return &view_;
  }

  Result<std::int64_t> submit(const BatchSubmission& submission) override {
    PENSTOCK_TRY(const std::string text,
                 ask({"sbatch", "--parsable", "--hold", "--requeue", "--open-mode=append",
                      "--job-name=" + submission.name, "--comment=" + submission.comment,
                      "--chdir=" + submission.folder, "--output=" + submission.output,
                      fmt::format("--gpus={}", submission.accelerators),
                      fmt::format("--ntasks={}", submission.accelerators), "--nodes=1-9999"},
                     submission.script, &submission.environment));
    return std::strtoll(text.c_str(), nullptr, 10);
  }

  Status place(const BatchJob& job, const std::vector<NodeShare>& shares) override {
    std::string names;
    for (const NodeShare& share : shares) names += (names.empty() ? "" : ",") + share.node;
    const int tasks = tasks_on(job, shares.size());
    return update(job.id, {"ReqNodeList=" + names, fmt::format("NumNodes={}", shares.size()),
                           fmt::format("NumTasks={}", tasks),
                           fmt::format("NumCPUs={}", tasks * job.processors_per_task)});
  }
  Status release(std::int64_t job) override {
    PENSTOCK_TRY_STATUS(update(job, {"StartTime=now"}));
    return control({"release", std::to_string(job)});
  }
  Status hold(std::int64_t job) override { return control({"uhold", std::to_string(job)}); }
  Status requeue_hold(std::int64_t job) override {
    return control({"requeuehold", std::to_string(job)});
  }
  Status signal(std::int64_t job, int signal) override {
    return done(
        ask({"scancel", "--batch", fmt::format("--signal={}", signal), std::to_string(job)}));
  }
  Status cancel(std::int64_t job) override { return done(ask({"scancel", std::to_string(job)})); }

 private:
  Result<std::string> ask(const std::vector<std::string>& words, const std::string& input = "",
                          const std::vector<std::string>* environment = nullptr) {
    PENSTOCK_TRY(Output output, run_program(words, input, environment));
    if (output.status == 0) return std::move(output.text);
    std::string said = output.text.substr(0, output.text.find('\n'));
    return core::missing_error(
        "Slurm", fmt::format("{} {} failed: {}", words[0], words.size() > 1 ? words[1] : "", said));
  }
  static Status done(const Result<std::string>& answer) {
    if (!answer) return core::fail(answer.error());
    return {};
  }
  Status control(std::vector<std::string> words) {
    words.insert(words.begin(), "scontrol");
    return done(ask(words));
  }
  Status update(std::int64_t job, const std::vector<std::string>& changes) {
    std::vector<std::string> words = {"update", fmt::format("JobId={}", job)};
    words.insert(words.end(), changes.begin(), changes.end());
    return control(words);
  }
  Result<std::vector<SlurmRecord>> records(std::vector<std::string> words) {
    words.insert(words.begin(), {"scontrol", "--oneliner", "--all"});
    PENSTOCK_TRY(const std::string text, ask(words));
    std::vector<SlurmRecord> records;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      records.push_back(parse_record(std::string_view(text).substr(at, end - at)));
      at = end + 1;
    }
    return records;
  }

  std::string resource_;
  BatchView view_;
};

}  // namespace

Result<std::unique_ptr<BatchSystem>> open_slurm_programs(const std::string& resource) {
  auto programs = std::make_unique<SlurmPrograms>(resource);
  PENSTOCK_TRY_STATUS(programs->look().map([](const BatchView*) {}));
  return programs;
}

}  // namespace penstock::cluster::internal
