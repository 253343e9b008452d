// penstock cluster explain: why a job waits.
#include <fmt/format.h>

#include <algorithm>

#include "penstock/cli/command_cluster.h"
#include "penstock/cli/internal/cluster_scenario.h"
#include "penstock/core/quantity.h"

namespace penstock::cli {
namespace {

using cluster::JobStatus;
using cluster::Tier;
using cluster::Time;
using cluster::WatchedJob;
using core::Json;

std::string span(Time time) { return core::format_quantity(sim::seconds_of(time)); }

std::string place(Tier tier) {
  return tier == Tier::kNode ? "one node" : tier == Tier::kRack ? "one rack" : "any place";
}

class ClusterExplainCommand : public Command {
 public:
  std::string name() const override { return "explain"; }
  std::string summary() const override {
    return "Say why a job waits at a moment: what it wants, its clock, its timers, the price";
  }
  std::string example() const override {
    return "penstock cluster explain 'job-12@3 h' --draw philly-like --jobs 500 --cluster "
           "examples/clusters/2x4x8.toml";
  }
  void declare(CLI::App& app) override {
    app.add_option("JOB@TIME", target_, "The job, and the time since the trace's beginning")
        ->required()
        ->type_name("JOB@TIME");
    scenario_.declare(app);
    scenario_.declare_policy(app);
    output_.declare(app);
  }

  Status prepare() override {
    const std::size_t at = target_.rfind('@');
    if (at == std::string::npos || at == 0) {
      return core::input_error("JOB@TIME", fmt::format("\"{}\" has no @", target_),
                               "write a job and a time, as in 'job-12@3 h'");
    }
    job_ = target_.substr(0, at);
    auto time = core::parse_quantity<Seconds>(target_.substr(at + 1));
    if (!time) {
      time.error().where = "JOB@TIME";
      return core::fail(std::move(time).error());
    }
    if (time->value() < 0) return core::input_error("JOB@TIME", "the time is below zero");
    time_ = sim::duration_of(*time);
    return scenario_.prepare();
  }

  Status run() override {
    PENSTOCK_TRY_STATUS(scenario_.load());
    const auto& jobs = scenario_.trace().jobs;
    const auto found =
        std::find_if(jobs.begin(), jobs.end(), [&](const auto& job) { return job.name == job_; });
    if (found == jobs.end()) {
      return core::input_error(scenario_.where(), fmt::format("no job is called \"{}\"", job_),
                               fmt::format("its first is \"{}\"", jobs.front().name));
    }
    PENSTOCK_TRY(const cluster::Policy policy, scenario_.policy());
    cluster::Simulation simulation = scenario_.simulation(policy);
    simulation.watch = {.job = std::int32_t(found - jobs.begin()), .at = time_};
    PENSTOCK_TRY(const cluster::SimulationResult result,
                 cluster::simulate(simulation, scenario_.speeds()));
    return output_.emit(json(policy, result.watched), text(policy, *found, result.watched));
  }

 private:
  // What a tier costs from now on, over the closest one.
  static Time loss(const JobStatus& status, Tier tier) {
    const double more = status.slowdown[std::size_t(tier)] - 1;
    return {std::int64_t(double(status.remaining.ns) * more)};
  }

