// penstock cluster run: the policy at work on a real Slurm.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <optional>

#include "penstock/cli/command_cluster.h"
#include "penstock/cli/internal/quantity_option.h"
#include "penstock/cluster/live.h"
#include "penstock/core/clock.h"
#include "penstock/core/file.h"
#include "penstock/core/interrupt.h"
#include "penstock/core/table.h"
#include "penstock/ledger/book.h"
#include "penstock/ledger/journal.h"
#include "penstock/version.h"

namespace penstock::cli {
namespace {

using cluster::LiveScheduler;
using cluster::LiveState;
using core::Json;

constexpr std::int64_t kSecond = 1'000'000'000;
// A controller that is being restarted is back within this, and one that stays away is not hurried.
constexpr std::int64_t kLongestRetry = 30 * kSecond;

std::int64_t unix_ns() { return core::clock_ns(CLOCK_REALTIME); }

std::vector<std::string> names_of(const auto& list) {
  std::vector<std::string> names;
  for (const auto& it : list) names.push_back(it.name);
  return names;
}

void say(const std::string& line) {
  const std::time_t now = std::time(nullptr);
  fmt::print(stderr, "{:%H:%M:%S} {}\n", fmt::localtime(now), line);
}

// Wakes for Ctrl-C within a fifth of a second.
void wait_for(std::int64_t ns) {
  const std::int64_t end = core::now_ns() + ns;
  while (!core::interrupted() && core::now_ns() < end) {
    core::wait_until_ns(std::min(end, core::now_ns() + kSecond / 5));
  }
}

// What tells one cluster's journal from another's in the same book.
std::string journal_name() {
  const char* file = std::getenv("SLURM_CONF");
  return "cluster-" + core::content_hash(file == nullptr ? "/etc/slurm/slurm.conf" : file);
}

class ClusterRunCommand : public Command {
 public:
  std::string name() const override { return "run"; }
  std::string summary() const override {
    return "Let a policy place, preempt and move the marked jobs of a real Slurm";
  }
  std::string example() const override {
    return "penstock cluster run --engine slurm --policy dally --dry-run";
  }
  void declare(CLI::App& app) override {
    app.add_option("--engine", engine_, "What runs the jobs: slurm")
        ->check(CLI::IsMember({"slurm"}))
        ->type_name("NAME");
    app.add_option("--door", door_, "To Slurm: best, library (libslurm) or programs (scontrol)")
        ->check(CLI::IsMember({"best", "library", "programs"}))
        ->type_name("NAME");
    app.add_option("--policy", order_, "Who is served first; default dally")
        ->check(CLI::IsMember(names_of(cluster::orders())))
        ->type_name("NAME");
    app.add_option("--placement", placement_,
                   "How long a job waits for accelerators that lie together; default: the policy's")
        ->check(CLI::IsMember(names_of(cluster::patience_rules())))
        ->type_name("NAME");
    app.add_option("--set", set_, "A parameter of the policy, NAME=VALUE")->type_name("NAME=VALUE");
    app.add_option("--cluster", cluster_file_,
                   "Links and prices (docs/cluster.md); the nodes are Slurm's")
        ->type_name("CLUSTER.toml");
    app.add_option("--profiles", profiles_, "Measured placements: how much each slows which model")
        ->type_name("DIR");
    app.add_option("--partition", partition_, "Only jobs of this partition")->type_name("NAME");
    app.add_option("--resource", resource_, "The generic resource that is an accelerator")
        ->type_name("NAME");
    app.add_option("--reports", reports_, "Folder in which jobs report their speed")
        ->type_name("DIR");
    app.add_option("--interval", interval_text_, "Between two looks at Slurm; default 1 s")
        ->type_name("TIME");
    app.add_option("--metrics", metrics_, "Keep this file of metrics for Prometheus' node exporter")
        ->type_name("FILE");
    app.add_option("--book", book_, "The book that keeps the journal")->type_name("FILE");
    app.add_flag("--once", once_, "Look, decide and act once, then end");
    app.add_flag("--until-done", until_done_, "End when no marked job is left");
    app.add_flag("--dry-run", dry_run_, "Say what would be decided now, and do nothing");
    output_.declare(app);
  }

  Status prepare() override {
    PENSTOCK_TRY_STATUS(internal::read_quantity("--interval", interval_text_, interval_));
    if (interval_.value() < 0.1 || interval_.value() > 3600) {
      return core::input_error("--interval", interval_text_ + " is out of range",
                               "use 0.1 s to 1 h");
    }
    PENSTOCK_TRY(options_.policy, cluster::make_policy(order_, placement_));
    for (const std::string& assignment : set_) {
      const std::size_t equals = assignment.find('=');
      if (equals == std::string::npos) {
        return core::input_error("--set", fmt::format("\"{}\" has no =", assignment),
                                 "write NAME=VALUE, as in delay-node=30min");
      }
      PENSTOCK_TRY_STATUS(options_.policy.settings.set(assignment.substr(0, equals),
                                                       assignment.substr(equals + 1)));
    }
    if (options_.policy.order.name == "gittins") {
      return core::input_error("--policy",
                               "gittins needs the law of durations, which live jobs "
                               "do not have",
                               "use dally or 2d-las");
    }
    options_.partition = partition_;
    options_.reports = reports_;
    options_.dry_run = dry_run_;
    return {};
  }

