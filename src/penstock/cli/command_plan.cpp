// penstock plan: which fleet to rent for a training job, and how to split the model over it.
#include <fmt/format.h>

#include "penstock/cli/command.h"
#include "penstock/ledger/book.h"
#include "penstock/plan/plan.h"
#include "penstock/plan/report.h"

namespace penstock::cli {

std::unique_ptr<Command> make_plan_command();

namespace {

using core::Json;
using plan::Plan;

class PlanCommand : public Command {
 public:
  std::string name() const override { return "plan"; }
  std::string summary() const override {
    return "Choose what to rent for a training job, and split its model over it";
  }
  std::string example() const override { return "penstock plan examples/train-vgg16.toml"; }

  void declare(CLI::App& app) override {
    app.add_option("SPEC", spec_, "What to train, by when or for how much, and on what")
        ->required()
        ->type_name("");
    app.add_option("--report", report_, "Write the plan as one HTML page")->type_name("FILE");
    app.add_option("--book", book_,
                   "Take measured rates from this book, and keep the chosen plan's ledger in it")
        ->type_name("FILE");
    app.add_option("--seed", options_.seed, "Kept in the plan; default 0")->type_name("N");
    app.add_option("--threads", options_.evaluate.threads, "Default: one a core")
        ->check(CLI::Range(1, 1024))
        ->type_name("N");
    output_.declare(app);
  }

  Status run() override {
    PENSTOCK_TRY(plan::PlanSpec spec, plan::read_spec(spec_));
    options_.evaluate.progress = true;
    options_.book = book_;
    PENSTOCK_TRY(const Plan plan, plan::make_plan(std::move(spec), options_));
    for (const std::string& warning : plan.warnings) fmt::print(stderr, "warning: {}\n", warning);
    const Json document = plan::plan_document(plan);
    if (!report_.empty()) PENSTOCK_TRY_STATUS(plan::write_report(document, report_));
    if (!book_.empty() && plan.chosen) PENSTOCK_TRY_STATUS(keep(plan, document));
    std::string text = plan::plan_text(plan);
    if (!report_.empty()) text += fmt::format("\nReport in {}\n", report_);
    PENSTOCK_TRY_STATUS(output_.emit(document, text));
    if (!plan.chosen) return core::fail(plan::missed_goal(plan));
    return {};
  }

 private:
  // With the spec, seed, version and catalogue's hash that the ledger came from.
  Status keep(const Plan& plan, const Json& document) const {
    PENSTOCK_TRY(ledger::Book book, ledger::Book::open(book_));
    const auto at = static_cast<std::size_t>(*plan.chosen);
    const ledger::Ledger ledger = plan::job_ledger(
        plan.candidates[at], plan.ledger_title(*plan.chosen), plan.spec.job.steps(), true);
    Json payload = Json::object();
    for (const char* key : {"schema", "version", "seed", "spec", "catalog_hash", "model", "goal"}) {
      payload[key] = document.at(key);
    }
    PENSTOCK_TRY_STATUS(book.add({ledger, "plan", payload}));
    return {};
  }

  std::string spec_;
  std::string report_;
  std::string book_;
  plan::PlanOptions options_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_plan_command() { return std::make_unique<PlanCommand>(); }

}  // namespace penstock::cli
