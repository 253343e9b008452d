// Runs one rank of a training job on an emulated accelerator.
#include "penstock/train/ring.h"
#include "penstock/train/worker/emulated_trainer.h"
#include "penstock/train/worker/run_worker.h"

namespace penstock::train {
namespace {

Result<std::unique_ptr<Trainer>> make_trainer(const Job& job) {
  return std::make_unique<EmulatedTrainer>(job.accelerator);
}

Result<std::unique_ptr<Collective>> make_collective(const Job& job) {
  if (job.transport != Transport::kRing) {
    return core::missing_error("penstock-emulated-worker",
                               "Gloo and NCCL are libtorch's, which this program does without",
                               "set the transport \"ring\"");
  }
  return connect_ring(ring_options(job));
}

}  // namespace
}  // namespace penstock::train

int main(int argc, char** argv) {
  return penstock::train::run_worker(argc, argv,
                                     {.name = "penstock-emulated-worker",
                                      .trainer = penstock::train::make_trainer,
                                      .collective = penstock::train::make_collective});
}
