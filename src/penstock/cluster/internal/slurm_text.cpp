#include "penstock/cluster/internal/slurm_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>

namespace penstock::cluster::internal {
namespace {

// More than any cluster has; a range beyond is a misread.
constexpr long kMostHosts = 1'000'000;

long number_in(std::string_view text) {
  long value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : -1;
}

std::vector<std::string_view> split_at_top(std::string_view text) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  int depth = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && (text[i] == '[' || text[i] == '(')) ++depth;
    if (i < text.size() && (text[i] == ']' || text[i] == ')')) --depth;
    if (i == text.size() || (text[i] == ',' && depth == 0)) {
      if (i > begin) parts.push_back(text.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  return parts;
}

void expand_one(std::string_view text, std::vector<std::string>& hosts) {
  const std::size_t open = text.find('[');
  const std::size_t close = text.find(']', open == std::string_view::npos ? 0 : open);
  if (open == std::string_view::npos || close == std::string_view::npos) {
    hosts.emplace_back(text);
    return;
  }
  const std::string_view before = text.substr(0, open);
  const std::string_view after = text.substr(close + 1);
  for (const std::string_view range : split_at_top(text.substr(open + 1, close - open - 1))) {
    const std::size_t dash = range.find('-');
    const std::string_view from = range.substr(0, dash);
    const long first = number_in(from);
    const long last = dash == std::string_view::npos ? first : number_in(range.substr(dash + 1));
    if (first < 0 || last < first || last - first > kMostHosts) continue;
    for (long i = first; i <= last; ++i) {
      expand_one(fmt::format("{}{:0{}}{}", before, i, from.size(), after), hosts);
    }
  }
}

bool is_key(std::string_view word) {
  const auto is_key_letter = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '/' || c == ':' || c == '-' || c == '.';
  };
  return !word.empty() && word[0] >= 'A' && word[0] <= 'Z' &&
         std::all_of(word.begin(), word.end(), is_key_letter);
}

// Keys of Slurm's whose values are a user's words, blanks and all, and the key that Slurm writes
// next. What stands between cannot be told from keys by its looks.
std::size_t end_of_free_text(std::string_view line, std::string_view key, std::size_t from) {
  if (key == "Comment") {
    const std::size_t end = line.rfind(" StdErr=");
    return end == std::string_view::npos || end < from ? line.size() : end;
  }
  if (key == "JobName") {
    const std::size_t end = line.find(" UserId=", from);
    return end == std::string_view::npos ? line.size() : end;
  }
  return std::string_view::npos;
}

}  // namespace

std::vector<std::string> expand_hosts(std::string_view text) {
  std::vector<std::string> hosts;
  if (text == "(null)") return hosts;
  for (const std::string_view part : split_at_top(text)) expand_one(part, hosts);
  return hosts;
}

int resource_count(std::string_view text, std::string_view resource) {
  long sum = 0;
  for (std::string_view part : split_at_top(text)) {
    if (part.starts_with("gres:") || part.starts_with("gres/")) part.remove_prefix(5);
    part = part.substr(0, part.find('('));
    if (!part.starts_with(resource)) continue;
    part.remove_prefix(resource.size());
    if (part.empty()) {
      ++sum;
      continue;
    }
    if (part[0] != ':' && part[0] != '=') continue;
    const long count = number_in(part.substr(part.find_last_of(":=") + 1));
    sum += count < 0 ? 1 : count;  // "gpu:a100" is one of them
  }
  return int(std::min<long>(sum, kMostHosts));
}

std::string SlurmRecord::value(std::string_view key) const {
  const auto found = values.find(key);
  if (found == values.end() || found->second == "(null)" || found->second == "N/A") return "";
  return found->second;
}

SlurmRecord parse_record(std::string_view line) {
  SlurmRecord record;
  std::string last_key;
  std::string detail_nodes;
  for (std::size_t at = 0; at < line.size();) {
    if (line[at] == ' ') {
      ++at;
      continue;
    }
    const std::size_t blank = std::min(line.find(' ', at), line.size());
    const std::string_view word = line.substr(at, blank - at);
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos || !is_key(word.substr(0, equals))) {
      if (!last_key.empty()) record.values[last_key] += " " + std::string(word);
      at = blank;
      continue;
    }
    const std::string key(word.substr(0, equals));
    const std::size_t from = at + equals + 1;
    std::size_t end = end_of_free_text(line, key, from);
    if (end == std::string_view::npos) end = blank;
    const std::string value(line.substr(from, end - from));
    if (key == "GRES" && !detail_nodes.empty()) {
      record.details.emplace_back(detail_nodes, value);
      detail_nodes.clear();
    } else if (key == "Nodes" && record.values.contains("JobId")) {
      detail_nodes = value;
    } else if (record.values.emplace(key, value).second) {
      last_key = key;
    }
    at = end;
  }
  return record;
}

