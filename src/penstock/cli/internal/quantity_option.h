// Options whose text is a number with a unit.
#pragma once

#include <string>
#include <utility>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"

namespace penstock::cli::internal {

// Reads `text` into `value` where the option was given; nothing is below zero.
template <typename Q>
Status read_quantity(const char* option, const std::string& text, Q& value) {
  if (text.empty()) return {};
  auto read = core::parse_quantity<Q>(text);
  if (!read) {
    read.error().where = option;
    return core::fail(std::move(read).error());
  }
  if (read->value() < 0) return core::input_error(option, "\"" + text + "\" is below zero");
  value = *read;
  return {};
}

}  // namespace penstock::cli::internal
