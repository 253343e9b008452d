// penstock advise: which instance to rent for a job that was profiled.
#include <fmt/format.h>

#include "penstock/cli/command.h"
#include "penstock/cli/internal/quantity_option.h"
#include "penstock/core/table.h"
#include "penstock/ledger/book.h"
#include "penstock/plan/advise.h"

namespace penstock::cli {

std::unique_ptr<Command> make_advise_command();

namespace {

using core::Json;
using internal::read_quantity;
using plan::Advice;
using plan::AdviceOptions;
using plan::LinkModelFit;
using profile::MeasuredJob;

Json links_json(const std::vector<LinkModelFit>& links) {
  Json all = Json::array();
  for (const LinkModelFit& link : links) {
    Json entry = {{"link", link.link}, {"models", link.models}};
    if (link.fit) {
      entry["s_per_tensor"] = link.fit->a_s;
      entry["s_per_byte"] = link.fit->b_s_per_byte;
      entry["constant_s"] = link.fit->c_s;
      entry["r_squared"] = link.fit->r_squared;
      entry["left_out_error"] =
          link.fit->left_out_error ? Json(*link.fit->left_out_error) : Json(nullptr);
    } else {
      entry["refusal"] = link.fit.error().message;
    }
    all.push_back(std::move(entry));
  }
  return all;
}

std::string links_text(const std::vector<LinkModelFit>& links) {
  std::string text;
  for (const LinkModelFit& link : links) {
    text += fmt::format("\nstall of a step over {}: ", link.link);
    if (!link.fit) {
      text += link.fit.error().message + "\n";
      continue;
    }
    text += fmt::format("{} a tensor + {} a GB + {}; R^2 {:.3f}",
                        core::format_quantity(Seconds(link.fit->a_s)),
                        core::format_quantity(Seconds(link.fit->b_s_per_byte * 1e9)),
                        core::format_quantity(Seconds(link.fit->c_s)), link.fit->r_squared);
    if (link.fit->left_out_error) {
      text += fmt::format(", misses a model that it has not seen by {:.0f} %",
                          100 * *link.fit->left_out_error);
    }
    text += "\n";
  }
  return text;
}

class AdviseCommand : public Command {
 public:
  std::string name() const override { return "advise"; }
  std::string summary() const override {
    return "Choose what to rent for a profiled job, within time or money";
  }
  std::string example() const override {
    return "penstock advise resnet50 --book book.sqlite --samples 1281167 --epochs 90 "
           "--finish-by \"24 h\"";
  }

  void declare(CLI::App& app) override {
    app.add_option("PROFILE", entry_, "Entry of the book: id, title or model; default the last")
        ->type_name("");
    app.add_option("--book", book_, "Default as penstock book")->type_name("FILE");
    app.add_option("--samples", options_.job.samples, "Of an epoch; default 1281167 (ImageNet)")
        ->check(CLI::PositiveNumber)
        ->type_name("N");
    app.add_option("--epochs", options_.job.epochs, "Default 1")
        ->check(CLI::PositiveNumber)
        ->type_name("N");
    app.add_option("--dataset", dataset_, "Size of the data; default samples as measured")
        ->type_name("SIZE");
    app.add_option("--finish-by", finish_by_, "Budget of time: \"24 h\"")->type_name("TIME");
    app.add_option("--spend-at-most", spend_, "Budget of money: \"500 $\"")->type_name("MONEY");
    app.add_option("--confidence", options_.confidence,
                   "Probability with which the time must be kept; default 0.9")
        ->check(CLI::Range(0.01, 0.999))
        ->type_name("P");
    app.add_option("--instances", options_.fleets.instances, "Names with * and ?; default all")
        ->type_name("NAME");
    app.add_option("--nodes", options_.fleets.nodes, "Numbers of nodes; default 1 2 4")
        ->check(CLI::Range(1, 1024))
        ->type_name("N");
    app.add_option("--market", market_, "on-demand, spot or both; default on-demand")
        ->check(CLI::IsMember({"on-demand", "spot", "both"}))
        ->type_name("NAME");
    app.add_option("--precision", options_.job.precision,
                   "Where compute is not measured; default fp32")
        ->check(CLI::IsMember({"fp32", "tf32", "fp16", "bf16"}))
        ->type_name("NAME");
    app.add_option("--efficiency", options_.job.efficiency,
                   "Of peak, where compute is not measured; default 0.7")
        ->check(CLI::Range(0.001, 1.0))
        ->type_name("SHARE");
    app.add_option("--cache", cache_, "page, minio, lru or none; default page")
        ->check(CLI::IsMember({"page", "minio", "lru", "none"}))
        ->type_name("NAME");
    app.add_option("--startup", startup_, "Of the job: \"5 min\"")->type_name("TIME");
    app.add_option("--catalog", options_.fleets.catalogs, "Of your own, over the built-in one")
        ->type_name("FILE");
    output_.declare(app);
  }

