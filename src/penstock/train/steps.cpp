#include "penstock/train/steps.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <utility>
#include <vector>

#include "penstock/train/internal/steps_socket.h"

namespace penstock::train {
namespace {

constexpr std::string_view kHelloWord = "penstock-steps/1";

template <typename Record>
struct CountField {
  std::string_view name;
  std::int64_t Record::*member;
  bool required = false;
};

constexpr std::array<CountField<StepRecord>, 14> kStepFields = {{
    {"index", &StepRecord::index, true},
    {"begin", &StepRecord::begin_ns, true},
    {"ready", &StepRecord::ready_ns, true},
    {"end", &StepRecord::end_ns, true},
    {"samples", &StepRecord::samples},
    {"forward", &StepRecord::forward_ns},
    {"backward", &StepRecord::backward_ns},
    {"exposed", &StepRecord::exposed_ns},
    {"optimizer", &StepRecord::optimizer_ns},
    {"fetch", &StepRecord::fetch_ns},
    {"transport", &StepRecord::transport_ns},
    {"sent", &StepRecord::sent_bytes},
    {"received", &StepRecord::received_bytes},
    {"bad", &StepRecord::bad_samples},
}};

using Field = std::pair<std::string_view, std::string_view>;

// The "name=value" fields after the first word; words without "=" are ignored like unknown fields.
std::vector<Field> fields_of(std::string_view text) {
  std::vector<Field> fields;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    if (const std::size_t equals = word.find('='); equals != std::string_view::npos) {
      fields.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return fields;
}

const std::string_view* find_field(const std::vector<Field>& fields, std::string_view name) {
  for (const Field& field : fields) {
    if (field.first == name) return &field.second;
  }
  return nullptr;
}

template <typename Number>
bool parse_whole(std::string_view text, Number* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

// Reads one non-negative number of a record, where it is there.
template <typename Number>
Status read_count(const std::vector<Field>& fields, std::string_view name, bool required,
                  const std::string& where, Number* number) {
  const std::string_view* text = find_field(fields, name);
  if (text == nullptr) {
    if (!required) return {};
    return core::input_error(where, fmt::format("the field \"{}\" is missing", name));
  }
  if (!parse_whole(*text, number) || *number < 0) {
    return core::input_error(where,
                             fmt::format("{}={} is not a whole number from 0 up", name, *text));
  }
  return {};
}

Result<StepsLine> parse_hello(const std::vector<Field>& fields, const std::string& where) {
  StepsHello hello;
  PENSTOCK_TRY_STATUS(read_count(fields, "rank", true, where, &hello.rank));
  PENSTOCK_TRY_STATUS(read_count(fields, "world", true, where, &hello.world));
  PENSTOCK_TRY_STATUS(read_count(fields, "batch", false, where, &hello.batch));
  PENSTOCK_TRY_STATUS(read_count(fields, "pid", false, where, &hello.pid));
  if (hello.rank >= hello.world) {
    return core::input_error(where,
                             fmt::format("rank={} is not below world={}", hello.rank, hello.world));
  }
  return hello;
}

Result<StepsLine> parse_step(const std::vector<Field>& fields, const std::string& where) {
  StepRecord step;
  for (const auto& field : kStepFields) {
    PENSTOCK_TRY_STATUS(
        read_count(fields, field.name, field.required, where, &(step.*field.member)));
  }
  if (const std::string_view* loss = find_field(fields, "loss");
      loss != nullptr && !parse_whole(*loss, &step.loss)) {
    return core::input_error(where, fmt::format("loss={} is not a number", *loss));
  }
  if (step.ready_ns < step.begin_ns || step.end_ns < step.ready_ns) {
    return core::input_error(
        where, fmt::format("step {} runs backwards: begin={} ready={} end={}", step.index,
                           step.begin_ns, step.ready_ns, step.end_ns));
  }
  return step;
}

std::string hello_line(const StepsHello& hello) {
  return fmt::format("{} rank={} world={} batch={} pid={}", kHelloWord, hello.rank, hello.world,
                     hello.batch, hello.pid);
}

std::string step_line(const StepRecord& step) {
  std::string line = "step";
  for (const auto& field : kStepFields) {
    const std::int64_t value = step.*field.member;
    if (field.required || value != 0) line += fmt::format(" {}={}", field.name, value);
  }
  if (!std::isnan(step.loss)) line += fmt::format(" loss={}", step.loss);
  return line;
}

// A message must not end its line early.
std::string error_line(const StepsError& error) {
  std::string line = "error " + error.message;
  for (char& c : line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return line;
}

}  // namespace

std::string to_line(const StepsLine& line) {
  if (const auto* hello = std::get_if<StepsHello>(&line)) return hello_line(*hello);
  if (const auto* step = std::get_if<StepRecord>(&line)) return step_line(*step);
  if (const auto* error = std::get_if<StepsError>(&line)) return error_line(*error);
  return "done";
}

Result<StepsLine> parse_steps_line(std::string_view line, const std::string& where) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  const std::string_view rest = line.substr(std::min(end + 1, line.size()));
  if (word == "step") return parse_step(fields_of(rest), where);
  if (word == kHelloWord) return parse_hello(fields_of(rest), where);
  if (word == "error") return StepsError{std::string(rest)};
  if (word == "done") return StepsDone{};
  return core::input_error(
      where, fmt::format("\"{}\" begins no record of the step-marker protocol", word.substr(0, 40)),
      "records begin with penstock-steps/1, step, error or done; see docs/markers.md");
}

Result<StepsWriter> StepsWriter::connect(const StepsHello& hello) {
  const char* address = std::getenv("PENSTOCK_STEPS");
  if (address == nullptr || *address == '\0') return StepsWriter(-1);
  PENSTOCK_TRY(const int descriptor, internal::connect_steps(address));
  StepsWriter writer(descriptor);
  writer.write(hello);
  return writer;
}

StepsWriter::StepsWriter(StepsWriter&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

StepsWriter& StepsWriter::operator=(StepsWriter&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

StepsWriter::~StepsWriter() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void StepsWriter::write(const StepsLine& line) {
  if (descriptor_ < 0) return;
  if (internal::send_whole(descriptor_, to_line(line) + "\n")) return;
  ::close(descriptor_);
  descriptor_ = -1;
}

}  // namespace penstock::train
