#include "penstock/cluster/gittins.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "penstock/core/file.h"
#include "penstock/core/random.h"

namespace penstock::cluster {
namespace {

using testing::HasSubstr;

// One over the index as it is defined: the best of all stopping points, sum by sum. Between samples
// the expected service only grows, so that the stopping points are the samples.
double brute_force(const std::vector<double>& services, double attained) {
  double least = INFINITY;
  for (const double stop : services) {
    if (stop <= attained) continue;
    double given = 0;
    double completed = 0;
    for (const double service : services) {
      if (service <= attained) continue;
      given += std::min(service, stop) - attained;
      completed += service <= stop ? 1 : 0;
    }
    least = std::min(least, given / completed);
  }
  return least;
}

TEST(GittinsTest, EqualsTheDefinitionOnRandomLaws) {
  core::RandomStream random(1, "gittins");
  for (int round = 0; round < 400; ++round) {
    std::vector<double> services(1 + random.below(60));
    for (double& service : services) {
      const double u = random.uniform();
      switch (round % 4) {
        case 0:
          service = 1 + u;
          break;
        case 1:
          service = -std::log1p(-u);
          break;
        case 2:
          service = std::pow(1 - u, -1.2);
          break;
        default:
          service = double(1 + random.below(6));  // ties
      }
    }
    const GittinsIndex law(services);
    const double largest = *std::max_element(services.begin(), services.end());
    for (int i = 0; i < 50; ++i) {
      const double attained = i == 0   ? 0
                              : i < 20 ? services[random.below(services.size())]
                                       : largest * random.uniform();
      const double expected = brute_force(services, attained);
      if (std::isinf(expected)) {
        ASSERT_TRUE(std::isinf(law.cost(attained)));
      } else {
        ASSERT_NEAR(law.cost(attained), expected, 1e-9 * (1 + expected));
      }
    }
  }
}

TEST(GittinsTest, OfEqualJobsIsTheRemainingService) {
  const GittinsIndex law({10, 10, 10, 10});
  for (const double attained : {0.0, 2.5, 9.0}) EXPECT_DOUBLE_EQ(law.cost(attained), 10 - attained);
  EXPECT_TRUE(std::isinf(law.cost(10)));
}

TEST(GittinsTest, StopsAfterTheShortJobsOfTwoKinds) {
  const GittinsIndex law({600, 600, 86400});
  EXPECT_DOUBLE_EQ(law.cost(0), 3 * 600 / 2.0);
  EXPECT_DOUBLE_EQ(law.cost(300), 3 * 300 / 2.0);
  EXPECT_DOUBLE_EQ(law.cost(600), 86400 - 600);
}

TEST(GittinsTest, OfADecreasingHazardIsTheOrderOfAttainedService) {
  // Quantiles of a Pareto law: whoever has run longer is less likely to end.
  std::vector<double> services;
  constexpr int kSamples = 2000;
  for (int i = 0; i < kSamples; ++i) {
    services.push_back(std::pow(1 - (i + 0.5) / kSamples, -1 / 0.8));
  }
  const GittinsIndex law(services);
  double last = 0;
  for (std::size_t i = 100; i < 1900; i += 10) {
    const double cost = law.cost(services[i]);
    EXPECT_GT(cost, last);
    last = cost;
  }
}

TEST(GittinsTest, ReadsServicesAndReportsEveryBadLine) {
  const std::string path = testing::TempDir() + "gittins_services.csv";
  ASSERT_TRUE(core::write_file(path, "duration\n121\n4.5\r\n7e3\n").has_value());
  EXPECT_EQ(read_services(path).value(), (std::vector<double>{121, 4.5, 7000}));
  ASSERT_TRUE(core::write_file(path, "duration\n-1\nten\n5\n0\n").has_value());
  const std::string error = read_services(path).error().text();
  EXPECT_THAT(error, HasSubstr("gittins_services.csv:2: \"-1\""));
  EXPECT_THAT(error, HasSubstr("gittins_services.csv:3: \"ten\""));
  EXPECT_THAT(error, HasSubstr("gittins_services.csv:5: \"0\""));
  ASSERT_TRUE(core::write_file(path, "duration\n").has_value());
  EXPECT_THAT(read_services(path).error().text(), HasSubstr("holds no service time"));
  std::remove(path.c_str());
  EXPECT_EQ(read_services(path).error().kind, ErrorKind::kMissing);
}

TEST(GittinsTest, AgreesWithTheDefinitionOnTheYarnJobs) {
  const char* set = std::getenv("PENSTOCK_SHARED");
  const std::string root = set ? set : PENSTOCK_SOURCE_DIR "/../shared";
  const std::string path = root + "/data/cluster/tiresias/yarn-gput1000.csv";
  if (!std::filesystem::exists(path)) {
    GTEST_SKIP() << "the shared traces are absent; set PENSTOCK_SHARED";
  }
  const std::vector<double> services = read_services(path).value();
  EXPECT_GE(services.size(), 1000u);
  const GittinsIndex law(services);
  for (std::size_t i = 0; i + 1 < services.size(); i += 37) {
    const double expected = brute_force(services, services[i]);
    EXPECT_NEAR(law.cost(services[i]), expected, 1e-9 * expected);
  }
}

}  // namespace
}  // namespace penstock::cluster
