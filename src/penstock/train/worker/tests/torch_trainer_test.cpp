// Training as a whole: updates against their formulas, a loss that falls, and ranks that act as
// one.
#include "penstock/train/worker/torch_trainer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "../../../model/tests/model_builder.h"
#include "penstock/core/random.h"
#include "penstock/train/worker/synthetic_bounds.h"
#include "penstock/train/worker/torch_optimizer.h"
#include "worker_processes.h"

namespace penstock::train {
namespace {

using model::Integers;
using model::ModelBuilder;
using ::testing::HasSubstr;

TEST(OptimizerTest, SgdFollowsItsFormulaAcrossPartsOfATensor) {
  Job job;
  job.learning_rate = 0.1;
  job.momentum = 0.75;
  constexpr int kCount = (1 << 17) + 3;  // more than one part
  at::Tensor value = at::zeros({kCount}, at::kDouble);
  OptimizerState state(job, {value});
  double expected = 0;
  double momentum = 0;
  for (int step = 1; step <= 4; ++step) {
    state.step({at::full({kCount}, 3.0 * step, at::kDouble)}, 0.5);
    momentum = 0.75 * momentum + 0.5 * 3.0 * step;
    expected -= 0.1 * momentum;
    EXPECT_NEAR(value.min().item<double>(), expected, 1e-12);
    EXPECT_NEAR(value.max().item<double>(), expected, 1e-12);
  }
}

TEST(OptimizerTest, AdamFollowsItsFormula) {
  Job job;
  job.optimizer = Optimizer::kAdam;
  job.learning_rate = 0.01;
  at::Tensor value = at::ones({2, 2}, at::kDouble);
  OptimizerState state(job, {value});
  double expected = 1;
  double m = 0;
  double v = 0;
  for (int step = 1; step <= 5; ++step) {
    const double gradient = 0.5 * std::cos(step);
    state.step({at::full({2, 2}, std::cos(step), at::kDouble)}, 0.5);
    m = 0.9 * m + 0.1 * gradient;
    v = 0.999 * v + 0.001 * gradient * gradient;
    const double m_hat = m / (1 - std::pow(0.9, step));
    const double v_hat = v / (1 - std::pow(0.999, step));
    expected -= 0.01 * m_hat / (std::sqrt(v_hat) + 1e-8);
    EXPECT_NEAR(value.mean().item<double>(), expected, 1e-12);
  }
}

TEST(OptimizerTest, AParameterWithoutAGradientStaysAsItIs) {
  at::Tensor value = at::ones({3}, at::kDouble);
  OptimizerState state(Job(), {value});
  state.step({at::Tensor()}, 1.0);
  EXPECT_TRUE(value.equal(at::ones({3}, at::kDouble)));
}

TEST(SyntheticBoundTest, FollowsArithmeticToTheRowsThatArePicked) {
  ModelBuilder b;
  b.input("i", {4}, onnx::TensorProto::INT64).input("j", {4}, onnx::TensorProto::INT64);
  b.input("k", {4}, onnx::TensorProto::INT64).integers("nine", {9}).weight("table", {81, 2});
  b.node("Mul", {"i", "nine"}, {"m"}).node("Add", {"m", "j"}, {"at"});
  b.node("Gather", {"table", "at"}, {"y"}).output("y");
  b.node("Gather", {"table", "k"}, {"z"}).output("z");
  const Result<model::Graph> graph = b.read();
  ASSERT_TRUE(graph) << graph.error().text();
  std::map<std::string, std::int64_t> bounds;
  for (const int id : graph->inputs) {
    bounds[graph->tensors[static_cast<std::size_t>(id)].name] = index_bound(*graph, id);
  }
  EXPECT_EQ(bounds["k"], 81);
  EXPECT_LT(9 * (bounds["i"] - 1) + bounds["j"] - 1, 81);
  EXPECT_GT(bounds["i"], 1);
  EXPECT_GT(bounds["j"], 1);
}

// Sixteen pictures of 16x16, each of a class of its own: stripes of its own direction and width,
// with noise.
struct Pictures {
  std::vector<float> pixels;
  std::vector<std::int32_t> labels;

  explicit Pictures(std::int32_t count) {
    core::RandomStream random(9, "pictures");
    for (std::int32_t i = 0; i < count; ++i) {
      labels.push_back(i % 16);
      for (int c = 0; c < 3; ++c) {
        for (int y = 0; y < 16; ++y) {
          for (int x = 0; x < 16; ++x) {
            const double phase = (i % 4) * 0.5 * x + (i / 4 % 4) * 0.5 * y + c;
            pixels.push_back(static_cast<float>(std::sin(phase) + 0.1 * random.normal()));
          }
        }
      }
    }
  }
  BatchView view(std::int32_t first, std::int32_t count) const {
    return {.pixels = pixels.data() + std::ptrdiff_t{first} * 3 * 256,
            .labels = labels.data() + first,
            .samples = count,
            .sequence = 0};
  }
};

class TorchTrainerTest : public WorkerProcessTest {
 protected:
  TorchTrainerTest() : WorkerProcessTest(PENSTOCK_TORCH_WORKER) {
    job_.model = folder_ + "/net.onnx";
    job_.batch = 16;
    write_network();
  }

