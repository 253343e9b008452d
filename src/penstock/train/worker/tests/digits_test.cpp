// Training on real pictures: 1797 handwritten digits of 8 x 8 pixels (UCI, E. Alpaydin and C.
// Kaynak, 1998), as scikit-learn ships them. The first 1500 are learnt; the rest was written by
// other people.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "../../../model/tests/model_builder.h"
#include "penstock/core/random.h"
#include "penstock/train/worker/torch_trainer.h"
#include "worker_processes.h"

namespace penstock::train {
namespace {

using model::Integers;
using model::ModelBuilder;

constexpr std::size_t kPixels = 64;
constexpr std::size_t kLearnt = 1500;
constexpr std::size_t kBatch = 32;

struct Digits {
  std::vector<float> pixels;
  std::vector<std::int32_t> labels;
};

// digits.csv.gz of scikit-learn, or nothing: $PENSTOCK_DIGITS, shared data, or Debian's package.
std::string digits_file() {
  std::vector<std::string> places;
  if (const char* named = std::getenv("PENSTOCK_DIGITS"); named != nullptr) {
    places.emplace_back(named);
  }
  const char* shared = std::getenv("PENSTOCK_SHARED");
  places.push_back((shared != nullptr ? std::string(shared) : PENSTOCK_SOURCE_DIR "/../shared") +
                   "/data/digits/digits.csv.gz");
  places.emplace_back("/usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz");
  for (const std::string& place : places) {
    if (std::filesystem::exists(place)) return place;
  }
  return "";
}

// A line has 64 pixels from 0 to 16 and the digit.
Digits read_digits(const std::string& file) {
  Digits digits;
  std::FILE* text = ::popen(("gzip -dc '" + file + "'").c_str(), "r");
  if (text == nullptr) return digits;
  double value = 0;
  for (std::size_t i = 0; std::fscanf(text, "%lf%*[,\n]", &value) == 1; ++i) {
    if (i % (kPixels + 1) == kPixels) {
      digits.labels.push_back(static_cast<std::int32_t>(value));
    } else {
      digits.pixels.push_back(static_cast<float>(value / 8 - 1));
    }
  }
  ::pclose(text);
  return digits;
}

class DigitsTest : public WorkerProcessTest {
 protected:
  DigitsTest() : WorkerProcessTest(PENSTOCK_TORCH_WORKER) {
    ModelBuilder b;
    b.input("x", {1, 1, 8, 8}).weight("k", {16, 1, 3, 3}).weight("kb", {16});
    b.node("Conv", {"x", "k", "kb"}, {"c"}).with("pads", Integers{1, 1, 1, 1});
    b.node("Relu", {"c"}, {"r"}).node("MaxPool", {"r"}, {"p"});
    b.with("kernel_shape", Integers{2, 2}).with("strides", Integers{2, 2});
    b.node("Flatten", {"p"}, {"f"}).weight("w", {64, 256}).weight("wb", {64});
    b.node("Gemm", {"f", "w", "wb"}, {"g"}).with("transB", 1).node("Relu", {"g"}, {"h"});
    b.weight("v", {10, 64}).weight("vb", {10}).node("Gemm", {"h", "v", "vb"}, {"y"});
    b.with("transB", 1).output("y");
    job_.model = folder_ + "/net.onnx";
    job_.batch = kBatch;
    job_.learning_rate = 0.02;
    EXPECT_TRUE(core::write_file(job_.model, b.bytes()));
  }

  // The digits at `places`, copied behind one another.
  static Digits picked(const Digits& all, const std::vector<std::size_t>& places) {
    Digits digits;
    for (const std::size_t place : places) {
      const auto first = all.pixels.begin() + static_cast<std::ptrdiff_t>(place * kPixels);
      digits.pixels.insert(digits.pixels.end(), first, first + kPixels);
      digits.labels.push_back(all.labels[place]);
    }
    return digits;
  }

  // The mean loss over whole batches, in that order, which is trained on where `learns`.
  static double pass(Trainer& trainer, const Digits& digits, bool learns) {
    const std::size_t batches = digits.labels.size() / kBatch;
    double sum = 0;
    for (std::size_t i = 0; i < batches; ++i) {
      EXPECT_TRUE(trainer.load({.pixels = digits.pixels.data() + i * kBatch * kPixels,
                                .labels = digits.labels.data() + i * kBatch,
                                .samples = kBatch,
                                .sequence = 0}));
      EXPECT_TRUE(trainer.forward());
      sum += trainer.loss();
      if (!learns) continue;
      EXPECT_TRUE(trainer.backward([](int) {}));
      EXPECT_TRUE(trainer.update(1.0));
    }
    return sum / static_cast<double>(batches);
  }
};

TEST_F(DigitsTest, TheLossFallsOnDigitsThatPeopleWroteAndOnOthersThanThoseLearnt) {
  const std::string file = digits_file();
  if (file.empty()) {
    GTEST_SKIP() << "no digits.csv.gz: install python3-sklearn, or take the file out of it "
                    "(apt-get download, dpkg-deb -x) and name it in PENSTOCK_DIGITS";
  }
  const Digits all = read_digits(file);
  ASSERT_EQ(all.labels.size(), 1797U);
  ASSERT_EQ(all.pixels.size(), 1797 * kPixels);
  std::vector<std::size_t> learnt(kLearnt);
  std::vector<std::size_t> others;
  for (std::size_t i = 0; i < kLearnt; ++i) learnt[i] = i;
  for (std::size_t i = kLearnt; i < all.labels.size(); ++i) others.push_back(i);
  const Digits unseen = picked(all, others);

  Result<std::unique_ptr<Trainer>> made = make_torch_trainer(job_);
  ASSERT_TRUE(made) << made.error().text();
  Trainer& trainer = **made;
  EXPECT_NEAR(pass(trainer, unseen, false), std::log(10.0), 0.7);
  core::RandomStream random(5, "order");
  double last = 0;
  for (int epoch = 0; epoch < 20; ++epoch) {
    for (std::size_t i = learnt.size(); i > 1; --i) {
      std::swap(learnt[i - 1], learnt[random.below(i)]);
    }
    last = pass(trainer, picked(all, learnt), true);
  }
  // Whoever guesses has 2.30.
  EXPECT_LT(last, 0.05);
  EXPECT_LT(pass(trainer, unseen, false), 0.4);
}

}  // namespace
}  // namespace penstock::train
