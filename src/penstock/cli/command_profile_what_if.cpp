// penstock profile what-if: a profiled job with other cores, disks, caches, links and buckets.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "penstock/cli/command.h"
#include "penstock/cli/internal/profile_subcommand.h"
#include "penstock/cli/internal/quantity_option.h"
#include "penstock/core/table.h"
#include "penstock/ledger/book.h"
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
using profile::PageCacheMeasurement;
using profile::PipelineFacts;
using profile::Prediction;
using profile::ValidationCase;

constexpr auto kRight = Table::Align::kRight;

double error_of(double predicted, double measured) { return std::abs(predicted / measured - 1); }

double median_error(const std::vector<ValidationCase>& cases, double ValidationCase::*predicted) {
  std::vector<double> errors;
  for (const ValidationCase& one : cases) errors.push_back(error_of(one.*predicted, one.measured));
  std::sort(errors.begin(), errors.end());
  return errors[errors.size() / 2];
}

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
    app->add_option("--cache", cache_,
                    "page, minio, lru, fifo, random or none; default page, with --validate lru")
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
    app->add_flag("--validate", validate_, "Throttle the real loader and compare (needs --data)");
    app->add_option("--data", data_, "Folder of images, for --validate; else where to measure")
        ->type_name("DIR");
    app->add_option("--seed", seed_, "Of the orders in which data are read; default 0")
        ->type_name("N");
    app->footer(
        "Example:\n  penstock profile what-if --book book.sqlite --cores 8 --disk \"500 MB/s\"");
    output_.declare(*app);
    return app;
  }

  Status prepare() override {
    if (cache_.empty()) cache_ = validate_ ? "lru" : "page";
    PENSTOCK_TRY(policy_, profile::cache_policy_from_name(cache_));
    if (validate_ && measure_pages_) {
      return core::input_error("--validate", "cannot be joined with --measure-page-cache",
                               "run one after the other");
    }
    if (validate_ && data_.empty()) {
      return core::input_error("--validate", "needs images", "add --data DIR");
    }
    return {};
  }

  Status run() override {
    if (measure_pages_) return run_pages();
    if (validate_) return run_validation();
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
    PENSTOCK_TRY(const std::vector<PageCacheMeasurement> measured,
                 profile::measure_page_cache(options));
    Table table({{"fits", kRight},
                 {"measured", kRight},
                 {"page cache, simulated", kRight},
                 {"LRU", kRight},
                 {"MinIO", kRight}});
    Json points = Json::array();
    for (const PageCacheMeasurement& one : measured) {
      const double pages = hit_ratio(CachePolicy::kPageCache, one.fraction);
      const double lru = profile::lru_hit_ratio(one.fraction);
      table.add_row({fmt::format("{:.3f}", one.fraction), fmt::format("{:.3f}", one.hits),
                     fmt::format("{:.3f}", pages), fmt::format("{:.3f}", lru),
                     fmt::format("{:.3f}", one.fraction)});
      points.push_back({{"fraction", one.fraction},
                        {"measured", one.hits},
                        {"simulated", pages},
                        {"lru", lru},
                        {"minio", one.fraction}});
    }
    return output_.emit(
        {{"schema", "penstock-page-cache/1"}, {"version", kVersion}, {"points", std::move(points)}},
        table.text());
  }

  Status run_validation() const {
    profile::ValidationOptions options;
    options.data = data_;
    options.policy = policy_;
    options.seed = seed_;
    options.progress = true;
    PENSTOCK_TRY(const std::vector<ValidationCase> cases, profile::validate_caches(options));
    Table table({{"cache"},
                 {"fits", kRight},
                 {"disk", kRight},
                 {"measured", kRight},
                 {"predicted", kRight},
                 {"off", kRight},
                 {"DS-Analyzer", kRight},
                 {"off", kRight}});
    Json points = Json::array();
    for (const ValidationCase& one : cases) {
      const auto share = [](double x) { return fmt::format("{:.1f} %", 100 * x); };
      table.add_row({std::string(cache_policy_name(one.policy)),
                     fmt::format("{:.2f}", one.fraction),
                     core::format_quantity(Bandwidth(one.disk_bytes_per_s)),
                     fmt::format("{:.1f}/s", one.measured), fmt::format("{:.1f}/s", one.predicted),
                     share(error_of(one.predicted, one.measured)),
                     fmt::format("{:.1f}/s", one.as_ds_analyzer),
                     share(error_of(one.as_ds_analyzer, one.measured))});
      points.push_back({{"cache", cache_policy_name(one.policy)},
                        {"fraction", one.fraction},
                        {"disk_bytes_per_s", one.disk_bytes_per_s},
                        {"measured_samples_per_s", one.measured},
                        {"predicted_samples_per_s", one.predicted},
                        {"ds_analyzer_samples_per_s", one.as_ds_analyzer}});
    }
    const double ours = median_error(cases, &ValidationCase::predicted);
    const double theirs = median_error(cases, &ValidationCase::as_ds_analyzer);
    return output_.emit({{"schema", "penstock-what-if-validation/1"},
                         {"version", kVersion},
                         {"median_error", ours},
                         {"ds_analyzer_median_error", theirs},
                         {"cases", std::move(points)}},
                        table.text() + fmt::format("\nmedian error {:.1f} %; DS-Analyzer's rule "
                                                   "{:.1f} %\n",
                                                   100 * ours, 100 * theirs));
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
  bool validate_ = false;
  CachePolicy policy_ = CachePolicy::kPageCache;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<ProfileSubcommand> make_profile_what_if() {
  return std::make_unique<ProfileWhatIf>();
}

}  // namespace penstock::cli::internal
