#include "penstock/ledger/internal/fields.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "penstock/core/nearest.h"

namespace penstock::ledger::internal {
namespace {

const core::Json kNoObject = core::Json::object();
const core::Json kNoArray = core::Json::array();

constexpr std::size_t kShownBytes = 40;

// The value as the file has it, short enough for one line.
std::string shown(const core::Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  std::string text = value.dump(-1, ' ', true, core::Json::error_handler_t::replace);
  if (text.size() > kShownBytes) text = text.substr(0, kShownBytes) + "...";
  return text;
}

void record(std::vector<Error>& errors, const Place& place, std::string message,
            std::string mend = "") {
  errors.push_back(core::input_error(place.text(), std::move(message), std::move(mend)).value());
}

}  // namespace

Place Place::member(const std::string& key) const {
  return {file, path.empty() ? key : path + "." + key};
}

Place Place::element(std::size_t index) const { return {file, fmt::format("{}[{}]", path, index)}; }

std::string Place::text() const { return path.empty() ? file : file + ": " + path; }

double not_negative_number(const core::Json& value, const Place& place,
                           std::vector<Error>& errors) {
  if (!value.is_number()) {
    record(errors, place, "must be a number, not " + shown(value));
    return 0;
  }
  const double number = value.get<double>();
  if (!std::isfinite(number) || number < 0) {
    record(errors, place, fmt::format("must not be negative, but is {}", shown(value)));
    return 0;
  }
  return number;
}

Fields::Fields(const core::Json& object, Place place, std::vector<Error>& errors)
    : object_(&object), place_(std::move(place)), errors_(&errors) {
  if (object.is_object()) return;
  record(errors, place_, "must be an object, not " + shown(object));
  object_ = nullptr;
}

const core::Json* Fields::find(const std::string& key) {
  asked_.insert(key);
  if (object_ == nullptr) return nullptr;
  const auto member = object_->find(key);
  if (member != object_->end()) return &*member;
  record(*errors_, place_, fmt::format("\"{}\" is missing", key));
  return nullptr;
}

bool Fields::has(const std::string& key) {
  asked_.insert(key);
  return object_ != nullptr && object_->contains(key);
}

std::optional<std::string> Fields::text(const std::string& key) {
  const core::Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  error(key, "must be text, not " + shown(*value));
  return std::nullopt;
}

double Fields::not_negative(const std::string& key) {
  const core::Json* value = find(key);
  return value == nullptr ? 0 : not_negative_number(*value, place(key), *errors_);
}

int Fields::positive_count(const std::string& key) {
  const core::Json* value = find(key);
  if (value == nullptr) return 1;
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();
  if (value->is_number_integer() && value->get<double>() >= 1 &&
      value->get<double>() <= static_cast<double>(kMost)) {
    return value->get<int>();
  }
  error(key, fmt::format("must be a whole number from 1 to {}, not {}", kMost, shown(*value)));
  return 1;
}

const core::Json& Fields::array(const std::string& key) {
  const core::Json* value = find(key);
  if (value == nullptr) return kNoArray;
  if (value->is_array()) return *value;
  error(key, "must be an array, not " + shown(*value));
  return kNoArray;
}

const core::Json& Fields::object(const std::string& key) {
  const core::Json* value = find(key);
  if (value == nullptr) return kNoObject;
  if (value->is_object()) return *value;
  error(key, "must be an object, not " + shown(*value));
  return kNoObject;
}

void Fields::error(const std::string& key, std::string message, std::string mend) {
  record(*errors_, place_.member(key), std::move(message), std::move(mend));
}

void Fields::refuse_others() {
  if (object_ == nullptr) return;
  const std::vector<std::string> known(asked_.begin(), asked_.end());
  for (const auto& [key, value] : object_->items()) {
    if (!asked_.contains(key)) {
      error(key, "is not a known key", core::did_you_mean(key, known));
    }
  }
}

}  // namespace penstock::ledger::internal
