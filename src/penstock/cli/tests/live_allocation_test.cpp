// penstock load allocate --run as a process of its own, with real loaders: what it does with them
// over the life of its jobs, and that nothing of it stays.
#include <gmock/gmock.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <iterator>

#include "penstock/cli/tests/scenario.h"

namespace penstock::cli {
namespace {

using core::Json;
using ::testing::HasSubstr;

// Waits for what another process does in its own time; false where it does not in a minute.
bool soon(const std::function<bool()>& holds) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > until) return false;
    ::sched_yield();
  }
  return true;
}

class LiveAllocationTest : public Scenario {
 protected:
  void SetUp() override {
    ASSERT_TRUE(run({"load", "synth", path("photos"), "--images", "24", "--classes", "3"}));
    temporary_ = path("temporary");
    std::filesystem::create_directory(temporary_);
  }

  void TearDown() override {
    EXPECT_TRUE(soon([&] { return processes().empty(); })) << "processes have stayed";
    EXPECT_TRUE(shared_memory().empty()) << "shared memory has stayed: " << shared_memory().front();
  }

  // Of all processes, those that were started with our folder for temporary files.
  std::vector<std::string> processes() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      std::ifstream file(entry.path() / "environ");
      const std::string text((std::istreambuf_iterator<char>(file)), {});
      if (text.find("TMPDIR=" + temporary_) != std::string::npos) found.push_back(entry.path());
    }
    return found;
  }

  // Channels are named after the run's folder.
  std::vector<std::string> shared_memory() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
      const std::string name = entry.path().filename();
      for (const std::string& folder : folders_) {
        if (name.starts_with(folder)) found.push_back(name);
      }
    }
    return found;
  }

  bool is_listening() {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(temporary_)) {
      if (!entry.is_socket()) continue;
      folders_.push_back(entry.path().parent_path().filename());
      return true;
    }
    return false;
  }

  pid_t start(const std::string& jobs) {
    const std::string file = write("jobs.toml", jobs);
    const pid_t child = ::fork();
    if (child != 0) return child;
    ::setenv("TMPDIR", temporary_.c_str(), 1);
    const std::string messages = path("messages");
    if (std::freopen(messages.c_str(), "w", stderr) == nullptr) ::_exit(126);
    if (std::freopen("/dev/null", "w", stdout) == nullptr) ::_exit(126);
    ::execl(PENSTOCK_PROGRAM, "penstock", "load", "allocate", "--jobs", file.c_str(), "--run",
            "--no-book", "--out", path("report.json").c_str(), nullptr);
    ::_exit(127);
  }

  int exit_code_of(pid_t child) const {
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  std::string messages() const { return core::read_file(path("messages")).value_or(""); }

  // Two workers feed an accelerator that could take far more.
  std::string job(const std::string& name, int samples, const std::string& more) const {
    return "[[job]]\nname = \"" + name + "\"\nstep = \"1 ms\"\nbatch = 8\nsize = 64\ndata = \"" +
           path("photos") + "\"\nsamples = " + std::to_string(samples) + "\n" + more + "\n";
  }

  std::string temporary_;
  std::vector<std::string> folders_;
};

// Takes over 5 s on a busy machine.
class LiveAllocationSlowTest : public LiveAllocationTest {};

constexpr char kMachine[] =
    "[machine]\ncores = 2\nworkers = 4\n[policy]\ndrift_steps = 1\nswitch_cost_s = 0\n";

TEST_F(LiveAllocationSlowTest, JobsThatArriveAndEndResizeTheLoadersOfTheOthers) {
  const pid_t child =
      start(kMachine + job("first", 3000, "") + job("second", 300, "arrival = \"500 ms\""));
  ASSERT_EQ(exit_code_of(child), 0) << messages();
  const Json json = written_json("report.json").at("policies").at(0);
  const Json& first = json.at("jobs").at(0);
  const Json& second = json.at("jobs").at(1);
  EXPECT_GE(first.at("samples"), 3000);
  EXPECT_GE(second.at("samples"), 300);
  // To its share when alone, to less when the second one came, to all when that had ended.
  EXPECT_GE(first.at("resizes"), 3);
  EXPECT_GE(second.at("end_s").get<double>(), 0.5);
  EXPECT_LT(second.at("end_s"), first.at("end_s"));
  EXPECT_EQ(first.at("end_s"), json.at("makespan_s"));
  // Fitted while running: a sample takes a core between 0.1 and 100 ms.
  EXPECT_GT(first.at("cpu_s_per_sample").get<double>(), 1e-4);
  EXPECT_LT(first.at("cpu_s_per_sample").get<double>(), 0.1);
  EXPECT_TRUE(std::filesystem::is_empty(temporary_));
}

TEST_F(LiveAllocationSlowTest, AModelThatDoesNotHoldIsFittedAnew) {
  const pid_t child = start(kMachine + job("promised", 4000, "cpu_per_sample = \"1 us\""));
  ASSERT_EQ(exit_code_of(child), 0) << messages();
  const Json json = written_json("report.json").at("policies").at(0);
  EXPECT_GE(json.at("drifts"), 1);
  EXPECT_GT(json.at("jobs").at(0).at("cpu_s_per_sample").get<double>(), 1e-4);
}

TEST_F(LiveAllocationTest, CtrlCEndsEveryLoaderAndKeepsWhatWasMeasured) {
  const pid_t child =
      start(kMachine + job("long", 100'000'000, "") + job("longer", 100'000'000, ""));
  ASSERT_TRUE(soon([&] { return is_listening(); })) << messages();
  ::kill(child, SIGINT);
  EXPECT_EQ(exit_code_of(child), 1) << messages();
  EXPECT_THAT(messages(), HasSubstr("interrupted"));
  EXPECT_TRUE(std::filesystem::is_empty(temporary_));
}

TEST_F(LiveAllocationTest, AKilledDaemonTakesItsLoadersWithItAndTheNextOneSweeps) {
  const pid_t child = start(kMachine + job("long", 100'000'000, ""));
  ASSERT_TRUE(soon([&] { return is_listening(); })) << messages();
  ::kill(child, SIGKILL);
  EXPECT_EQ(exit_code_of(child), -SIGKILL);
  ASSERT_TRUE(soon([&] { return processes().empty(); }));
  ASSERT_EQ(exit_code_of(start(kMachine + job("short", 100, ""))), 0) << messages();
  EXPECT_TRUE(std::filesystem::is_empty(temporary_));
}

TEST_F(LiveAllocationTest, ALoaderThatFailsIsNamedByItsJob) {
  const std::string empty = path("empty");
  std::filesystem::create_directory(empty);
  const pid_t child = start(kMachine + ("[[job]]\nname = \"night\"\nstep = \"1 ms\"\nsamples = 9\n"
                                        "data = \"" +
                                        empty + "\"\n"));
  EXPECT_NE(exit_code_of(child), 0);
  EXPECT_THAT(messages(), HasSubstr("the loader of job \"night\" ended"));
  EXPECT_TRUE(std::filesystem::is_empty(temporary_));
}

}  // namespace
}  // namespace penstock::cli
