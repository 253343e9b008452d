// penstock profile train: the runs of Stash on a real job.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "penstock/cli/command.h"
#include "penstock/cli/internal/profile_subcommand.h"
#include "penstock/cli/internal/quantity_option.h"
#include "penstock/core/file.h"
#include "penstock/ledger/book.h"
#include "penstock/ledger/trace.h"
#include "penstock/loader/dataset.h"
#include "penstock/profile/train_profile.h"

namespace penstock::cli::internal {
namespace {

using core::Json;
using profile::TrainProfile;
using profile::TrainProfileOptions;

// "5%" or "0.05".
Result<double> parse_share(const std::string& option, const std::string& text) {
  const bool is_percent = !text.empty() && text.back() == '%';
  const std::string number = text.substr(0, text.size() - (is_percent ? 1 : 0));
  char* end = nullptr;
  const double value = std::strtod(number.c_str(), &end) / (is_percent ? 100 : 1);
  if (number.empty() || *end != '\0' || !(value > 0) || value > 1) {
    return core::input_error(option, "\"" + text + "\" is no share above 0",
                             "write for example 5%");
  }
  return value;
}

// What cannot be written later is named before the measurement and not after it.
Status check_folder(const std::string& option, const std::string& file) {
  const std::string folder = std::filesystem::path(file).parent_path().string();
  if (folder.empty() || ::access(folder.c_str(), W_OK) == 0) return {};
  return core::missing_error(option, folder + " is no folder that can be written",
                             "name a file in one that can");
}

class ProfileTrain : public ProfileSubcommand {
 public:
  CLI::App* declare(CLI::App& parent) override {
    CLI::App* app = parent.add_subcommand(
        "train", "Run a job under rising conditions and split its step into stalls");
    app_ = app;
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
    app->add_option("--nodes", options_.nodes,
                    "That the ranks are spread over: emulated, or with --launcher slurm, its own")
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
    declare_launcher(*app);
    declare_measuring(*app);
    app->footer(
        "Example:\n  penstock profile train resnet18.onnx --data photos --batch 8 --ranks 2");
    output_.declare(*app);
    return app;
  }

  Status prepare() override {
    PENSTOCK_TRY_STATUS(read_launcher());
    PENSTOCK_TRY_STATUS(read_program());
    if (batch_ > 0) options_.batch = batch_;
    PENSTOCK_TRY_STATUS(read_quantity("--link", link_, options_.link));
    PENSTOCK_TRY_STATUS(read_quantity("--delay", delay_, options_.delay));
    if (options_.nodes < 2 && !(link_.empty() && delay_.empty())) {
      return core::input_error(link_.empty() ? "--delay" : "--link", "there is only one node",
                               "add --nodes 2");
    }
    Bytes bucket(static_cast<double>(options_.bucket_bytes));
    PENSTOCK_TRY_STATUS(read_quantity("--bucket", bucket_, bucket));
    if (bucket.value() < 1) return core::input_error("--bucket", "must be above 0");
    options_.bucket_bytes = static_cast<std::int64_t>(bucket.value());
    if (transport_ == "gloo") options_.transport = train::Transport::kGloo;
    if (transport_ == "nccl") options_.transport = train::Transport::kNccl;
    if (transport_ == "ring") options_.transport = train::Transport::kRing;
    if (optimizer_ == "adam") options_.optimizer = train::Optimizer::kAdam;
    options_.overlap = !no_overlap_;
    PENSTOCK_TRY_STATUS(check_loader());
    PENSTOCK_TRY(options_.goal.precision, parse_share("--precision", precision_));
    PENSTOCK_TRY_STATUS(read_quantity("--time-limit", time_limit_, options_.goal.time_limit));
    PENSTOCK_TRY_STATUS(check_folder("--trace", trace_));
    PENSTOCK_TRY_STATUS(check_folder("--out", output_.out));
    options_.goal.bootstrap.seed = options_.seed;
    options_.progress = true;
    return {};
  }

  Status run() override {
    PENSTOCK_TRY_STATUS(read_data());
    PENSTOCK_TRY(std::optional<ledger::Book> book, open_book());
    PENSTOCK_TRY(const TrainProfile profile, profile::profile_training(options_));
    const Json document = profile::profile_document(profile);
    std::string text = profile::profile_text(profile);
    // What was measured is shown, whatever of it cannot be kept.
    std::vector<Error> errors;
    const auto note = [&](const Status& status) {
      if (!status) errors.push_back(status.error());
    };
    if (book) note(keep(profile, document, *book, text));
    if (!trace_.empty()) note(write_trace(profile));
    note(output_.emit(document, text));
    if (!errors.empty()) return core::fail(core::join_errors(std::move(errors)));
    if (profile.interrupted) {
      return core::negative("profile", "interrupted: what is shown was measured before");
    }
    return {};
  }

 private:
  void declare_launcher(CLI::App& app) {
    app.add_option("--launcher", launcher_, "local, or slurm: ranks start through srun")
        ->check(CLI::IsMember({"local", "slurm"}))
        ->type_name("NAME");
    app.add_option("--shared", slurm_.shared,
                   "Folder that all of Slurm's nodes see; default the working directory")
        ->check(CLI::ExistingDirectory)
        ->type_name("DIR");
    app.add_option("--interface", slurm_.interface,
                   "Network device of Slurm's nodes; default the one on the way to the first")
        ->type_name("NAME");
  }

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
    app.add_option("--max-bad", options_.loader.max_bad,
                   "Share of the images that may be bad before it is an error; default 0.01")
        ->check(CLI::Range(0.0, 1.0))
        ->type_name("SHARE");
    app.add_option("--book", book_, "Keep the ledger and the rates here; default as penstock book")
        ->type_name("FILE");
    app.add_flag("--no-book", no_book_, "Keep nothing");
    app.add_option("--trace", trace_, "Write the last run of each kind (opens in Perfetto)")
        ->type_name("FILE");
  }

