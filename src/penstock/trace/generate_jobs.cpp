#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <optional>
#include <utility>

#include "penstock/core/nearest.h"
#include "penstock/core/random.h"
#include "penstock/trace/internal/exact.h"
#include "penstock/trace/internal/philly_law.h"
#include "penstock/trace/jobs.h"

namespace penstock::trace {
namespace {

using core::RandomStream;
using internal::kLongest;
using internal::kSecond;

constexpr double kHour = 3600;

double exponential(RandomStream& stream, double mean) {
  return -mean * std::log(1 - stream.uniform());  // 1 - uniform() is never 0
}

// Gives the seconds of one submission after another.
using Arrivals = std::function<double()>;

Arrivals poisson(double mean_gap, std::uint64_t seed) {
  return [stream = RandomStream(seed, "job gaps"), mean_gap, now = 0.0]() mutable {
    return now += exponential(stream, mean_gap);
  };
}

// A Poisson process whose rate switches between two values after exponential times. Both the gaps
// and the stays forget the past, so a gap that a switch cuts short is drawn anew.
class Bursty {
 public:
  Bursty(const JobLaw& law, double mean_gap, std::uint64_t seed)
      : stream_(seed, "job bursts"),
        busy_stay_(law.burst_gaps * mean_gap),
        quiet_stay_(busy_stay_ * (1 - law.burst_share) / law.burst_share),
        // burst_share * ratio / quiet_gap + (1 - burst_share) / quiet_gap = 1 / mean_gap
        quiet_gap_(mean_gap * (1 + law.burst_share * (law.burst_ratio - 1))),
        busy_gap_(quiet_gap_ / law.burst_ratio),
        is_busy_(stream_.uniform() < law.burst_share) {
    switch_at_ = exponential(stream_, stay());
  }
  double operator()() {
    for (;;) {
      const double next = now_ + exponential(stream_, is_busy_ ? busy_gap_ : quiet_gap_);
      if (next < switch_at_) return now_ = next;
      now_ = switch_at_;
      is_busy_ = !is_busy_;
      switch_at_ = now_ + exponential(stream_, stay());
    }
  }

 private:
  double stay() const { return is_busy_ ? busy_stay_ : quiet_stay_; }

  RandomStream stream_;
  double busy_stay_, quiet_stay_, quiet_gap_, busy_gap_;
  bool is_busy_;
  double now_ = 0;
  double switch_at_ = 0;
};

// A Poisson process whose rate has the hours and weekdays of Philly: a process of rate one, run
// through the inverse of the rate's integral. Begins on a Monday at midnight.
class WeeklyRhythm {
 public:
  WeeklyRhythm(double mean_gap, std::uint64_t seed) : stream_(seed, "job gaps") {
    // The mean of the products is that of the hours times that of the days, close to 1 but rounded.
    const auto mean = [](const auto& factors) {
      return std::accumulate(factors.begin(), factors.end(), 0.0) /
             static_cast<double>(factors.size());
    };
    scale_ = 1 / (mean_gap * mean(internal::kPhillyHours) * mean(internal::kPhillyWeekdays));
  }
  double operator()() {
    double due = exponential(stream_, 1);
    for (;;) {
      const double rate =
          scale_ * internal::kPhillyHours[hour_ % 24] * internal::kPhillyWeekdays[hour_ / 24 % 7];
      const double left = (kHour - into_hour_) * rate;
      if (due < left) {
        into_hour_ += due / rate;
        return static_cast<double>(hour_) * kHour + into_hour_;
      }
      due -= left;
      ++hour_;
      into_hour_ = 0;
    }
  }

