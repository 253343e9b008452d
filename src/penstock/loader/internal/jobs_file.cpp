// Reads the file of jobs that penstock load allocate works on.
#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <set>

#include "penstock/core/file.h"
#include "penstock/core/spec.h"
#include "penstock/loader/daemon.h"

namespace penstock::loader {
namespace {

using core::SpecTable;

int usable_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

void read_parameters(SpecTable table, AllocationParameters& parameters) {
  const std::string objective =
      table.choice_or("objective", "throughput", {"throughput", "fairness", "makespan"});
  parameters.objective = objective_from_name(objective).value_or(Objective::kThroughput);
  for (const ParameterDeclaration& declared : allocation_parameters()) {
    double& value = parameters.*declared.value;
    value = table.number_or(declared.name, value, {.min = declared.low, .max = declared.high});
  }
}

JobSpec read_job(SpecTable& table) {
  JobSpec job;
  JobModel& model = job.model;
  model.name = table.text("name");
  model.accelerators = static_cast<int>(table.integer_or("accelerators", 1, {1, 1024}));
  model.batch = table.integer_or("batch", 32, {1, 1 << 16});
  model.step = table.quantity<Seconds>("step");
  model.cpu_per_sample = table.quantity_or<Seconds>("cpu_per_sample", Seconds(0));
  const Seconds wait =
      table.quantity_or<Seconds>("wait_per_sample", Seconds(0), core::kNotNegative);
  model.bytes_per_sample = table.quantity_or<Bytes>("bytes_per_sample", Bytes(0));
  model.hit_ratio = table.number_or("hit_ratio", 0, {0, 1});
  model.curve.sample_time = model.cpu_per_sample + wait;
  model.curve.ceiling = table.number_or("loader_ceiling", model.curve.ceiling, core::kPositive);
  job.arrival = table.quantity_or<Seconds>("arrival", Seconds(0), core::kNotNegative);
  job.samples = table.integer("samples", core::kPositive);
  job.data = table.text_or("data", "");
  if (table.has("size")) {
    job.loader_arguments = {"--size", std::to_string(table.integer("size", {16, 4096}))};
  }
  for (std::string& word : table.texts_or("loader_arguments", {})) {
    job.loader_arguments.push_back(std::move(word));
  }
  if (model.cpu_per_sample.value() == 0 && job.data.empty()) {
    table.error("", "has neither cpu_per_sample nor data",
                "write what a sample costs the loader, or the folder to measure it on");
  }
  return job;
}

Result<JobsFile> read_file(core::SpecFile file) {
  SpecTable root = file.root();
  JobsFile jobs;
  SpecTable machine = root.table("machine");
  jobs.machine.cores = machine.number_or("cores", usable_processors(), core::kPositive);
  // More workers than cores, so that shares finer than a core can be given.
  const auto workers = static_cast<std::int64_t>(3 * jobs.machine.cores);
  jobs.machine.workers = static_cast<int>(
      machine.integer_or("workers", std::max<std::int64_t>(1, workers), {1, 4096}));
  jobs.machine.storage = machine.quantity_or<Bandwidth>("storage", jobs.machine.storage);
  read_parameters(root.table("policy"), jobs.parameters);
  std::set<std::string> names;
  for (SpecTable& table : root.tables("job")) {
    jobs.jobs.push_back(read_job(table));
    const std::string& name = jobs.jobs.back().model.name;
    if (!names.insert(name).second) {
      table.error("name", "\"" + name + "\" is the name of another job", "name them differently");
    }
  }
  if (jobs.jobs.empty()) root.error("", "has no [[job]]", "add one for each training job");
  PENSTOCK_TRY_STATUS(file.finish());
  return jobs;
}

}  // namespace

Result<JobsFile> read_jobs(const std::string& path) {
  PENSTOCK_TRY(core::SpecFile file, core::SpecFile::read(path));
  return read_file(std::move(file));
}

Result<JobsFile> parse_jobs(const std::string& text, const std::string& name) {
  PENSTOCK_TRY(core::SpecFile file, core::SpecFile::parse(text, name));
  return read_file(std::move(file));
}

AllocationState state_of(const JobsFile& file) {
  AllocationState state;
  state.machine = file.machine;
  for (const JobSpec& job : file.jobs) {
    state.jobs.push_back({job.model, static_cast<double>(job.samples), 0});
  }
  return state;
}

}  // namespace penstock::loader
