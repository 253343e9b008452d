// What all formats share: exact times, errors by line, order. And the format penstock.
#include "penstock/trace/jobs.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "penstock/core/random.h"
#include "penstock/trace/internal/exact.h"

namespace penstock::trace {
namespace {

using internal::calendar_ns;
using internal::Decimal;
using internal::scaled_decimal;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t kSecond = internal::kSecond;

Result<JobTrace> parse(std::string_view text, const std::string& format = "penstock") {
  return parse_jobs(text, "t.csv", {.format = format});
}

std::string error_of(std::string_view text, const std::string& format = "penstock") {
  const auto trace = parse(text, format);
  if (trace) return "no error";
  EXPECT_EQ(trace.error().kind, ErrorKind::kInput);
  return trace.error().text();
}

TEST(ExactTest, DecimalsBecomeIntegersWithoutRounding) {
  EXPECT_EQ(scaled_decimal("2951.0", 9).value, 2951 * kSecond);
  EXPECT_EQ(scaled_decimal("0.1", 9).value, 100'000'000);
  EXPECT_EQ(scaled_decimal("0.000000001", 9).value, 1);
  EXPECT_EQ(scaled_decimal("1234567.123456789", 9).value, 1'234'567'123'456'789);
  EXPECT_EQ(scaled_decimal("3000000000.123456789", 9).value, 3'000'000'000'123'456'789);
  EXPECT_EQ(scaled_decimal("1.25e3", 6).value, 1'250'000'000);
  EXPECT_EQ(scaled_decimal("125E-2", 6).value, 1'250'000);
  EXPECT_EQ(scaled_decimal("+7", 0).value, 7);
  EXPECT_EQ(scaled_decimal("000000000000000000000000000012", 0).value, 12);
  EXPECT_EQ(scaled_decimal("9223372036854775807", 0).value, 9'223'372'036'854'775'807);
  EXPECT_TRUE(scaled_decimal("4.0", 0).is_exact);
  EXPECT_FALSE(scaled_decimal("4.5", 0).is_exact);
}

TEST(ExactTest, WhatIsFinerThanANanosecondIsRoundedOnce) {
  EXPECT_EQ(scaled_decimal("0.0000000014", 9).value, 1);
  EXPECT_EQ(scaled_decimal("0.0000000015", 9).value, 2);
  EXPECT_EQ(scaled_decimal("0.00000000149999999999999999999999", 9).value, 1);
  EXPECT_EQ(scaled_decimal("1e-10", 9).value, 0);
  EXPECT_EQ(scaled_decimal("1e-99999", 9).value, 0);
}

TEST(ExactTest, WhatIsNoNumberOrOutOfRangeIsToldApart) {
  for (const char* text :
       {"", ".", "-", "nan", "inf", "1.2.3", "0x10", "1e", "1e+", "12 s", "e5"}) {
    EXPECT_EQ(scaled_decimal(text, 9).verdict, Decimal::kNone) << text;
  }
  EXPECT_EQ(scaled_decimal("-1", 9).verdict, Decimal::kNegative);
  EXPECT_EQ(scaled_decimal("-0", 9).verdict, Decimal::kGood);
  EXPECT_EQ(scaled_decimal("9223372036854775808", 0).verdict, Decimal::kTooLarge);
  EXPECT_EQ(scaled_decimal("1e20", 0).verdict, Decimal::kTooLarge);
  EXPECT_EQ(scaled_decimal("1e999999999999", 9).verdict, Decimal::kTooLarge);
  EXPECT_EQ(scaled_decimal("99999999999999999999999999", 9).verdict, Decimal::kTooLarge);
}

TEST(ExactTest, DatesCountSecondsSince1970) {
  EXPECT_EQ(calendar_ns("1970-01-01 00:00:00"), 0);
  EXPECT_EQ(calendar_ns("2000-03-01T00:00:00"), 951'868'800 * kSecond);
  EXPECT_EQ(calendar_ns("2017-10-09 06:13:03"), 1'507'529'583 * kSecond);
  EXPECT_EQ(calendar_ns("2024-02-29 23:59:59.5"), 1'709'251'199 * kSecond + kSecond / 2);
  // Every day of the century follows the one before, across every month's end.
  std::int64_t days = 0;
  for (int year = 1970; year <= 2069; ++year) {
    for (int month = 1; month <= 12; ++month) {
      for (int day = 1; day <= 31; ++day) {
        const auto at = calendar_ns(fmt::format("{:04}-{:02}-{:02} 00:00:00", year, month, day));
        if (!at) continue;
        EXPECT_EQ(*at, days * 86400 * kSecond) << year << "-" << month << "-" << day;
        ++days;
      }
    }
  }
  EXPECT_EQ(days, 36525);
}

TEST(ExactTest, WhatIsNoDateIsRefused) {
  for (const char* text :
       {"", "2017-10-09", "2017-13-09 06:13:03", "2017-02-29 06:13:03", "2017-10-09 24:13:03",
        "2017-10-09 06:60:03", "2017-10-09 06:13:60", "2017/10/09 06:13:03", "1969-12-31 23:59:59",
        "2070-01-01 00:00:00", "2017-10-09 06:13:03Z", "2017-10-09 06:13:03.",
        "2017-10-09 06:13:03.1234567891", "2017-1a-09 06:13:03"}) {
    EXPECT_EQ(calendar_ns(text), std::nullopt) << text;
  }
}

TEST(JobsTest, OurOwnFormatReadsEveryColumn) {
  const auto trace = parse(
      "# by hand\n"
      "name,submit_s,duration_s,accelerators,model,batch,iterations,deadline_s,network_share,"
      "start_s\n"
      "late,12.000000001,3600,8,BERT,64,1000,9000,0.25,20\n"
      "\"a, \"\"b\"\"\",0,0.5,1,,,,,,\n");
  ASSERT_TRUE(trace) << trace.error().text();
  ASSERT_EQ(trace->jobs.size(), 2u);
  const TrainingJob& first = trace->jobs[0];
  EXPECT_EQ(first.name, "a, \"b\"");
  EXPECT_EQ(first.submit_ns, 0);
  EXPECT_EQ(first.duration_ns, kSecond / 2);
  EXPECT_EQ(first.model, -1);
  EXPECT_EQ(first.batch, 0);
  EXPECT_EQ(first.iterations, 0);
  EXPECT_EQ(first.deadline_ns, -1);
  EXPECT_EQ(first.start_ns, -1);
  EXPECT_EQ(first.network_share, -1);
  const TrainingJob& second = trace->jobs[1];
  EXPECT_EQ(second.submit_ns, 12 * kSecond + 1);
  EXPECT_EQ(second.duration_ns, 3600 * kSecond);
  EXPECT_EQ(second.accelerators, 8);
  EXPECT_EQ(second.model, 0);
  EXPECT_EQ(second.batch, 64);
  EXPECT_EQ(second.iterations, 1000);
  EXPECT_EQ(second.deadline_ns, 9000 * kSecond);
  EXPECT_EQ(second.start_ns, 20 * kSecond);
  EXPECT_EQ(second.network_share, 0.25f);
  EXPECT_THAT(trace->models, ElementsAre("bert"));
}

TEST(JobsTest, ThreeColumnsAreEnoughAndMayComeInAnyOrder) {
  const auto trace = parse("accelerators,duration_s,submit_s\n2,10,0\n4,20,5\n");
  ASSERT_TRUE(trace) << trace.error().text();
  EXPECT_EQ(trace->jobs[1].name, "1");
  EXPECT_EQ(trace->jobs[1].accelerators, 4);
  EXPECT_EQ(trace->jobs[1].duration_ns, 20 * kSecond);
}

TEST(JobsTest, TextReadsBackAsTheSameTrace) {
  JobTrace trace;
  trace.models = {"resnet-50", "a \"b\", c"};
  core::RandomStream random(5, "round trip");
  const std::vector<std::string> odd = {"x,y", " padded ", "#1", "\"", "tail\r", "plain", "\ttab"};
  std::int64_t now = 0;
  for (int i = 0; i < 500; ++i) {
    TrainingJob job;
    job.name = fmt::format("{}{}", i, odd[random.below(odd.size())]);
    if (random.below(4) == 0) job.name = fmt::format("{}{}", odd[random.below(odd.size())], i);
    now +=
        static_cast<std::int64_t>(random.below(3)) * static_cast<std::int64_t>(random.below(4e9));
    job.submit_ns = now;
    job.duration_ns = 1 + static_cast<std::int64_t>(random.below(4'000'000'000'000'000));
    job.accelerators = 1 + static_cast<int>(random.below(512));
    // Numbers of models follow their first use, as those of a reader do.
    job.model = i == 0 ? 0 : i == 1 ? 1 : static_cast<int>(random.below(3)) - 1;
    if (random.below(2) == 0) job.batch = 1 + static_cast<int>(random.below(4096));
    if (random.below(2) == 0) job.iterations = 1 + static_cast<std::int64_t>(random.below(1e9));
    if (random.below(2) == 0) job.deadline_ns = now + job.duration_ns;
    if (random.below(2) == 0) job.start_ns = now + static_cast<std::int64_t>(random.below(1e12));
    if (random.below(2) == 0) job.network_share = static_cast<float>(random.uniform());
    trace.jobs.push_back(std::move(job));
  }
  const std::string text = jobs_text(trace);
  const auto again = parse(text);
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(jobs_text(*again), text);
  EXPECT_EQ(again->models, trace.models);
  ASSERT_EQ(again->jobs.size(), trace.jobs.size());
  for (std::size_t i = 0; i < trace.jobs.size(); ++i) {
    const TrainingJob& a = trace.jobs[i];
    const TrainingJob& b = again->jobs[i];
    EXPECT_EQ(std::tie(a.name, a.submit_ns, a.duration_ns, a.deadline_ns, a.start_ns, a.iterations,
                       a.accelerators, a.model, a.batch, a.network_share),
              std::tie(b.name, b.submit_ns, b.duration_ns, b.deadline_ns, b.start_ns, b.iterations,
                       b.accelerators, b.model, b.batch, b.network_share));
  }
}

TEST(JobsTest, EqualTimesKeepTheOrderOfTheFile) {
  std::string text = "name,submit_s,duration_s,accelerators\n";
  for (int i = 0; i < 300; ++i) text += fmt::format("{},{},1,1\n", i, (i * 7) % 3);
  const auto trace = parse(text);
  ASSERT_TRUE(trace) << trace.error().text();
  for (std::size_t i = 1; i < trace->jobs.size(); ++i) {
    const TrainingJob& a = trace->jobs[i - 1];
    const TrainingJob& b = trace->jobs[i];
    EXPECT_TRUE(a.submit_ns < b.submit_ns ||
                (a.submit_ns == b.submit_ns && std::stoi(a.name) < std::stoi(b.name)));
  }
}

TEST(JobsTest, ByteOrderMarkCrLfBlanksAndALastLineWithoutFeedAreRead) {
  const auto trace = parse(
      "\xef\xbb\xbfname,submit_s,duration_s,accelerators\r\n\r\na, 0 ,1,1\r\n  \r\nb,1,\"2\",1");
  ASSERT_TRUE(trace) << trace.error().text();
  ASSERT_EQ(trace->jobs.size(), 2u);
  EXPECT_EQ(trace->jobs[1].duration_ns, 2 * kSecond);
}

TEST(JobsTest, EveryBadRowIsReportedByItsLineWithItsColumn) {
  const std::string text = error_of(
      "name,submit_s,duration_s,accelerators,network_share,deadline_s,start_s\n"
      "a,-1,1,1,,,\n"
      "b,0,nan,1,,,\n"
      "c,0,0,1,,,\n"
      "d,0,1,0,,,\n"
      "e,0,1,1.5,,,\n"
      "f,0,1,1,1.01,,\n"
      "g,5,1,1,,4,\n"
      "h,5,1,1,,,4\n"
      "i,0,1\n"
      "j,0,1,1,,,,\n"
      "k,1e11,1,1,,,\n"
      "l,0,1,1,,,\n"
      "l,0,1,1,,,\n"
      "\"m,0,1,1,,,\n"
      "\"n\"x,0,1,1,,,\n"
      "o,,1,1,,,\n");
  EXPECT_THAT(text,
              AllOf(HasSubstr("t.csv:2: submit_s \"-1\" is negative; "),
                    HasSubstr("t.csv:3: duration_s \"nan\" is no number; "),
                    HasSubstr("t.csv:4: duration_s \"0\" is no time at all; "),
                    HasSubstr("t.csv:5: accelerators \"0\" is no whole number from 1 to 1048576; "),
                    HasSubstr("t.csv:6: accelerators \"1.5\" is no whole number"),
                    HasSubstr("t.csv:7: network_share \"1.01\" is no share; "),
                    HasSubstr("t.csv:8: the deadline lies before the submission; "),
                    HasSubstr("t.csv:9: start_s \"4\" lies before the submission; "),
                    HasSubstr("t.csv:10: 3 values where there are 7 columns; "),
                    HasSubstr("t.csv:11: 8 values where there are 7 columns; "),
                    HasSubstr("t.csv:12: submit_s \"1e11\" is over 100 years; ")));
  EXPECT_THAT(
      text, AllOf(HasSubstr("t.csv:14: job \"l\" again, as on line 13; "),
                  HasSubstr("t.csv:15: the quotation mark before"),
                  HasSubstr("t.csv:16: text follows the closing quotation mark of \"n\""),
                  HasSubstr("t.csv:17: submit_s \"\" is no number"), Not(HasSubstr("t.csv:13:"))));
}

TEST(JobsTest, OnlyTwentyErrorsAreListedAndTheOthersCounted) {
  std::string text = "submit_s,duration_s,accelerators\n";
  for (int i = 0; i < 1000; ++i) text += "0,1,0\n";
  const std::string error = error_of(text);
  EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 20);
  EXPECT_THAT(error, AllOf(HasSubstr("t.csv:21:"), Not(HasSubstr("t.csv:22:")),
                           HasSubstr("t.csv: and 980 more")));
}

TEST(JobsTest, ALastLineThatIsCutOffIsNamed) {
  EXPECT_THAT(error_of("name,submit_s,duration_s,accelerators\na,0,1,1\nb,1,2"),
              HasSubstr("t.csv:3: the file is cut off here: 3 of 4 values; copy it again"));
  EXPECT_THAT(
      error_of("name,submit_s,duration_s,accelerators\na,0,1,1\n\"b"),
      HasSubstr("t.csv:3: the quotation mark before \"b\" is never closed; the file is cut"));
}

TEST(JobsTest, AMissingOrUnknownColumnIsNamedWithTheNearest) {
  EXPECT_THAT(error_of("submit_s,durations_s,accelerators\n0,1,1\n"),
              AllOf(HasSubstr("t.csv:1: the heading has no column \"duration_s\"; did you mean "
                              "\"durations_s\"?"),
                    HasSubstr("t.csv:1: the column \"durations_s\" is unknown; did you mean "
                              "\"duration_s\"?")));
  EXPECT_THAT(error_of("submit_s,duration_s,accelerators,user\n0,1,1,x\n"),
              HasSubstr("t.csv:1: the column \"user\" is unknown"));
}

TEST(JobsTest, AnEmptyTraceIsAnErrorInEveryFormat) {
  const std::vector<std::pair<std::string, std::string>> headings = {
      {"philly", "timestamp,duration,num_gpus,gpu_time,cluster\n"},
      {"muri",
       "job_id,num_gpu,submit_time,iterations,model_name,duration,iteration_time,"
       "resource_time_2\n"},
      {"tiresias", "job_id,num_gpu,submit_time,iterations,model_name,duration,interval\n"},
      {"shockwave", "\n\n"},
      {"sacct", "JobID|Submit|Elapsed|AllocTRES\n"},
      {"penstock", "submit_s,duration_s,accelerators\r\n"}};
  for (const auto& [format, heading] : headings) {
    EXPECT_THAT(error_of(heading, format), HasSubstr("t.csv: holds no job")) << format;
    EXPECT_THAT(error_of("", format), HasSubstr("t.csv: holds no job")) << format;
  }
}

TEST(JobsTest, AnUnknownFormatIsNamedWithTheNearest) {
  EXPECT_THAT(error_of("", "philli"), HasSubstr("did you mean \"philly\"?"));
  EXPECT_THAT(error_of("", "swf"), HasSubstr("the formats are philly, muri, tiresias, gavel"));
  EXPECT_EQ(job_formats().size(), 8u);
}

TEST(JobsTest, AFileThatIsNotThereIsMissing) {
  const auto trace = read_jobs("no/such/trace.csv", {.format = "muri"});
  ASSERT_FALSE(trace);
  EXPECT_EQ(trace.error().kind, ErrorKind::kMissing);
}

// Every job that a reader lets through.
void expect_valid(const JobTrace& trace) {
  ASSERT_FALSE(trace.jobs.empty());
  std::set<std::string> names;
  std::int64_t last = 0;
  for (const TrainingJob& job : trace.jobs) {
    ASSERT_TRUE(names.insert(job.name).second) << job.name;
    ASSERT_GE(job.submit_ns, last);
    ASSERT_LE(job.submit_ns, internal::kLongest);
    ASSERT_GT(job.duration_ns, 0);
    ASSERT_LE(job.duration_ns, internal::kLongest);
    ASSERT_GE(job.accelerators, 1);
    ASSERT_GE(job.iterations, 0);
    ASSERT_GE(job.batch, 0);
    ASSERT_GE(job.model, -1);
    ASSERT_LT(job.model, static_cast<int>(trace.models.size()));
    ASSERT_TRUE(job.deadline_ns == -1 || job.deadline_ns >= job.submit_ns);
    ASSERT_TRUE(job.start_ns == -1 || job.start_ns >= job.submit_ns);
    ASSERT_TRUE(job.network_share == -1 || (job.network_share >= 0 && job.network_share <= 1));
    last = job.submit_ns;
  }
}

std::string mutated(std::string text, core::RandomStream& random) {
  constexpr std::string_view kBytes = "0123456789.-+eE,|\t\"\n\r #:TnaifX=\xef\xff";
  const std::uint64_t changes = 1 + random.below(4);
  for (std::uint64_t i = 0; i < changes && !text.empty(); ++i) {
    const std::size_t at = random.below(text.size());
    const std::size_t length = std::min<std::size_t>(1 + random.below(12), text.size() - at);
    switch (random.below(5)) {
      case 0:
        text[at] = kBytes[random.below(kBytes.size())];
        break;
      case 1:
        text.insert(at, 1, kBytes[random.below(kBytes.size())]);
        break;
      case 2:
        text.erase(at, length);
        break;
      case 3:
        text.insert(at, text.substr(random.below(text.size()), length));
        break;
      default:
        text.resize(at);
        break;
    }
  }
  return text;
}

TEST(JobsTest, NoMutationOfAValidFileCrashesOrGivesAnInvalidJob) {
  const std::vector<std::pair<std::string, std::string>> files = {
      {"philly",
       "timestamp,duration,num_gpus,gpu_time,cluster\n2017-10-09 06:13:03,2951.0,1,2951.0,6214e9\n"
       "2017-09-29 07:58:32,860662.0,4,860662.0,6c71a0\n"},
      {"philly",
       "job_id,submit_time,real_iteration,model_name,ddl,batch_size,num_gpu,real_duration,duration,"
       "iteration\n0,0,12,vgg16,771220,256,1,976570,976570,1282877\n"},
      {"muri",
       "job_id,num_gpu,submit_time,iterations,model_name,batch_size,duration,interval,"
       "iteration_time,resource_time_0,resource_time_1,resource_time_2,priority\n"
       "0,4,0,1046811,shufflenet,128,927475000,11174000,886,703,62,17,0\n"
       "1,4,1456000,1005573,resnet18,128,926133000,1456000,921,723,113,73,1\n"},
      {"tiresias",
       "job_id,num_gpu,submit_time,iterations,model_name,duration,interval\n"
       "0,1,0,606,vgg19,164,30\n1,8,30,133,vgg11,147,23\n"},
      {"shockwave",
       "LM (batch size 10)\tpython3 main.py\tlm\t--steps\t1\t134583\t1\tgns\t1\t-1.000000\t1418\t0"
       "\nA3C\tpython3 main.py\trl\t--steps\t1\t13\t2\tgns\t1\t-1.000000\t14\t7.5\n"},
      {"sacct",
       "JobID|Submit|Start|End|Elapsed|AllocTRES|State|Comment\n"
       "7|2026-01-31T08:00:00|2026-01-31T08:00:09|2026-02-01T09:01:02|1-01:00:53|cpu=4,gres/gpu=2|"
       "COMPLETED|model=bert batch=64\n7.batch|||||cpu=4|COMPLETED|\n"},
      {"penstock",
       "name,submit_s,duration_s,accelerators,model,batch,iterations,deadline_s,network_share,"
       "start_s\nlate,12.000000001,3600,8,BERT,64,1000,9000,0.25,20\n\"a, \"\"b\"\"\",0,0.5,1,,,,,,"
       "\n"}};
  core::RandomStream random(17, "mutations");
  int accepted = 0;
  for (const auto& [format, text] : files) {
    const auto whole = parse(text, format);
    ASSERT_TRUE(whole) << whole.error().text();
    expect_valid(*whole);
    for (int i = 0; i < 4000; ++i) {
      const std::string changed = mutated(text, random);
      const auto trace = parse(changed, format);
      if (trace) {
        ++accepted;
        expect_valid(*trace);
      } else {
        ASSERT_EQ(trace.error().kind, ErrorKind::kInput);
        ASSERT_FALSE(trace.error().text().empty());
      }
      ASSERT_FALSE(HasFatalFailure()) << format << ": " << changed;
    }
  }
  // Both answers must occur, or the mutations show nothing.
  EXPECT_GT(accepted, 1000);
  EXPECT_LT(accepted, 27000);
}

}  // namespace
}  // namespace penstock::trace