 private:
  RandomStream stream_;
  double scale_;
  std::size_t hour_ = 0;
  double into_hour_ = 0;
};

// The mean of a duration that is log-linear between quantiles: over one interval from a to b it is
// (b - a) / ln(b / a).
double mean_of_quantiles(const std::array<double, internal::kPhillyQuantiles>& seconds) {
  double mean = 0;
  for (std::size_t i = 1; i < seconds.size(); ++i) {
    const double width = internal::kPhillyLevels[i] - internal::kPhillyLevels[i - 1];
    mean += width * (seconds[i] - seconds[i - 1]) / std::log(seconds[i] / seconds[i - 1]);
  }
  return mean;
}

int philly_jobs() {
  int jobs = 0;
  for (const internal::PhillySize& size : internal::kPhillySizes) jobs += size.jobs;
  return jobs;
}

double philly_mean_duration() {
  double sum = 0;
  for (const internal::PhillySize& size : internal::kPhillySizes) {
    sum += size.jobs * mean_of_quantiles(internal::kPhillyDurations[size.lengths]);
  }
  return sum / philly_jobs();
}

const internal::PhillySize& draw_size(RandomStream& stream) {
  auto at = static_cast<int>(stream.below(static_cast<std::uint64_t>(philly_jobs())));
  for (const internal::PhillySize& size : internal::kPhillySizes) {
    if (at < size.jobs) return size;
    at -= size.jobs;
  }
  return internal::kPhillySizes.back();
}

double draw_duration(RandomStream& stream, const internal::PhillySize& size) {
  const auto& levels = internal::kPhillyLevels;
  const auto& seconds = internal::kPhillyDurations[size.lengths];
  const double u = stream.uniform();
  const auto above = static_cast<std::size_t>(
      std::upper_bound(levels.begin() + 1, levels.end() - 1, u) - levels.begin());
  const double part = (u - levels[above - 1]) / (levels[above] - levels[above - 1]);
  return seconds[above - 1] * std::pow(seconds[above] / seconds[above - 1], part);
}

const std::vector<std::string>& laws() {
  static const std::vector<std::string> kLaws = {"poisson", "bursty", "philly-like"};
  return kLaws;
}

Status check(const JobLaw& law) {
  const auto bad = [&](std::string message, std::string mend) {
    return core::input_error("", std::move(message), std::move(mend));
  };
  if (std::find(laws().begin(), laws().end(), law.law) == laws().end()) {
    const std::string nearest = core::did_you_mean(law.law, laws());
    return bad(fmt::format("no law of jobs is called \"{}\"", law.law),
               nearest.empty() ? fmt::format("the laws are {}", fmt::join(laws(), ", ")) : nearest);
  }
  if (law.jobs < 1) return bad("no job is asked for", "ask for at least one");
  for (const Seconds mean : {law.mean_gap, law.mean_duration}) {
    if (!(mean.value() >= 0 && mean.value() <= 1e9)) {
      return bad("a mean time is negative or over 30 years", "give a mean from 0 s to 1e9 s");
    }
  }
  if (law.accelerators.empty() ||
      *std::min_element(law.accelerators.begin(), law.accelerators.end()) < 1) {
    return bad("a job asks for no accelerator", "list numbers of accelerators from 1 on");
  }
  if (!(law.burst_ratio >= 1 && law.burst_ratio <= 1e6) ||
      !(law.burst_share > 0 && law.burst_share < 1) ||
      !(law.burst_gaps > 0 && law.burst_gaps <= 1e9)) {
    return bad("the bursts cannot be",
               "give a ratio from 1 to 1e6, a share between 0 and 1, a length above 0 gaps");
  }
  return {};
}

// The nearest nanosecond, at least `least`; nothing if it lies over 100 years off.
std::optional<std::int64_t> nanoseconds(double seconds, std::int64_t least) {
  const double ns = seconds * static_cast<double>(kSecond);
  if (!(ns <= static_cast<double>(kLongest))) return std::nullopt;
  return std::max<std::int64_t>(least, std::llround(ns));
}

}  // namespace

Result<JobTrace> generate_jobs(const JobLaw& law, std::uint64_t seed) {
  PENSTOCK_TRY_STATUS(check(law));
  const bool is_philly = law.law == "philly-like";
  const double own_gap = is_philly ? internal::kPhillyGapSeconds : 60;
  const double gap = law.mean_gap.value() > 0 ? law.mean_gap.value() : own_gap;
  const double own_duration = is_philly ? philly_mean_duration() : kHour;
  const double duration = law.mean_duration.value() > 0 ? law.mean_duration.value() : own_duration;
  Arrivals arrivals = is_philly             ? Arrivals(WeeklyRhythm(gap, seed))
                      : law.law == "bursty" ? Arrivals(Bursty(law, gap, seed))
                                            : poisson(gap, seed);
  RandomStream lengths(seed, "job durations");
  RandomStream sizes(seed, "job accelerators");
  RandomStream kinds(seed, "job models");
  JobTrace trace;
  trace.source = law.law;
  trace.models = law.models;
  trace.jobs.reserve(static_cast<std::size_t>(law.jobs));
  // The hours of philly-like count from midnight; else the first job makes the beginning.
  double zero = 0;
  for (int i = 0; i < law.jobs; ++i) {
    const double at = arrivals();
    if (i == 0 && !is_philly) zero = at;
    TrainingJob job;
    job.name = std::to_string(i);
    double seconds = 0;
    if (is_philly) {
      const internal::PhillySize& size = draw_size(sizes);
      job.accelerators = size.accelerators;
      seconds = draw_duration(lengths, size) * (duration / own_duration);
    } else {
      job.accelerators = law.accelerators[sizes.below(law.accelerators.size())];
      seconds = exponential(lengths, duration);
    }
    if (!law.models.empty()) job.model = static_cast<int>(kinds.below(law.models.size()));
    const auto submit = nanoseconds(at - zero, 0);
    const auto run = nanoseconds(seconds, 1);
    if (!submit || !run) {
      return core::input_error("", "the jobs would take over 100 years",
                               "ask for fewer jobs, or a shorter mean");
    }
    job.submit_ns = *submit;
    job.duration_ns = *run;
    trace.jobs.push_back(std::move(job));
  }
  return trace;
}

}  // namespace penstock::trace
