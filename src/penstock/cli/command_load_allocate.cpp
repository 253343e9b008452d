// penstock load allocate: who gets the loader workers of a machine that several jobs share.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include "penstock/cli/command_load.h"
#include "penstock/cli/internal/quantity_option.h"
#include "penstock/core/file.h"
#include "penstock/core/table.h"
#include "penstock/ledger/book.h"
#include "penstock/loader/allocation_sim.h"
#include "penstock/loader/daemon.h"
#include "penstock/version.h"

namespace penstock::cli {
namespace {

using core::Json;
using core::Table;
using loader::AllocationPolicy;
using loader::AllocationState;
using loader::JobsFile;

double mean_fraction(const AllocationState& state, const std::vector<double>& rates) {
  double sum = 0;
  for (std::size_t j = 0; j < rates.size(); ++j) {
    sum += rates[j] / state.jobs[j].model.full_rate();
  }
  return sum / static_cast<double>(rates.size());
}

double longest(const AllocationState& state, const std::vector<double>& rates) {
  double time = 0;
  for (std::size_t j = 0; j < rates.size(); ++j) {
    time = std::max(time, state.jobs[j].remaining / rates[j]);
  }
  return time;
}

std::string percent(double fraction) { return fmt::format("{:.1f} %", 100 * fraction); }

class LoadAllocateCommand : public Command {
 public:
  std::string name() const override { return "allocate"; }
  std::string summary() const override {
    return "Share a machine's cores and storage among the loaders of several jobs: on paper, "
           "simulated, or live";
  }
  std::string example() const override {
    return "penstock load allocate --jobs examples/jobs/mix.toml";
  }

  void declare(CLI::App& app) override {
    app.add_option("--jobs", jobs_, "The machine and its jobs")->type_name("FILE")->required();
    app.add_option("--simulate", trace_,
                   "Jobs that arrive over time (CSV), of the loaders that --jobs describes")
        ->type_name("TRACE");
    draw_ = app.add_option("--draw", drawn_.jobs, "Simulate that many jobs that arrive at random")
                ->check(CLI::Range(1, 1'000'000))
                ->type_name("N");
    app.add_option("--mean-gap", mean_gap_, "Between arrivals of --draw; default 10 s")
        ->needs(draw_)
        ->type_name("TIME");
    app.add_option("--mean-samples", drawn_.mean_samples, "Of a job of --draw; default 50000")
        ->needs(draw_)
        ->check(CLI::PositiveNumber)
        ->type_name("N");
    app.add_option("--seed", seed_, "Of --draw; default 0")->needs(draw_)->type_name("N");
    app.add_option("--save-trace", save_trace_, "Write what --draw drew, for --simulate")
        ->needs(draw_)
        ->type_name("FILE");
    app.add_flag("--run", live_, "Start real loaders for emulated accelerators, and resize them");
    app.add_option("--policy", policies_,
                   "even, proportional, static, gain or oracle; may be repeated; default: all, "
                   "with --run gain")
        ->type_name("NAME");
    app.add_option("--objective", objective_,
                   "throughput, fairness or makespan; default: the file's")
        ->check(CLI::IsMember({"throughput", "fairness", "makespan"}))
        ->type_name("NAME");
    app.add_option("--book", book_, "Keep the ledgers of --run and --simulate in this book")
        ->type_name("FILE");
    app.add_flag("--no-book", no_book_, "Keep no ledger");
    output_.declare(app);
  }

  Status prepare() override {
    if (live_ && (!trace_.empty() || *draw_)) {
      return core::input_error(
          "--run", fmt::format("cannot be joined with {}", *draw_ ? "--draw" : "--simulate"),
          "leave one of them out; arrivals of --run are in the jobs file");
    }
    if (!trace_.empty() && *draw_) {
      return core::input_error("--draw", "cannot be joined with --simulate",
                               "leave one of them out");
    }
    PENSTOCK_TRY_STATUS(internal::read_quantity("--mean-gap", mean_gap_, drawn_.mean_gap));
    for (const std::string& word : policies_) {
      const auto policy = loader::policy_from_name(word);
      if (!policy) {
        return core::input_error("--policy", "\"" + word + "\" is no policy",
                                 "use even, proportional, static, gain or oracle");
      }
      chosen_.push_back(*policy);
    }
    if (chosen_.empty()) {
      chosen_ =
          live_ ? std::vector<AllocationPolicy>{AllocationPolicy::kGain} : loader::all_policies();
    }
    return {};
  }

