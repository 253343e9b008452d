// Numbers with units: strong types over byte, second, flop and dollar with only meaningful
// operators.
//
//   Seconds t = Bytes(4e9) / Bandwidth(2e9);          // 2 s
//   Result<Bandwidth> b = parse_quantity<Bandwidth>("4.8 TB/s");
//   format_quantity(t);                                // "2 s"
//
// Text is a number and a unit. Decimal and binary prefixes differ (GB, GiB); bits are written out
// ("8 Gbit/s"), because "Gb" is read as either by different people; a bare number is an error.
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "penstock/core/result.h"

namespace penstock::core {

// A value in SI base units (byte, second, flop, dollar) with the exponents of its dimension.
template <int kByte, int kSecond, int kFlop, int kDollar>
class Quantity {
 public:
  constexpr Quantity() = default;
  constexpr explicit Quantity(double value) : value_(value) {}
  constexpr double value() const { return value_; }

  constexpr auto operator<=>(const Quantity&) const = default;
  constexpr Quantity operator+(Quantity other) const { return Quantity(value_ + other.value_); }
  constexpr Quantity operator-(Quantity other) const { return Quantity(value_ - other.value_); }
  constexpr Quantity operator-() const { return Quantity(-value_); }
  constexpr Quantity& operator+=(Quantity other) { return *this = *this + other; }
  constexpr Quantity& operator-=(Quantity other) { return *this = *this - other; }
  constexpr Quantity operator*(double factor) const { return Quantity(value_ * factor); }
  constexpr Quantity operator/(double factor) const { return Quantity(value_ / factor); }
  friend constexpr Quantity operator*(double factor, Quantity q) { return q * factor; }

 private:
  double value_ = 0;
};

template <int b1, int s1, int f1, int d1, int b2, int s2, int f2, int d2>
constexpr auto operator*(Quantity<b1, s1, f1, d1> x, Quantity<b2, s2, f2, d2> y) {
  if constexpr (b1 + b2 == 0 && s1 + s2 == 0 && f1 + f2 == 0 && d1 + d2 == 0) {
    return x.value() * y.value();
  } else {
    return Quantity<b1 + b2, s1 + s2, f1 + f2, d1 + d2>(x.value() * y.value());
  }
}

template <int b1, int s1, int f1, int d1, int b2, int s2, int f2, int d2>
constexpr auto operator/(Quantity<b1, s1, f1, d1> x, Quantity<b2, s2, f2, d2> y) {
  if constexpr (b1 == b2 && s1 == s2 && f1 == f2 && d1 == d2) {
    return x.value() / y.value();
  } else {
    return Quantity<b1 - b2, s1 - s2, f1 - f2, d1 - d2>(x.value() / y.value());
  }
}

using Bytes = Quantity<1, 0, 0, 0>;
using Seconds = Quantity<0, 1, 0, 0>;
using Flop = Quantity<0, 0, 1, 0>;
using Dollars = Quantity<0, 0, 0, 1>;
using Bandwidth = Quantity<1, -1, 0, 0>;  // bytes per second
using FlopRate = Quantity<0, -1, 1, 0>;   // floating-point operations per second
using Price = Quantity<0, -1, 0, 1>;      // dollars per second; text is "$/h"

// Reads "64 GiB", "4.8 TB/s", "100 Gbit/s", "180 TFLOP/s", "3.06 $/h", "1.5 h". The error says what
// is wrong with the text and which units are understood; it has no place yet (Error::where).
template <typename Q>
Result<Q> parse_quantity(std::string_view text);

// The shortest text that people use: four significant digits, decimal prefixes, bytes as GB.
std::string format_quantity(Bytes q);
std::string format_quantity(Seconds q);
std::string format_quantity(Flop q);
std::string format_quantity(Dollars q);
std::string format_quantity(Bandwidth q);
std::string format_quantity(FlopRate q);
std::string format_quantity(Price q);

}  // namespace penstock::core

namespace penstock {
using core::Bandwidth;
using core::Bytes;
using core::Dollars;
using core::Flop;
using core::FlopRate;
using core::Price;
using core::Seconds;
}  // namespace penstock
