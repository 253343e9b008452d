// What the Philly trace shows, as small tables: how many accelerators jobs ask for, how long they
// run, and when they come.
//
// Derived here from the 62,836 jobs of philly_jobs.csv as Pollux and ElasticFlow publish it (all
// virtual clusters but four), a part of Microsoft's Philly trace, CC-BY-4.0: "Analysis of
// Large-Scale Multi-Tenant GPU Clusters for DNN Training Workloads", USENIX ATC 2019,
// msr-fiddle/philly-traces.
#pragma once

#include <array>
#include <cstddef>

namespace penstock::trace::internal {

// Mean time between its submissions, 2017-09-04 to 2017-12-22.
inline constexpr double kPhillyGapSeconds = 149.7;

struct PhillySize {
  int accelerators;
  int jobs;             // of the trace
  std::size_t lengths;  // index into kPhillyDurations
};
inline constexpr std::array<PhillySize, 7> kPhillySizes = {
    {{1, 60118, 0}, {2, 127, 1}, {4, 1281, 1}, {8, 1177, 2}, {16, 80, 3}, {24, 2, 3}, {32, 51, 3}}};

inline constexpr std::size_t kPhillyQuantiles = 19;
inline constexpr std::array<double, kPhillyQuantiles> kPhillyLevels = {
    0, .05, .1, .2, .3, .4, .5, .6, .7, .8, .9, .95, .98, .99, .995, .998, .999, .9995, 1};
// Seconds at those levels, to three digits: of jobs on 1, on 2 to 4, on 8, and on 16 or more.
// Between two levels the logarithm grows evenly; the means then lie within 4 % of the trace's.
inline constexpr std::array<std::array<double, kPhillyQuantiles>, 4> kPhillyDurations = {{
    {3, 52, 90, 327, 680, 1110, 1560, 2110, 2650, 4140, 8740, 16900, 60800, 114000, 247000, 586000,
     1.03e6, 1.65e6, 3.26e6},
    {9, 69.4, 102, 157, 356, 994, 4720, 15900, 68000, 95400, 183000, 228000, 507000, 744000, 1.02e6,
     1.23e6, 1.64e6, 2.08e6, 2.75e6},
    {9, 119, 195, 513, 1320, 5110, 12500, 21900, 57200, 171000, 247000, 479000, 709000, 1.29e6,
     2.08e6, 2.51e6, 2.66e6, 3.47e6, 4.63e6},
    {55, 239, 328, 845, 1590, 46700, 54700, 62500, 103000, 181000, 421000, 516000, 836000, 1.3e6,
     1.49e6, 1.62e6, 1.67e6, 1.69e6, 1.71e6},
}};

// Submissions in an hour of the day and on a day of the week (Monday first), over their mean.
inline constexpr std::array<double, 24> kPhillyHours = {
    1.37, 0.99, 1.18, 1.18, 0.62, 1.2,  1.87, 2.39, 1.12, 1.04, 1.04, 0.83,
    0.7,  0.65, 0.6,  0.6,  0.87, 0.58, 0.66, 0.6,  1.01, 0.92, 1.07, 0.91};
inline constexpr std::array<double, 7> kPhillyWeekdays = {0.83, 1.01, 1.12, 1.33, 1.55, 0.59, 0.57};

}  // namespace penstock::trace::internal
