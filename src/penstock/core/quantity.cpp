#include "penstock/core/quantity.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <cmath>
#include <span>
#include <type_traits>

namespace penstock::core {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr double kKi = 1024.0;

constexpr Unit kByteUnits[] = {{"B", 1},
                               {"kB", 1e3},
                               {"MB", 1e6},
                               {"GB", 1e9},
                               {"TB", 1e12},
                               {"PB", 1e15},
                               {"KiB", kKi},
                               {"MiB", kKi* kKi},
                               {"GiB", kKi* kKi* kKi},
                               {"TiB", kKi* kKi* kKi* kKi}};
constexpr Unit kSecondUnits[] = {{"s", 1},      {"ms", 1e-3}, {"us", 1e-6},  {"ns", 1e-9},
                                 {"ps", 1e-12}, {"min", 60},  {"h", 3600.0}, {"d", 86400.0}};
constexpr Unit kFlopUnits[] = {{"FLOP", 1},     {"kFLOP", 1e3},  {"MFLOP", 1e6},  {"GFLOP", 1e9},
                               {"TFLOP", 1e12}, {"PFLOP", 1e15}, {"EFLOP", 1e18}, {"ZFLOP", 1e21}};
constexpr Unit kDollarUnits[] = {{"$", 1}, {"USD", 1}};
constexpr Unit kBandwidthUnits[] = {{"B/s", 1},
                                    {"kB/s", 1e3},
                                    {"MB/s", 1e6},
                                    {"GB/s", 1e9},
                                    {"TB/s", 1e12},
                                    {"MiB/s", kKi* kKi},
                                    {"GiB/s", kKi* kKi* kKi},
                                    {"bit/s", 0.125},
                                    {"kbit/s", 125},
                                    {"Mbit/s", 125e3},
                                    {"Gbit/s", 125e6},
                                    {"Tbit/s", 125e9}};
constexpr Unit kFlopRateUnits[] = {{"FLOP/s", 1},     {"MFLOP/s", 1e6},  {"GFLOP/s", 1e9},
                                   {"TFLOP/s", 1e12}, {"PFLOP/s", 1e15}, {"EFLOP/s", 1e18}};
constexpr Unit kPriceUnits[] = {{"$/h", 1 / 3600.0}, {"USD/h", 1 / 3600.0}, {"$/s", 1}};

template <typename Q>
std::span<const Unit> units_of();
template <>
std::span<const Unit> units_of<Bytes>() {
  return kByteUnits;
}
template <>
std::span<const Unit> units_of<Seconds>() {
  return kSecondUnits;
}
template <>
std::span<const Unit> units_of<Flop>() {
  return kFlopUnits;
}
template <>
std::span<const Unit> units_of<Dollars>() {
  return kDollarUnits;
}
template <>
std::span<const Unit> units_of<Bandwidth>() {
  return kBandwidthUnits;
}
template <>
std::span<const Unit> units_of<FlopRate>() {
  return kFlopRateUnits;
}
template <>
std::span<const Unit> units_of<Price>() {
  return kPriceUnits;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) {
    text.remove_prefix(1);
  }
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) {
    text.remove_suffix(1);
  }
  return text;
}

std::string known_units(std::span<const Unit> units) {
  std::string list;
  for (const Unit& unit : units) list += (list.empty() ? "" : ", ") + std::string(unit.name);
  return list;
}

// "16 Gb" for "16 GB": a bit where bytes were meant. "10 Gb" for "10 Gbit/s", and "10 Gbps".
std::string bit_hint(std::string_view number, std::string_view unit, bool is_rate) {
  const std::size_t slash = unit.find('/');
  const bool is_bps = is_rate && unit.ends_with("bps");
  const std::string_view head = unit.substr(0, is_bps ? unit.size() - 2 : slash);
  if (head.size() < 1 || head.back() != 'b') return "";
  const std::string prefix(head.substr(0, head.size() - 1));
  const std::string tail(is_rate                           ? "/s"
                         : slash == std::string_view::npos ? ""
                                                           : unit.substr(slash));
  const std::string bytes = fmt::format("\"{} {}B{}\"", number, prefix, tail);
  if (tail.empty()) return fmt::format("a lower-case b is a bit; write {} for bytes", bytes);
  return fmt::format("write \"{} {}bit{}\" for bits or {} for bytes", number, prefix, tail, bytes);
}

