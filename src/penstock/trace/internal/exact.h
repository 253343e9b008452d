// Decimal text and calendar text as exact integers: "2951.0" seconds is 2,951,000,000,000 ns, with
// no floating-point number in between.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock::trace::internal {

inline constexpr int kSecondDigits = 9;  // a second is 10^9 ns
inline constexpr int kMilliDigits = 6;
inline constexpr std::int64_t kSecond = 1'000'000'000;
// 100 years of 365.25 days. Two of them fit into 64 bits, and a date from 1970 to 2069 is below.
inline constexpr std::int64_t kLongest = 3'155'760'000 * kSecond;

enum class Decimal { kGood, kNone, kNegative, kTooLarge };
struct Scaled {
  Decimal verdict = Decimal::kNone;
  std::int64_t value = 0;  // the number times 10^digits, rounded once, half away from zero
  bool is_exact = false;   // nothing was rounded
};
// Reads "12", "12.5", "-3", "1.25e3"; digits in [0, 18]. More than 19 significant digits are cut.
Scaled scaled_decimal(std::string_view text, int digits);

// "2017-10-09 06:13:03", with a blank or a T, with or without a fraction of up to nine digits: ns
// since 1970, as if every day had 24 hours.
std::optional<std::int64_t> calendar_ns(std::string_view text);

// Nanoseconds as the shortest decimal text of seconds.
std::string seconds_text(std::int64_t ns);
void append_seconds(std::string& out, std::int64_t ns);

}  // namespace penstock::trace::internal
