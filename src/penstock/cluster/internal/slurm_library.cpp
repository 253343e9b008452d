// The only file that knows libslurm. It is compiled against the headers of one version, whose
// structures change with every other; the number in the library's name changes with them.
#include <dlfcn.h>
#include <fmt/format.h>
#include <pwd.h>
#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <map>

#include "penstock/cluster/internal/slurm_doors.h"
#include "penstock/cluster/internal/slurm_text.h"

namespace penstock::cluster::internal {
namespace {

constexpr const char* kLibrary = PENSTOCK_SLURM_LIBRARY;
// How often the racks are read again, which no change of theirs announces.
constexpr int kReconfigureSeconds = 60;

// libslurm's functions, by name.
struct Api {
#define PENSTOCK_SLURM_FUNCTIONS(use)                                                           \
  use(slurm_init) use(slurm_ping) use(slurm_get_errno) use(slurm_strerror) use(slurm_load_jobs) \
      use(slurm_free_job_info_msg) use(slurm_load_node) use(slurm_free_node_info_msg)           \
          use(slurm_load_topo) use(slurm_free_topo_info_msg) use(slurm_init_job_desc_msg)       \
              use(slurm_submit_batch_job) use(slurm_free_submit_response_response_msg)          \
                  use(slurm_update_job) use(slurm_requeue) use(slurm_kill_job)
#define PENSTOCK_DECLARE_(name) decltype(&::name) name = nullptr;
  PENSTOCK_SLURM_FUNCTIONS(PENSTOCK_DECLARE_)
#undef PENSTOCK_DECLARE_
};

Result<Api> load_api() {
  // Global: the plugins that libslurm loads take its functions from here.
  void* library = ::dlopen(kLibrary, RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) {
    return core::missing_error("Slurm", fmt::format("{} is not installed", kLibrary),
                               "apt-get install libslurm38, or choose --door programs");
  }
  Api api;
  const char* absent = nullptr;
#define PENSTOCK_FIND_(name)                                               \
  api.name = reinterpret_cast<decltype(&::name)>(::dlsym(library, #name)); \
  if (api.name == nullptr) absent = #name;
  PENSTOCK_SLURM_FUNCTIONS(PENSTOCK_FIND_)
#undef PENSTOCK_FIND_
  if (absent != nullptr) {
    return core::missing_error("Slurm", fmt::format("{} has no {}", kLibrary, absent),
                               "choose --door programs");
  }
  return api;
}

// slurm_init ends the process where the configuration is missing or bad, so a child tries it first.
Status try_configuration(const Api& api) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return core::missing_error("Slurm", "no pipe can be made");
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    api.slurm_init(nullptr);
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string said;
  std::array<char, 512> part{};
  for (ssize_t got = 0; child > 0 && (got = ::read(ends[0], part.data(), part.size())) != 0;) {
    if (got < 0 && errno != EINTR) break;
    if (got > 0) said.append(part.data(), std::size_t(got));
  }
  ::close(ends[0]);
  int status = 1;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status == 0) return {};
  const std::size_t fatal = said.rfind("fatal: ");
  said = fatal == std::string::npos ? "" : ": " + said.substr(fatal + 7);
  return core::missing_error("Slurm",
                             "its configuration cannot be read" + said.substr(0, said.find('\n')),
                             "set SLURM_CONF to the cluster's slurm.conf");
}

std::string text_of(const char* text) { return text == nullptr ? "" : text; }

class SlurmLibrary : public BatchSystem {
 public:
  SlurmLibrary(const Api& api, std::string resource) : api_(api), resource_(std::move(resource)) {}
  ~SlurmLibrary() override {
    if (jobs_ != nullptr) api_.slurm_free_job_info_msg(jobs_);
    if (nodes_ != nullptr) api_.slurm_free_node_info_msg(nodes_);
  }