std::string significant(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e4) return fmt::format("{:.0f}", value);
  return fmt::format("{:.4g}", value);
}

// Picks the largest unit of the list that keeps the number at or above one.
std::string scaled(double value, std::span<const Unit> ascending) {
  if (std::isnan(value)) return "nan";
  const Unit* chosen = &ascending.front();
  for (const Unit& unit : ascending) {
    if (std::abs(value) >= unit.factor * 0.99995) chosen = &unit;
  }
  return significant(value / chosen->factor) + " " + std::string(chosen->name);
}

}  // namespace

template <typename Q>
Result<Q> parse_quantity(std::string_view raw) {
  const std::string_view text = trim(raw);
  double number = 0;
  const auto [rest, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::span<const Unit> units = units_of<Q>();
  if (status != std::errc() || !std::isfinite(number)) {
    return input_error("", fmt::format("\"{}\" is not a number with a unit", raw),
                       fmt::format("write for example \"2 {}\"", units.front().name));
  }
  const std::string_view digits(text.data(), static_cast<std::size_t>(rest - text.data()));
  const std::string_view unit = trim(text.substr(digits.size()));
  for (const Unit& known : units) {
    if (known.name != unit) continue;
    // Dividing by 10^6 rounds "25 us" to the double nearest to 25e-6; multiplying by 1e-6 does not.
    const double value =
        known.factor < 1 ? number / std::round(1 / known.factor) : number * known.factor;
    if (std::isfinite(value)) return Q(value);
    return input_error("", fmt::format("\"{}\" is too large", raw));
  }
  if (unit.empty()) {
    return input_error("", fmt::format("\"{}\" has no unit", raw),
                       "add one of " + known_units(units));
  }
  const std::string hint = bit_hint(digits, unit, std::is_same_v<Q, Bandwidth>);
  return input_error("",
                     fmt::format("\"{}\" has the unit \"{}\", which does not fit here", raw, unit),
                     hint.empty() ? "use one of " + known_units(units) : hint);
}

template Result<Bytes> parse_quantity<Bytes>(std::string_view);
template Result<Seconds> parse_quantity<Seconds>(std::string_view);
template Result<Flop> parse_quantity<Flop>(std::string_view);
template Result<Dollars> parse_quantity<Dollars>(std::string_view);
template Result<Bandwidth> parse_quantity<Bandwidth>(std::string_view);
template Result<FlopRate> parse_quantity<FlopRate>(std::string_view);
template Result<Price> parse_quantity<Price>(std::string_view);

std::string format_quantity(Bytes q) {
  constexpr Unit kUnits[] = {{"B", 1},    {"kB", 1e3},  {"MB", 1e6},
                             {"GB", 1e9}, {"TB", 1e12}, {"PB", 1e15}};
  return scaled(q.value(), kUnits);
}

std::string format_quantity(Seconds q) {
  constexpr Unit kUnits[] = {{"ps", 1e-12}, {"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3},
                             {"s", 1},      {"min", 60},  {"h", 3600},  {"d", 86400}};
  if (q.value() == 0) return "0 s";
  return scaled(q.value(), kUnits);
}

std::string format_quantity(Flop q) { return scaled(q.value(), kFlopUnits); }

std::string format_quantity(Dollars q) {
  return std::abs(q.value()) < 0.01 && q.value() != 0 ? fmt::format("{:.3g} $", q.value())
                                                      : fmt::format("{:.2f} $", q.value());
}

std::string format_quantity(Bandwidth q) {
  constexpr Unit kUnits[] = {
      {"B/s", 1}, {"kB/s", 1e3}, {"MB/s", 1e6}, {"GB/s", 1e9}, {"TB/s", 1e12}};
  return scaled(q.value(), kUnits);
}

std::string format_quantity(FlopRate q) { return scaled(q.value(), kFlopRateUnits); }

std::string format_quantity(Price q) { return fmt::format("{:.4g} $/h", q.value() * 3600.0); }

}  // namespace penstock::core
