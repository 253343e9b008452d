// Each format that others write: on a few rows by hand, and on the published files, whose counts
// and sums were taken with another program (Python's csv module over the same files).
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "penstock/core/file.h"
#include "penstock/trace/jobs.h"
#include "shared_traces.h"

namespace penstock::trace {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kMilli = 1'000'000;
constexpr std::int64_t kMicros = 1'000'000;  // in a second

// A folder of its own below the system's temporary one, gone with the test.
class Folder {
 public:
  Folder() {
    std::string name = testing::TempDir() + "penstock-traces-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string put(const std::string& name, std::string_view text) const {
    const std::string path = path_ + "/" + name;
    EXPECT_TRUE(core::write_file(path, text));
    return path;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

JobTrace parsed(std::string_view text, const JobFormat& format) {
  auto trace = parse_jobs(text, "t", format);
  EXPECT_TRUE(trace) << trace.error().text();
  return trace ? *trace : JobTrace{};
}

std::string error_of(std::string_view text, const JobFormat& format) {
  const auto trace = parse_jobs(text, "t", format);
  return trace ? "no error" : trace.error().text();
}

struct Sums {
  std::size_t jobs = 0;
  std::int64_t duration_ns = 0, submit_us = 0, accelerators = 0, iterations = 0;
};

Sums sums(const JobTrace& trace) {
  Sums s;
  for (const TrainingJob& job : trace.jobs) {
    ++s.jobs;
    s.duration_ns += job.duration_ns;
    s.submit_us += job.submit_ns / 1000;
    s.accelerators += job.accelerators;
    s.iterations += job.iterations;
  }
  return s;
}

JobTrace shared(const std::string& name, JobFormat format) {
  auto trace = read_jobs(shared_trace(name), format);
  EXPECT_TRUE(trace) << trace.error().text();
  return trace ? *trace : JobTrace{};
}

TEST(PhillyFormatTest, LocalTimestampsAreSortedAndCountFromTheEarliest) {
  const JobTrace trace = parsed(
      "timestamp,duration,num_gpus,gpu_time,cluster\n"
      "2017-10-09 06:13:03,2951.0,1,2951.0,6214e9\n"
      "2017-09-29 07:58:32,860662.5,8,6885300.0,6c71a0\n",
      {.format = "philly"});
  ASSERT_EQ(trace.jobs.size(), 2u);
  EXPECT_EQ(trace.jobs[0].name, "1");
  EXPECT_EQ(trace.jobs[0].submit_ns, 0);
  EXPECT_EQ(trace.jobs[0].duration_ns, 860662 * kSecond + kSecond / 2);
  EXPECT_EQ(trace.jobs[0].accelerators, 8);
  // Nine days, 22 h 14 min 31 s.
  EXPECT_EQ(trace.jobs[1].submit_ns, (9 * 86400 + 22 * 3600 + 14 * 60 + 31) * kSecond);
  EXPECT_EQ(trace.jobs[1].duration_ns, 2951 * kSecond);
}

TEST(PhillyFormatTest, ElasticFlowsFormHasModelsAndDeadlines) {
  const JobTrace trace = parsed(
      "job_id,submit_time,iteration,model_name,ddl,batch_size,num_gpu,duration,best_effort\n"
      "a,100,1282877,vgg16,771220,256,1,976570,0\nb,150,5,gpt2,200,4,2,10,1\n",
      {.format = "philly"});
  ASSERT_EQ(trace.jobs.size(), 2u);
  EXPECT_EQ(trace.jobs[0].name, "a");
  EXPECT_EQ(trace.jobs[0].submit_ns, 0);
  EXPECT_EQ(trace.jobs[0].deadline_ns, 771120 * kSecond);
  EXPECT_EQ(trace.jobs[0].batch, 256);
  EXPECT_EQ(trace.jobs[0].iterations, 1282877);
  EXPECT_EQ(trace.jobs[1].submit_ns, 50 * kSecond);
  EXPECT_EQ(trace.jobs[1].deadline_ns, -1);  // best effort
  EXPECT_THAT(trace.models, ElementsAre("vgg16", "gpt2"));
}

TEST(PhillyFormatTest, BadRowsAreReportedByTheirLine) {
  EXPECT_THAT(
      error_of("timestamp,duration,num_gpus\n2017-02-30 00:00:00,-5,0\n", {.format = "philly"}),
      AllOf(HasSubstr("t:2: timestamp \"2017-02-30 00:00:00\" is no time; write it as"),
            HasSubstr("t:2: duration \"-5\" is negative"),
            HasSubstr("t:2: num_gpus \"0\" is no whole number")));
  EXPECT_THAT(
      error_of("timestamp,duration,num_gpu\n2017-02-20 00:00:00,5,1\n", {.format = "philly"}),
      HasSubstr("t:1: the heading has no column \"num_gpus\"; did you mean \"num_gpu\"?"));
}

TEST(PhillyFormatTest, ThePublishedFilesHaveTheirSums) {
  PENSTOCK_SKIP_WITHOUT_SHARED_TRACES();
  const Sums table = sums(shared("philly/philly_jobs.csv", {.format = "philly"}));
  EXPECT_EQ(table.jobs, 62836u);
  EXPECT_EQ(table.duration_ns, 743'291'988 * kSecond);
  EXPECT_EQ(table.submit_us, 272'887'333'013 * kMicros);
  EXPECT_EQ(table.accelerators, 77872);
  const JobTrace models = shared("philly/philly_103959.csv", {.format = "philly"});
  const Sums with_models = sums(models);
  EXPECT_EQ(with_models.jobs, 876u);
  EXPECT_EQ(with_models.duration_ns, 49'556'598 * kSecond);
  EXPECT_EQ(with_models.submit_us, 3'554'454'214 * kMicros);
  EXPECT_EQ(with_models.iterations, 438306828);
  std::int64_t deadlines = 0;
  for (const TrainingJob& job : models.jobs) deadlines += job.deadline_ns / kSecond;
  EXPECT_EQ(deadlines, 3'602'487'475);
  EXPECT_EQ(models.models.size(), 6u);
}

TEST(MuriFormatTest, MillisecondsAreExactAndTheNetworksShareIsOfTheIteration) {
  const JobTrace trace = parsed(
      "job_id,num_gpu,submit_time,iterations,model_name,batch_size,duration,interval,"
      "iteration_time,resource_time_0,resource_time_1,resource_time_2,priority\n"
      "0,4,7,1046811,vgg16,128,927475001,11174000,200,703,62,50,0\n"
      "1,1,1456007,1005573,VGG16,128,0.5,1456000,921,723,113,1000,1\n",
      {.format = "muri"});
  ASSERT_EQ(trace.jobs.size(), 2u);
  EXPECT_EQ(trace.jobs[0].duration_ns, 927'475'001 * kMilli);
  EXPECT_EQ(trace.jobs[0].network_share, 0.25f);
  EXPECT_EQ(trace.jobs[0].iterations, 1046811);
  EXPECT_EQ(trace.jobs[0].batch, 128);
  EXPECT_EQ(trace.jobs[1].submit_ns, 1'456'000 * kMilli);
  EXPECT_EQ(trace.jobs[1].duration_ns, kMilli / 2);
  EXPECT_EQ(trace.jobs[1].network_share, 1.0f);  // never above the whole iteration
  EXPECT_THAT(trace.models, ElementsAre("vgg16"));
}

TEST(MuriFormatTest, ThePublishedFilesHaveTheirSums) {
  PENSTOCK_SKIP_WITHOUT_SHARED_TRACES();
  const auto expect = [](const std::string& name, const Sums& want) {
    const JobTrace trace = shared("muri/" + name + ".csv", {.format = "muri"});
    const Sums got = sums(trace);
    EXPECT_EQ(got.jobs, want.jobs) << name;
    EXPECT_EQ(got.duration_ns, want.duration_ns * kMilli) << name;
    EXPECT_EQ(got.submit_us, want.submit_us * 1000) << name;
    EXPECT_EQ(got.accelerators, want.accelerators) << name;
    EXPECT_EQ(got.iterations, want.iterations) << name;
    EXPECT_EQ(trace.models.size(), 8u) << name;
    float most = 0;
    for (const TrainingJob& job : trace.jobs) most = std::max(most, job.network_share);
    EXPECT_FLOAT_EQ(most, 133.0f / 260.0f);  // BERT on 32
  };
  expect("trace1", {1494, 374'174'936'000, 9'355'985'669'000, 7398, 1381912459});
  expect("trace3", {992, 46'489'935'000, 3'734'742'603'000, 9346, 133405519});
  expect("testbed_trace", {400, 22'861'225'000, 382'228'777'000, 3766, 54592698});
}

TEST(TiresiasFormatTest, SecondsAreReadAndThePublishedFileHasItsSums) {
  const JobTrace trace = parsed(
      "job_id,num_gpu,submit_time,iterations,model_name,duration,interval\n"
      "0,1,30,606,vgg19,164,30\n1,8,30,133,vgg11,147,23\n",
      {.format = "tiresias"});
  EXPECT_EQ(trace.jobs[1].name, "1");
  EXPECT_EQ(trace.jobs[1].submit_ns, 0);
  EXPECT_EQ(trace.jobs[1].duration_ns, 147 * kSecond);
  EXPECT_EQ(trace.jobs[1].network_share, -1);
  PENSTOCK_SKIP_WITHOUT_SHARED_TRACES();
  const Sums got = sums(shared("tiresias/60_job.csv", {.format = "tiresias"}));
  EXPECT_EQ(got.jobs, 60u);
  EXPECT_EQ(got.duration_ns, 10705 * kSecond);
  EXPECT_EQ(got.submit_us, 52710 * kMicros);
  EXPECT_EQ(got.accelerators, 170);
}

constexpr char kRates[] = R"json({
  "v100": {
    "('ResNet-50 (batch size 64)', 1)": {"null": 4.0, "('A3C', 1)": [1.0, 2.0]},
    "('ResNet-50 (batch size 64)', 2)": {"null": 8.0},
    "('A3C', 1)": {"null": 0.5}
  },
  "k80": {"('A3C', 1)": {"null": 0}}
})json";

std::string gavel_row(std::string_view type, std::string_view steps, std::string_view scale,
                      std::string_view arrival) {
  return fmt::format("{}\tpython3 \"main.py\"\twd\t-n\t1\t{}\t{}\t1\t-1.000000\t{}\n", type, steps,
                     scale, arrival);
}

TEST(GavelFormatTest, StepsBecomeTimeByTheRateOfTheirTypeAndScale) {
  const Folder folder;
  const JobFormat format{.format = "gavel", .throughputs = folder.put("rates.json", kRates)};
  const JobTrace trace = parsed(gavel_row("ResNet-50 (batch size 64)", "1000", "2", "10.5") +
                                    gavel_row("A3C", "3", "1", "11.000000"),
                                format);
  ASSERT_EQ(trace.jobs.size(), 2u);
  EXPECT_EQ(trace.jobs[0].duration_ns, 125 * kSecond);
  EXPECT_EQ(trace.jobs[0].accelerators, 2);
  EXPECT_EQ(trace.jobs[0].batch, 64);
  EXPECT_EQ(trace.jobs[0].iterations, 1000);
  EXPECT_EQ(trace.jobs[1].submit_ns, kSecond / 2);
  EXPECT_EQ(trace.jobs[1].duration_ns, 6 * kSecond);
  EXPECT_EQ(trace.jobs[1].batch, 0);
  EXPECT_THAT(trace.models, ElementsAre("resnet-50", "a3c"));
  EXPECT_TRUE(trace.notes.empty());
}

TEST(GavelFormatTest, MicrosoftsTracesCountTheStepsOfOneDevice) {
  const Folder folder;
  const JobFormat format{.format = "gavel", .throughputs = folder.put("rates.json", kRates)};
  const JobTrace trace =
      parsed("ResNet-50 (batch size 64)\tcd x && python3\t-n\t1\t1000\t0.000000\t8\n", format);
  ASSERT_EQ(trace.jobs.size(), 1u);
  EXPECT_EQ(trace.jobs[0].accelerators, 8);
  EXPECT_EQ(trace.jobs[0].duration_ns, 250 * kSecond);
}

TEST(GavelFormatTest, WhatHasNoRateIsReportedByLine) {
  const Folder folder;
  JobFormat format{.format = "gavel", .throughputs = folder.put("rates.json", kRates)};
  EXPECT_THAT(
      error_of(gavel_row("ResNet-51 (batch size 64)", "1", "1", "0") +
                   gavel_row("ResNet-50 (batch size 64)", "1", "4", "0") +
                   gavel_row("ResNet-50 (batch size 64)", "1", "0", "0") +
                   gavel_row("ResNet-50 (batch size x)", "1", "1", "0"),
               format),
      AllOf(HasSubstr("t:1: the job type \"ResNet-51 (batch size 64)\" has no measured rate on "
                      "v100; did you mean \"ResNet-50 (batch size 64)\"?"),
            HasSubstr("t:2: \"ResNet-50 (batch size 64)\" has no measured rate at scale factor 4 "
                      "on v100; measured are 1, 2"),
            HasSubstr("t:3: scale_factor \"0\" is no whole number"),
            HasSubstr("t:4: job_type \"ResNet-50 (batch size x)\" is no job type")));
  EXPECT_THAT(error_of("a\tb\n", format), HasSubstr("2 values between tabs; the format gavel has"));
  format.device = "k80";
  EXPECT_THAT(error_of(gavel_row("A3C", "1", "1", "0"), format),
              HasSubstr("ran at 0 steps per second on k80"));
  format.device = "a100";
  EXPECT_THAT(error_of(gavel_row("A3C", "1", "1", "0"), format),
              HasSubstr("no rates for the device \"a100\"; it has v100, k80"));
  format.throughputs.clear();
  EXPECT_THAT(error_of(gavel_row("A3C", "1", "1", "0"), format), HasSubstr("--throughputs FILE"));
  format = {.format = "gavel", .throughputs = folder.put("bad.json", R"({"v100": {"x": 1}})")};
  EXPECT_THAT(error_of(gavel_row("A3C", "1", "1", "0"), format),
              HasSubstr("bad.json: v100.x: is no job type with a rate alone"));
}

TEST(GavelFormatTest, ThePublishedFilesHaveTheirSums) {
  PENSTOCK_SKIP_WITHOUT_SHARED_TRACES();
  const auto expect = [](const std::string& name, std::size_t jobs, double seconds,
                         std::int64_t accelerators, std::int64_t steps) {
    const Sums got = sums(shared(
        "gavel/" + name + ".trace",
        {.format = "gavel", .throughputs = shared_trace("gavel/simulation_throughputs.json")}));
    EXPECT_EQ(got.jobs, jobs) << name;
    EXPECT_EQ(got.accelerators, accelerators) << name;
    EXPECT_EQ(got.iterations, steps) << name;
    // Half a nanosecond a job, and what a sum of doubles loses.
    EXPECT_NEAR(static_cast<double>(got.duration_ns) / 1e9, seconds, 1e-6) << name;
  };
  expect("msr_seed0_2869ce", 533, 53584626.10055325, 5425, 1339392653);
  expect("msr_seed0_7f04ca", 972, 458137634.7484046, 4430, 13913721875);
  expect("msr_seed0_103959", 986, 68702231.45352684, 2364, 1916994894);
  expect("small_test", 20, 1163.623846823421, 23, 53402);
  expect("medium_test", 20, 174407.33203278866, 20, 5484967);
  expect("artifact_evaluation", 15, 20320.22990128401, 18, 304697);
  expect("minimize_makespan", 100, 1195194.319781386, 175, 42596220);
}

TEST(ShockwaveFormatTest, TheDurationIsAColumn) {
  const JobTrace trace = parsed(
      "LM (batch size 10)\tpython3\twd\t--steps\t1\t134583\t2\tgns\t1\t-1.000000\t1418\t3\n"
      "A3C\tpython3\twd\t--steps\t1\t13\t1\tgns\t1\t2.0\t14\t5\n",
      {.format = "shockwave"});
  ASSERT_EQ(trace.jobs.size(), 2u);
  EXPECT_EQ(trace.jobs[0].duration_ns, 1418 * kSecond);
  EXPECT_EQ(trace.jobs[0].accelerators, 2);
  EXPECT_EQ(trace.jobs[0].batch, 10);
  EXPECT_EQ(trace.jobs[1].submit_ns, 2 * kSecond);
  EXPECT_THAT(trace.models, ElementsAre("lm", "a3c"));
  EXPECT_THAT(trace.notes, ElementsAre(HasSubstr("1 job with an SLO")));
  PENSTOCK_SKIP_WITHOUT_SHARED_TRACES();
  const Sums a = sums(shared("shockwave/120_0.2_5_100_40_25.trace", {.format = "shockwave"}));
  EXPECT_EQ(a.jobs, 120u);
  EXPECT_EQ(a.duration_ns, 496241 * kSecond);
  EXPECT_EQ(a.submit_us, 314020 * kMicros);
  EXPECT_EQ(a.accelerators, 164);
  const Sums b = sums(shared("shockwave/220_0.2_5_100_25_4.trace", {.format = "shockwave"}));
  EXPECT_EQ(b.jobs, 220u);
  EXPECT_EQ(b.duration_ns, 964450 * kSecond);
  EXPECT_EQ(b.submit_us, 677059 * kMicros);
  EXPECT_EQ(b.accelerators, 310);
}

class PolluxFormatTest : public testing::Test {
 protected:
  PolluxFormatTest() {
    folder_.put("cifar10_placements.csv",
                "placement,local_bsz,step_time,sync_time\n"
                "1,100,0.2,0.01\n1,200,0.3,0.01\n"
                "11,100,0.5,0.1\n2,100,0.25,0.05\n2,200,0.35,0.05\n");
    folder_.put("cifar10_scalability.csv",
                "num_nodes,num_replicas,local_bsz,step_time,sync_time\n6,8,100,0.5,0.3\n");
  }
  JobTrace one(int replicas, int batch) const {
    return parsed(
        fmt::format("name,time,application,num_replicas,batch_size\nc,107,cifar10,{},{}\n",
                    replicas, batch),
        {.format = "pollux", .profiles = folder_.path()});
  }
  Folder folder_;
};

TEST_F(PolluxFormatTest, AJobTakesItsStepsTimesTheFastestMeasuredPlacement) {
  // 100 epochs of 50,000 samples: 25,000 steps of 200, on one node 0.25 s each.
  const JobTrace trace = one(2, 200);
  ASSERT_EQ(trace.jobs.size(), 1u);
  EXPECT_EQ(trace.jobs[0].name, "c");
  EXPECT_EQ(trace.jobs[0].submit_ns, 0);
  EXPECT_EQ(trace.jobs[0].accelerators, 2);
  EXPECT_EQ(trace.jobs[0].batch, 200);
  EXPECT_EQ(trace.jobs[0].iterations, 25000);
  EXPECT_EQ(trace.jobs[0].duration_ns, 6250 * kSecond);
  EXPECT_THAT(trace.models, ElementsAre("cifar10"));
  // From the file of larger scales.
  EXPECT_EQ(one(8, 800).jobs[0].duration_ns, 3125 * kSecond);
}

TEST_F(PolluxFormatTest, BatchesBetweenBelowAndAboveTheMeasuredOnesHaveStepTimes) {
  // 150 a replica lies halfway between 0.2 and 0.3 s; 33,334 steps.
  EXPECT_EQ(one(1, 150).jobs[0].iterations, 33334);
  EXPECT_NEAR(static_cast<double>(one(1, 150).jobs[0].duration_ns), 33334 * 0.25e9, 1e3);
  // Ten samples take no less than a hundred.
  EXPECT_NEAR(static_cast<double>(one(1, 10).jobs[0].duration_ns), 500000 * 0.2e9, 1e3);
  // 400 are two passes of 200, of which one communicates.
  EXPECT_NEAR(static_cast<double>(one(1, 400).jobs[0].duration_ns), 12500 * (0.3 + 0.29) * 1e9,
              1e3);
}

TEST_F(PolluxFormatTest, WhatWasNotMeasuredOrIsUnknownIsAnError) {
  const std::string heading = "name,time,application,num_replicas,batch_size\n";
  JobFormat format{.format = "pollux", .profiles = folder_.path()};
  EXPECT_THAT(
      error_of(heading + "a,0,cifar10,3,128\nb,0,cifar100,1,128\nc,0,cifar10,0,128\n", format),
      AllOf(HasSubstr("t:2: num_replicas \"3\" cifar10 was not measured on 3 replicas; "
                      "measured are 1, 2, 8"),
            HasSubstr("t:3: application \"cifar100\" is unknown; did you mean \"cifar10\"?"),
            HasSubstr("t:4: num_replicas \"0\" is no whole number")));
  EXPECT_THAT(error_of(heading + "a,0,bert,1,128\n", format),
              HasSubstr("bert_placements.csv: no such file"));
  folder_.put("bert_placements.csv", "placement,local_bsz,step_time,sync_time\n104,1,0.2,0.01\n");
  EXPECT_THAT(error_of(heading + "a,0,bert,1,128\n", format),
              HasSubstr("bert_placements.csv:2: placement \"104\" is no placement"));
  format.profiles.clear();
  EXPECT_THAT(error_of(heading + "a,0,cifar10,1,128\n", format), HasSubstr("--profiles FOLDER"));
}

TEST_F(PolluxFormatTest, ThePublishedWorkloadsAreReadWhole) {
  PENSTOCK_SKIP_WITHOUT_SHARED_TRACES();
  const std::vector<std::int64_t> replicas = {1092, 1077, 921, 1043, 1032, 1134};
  const std::vector<double> seconds = {183046.03527209963, 212102.12012050816, 217590.07309404612,
                                       214996.30462064582, 204870.392064695,   206340.49248211892};
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    const JobTrace trace =
        shared(fmt::format("pollux/workloads/workload-{}.csv", i + 1),
               {.format = "pollux", .profiles = shared_trace("pollux/profiles")});
    const Sums got = sums(trace);
    EXPECT_EQ(got.jobs, 160u);
    EXPECT_EQ(got.accelerators, replicas[i]) << i + 1;
    EXPECT_NEAR(static_cast<double>(got.duration_ns) / 1e9, seconds[i], 1e-6) << i + 1;
    // Pollux drew the workloads from configurations that take under 12 h.
    for (const TrainingJob& job : trace.jobs) EXPECT_LT(job.duration_ns, 12 * 3600 * kSecond);
  }
}

TEST(SacctFormatTest, JobsThatRanOnAcceleratorsAreReadAndTheOthersCounted) {
  const JobTrace trace = parsed(
      "JobID|JobName|Submit|Start|End|Elapsed|AllocTRES|ReqTRES|State|Comment\n"
      "12|train|2026-01-31T08:00:10|2026-01-31T08:01:00|2026-02-01T09:01:02|1-01:00:02|"
      "billing=8,cpu=8,gres/gpu=4,gres/gpu:v100=4,mem=64G|gres/gpu=4|COMPLETED|"
      "model=BERT,batch=64 iterations=20000\n"
      "12.batch|batch|||||cpu=8||COMPLETED|\n"
      "13_2|a|2026-01-31T08:00:00|2026-01-31T08:00:00|2026-01-31T08:30:00|30:00|"
      "gres/gpu:a100=2,gres/gpu:v100=1||CANCELLED by 1000|batch=oops note\n"
      "14|p|2026-01-31T08:00:00|Unknown|Unknown|00:00:00||gres/gpu=8|PENDING|\n"
      "15|c|2026-01-31T08:00:00|2026-01-31T08:00:00|2026-01-31T09:00:00|01:00:00|cpu=4|cpu=4|"
      "COMPLETED|\n"
      "16|r|2026-01-31T08:00:00|2026-01-31T08:00:00|Unknown|01:00:00|gres/gpu=1||RUNNING|\n"
      "17|x|2026-01-31T08:00:00|None|2026-01-31T08:00:05|00:00:00||gres/gpu=1|CANCELLED|\n"
      "18|dst|2026-10-25T02:59:00|2026-10-25T02:01:00|2026-10-25T03:01:00|01:00:00|gres/gpu=1||"
      "TIMEOUT|\n",
      {.format = "sacct"});
  ASSERT_EQ(trace.jobs.size(), 3u);
  EXPECT_EQ(trace.jobs[0].name, "13_2");
  EXPECT_EQ(trace.jobs[0].submit_ns, 0);
  EXPECT_EQ(trace.jobs[0].duration_ns, 1800 * kSecond);
  EXPECT_EQ(trace.jobs[0].accelerators, 3);
  EXPECT_EQ(trace.jobs[0].model, -1);
  EXPECT_EQ(trace.jobs[0].batch, 0);
  const TrainingJob& job = trace.jobs[1];
  EXPECT_EQ(job.name, "12");
  EXPECT_EQ(job.submit_ns, 10 * kSecond);
  EXPECT_EQ(job.start_ns, 60 * kSecond);
  EXPECT_EQ(job.duration_ns, (25 * 3600 + 2) * kSecond);
  EXPECT_EQ(job.accelerators, 4);
  EXPECT_EQ(job.batch, 64);
  EXPECT_EQ(job.iterations, 20000);
  EXPECT_THAT(trace.models, ElementsAre("bert"));
  EXPECT_EQ(trace.jobs[2].start_ns, -1);
  EXPECT_THAT(trace.notes,
              ElementsAre("2 jobs left out that never ran", "1 job left out that had not ended",
                          "1 job left out that held no accelerator (gres/gpu in AllocTRES)",
                          HasSubstr("1 job with a start before the submission")));
}

TEST(SacctFormatTest, SecondsSince1970AndElapsedRawAreReadToo) {
  const JobTrace trace = parsed(
      "JobID\tSubmit\tElapsedRaw\tReqTRES\n1\t1769846400\t90\tgres/gpu=2\n"
      "2\t1769846401\t7\tgres/gpu=1\n",
      {.format = "sacct"});
  ASSERT_EQ(trace.jobs.size(), 2u);
  EXPECT_EQ(trace.jobs[1].submit_ns, kSecond);
  EXPECT_EQ(trace.jobs[0].duration_ns, 90 * kSecond);
}

TEST(SacctFormatTest, BadRowsAndMissingColumnsAreReported) {
  const JobFormat format{.format = "sacct"};
  EXPECT_THAT(error_of("JobID|Submit|Elapsed|AllocTRES\n1|yesterday|1:2:3:4|gres/gpu=1\n"
                       "2|2026-01-31T08:00:00|01:00:00|gres/gpu=1\n"
                       "2|2026-01-31T08:00:00|01:00:00|gres/gpu=1\n"
                       "3|2026-01-31T08:00:00|01:00:00|gres/gpu=900000,gres/gpu=1|more\n",
                       format),
              AllOf(HasSubstr("t:2: Elapsed \"1:2:3:4\" is no span of time"),
                    HasSubstr("t:2: Submit \"yesterday\" is no time"),
                    HasSubstr("t:4: job \"2\" again, as on line 3"),
                    HasSubstr("t:5: 5 values where there are 4 columns")));
  EXPECT_THAT(error_of("JobID|Submit\n1|2026-01-31T08:00:00\n", format),
              AllOf(HasSubstr("no column \"Elapsed\""), HasSubstr("no column \"AllocTRES\"")));
  EXPECT_THAT(error_of("       JobID    JobName\n", format), HasSubstr("call sacct -P"));
  EXPECT_THAT(error_of("JobID|Submit|Elapsed|AllocTRES\n"
                       "1|2026-01-31T08:00:00|00:00:00|gres/gpu=1\n",
                       format),
              HasSubstr("t: holds no job: 1 job left out that never ran"));
}

}  // namespace
}  // namespace penstock::trace
