#include "penstock/loader/internal/resample.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace penstock::loader {
namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;
constexpr std::int32_t kHalf = 1 << (kPrecisionBits - 1);
constexpr int kLowBits = 11;

double triangle(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

std::size_t at_row(int row, int width) {
  return static_cast<std::size_t>(row) * static_cast<std::size_t>(width);
}

}  // namespace

void Taps::fit(int inputs, double begin, double end, int outputs_wanted) {
  outputs = outputs_wanted;
  const double scale = (end - begin) / outputs;
  const double support = std::max(scale, 1.0);
  const int bound = static_cast<int>(std::ceil(support)) * 2 + 1;
  first.resize(static_cast<std::size_t>(outputs));
  count.resize(static_cast<std::size_t>(outputs));
  int widest = 1;
  for (int at = 0; at < outputs; ++at) {
    const double center = begin + (at + 0.5) * scale;
    const int low = std::max(static_cast<int>(center - support + 0.5), 0);
    const int high = std::min(static_cast<int>(center + support + 0.5), inputs);
    first[static_cast<std::size_t>(at)] = low;
    count[static_cast<std::size_t>(at)] = high - low;
    widest = std::max(widest, high - low);
  }
  width = (widest + 3) / 4 * 4;
  weights.assign(at_row(outputs, width), 0);
  high_pairs.resize(at_row(outputs, width / 2));
  low_pairs.resize(at_row(outputs, width / 2));
  high_spread.resize(at_row(outputs, width * 2));
  low_spread.resize(at_row(outputs, width * 2));
  std::vector<double> exact(static_cast<std::size_t>(bound));
  for (int at = 0; at < outputs; ++at) {
    const double center = begin + (at + 0.5) * scale;
    const int low = first[static_cast<std::size_t>(at)];
    const int taps = count[static_cast<std::size_t>(at)];
    double sum = 0;
    for (int i = 0; i < taps; ++i) {
      exact[static_cast<std::size_t>(i)] = triangle((i + low - center + 0.5) * (1.0 / support));
      sum += exact[static_cast<std::size_t>(i)];
    }
    std::int32_t* weight = &weights[at_row(at, width)];
    for (int i = 0; i < taps; ++i) {
      weight[i] = static_cast<std::int32_t>(0.5 + exact[static_cast<std::size_t>(i)] / sum *
                                                      (1 << kPrecisionBits));
    }
    constexpr std::int32_t kLowMask = (1 << kLowBits) - 1;
    for (int i = 0; i < width; i += 2) {
      const std::size_t to = at_row(at, width / 2) + static_cast<std::size_t>(i / 2);
      high_pairs[to] = (weight[i] >> kLowBits) | ((weight[i + 1] >> kLowBits) << 16);
      low_pairs[to] = (weight[i] & kLowMask) | ((weight[i + 1] & kLowMask) << 16);
      std::fill_n(&high_spread[4 * to], 4, high_pairs[to]);
      std::fill_n(&low_spread[4 * to], 4, low_pairs[to]);
    }
  }
}

// No clamp below: the weights are not negative, and their sum exceeds 2^22 by too little to lift
// 255 to 256.
void resample_row_plain(const Taps& taps, const std::uint8_t* row, bool mirrored,
                        std::uint8_t* out) {
  for (int at = 0; at < taps.outputs; ++at) {
    const std::int32_t* weight = &taps.weights[at_row(at, taps.width)];
    const std::uint8_t* from = row + at_row(taps.first[static_cast<std::size_t>(at)], 4);
    std::uint8_t* to = out + at_row(mirrored ? taps.outputs - 1 - at : at, 4);
    for (int c = 0; c < 4; ++c) {
      std::int32_t sum = kHalf;
      for (int i = 0; i < taps.count[static_cast<std::size_t>(at)]; ++i) {
        sum += from[4 * i + c] * weight[i];
      }
      to[c] = static_cast<std::uint8_t>(sum >> kPrecisionBits);
    }
  }
}

void resample_column_plain(const Taps& taps, int output, const std::uint8_t* rows, int bytes,
                           std::uint8_t* out) {
  const std::int32_t* weight = &taps.weights[at_row(output, taps.width)];
  const std::uint8_t* top = rows + at_row(taps.first[static_cast<std::size_t>(output)], bytes);
  for (int at = 0; at < bytes; ++at) {
    std::int32_t sum = kHalf;
    for (int i = 0; i < taps.count[static_cast<std::size_t>(output)]; ++i) {
      sum += top[static_cast<std::ptrdiff_t>(i) * bytes + at] * weight[i];
    }
    out[at] = static_cast<std::uint8_t>(sum >> kPrecisionBits);
  }
}

