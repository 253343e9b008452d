// A JPEG as a training sample: decoded, cropped at random, resized, perhaps mirrored, normalised.
//
//   ImageDecoder decoder({.size = 224});                       // one a thread
//   PENSTOCK_TRY(const ImageSize size, decoder.open(bytes));
//   const Crop crop = random_resized_crop(size, random);
//   PENSTOCK_TRY_STATUS(decoder.decode(crop, pixels));         // float[3][224][224]
//
// Only what the crop needs is decoded: rows above and columns beside it are not transformed, rows
// below it not even read. The resize is Pillow's (an antialiased triangle filter in two passes of
// 22-bit integers), so that the 8-bit result equals Pillow's to the bit, except where a crop is at
// least four times the output: there the JPEG is decoded at 1/2, 1/4 or 1/8, and the filter still
// halves it; the result differs from Pillow's by less than kScaledMeanError.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "penstock/core/random.h"
#include "penstock/core/result.h"

namespace penstock::loader {

struct ImageSize {
  int width = 0;
  int height = 0;
};

// A rectangle of the image, and whether the result is mirrored left to right.
struct Crop {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
  bool mirrored = false;
};

// torchvision's RandomResizedCrop (scale 0.08 to 1, aspect ratio 3/4 to 4/3, ten attempts, else the
// central part) and RandomHorizontalFlip (one half).
Crop random_resized_crop(ImageSize size, core::RandomStream& random);

struct ImageOptions {
  int size = 224;  // width and height of the result
  bool scaled_decode =
      true;  // of crops at least four times the output; false: always Pillow's bits
  // Of the pixels between 0 and 1; by default ImageNet's, torchvision's.
  std::array<float, 3> mean = {0.485F, 0.456F, 0.406F};
  std::array<float, 3> deviation = {0.229F, 0.224F, 0.225F};
};

// Mean and greatest absolute difference to Pillow, of 255, of an image decoded at a fraction. Tests
// hold them on noise with the spectrum of photographs.
inline constexpr double kScaledMeanError = 2.5;
inline constexpr int kScaledGreatestError = 24;

class ImageDecoder {
 public:
  explicit ImageDecoder(const ImageOptions& options);
  ImageDecoder(ImageDecoder&&) noexcept;
  ImageDecoder& operator=(ImageDecoder&&) noexcept;
  ~ImageDecoder();

  // Reads the header. `jpeg` must stay until decode() returns. Fails for what is no JPEG, has no
  // end marker, or is larger than 179 million pixels (Pillow's limit).
  Result<ImageSize> open(std::span<const std::uint8_t> jpeg);
  // Of the image last opened; writes 3 x size x size floats. Fails for corrupt data within the part
  // that the crop needs.
  Status decode(const Crop& crop, float* pixels);
  // The same without normalisation: size x size pixels of 4 bytes, red first, the fourth undefined.
  Status decode_bytes(const Crop& crop, std::uint8_t* pixels);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace penstock::loader
