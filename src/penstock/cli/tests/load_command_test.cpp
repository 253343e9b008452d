// penstock load, from words to documents, exit codes and files.
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>

#include "penstock/cli/command_load.h"
#include "penstock/cli/tests/scenario.h"
#include "penstock/core/interrupt.h"
#include "penstock/train/batch_channel.h"

namespace penstock::cli {
namespace {

using core::Json;
using ::testing::HasSubstr;

class LoadCommandTest : public Scenario {
 protected:
  // A data set of a few images.
  std::string data() {
    if (!exists("data")) {
      EXPECT_TRUE(run({"load", "synth", path("data"), "--images", "12", "--classes", "3"}))
          << complained();
    }
    return path("data");
  }
  // Runs the words in a process of its own, as the program would, for signals and peers.
  pid_t in_child(std::vector<std::string> words) {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    core::install_interrupt_handler();
    const Status status = run(std::move(words));
    ::_exit(status ? 0 : static_cast<int>(status.error().kind));
  }
  static int exit_code(pid_t pid) {
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  // One line to a loader's control socket, and its answer; "" where nobody listens yet.
  std::string ask(const std::string& socket, const std::string& line) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socket.c_str(), sizeof address.sun_path - 1);
    const int client = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    std::string answer;
    if (::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      const std::string text = line + "\n";
      EXPECT_EQ(::write(client, text.data(), text.size()), static_cast<ssize_t>(text.size()));
      char c = 0;
      while (::read(client, &c, 1) == 1 && c != '\n') answer += c;
    }
    ::close(client);
    return answer;
  }
};

TEST_F(LoadCommandTest, SynthTellsWhatItMade) {
  ASSERT_TRUE(run(
      {"load", "synth", path("data"), "--images", "12", "--classes", "3", "--seed", "7", "--json"}))
      << complained();
  const Json json = printed_json();
  EXPECT_EQ(json.at("images"), 12);
  EXPECT_EQ(json.at("classes"), 3);
  EXPECT_EQ(json.at("seed"), 7);
  EXPECT_GT(json.at("bytes").get<std::int64_t>(), 12 * 20'000);
}

TEST_F(LoadCommandTest, BenchHasItsKeysAndNamesPeersThatCannotRun) {
  ASSERT_TRUE(run({"load", "bench", data(), "--workers", "2", "--seconds", "0.05", "--python",
                   "no-such-python", "--json"}))
      << complained();
  const Json json = printed_json();
  for (const char* key : {"images_per_s", "images_per_cpu_s", "decode_only_images_per_cpu_s",
                          "pipeline_images_per_cpu_s", "peak_memory_bytes"}) {
    EXPECT_GT(json.at(key).get<double>(), 0) << key;
  }
  ASSERT_EQ(json.at("peers").size(), 1u);
  EXPECT_TRUE(json.at("peers")[0].at("images_per_cpu_s").is_null());
  EXPECT_THAT(json.at("peers")[0].at("skipped").get<std::string>(),
              HasSubstr("no-such-python: cannot be started"));
  ASSERT_TRUE(run({"load", "bench", data(), "--seconds", "0.05", "--no-peers"}));
  EXPECT_THAT(printed(), HasSubstr("libturbojpeg: decode only"));
}

TEST_F(LoadCommandTest, BenchMeasuresThePythonPeersWhereTheyAre) {
  ASSERT_TRUE(run({"load", "bench", data(), "--seconds", "0.05", "--json"})) << complained();
  const Json peers = printed_json().at("peers");
  ASSERT_GE(peers.size(), 1u);
  if (peers[0].contains("skipped")) GTEST_SKIP() << peers[0].at("skipped");
  ASSERT_EQ(peers.size(), 2u);
  EXPECT_EQ(peers[0].at("name"), "Pillow + torchvision transforms");
  EXPECT_EQ(peers[1].at("name"), "torchvision.io + tensor transforms");
  for (const Json& peer : peers) EXPECT_GT(peer.at("images_per_cpu_s").get<double>(), 0);
}

TEST_F(LoadCommandTest, RunAloneLoadsEveryImageOfEveryEpoch) {
  ASSERT_TRUE(run({"load", "run", data(), "--epochs", "3", "--workers", "2", "--cache", "minio",
                   "--cache-size", "1 GB", "--json"}))
      << complained();
  const Json json = printed_json();
  EXPECT_EQ(json.at("samples"), 36);
  EXPECT_EQ(json.at("bad_samples"), 0);
  EXPECT_EQ(json.at("cache"), "minio");
  EXPECT_GE(json.at("cache_hits").get<int>(), 20);
}

TEST_F(LoadCommandTest, RunFeedsAnotherProcessInOrderAndEndsWithIt) {
  const pid_t loader = in_child({"load", "run", data(), "--channel", path("channel"), "--epochs",
                                 "2", "--batch", "5", "--size", "32", "--workers", "2"});
  {
    Result<train::BatchReader> reader = train::BatchReader::open(path("channel"), Seconds(60));
    ASSERT_TRUE(reader) << reader.error().text();
    EXPECT_EQ(reader->shape().height, 32);
    int samples = 0;
    for (;;) {
      const auto batch = reader->next();
      ASSERT_TRUE(batch) << batch.error().text();
      if (!*batch) break;
      samples += (*batch)->samples;
      reader->release();
    }
    EXPECT_EQ(samples, 24);
    EXPECT_EQ(reader->counters().samples, 24);
  }
  EXPECT_EQ(exit_code(loader), 0);

  const pid_t endless = in_child({"load", "run", data(), "--channel", path("channel")});
  {
    Result<train::BatchReader> reader = train::BatchReader::open(path("channel"), Seconds(60));
    ASSERT_TRUE(reader) << reader.error().text();
    ASSERT_TRUE(reader->next());
  }
  EXPECT_EQ(exit_code(endless), 0);  // its reader had enough
  EXPECT_FALSE(exists("channel"));
}

TEST_F(LoadCommandTest, ARunningLoaderIsAskedResizedAndInterruptedAndLeavesNothing) {
  const std::string socket = path("control");
  const pid_t loader = in_child(
      {"load", "run", data(), "--control", socket, "--channel", path("channel"), "--size", "32"});
  std::string answer;
  while (answer.empty() && ::kill(loader, 0) == 0) {
    answer = ask(socket, "state");
    ::sched_yield();
  }
  const auto state = core::parse_json(answer, "answer");
  ASSERT_TRUE(state) << answer;
  EXPECT_EQ(state->at("workers"), 1);
  EXPECT_EQ(ask(socket, "workers 3"), "{\"workers\":3}");
  EXPECT_THAT(ask(socket, "state"), HasSubstr("\"workers\":3"));
  EXPECT_THAT(ask(socket, "go away"), HasSubstr("error"));
  ASSERT_EQ(::kill(loader, SIGINT), 0);
  EXPECT_EQ(exit_code(loader), static_cast<int>(ErrorKind::kNegative));
  EXPECT_FALSE(exists("control"));
  EXPECT_FALSE(exists("channel"));
}

TEST_F(LoadCommandTest, WordsThatMeanNothingAreRefusedWithTheMend) {
  const auto refusal = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"load", "run", "nowhere"});
    const Status status = run(std::move(words));
    EXPECT_FALSE(status);
    if (status) return std::string();
    EXPECT_EQ(status.error().kind, ErrorKind::kInput) << status.error().text();
    return status.error().text();
  };
  EXPECT_THAT(refusal({"--cache", "minio"}), HasSubstr("--cache-size: is missing"));
  EXPECT_THAT(refusal({"--cache-size", "1 GB"}), HasSubstr("means nothing with --cache page"));
  EXPECT_THAT(refusal({"--cache", "lru", "--cache-size", "7"}), HasSubstr("--cache-size: "));
  EXPECT_THAT(refusal({"--disk-limit", "fast"}), HasSubstr("--disk-limit: "));
  const Status absent = run({"load", "run", path("absent")});
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().kind, ErrorKind::kMissing);
}

TEST_F(LoadCommandTest, TooManyBadImagesAreTheExitCodeOneByName) {
  std::filesystem::create_directories(path("bad/c"));
  write("bad/c/0.jpg", "no JPEG");
  write("bad/c/1.jpg", "");
  const Status status = run({"load", "run", path("bad"), "--epochs", "1"});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kNegative);
  EXPECT_THAT(status.error().text(), HasSubstr("c/0.jpg: is no JPEG"));
}

}  // namespace
}  // namespace penstock::cli
