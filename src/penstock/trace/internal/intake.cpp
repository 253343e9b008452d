#include "penstock/trace/internal/intake.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <utility>

namespace penstock::trace::internal {
namespace {

// A stable sort by submission that moves each job once and needs no second copy of them all: jobs
// are wide, and most files are in order.
void sort_by_submission(std::vector<TrainingJob>& jobs) {
  const auto earlier = [](const TrainingJob& a, const TrainingJob& b) {
    return a.submit_ns < b.submit_ns;
  };
  if (std::is_sorted(jobs.begin(), jobs.end(), earlier)) return;
  std::vector<std::pair<std::int64_t, std::uint32_t>> order;
  order.reserve(jobs.size());
  for (const TrainingJob& job : jobs) {
    order.emplace_back(job.submit_ns, static_cast<std::uint32_t>(order.size()));
  }
  std::sort(order.begin(), order.end());
  // Place `at` takes the job of place order[at].second; each cycle of places is moved through once.
  for (std::uint32_t begin = 0; begin < order.size(); ++begin) {
    if (order[begin].second == begin) continue;
    TrainingJob first = std::move(jobs[begin]);
    std::uint32_t at = begin;
    while (order[at].second != begin) {
      const std::uint32_t from = std::exchange(order[at].second, at);
      jobs[at] = std::move(jobs[from]);
      at = from;
    }
    order[at].second = at;
    jobs[at] = std::move(first);
  }
}

}  // namespace

Intake::Intake(Rows& rows, int name_column) : rows_(rows), name_column_(name_column) {
  const std::size_t most = rows.rows_at_most();
  trace_.jobs.reserve(most);
  if (name_column_ < 0) return;
  lines_.reserve(most);
  names_.resize(std::bit_ceil(std::max<std::size_t>(64, most * 2)));
}

std::int32_t Intake::model(std::string_view name) {
  if (name.empty()) return -1;
  if (name == last_model_) return last_model_number_;
  last_model_ = name;
  std::string key(name);
  for (char& c : key) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  const auto [entry, is_added] =
      models_.emplace(std::move(key), static_cast<std::int32_t>(trace_.models.size()));
  if (is_added) trace_.models.push_back(entry->first);
  return last_model_number_ = entry->second;
}

bool Intake::is_new(const std::string& name) {
  const std::size_t hash = std::hash<std::string>()(name);
  const auto tag = static_cast<std::uint32_t>(hash >> 32);
  const std::size_t mask = names_.size() - 1;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    NameSlot& slot = names_[at];
    if (slot.job == 0) {
      slot = {tag, static_cast<std::uint32_t>(trace_.jobs.size()) + 1};
      return true;
    }
    if (slot.tag != tag || trace_.jobs[slot.job - 1].name != name) continue;
    rows_.wrong(-1,
                fmt::format("job \"{}\" again, as on line {}", shown(name), lines_[slot.job - 1]),
                "give every job a name of its own");
    return false;
  }
}

void Intake::add(TrainingJob&& job) {
  const std::size_t row = row_++;
  if (!rows_.is_good()) return;
  job.name = rows_.text(name_column_);
  if (job.name.empty()) job.name = std::to_string(row);
  if (job.deadline_ns >= 0 && job.deadline_ns < job.submit_ns) {
    return rows_.wrong(-1, "the deadline lies before the submission", "mend one of the two");
  }
  if (name_column_ >= 0) {
    if (!is_new(job.name)) return;
    lines_.push_back(static_cast<std::uint32_t>(rows_.line()));
  }
  trace_.jobs.push_back(std::move(job));
}

Result<JobTrace> Intake::finish(Origin origin) {
  if (rows_.has_errors()) return core::fail(rows_.error());
  std::vector<TrainingJob>& jobs = trace_.jobs;
  if (jobs.empty()) {
    std::string message = "holds no job";
    for (const std::string& note : trace_.notes) message += ": " + note;
    return core::input_error(rows_.file(), message,
                             "check that the file is whole and the format is the right one");
  }
  sort_by_submission(jobs);
  if (origin == Origin::kEarliest) {
    const std::int64_t zero = jobs.front().submit_ns;
    for (TrainingJob& job : jobs) {
      job.submit_ns -= zero;
      if (job.deadline_ns >= 0) job.deadline_ns -= zero;
      if (job.start_ns >= 0) job.start_ns -= zero;
    }
  }
  return std::move(trace_);
}

}  // namespace penstock::trace::internal
