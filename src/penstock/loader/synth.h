// Makes a data set of JPEG files with the sizes of ImageNet's, for a machine that has none.
//
//   PENSTOCK_TRY_STATUS(synthesize("data", {.images = 1000, .seed = 0}));
//
// Pixels are noise whose spectrum falls as 1/f, as that of photographs does (Field, 1987), so that
// a decoder has as much to do as with real ones; file sizes spread log-normally around 110 kB, most
// images are 500 x 375 or upright. The same seed gives the same bytes at any number of threads.
#pragma once

#include <cstdint>
#include <string>

#include "penstock/core/result.h"

namespace penstock::loader {

struct SynthOptions {
  std::int64_t images = 1000;
  std::uint64_t seed = 0;
  std::int64_t classes = 10;
  std::int64_t shards = 0;  // tar files; 0: a folder tree
  int threads = 0;          // 0: one for each processor that we may use
  bool progress = false;
};

// Files are written whole or not at all; after an interrupt or a full disk the same call goes on
// where it stopped. Refuses a folder that holds anything else.
Status synthesize(const std::string& folder, const SynthOptions& options);

// The bytes of one image.
std::string synthetic_jpeg(std::uint64_t seed, std::int64_t index);

}  // namespace penstock::loader
