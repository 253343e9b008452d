#include "penstock/cluster/simulate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "penstock/cluster/fair_share.h"
#include "penstock/cluster/internal/outcome_metrics.h"
#include "penstock/core/check.h"
#include "penstock/sim/event_queue.h"

namespace penstock::cluster {
namespace {

// Between two calls of Simulation::progress.
constexpr std::int64_t kEventsPerReport = 1 << 14;

struct Completion {
  JobRef job = 0;
  std::uint32_t version = 0;
};

// A job that has arrived and not ended.
struct Running {
  std::int32_t outcome = 0;  // index of it
  int job_class = 0;
  std::uint32_t version = 0;  // of its completion; others are stale
  FairShare::FlowId flow = -1;
  double rate = 0;  // alone on the network
  Time from;        // when progress began or begins
  Time since;       // of this stay
  Time restoring;   // of this stay
  std::int64_t episode = -1;
  double demanded = 0;  // Replay::demanded_ when it arrived
};

class Replay {
 public:
  Replay(const Simulation& simulation, SpeedBook& speeds)
      : in_(simulation),
        speeds_(speeds),
        scheduler_(simulation.cluster, simulation.policy, speeds, factor(simulation)),
        links_(simulation.contention == Contention::kFluid ? uplinks(simulation.cluster)
                                                           : std::vector<double>{}) {
    for (const std::string& model : simulation.trace.models) skews_.push_back(model_skew(model));
  }

  Result<SimulationResult> run() {
    order_jobs();
    std::size_t next = 0;
    std::int64_t reported = 0;
    while (next < order_.size() || done_ < std::int64_t(order_.size())) {
      const Time arrival = next < order_.size() ? submit_of(order_[next]) : kNever;
      const Time completion = next_completion();
      const Time at = std::min({arrival, completion, next_decision_});
      PENSTOCK_CHECK(at < kNever);
      if (in_.watch.job >= 0 && at > in_.watch.at && !is_watched_) watch();
      account_until(at);
      bool happened = at == next_decision_;
      while (!completions_.empty() && next_completion() == at) {
        finish(completions_.pop().job, at);
        happened = true;
      }
      while (next < order_.size() && submit_of(order_[next]) == at) {
        arrive(order_[next++], at);
        happened = true;
      }
      ++metrics_.events;
      decide_when_due(at, happened);
      if (in_.progress && metrics_.events - reported >= kEventsPerReport) {
        reported = metrics_.events;
        if (!in_.progress(at, done_)) {
          return core::negative("", "interrupted", "nothing was written");
        }
      }
    }
    return result();
  }

 private:
  static double factor(const Simulation& simulation) {
    return simulation.contention == Contention::kFactor ? simulation.congestion : 1;
  }

  // One link for each node's uplink, then one for each rack's.
  static std::vector<double> uplinks(const Topology& cluster) {
    std::vector<double> capacities(cluster.nodes.size(), cluster.node_uplink.bandwidth.value());
    capacities.resize(capacities.size() + cluster.racks.size(),
                      cluster.rack_uplink.bandwidth.value());
    return capacities;
  }

  Time submit_of(std::int32_t index) const {
    return internal::submit_of(in_, in_.trace.jobs[std::size_t(index)]);
  }
  Time work_of(std::int32_t index) const {
    return internal::work_of(in_, in_.trace.jobs[std::size_t(index)]);
  }

  void order_jobs() {
    order_.resize(in_.trace.jobs.size());
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::int32_t a, std::int32_t b) { return submit_of(a) < submit_of(b); });
    if (in_.first > 0 && in_.first < std::int64_t(order_.size())) {
      order_.resize(std::size_t(in_.first));
    }
    outcomes_.resize(order_.size());
    if (!order_.empty()) begin_ = now_ = submit_of(order_.front());
  }

  Time next_completion() {
    while (!completions_.empty()) {
      const Completion& front = completions_.next();
      if (running_[std::size_t(front.job)].version == front.version) {
        return completions_.next_time();
      }
      completions_.discard();
    }
    return kNever;
  }