  Status run() override {
    PENSTOCK_TRY(JobsFile file, loader::read_jobs(jobs_));
    if (!objective_.empty()) {
      file.parameters.objective = *loader::objective_from_name(objective_);
    }
    document_ = {{"schema", "penstock-allocation/1"},
                 {"version", kVersion},
                 {"jobs_file", jobs_},
                 {"objective", loader::objective_name(file.parameters.objective)},
                 {"cores", file.machine.cores},
                 {"workers", file.machine.workers}};
    if (live_) return run_live(file);
    for (const loader::JobSpec& job : file.jobs) {
      if (job.model.cpu_per_sample.value() <= 0) {
        return core::input_error(jobs_, "job \"" + job.model.name + "\" has no cpu_per_sample",
                                 "write it, or measure it with --run");
      }
    }
    if (*draw_) return simulate_drawn(file);
    if (trace_.empty()) return on_paper(file);
    PENSTOCK_TRY(const trace::ArrivalTrace arrivals, trace::read_arrivals(trace_));
    document_["trace"] = trace_;
    return simulate(file, arrivals);
  }

 private:
  bool is_too_large(AllocationPolicy policy, const AllocationState& state) {
    if (policy != AllocationPolicy::kOracle ||
        loader::oracle_trials(state) <= loader::kMostOracleTrials) {
      return false;
    }
    human_ +=
        fmt::format("oracle left out: {:.2g} allocations to try\n", loader::oracle_trials(state));
    return true;
  }

  Status on_paper(const JobsFile& file) {
    const AllocationState state = loader::state_of(file);
    Table jobs({{"job"},
                {"policy"},
                {"workers", Table::Align::kRight},
                {"samples/s", Table::Align::kRight},
                {"of full", Table::Align::kRight},
                {"accelerators idle", Table::Align::kRight},
                {"enough workers", Table::Align::kRight}});
    Table totals({{"policy"},
                  {"mean of full rate", Table::Align::kRight},
                  {"samples/s", Table::Align::kRight},
                  {"makespan", Table::Align::kRight}});
    std::map<AllocationPolicy, std::vector<int>> workers;
    std::map<AllocationPolicy, std::vector<double>> rates;
    document_["policies"] = Json::array();
    for (const AllocationPolicy policy : chosen_) {
      if (is_too_large(policy, state)) continue;
      workers[policy] = loader::allocate(policy, state, file.parameters);
      rates[policy] = loader::shared_rates(state, workers[policy]);
      double sum = 0;
      Json shares = Json::array();
      for (std::size_t j = 0; j < state.jobs.size(); ++j) {
        const double rate = rates[policy][j];
        const loader::JobModel& model = state.jobs[j].model;
        sum += rate;
        shares.push_back({{"name", model.name},
                          {"workers", workers[policy][j]},
                          {"samples_per_s", rate},
                          {"full_samples_per_s", model.full_rate()},
                          {"idle_fraction", model.idle_fraction(rate)},
                          {"workers_for_full_rate", model.workers_for_full_rate()}});
      }
      const double mean = mean_fraction(state, rates[policy]);
      const Seconds makespan(longest(state, rates[policy]));
      totals.add_row({std::string(loader::policy_name(policy)), percent(mean),
                      fmt::format("{:.0f}", sum), core::format_quantity(makespan)});
      document_["policies"].push_back({{"policy", loader::policy_name(policy)},
                                       {"mean_fraction", mean},
                                       {"samples_per_s", sum},
                                       {"makespan_s", makespan.value()},
                                       {"jobs", std::move(shares)}});
    }
    for (std::size_t j = 0; j < state.jobs.size(); ++j) {
      const loader::JobModel& model = state.jobs[j].model;
      const int enough = model.workers_for_full_rate();
      for (const auto& [policy, rate] : rates) {
        const bool is_first = policy == rates.begin()->first;
        jobs.add_row({is_first ? model.name : "", std::string(loader::policy_name(policy)),
                      std::to_string(workers[policy][j]), fmt::format("{:.0f}", rate[j]),
                      percent(rate[j] / model.full_rate()), percent(model.idle_fraction(rate[j])),
                      !is_first    ? ""
                      : enough > 0 ? std::to_string(enough)
                                   : "none"});
      }
    }
    const auto bound = loader::fractional_optimum(loader::Objective::kThroughput, state);
    const double best = bound.value / static_cast<double>(state.jobs.size());
    document_["bound"] = {{"mean_fraction", best},
                          {"core_price", bound.core_price},
                          {"storage_price_per_byte_per_s", bound.storage_price}};
    human_ += jobs.text() + "\n" + totals.text();
    human_ += fmt::format(
        "\nno allocation exceeds {}; one more core is worth {:.2f} jobs at full "
        "rate, 100 MB/s of storage {:.2f}\n",
        percent(best), bound.core_price, bound.storage_price * 100e6);
    return output_.emit(document_, human_);
  }

