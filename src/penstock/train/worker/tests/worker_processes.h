// Runs worker programs as real processes, without a launcher: each one's records go to its standard
// output, from there to a file.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "penstock/core/file.h"
#include "penstock/core/json.h"
#include "penstock/train/job.h"
#include "penstock/train/steps.h"

namespace penstock::train {

struct WorkerRun {
  int exit_code = -1;
  std::vector<StepRecord> steps;
  bool is_done = false;
  std::string complaint;  // standard error
};

class WorkerProcessTest : public ::testing::Test {
 protected:
  explicit WorkerProcessTest(std::string program) : program_(std::move(program)) {
    std::string pattern = (std::filesystem::temp_directory_path() / "worker-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    job_.rendezvous = folder_ + "/rendezvous";
  }
  ~WorkerProcessTest() override { std::filesystem::remove_all(folder_); }

  // All ranks at once.
  std::vector<WorkerRun> run(const std::vector<Job>& jobs) {
    std::string script = "unset PENSTOCK_STEPS\n";
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      EXPECT_TRUE(core::write_file(path(i, "job"), core::json_text(to_json(jobs[i]))));
      script += fmt::format("{{ timeout 120 {} {} > {} 2> {}; echo $? > {}; }} &\n", program_,
                            path(i, "job"), path(i, "out"), path(i, "err"), path(i, "code"));
    }
    EXPECT_EQ(std::system((script + "wait").c_str()), 0);
    std::vector<WorkerRun> runs(jobs.size());
    for (std::size_t i = 0; i < jobs.size(); ++i) read(i, runs[i]);
    return runs;
  }

  // job_ for each rank of `world`.
  std::vector<Job> ranks(int world) const {
    std::vector<Job> jobs(static_cast<std::size_t>(world), job_);
    for (int rank = 0; rank < world; ++rank) {
      jobs[static_cast<std::size_t>(rank)].rank = rank;
      jobs[static_cast<std::size_t>(rank)].world = world;
    }
    return jobs;
  }

  std::string path(std::size_t rank, const std::string& what) const {
    return fmt::format("{}/{}-{}", folder_, what, rank);
  }

  void read(std::size_t rank, WorkerRun& run) {
    run.exit_code = std::stoi(core::read_file(path(rank, "code")).value_or("-1"));
    run.complaint = core::read_file(path(rank, "err")).value_or("");
    std::istringstream lines(core::read_file(path(rank, "out")).value_or(""));
    for (std::string line; std::getline(lines, line);) {
      const Result<StepsLine> parsed = parse_steps_line(line, "test");
      ASSERT_TRUE(parsed) << line;
      if (const auto* step = std::get_if<StepRecord>(&*parsed)) run.steps.push_back(*step);
      run.is_done |= std::holds_alternative<StepsDone>(*parsed);
    }
  }

  std::string program_;
  std::string folder_;
  Job job_;
};

}  // namespace penstock::train