  // Integrals over time, up to the next event.
  void account_until(Time at) {
    const double span = double((at - now_).ns);
    if (span > 0) {
      const int free = scheduler_.free_accelerators();
      if (scheduler_.pending() > 0) waiting_free_ += span * free;
      if (free > 0 && scheduler_.declined()) declined_free_ += span * free;
      demanded_ += span * double(in_use_ + scheduler_.pending_demand());
    }
    now_ = at;
  }

  void arrive(std::int32_t index, Time at) {
    const trace::TrainingJob& job = in_.trace.jobs[std::size_t(index)];
    const int job_class = class_of(job);
    const JobRef ref = scheduler_.arrive({.id = index,
                                          .accelerators = job.accelerators,
                                          .job_class = job_class,
                                          .work = work_of(index),
                                          .skew = skew_of(job)},
                                         at);
    if (std::size_t(ref) >= running_.size()) running_.resize(std::size_t(ref) + 1);
    Running& it = running_[std::size_t(ref)];
    const std::uint32_t version = it.version + 1;
    it = {};
    it.version = version;
    it.outcome = arrived_++;
    it.job_class = job_class;
    it.demanded = demanded_;
    outcomes_[std::size_t(it.outcome)].job = index;
  }

  double skew_of(const trace::TrainingJob& job) const {
    return job.model < 0 ? 0 : skews_[std::size_t(job.model)];
  }

  int class_of(const trace::TrainingJob& job) {
    if (in_.cluster.nodes.size() == 1) return 0;
    const std::uint64_t key = (std::uint64_t(std::uint32_t(job.model)) << 40) ^
                              (std::uint64_t(std::uint32_t(job.accelerators)) << 24) ^
                              std::uint64_t(std::uint32_t(job.batch));
    if (job.network_share < 0) {
      const auto known = classes_.find(key);
      if (known != classes_.end()) return known->second;
    }
    static const std::string kNone;
    const std::string& model = job.model < 0 ? kNone : in_.trace.models[std::size_t(job.model)];
    const int found = speeds_.job_class(model, job.accelerators, job.batch, job.network_share);
    if (job.network_share < 0) classes_.emplace(key, found);
    return found;
  }

  void finish(JobRef ref, Time at) {
    Running& it = running_[std::size_t(ref)];
    leave(it, at);
    ++it.version;
    JobOutcome& outcome = outcomes_[std::size_t(it.outcome)];
    outcome.end = at;
    const double life = double((at - submit_of(outcome.job)).ns);
    const double contention = (demanded_ - it.demanded) / life / in_.cluster.accelerators();
    const double fairness = life / (double(work_of(outcome.job).ns) * std::max(1.0, contention));
    fairness_ += fairness;
    metrics_.worst_fairness = std::max(metrics_.worst_fairness, fairness);
    scheduler_.finish(ref, at);
    ++done_;
    last_end_ = at;
  }

  // Off its accelerators.
  void leave(Running& it, Time at) {
    JobOutcome& outcome = outcomes_[std::size_t(it.outcome)];
    outcome.held = outcome.held + (at - it.since);
    outcome.restart = outcome.restart + std::min(it.restoring, at - it.since);
    in_use_ -= in_.trace.jobs[std::size_t(outcome.job)].accelerators;
    if (it.episode >= 0) episodes_[std::size_t(it.episode)].end = at;
    if (it.flow >= 0) {
      flow_jobs_[std::size_t(it.flow)] = kNoRef;
      links_.remove(it.flow);
      it.flow = -1;
    }
  }

  void decide_when_due(Time at, bool happened) {
    if (in_.round.ns > 0) {
      const Time boundary{(at.ns + in_.round.ns - 1) / in_.round.ns * in_.round.ns};
      if (at != boundary) {
        if (happened) next_decision_ = boundary;
        return;
      }
    }
    apply(at);
    Time wake = scheduler_.next_wakeup();
    if (in_.round.ns > 0 && wake < kNever) {
      wake = {std::max(at.ns + 1, wake.ns)};
      wake = {(wake.ns + in_.round.ns - 1) / in_.round.ns * in_.round.ns};
    }
    next_decision_ = wake;
  }

