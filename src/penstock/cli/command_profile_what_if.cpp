// penstock profile what-if: a profiled job with other cores, disks, caches, links and buckets.
#include <fmt/format.h>

#include <algorithm>

#include "penstock/cli/command.h"
#include "penstock/cli/internal/profile_subcommand.h"
#include "penstock/cli/internal/quantity_option.h"
#include "penstock/cli/internal/what_if_measured.h"
#include "penstock/core/table.h"
#include "penstock/ledger/book.h"
#include "penstock/loader/dataset.h"
#include "penstock/profile/measured_job.h"
#include "penstock/profile/what_if.h"
#include "penstock/version.h"

namespace penstock::cli::internal {
namespace {

using core::Json;
using core::Table;
using profile::CachePolicy;
using profile::Conditions;
using profile::MeasuredJob;
using profile::PipelineFacts;
using profile::Prediction;

constexpr auto kRight = Table::Align::kRight;

Json prediction_json(const Prediction& prediction) {
  Json rates = Json::object();
  for (const auto& rate : prediction.rates)
    rates[rate.name + "_samples_per_s"] = rate.samples_per_s;
  return {{"samples_per_s", prediction.samples_per_s},
          {"binds", prediction.binds},
          {"hits", prediction.hits},
          {"exposed_s", prediction.exposed_s},
          {"rates", std::move(rates)}};
}

class ProfileWhatIf : public ProfileSubcommand {
 public:
  CLI::App* declare(CLI::App& parent) override {
    CLI::App* app = parent.add_subcommand(
        "what-if", "Predict a profiled job with other cores, disks, caches, links and buckets");
    app->add_option("PROFILE", entry_, "Entry of the book: id or title; default the last profile")
        ->type_name("");
    app->add_option("--book", book_, "Default as penstock book")->type_name("FILE");
    app->add_option("--cores", cores_, "That prepare data, over all ranks")
        ->check(CLI::PositiveNumber)
        ->type_name("N");
    app->add_option("--disk", disk_, "Reads of all ranks: \"200 MB/s\"")->type_name("RATE");
    app->add_option(
           "--cache", cache_,
           "page, minio, lru, fifo, random or none; default page, with --validate caches lru")
        ->check(CLI::IsMember({"page", "minio", "lru", "fifo", "random", "none"}))
        ->type_name("NAME");
    app->add_option("--cache-size", cache_size_, "Default: everything fits")->type_name("SIZE");
    app->add_option("--dataset", dataset_, "Size of the data; default as measured")
        ->type_name("SIZE");
    app->add_option("--link", link_, "Bandwidth between ranks: \"10 Gbit/s\"")->type_name("RATE");
    app->add_option("--latency", latency_, "Of a message: \"50 us\"")->type_name("TIME");
    app->add_option("--bucket", bucket_, "Size of a bucket; default 25 MiB")->type_name("SIZE");
    app->add_flag("--no-overlap", no_overlap_, "Sum gradients after the backward pass");
    app->add_flag("--measure-page-cache", measure_pages_,
                  "Measure this machine's page cache beside the curves (needs root)");
    app->add_option("--validate", validate_,
                    "Throttle the real thing and compare: caches, workers (both need --data) or "
                    "links")
        ->check(CLI::IsMember({"caches", "workers", "links"}))
        ->type_name("WHAT");
    app->add_option("--data", data_, "Folder of images, for --validate; else where to measure")
        ->type_name("DIR");
    app->add_option("--emulate", emulate_, "Accelerator of --validate links; default resnet50-h100")
        ->type_name("NAME");
    app->add_option("--model", model_, "ONNX file that --validate links trains instead")
        ->type_name("FILE");
    app->add_option("--batch", batch_, "Of a rank, with --model; default 4")
        ->check(CLI::Range(1, 1 << 20))
        ->type_name("N");
    app->add_option("--seed", seed_, "Of the orders in which data are read; default 0")
        ->type_name("N");
    app->footer(
        "Example:\n  penstock profile what-if --book book.sqlite --cores 8 --disk \"500 MB/s\"");
    output_.declare(*app);
    return app;
  }

