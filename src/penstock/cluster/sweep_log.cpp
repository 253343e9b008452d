#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "penstock/cluster/compare.h"
#include "penstock/core/check.h"
#include "penstock/core/file.h"
#include "penstock/core/json.h"

namespace penstock::cluster {
namespace {

using core::Json;

tl::unexpected<Error> cannot(const std::string& path, const char* what) {
  return core::missing_error(path, fmt::format("cannot be {}: {}", what, std::strerror(errno)));
}

Status append(int file, const std::string& path, const std::string& line) {
  std::size_t written = 0;
  while (written < line.size()) {
    const ssize_t some = ::write(file, line.data() + written, line.size() - written);
    if (some < 0 && errno == EINTR) continue;
    if (some <= 0) return cannot(path, "written");
    written += std::size_t(some);
  }
  return {};
}

// The lines that were written whole.
std::vector<std::string> whole_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

}  // namespace

SweepLog::SweepLog(std::size_t points) : results_(points) {}
SweepLog::~SweepLog() {
  if (file_ >= 0) ::close(file_);
}
SweepLog::SweepLog(SweepLog&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::exchange(other.file_, -1)),
      results_(std::move(other.results_)) {}

Result<SweepLog> SweepLog::open(const std::string& path, const Json& spec, std::size_t points) {
  SweepLog log(points);
  log.path_ = path;
  log.file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log.file_ < 0) return cannot(path, "opened");
  if (::flock(log.file_, LOCK_EX | LOCK_NB) != 0) {
    return core::input_error(path, "another sweep is writing it",
                             "wait for its end, or name another file");
  }
  PENSTOCK_TRY(const std::string text, core::read_file(path));
  const std::vector<std::string> lines = whole_lines(text);
  const std::string head = Json({{"schema", "penstock-cluster-sweep/1"}, {"spec", spec}}).dump();
  if (lines.empty()) {
    // A first line that is no beginning of ours is somebody's file.
    if (head.compare(0, text.size(), text) != 0) {
      return core::input_error(path, "is no file of a sweep", "name another file");
    }
    if (::ftruncate(log.file_, 0) != 0) return cannot(path, "cut");
    PENSTOCK_TRY_STATUS(append(log.file_, path, head + "\n"));
    return log;
  }
  if (lines.front() != head) {
    return core::input_error(path + ":1", "holds another sweep",
                             "name another file, or run the command that made this one");
  }
  std::size_t kept = lines.front().size() + 1;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::string where = fmt::format("{}:{}", path, i + 1);
    PENSTOCK_TRY(const Json line, core::parse_json(lines[i], where));
    PENSTOCK_TRY(const auto point, core::json_member<std::size_t>(line, "point", where));
    PENSTOCK_TRY(const Json result, core::json_member<Json>(line, "result", where));
    if (point >= points) return core::input_error(where, "names no point of this sweep");
    log.results_[point] = result.dump();
    kept += lines[i].size() + 1;
  }
  if (::ftruncate(log.file_, off_t(kept)) != 0) return cannot(path, "cut");
  return log;
}

Status SweepLog::add(std::size_t point, const Json& result) {
  results_[point] = result.dump();
  if (file_ < 0) return {};
  return append(file_, path_,
                fmt::format("{{\"point\":{},\"result\":{}}}\n", point, results_[point]));
}

Json SweepLog::result(std::size_t point) const {
  PENSTOCK_CHECK(has(point));
  return Json::parse(results_[point]);
}

std::size_t SweepLog::done() const {
  return std::size_t(std::count_if(results_.begin(), results_.end(),
                                   [](const std::string& it) { return !it.empty(); }));
}

}  // namespace penstock::cluster
