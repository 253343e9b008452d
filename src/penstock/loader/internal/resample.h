// Pillow's resize of 8-bit pixels by a triangle filter, its integers and its rounding, so that its
// results are the same to the bit (Pillow 9.4, libImaging/Resample.c: precompute_coeffs,
// normalize_coeffs_8bpc). Pixels are 4 bytes, the fourth of no meaning.
#pragma once

#include <cstdint>
#include <vector>

namespace penstock::loader {

// Which inputs make each output, and with what weights, in units of 2^-22.
struct Taps {
  int outputs = 0;
  int width = 0;  // of every output, a multiple of 4; the weights beyond its last input are 0
  std::vector<int> first;
  std::vector<int> count;
  std::vector<std::int32_t> weights;  // [outputs][width]
  // The same split into 11 high and 11 low bits, for a multiplication of 16-bit pairs: a weight is
  // high * 2^11 + low. Pairs of neighbours; for rows, each pair once for each of four channels.
  std::vector<std::int32_t> high_pairs;  // [outputs][width / 2]
  std::vector<std::int32_t> low_pairs;
  std::vector<std::int32_t> high_spread;  // [outputs][width / 2][4]
  std::vector<std::int32_t> low_spread;

  // Resizes the interval [begin, end) of `inputs` pixels to `outputs_wanted` pixels.
  void fit(int inputs, double begin, double end, int outputs_wanted);
};

// Bytes that resample_row may read past the last input that a tap names, and rows that
// resample_column may read past the last row.
inline constexpr int kSlackBytes = 64;
inline constexpr int kSlackRows = 1;

// One row. `mirrored` writes the outputs from right to left.
void resample_row(const Taps& taps, const std::uint8_t* row, bool mirrored, std::uint8_t* out);
// One output row from the rows that it needs, `bytes` (a multiple of 16) each, one after another.
void resample_column(const Taps& taps, int output, const std::uint8_t* rows, int bytes,
                     std::uint8_t* out);
// Splits a row of pixels into three planes of factor * byte + offset.
void normalise_row(const std::uint8_t* row, int count, const float* factor, const float* offset,
                   float* red, float* green, float* blue);

// The same in plain arithmetic, for processors without AVX2 and as the reference of the tests.
void resample_row_plain(const Taps& taps, const std::uint8_t* row, bool mirrored,
                        std::uint8_t* out);
void resample_column_plain(const Taps& taps, int output, const std::uint8_t* rows, int bytes,
                           std::uint8_t* out);

}  // namespace penstock::loader
