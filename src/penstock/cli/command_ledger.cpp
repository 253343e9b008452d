// penstock ledger show|compare: where the time of a run went, and what changed between two.
#include <fmt/format.h>

#include <cmath>

#include "penstock/cli/command.h"
#include "penstock/core/file.h"
#include "penstock/ledger/compare.h"
#include "penstock/ledger/find.h"
#include "penstock/ledger/trace.h"
#include "penstock/version.h"

namespace penstock::cli {

std::unique_ptr<Command> make_ledger_command();

namespace {

using core::Json;
using ledger::Comparison;
using ledger::NamedLedger;

struct FoundLedger {
  std::string file;
  NamedLedger named;
};

// Reads all files before it fails, so that all errors come at once.
Result<std::vector<FoundLedger>> read_all(const std::vector<std::string>& files) {
  std::vector<FoundLedger> all;
  std::vector<Error> errors;
  for (const std::string& file : files) {
    Result<std::vector<NamedLedger>> found = ledger::read_ledgers(file);
    if (!found) {
      errors.push_back(found.error());
      continue;
    }
    for (NamedLedger& named : *found) all.push_back({file, std::move(named)});
  }
  if (!errors.empty()) return core::fail(core::join_errors(std::move(errors)));
  return all;
}

std::string place_of(const FoundLedger& found) {
  return found.named.path.empty() ? found.file : found.file + ": " + found.named.path;
}

Json identity_of(const FoundLedger& found) {
  const ledger::Ledger& ledger = found.named.ledger;
  Json json = {{"file", found.file},
               {"path", found.named.path},
               {"name", found.named.name},
               {"title", ledger.title()},
               {"evidence", evidence_name(ledger.evidence())},
               {"whole_s", ledger.whole().value()}};
  if (ledger.cost()) json["cost_usd"] = ledger.cost()->value();
  return json;
}

// "[2] accpar": the number keeps columns apart whose names are alike. A long name is cut at a
// space.
std::string column_name(std::size_t index, const std::string& name) {
  constexpr std::size_t kWidest = 22;
  const std::string number = fmt::format("[{}]", index + 1);
  if (name.size() <= kWidest) return number + " " + name;
  const std::size_t space = name.find_last_of(' ', kWidest);
  return space == std::string::npos ? number : number + " " + name.substr(0, space) + "..";
}

std::string legend(std::size_t index, const FoundLedger& found) {
  return fmt::format("[{}] {}\n    {}\n", index + 1, found.named.ledger.heading(), place_of(found));
}

class LedgerCommand : public Command {
 public:
  std::string name() const override { return "ledger"; }
  std::string summary() const override {
    return "Show where time and money went, and compare two such ledgers";
  }
  std::string example() const override {
    return "penstock ledger show examples/ledgers/two-boards-plan.json";
  }

  void declare(CLI::App& app) override {
    app.require_subcommand(1);
    show_ = app.add_subcommand("show", "Show the ledgers of files as tables");
    show_->footer("Example:\n  " + example());
    show_->add_option("FILE", files_, "A ledger, or any result that holds some")
        ->required()
        ->type_name("");
    show_->add_option("--trace", trace_, "Also write Chrome trace events, for ui.perfetto.dev")
        ->type_name("FILE");
    output_.declare(*show_);

    compare_ = app.add_subcommand("compare", "Compare ledgers with the first one");
    compare_->footer(
        "Example:\n  penstock ledger compare examples/ledgers/two-boards-plan.json "
        "examples/ledgers/two-boards-simulation.json");
    compare_->add_option("FILE", files_, "Ledgers, or results that hold some; two or more in all")
        ->required()
        ->type_name("");
    compare_
        ->add_option("--fail-above", fail_above_,
                     "Exit with 1 if a whole is above the first by more than this")
        ->type_name("PERCENT");
    output_.declare(*compare_);
  }

