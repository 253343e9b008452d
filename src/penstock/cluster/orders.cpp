#include <fmt/format.h>

#include "penstock/cluster/policy.h"
#include "penstock/core/nearest.h"

namespace penstock::cluster {
namespace {

double accelerator_seconds(Time time, const JobView& job) {
  return sim::seconds_of(time).value() * job.accelerators;
}

double by_arrival(const JobView& /*job*/, const Settings& /*settings*/) { return 0; }

double by_accelerators(const JobView& job, const Settings& /*settings*/) {
  return job.accelerators;
}

double by_remaining(const JobView& job, const Settings& /*settings*/) {
  return static_cast<double>(job.remaining.ns);
}

double by_remaining_service(const JobView& job, const Settings& /*settings*/) {
  return static_cast<double>(job.remaining.ns) * job.accelerators;
}

double by_attained_service(const JobView& job, const Settings& /*settings*/) {
  return accelerator_seconds(job.held, job);
}

double by_gittins_cost(const JobView& job, const Settings& settings) {
  const double attained = accelerator_seconds(job.held, job);
  return settings.gittins ? settings.gittins->cost(attained) : attained;
}

// A job that its placements have slowed most goes first: it can gain most from a better one.
double by_compute_share(const JobView& job, const Settings& /*settings*/) {
  return job.compute_share();
}

std::vector<Order> make_orders() {
  std::vector<Order> orders;
  orders.push_back({.name = "fifo",
                    .summary = "by arrival; who does not fit blocks all behind it",
                    .strict = true,
                    .key = by_arrival});
  orders.push_back({.name = "fifo-backfill",
                    .summary = "by arrival; who does not fit is passed over",
                    .key = by_arrival});
  orders.push_back({.name = "sjf",
                    .summary = "fewest accelerators first, no preemption",
                    .key = by_accelerators});
  orders.push_back({.name = "srtf",
                    .summary = "shortest remaining time first, with preemption",
                    .preemptive = true,
                    .running_first = false,
                    .key = by_remaining});
  orders.push_back({.name = "srsf",
                    .summary = "shortest remaining accelerator-time first, with preemption",
                    .preemptive = true,
                    .running_first = false,
                    .key = by_remaining_service});
  orders.push_back({.name = "las",
                    .summary = "least attained accelerator-time first, looked at every quantum",
                    .preemptive = true,
                    .running_first = false,
                    .changes_while_running = true,
                    .key = by_attained_service});
  orders.push_back({.name = "2d-las",
                    .summary = "Tiresias: three queues by attained accelerator-time",
                    .preemptive = true,
                    .queues = 3,
                    .key = by_arrival});
  orders.push_back({.name = "gittins",
                    .summary = "most completions per accelerator-time, by the law of the trace",
                    .preemptive = true,
                    .running_first = false,
                    .changes_while_running = true,
                    .key = by_gittins_cost});
  orders.push_back({.name = "dally",
                    .summary = "three queues by useful accelerator-time, the most slowed first",
                    .preemptive = true,
                    .queues = 3,
                    .service = Service::kUseful,
                    .key = by_compute_share,
                    .usual_rule = "priced",
                    .usually_migrates = true});
  return orders;
}

template <typename Named>
Result<Named> find(const std::vector<Named>& all, const std::string& name, const char* what) {
  std::vector<std::string> names;
  std::string list;
  for (const Named& one : all) {
    if (one.name == name) return one;
    names.push_back(one.name);
    list += (list.empty() ? "" : ", ") + one.name;
  }
  const std::string near = core::did_you_mean(name, names);
  return core::input_error("policy", fmt::format("unknown {} \"{}\"", what, name),
                           near.empty() ? "use one of " + list : near);
}

}  // namespace

const std::vector<Order>& orders() {
  static const std::vector<Order> all = make_orders();
  return all;
}

Result<Policy> make_policy(const std::string& order, const std::string& rule) {
  Policy policy;
  PENSTOCK_TRY(policy.order, find(orders(), order, "order"));
  PENSTOCK_TRY(policy.rule, find(patience_rules(), rule.empty() ? policy.order.usual_rule : rule,
                                 "patience rule"));
  policy.settings.migrate = rule.empty() && policy.order.usually_migrates;
  return policy;
}

}  // namespace penstock::cluster