  Status simulate_drawn(const JobsFile& file) {
    drawn_.accelerators.clear();
    for (const loader::JobSpec& job : file.jobs) {
      drawn_.loaders.push_back(job.model.name);
      drawn_.accelerators.push_back(job.model.accelerators);
    }
    const trace::ArrivalTrace arrivals = trace::poisson_arrivals(drawn_, seed_);
    document_["drawn"] = {{"jobs", drawn_.jobs},
                          {"mean_gap_s", drawn_.mean_gap.value()},
                          {"mean_samples", drawn_.mean_samples},
                          {"seed", seed_}};
    if (!save_trace_.empty()) {
      PENSTOCK_TRY_STATUS(core::write_file(save_trace_, trace::arrivals_text(arrivals)));
    }
    return simulate(file, arrivals);
  }

  Status simulate(const JobsFile& file, const trace::ArrivalTrace& trace) {
    std::vector<loader::JobModel> profiles;
    for (const loader::JobSpec& job : file.jobs) profiles.push_back(job.model);
    Table table({{"policy"},
                 {"makespan", Table::Align::kRight},
                 {"mean completion", Table::Align::kRight},
                 {"mean of full rate", Table::Align::kRight},
                 {"samples/s", Table::Align::kRight},
                 {"regret", Table::Align::kRight}});
    AllocationState largest;
    largest.machine = file.machine;
    largest.jobs.resize(trace.jobs.size());
    std::vector<std::pair<AllocationPolicy, loader::SimulationReport>> reports;
    for (const AllocationPolicy policy : chosen_) {
      if (is_too_large(policy, largest)) continue;
      PENSTOCK_TRY(loader::SimulationReport report,
                   loader::simulate_allocation(
                       profiles, trace,
                       {.machine = file.machine, .policy = policy, .parameters = file.parameters}));
      reports.emplace_back(policy, std::move(report));
    }
    std::optional<double> oracle;
    for (const auto& [policy, report] : reports) {
      if (policy == AllocationPolicy::kOracle) oracle = report.mean_fraction;
    }
    document_["policies"] = Json::array();
    for (const auto& [policy, report] : reports) {
      const std::string name(loader::policy_name(policy));
      table.add_row({name, core::format_quantity(report.makespan),
                     core::format_quantity(report.mean_completion), percent(report.mean_fraction),
                     fmt::format("{:.0f}", report.samples_per_s),
                     oracle ? percent(1 - report.mean_fraction / *oracle) : "-"});
      Json jobs = Json::array();
      for (const loader::SimulatedJob& job : report.jobs) {
        jobs.push_back({{"name", job.name},
                        {"arrival_s", job.arrival.value()},
                        {"end_s", job.end.value()},
                        {"compute_s", job.compute.value()},
                        {"prep_s", job.prep.value()},
                        {"fetch_s", job.fetch.value()},
                        {"resizes", job.resizes}});
      }
      Json entry = {{"name", name},
                    {"makespan_s", report.makespan.value()},
                    {"mean_completion_s", report.mean_completion.value()},
                    {"mean_fraction", report.mean_fraction},
                    {"samples_per_s", report.samples_per_s},
                    {"jobs", std::move(jobs)},
                    {"ledger", report.ledger.to_json()}};
      if (oracle) entry["regret"] = 1 - report.mean_fraction / *oracle;
      document_["policies"].push_back(std::move(entry));
      PENSTOCK_TRY_STATUS(keep(report.ledger));
    }
    human_ += table.text();
    return output_.emit(document_, human_);
  }