  Json json(const cluster::Policy& policy, const WatchedJob& watched) const {
    const JobStatus& status = watched.status;
    const auto seconds = [](Time time) -> Json {
      if (time >= cluster::kNever) return nullptr;
      return sim::seconds_of(time).value();
    };
    Json document = {{"schema", "penstock-cluster-explain/1"},
                     {"spec", scenario_.to_json(policy)},
                     {"job", job_},
                     {"at_s", seconds(time_)},
                     {"state", state(watched)},
                     {"free", watched.free},
                     {"pending", watched.pending}};
    if (!watched.submitted || watched.ended) return document;
    document["accelerators"] = status.accelerators;
    document["queue"] = status.queue;
    document["held_s"] = seconds(status.held);
    document["useful_s"] = seconds(status.useful);
    document["remaining_s"] = seconds(status.remaining);
    if (status.running) {
      document["rate"] = status.rate;
      return document;
    }
    document["best_tier"] = cluster::tier_name(status.best);
    document["allowed_tier"] = cluster::tier_name(status.allowed);
    document["declines"] = status.offered;
    if (status.offered) {
      document["first_offer_s"] = seconds(status.first_offer);
      document["rack_at_s"] = seconds(status.rack_at);
      document["network_at_s"] = seconds(status.network_at);
    }
    for (const Tier tier : {Tier::kNode, Tier::kRack}) {
      const auto index = std::size_t(tier);
      Json samples = Json::array();
      for (const cluster::WaitSample& sample : watched.samples[index]) {
        samples.push_back({{"at_s", seconds(sample.at)},
                           {"wait_s", seconds(sample.wait)},
                           {"gave_up", sample.gave_up}});
      }
      document["timers"][std::string(cluster::tier_name(tier))] = {
          {"value_s", seconds(status.timers[index].value)},
          {"tuned", status.timers[index].tuned},
          {"samples", std::move(samples)}};
    }
    for (const Tier tier : {Tier::kRack, Tier::kNetwork}) {
      document["price"][std::string(cluster::tier_name(tier))] = {
          {"slowdown", status.slowdown[std::size_t(tier)]},
          {"loss_s", seconds(loss(status, tier))}};
    }
    return document;
  }

  static std::string state(const WatchedJob& watched) {
    if (!watched.submitted) return "not submitted";
    if (watched.ended) return "ended";
    return watched.status.running ? "running" : "waiting";
  }

  std::string text(const cluster::Policy& policy, const trace::TrainingJob& job,
                   const WatchedJob& watched) const {
    const JobStatus& s = watched.status;
    std::string out = fmt::format("{} at {} under {} with placement {}: {}\n", job.name,
                                  span(time_), policy.order.name, policy.rule.name, state(watched));
    if (!watched.submitted || watched.ended) return out;
    out += fmt::format("  {} accelerators in queue {}; {} of work left, {} held, {} useful\n",
                       s.accelerators, s.queue, span(s.remaining), span(s.held), span(s.useful));
    if (s.running) {
      return out + fmt::format("  on {} node{}, at {:.0f} % of its best speed\n",
                               s.placement.parts.size(), s.placement.parts.size() == 1 ? "" : "s",
                               100 * s.rate);
    }
    out += fmt::format("  {} accelerators are free, {} jobs wait\n", watched.free, watched.pending);
    out += fmt::format("  it wants {}, and would accept {} now\n", place(s.best), place(s.allowed));
    if (!s.offered) {
      return out + "  it has not been offered enough accelerators yet: its clock stands\n";
    }
    out += fmt::format("  its clock runs since {}, when it first declined\n", span(s.first_offer));
    for (const Tier tier : {Tier::kNode, Tier::kRack}) {
      const cluster::Timer& timer = s.timers[std::size_t(tier)];
      if (timer.value.ns == 0) continue;
      out += fmt::format(
          "  timer for {}: {} ({})\n", place(tier), span(timer.value),
          timer.tuned
              ? fmt::format("from {} waits, {} of them given up", timer.samples, timer.gave_up)
              : fmt::format("the default; {} waits are too few", timer.samples));
    }
    const auto when = [](Time at) { return at >= cluster::kNever ? "never" : "at " + span(at); };
    if (s.allowed == Tier::kNode) out += fmt::format("  one rack will do {}\n", when(s.rack_at));
    if (s.allowed != Tier::kNetwork) {
      out += fmt::format("  any place will do {}\n", when(s.network_at));
    }
    for (const Tier tier : {Tier::kRack, Tier::kNetwork}) {
      if (tier <= s.best) continue;
      out += fmt::format("  accepting {} now would cost {}: {:.2f} times slower\n", place(tier),
                         span(loss(s, tier)), s.slowdown[std::size_t(tier)]);
    }
    return out;
  }

  internal::ClusterScenario scenario_;
  OutputOptions output_;
  std::string target_;
  std::string job_;
  Time time_;
};

}  // namespace

std::unique_ptr<Command> make_cluster_explain_command() {
  return std::make_unique<ClusterExplainCommand>();
}

}  // namespace penstock::cli
