#include "penstock/train/steps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <string>

#include "penstock/train/internal/steps_socket.h"

namespace penstock::train {
namespace {

using testing::HasSubstr;

template <typename Record>
Record parsed(const std::string& line) {
  const Result<StepsLine> result = parse_steps_line(line, "rank 0");
  EXPECT_TRUE(result) << result.error().text();
  return result ? std::get<Record>(*result) : Record{};
}

std::string error_of(const std::string& line) {
  const Result<StepsLine> result = parse_steps_line(line, "rank 0: line 3");
  return result ? "" : result.error().text();
}

TEST(StepsTest, EveryFieldOfAStepReadsBack) {
  const StepRecord step = {.index = 3,
                           .begin_ns = 10,
                           .ready_ns = 20,
                           .end_ns = 90,
                           .samples = 32,
                           .forward_ns = 5,
                           .backward_ns = 6,
                           .exposed_ns = 7,
                           .optimizer_ns = 8,
                           .fetch_ns = 9,
                           .transport_ns = 11,
                           .sent_bytes = 4096,
                           .received_bytes = 8192,
                           .bad_samples = 2,
                           .loss = 0.1};
  const auto back = parsed<StepRecord>(to_line(step));
  EXPECT_EQ(back.index, 3);
  EXPECT_EQ(back.begin_ns, 10);
  EXPECT_EQ(back.ready_ns, 20);
  EXPECT_EQ(back.end_ns, 90);
  EXPECT_EQ(back.samples, 32);
  EXPECT_EQ(back.forward_ns, 5);
  EXPECT_EQ(back.backward_ns, 6);
  EXPECT_EQ(back.exposed_ns, 7);
  EXPECT_EQ(back.optimizer_ns, 8);
  EXPECT_EQ(back.fetch_ns, 9);
  EXPECT_EQ(back.transport_ns, 11);
  EXPECT_EQ(back.sent_bytes, 4096);
  EXPECT_EQ(back.received_bytes, 8192);
  EXPECT_EQ(back.bad_samples, 2);
  EXPECT_EQ(back.loss, 0.1);
}

TEST(StepsTest, TheLinesOfTheDocumentationAreUnderstood) {
  const auto hello = parsed<StepsHello>("penstock-steps/1 rank=0 world=2 batch=32 pid=4711");
  EXPECT_EQ(hello.world, 2);
  EXPECT_EQ(hello.batch, 32);
  EXPECT_EQ(hello.pid, 4711);
  const auto step = parsed<StepRecord>(
      "step index=0 begin=812000000 ready=812400000 end=830000000 samples=32 exposed=120000 "
      "sent=4096");
  EXPECT_EQ(step.exposed_ns, 120000);
  EXPECT_TRUE(std::isnan(step.loss));
  EXPECT_EQ(parsed<StepsError>("error the model has no operator \"Loop\"").message,
            "the model has no operator \"Loop\"");
  parsed<StepsDone>("done");
}

TEST(StepsTest, FieldsOfLaterVersionsAreIgnored) {
  EXPECT_EQ(parsed<StepRecord>("step index=7 colour=red begin=1 ready=1 end=1 hot").index, 7);
}

TEST(StepsTest, ALossThatIsNotANumberStaysOne) {
  EXPECT_TRUE(std::isnan(parsed<StepRecord>("step index=0 begin=1 ready=1 end=1 loss=nan").loss));
  EXPECT_TRUE(std::isinf(parsed<StepRecord>("step index=0 begin=1 ready=1 end=1 loss=inf").loss));
}

TEST(StepsTest, AMessageOfManyLinesStaysOneLine) {
  EXPECT_EQ(to_line(StepsError{"one\ntwo"}), "error one two");
}

TEST(StepsTest, BadLinesAreRefusedWithTheirPlace) {
  EXPECT_THAT(error_of("hello"), HasSubstr("rank 0: line 3: \"hello\" begins no record"));
  EXPECT_THAT(error_of(""), HasSubstr("begins no record"));
  EXPECT_THAT(error_of("step index=0 begin=1 ready=2"), HasSubstr("the field \"end\" is missing"));
  EXPECT_THAT(error_of("step index=0 begin=1 ready=x end=3"),
              HasSubstr("ready=x is not a whole number from 0 up"));
  EXPECT_THAT(error_of("step index=0 begin=1 ready=2 end=3 samples=-1"),
              HasSubstr("samples=-1 is not a whole number from 0 up"));
  EXPECT_THAT(error_of("step index=0 begin=1 ready=2 end=3 loss=low"),
              HasSubstr("loss=low is not a number"));
  EXPECT_THAT(error_of("penstock-steps/1 rank=2 world=2"),
              HasSubstr("rank=2 is not below world=2"));
  EXPECT_THAT(error_of("penstock-steps/2 rank=0 world=2"), HasSubstr("begins no record"));
}

TEST(StepsTest, AStepThatEndsBeforeItBeginsIsRefused) {
  EXPECT_EQ(error_of("step index=0 begin=5 ready=5 end=5"), "");
  EXPECT_THAT(error_of("step index=4 begin=5 ready=5 end=4"), HasSubstr("step 4 runs backwards"));
  EXPECT_THAT(error_of("step index=4 begin=5 ready=4 end=6"), HasSubstr("step 4 runs backwards"));
}

// Sets $PENSTOCK_STEPS for the length of a test.
class StepsWriterTest : public testing::Test {
 protected:
  void TearDown() override { ::unsetenv("PENSTOCK_STEPS"); }