  Status run_live(const JobsFile& file) {
    std::error_code error;
    loader::DaemonOptions options;
    options.program = std::filesystem::read_symlink("/proc/self/exe", error).string();
    Table table({{"policy"},
                 {"job"},
                 {"samples/s", Table::Align::kRight},
                 {"of full", Table::Align::kRight},
                 {"end", Table::Align::kRight},
                 {"resizes", Table::Align::kRight}});
    document_["policies"] = Json::array();
    std::string summaries;
    bool interrupted = false;
    for (const AllocationPolicy policy : chosen_) {
      if (is_too_large(policy, loader::state_of(file))) continue;
      options.policy = policy;
      PENSTOCK_TRY(const loader::LiveReport report, loader::run_live(file, options));
      const std::string name(loader::policy_name(policy));
      Json jobs = Json::array();
      for (const loader::LiveJobReport& job : report.jobs) {
        table.add_row({&job == &report.jobs.front() ? name : "", job.name,
                       fmt::format("{:.0f}", job.rate), percent(job.fraction),
                       core::format_quantity(job.end), std::to_string(job.resizes)});
        jobs.push_back({{"name", job.name},
                        {"samples", job.samples},
                        {"samples_per_s", job.rate},
                        {"fraction", job.fraction},
                        {"arrival_s", job.arrival.value()},
                        {"end_s", job.end.value()},
                        {"resizes", job.resizes},
                        {"cpu_s_per_sample", job.model.cpu_per_sample.value()},
                        {"bytes_per_sample", job.model.bytes_per_sample.value()},
                        {"hit_ratio", job.model.hit_ratio}});
      }
      summaries +=
          fmt::format("{}: makespan {}, mean of full rate {}, {} drifts{}\n", name,
                      core::format_quantity(report.makespan), percent(report.mean_fraction),
                      report.drifts, report.interrupted ? ", interrupted" : "");
      document_["policies"].push_back({{"name", name},
                                       {"makespan_s", report.makespan.value()},
                                       {"mean_fraction", report.mean_fraction},
                                       {"drifts", report.drifts},
                                       {"interrupted", report.interrupted},
                                       {"jobs", std::move(jobs)},
                                       {"ledger", report.ledger.to_json()}});
      PENSTOCK_TRY_STATUS(keep(report.ledger));
      interrupted = report.interrupted;
      if (interrupted) break;
    }
    human_ += table.text() + "\n" + summaries;
    PENSTOCK_TRY_STATUS(output_.emit(document_, human_));
    if (interrupted) return core::negative(jobs_, "interrupted");
    return {};
  }

  Status keep(const ledger::Ledger& ledger) {
    if (no_book_) return {};
    PENSTOCK_TRY(const std::string path, ledger::book_path(book_));
    PENSTOCK_TRY(ledger::Book book, ledger::Book::open(path));
    Json origin = document_;
    origin.erase("policies");
    PENSTOCK_TRY(const std::int64_t id, book.add({ledger, "allocate", origin}));
    fmt::print(stderr, "ledger {} kept in {}\n", id, path);
    return {};
  }

  std::string jobs_;
  std::string trace_;
  CLI::Option* draw_ = nullptr;
  trace::PoissonArrivals drawn_;
  std::string mean_gap_;
  std::uint64_t seed_ = 0;
  std::string save_trace_;
  bool live_ = false;
  std::vector<std::string> policies_;
  std::string objective_;
  std::string book_;
  bool no_book_ = false;
  OutputOptions output_;
  std::vector<AllocationPolicy> chosen_;
  Json document_;
  std::string human_;
};

}  // namespace

std::unique_ptr<Command> make_load_allocate_command() {
  return std::make_unique<LoadAllocateCommand>();
}

}  // namespace penstock::cli
