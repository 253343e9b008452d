// What both worker programs do with JOB.json: read it, run its steps, tell them over
// $PENSTOCK_STEPS, and end with an exit code.
//
//   int main(int argc, char** argv) {
//     return run_worker(argc, argv, {.name = "penstock-emulated-worker",
//                                    .trainer = make_trainer, .collective = make_collective});
//   }
//
// Without $PENSTOCK_STEPS the records go to standard output.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "penstock/core/result.h"
#include "penstock/train/collective.h"
#include "penstock/train/job.h"
#include "penstock/train/trainer.h"

namespace penstock::train {

struct WorkerProgram {
  std::string name;
  std::function<Result<std::unique_ptr<Trainer>>(const Job&)> trainer;
  std::function<Result<std::unique_ptr<Collective>>(const Job&)> collective;  // for world > 1
};

int run_worker(int argc, char** argv, const WorkerProgram& program);

}  // namespace penstock::train
