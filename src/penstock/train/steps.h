// The step-marker protocol: how a training program, ours or any other, says what each step did.
//
// A launcher listens on a Unix stream socket and names it in $PENSTOCK_STEPS; without that variable
// a client does nothing. Text, one record a line, fields "name=value" after the first word:
//
//   penstock-steps/1 rank=0 world=2 batch=32 pid=4711
//   step index=0 begin=812000000 ready=812400000 end=830000000 samples=32 exposed=120000 sent=4096
//   error the model has no operator "Loop"
//   done
//
// begin, ready and end are nanoseconds of CLOCK_MONOTONIC: the step asked for its batch, had it on
// its device, and ended. They are required; every other field is a duration in nanoseconds, a count
// or a byte count, and optional: forward, backward, exposed (waited for communication after the
// backward pass), optimizer, transport (of the processors that compute, what communication took up
// to the end of the backward pass), sent, received, loss, fetch (of `ready - begin`, how long the
// loader waited for storage), bad (images that the loader has replaced so far). Unknown fields are
// ignored, so that clients may say more.
//
// The launcher sets the conditions of a run in the environment, which attached programs obey
// through their client (clients/): PENSTOCK_DATA=real|synthetic, PENSTOCK_ALL_REDUCE=on|off,
// PENSTOCK_STEP_COUNT=N (warm-up included).
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "penstock/core/result.h"

namespace penstock::train {

struct StepsHello {
  int rank = 0;
  int world = 1;
  std::int64_t batch = 0;
  std::int64_t pid = 0;
};

struct StepRecord {
  std::int64_t index = 0;  // from 0, warm-up included
  std::int64_t begin_ns = 0;
  std::int64_t ready_ns = 0;
  std::int64_t end_ns = 0;
  std::int64_t samples = 0;
  std::int64_t forward_ns = 0;
  std::int64_t backward_ns = 0;
  std::int64_t exposed_ns = 0;
  std::int64_t optimizer_ns = 0;
  std::int64_t fetch_ns = 0;
  std::int64_t transport_ns = 0;
  std::int64_t sent_bytes = 0;
  std::int64_t received_bytes = 0;
  std::int64_t bad_samples = 0;                            // since the start of the loader
  double loss = std::numeric_limits<double>::quiet_NaN();  // where unknown
};

struct StepsError {
  std::string message;
};
struct StepsDone {};
using StepsLine = std::variant<StepsHello, StepRecord, StepsError, StepsDone>;

std::string to_line(const StepsLine& line);  // without the line feed
// Refuses a step that ends before it begins, or whose fields are not numbers.
Result<StepsLine> parse_steps_line(std::string_view line, const std::string& where);

// The client's end, in C++. Lines are written whole; a launcher that is gone is no error.
class StepsWriter {
 public:
  // Of $PENSTOCK_STEPS; writes nothing where that is unset.
  static Result<StepsWriter> connect(const StepsHello& hello);
  StepsWriter(StepsWriter&& other) noexcept;
  StepsWriter& operator=(StepsWriter&& other) noexcept;
  ~StepsWriter();
  void write(const StepsLine& line);

 private:
  explicit StepsWriter(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

}  // namespace penstock::train