  // Convolution, pooling and two matrices, 16 classes; about 9,000 parameters.
  void write_network() {
    ModelBuilder b;
    b.input("x", {1, 3, 16, 16}).weight("k", {12, 3, 3, 3}).weight("kb", {12});
    b.node("Conv", {"x", "k", "kb"}, {"c"}).with("pads", Integers{1, 1, 1, 1});
    b.node("Relu", {"c"}, {"r"}).node("MaxPool", {"r"}, {"p"});
    b.with("kernel_shape", Integers{4, 4}).with("strides", Integers{4, 4});
    b.node("Flatten", {"p"}, {"f"}).weight("w", {40, 192}).weight("wb", {40});
    b.node("Gemm", {"f", "w", "wb"}, {"g"}).with("transB", 1).node("Relu", {"g"}, {"h"});
    b.weight("v", {16, 40}).weight("vb", {16}).node("Gemm", {"h", "v", "vb"}, {"y"});
    b.with("transB", 1).output("y");
    ASSERT_TRUE(core::write_file(job_.model, b.bytes()));
  }

  static std::unique_ptr<Trainer> trainer_of(const Job& job) {
    Result<std::unique_ptr<Trainer>> trainer = make_torch_trainer(job);
    EXPECT_TRUE(trainer) << trainer.error().text();
    return *std::move(trainer);
  }

  static double loss_after(Trainer& trainer, const BatchView& batch, int steps) {
    for (int i = 0; i < steps; ++i) {
      EXPECT_TRUE(trainer.load(batch));
      EXPECT_TRUE(trainer.forward());
      EXPECT_TRUE(trainer.backward([](int) {}));
      EXPECT_TRUE(trainer.update(1.0));
    }
    EXPECT_TRUE(trainer.load(batch));
    EXPECT_TRUE(trainer.forward());
    return trainer.loss();
  }