  Status prepare() override {
    if (cache_.empty()) cache_ = validate_ == "caches" ? "lru" : "page";
    PENSTOCK_TRY(policy_, profile::cache_policy_from_name(cache_));
    if (!validate_.empty() && measure_pages_) {
      return core::input_error("--validate", "cannot be joined with --measure-page-cache",
                               "run one after the other");
    }
    if (!validate_.empty() && validate_ != "links" && data_.empty()) {
      return core::input_error("--validate", "needs images", "add --data DIR");
    }
    return {};
  }

  Status run() override {
    if (measure_pages_) return run_pages();
    if (!validate_.empty()) return run_validation();
    PENSTOCK_TRY(const MeasuredJob job, read_job());
    PipelineFacts facts = job.facts();
    const Conditions now = job.conditions();
    PENSTOCK_TRY(const Conditions then, changed(now, facts));
    return emit_prediction(job, facts, now, then);
  }

 private:
  Result<MeasuredJob> read_job() const {
    PENSTOCK_TRY(const std::string path, ledger::book_path(book_));
    PENSTOCK_TRY(ledger::Book book, ledger::Book::open_existing(path));
    ledger::BookEntry entry;
    if (entry_.empty()) {
      PENSTOCK_TRY(const std::vector<ledger::BookEntry> entries, book.list("profile"));
      if (entries.empty()) {
        return core::missing_error(path, "holds no profile",
                                   "make one: penstock profile train MODEL --book " + path);
      }
      entry = entries.back();
    } else {
      PENSTOCK_TRY(entry, book.find(entry_));
    }
    PENSTOCK_TRY(const Json payload, book.payload_of(entry.id));
    return profile::measured_job_from_document(payload, fmt::format("{}: {}", path, entry.title));
  }

  template <typename Q>
  static Status read_into(const char* option, const std::string& text, double& value) {
    Q quantity(value);
    PENSTOCK_TRY_STATUS(read_quantity(option, text, quantity));
    value = quantity.value();
    return {};
  }

  Result<Conditions> changed(const Conditions& now, PipelineFacts& facts) const {
    Conditions then = now;
    if (cores_ > 0) then.cores = cores_;
    then.policy = policy_;
    then.overlap = !no_overlap_;
    PENSTOCK_TRY_STATUS(read_into<Bandwidth>("--disk", disk_, then.disk_bytes_per_s));
    PENSTOCK_TRY_STATUS(read_into<Bytes>("--dataset", dataset_, facts.dataset_bytes));
    PENSTOCK_TRY_STATUS(read_into<Bytes>("--cache-size", cache_size_, then.cache_bytes));
    PENSTOCK_TRY_STATUS(read_into<Bandwidth>("--link", link_, then.link.beta_bytes_per_s));
    PENSTOCK_TRY_STATUS(read_into<Seconds>("--latency", latency_, then.link.alpha_s));
    double bucket = static_cast<double>(then.buckets.bytes);
    PENSTOCK_TRY_STATUS(read_into<Bytes>("--bucket", bucket_, bucket));
    then.buckets.bytes = static_cast<std::int64_t>(bucket);
    then.buckets.first_bytes = std::min(then.buckets.first_bytes, then.buckets.bytes);
    return then;
  }

