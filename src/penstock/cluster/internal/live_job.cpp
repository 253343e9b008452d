#include "penstock/cluster/internal/live_job.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "penstock/core/json.h"
#include "penstock/core/nearest.h"
#include "penstock/core/quantity.h"

namespace penstock::cluster {
namespace {

constexpr std::string_view kMark = "penstock";
constexpr std::array<std::string_view, 5> kStates = {"held", "placing", "running", "saving",
                                                     "vacating"};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

template <typename Number>
bool read_number(std::string_view text, Number least, Number most, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= least &&
         number <= most;
}

Status read_field(std::string_view key, std::string_view value, JobMark& mark) {
  const auto bad = [&](const char* wanted) {
    return core::input_error("comment", fmt::format("{}={} is not {}", key, value, wanted));
  };
  if (key == "model") {
    mark.model = value;
  } else if (key == "batch") {
    if (!read_number(value, 1, 1'000'000'000, mark.batch)) return bad("a number from 1 on");
  } else if (key == "skew") {
    if (!read_number(value, 0.0, 1.0, mark.skew)) return bad("a number from 0 to 1");
  } else if (key == "work" || key == "save") {
    const Result<Seconds> time = core::parse_quantity<Seconds>(value);
    if (!time || !(time->value() > 0) || time->value() > 1e9) return bad("a time such as \"2 h\"");
    (key == "work" ? mark.work : mark.save) = *time;
  } else {
    const std::string nearest = core::did_you_mean(key, {"model", "batch", "work", "skew", "save"});
    return core::input_error("comment", fmt::format("unknown key \"{}\"", key),
                             nearest.empty() ? "use model, batch, work, skew or save" : nearest);
  }
  return {};
}

}  // namespace

std::string_view live_state_name(LiveState state) { return kStates[std::size_t(state)]; }

bool is_marked(std::string_view comment) {
  comment = trimmed(comment);
  return comment.starts_with(kMark) &&
         (comment.size() == kMark.size() || comment[kMark.size()] == ':');
}

Result<JobMark> parse_mark(std::string_view comment) {
  JobMark mark;
  comment = trimmed(comment);
  comment.remove_prefix(std::min(comment.size(), kMark.size() + 1));
  while (!comment.empty()) {
    const std::size_t end = std::min(comment.find(';'), comment.size());
    const std::string_view field = trimmed(comment.substr(0, end));
    comment.remove_prefix(std::min(comment.size(), end + 1));
    if (field.empty()) continue;
    const std::size_t equals = field.find('=');
    if (equals == std::string_view::npos) {
      return core::input_error("comment", fmt::format("\"{}\" has no value", field),
                               "write penstock:key=value;key=value");
    }
    PENSTOCK_TRY_STATUS(
        read_field(trimmed(field.substr(0, equals)), trimmed(field.substr(equals + 1)), mark));
  }
  return mark;
}

namespace internal {
namespace {

using core::Json;

Json shares_json(const std::vector<NodeShare>& shares) {
  Json json = Json::array();
  for (const NodeShare& share : shares) json.push_back({share.node, share.accelerators});
  return json;
}

}  // namespace

std::string record_of(const LiveJob& job) {
  const JobStatus& status = job.status;
  Json timers = Json::array();
  for (const Timer& timer : status.timers) {
    timers.push_back({timer.value.ns, timer.samples, timer.gave_up, timer.tuned});
  }
  const Json json = {{"id", job.id},
                     {"sequence", job.sequence},
                     {"comment", job.comment},
                     {"name", job.name},
                     {"accelerators", job.accelerators},
                     {"state", live_state_name(job.state)},
                     {"shares", shares_json(job.shares)},
                     {"as_of_ns", job.as_of.ns},
                     {"submit_ns", status.submit.ns},
                     {"held_ns", status.held.ns},
                     {"useful_ns", status.useful.ns},
                     {"worked_ns", status.worked.ns},
                     {"remaining_ns", status.remaining.ns},
                     {"rate", status.rate},
                     {"queue", status.queue},
                     {"offered", status.offered},
                     {"first_offer_ns", status.first_offer.ns},
                     {"rack_at_ns", status.rack_at.ns},
                     {"network_at_ns", status.network_at.ns},
                     {"timers", timers},
                     {"save_until_ns", job.save_until.ns},
                     {"released_at_ns", job.released_at.ns},
                     {"first_start_ns", job.first_start.ns},
                     {"starts", job.starts},
                     {"preemptions", job.preemptions},
                     {"migrations", job.migrations}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<LiveJob> job_from_record(const std::string& text, const std::string& where) {
  PENSTOCK_TRY(const Json json, core::parse_json(text, where));
  try {
    LiveJob job;
    job.id = json.at("id");
    job.sequence = json.at("sequence");
    job.comment = json.at("comment");
    job.name = json.at("name");
    job.accelerators = json.at("accelerators");
    const std::string state = json.at("state");
    for (std::size_t i = 0; i < kStates.size(); ++i) {
      if (state == kStates[i]) job.state = LiveState(i);
    }
    for (const Json& share : json.at("shares")) {
      job.shares.push_back({share.at(0), share.at(1)});
    }
    JobStatus& status = job.status;
    job.as_of.ns = json.at("as_of_ns");
    status.submit.ns = json.at("submit_ns");
    status.held.ns = json.at("held_ns");
    status.useful.ns = json.at("useful_ns");
    status.worked.ns = json.at("worked_ns");
    status.remaining.ns = json.at("remaining_ns");
    status.rate = json.at("rate");
    status.queue = json.at("queue");
    status.offered = json.at("offered");
    status.first_offer.ns = json.at("first_offer_ns");
    status.rack_at.ns = json.at("rack_at_ns");
    status.network_at.ns = json.at("network_at_ns");
    for (std::size_t tier = 0; tier < status.timers.size(); ++tier) {
      const Json& timer = json.at("timers").at(tier);
      status.timers[tier] = {.value = {timer.at(0)},
                             .samples = timer.at(1),
                             .gave_up = timer.at(2),
                             .tuned = timer.at(3)};
    }
    job.save_until.ns = json.at("save_until_ns");
    job.released_at.ns = json.at("released_at_ns");
    job.first_start.ns = json.at("first_start_ns");
    job.starts = json.at("starts");
    job.preemptions = json.at("preemptions");
    job.migrations = json.at("migrations");
    PENSTOCK_TRY(job.mark, parse_mark(job.comment));
    return job;
  } catch (const nlohmann::json::exception& error) {
    return core::input_error(where, std::string("is no record of a job: ") + error.what(),
                             "name another book with --book");
  }
}

Json outcome_of(const LiveJob& job, Time end, const std::string& how) {
  const auto seconds = [](Time time) { return sim::seconds_of(time).value(); };
  return {{"id", job.id},
          {"name", job.name},
          {"accelerators", job.accelerators},
          {"submit_s", seconds(job.status.submit)},
          {"start_s", seconds(job.first_start)},
          {"end_s", seconds(end)},
          {"held_s", seconds(job.status.held)},
          {"useful_s", seconds(job.status.useful)},
          {"starts", job.starts},
          {"preemptions", job.preemptions},
          {"migrations", job.migrations},
          {"how", how}};
}

}  // namespace internal
}  // namespace penstock::cluster
