// penstock profile link: latency and bandwidth between ranks, in nccl-tests' terms.
#include <fmt/format.h>

#include <cmath>

#include "penstock/cli/command.h"
#include "penstock/cli/internal/profile_subcommand.h"
#include "penstock/cli/internal/quantity_option.h"
#include "penstock/core/table.h"
#include "penstock/hardware/catalog.h"
#include "penstock/profile/link_fit.h"
#include "penstock/version.h"

namespace penstock::cli::internal {
namespace {

using core::Json;
using core::Table;
using profile::LinkFit;
using profile::LinkMeasurement;
using profile::LinkPoint;
using profile::LinkVerdict;

constexpr auto kAllReduce = profile::CollectiveKind::kAllReduce;

class ProfileLink : public ProfileSubcommand {
 public:
  CLI::App* declare(CLI::App& parent) override {
    CLI::App* app = parent.add_subcommand(
        "link", "Time all-reduces between ranks and fit the link's latency and bandwidth");
    app->add_option("--ranks", options_.ranks, "Processes; default 2")
        ->check(CLI::Range(2, 64))
        ->type_name("K");
    app->add_option("--nodes", options_.nodes, "Emulated nodes the ranks are spread over")
        ->check(CLI::Range(1, 64))
        ->type_name("M");
    app->add_option("--link", link_, "Bandwidth between nodes: \"1 Gbit/s\"")->type_name("RATE");
    app->add_option("--delay", delay_, "Of the link, one way: \"50 us\"")->type_name("TIME");
    app->add_flag("--in-transport", options_.in_transport,
                  "Limit the link in the process, not in the kernel");
    app->add_option("--sizes", sizes_,
                    "Of the sums, doubling from one to the other; default 8B..64MiB")
        ->type_name("SIZES");
    app->add_option("--repetitions", options_.repetitions, "Timed, of each size; default 20")
        ->check(CLI::Range(1, 100000))
        ->type_name("N");
    app->add_option("--expect", expect_, "The catalogue's link that this should be")
        ->type_name("NAME");
    app->footer("Example:\n  penstock profile link --ranks 2 --nodes 2 --link \"1 Gbit/s\"");
    output_.declare(*app);
    return app;
  }

  Status prepare() override {
    PENSTOCK_TRY_STATUS(read_quantity("--link", link_, options_.link));
    PENSTOCK_TRY_STATUS(read_quantity("--delay", delay_, options_.delay));
    if (options_.nodes < 2 && !(link_.empty() && delay_.empty())) {
      return core::input_error(link_.empty() ? "--delay" : "--link", "there is only one node",
                               "add --nodes 2");
    }
    if (options_.ranks % options_.nodes != 0) {
      return core::input_error("--ranks", "is no multiple of --nodes",
                               fmt::format("use --ranks {}", options_.nodes));
    }
    options_.sizes = profile::default_link_sizes();
    if (!sizes_.empty()) PENSTOCK_TRY_STATUS(read_sizes());
    options_.progress = true;
    return {};
  }

  Status run() override {
    std::string name = "--link";
    Bandwidth expected = options_.link;
    if (!expect_.empty()) {
      PENSTOCK_TRY(const hardware::Catalog catalog, hardware::load_catalog());
      const hardware::Link* link = catalog.find_link(expect_);
      if (link == nullptr) {
        return core::input_error("--expect", "\"" + expect_ + "\" is no link of the catalogue",
                                 "penstock catalog links lists them");
      }
      name = link->name;
      expected = link->bandwidth;
    }
    PENSTOCK_TRY(const LinkMeasurement measured, profile::measure_link(options_));
    PENSTOCK_TRY(const LinkFit fit, profile::fit_link(measured.points, options_.ranks));
    std::optional<LinkVerdict> verdict;
    if (expected.value() > 0)
      verdict = profile::judge_link(fit, measured.points.back(), options_.ranks, name, expected);
    PENSTOCK_TRY_STATUS(
        output_.emit(document(measured, fit, verdict), text(measured, fit, verdict)));
    if (measured.interrupted)
      return core::negative("link", "interrupted: larger sizes are missing");
    return {};
  }

 private:
  static Result<std::int64_t> read_size(const std::string& text) {
    Bytes bytes;
    PENSTOCK_TRY_STATUS(read_quantity("--sizes", text, bytes));
    // A rank holds the sum in memory.
    constexpr double kMost = 16.0 * (1 << 30);
    if (bytes.value() < 4 || bytes.value() > kMost || std::fmod(bytes.value(), 4) != 0) {
      return core::input_error("--sizes", "\"" + text + "\" is no size of a sum of 32-bit values",
                               "use a multiple of 4 bytes up to 16 GiB");
    }
    return static_cast<std::int64_t>(bytes.value());
  }

