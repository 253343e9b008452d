#include "penstock/model/training_bytes.h"

#include <gtest/gtest.h>

namespace penstock::model {
namespace {

TEST(TrainingBytesTest, AWeightHasItsGradientAndStates) {
  EXPECT_EQ(bytes_per_weight("sgd"), 4 + 4);           // also 2 + 2 + 4
  EXPECT_EQ(bytes_per_weight("momentum"), 4 + 4 + 4);  // 2 + 2 + 4 + 4
  EXPECT_EQ(bytes_per_weight("adam"), 4 + 4 + 2 * 4);  // 2 + 2 + 4 + 2 * 4
}

TEST(TrainingBytesTest, AnElementIsAsWideAsItsFormatIsStored) {
  EXPECT_EQ(bytes_per_element("fp32"), 4);
  EXPECT_EQ(bytes_per_element("tf32"), 4);  // rounded inside the multiplier only
  EXPECT_EQ(bytes_per_element("fp16"), 2);
  EXPECT_EQ(bytes_per_element("bf16"), 2);
  EXPECT_EQ(bytes_per_element("fp8"), 1);
}

}  // namespace
}  // namespace penstock::model