  void apply(Time at) {
    for (const Decision& decision : scheduler_.decide(at)) {
      ++metrics_.decisions;
      Running& it = running_[std::size_t(decision.job)];
      JobOutcome& outcome = outcomes_[std::size_t(it.outcome)];
      switch (decision.kind) {
        case DecisionKind::kPreempt:
          leave(it, at);
          ++it.version;
          ++outcome.preemptions;
          break;
        case DecisionKind::kMigrate:
          leave(it, at);
          ++outcome.migrations;
          settle(decision, it, outcome, at);
          break;
        case DecisionKind::kStart:
          if (outcome.starts++ == 0) outcome.start = at;
          outcome.declined_for_node = outcome.declined_for_node + decision.declined_for_node;
          outcome.declined_for_rack = outcome.declined_for_rack + decision.declined_for_rack;
          if (in_.keep_timers) keep_timers(decision, at);
          settle(decision, it, outcome, at);
          break;
      }
    }
    if (in_.contention == Contention::kFluid) share_links(at);
  }

  void keep_timers(const Decision& decision, Time at) {
    if ((decision.declined_for_node + decision.declined_for_rack).ns == 0) return;
    const JobStatus status = scheduler_.status(decision.job, at);
    for (const Tier tier : {Tier::kNode, Tier::kRack}) {
      const Timer& timer = status.timers[std::size_t(tier)];
      if (timer.value.ns > 0) {
        timers_.push_back({at, tier, status.accelerators, timer.value, timer.tuned});
      }
    }
  }

  void settle(const Decision& decision, Running& it, const JobOutcome& outcome, Time at) {
    const Settings& settings = in_.policy.settings;
    const bool again = outcome.starts > 1 || decision.kind == DecisionKind::kMigrate;
    it.restoring = in_.start_cost;
    if (again && !in_.policy.tiresias_oracle) {
      it.restoring = it.restoring + settings.checkpoint + settings.restore;
    }
    it.since = at;
    it.from = at + it.restoring;
    in_use_ += in_.trace.jobs[std::size_t(outcome.job)].accelerators;
    it.rate = 1;
    if (in_.cluster.nodes.size() > 1) place(decision, it);
    if (in_.keep_episodes) {
      it.episode = std::int64_t(episodes_.size());
      episodes_.push_back({outcome.job, at, at, decision.placement});
    }
    progress_at(decision.job, it, it.rate, at);
  }

  void place(const Decision& decision, Running& it) {
    const Speed speed = speeds_.at(it.job_class, in_.cluster, decision.placement);
    ++speed_sources_[std::size_t(speed.source)];
    const bool apart = decision.placement.parts.size() > 1;
    it.rate = 1 / (apart ? 1 + factor(in_) * (speed.slowdown - 1) : speed.slowdown);
    if (in_.contention != Contention::kFluid || !apart || speed.uplink_bytes_per_s <= 0) return;
    crossed_.clear();
    for (const Placement::Part& part : decision.placement.parts) crossed_.push_back(part.node);
    if (tier_of(in_.cluster, decision.placement) == Tier::kNetwork) {
      std::int32_t last = -1;
      for (const Placement::Part& part : decision.placement.parts) {
        const std::int32_t rack = in_.cluster.nodes[std::size_t(part.node)].rack;
        if (rack == last) continue;
        crossed_.push_back(std::int32_t(in_.cluster.nodes.size()) + rack);
        last = rack;
      }
    }
    it.flow = links_.add(crossed_, speed.uplink_bytes_per_s);
    if (std::size_t(it.flow) >= flow_jobs_.size()) {
      flow_jobs_.resize(std::size_t(it.flow) + 1, kNoRef);
    }
    flow_jobs_[std::size_t(it.flow)] = decision.job;
  }

  void progress_at(JobRef ref, Running& it, double rate, Time at) {
    const Time left = scheduler_.set_rate(ref, rate, it.from, at);
    const Time needed = rate == 1 ? left : Time{std::int64_t(std::ceil(double(left.ns) / rate))};
    completions_.schedule(std::max(at, it.from) + needed, {ref, ++it.version});
  }

  void share_links(Time at) {
    for (const FairShare::FlowId flow : links_.changed()) {
      const JobRef ref = flow_jobs_[std::size_t(flow)];
      if (ref == kNoRef) continue;
      Running& it = running_[std::size_t(ref)];
      progress_at(ref, it, it.rate * links_.share(flow), at);
    }
    links_.clear_changed();
  }

