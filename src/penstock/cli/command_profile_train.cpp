// penstock profile train: the runs of Stash on a real job.
#include <fmt/format.h>

#include "penstock/cli/command.h"
#include "penstock/cli/internal/profile_subcommand.h"
#include "penstock/core/file.h"
#include "penstock/ledger/book.h"
#include "penstock/ledger/trace.h"
#include "penstock/profile/train_profile.h"

namespace penstock::cli::internal {
namespace {

using core::Json;
using profile::TrainProfile;
using profile::TrainProfileOptions;

// "5%" or "0.05".
Result<double> parse_share(const std::string& option, std::string text) {
  double divisor = 1;
  if (!text.empty() && text.back() == '%') {
    text.pop_back();
    divisor = 100;
  }
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end) / divisor;
  if (text.empty() || *end != '\0' || !(value > 0) || value > 1) {
    return core::input_error(option, "\"" + text + "\" is no share", "write for example 5%");
  }
  return value;
}

template <typename Q>
Result<Q> parse_option(const std::string& option, const std::string& text) {
  auto value = core::parse_quantity<Q>(text);
  if (!value) value.error().where = option;
  return value;
}

class ProfileTrain : public ProfileSubcommand {
 public:
  CLI::App* declare(CLI::App& parent) override {
    CLI::App* app = parent.add_subcommand(
        "train", "Run a job under rising conditions and split its step into stalls");
    app->add_option("MODEL", words_, "ONNX file; with --attach, the program and its arguments")
        ->type_name("");
    app->add_flag("--attach", attach_,
                  "Profile a program of yours that marks its steps (clients/), given after --");
    app->add_option("--emulate", emulate_,
                    "Emulated accelerator instead of computing: resnet50-h100, ...")
        ->type_name("NAME");
    app->add_option("--data", options_.data, "Folder of images; without it no data runs")
        ->type_name("DIR");
    app->add_option("--batch", batch_, "Samples of one rank in one step; default 32")
        ->check(CLI::Range(1, 1 << 20))
        ->type_name("N");
    app->add_option("--ranks", options_.ranks, "Processes; default 1")
        ->check(CLI::Range(1, 1024))
        ->type_name("K");
    app->add_option("--nodes", options_.nodes, "Emulated nodes the ranks are spread over")
        ->check(CLI::Range(1, 64))
        ->type_name("M");
    app->add_option("--link", link_, "Bandwidth between nodes: \"10 Gbit/s\"")->type_name("RATE");
    app->add_option("--delay", delay_, "Of the link, one way: \"50 us\"")->type_name("TIME");
    app->add_option("--transport", transport_, "gloo, nccl or ring; default what fits")
        ->check(CLI::IsMember({"gloo", "nccl", "ring"}))
        ->type_name("NAME");
    app->add_option("--optimizer", optimizer_, "sgd or adam; default sgd")
        ->check(CLI::IsMember({"sgd", "adam"}))
        ->type_name("NAME");
    app->add_flag("--no-overlap", no_overlap_, "Sum gradients after the backward pass");
    app->add_option("--bucket", bucket_, "Size of a bucket of gradients; default 25 MiB")
        ->type_name("SIZE");
    declare_measuring(*app);
    app->footer(
        "Example:\n  penstock profile train resnet18.onnx --data photos --batch 8 --ranks 2");
    output_.declare(*app);
    return app;
  }

  Status prepare() override {
    if (attach_ != (words_.size() > 1) && words_.size() > 1) {
      return core::input_error("profile train", "\"" + words_[1] + "\" is one model too many",
                               "a program goes after --attach --");
    }
    if (attach_ && words_.empty()) {
      return core::input_error("--attach", "there is no program", "add -- python3 train.py");
    }
    if (words_.empty() && emulate_.empty()) {
      return core::input_error("profile train", "needs a model",
                               "name an ONNX file, or --emulate resnet50-h100, or --attach");
    }
    if (attach_) {
      options_.attach = words_;
    } else if (!words_.empty()) {
      options_.model = words_.front();
    }
    if (!emulate_.empty()) {
      PENSTOCK_TRY(options_.emulate, profile::emulated_profile(emulate_));
      options_.batch = options_.emulate->batch;
    }
    if (batch_ > 0) options_.batch = batch_;
    if (!link_.empty()) PENSTOCK_TRY_STATUS(read_link());
    if (!delay_.empty()) {
      PENSTOCK_TRY(options_.delay, parse_option<Seconds>("--delay", delay_));
    }
    if (!bucket_.empty()) {
      PENSTOCK_TRY(const Bytes bytes, parse_option<Bytes>("--bucket", bucket_));
      options_.bucket_bytes = static_cast<std::int64_t>(bytes.value());
    }
    if (transport_ == "gloo") options_.transport = train::Transport::kGloo;
    if (transport_ == "nccl") options_.transport = train::Transport::kNccl;
    if (transport_ == "ring") options_.transport = train::Transport::kRing;
    if (optimizer_ == "adam") options_.optimizer = train::Optimizer::kAdam;
    options_.overlap = !no_overlap_;
    PENSTOCK_TRY(options_.goal.precision, parse_share("--precision", precision_));
    PENSTOCK_TRY(options_.goal.time_limit, parse_option<Seconds>("--time-limit", time_limit_));
    options_.goal.bootstrap.seed = options_.seed;
    options_.progress = true;
    return {};
  }