  Status prepare() override {
    if (fail_above_ && !(std::isfinite(*fail_above_) && *fail_above_ >= 0)) {
      return core::input_error("--fail-above",
                               fmt::format("must be zero or more, not {}", *fail_above_),
                               "give a percentage, for example 5");
    }
    return {};
  }

  Status run() override {
    PENSTOCK_TRY(const std::vector<FoundLedger> all, read_all(files_));
    return show_->parsed() ? show(all) : compare(all);
  }

 private:
  Status show(const std::vector<FoundLedger>& all) const {
    Json ledgers = Json::array();
    std::string human;
    std::vector<const ledger::Ledger*> drawn;
    for (const FoundLedger& found : all) {
      const ledger::Ledger& ledger = found.named.ledger;
      drawn.push_back(&ledger);
      ledgers.push_back({{"file", found.file},
                         {"path", found.named.path},
                         {"name", found.named.name},
                         {"ledger", ledger.to_json()}});
      if (!human.empty()) human += "\n";
      if (all.size() > 1) human += place_of(found) + "\n";
      if (found.named.name != ledger.title()) human += found.named.name + ": ";
      human += ledger.heading() + "\n" + ledger.table();
    }
    if (!trace_.empty()) {
      PENSTOCK_TRY_STATUS(core::write_file(trace_, trace_of(drawn).dump() + "\n"));
      human += fmt::format("\nTimeline in {}: open it in ui.perfetto.dev\n", trace_);
    }
    return output_.emit({{"version", kVersion}, {"ledgers", std::move(ledgers)}}, human);
  }

  Status compare(const std::vector<FoundLedger>& all) const {
    if (all.size() < 2) {
      return core::input_error(files_.front(), "there is nothing to compare with",
                               "name two or more ledgers");
    }
    const FoundLedger& first = all.front();
    Json others = Json::array();
    std::string human = legend(0, first);
    std::vector<Error> above;
    for (std::size_t i = 1; i < all.size(); ++i) {
      const FoundLedger& other = all[i];
      const Comparison change = ledger::compare(first.named.ledger, other.named.ledger);
      Json json = identity_of(other);
      json["comparison"] = change.to_json();
      human += fmt::format(
          "{}\n{}", legend(i, other),
          change.table(column_name(0, first.named.name), column_name(i, other.named.name)));
      if (change.evidence_differs) {
        human += fmt::format("[{}] is {}, [1] is {}\n", i + 1,
                             evidence_name(other.named.ledger.evidence()),
                             evidence_name(first.named.ledger.evidence()));
      }
      if (i + 1 < all.size()) human += "\n";
      if (fail_above_) {
        const bool exceeds = change.exceeds(*fail_above_);
        json["exceeds"] = exceeds;
        if (exceeds) above.push_back(too_slow(first, other, change));
      }
      others.push_back(std::move(json));
    }
    Json document = {
        {"version", kVersion}, {"first", identity_of(first)}, {"others", std::move(others)}};
    if (fail_above_) document["fail_above_percent"] = *fail_above_;
    PENSTOCK_TRY_STATUS(output_.emit(document, human));
    if (!above.empty()) return core::fail(core::join_errors(std::move(above)));
    return {};
  }

  Error too_slow(const FoundLedger& first, const FoundLedger& other,
                 const Comparison& change) const {
    const std::string growth = change.ratio() ? fmt::format("{:.4g} %", 100 * (*change.ratio() - 1))
                                              : core::format_quantity(change.difference());
    return core::negative(place_of(other),
                          fmt::format("is {} above {}, more than --fail-above {:g}", growth,
                                      place_of(first), *fail_above_))
        .value();
  }

  CLI::App* show_ = nullptr;
  CLI::App* compare_ = nullptr;
  std::vector<std::string> files_;
  std::string trace_;
  std::optional<double> fail_above_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_ledger_command() { return std::make_unique<LedgerCommand>(); }

}  // namespace penstock::cli