  void watch() {
    is_watched_ = true;
    for (JobRef ref = 0; ref < JobRef(running_.size()); ++ref) {
      const Running& it = running_[std::size_t(ref)];
      const JobOutcome& outcome = outcomes_[std::size_t(it.outcome)];
      if (outcome.job != in_.watch.job || it.outcome >= arrived_) continue;
      watched_.submitted = true;
      watched_.ended = outcome.end.ns > 0;
      if (watched_.ended) continue;
      const Time at = std::max(now_, in_.watch.at);
      watched_.status = scheduler_.status(ref, at);
      const std::int32_t demand = watched_.status.accelerators;
      watched_.samples = {scheduler_.tuner().samples(Tier::kNode, demand, at),
                          scheduler_.tuner().samples(Tier::kRack, demand, at)};
    }
    watched_.submitted = watched_.submitted || submit_of(in_.watch.job) <= in_.watch.at;
    watched_.ended = watched_.ended || (watched_.submitted && watched_.status.accelerators == 0);
    watched_.free = scheduler_.free_accelerators();
    watched_.pending = scheduler_.pending();
  }

  Result<SimulationResult> result() {
    if (in_.watch.job >= 0 && !is_watched_) watch();
    SimulationResult out;
    out.watched = std::move(watched_);
    metrics_.jobs = done_;
    metrics_.mean_fairness = done_ > 0 ? fairness_ / double(done_) : 0;
    out.metrics = metrics_;
    out.speed_sources = speed_sources_;
    out.outcomes = std::move(outcomes_);
    out.episodes = std::move(episodes_);
    out.timers = std::move(timers_);
    PENSTOCK_TRY_STATUS(internal::fill_metrics(in_,
                                               {.begin = begin_,
                                                .end = last_end_,
                                                .waiting_free_ns = waiting_free_,
                                                .declined_free_ns = declined_free_},
                                               out));
    return out;
  }

  static constexpr JobRef kNoRef = -1;
  const Simulation& in_;
  SpeedBook& speeds_;
  Scheduler scheduler_;
  FairShare links_;
  sim::EventQueue<Completion> completions_;
  std::vector<std::int32_t> order_;  // trace indices by submission
  std::vector<Running> running_;     // by JobRef
  std::vector<JobRef> flow_jobs_;    // by flow
  std::vector<JobOutcome> outcomes_;
  std::vector<Episode> episodes_;
  std::vector<TimerPoint> timers_;
  std::vector<std::int32_t> crossed_;
  std::vector<double> skews_;  // by model of the trace
  std::unordered_map<std::uint64_t, int> classes_;
  std::array<std::int64_t, kSpeedSources> speed_sources_{};
  Metrics metrics_;
  WatchedJob watched_;
  bool is_watched_ = false;
  Time begin_, now_, last_end_;
  Time next_decision_ = kNever;
  std::int64_t done_ = 0;
  std::int32_t arrived_ = 0;
  std::int64_t in_use_ = 0;
  double waiting_free_ = 0;
  double declined_free_ = 0;
  double demanded_ = 0;  // accelerators, running or wanted, over time
  double fairness_ = 0;
};

}  // namespace

Result<SimulationResult> simulate(const Simulation& simulation, SpeedBook& speeds) {
  const int there = simulation.cluster.accelerators();
  std::vector<Error> errors;
  for (const trace::TrainingJob& job : simulation.trace.jobs) {
    if (job.accelerators <= there) continue;
    if (errors.size() == 20) break;
    errors.push_back(core::input_error(simulation.trace.source,
                                       fmt::format("job {} wants {} accelerators and the cluster "
                                                   "has {}",
                                                   job.name, job.accelerators, there),
                                       "give a larger cluster, or leave the job out")
                         .value());
  }
  if (!errors.empty()) return core::fail(core::join_errors(std::move(errors)));
  if (simulation.trace.jobs.empty())
    return core::input_error(simulation.trace.source, "holds no job");
  return Replay(simulation, speeds).run();
}

}  // namespace penstock::cluster