  std::string name() const override {
    return fmt::format("libslurm {}.{:02}.{}", SLURM_VERSION_MAJOR(SLURM_VERSION_NUMBER),
                       SLURM_VERSION_MINOR(SLURM_VERSION_NUMBER),
                       SLURM_VERSION_MICRO(SLURM_VERSION_NUMBER));
  }

  Result<const BatchView*> look() override {
    PENSTOCK_TRY_STATUS(load_nodes());
    job_info_msg_t* fresh = nullptr;
    const int code = api_.slurm_load_jobs(jobs_ == nullptr ? 0 : jobs_->last_update, &fresh,
                                          SHOW_ALL | SHOW_DETAIL);
    if (code != 0) {
      if (errno == SLURM_NO_CHANGE_IN_DATA) return &view_;
      return failure("the jobs cannot be read");
    }
    if (jobs_ != nullptr) api_.slurm_free_job_info_msg(jobs_);
    jobs_ = fresh;
    view_.jobs.clear();
    view_.jobs.reserve(jobs_->record_count);
    for (std::uint32_t i = 0; i < jobs_->record_count; ++i) {
      view_.jobs.push_back(read_job(jobs_->job_array[i]));
    }
    return &view_;
  }

  Result<std::int64_t> submit(const BatchSubmission& submission) override {
    job_desc_msg_t message;
    api_.slurm_init_job_desc_msg(&message);
    // The library takes char*, and changes none of them.
    const auto plain = [](const std::string& text) { return const_cast<char*>(text.c_str()); };
    const std::string tres = fmt::format("gres:{}:{}", resource_, submission.accelerators);
    std::vector<char*> environment;
    for (const std::string& variable : submission.environment) {
      environment.push_back(plain(variable));
    }
    message.name = plain(submission.name);
    message.comment = plain(submission.comment);
    message.script = plain(submission.script);
    message.work_dir = plain(submission.folder);
    message.std_out = plain(submission.output);
    message.tres_per_job = plain(tres);
    message.num_tasks = std::uint32_t(submission.accelerators);
    message.min_cpus = std::uint32_t(submission.accelerators);
    message.min_nodes = 1;
    message.environment = environment.data();
    message.env_size = std::uint32_t(environment.size());
    message.user_id = ::getuid();
    message.group_id = ::getgid();
    message.priority = 0;
    message.alloc_sid = ALLOC_SID_USER_HOLD;
    message.requeue = 1;
    message.open_mode = OPEN_MODE_APPEND;
    submit_response_msg_t* response = nullptr;
    if (api_.slurm_submit_batch_job(&message, &response) != 0) {
      return failure("job \"" + submission.name + "\" is refused");
    }
    const std::int64_t id = response->job_id;
    api_.slurm_free_submit_response_response_msg(response);
    return id;
  }

  Status place(const BatchJob& job, const std::vector<NodeShare>& shares) override {
    std::string names;
    for (const NodeShare& share : shares) names += (names.empty() ? "" : ",") + share.node;
    const auto tasks = std::uint32_t(tasks_on(job, shares.size()));
    return update(job.id, "cannot be placed", [&](job_desc_msg_t& message) {
      message.req_nodes = names.data();
      message.min_nodes = message.max_nodes = std::uint32_t(shares.size());
      message.num_tasks = tasks;
      message.min_cpus = tasks * std::uint32_t(job.processors_per_task);
    });
  }

  Status release(std::int64_t job) override {
    return update(job, "cannot be released", [](job_desc_msg_t& message) {
      message.priority = INFINITE;
      message.alloc_sid = 0;
      // A requeued job waits two minutes, the life of its old credential, unless told.
      message.begin_time = std::time(nullptr);
    });
  }

  Status hold(std::int64_t job) override {
    return update(job, "cannot be held", [](job_desc_msg_t& message) {
      message.priority = 0;
      message.alloc_sid = ALLOC_SID_USER_HOLD;
    });
  }

