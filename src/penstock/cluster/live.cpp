#include "penstock/cluster/live.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "penstock/cluster/internal/live_state.h"
#include "penstock/core/check.h"
#include "penstock/core/json.h"

namespace penstock::cluster {

LiveScheduler::State::State(LiveOptions given, SpeedBook& book, BatchSystem& system,
                            ledger::Journal* kept)
    : options(std::move(given)),
      speeds(book),
      batch(system),
      journal(kept),
      cluster(options.links) {
  cluster.nodes.clear();
}

LiveScheduler::LiveScheduler(std::unique_ptr<State> state) : state_(std::move(state)) {}
LiveScheduler::~LiveScheduler() = default;
LiveScheduler::LiveScheduler(LiveScheduler&&) noexcept = default;
LiveScheduler& LiveScheduler::operator=(LiveScheduler&&) noexcept = default;

Result<LiveScheduler> LiveScheduler::begin(const LiveOptions& options, SpeedBook& speeds,
                                           BatchSystem& batch, ledger::Journal* journal) {
  PENSTOCK_CHECK((journal != nullptr || options.dry_run) == true);
  auto state = std::make_unique<State>(options, speeds, batch, journal);
  if (options.policy.rule.by_count) {
    // A count is enough for a simulation; a real job must lie somewhere, as close as it may.
    PENSTOCK_TRY(const Policy placed, make_policy(options.policy.order.name, "no-wait"));
    state->options.policy.rule = placed.rule;
  }
  if (journal != nullptr) PENSTOCK_TRY_STATUS(state->take_up());
  return LiveScheduler(std::move(state));
}

Status LiveScheduler::step(std::int64_t unix_ns) {
  State& s = *state_;
  PENSTOCK_TRY(const BatchView* view, s.batch.look());
  if (s.epoch_ns == 0) s.epoch_ns = unix_ns;
  const bool is_first = s.scheduler == nullptr;
  s.now = std::max(s.now, Time{unix_ns - s.epoch_ns});
  if (is_first) {
    // While nobody looked, what ran went on.
    for (auto& [id, job] : s.jobs) {
      if (job.state != LiveState::kRunning || s.now <= job.as_of) continue;
      const Time passed = s.now - job.as_of;
      const Time useful{std::int64_t(double(passed.ns) * job.status.rate)};
      job.status.held = job.status.held + passed;
      job.status.useful = job.status.useful + useful;
      job.status.remaining = std::max(Time{}, job.status.remaining - useful);
      job.as_of = s.now;
    }
  }
  s.nodes = view->nodes;
  s.observe(*view);
  std::vector<BatchNode> shape = s.usable_nodes(*view);
  if (is_first || s.must_rebuild || shape != s.shape) {
    s.shape = std::move(shape);
    s.rebuild();
    if (s.shape.empty()) s.say("no node can be used now");
  }
  s.check_placing();
  s.decide();
  if (s.options.dry_run) return {};
  PENSTOCK_TRY_STATUS(s.write_down());
  s.act();
  return {};
}

std::vector<std::string> LiveScheduler::take_log() { return std::exchange(state_->log, {}); }

std::int64_t LiveScheduler::next_wakeup_ns() const {
  const Time next = state_->scheduler == nullptr ? kNever : state_->scheduler->next_wakeup();
  return next == kNever ? kNever.ns : state_->epoch_ns + next.ns;
}

int LiveScheduler::jobs() const { return int(state_->jobs.size()); }

int LiveScheduler::jobs_in(LiveState state) const {
  return int(std::count_if(state_->jobs.begin(), state_->jobs.end(),
                           [&](const auto& entry) { return entry.second.state == state; }));
}

const LiveCounts& LiveScheduler::counts() const { return state_->counts; }
const Topology& LiveScheduler::cluster() const { return state_->cluster; }

core::Json LiveScheduler::to_json(std::int64_t unix_ns) const {
  const State& s = *state_;
  core::Json ended = core::Json::array();
  for (const auto& [id, text] : s.ended) ended.push_back(core::Json::parse(text));
  core::Json jobs = core::Json::array();
  for (const auto& [id, job] : s.jobs) {
    jobs.push_back(internal::outcome_of(job, s.now, std::string(live_state_name(job.state))));
  }
  return {{"schema", "penstock-cluster-run/1"},
          {"epoch_s", double(s.epoch_ns) / 1e9},
          {"now_s", double(unix_ns - s.epoch_ns) / 1e9},
          {"starts", s.counts.starts},
          {"preemptions", s.counts.preemptions},
          {"migrations", s.counts.migrations},
          {"losses", s.counts.losses},
          {"jobs", std::move(jobs)},
          {"ended", std::move(ended)}};
}

Status LiveScheduler::clear_ended() {
  for (const auto& [id, text] : state_->ended) {
    state_->changes[fmt::format("ended/{}", id)] = std::nullopt;
  }
  PENSTOCK_TRY_STATUS(state_->journal->write(state_->changes));
  state_->changes.clear();
  state_->ended.clear();
  return {};
}

// https://prometheus.io/docs/instrumenting/exposition_formats, text format 0.0.4.
std::string LiveScheduler::metrics(std::int64_t unix_ns) const {
  const State& s = *state_;
  std::string text;
  const auto head = [&](const char* name, const char* kind, const char* help) {
    text += fmt::format("# HELP penstock_cluster_{0} {2}\n# TYPE penstock_cluster_{0} {1}\n", name,
                        kind, help);
  };
  const auto value = [&](const char* name, const char* kind, const char* help, double number) {
    head(name, kind, help);
    text += fmt::format("penstock_cluster_{} {}\n", name, number);
  };
  head("jobs", "gauge", "Jobs of ours by state.");
  for (int state = 0; state <= int(LiveState::kVacating); ++state) {
    text += fmt::format("penstock_cluster_jobs{{state=\"{}\"}} {}\n",
                        live_state_name(LiveState(state)), jobs_in(LiveState(state)));
  }
  const double all = s.cluster.accelerators();
  const double free = s.scheduler == nullptr ? 0 : s.scheduler->free_accelerators();
  head("accelerators", "gauge", "Accelerators that this scheduler may use.");
  text += fmt::format("penstock_cluster_accelerators{{state=\"free\"}} {}\n", free);
  text += fmt::format("penstock_cluster_accelerators{{state=\"used\"}} {}\n", all - free);
  value("starts_total", "counter", "Jobs that have begun to run, every time.",
        double(s.counts.starts));
  value("preemptions_total", "counter", "Jobs asked to make room.", double(s.counts.preemptions));
  value("migrations_total", "counter", "Jobs moved closer together.", double(s.counts.migrations));
  value("losses_total", "counter", "Running jobs that the batch system took back.",
        double(s.counts.losses));
  value("refusals_total", "counter", "Requests that the batch system refused.",
        double(s.counts.refusals));
  value("ended_total", "counter", "Jobs that have ended.", double(s.counts.ended));
  value("last_step_timestamp_seconds", "gauge", "When the cluster was last looked at.",
        double(unix_ns) / 1e9);
  head("timer_seconds", "gauge", "Wait for a closer place that was given last; -1 without end.");
  for (const auto& [key, seconds] : s.timers_s) {
    text += fmt::format("penstock_cluster_timer_seconds{{tier=\"{}\",accelerators=\"{}\"}} {}\n",
                        tier_name(key.first), key.second, seconds);
  }
  return text;
}

}  // namespace penstock::cluster
