// Runs one rank of a training job with libtorch.
#include "penstock/train/ring.h"
#include "penstock/train/worker/run_worker.h"
#include "penstock/train/worker/torch_collective.h"
#include "penstock/train/worker/torch_trainer.h"

namespace penstock::train {
namespace {

Result<std::unique_ptr<Collective>> make_collective(const Job& job) {
  return job.transport == Transport::kRing ? connect_ring(ring_options(job))
                                           : make_torch_collective(job);
}

}  // namespace
}  // namespace penstock::train

int main(int argc, char** argv) {
  return penstock::train::run_worker(argc, argv,
                                     {.name = "penstock-torch-worker",
                                      .trainer = penstock::train::make_torch_trainer,
                                      .collective = penstock::train::make_collective});
}