std::int64_t parse_time(const std::string& text) {
  std::tm parts = {};
  const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (end == nullptr || *end != '\0') return 0;
  parts.tm_isdst = -1;
  return std::int64_t{std::mktime(&parts)};
}

BatchJob job_of(const SlurmRecord& record, std::string_view resource) {
  BatchJob job;
  job.id = number_in(record.value("JobId"));
  job.name = record.value("JobName");
  job.user = record.value("UserId");
  job.user = job.user.substr(0, job.user.find('('));
  job.partition = record.value("Partition");
  job.comment = record.value("Comment");
  while (job.comment.ends_with(' ')) job.comment.pop_back();  // of scontrol's own
  job.is_array = !record.value("ArrayJobId").empty();
  job.may_requeue = record.value("Requeue") != "0";
  job.state_name = record.value("JobState");
  const std::string& state = job.state_name;
  // COMPLETING and CONFIGURING hide what lies beneath: what was asked of the job tells.
  job.is_completing = state == "COMPLETING";
  const bool has_ended = !record.value("EndTime").empty() && state != "PENDING" &&
                         state != "RUNNING" && state != "CONFIGURING" && state != "SUSPENDED";
  job.state = state == "PENDING" || state.starts_with("REQUEUE") || state == "SPECIAL_EXIT"
                  ? BatchState::kPending
              : state == "RUNNING" || state == "CONFIGURING" ? BatchState::kRunning
              : state == "SUSPENDED"                         ? BatchState::kSuspended
              : has_ended                                    ? BatchState::kEnded
                                                             : BatchState::kRunning;
  job.is_held = job.state == BatchState::kPending && record.value("Priority") == "0";
  job.reason = record.value("Reason");
  job.accelerators = resource_count(record.value("TresPerJob"), resource);
  if (job.accelerators == 0) {
    job.accelerators = resource_count(record.value("TresPerTask"), resource) *
                       int(std::max(0L, number_in(record.value("NumTasks"))));
  }
  job.tasks = int(std::max(1L, number_in(record.value("NumTasks"))));
  job.processors_per_task = int(std::max(1L, number_in(record.value("CPUs/Task"))));
  job.wanted_nodes = expand_hosts(record.value("ReqNodeList"));
  for (const auto& [nodes, text] : record.details) {
    const int each = resource_count(text, resource);
    for (std::string& node : expand_hosts(nodes)) {
      if (each > 0) job.shares.push_back({std::move(node), each});
    }
  }
  job.restarts = int(std::max(0L, number_in(record.value("Restarts"))));
  job.submit_s = parse_time(record.value("SubmitTime"));
  job.start_s = parse_time(record.value("StartTime"));
  job.end_s = parse_time(record.value("EndTime"));
  job.begin_s = job.state == BatchState::kPending ? parse_time(record.value("EligibleTime")) : 0;
  return job;
}

BatchNode node_of(const SlurmRecord& record, std::string_view resource) {
  BatchNode node;
  node.name = record.value("NodeName");
  node.accelerators = resource_count(record.value("Gres"), resource);
  const std::string state = record.value("State");
  const std::string base = state.substr(0, state.find_first_of("+*"));
  // A star: the node does not answer.
  node.is_usable = (base == "IDLE" || base == "MIXED" || base == "ALLOCATED") &&
                   state.find('*') == std::string::npos;
  for (const char* flag : {"DRAIN", "FAIL", "DOWN", "INVAL", "MAINT", "REBOOT", "NOT_RESPONDING"}) {
    if (state.find(flag) != std::string::npos) node.is_usable = false;
  }
  return node;
}

void set_racks(std::vector<BatchNode>& nodes, const std::vector<SlurmRecord>& switches) {
  std::map<std::string, std::string> rack_of;
  for (const SlurmRecord& record : switches) {
    if (record.value("Level") != "0") continue;
    const auto found = record.values.find("Nodes");
    if (found == record.values.end()) continue;
    for (std::string& node : expand_hosts(found->second)) {
      rack_of.emplace(std::move(node), record.value("SwitchName"));
    }
  }
  for (BatchNode& node : nodes) {
    if (const auto found = rack_of.find(node.name); found != rack_of.end()) {
      node.rack = found->second;
    }
  }
}

}  // namespace penstock::cluster::internal