  Status requeue_hold(std::int64_t job) override {
    return done(api_.slurm_requeue(std::uint32_t(job), JOB_REQUEUE_HOLD), job,
                "cannot be requeued");
  }
  Status signal(std::int64_t job, int signal) override {
    return done(api_.slurm_kill_job(std::uint32_t(job), std::uint16_t(signal), KILL_JOB_BATCH), job,
                "cannot be signalled");
  }
  Status cancel(std::int64_t job) override {
    return done(api_.slurm_kill_job(std::uint32_t(job), SIGKILL, 0), job, "cannot be cancelled");
  }

 private:
  tl::unexpected<Error> failure(const std::string& what) const {
    return core::missing_error(
        "Slurm", fmt::format("{}: {}", what, api_.slurm_strerror(api_.slurm_get_errno())));
  }
  Status done(int code, std::int64_t job, const char* what) const {
    if (code == 0) return {};
    return failure(fmt::format("job {} {}", job, what));
  }
  template <typename Change>
  Status update(std::int64_t job, const char* what, Change change) const {
    job_desc_msg_t message;
    api_.slurm_init_job_desc_msg(&message);
    message.job_id = std::uint32_t(job);
    change(message);
    return done(api_.slurm_update_job(&message), job, what);
  }

  Status load_nodes() {
    node_info_msg_t* fresh = nullptr;
    const int code = api_.slurm_load_node(nodes_ == nullptr ? 0 : nodes_->last_update, &fresh,
                                          SHOW_ALL | SHOW_DETAIL);
    const bool is_same = code != 0 && errno == SLURM_NO_CHANGE_IN_DATA;
    if (code != 0 && !is_same) return failure("the nodes cannot be read");
    if (!is_same) {
      if (nodes_ != nullptr) api_.slurm_free_node_info_msg(nodes_);
      nodes_ = fresh;
    }
    const std::time_t now = std::time(nullptr);
    if (is_same && now - racks_read_ < kReconfigureSeconds) return {};
    view_.nodes.clear();
    for (std::uint32_t i = 0; i < nodes_->record_count; ++i) {
      const node_info_t& info = nodes_->node_array[i];
      if (info.name != nullptr) view_.nodes.push_back(read_node(info));
    }
    racks_read_ = now;
    return load_racks();
  }

  Status load_racks() {
    topo_info_response_msg_t* topology = nullptr;
    if (api_.slurm_load_topo(&topology) != 0) return failure("the topology cannot be read");
    std::vector<SlurmRecord> switches;
    for (std::uint32_t i = 0; i < topology->record_count; ++i) {
      const topo_info_t& info = topology->topo_array[i];
      SlurmRecord record;
      record.values = {{"Level", std::to_string(info.level)},
                       {"SwitchName", text_of(info.name)},
                       {"Nodes", text_of(info.nodes)}};
      switches.push_back(std::move(record));
    }
    api_.slurm_free_topo_info_msg(topology);
    set_racks(view_.nodes, switches);
    return {};
  }

  BatchNode read_node(const node_info_t& info) const {
    const std::uint32_t base = info.node_state & NODE_STATE_BASE;
    constexpr std::uint32_t kOut = NODE_STATE_DRAIN | NODE_STATE_NO_RESPOND | NODE_STATE_FAIL |
                                   NODE_STATE_POWERED_DOWN | NODE_STATE_POWERING_DOWN |
                                   NODE_STATE_POWER_DOWN | NODE_STATE_MAINT |
                                   NODE_STATE_REBOOT_ISSUED | NODE_STATE_INVALID_REG;
    const bool is_up =
        base == NODE_STATE_IDLE || base == NODE_STATE_ALLOCATED || base == NODE_STATE_MIXED;
    return {.name = text_of(info.name),
            .rack = "",
            .accelerators = resource_count(text_of(info.gres), resource_),
            .is_usable = is_up && (info.node_state & kOut) == 0};
  }