namespace {

void normalise_plain(const std::uint8_t* row, int count, const float* factor, const float* offset,
                     float* red, float* green, float* blue) {
  float* planes[] = {red, green, blue};
  for (int i = 0; i < count; ++i) {
    for (int c = 0; c < 3; ++c) {
      planes[c][i] = static_cast<float>(row[4 * i + c]) * factor[c] + offset[c];
    }
  }
}

#if defined(__x86_64__)

#define PENSTOCK_AVX2 __attribute__((target("avx2")))

bool has_avx2() {
  static const bool has = __builtin_cpu_supports("avx2") != 0;
  return has;
}

PENSTOCK_AVX2 inline __m256i load256(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}
PENSTOCK_AVX2 inline __m128i load128(const void* from) {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}

// The weighted sum of one output pixel: eight 32-bit numbers, of which the halves are to be added.
PENSTOCK_AVX2 inline __m256i sum_of_pixel(const std::uint8_t* from, const std::int32_t* high,
                                          const std::int32_t* low, int width) {
  // Pixels 0 and 1 into the low lane and 2 and 3 into the high one, each channel's bytes of two
  // neighbours side by side as 16-bit numbers.
  const __m256i pairs = _mm256_setr_epi8(0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, 3, -1, 7, -1, 8,
                                         -1, 12, -1, 9, -1, 13, -1, 10, -1, 14, -1, 11, -1, 15, -1);
  __m256i high_sum = _mm256_setzero_si256();
  __m256i low_sum = _mm256_setzero_si256();
  for (int i = 0; i < width; i += 4) {
    const __m256i pixels =
        _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load128(from + 4 * i)), pairs);
    high_sum = _mm256_add_epi32(high_sum, _mm256_madd_epi16(pixels, load256(high + 2 * i)));
    low_sum = _mm256_add_epi32(low_sum, _mm256_madd_epi16(pixels, load256(low + 2 * i)));
  }
  return _mm256_add_epi32(_mm256_slli_epi32(high_sum, kLowBits), low_sum);
}

PENSTOCK_AVX2 void resample_row_avx2(const Taps& taps, const std::uint8_t* row, bool mirrored,
                                     std::uint8_t* out) {
  const int width = taps.width;
  const int* first = taps.first.data();
  const std::int32_t* high = taps.high_spread.data();
  const std::int32_t* low = taps.low_spread.data();
  const __m256i half = _mm256_set1_epi32(kHalf);
  // The low byte of each 32-bit number, in order or with the two pixels exchanged.
  const __m256i pack =
      _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12, -1,
                       -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  for (int at = 0; at < taps.outputs; at += 2) {
    // An odd last output is computed twice.
    const int second = std::min(at + 1, taps.outputs - 1);
    const __m256i a =
        sum_of_pixel(row + 4 * static_cast<std::ptrdiff_t>(first[at]), high + at_row(at, 2 * width),
                     low + at_row(at, 2 * width), width);
    const __m256i b =
        sum_of_pixel(row + 4 * static_cast<std::ptrdiff_t>(first[second]),
                     high + at_row(second, 2 * width), low + at_row(second, 2 * width), width);
    __m256i both = _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
                                    _mm256_permute2x128_si256(a, b, 0x31));
    both = _mm256_srai_epi32(_mm256_add_epi32(both, half), kPrecisionBits);
    both = _mm256_shuffle_epi8(both, pack);
    const int pixel_a = _mm_cvtsi128_si32(_mm256_castsi256_si128(both));
    const int pixel_b = _mm_cvtsi128_si32(_mm256_extracti128_si256(both, 1));
    std::memcpy(out + at_row(mirrored ? taps.outputs - 1 - at : at, 4), &pixel_a, 4);
    std::memcpy(out + at_row(mirrored ? taps.outputs - 1 - second : second, 4), &pixel_b, 4);
  }
}