  Status read_launcher() {
    const bool is_slurm = launcher_ == "slurm";
    if (is_slurm) options_.slurm = slurm_;
    const std::vector<const char*> meaningless =
        is_slurm ? std::vector<const char*>{"--link", "--delay"}
                 : std::vector<const char*>{"--shared", "--interface"};
    for (const char* option : meaningless) {
      if (app_->count(option) == 0) continue;
      return core::input_error(
          option,
          is_slurm ? "means nothing with --launcher slurm"
                   : "means nothing without --launcher slurm",
          is_slurm ? "its nodes have links of their own; leave the option out" : "");
    }
    return {};
  }

  // What is to run: a model, an emulated accelerator or a program of the user's.
  Status read_program() {
    if (attach_) return read_attached();
    if (words_.size() > 1) {
      return core::input_error("profile train", "\"" + words_[1] + "\" is one model too many",
                               "a program goes after --attach --");
    }
    if (words_.empty() && emulate_.empty()) {
      return core::input_error("profile train", "needs a model",
                               "name an ONNX file, or --emulate resnet50-h100, or --attach");
    }
    if (!words_.empty()) options_.model = words_.front();
    if (!emulate_.empty()) {
      PENSTOCK_TRY(options_.emulate, profile::emulated_profile(emulate_));
      options_.batch = options_.emulate->batch;
    }
    return {};
  }

  Status read_attached() {
    if (words_.empty()) {
      return core::input_error("--attach", "there is no program", "add -- python3 train.py");
    }
    for (const char* option :
         {"--emulate", "--batch", "--nodes", "--link", "--delay", "--transport", "--optimizer",
          "--no-overlap", "--bucket", "--workers", "--cache", "--cache-size", "--disk-limit",
          "--max-bad", "--size", "--threads"}) {
      const bool is_meant = options_.slurm && std::string_view(option) == "--nodes";
      if (app_->count(option) == 0 || is_meant) continue;
      return core::input_error(option, "means nothing with --attach",
                               "that is up to the program; leave the option out");
    }
    options_.attach = words_;
    return {};
  }

  Status check_loader() const {
    const profile::LoaderOptions& loader = options_.loader;
    const bool has_own_cache = loader.cache == "minio" || loader.cache == "lru";
    if (has_own_cache != !loader.cache_size.empty()) {
      return core::input_error(
          "--cache-size",
          has_own_cache ? "is missing" : "means nothing with --cache " + loader.cache,
          has_own_cache ? "give one, for example --cache-size \"1 GiB\""
                        : "leave it out, or use --cache minio or lru");
    }
    Bytes size;
    PENSTOCK_TRY_STATUS(read_quantity("--cache-size", loader.cache_size, size));
    Bandwidth limit(1);
    PENSTOCK_TRY_STATUS(read_quantity("--disk-limit", loader.disk_limit, limit));
    if (limit.value() <= 0) return core::input_error("--disk-limit", "must be above 0");
    return {};
  }

  // As the loader sees the data, so that what it refuses is refused before anything runs.
  Status read_data() {
    if (options_.data.empty() || attach_) return {};
    PENSTOCK_TRY(const loader::Dataset data, loader::Dataset::open(options_.data));
    options_.dataset_samples = static_cast<std::int64_t>(data.samples().size());
    options_.dataset_bytes = static_cast<double>(data.bytes());
    return {};
  }

  // Before the measurement, so that a file that is no book is named before and not after it.
  Result<std::optional<ledger::Book>> open_book() const {
    if (no_book_) return std::nullopt;
    const Result<std::string> path = ledger::book_path(book_);
    Result<ledger::Book> book =
        path.and_then([](const std::string& file) { return ledger::Book::open(file); });
    if (book) return std::optional<ledger::Book>(*std::move(book));
    if (!book_.empty()) return core::fail(std::move(book).error());
    fmt::print(stderr, "warning: this profile will be in no book: {}\n", book.error().text());
    return std::nullopt;
  }

  Status write_trace(const TrainProfile& profile) const {
    std::vector<const ledger::Ledger*> ledgers;
    for (const ledger::Ledger& ledger : profile.ledgers) ledgers.push_back(&ledger);
    return core::write_file(trace_, ledger::trace_of(ledgers).dump() + "\n");
  }

  static Status keep(const TrainProfile& profile, const Json& document, ledger::Book& book,
                     std::string& text) {
    Json payload = document;
    payload.erase("ledger");
    PENSTOCK_TRY(const std::int64_t id, book.add({profile.ledgers.back(), "profile", payload}));
    text += fmt::format("kept in {} as {}\n", book.path(), id);
    return {};
  }

  CLI::App* app_ = nullptr;
  TrainProfileOptions options_;
  std::vector<std::string> words_;
  bool attach_ = false;
  std::string emulate_;
  std::string launcher_ = "local";
  profile::SlurmOptions slurm_;
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
  bool no_book_ = false;
  std::string trace_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<ProfileSubcommand> make_profile_train() { return std::make_unique<ProfileTrain>(); }

}  // namespace penstock::cli::internal
