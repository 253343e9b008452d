// What one rank of a training job does: the document that a launcher writes and a worker reads.
//
//   Job job;
//   job.model = "resnet18.onnx";
//   job.batch = 32;
//   job.world = 2;
//   PENSTOCK_TRY_STATUS(core::write_file(path, core::json_text(to_json(job))));   // one a rank
//
// Two programs run jobs: penstock-torch-worker trains the model with libtorch, and
// penstock-emulated-worker keeps an accelerator's published times without one. The launcher
// (train/launch.h) starts them; the steps come back over train/steps.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "penstock/core/json_fwd.h"
#include "penstock/core/quantity.h"
#include "penstock/core/result.h"

namespace penstock::train {

enum class Optimizer { kSgd, kAdam };  // "sgd" (with momentum), "adam"
enum class Transport {
  kGloo,  // libtorch's process group; only in penstock-torch-worker
  kNccl,  // the same on CUDA devices
  kRing,  // ours (train/ring.h): no libtorch, and links may be limited in the process
};

// An accelerator that takes given times: MLPerf Storage's rule, with gradients that appear evenly
// spread over the backward pass, the last one first.
struct EmulatedAccelerator {
  Seconds forward;
  Seconds backward;
  std::vector<std::int64_t> gradient_bytes;  // of each tensor, in the order of the forward pass
};

// A limit inside the ring's transport, where no emulated network can be had.
struct LinkLimit {
  Bandwidth rate;  // 0: none
  Seconds delay;   // one way
};

struct Job {
  std::string model;  // path of an ONNX file; the emulated worker ignores it
  EmulatedAccelerator accelerator;
  std::int64_t batch = 32;  // samples of one rank in one step
  std::int64_t steps = 20;  // counted
  std::int64_t warmup = 5;  // before them
  std::string channel;      // of batches (train/batch_channel.h); empty: synthetic data
  std::uint64_t seed = 0;   // of the initial weights and the synthetic data
  int threads = 1;          // that one rank computes with

  Optimizer optimizer = Optimizer::kSgd;
  double learning_rate = 0.01;
  double momentum = 0.9;  // of SGD

  int rank = 0;
  int world = 1;
  bool all_reduce = true;  // false: k independent ranks, the control for contention
  bool overlap = true;     // buckets are reduced while the backward pass runs on
  Transport transport = Transport::kGloo;
  std::int64_t first_bucket_bytes = 1 << 20;  // PyTorch's DistributedDataParallel
  std::int64_t bucket_bytes = 25 << 20;       // likewise
  std::string rendezvous;                     // a file that all ranks see, or "tcp:HOST:PORT"
  // Network device that the transport binds to, or "route:ADDRESS": the one on the way to that IPv4
  // address, whatever each node calls it. Empty: loopback.
  std::string interface;
  std::vector<int> node_of_rank;  // a rank's node; empty: all on one. The ring limits links between
                                  // nodes only, where `limit` asks for it
  LinkLimit limit;
};

// Schema "penstock-job/1". Every key is written; an unknown one is an error with the nearest name.
core::Json to_json(const Job& job);
Result<Job> job_from_json(const core::Json& json, const std::string& where);

}  // namespace penstock::train
