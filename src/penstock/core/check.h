// PENSTOCK_CHECK(a == b): aborts with both values when the claim does not hold. For our own bugs
// only; whatever a user can cause is an Error (core/result.h).
#pragma once

#include <fmt/format.h>

#include <string>

namespace penstock::core {

[[noreturn]] void check_failed(const char* file, int line, const char* expression,
                               const std::string& values);

namespace internal {

template <typename T>
std::string show(const T& value) {
  if constexpr (fmt::is_formattable<T>::value) {
    return fmt::format("{}", value);
  } else {
    return "?";
  }
}

struct Outcome {
  bool holds;
  std::string values;
};

// Captures the left side of a comparison so that both sides can be printed.
template <typename T>
struct Left {
  const T& left;
#define PENSTOCK_COMPARE_(op)                                                       \
  template <typename U>                                                             \
  Outcome operator op(const U& right) const {                                       \
    const bool holds = left op right;                                               \
    return {holds, holds ? std::string() : show(left) + " " #op " " + show(right)}; \
  }
  PENSTOCK_COMPARE_(==)
  PENSTOCK_COMPARE_(!=)
  PENSTOCK_COMPARE_(<)
  PENSTOCK_COMPARE_(<=)
  PENSTOCK_COMPARE_(>)
  PENSTOCK_COMPARE_(>=)
#undef PENSTOCK_COMPARE_
};

struct Decompose {
  template <typename T>
  Left<T> operator<<(const T& value) const {
    return {value};
  }
};

inline Outcome evaluate(Outcome outcome) { return outcome; }
template <typename T>
Outcome evaluate(const Left<T>& value) {
  return {static_cast<bool>(value.left), "false"};
}

}  // namespace internal
}  // namespace penstock::core

// The shift binds more tightly than a comparison, so `Decompose() << a == b` captures a.
#define PENSTOCK_CHECK(...)                                                                      \
  do {                                                                                           \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wparentheses\"") if (      \
        const auto penstock_outcome = ::penstock::core::internal::evaluate(                      \
            ::penstock::core::internal::Decompose() << __VA_ARGS__);                             \
        !penstock_outcome.holds)::penstock::core::check_failed(__FILE__, __LINE__, #__VA_ARGS__, \
                                                               penstock_outcome.values);         \
    _Pragma("GCC diagnostic pop")                                                                \
  } while (false)