  BatchJob read_job(const slurm_job_info_t& info) {
    BatchJob job;
    job.id = info.job_id;
    job.name = text_of(info.name);
    job.user = info.user_name != nullptr ? info.user_name : user_name(info.user_id);
    job.partition = text_of(info.partition);
    job.comment = text_of(info.comment);
    job.is_array = info.array_job_id != 0;
    job.may_requeue = info.requeue != 0;
    const std::uint32_t base = info.job_state & JOB_STATE_BASE;
    job.is_completing = (info.job_state & JOB_COMPLETING) != 0;
    job.state = base == JOB_PENDING     ? BatchState::kPending
                : base == JOB_RUNNING   ? BatchState::kRunning
                : base == JOB_SUSPENDED ? BatchState::kSuspended
                                        : BatchState::kEnded;
    static constexpr std::array<const char*, JOB_END> kNames = {
        "PENDING", "RUNNING",   "SUSPENDED", "COMPLETED", "CANCELLED", "FAILED",
        "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE",  "OUT_OF_MEMORY"};
    job.state_name = base < kNames.size() ? kNames[base] : "UNKNOWN";
    job.is_held = job.state == BatchState::kPending && info.priority == 0;
    job.reason = text_of(info.state_desc);
    job.accelerators = resource_count(text_of(info.tres_per_job), resource_);
    job.tasks = int(std::max<std::uint32_t>(1, info.num_tasks));
    if (job.accelerators == 0) {
      job.accelerators = job.tasks * resource_count(text_of(info.tres_per_task), resource_);
    }
    job.processors_per_task =
        info.cpus_per_task == 0 || info.cpus_per_task == NO_VAL16 ? 1 : info.cpus_per_task;
    job.wanted_nodes = expand_hosts(text_of(info.req_nodes));
    if (job.state == BatchState::kRunning || job.state == BatchState::kSuspended ||
        job.is_completing) {
      const std::vector<std::string> nodes = expand_hosts(text_of(info.nodes));
      for (std::size_t i = 0; i < std::min<std::size_t>(nodes.size(), info.gres_detail_cnt); ++i) {
        const int count = resource_count(text_of(info.gres_detail_str[i]), resource_);
        if (count > 0) job.shares.push_back({nodes[i], count});
      }
    }
    job.restarts = info.restart_cnt;
    job.submit_s = info.submit_time;
    job.start_s = info.start_time;
    job.end_s = info.end_time;
    job.begin_s = job.state == BatchState::kPending ? info.eligible_time : 0;
    return job;
  }

  const std::string& user_name(std::uint32_t id) {
    const auto found = users_.find(id);
    if (found != users_.end()) return found->second;
    const passwd* entry = ::getpwuid(id);
    return users_[id] = entry == nullptr ? std::to_string(id) : entry->pw_name;
  }

  Api api_;
  std::string resource_;
  job_info_msg_t* jobs_ = nullptr;
  node_info_msg_t* nodes_ = nullptr;
  std::time_t racks_read_ = 0;
  std::map<std::uint32_t, std::string> users_;
  BatchView view_;
};

}  // namespace

Result<std::unique_ptr<BatchSystem>> open_slurm_library(const std::string& resource) {
  PENSTOCK_TRY(const Api api, load_api());
  PENSTOCK_TRY_STATUS(try_configuration(api));
  static const bool is_begun = [&] {
    api.slurm_init(nullptr);
    return true;
  }();
  static_cast<void>(is_begun);
  if (api.slurm_ping(0) != 0) {
    return core::missing_error(
        "Slurm", fmt::format("its controller does not answer: {}", api.slurm_strerror(errno)),
        "start slurmctld, or set SLURM_CONF to the cluster's slurm.conf");
  }
  return std::make_unique<SlurmLibrary>(api, resource);
}

}  // namespace penstock::cluster::internal