  Status read_sizes() {
    const std::size_t dots = sizes_.find("..");
    if (dots != std::string::npos) {
      PENSTOCK_TRY(const std::int64_t first, read_size(sizes_.substr(0, dots)));
      PENSTOCK_TRY(const std::int64_t last, read_size(sizes_.substr(dots + 2)));
      options_.sizes.clear();
      for (std::int64_t size = first; size <= last; size *= 2) options_.sizes.push_back(size);
    }
    if (dots == std::string::npos || options_.sizes.size() < 2) {
      return core::input_error("--sizes", "\"" + sizes_ + "\" is no range of sizes",
                               "latency and bandwidth need two: for example 8B..64MiB");
    }
    return {};
  }

  Json document(const LinkMeasurement& measured, const LinkFit& fit,
                const std::optional<LinkVerdict>& verdict) const {
    Json points = Json::array();
    for (std::size_t i = 0; i < measured.points.size(); ++i) {
      const LinkPoint& point = measured.points[i];
      points.push_back(
          {{"bytes", point.bytes},
           {"time_s", point.time_s},
           {"algbw_bytes_per_s", profile::algorithm_bandwidth(point).value()},
           {"busbw_bytes_per_s", profile::bus_bandwidth(point, kAllReduce, options_.ranks).value()},
           {"sent_bytes", measured.sent_bytes[i]}});
    }
    Json json = {{"schema", "penstock-link/1"},
                 {"version", kVersion},
                 {"ranks", options_.ranks},
                 {"nodes", options_.nodes},
                 {"link_bytes_per_s", options_.link.value()},
                 {"delay_s", options_.delay.value()},
                 {"nodes_made_by", measured.nodes_made_by},
                 {"repetitions", options_.repetitions},
                 {"points", std::move(points)},
                 {"fit",
                  {{"alpha_s", fit.model.alpha_s},
                   {"beta_bytes_per_s", fit.model.beta_bytes_per_s},
                   {"median_error", fit.median_error},
                   {"worst_error", fit.worst_error}}},
                 {"notes", measured.notes}};
    if (verdict) {
      json["verdict"] = {
          {"normal", verdict->normal}, {"fraction", verdict->fraction}, {"text", verdict->text}};
    }
    return json;
  }

  std::string text(const LinkMeasurement& measured, const LinkFit& fit,
                   const std::optional<LinkVerdict>& verdict) const {
    constexpr auto kRight = Table::Align::kRight;
    Table table({{"bytes", kRight},
                 {"time", kRight},
                 {"algbw", kRight},
                 {"busbw", kRight},
                 {"sent by a rank", kRight}});
    for (std::size_t i = 0; i < measured.points.size(); ++i) {
      const LinkPoint& point = measured.points[i];
      table.add_row(
          {std::to_string(point.bytes), core::format_quantity(Seconds(point.time_s)),
           core::format_quantity(profile::algorithm_bandwidth(point)),
           core::format_quantity(profile::bus_bandwidth(point, kAllReduce, options_.ranks)),
           fmt::format("{:.0f} B", measured.sent_bytes[i])});
    }
    std::string text =
        fmt::format("all-reduce over {} ranks{}\n\n", options_.ranks,
                    measured.nodes_made_by.empty()
                        ? std::string(" of one node")
                        : fmt::format(" on {} nodes: {}", options_.nodes, measured.nodes_made_by));
    text += table.text();
    text += fmt::format(
        "\nlatency {} a message, bandwidth {};\nthe fit misses a size by {:.1f} % (median), at "
        "most "
        "{:.0f} %\n",
        core::format_quantity(Seconds(fit.model.alpha_s)),
        core::format_quantity(Bandwidth(fit.model.beta_bytes_per_s)), fit.median_error * 100,
        fit.worst_error * 100);
    if (verdict) text += verdict->text + "\n";
    for (const std::string& note : measured.notes) text += "note: " + note + "\n";
    return text;
  }

  profile::LinkMeasurementOptions options_;
  std::string link_;
  std::string delay_;
  std::string sizes_;
  std::string expect_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<ProfileSubcommand> make_profile_link() { return std::make_unique<ProfileLink>(); }

}  // namespace penstock::cli::internal