  Status run() override {
    options_.links = cluster::uniform(1, 1, 1);
    if (!cluster_file_.empty()) {
      PENSTOCK_TRY(options_.links, cluster::read_topology(cluster_file_));
    }
    PENSTOCK_TRY(cluster::SpeedBook speeds,
                 cluster::SpeedBook::read({.pollux = profiles_, .gavel = ""}));
    PENSTOCK_TRY(batch_,
                 cluster::open_slurm({.door = door_ == "library"    ? cluster::SlurmDoor::kLibrary
                                              : door_ == "programs" ? cluster::SlurmDoor::kPrograms
                                                                    : cluster::SlurmDoor::kBest,
                                      .resource = resource_}));
    std::optional<ledger::Journal> journal;
    if (!dry_run_) {
      PENSTOCK_TRY(const std::string path, ledger::book_path(book_));
      PENSTOCK_TRY(journal, ledger::Journal::open(path, journal_name()));
    }
    PENSTOCK_TRY(LiveScheduler live,
                 LiveScheduler::begin(options_, speeds, *batch_, journal ? &*journal : nullptr));
    core::install_interrupt_handler();
    say(fmt::format("{} with placement {} through {}{}", options_.policy.order.name,
                    options_.policy.rule.name, batch_->name(),
                    dry_run_ ? "; a dry run, nothing is done" : ""));
    PENSTOCK_TRY_STATUS(drive(live));
    PENSTOCK_TRY_STATUS(finish(live));
    if (dry_run_) return {};
    return live.clear_ended();
  }

 private:
  Status drive(LiveScheduler& live) {
    std::int64_t retry = 0;
    while (!core::interrupted()) {
      const Status status = live.step(unix_ns());
      for (const std::string& line : live.take_log()) {
        say(line);
        if (dry_run_) decisions_.push_back(line);
      }
      if (!metrics_.empty()) {
        PENSTOCK_TRY_STATUS(core::write_file(metrics_, live.metrics(unix_ns())));
      }
      if (status) {
        if (retry > 0) say("Slurm answers again");
        retry = 0;
      } else if (once_ || dry_run_) {
        return status;
      } else {
        if (retry == 0) say(status.error().text() + "; trying again until it does");
        retry = std::clamp(2 * retry, kSecond, kLongestRetry);
        wait_for(retry);
        continue;
      }
      if (once_ || dry_run_ || (until_done_ && live.jobs() == 0)) return {};
      const std::int64_t until_timer = live.next_wakeup_ns() - unix_ns();
      const auto interval = std::int64_t(interval_.value() * double(kSecond));
      wait_for(std::clamp(until_timer, kSecond / 20, interval));
    }
    const int running = live.jobs_in(LiveState::kRunning) + live.jobs_in(LiveState::kPlacing);
    say(fmt::format("interrupted: {} jobs run on, {} stay held; start again to go on", running,
                    live.jobs() - running));
    return {};
  }

  Status finish(const LiveScheduler& live) const {
    Json document = live.to_json(unix_ns());
    document["version"] = kVersion;
    document["policy"] = options_.policy.order.name;
    document["placement"] = options_.policy.rule.name;
    document["engine"] = batch_->name();
    if (dry_run_) document["decisions"] = decisions_;
    document["cluster"] = live.cluster().to_json();
    core::Table table({{"job"},
                       {"name"},
                       {"accelerators", core::Table::Align::kRight},
                       {"waited", core::Table::Align::kRight},
                       {"completed in", core::Table::Align::kRight},
                       {"preemptions", core::Table::Align::kRight},
                       {"end"}});
    for (const char* list : {"ended", "jobs"}) {
      for (const Json& job : document[list]) {
        const double submit = job["submit_s"];
        const double start = job["start_s"];
        const double end = job["end_s"];
        const int starts = job["starts"];
        const auto span = [&](double from, double to) {
          return core::format_quantity(Seconds(std::max(0.0, to - from)));
        };
        table.add_row({job["id"].dump(), job["name"], job["accelerators"].dump(),
                       starts > 0 ? span(submit, start) : "-",
                       list[0] == 'e' ? span(submit, end) : "-", job["preemptions"].dump(),
                       job["how"]});
      }
    }
    return output_.emit(document, table.text());
  }

  std::string engine_ = "slurm";
  std::string door_ = "best";
  std::string order_ = "dally";
  std::string placement_;
  std::vector<std::string> set_;
  std::string cluster_file_;
  std::string profiles_;
  std::string partition_;
  std::string resource_ = "gpu";
  std::string reports_;
  std::string interval_text_ = "1 s";
  Seconds interval_{1};
  std::string metrics_;
  std::string book_;
  bool once_ = false;
  bool until_done_ = false;
  bool dry_run_ = false;
  OutputOptions output_;
  cluster::LiveOptions options_;
  std::unique_ptr<cluster::BatchSystem> batch_;
  std::vector<std::string> decisions_;
};

}  // namespace

std::unique_ptr<Command> make_cluster_run_command() {
  return std::make_unique<ClusterRunCommand>();
}

}  // namespace penstock::cli
