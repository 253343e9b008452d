// The loader measured beside its peers on the same files and crops: images per second of processor
// time, in turns, so that whatever else the machine does falls on all alike.
//
//   PENSTOCK_TRY(const BenchResult result, run_bench(data, {.workers = 2}));
//   result.images_per_cpu_s;  result.peers[0].images_per_cpu_s;
//
// Peers are real Python processes: Pillow with torchvision's transforms, and torchvision.io with
// the same transforms on tensors. They get the names of the files and the crops, and time
// themselves with time.process_time(). Where a package is absent the peer says so instead.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"
#include "penstock/loader/dataset.h"
#include "penstock/loader/images.h"
#include "penstock/loader/pipeline.h"

namespace penstock::loader {

struct BenchOptions {
  PipelineOptions pipeline;  // of the throughput with all workers
  std::int64_t batch = 32;
  std::int64_t slots = 4;
  Seconds duration{10};  // of the turns, and of the throughput each
  bool peers = true;
  std::string python = "python3";
};

struct PeerResult {
  std::string name;
  double images_per_cpu_s = 0;  // the median over the rounds
  std::string skipped;          // why it did not run; empty where it did
};

struct BenchResult {
  std::int64_t images = 0;  // of the data set
  std::int64_t rounds = 0;
  std::int64_t images_per_round = 0;
  double images_per_cpu_s = 0;              // one worker's path: read, decode, crop, normalise
  double decode_only_images_per_cpu_s = 0;  // libturbojpeg, the whole image, from memory
  std::vector<PeerResult> peers;
  double images_per_s = 0;            // the pipeline with all its workers
  double pipeline_cpu_per_image = 0;  // seconds
  PipelineState pipeline;
  double pipeline_s = 0;
  std::int64_t peak_bytes = 0;  // resident, of this process
};

Result<BenchResult> run_bench(const Dataset& data, const BenchOptions& options);

}  // namespace penstock::loader
