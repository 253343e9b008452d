#include "penstock/profile/comm_model.h"

#include <gmock/gmock.h>

#include "penstock/core/random.h"

namespace penstock::profile {
namespace {

// Tensors and millions of parameters of torchvision's models (room page "profiling", 1.7).
const std::vector<std::pair<std::string, CommFeatures>> kModels = {
    {"resnet18", {62, 11.690e6 * 4}},   {"resnet50", {161, 25.557e6 * 4}},
    {"resnet152", {467, 60.193e6 * 4}}, {"vgg11", {22, 132.863e6 * 4}},
    {"vgg19", {38, 143.667e6 * 4}},     {"mobilenet_v2", {158, 3.505e6 * 4}}};

std::vector<CommSample> samples_of(double a, double b, double c, double noise = 0) {
  core::RandomStream random(1, "noise");
  std::vector<CommSample> samples;
  for (const auto& [name, f] : kModels) {
    const double stall = a * f.tensors + b * f.gradient_bytes + c;
    samples.push_back({name, f, stall * (1 + noise * random.normal())});
  }
  return samples;
}

TEST(CommModelTest, RecoversWhatATensorAndAByteCost) {
  const auto model = fit_comm_model(samples_of(40e-6, 1e-9, 2e-3));
  ASSERT_TRUE(model);
  EXPECT_NEAR(model->a_s, 40e-6, 1e-10);
  EXPECT_NEAR(model->b_s_per_byte, 1e-9, 1e-14);
  EXPECT_NEAR(model->c_s, 2e-3, 1e-8);
  EXPECT_NEAR(model->r_squared, 1, 1e-9);
  EXPECT_NEAR(*model->left_out_error, 0, 1e-6);
}

TEST(CommModelTest, HoldsCoefficientsAtZeroWhereNoiseWouldMakeThemNegative) {
  // Twice the tensors, less stall: bytes alone explain it.
  const auto model = fit_comm_model(
      {{"p", {10, 100}, 100}, {"q", {20, 110}, 104}, {"r", {30, 90}, 80}, {"s", {40, 105}, 90}});
  ASSERT_TRUE(model);
  EXPECT_DOUBLE_EQ(model->a_s, 0);
  EXPECT_GT(model->b_s_per_byte, 0);
}

TEST(CommModelTest, RefusesToExtrapolate) {
  const auto model = fit_comm_model(samples_of(40e-6, 1e-9, 2e-3));
  ASSERT_TRUE(model);
  EXPECT_TRUE(model->predict({110, 21.798e6 * 4}));         // resnet34, among them
  EXPECT_TRUE(model->predict({467, 60.193e6 * 4}));         // at a corner
  const auto outside = model->predict({16, 61.101e6 * 4});  // alexnet, fewer tensors than any
  ASSERT_FALSE(outside);
  EXPECT_EQ(outside.error().kind, ErrorKind::kNegative);
  EXPECT_THAT(outside.error().text(), testing::HasSubstr("16 tensors"));
}

TEST(CommModelTest, SaysHowFarItMissesAModelThatItHasNotSeen) {
  const auto model = fit_comm_model(samples_of(40e-6, 1e-9, 2e-3, 0.05));
  ASSERT_TRUE(model);
  EXPECT_GT(*model->left_out_error, 0.01);
  EXPECT_LT(*model->left_out_error, 0.5);
}

TEST(CommModelTest, NeedsModelsThatDiffer) {
  EXPECT_FALSE(fit_comm_model({{"a", {1, 1}, 1}, {"b", {2, 2}, 2}, {"c", {3, 3}, 3}}));
  EXPECT_FALSE(fit_comm_model({{"a", {1, 1}, 1}, {"b", {2, 2}, 2}}));
}

}  // namespace
}  // namespace penstock::profile