PENSTOCK_AVX2 void resample_column_avx2(const Taps& taps, int output, const std::uint8_t* rows,
                                        int bytes, std::uint8_t* out) {
  const int pairs = (taps.count[static_cast<std::size_t>(output)] + 1) / 2;
  const std::int32_t* high = &taps.high_pairs[at_row(output, taps.width / 2)];
  const std::int32_t* low = &taps.low_pairs[at_row(output, taps.width / 2)];
  const std::uint8_t* top = rows + at_row(taps.first[static_cast<std::size_t>(output)], bytes);
  const __m256i half = _mm256_set1_epi32(kHalf);
  for (int at = 0; at < bytes; at += 16) {
    __m256i high_a = _mm256_setzero_si256();
    __m256i high_b = high_a;
    __m256i low_a = high_a;
    __m256i low_b = high_a;
    const std::uint8_t* from = top + at;
    for (int i = 0; i < pairs; ++i, from += 2 * static_cast<std::ptrdiff_t>(bytes)) {
      const __m256i upper = _mm256_cvtepu8_epi16(load128(from));
      const __m256i lower = _mm256_cvtepu8_epi16(load128(from + bytes));
      const __m256i a = _mm256_unpacklo_epi16(upper, lower);
      const __m256i b = _mm256_unpackhi_epi16(upper, lower);
      const __m256i high_weight = _mm256_set1_epi32(high[i]);
      const __m256i low_weight = _mm256_set1_epi32(low[i]);
      high_a = _mm256_add_epi32(high_a, _mm256_madd_epi16(a, high_weight));
      high_b = _mm256_add_epi32(high_b, _mm256_madd_epi16(b, high_weight));
      low_a = _mm256_add_epi32(low_a, _mm256_madd_epi16(a, low_weight));
      low_b = _mm256_add_epi32(low_b, _mm256_madd_epi16(b, low_weight));
    }
    low_a = _mm256_add_epi32(_mm256_slli_epi32(high_a, kLowBits), low_a);
    low_b = _mm256_add_epi32(_mm256_slli_epi32(high_b, kLowBits), low_b);
    low_a = _mm256_srai_epi32(_mm256_add_epi32(low_a, half), kPrecisionBits);
    low_b = _mm256_srai_epi32(_mm256_add_epi32(low_b, half), kPrecisionBits);
    // The unpacking above and this packing both work within lanes, so the order is restored.
    const __m256i words = _mm256_packs_epi32(low_a, low_b);
    const __m128i packed =
        _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + at), packed);
  }
}

PENSTOCK_AVX2 void normalise_avx2(const std::uint8_t* row, int count, const float* factor,
                                  const float* offset, float* red, float* green, float* blue) {
  float* planes[] = {red, green, blue};
  const __m256i byte = _mm256_set1_epi32(255);
  const int whole = count / 8 * 8;
  for (int i = 0; i < whole; i += 8) {
    __m256i pixels = load256(row + 4 * static_cast<std::ptrdiff_t>(i));
    for (int c = 0; c < 3; ++c) {
      const __m256 value = _mm256_cvtepi32_ps(_mm256_and_si256(pixels, byte));
      const __m256 scaled = _mm256_mul_ps(value, _mm256_set1_ps(factor[c]));
      _mm256_storeu_ps(planes[c] + i, _mm256_add_ps(scaled, _mm256_set1_ps(offset[c])));
      pixels = _mm256_srli_epi32(pixels, 8);
    }
  }
  normalise_plain(row + 4 * static_cast<std::ptrdiff_t>(whole), count - whole, factor, offset,
                  red + whole, green + whole, blue + whole);
}

#endif

}  // namespace

void resample_row(const Taps& taps, const std::uint8_t* row, bool mirrored, std::uint8_t* out) {
#if defined(__x86_64__)
  if (has_avx2()) return resample_row_avx2(taps, row, mirrored, out);
#endif
  resample_row_plain(taps, row, mirrored, out);
}

void resample_column(const Taps& taps, int output, const std::uint8_t* rows, int bytes,
                     std::uint8_t* out) {
#if defined(__x86_64__)
  if (has_avx2()) return resample_column_avx2(taps, output, rows, bytes, out);
#endif
  resample_column_plain(taps, output, rows, bytes, out);
}

void normalise_row(const std::uint8_t* row, int count, const float* factor, const float* offset,
                   float* red, float* green, float* blue) {
#if defined(__x86_64__)
  if (has_avx2()) return normalise_avx2(row, count, factor, offset, red, green, blue);
#endif
  normalise_plain(row, count, factor, offset, red, green, blue);
}

}  // namespace penstock::loader
