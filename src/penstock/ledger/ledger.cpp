#include "penstock/ledger/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

namespace penstock::ledger {
namespace {

constexpr std::array<std::string_view, kActivities> kActivityNames = {
    "compute", "prep",       "fetch",      "interconnect", "network", "memory",
    "queue",   "batch-wait", "cold-start", "preemption",   "idle"};
constexpr std::array<std::string_view, 3> kEvidenceNames = {"predicted", "simulated", "measured"};

bool valid_time(Seconds time) { return std::isfinite(time.value()) && time.value() >= 0; }

// A room that books wrongly has a bug: exit code 4.
tl::unexpected<Error> booking_error(const std::string& title, std::string message) {
  Error error;
  error.kind = ErrorKind::kBug;
  error.where = fmt::format("ledger \"{}\"", title);
  error.message = std::move(message);
  return core::fail(std::move(error));
}

}  // namespace

std::string_view activity_name(Activity activity) {
  return kActivityNames.at(static_cast<std::size_t>(activity));
}

std::optional<Activity> activity_from_name(std::string_view name) {
  const auto found = std::find(kActivityNames.begin(), kActivityNames.end(), name);
  if (found == kActivityNames.end()) return std::nullopt;
  return static_cast<Activity>(found - kActivityNames.begin());
}

const std::vector<Activity>& all_activities() {
  static const std::vector<Activity> kAll = [] {
    std::vector<Activity> all;
    for (int i = 0; i < kActivities; ++i) all.push_back(static_cast<Activity>(i));
    return all;
  }();
  return kAll;
}

std::string_view evidence_name(Evidence evidence) {
  return kEvidenceNames.at(static_cast<std::size_t>(evidence));
}

std::optional<Evidence> evidence_from_name(std::string_view name) {
  const auto found = std::find(kEvidenceNames.begin(), kEvidenceNames.end(), name);
  if (found == kEvidenceNames.end()) return std::nullopt;
  return static_cast<Evidence>(found - kEvidenceNames.begin());
}

void Account::add(Activity activity, std::string_view label, Seconds time) {
  const auto same = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) {
    return entry.activity == activity && entry.label == label;
  });
  if (same != entries.end() && valid_time(same->time) && valid_time(time)) {
    same->time += time;
  } else {
    entries.push_back({activity, std::string(label), time});
  }
}

Seconds Account::total() const {
  Seconds sum;
  for (const Entry& entry : entries) sum += entry.time;
  return sum;
}

Seconds Account::of(Activity activity) const {
  Seconds sum;
  for (const Entry& entry : entries) {
    if (entry.activity == activity) sum += entry.time;
  }
  return sum;
}

Account& Ledger::add_account(std::string resource, int count) {
  return accounts_.emplace_back(Account{std::move(resource), count, {}});
}

void Ledger::add_span(Span span) { spans_.push_back(std::move(span)); }

Status Ledger::close(Seconds whole) {
  if (!valid_time(whole)) {
    return booking_error(title_, fmt::format("the whole is {} s", whole.value()));
  }
  const double tolerance = kSumTolerance * whole.value();
  std::set<std::string_view> names;
  for (const Account& account : accounts_) {
    const std::string& name = account.resource;
    if (!names.insert(name).second) {
      return booking_error(title_, fmt::format("two accounts are named \"{}\"", name));
    }
    if (account.count < 1) {
      return booking_error(title_, fmt::format("{} stands for {} resources", name, account.count));
    }
    for (const Entry& entry : account.entries) {
      if (valid_time(entry.time)) continue;
      return booking_error(
          title_, fmt::format("{}: {} of \"{}\" takes {} s", name, activity_name(entry.activity),
                              entry.label, entry.time.value()));
    }
    const double excess = (account.total() - whole).value();
    if (excess > tolerance) {
      return booking_error(
          title_, fmt::format("{} exceeds the whole of {} s by {} s", name, whole.value(), excess));
    }
  }
  for (Account& account : accounts_) {
    const Seconds rest = whole - account.total();
    if (rest.value() > tolerance) account.add(Activity::kIdle, "", rest);
  }
  whole_ = whole;
  return {};
}

Seconds Ledger::of(Activity activity) const {
  Seconds sum;
  for (const Account& account : accounts_) sum += account.of(activity) * account.count;
  return sum;
}

std::int64_t Ledger::resources() const {
  std::int64_t sum = 0;
  for (const Account& account : accounts_) sum += account.count;
  return sum;
}

Seconds Ledger::mean(Activity activity) const {
  const std::int64_t all = resources();
  return all == 0 ? Seconds() : of(activity) / static_cast<double>(all);
}

}  // namespace penstock::ledger