  Status prepare() override {
    if (options_.fleets.instances.empty()) options_.fleets.instances = {"*"};
    if (options_.fleets.nodes.empty()) options_.fleets.nodes = {1, 2, 4};
    if (market_ != "spot") options_.fleets.markets.push_back(plan::Market::kOnDemand);
    if (market_ != "on-demand") options_.fleets.markets.push_back(plan::Market::kSpot);
    PENSTOCK_TRY(options_.job.policy, profile::cache_policy_from_name(cache_));
    Bytes dataset;
    PENSTOCK_TRY_STATUS(read_quantity("--dataset", dataset_, dataset));
    options_.job.dataset_bytes = dataset.value();
    PENSTOCK_TRY_STATUS(read_quantity("--startup", startup_, options_.job.startup));
    if (!finish_by_.empty()) {
      PENSTOCK_TRY_STATUS(
          read_quantity("--finish-by", finish_by_, options_.goal.finish_by.emplace()));
    }
    if (!spend_.empty()) {
      PENSTOCK_TRY_STATUS(
          read_quantity("--spend-at-most", spend_, options_.goal.spend_at_most.emplace()));
    }
    return {};
  }

  Status run() override {
    PENSTOCK_TRY(const std::string path, ledger::book_path(book_));
    PENSTOCK_TRY(ledger::Book book, ledger::Book::open_existing(path));
    PENSTOCK_TRY(const std::vector<MeasuredJob> jobs, read_jobs(book));
    PENSTOCK_TRY(const MeasuredJob job, wanted_job(book, jobs));
    PENSTOCK_TRY(const hardware::Catalog catalog, hardware::load_catalog(options_.fleets.catalogs));
    PENSTOCK_TRY(const Advice advice, plan::advise(job, options_, catalog));
    const std::vector<LinkModelFit> links = plan::fit_links(jobs);
    Json document = plan::advice_document(advice, options_);
    document["communication"] = links_json(links);
    PENSTOCK_TRY_STATUS(
        output_.emit(document, plan::advice_text(advice, options_) + links_text(links)));
    if (!advice.chosen) return core::fail(plan::missed_goal(advice, options_));
    return {};
  }

 private:
  Result<std::vector<MeasuredJob>> read_jobs(ledger::Book& book) const {
    PENSTOCK_TRY(const std::vector<ledger::BookEntry> entries, book.list("profile"));
    std::vector<MeasuredJob> jobs;
    for (const ledger::BookEntry& entry : entries) {
      PENSTOCK_TRY(const Json payload, book.payload_of(entry.id));
      PENSTOCK_TRY(MeasuredJob job,
                   profile::measured_job_from_document(
                       payload, fmt::format("{}: entry {}", book.path(), entry.id)));
      jobs.push_back(std::move(job));
    }
    if (jobs.empty()) {
      return core::missing_error(book.path(), "holds no profile",
                                 "make one: penstock profile train MODEL --book " + book.path());
    }
    return jobs;
  }

  // By the model's name the last profile of it, else the book's own search.
  Result<MeasuredJob> wanted_job(ledger::Book& book, const std::vector<MeasuredJob>& jobs) const {
    if (entry_.empty()) return jobs.back();
    for (auto job = jobs.rbegin(); job != jobs.rend(); ++job) {
      if (job->model == entry_) return *job;
    }
    PENSTOCK_TRY(const ledger::BookEntry entry, book.find(entry_));
    PENSTOCK_TRY(const Json payload, book.payload_of(entry.id));
    return profile::measured_job_from_document(payload, fmt::format("{}: {}", book.path(), entry_));
  }

  AdviceOptions options_ = [] {
    AdviceOptions options;
    constexpr double kImageNet = 1281167;
    options.job.samples = kImageNet;
    return options;
  }();
  std::string entry_;
  std::string book_;
  std::string dataset_;
  std::string finish_by_;
  std::string spend_;
  std::string startup_;
  std::string market_ = "on-demand";
  std::string cache_ = "page";
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_advise_command() { return std::make_unique<AdviseCommand>(); }

}  // namespace penstock::cli
