#include "penstock/core/quantity.h"

#include <gmock/gmock.h>

#include <cmath>
#include <type_traits>

namespace penstock::core {
namespace {

using ::testing::HasSubstr;

static_assert(std::is_same_v<decltype(Bytes(1) / Bandwidth(1)), Seconds>);
static_assert(std::is_same_v<decltype(Flop(1) / FlopRate(1)), Seconds>);
static_assert(std::is_same_v<decltype(Price(1) * Seconds(1)), Dollars>);
static_assert(std::is_same_v<decltype(Bandwidth(1) * Seconds(1)), Bytes>);
static_assert(std::is_same_v<decltype(Bytes(1) / Bytes(2)), double>);

template <typename Q>
std::string refusal(std::string_view text) {
  const auto value = parse_quantity<Q>(text);
  return value ? "accepted" : value.error().text();
}

TEST(QuantityTest, DividesBytesByBandwidthIntoSeconds) {
  EXPECT_DOUBLE_EQ((Bytes(4e9) / Bandwidth(2e9)).value(), 2.0);
  EXPECT_DOUBLE_EQ(Bytes(6) / Bytes(4), 1.5);
}

TEST(QuantityTest, TellsDecimalFromBinaryPrefixes) {
  EXPECT_DOUBLE_EQ(parse_quantity<Bytes>("64 GiB")->value(), 64.0 * 1073741824.0);
  EXPECT_DOUBLE_EQ(parse_quantity<Bytes>("64 GB")->value(), 64e9);
  EXPECT_DOUBLE_EQ(parse_quantity<Bytes>("  1.5kB ")->value(), 1500);
}

TEST(QuantityTest, CountsEightBitsAsOneByte) {
  EXPECT_DOUBLE_EQ(parse_quantity<Bandwidth>("8 Gbit/s")->value(), 1e9);
  EXPECT_DOUBLE_EQ(parse_quantity<Bandwidth>("4.8 TB/s")->value(), 4.8e12);
}

TEST(QuantityTest, ReadsRatesTimesAndPrices) {
  EXPECT_DOUBLE_EQ(parse_quantity<FlopRate>("180 TFLOP/s")->value(), 1.8e14);
  EXPECT_DOUBLE_EQ(parse_quantity<Seconds>("7 us")->value(), 7e-6);
  EXPECT_DOUBLE_EQ(parse_quantity<Seconds>("1.5 h")->value(), 5400);
  EXPECT_DOUBLE_EQ(parse_quantity<Price>("3.06 $/h")->value() * 3600, 3.06);
  EXPECT_DOUBLE_EQ(parse_quantity<Dollars>("-2 USD")->value(), -2);
}

TEST(QuantityTest, RoundsSmallUnitsOnlyOnce) {
  EXPECT_EQ(parse_quantity<Seconds>("25 us")->value(), 25e-6);
  EXPECT_EQ(parse_quantity<Seconds>("3 ns")->value(), 3e-9);
  EXPECT_EQ(parse_quantity<Seconds>("7.3 ps")->value(), 7.3e-12);
  EXPECT_EQ(parse_quantity<Price>("3.06 $/h")->value(), 3.06 / 3600);
}

TEST(QuantityTest, RefusesABareNumber) {
  EXPECT_THAT(refusal<Bytes>("64"), HasSubstr("\"64\" has no unit; add one of B, kB"));
}

TEST(QuantityTest, TellsThatALowerCaseBIsABit) {
  EXPECT_THAT(refusal<Bytes>("16 Gb"), HasSubstr("write \"16 GB\" for bytes"));
  EXPECT_THAT(refusal<Bandwidth>("25 Gb/s"), HasSubstr("write \"25 Gbit/s\" for bits or"));
  EXPECT_THAT(refusal<Bandwidth>("10 Gb"),
              HasSubstr("write \"10 Gbit/s\" for bits or \"10 GB/s\""));
  EXPECT_THAT(refusal<Bandwidth>("10 Gbps"), HasSubstr("write \"10 Gbit/s\" for bits or"));
}

TEST(QuantityTest, RefusesWhatIsNotAFiniteNumberWithAKnownUnit) {
  for (const char* text : {"", "GB", "inf GB", "nan GB", "1e400 GB", "--1 GB"}) {
    EXPECT_THAT(refusal<Bytes>(text), HasSubstr("is not a number with a unit")) << text;
  }
  EXPECT_THAT(refusal<Bytes>("1e308 TB"), HasSubstr("is too large"));
  EXPECT_THAT(refusal<Bytes>("16 gb"), HasSubstr("which does not fit here"));
  EXPECT_THAT(refusal<Bandwidth>("16 GB"), HasSubstr("which does not fit here"));
  EXPECT_THAT(refusal<Seconds>("1,5 s"), HasSubstr("which does not fit here"));
}

TEST(QuantityTest, WritesTheUnitThatKeepsTheNumberShort) {
  EXPECT_EQ(format_quantity(Bytes(16e9)), "16 GB");
  EXPECT_EQ(format_quantity(Bytes(999.96e6)), "1 GB");
  EXPECT_EQ(format_quantity(Bytes(0)), "0 B");
  EXPECT_EQ(format_quantity(Seconds(0)), "0 s");
  EXPECT_EQ(format_quantity(Seconds(1.70684e-1)), "170.7 ms");
  EXPECT_EQ(format_quantity(Seconds(59.999)), "1 min");
  EXPECT_EQ(format_quantity(Seconds(5400)), "1.5 h");
  EXPECT_EQ(format_quantity(Bandwidth(4.8e12)), "4.8 TB/s");
  EXPECT_EQ(format_quantity(FlopRate(1.8e14)), "180 TFLOP/s");
  EXPECT_EQ(format_quantity(Price(3.06 / 3600)), "3.06 $/h");
  EXPECT_EQ(format_quantity(Dollars(12.5)), "12.50 $");
  EXPECT_EQ(format_quantity(Dollars(0.00123)), "0.00123 $");
}

TEST(QuantityTest, ReadsBackWhatItWritesToFourDigits) {
  double value = 1.2345e-3;
  for (int i = 0; i < 60; ++i, value *= 1.7) {
    const auto bytes = parse_quantity<Bytes>(format_quantity(Bytes(value)));
    const auto time = parse_quantity<Seconds>(format_quantity(Seconds(value)));
    ASSERT_TRUE(bytes && time) << value;
    EXPECT_NEAR(bytes->value() / value, 1, 5.1e-4);
    EXPECT_NEAR(time->value() / value, 1, 5.1e-4);
  }
}

}  // namespace
}  // namespace penstock::core
