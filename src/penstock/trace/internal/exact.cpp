#include "penstock/trace/internal/exact.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace penstock::trace::internal {
namespace {

constexpr int kMostDigits = 19;  // any 19 digits fit into 64 bits without a sign

constexpr auto kPowers = [] {
  std::array<std::uint64_t, kMostDigits + 1> powers{};
  powers[0] = 1;
  for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}();

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// mantissa * 10^exponent
struct Mantissa {
  std::uint64_t digits = 0;
  int exponent = 0;
  bool is_cut = false;
};

// Reads digits and at most one point; the rest of `text` stays. Nothing if there is no digit.
std::optional<Mantissa> read_mantissa(std::string_view& text) {
  Mantissa m;
  int kept = 0;
  bool has_digit = false;
  bool past_point = false;
  std::size_t i = 0;
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '.' && !past_point) {
      past_point = true;
      continue;
    }
    if (!is_digit(c)) break;
    has_digit = true;
    if (kept < kMostDigits) {
      m.digits = m.digits * 10 + static_cast<std::uint64_t>(c - '0');
      if (m.digits != 0) ++kept;
      if (past_point) --m.exponent;
    } else {
      m.is_cut = m.is_cut || c != '0';
      if (!past_point) ++m.exponent;
    }
  }
  text.remove_prefix(i);
  if (!has_digit) return std::nullopt;
  return m;
}

// Reads "e+3"; an exponent far out of range is as good as any other that large.
std::optional<int> read_exponent(std::string_view& text) {
  text.remove_prefix(1);
  const bool is_negative = text.starts_with('-');
  if (is_negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  int exponent = 0;
  for (; !text.empty() && is_digit(text.front()); text.remove_prefix(1)) {
    exponent = std::min(exponent * 10 + (text.front() - '0'), 100000);
  }
  return is_negative ? -exponent : exponent;
}

Scaled scale(const Mantissa& m, int shift) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (m.digits == 0) return {Decimal::kGood, 0, !m.is_cut};
  if (shift >= 0) {
    if (shift > kMostDigits || m.digits > kMost / kPowers[static_cast<std::size_t>(shift)]) {
      return {Decimal::kTooLarge, 0, false};
    }
    const std::uint64_t value = m.digits * kPowers[static_cast<std::size_t>(shift)];
    return {Decimal::kGood, static_cast<std::int64_t>(value), !m.is_cut};
  }
  if (-shift > kMostDigits) return {Decimal::kGood, 0, false};
  const std::uint64_t divisor = kPowers[static_cast<std::size_t>(-shift)];
  const std::uint64_t rest = m.digits % divisor;
  const std::uint64_t value = m.digits / divisor + (rest >= divisor - rest ? 1 : 0);
  if (value > kMost) return {Decimal::kTooLarge, 0, false};
  return {Decimal::kGood, static_cast<std::int64_t>(value), rest == 0 && !m.is_cut};
}

// Exactly `width` digits.
std::optional<int> field(std::string_view text, std::size_t at, std::size_t width) {
  int value = 0;
  for (std::size_t i = at; i < at + width; ++i) {
    if (!is_digit(text[i])) return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

constexpr bool is_leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

int days_in_month(int year, int month) {
  constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return kDays[static_cast<std::size_t>(month - 1)] + (month == 2 && is_leap(year) ? 1 : 0);
}

// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil, for years from 1
// on: March is the first month, so that the leap day is a year's last.
std::int64_t days_since_1970(int year, int month, int day) {
  const int y = month <= 2 ? year - 1 : year;
  const int era = y / 400;
  const int year_of_era = y - era * 400;
  const int day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  const int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return std::int64_t{era} * 146097 + day_of_era - 719468;
}

}  // namespace

Scaled scaled_decimal(std::string_view text, int digits) {
  const bool is_negative = text.starts_with('-');
  if (is_negative || text.starts_with('+')) text.remove_prefix(1);
  const std::optional<Mantissa> mantissa = read_mantissa(text);
  if (!mantissa) return {};
  int exponent = mantissa->exponent;
  if (!text.empty() && (text.front() == 'e' || text.front() == 'E')) {
    const std::optional<int> written = read_exponent(text);
    if (!written) return {};
    exponent += *written;
  }
  if (!text.empty()) return {};
  if (is_negative && mantissa->digits != 0) return {Decimal::kNegative, 0, false};
  return scale(*mantissa, exponent + digits);
}

std::optional<std::int64_t> calendar_ns(std::string_view text) {
  constexpr std::string_view kShape = "0000-00-00 00:00:00";
  if (text.size() < kShape.size()) return std::nullopt;
  for (std::size_t i = 0; i < kShape.size(); ++i) {
    if (i == 10 && text[i] == 'T') continue;
    if (kShape[i] != '0' && text[i] != kShape[i]) return std::nullopt;
  }
  const auto year = field(text, 0, 4);
  const auto month = field(text, 5, 2);
  const auto day = field(text, 8, 2);
  const auto hour = field(text, 11, 2);
  const auto minute = field(text, 14, 2);
  const auto second = field(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  if (*year < 1970 || *year > 2069 || *month < 1 || *month > 12 || *day < 1 ||
      *day > days_in_month(*year, *month) || *hour > 23 || *minute > 59 || *second > 59) {
    return std::nullopt;
  }
  std::int64_t fraction = 0;
  if (text.size() > kShape.size()) {
    const std::string_view rest = text.substr(kShape.size());
    if (rest.front() != '.' || rest.size() < 2 || rest.size() > 1 + kSecondDigits ||
        !std::all_of(rest.begin() + 1, rest.end(), is_digit)) {
      return std::nullopt;
    }
    fraction = scaled_decimal(rest, kSecondDigits).value;
  }
  const std::int64_t days = days_since_1970(*year, *month, *day);
  const std::int64_t seconds = ((days * 24 + *hour) * 60 + *minute) * 60 + *second;
  return seconds * kSecond + fraction;
}

void append_seconds(std::string& out, std::int64_t ns) {
  char buffer[24];
  const auto whole = std::to_chars(buffer, buffer + sizeof buffer, ns / kSecond);
  out.append(buffer, whole.ptr);
  std::int64_t rest = ns % kSecond;
  if (rest == 0) return;
  char digits[kSecondDigits];
  for (int i = kSecondDigits - 1; i >= 0; --i, rest /= 10) {
    digits[i] = static_cast<char>('0' + rest % 10);
  }
  std::size_t length = kSecondDigits;
  while (digits[length - 1] == '0') --length;
  out += '.';
  out.append(digits, length);
}

std::string seconds_text(std::int64_t ns) {
  std::string text;
  append_seconds(text, ns);
  return text;
}

}  // namespace penstock::trace::internal