  static std::string read_all(int descriptor) {
    std::string text;
    char buffer[256];
    for (ssize_t n; (n = ::read(descriptor, buffer, sizeof(buffer))) > 0;) {
      text.append(buffer, static_cast<std::size_t>(n));
    }
    return text;
  }
};

TEST_F(StepsWriterTest, WritesNothingWithoutALauncher) {
  ::unsetenv("PENSTOCK_STEPS");
  Result<StepsWriter> writer = StepsWriter::connect({});
  ASSERT_TRUE(writer);
  writer->write(StepsDone{});
}

TEST_F(StepsWriterTest, ItsLinesReachAListenerOnATcpPort) {
  int port = 0;
  const Result<int> listener = internal::listen_steps_tcp(&port);
  ASSERT_TRUE(listener) << listener.error().text();
  ::setenv("PENSTOCK_STEPS", ("tcp:127.0.0.1:" + std::to_string(port)).c_str(), 1);
  {
    Result<StepsWriter> writer = StepsWriter::connect({.rank = 1, .world = 2});
    ASSERT_TRUE(writer) << writer.error().text();
    writer->write(StepsDone{});
  }
  const int connection = ::accept(*listener, nullptr, nullptr);
  EXPECT_EQ(read_all(connection), "penstock-steps/1 rank=1 world=2 batch=0 pid=0\ndone\n");
  ::close(connection);
  ::close(*listener);
}

TEST_F(StepsWriterTest, ALauncherThatIsGoneIsNoError) {
  int port = 0;
  const Result<int> listener = internal::listen_steps_tcp(&port);
  ASSERT_TRUE(listener);
  ::setenv("PENSTOCK_STEPS", ("tcp:127.0.0.1:" + std::to_string(port)).c_str(), 1);
  Result<StepsWriter> writer = StepsWriter::connect({});
  ASSERT_TRUE(writer);
  ::close(*listener);
  // The first write after the reset may still be taken; the second one meets it.
  for (int i = 0; i < 3; ++i) writer->write(StepsDone{});
}

TEST_F(StepsWriterTest, AnAddressWhereNobodyListensIsNamed) {
  ::setenv("PENSTOCK_STEPS", "no-such-folder/steps", 1);
  const Result<StepsWriter> writer = StepsWriter::connect({});
  ASSERT_FALSE(writer);
  EXPECT_THAT(writer.error().text(), HasSubstr("no-such-folder/steps: no launcher listens there"));
  EXPECT_EQ(writer.error().kind, ErrorKind::kMissing);
}

}  // namespace
}  // namespace penstock::train
