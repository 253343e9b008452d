// Gathers the jobs of a trace: names are unique, models are numbered, jobs end up in the order of
// submission with the earliest at time zero.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "penstock/trace/internal/rows.h"
#include "penstock/trace/jobs.h"

namespace penstock::trace::internal {

// The time that becomes zero.
enum class Origin {
  kEarliest,  // the first submission
  kStated,    // the trace's own zero
};

class Intake {
 public:
  // Jobs have the names of that column; without one (-1) all are called by their row.
  Intake(Rows& rows, int name_column);
  // The number of a model by its name in any case; -1 for an empty name.
  std::int32_t model(std::string_view name);
  // The job of the current row, named by it, if the row is good and the name new. A job whose name
  // is empty gets its row's number, counted from 0.
  void add(TrainingJob&& job);
  void note(std::string sentence) { trace_.notes.push_back(std::move(sentence)); }
  // Call once, when all rows are read.
  Result<JobTrace> finish(Origin origin);

 private:
  struct NameSlot {
    std::uint32_t tag = 0;  // of the name's hash, so that most others are told apart without a look
    std::uint32_t job = 0;  // index + 1; 0: free
  };
  bool is_new(const std::string& name);

  Rows& rows_;
  int name_column_;
  JobTrace trace_;
  std::vector<std::uint32_t> lines_;  // of trace_.jobs
  std::size_t row_ = 0;
  // Open addressing, at most half full: a million names as std::unordered_set would take longer
  // than all the rest of the reading.
  std::vector<NameSlot> names_;
  std::unordered_map<std::string, std::int32_t> models_;
  std::string last_model_;  // as written
  std::int32_t last_model_number_ = -1;
};

}  // namespace penstock::trace::internal