  Status emit_prediction(const MeasuredJob& job, const PipelineFacts& facts, const Conditions& now,
                         const Conditions& then) const {
    const Prediction before = predict(job.facts(), now);
    const Prediction after = predict(facts, then);
    const Prediction theirs = predict_as_ds_analyzer(facts, then);
    const auto gains = elasticities(facts, then);
    const int cores = facts.prep_cpu_s > 0 ? cores_to_hide_prep(facts, then) : 0;
    const bool fetches =
        facts.prep_cpu_s > 0 && then.disk_bytes_per_s > 0 && then.policy != CachePolicy::kNone;
    const double cache = fetches ? cache_to_hide_fetch(facts, then) : 0;
    Table table({{""}, {"samples/s", kRight}, {"binds"}, {"hits", kRight}, {"exposed", kRight}});
    const auto row = [&](const char* name, const Prediction& p) {
      table.add_row({name, fmt::format("{:.1f}", p.samples_per_s), p.binds,
                     fmt::format("{:.3f}", p.hits), core::format_quantity(Seconds(p.exposed_s))});
    };
    row("as measured", before);
    row("what if", after);
    row("with hits = what fits (DS-Analyzer)", theirs);
    std::string text = fmt::format("{}, {} ranks of batch {}; reached {:.1f} samples/s\n\n",
                                   job.model, job.ranks, job.batch, job.samples_per_s) +
                       table.text() + "\n";
    if (cores > 0) {
      text += fmt::format("cores that hide preparing the data: {}\n", cores);
    }
    if (fetches) {
      text +=
          fmt::format("cache that hides fetching them: {}\n", core::format_quantity(Bytes(cache)));
    }
    text += fmt::format(
        "one more core adds {:.2f} samples/s, 1 GB of cache {:.2f},\n"
        "1 MB/s of disk {:.3f}, 1 Gbit/s of link {:.2f}\n",
        gains.per_core, gains.per_cache_gb, gains.per_disk_mb_per_s, gains.per_link_gbit_per_s);
    return output_.emit({{"schema", "penstock-what-if/1"},
                         {"version", kVersion},
                         {"model", job.model},
                         {"reached_samples_per_s", job.samples_per_s},
                         {"as_measured", prediction_json(before)},
                         {"what_if", prediction_json(after)},
                         {"as_ds_analyzer", prediction_json(theirs)},
                         {"cores_to_hide_prep", cores},
                         {"cache_to_hide_fetch_bytes", fetches ? Json(cache) : Json(nullptr)},
                         {"samples_per_s_per",
                          {{"core", gains.per_core},
                           {"cache_gb", gains.per_cache_gb},
                           {"disk_mb_per_s", gains.per_disk_mb_per_s},
                           {"link_gbit_per_s", gains.per_link_gbit_per_s}}}},
                        text);
  }

  Status run_pages() const {
    profile::PageCacheOptions options;
    options.seed = seed_;
    options.folder = data_.empty() ? "." : data_;
    return show_page_cache(options, output_);
  }

  Status run_validation() const {
    if (validate_ == "links") return run_links();
    profile::ValidationOptions options;
    options.data = data_;
    options.policy = policy_;
    options.seed = seed_;
    options.progress = true;
    PENSTOCK_TRY(const loader::Dataset data, loader::Dataset::open(data_));
    options.dataset_samples = static_cast<std::int64_t>(data.samples().size());
    options.dataset_bytes = static_cast<double>(data.bytes());
    return validate_ == "workers" ? show_workers(options, output_) : show_caches(options, output_);
  }

  Status run_links() const {
    profile::LinkValidationOptions options;
    options.model = model_;
    options.batch = batch_;
    options.seed = seed_;
    options.progress = true;
    PENSTOCK_TRY(options.emulate, profile::emulated_profile(emulate_));
    return show_links(options, output_);
  }

  std::string entry_;
  std::string book_;
  double cores_ = 0;
  std::string disk_;
  std::string cache_;
  std::string cache_size_;
  std::string dataset_;
  std::string link_;
  std::string latency_;
  std::string bucket_;
  std::string data_;
  std::uint64_t seed_ = 0;
  bool no_overlap_ = false;
  bool measure_pages_ = false;
  std::string validate_;
  std::string emulate_ = "resnet50-h100";
  std::string model_;
  std::int64_t batch_ = 4;
  CachePolicy policy_ = CachePolicy::kPageCache;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<ProfileSubcommand> make_profile_what_if() {
  return std::make_unique<ProfileWhatIf>();
}

}  // namespace penstock::cli::internal