  Pictures pictures_{16};
};

TEST_F(TorchTrainerTest, SgdLearnsSixteenPicturesByHeart) {
  job_.learning_rate = 0.05;
  const auto trainer = trainer_of(job_);
  EXPECT_NEAR(loss_after(*trainer, pictures_.view(0, 16), 0), std::log(16.0), 0.7);
  EXPECT_LT(loss_after(*trainer, pictures_.view(0, 16), 100), 0.05);
}

TEST_F(TorchTrainerTest, AdamLearnsSixteenPicturesByHeart) {
  job_.optimizer = Optimizer::kAdam;
  job_.learning_rate = 0.003;
  const auto trainer = trainer_of(job_);
  EXPECT_LT(loss_after(*trainer, pictures_.view(0, 16), 100), 0.05);
}

TEST_F(TorchTrainerTest, TheSameSeedGivesTheSameTrainingAndAnotherAnother) {
  const auto first = trainer_of(job_);
  const auto second = trainer_of(job_);
  job_.seed = 1;
  const auto third = trainer_of(job_);
  const double loss = loss_after(*first, pictures_.view(0, 16), 5);
  EXPECT_EQ(loss, loss_after(*second, pictures_.view(0, 16), 5));
  EXPECT_NE(loss, loss_after(*third, pictures_.view(0, 16), 5));
}

// Two ranks of 8 pictures whose gradients are summed as the step loop does, beside one of 16.
TEST_F(TorchTrainerTest, TwoRanksTrainAsOneWithTheirBatchesTogether) {
  const auto whole = trainer_of(job_);
  job_.batch = 8;
  job_.world = 2;
  std::vector<std::unique_ptr<Trainer>> ranks;
  std::vector<float*> buffers;
  const Buckets buckets(whole->gradient_elements(), 1000, 1000);
  for (int rank = 0; rank < 2; ++rank) {
    ranks.push_back(trainer_of(job_));
    const Result<float*> buffer = ranks.back()->gather_gradients(buckets);
    ASSERT_TRUE(buffer) << buffer.error().text();
    buffers.push_back(*buffer);
  }
  for (int step = 0; step < 10; ++step) {
    double loss = 0;
    for (int rank = 0; rank < 2; ++rank) {
      Trainer& trainer = *ranks[static_cast<std::size_t>(rank)];
      ASSERT_TRUE(trainer.load(pictures_.view(8 * rank, 8)));
      ASSERT_TRUE(trainer.forward());
      std::vector<int> order;
      ASSERT_TRUE(trainer.backward([&](int tensor) { order.push_back(tensor); }));
      EXPECT_EQ(order.size(), whole->gradient_elements().size());
      loss += trainer.loss() / 2;
    }
    for (std::int64_t i = 0; i < buckets.total_elements(); ++i) {
      buffers[0][i] = buffers[1][i] = buffers[0][i] + buffers[1][i];
    }
    for (const auto& rank : ranks) ASSERT_TRUE(rank->update(0.5));
    ASSERT_TRUE(whole->load(pictures_.view(0, 16)));
    ASSERT_TRUE(whole->forward());
    EXPECT_NEAR(whole->loss(), loss, 1e-5);
    ASSERT_TRUE(whole->backward([](int) {}));
    ASSERT_TRUE(whole->update(1.0));
  }
}

TEST_F(TorchTrainerTest, TheLastLayersGradientsAppearFirst) {
  const auto trainer = trainer_of(job_);
  const Buckets buckets(trainer->gradient_elements(), 1, 1);
  ASSERT_TRUE(trainer->gather_gradients(buckets));
  ASSERT_TRUE(trainer->load(pictures_.view(0, 16)));
  ASSERT_TRUE(trainer->forward());
  std::vector<int> layers;  // two tensors each
  ASSERT_TRUE(trainer->backward([&](int tensor) { layers.push_back(tensor / 2); }));
  EXPECT_THAT(layers, ::testing::ElementsAre(2, 2, 1, 1, 0, 0));
}

TEST_F(TorchTrainerTest, DataThatDoNotFitTheModelAreNamed) {
  const auto trainer = trainer_of(job_);
  EXPECT_TRUE(trainer->accept({.batch = 16, .channels = 3, .height = 16, .width = 16}));
  const Status shape = trainer->accept({.batch = 16, .channels = 3, .height = 32, .width = 16});
  ASSERT_FALSE(shape);
  EXPECT_THAT(shape.error().text(), HasSubstr("images of 16x3x32x16"));
  pictures_.labels[3] = 16;
  const Status label = trainer->load(pictures_.view(0, 16));
  ASSERT_FALSE(label);
  EXPECT_THAT(label.error().text(), HasSubstr("the label 16, and the model tells 16 classes"));
}

// Each rank sends 2 (n - 1) / n of the gradients; of two ranks, all of them.
TEST_F(TorchTrainerTest, RealRanksSumTheirGradientsOverGlooAndOverTheRingAlike) {
  job_.steps = 6;
  job_.warmup = 1;
  job_.first_bucket_bytes = 4000;
  job_.bucket_bytes = 8000;
  const std::int64_t bytes = 4 * (12 * 27 + 12 + 40 * 192 + 40 + 16 * 40 + 16);
  std::vector<std::vector<double>> losses;
  for (const Transport transport : {Transport::kGloo, Transport::kRing}) {
    job_.transport = transport;
    job_.rendezvous += "-again";
    const std::vector<WorkerRun> runs = run(ranks(2));
    std::vector<double> loss;
    for (const WorkerRun& one : runs) {
      EXPECT_EQ(one.exit_code, 0) << one.complaint;
      ASSERT_EQ(one.steps.size(), 7U);
      for (const StepRecord& step : one.steps) {
        EXPECT_EQ(step.sent_bytes, bytes);
        EXPECT_EQ(step.received_bytes, bytes);
        loss.push_back(step.loss);
      }
    }
    losses.push_back(loss);
  }
  EXPECT_THAT(losses[0], ::testing::Pointwise(::testing::DoubleNear(1e-5), losses[1]));
}

TEST_F(TorchTrainerTest, ARankWhosePeerLeavesSaysSoInOneLine) {
  job_.steps = 100'000;
  std::vector<Job> jobs = ranks(2);
  jobs[1].steps = 3;
  const std::vector<WorkerRun> runs = run(jobs);
  EXPECT_EQ(runs[1].exit_code, 0) << runs[1].complaint;
  EXPECT_EQ(runs[0].exit_code, 1);
  EXPECT_THAT(runs[0].complaint, HasSubstr("a peer has died or hangs"));
}

TEST_F(TorchTrainerTest, AModelThatIsNotThereIsMissing) {
  job_.model = folder_ + "/none.onnx";
  const WorkerRun one = run({job_}).front();
  EXPECT_NE(one.exit_code, 0);
  EXPECT_THAT(one.complaint, HasSubstr("none.onnx"));
}

}  // namespace
}  // namespace penstock::train