  Status run() override {
    PENSTOCK_TRY(const TrainProfile profile, profile::profile_training(options_));
    const Json document = profile::profile_document(profile);
    if (!trace_.empty()) PENSTOCK_TRY_STATUS(write_trace(profile));
    std::string text = profile::profile_text(profile);
    if (!book_.empty()) PENSTOCK_TRY_STATUS(keep(profile, document, text));
    PENSTOCK_TRY_STATUS(output_.emit(document, text));
    if (profile.interrupted) {
      return core::negative("profile", "interrupted: what is shown was measured before");
    }
    return {};
  }

 private:
  void declare_measuring(CLI::App& app) {
    app.add_option("--workers", options_.loader.workers, "Of each rank's loader; default its cores")
        ->check(CLI::Range(1, 1024))
        ->type_name("N");
    app.add_option("--cache", options_.loader.cache, "none, page, minio or lru; default page")
        ->check(CLI::IsMember({"none", "page", "minio", "lru"}))
        ->type_name("NAME");
    app.add_option("--cache-size", options_.loader.cache_size, "Of the loader's own cache")
        ->type_name("SIZE");
    app.add_option("--disk-limit", options_.loader.disk_limit, "Reads of each loader: \"100 MB/s\"")
        ->type_name("RATE");
    app.add_option("--size", options_.loader.size, "Side of an image; default 224")
        ->check(CLI::Range(8, 4096))
        ->type_name("N");
    app.add_option("--steps", options_.steps, "Counted steps of one run; default 20")
        ->check(CLI::Range(2, 1000000))
        ->type_name("N");
    app.add_option("--warmup", options_.warmup, "Steps before them; default 3")
        ->check(CLI::Range(1, 1000000))
        ->type_name("N");
    app.add_option("--threads", options_.threads, "Of one rank; default its share of the cores")
        ->check(CLI::Range(1, 1024))
        ->type_name("N");
    app.add_option("--accelerator", options_.accelerator,
                   "The catalogue's name of what computes here, for plan and advise")
        ->type_name("NAME");
    app.add_option("--precision", precision_, "Of every difference, of the step; default 5%")
        ->type_name("SHARE");
    app.add_option("--time-limit", time_limit_, "Default 10 min; every run is made once")
        ->type_name("TIME");
    app.add_option("--seed", options_.seed, "Of weights, order and intervals; default 0")
        ->type_name("N");
    app.add_option("--book", book_, "Keep the ledger and the rates in this book")
        ->type_name("FILE");
    app.add_option("--trace", trace_, "Write the last run of each kind (opens in Perfetto)")
        ->type_name("FILE");
  }

  Status read_link() {
    PENSTOCK_TRY(options_.link, parse_option<Bandwidth>("--link", link_));
    if (options_.nodes < 2) {
      return core::input_error("--link", "there is only one node", "add --nodes 2");
    }
    return {};
  }

  Status write_trace(const TrainProfile& profile) const {
    std::vector<const ledger::Ledger*> ledgers;
    for (const ledger::Ledger& ledger : profile.ledgers) ledgers.push_back(&ledger);
    return core::write_file(trace_, ledger::trace_of(ledgers).dump() + "\n");
  }

  Status keep(const TrainProfile& profile, const Json& document, std::string& text) const {
    PENSTOCK_TRY(ledger::Book book, ledger::Book::open(book_));
    Json payload = document;
    payload.erase("ledger");
    PENSTOCK_TRY(const std::int64_t id, book.add({profile.ledgers.back(), "profile", payload}));
    text += fmt::format("kept in {} as {}\n", book_, id);
    return {};
  }

  TrainProfileOptions options_;
  std::vector<std::string> words_;
  bool attach_ = false;
  std::string emulate_;
  std::int64_t batch_ = 0;
  std::string link_;
  std::string delay_;
  std::string transport_;
  std::string optimizer_;
  std::string bucket_;
  std::string precision_ = "5%";
  std::string time_limit_ = "10 min";
  bool no_overlap_ = false;
  std::string book_;
  std::string trace_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<ProfileSubcommand> make_profile_train() { return std::make_unique<ProfileTrain>(); }

}  // namespace penstock::cli::internal
