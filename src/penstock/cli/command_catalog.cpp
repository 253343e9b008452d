#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "penstock/cli/command.h"
#include "penstock/core/nearest.h"
#include "penstock/core/table.h"
#include "penstock/hardware/catalog.h"

namespace penstock::cli {

std::unique_ptr<Command> make_catalog_command();

namespace {

using core::Json;
using core::Table;
using hardware::Accelerator;
using hardware::Catalog;
using hardware::Instance;
using hardware::Link;

constexpr std::array kSections = {"accelerators", "links", "instances"};
constexpr auto kRight = Table::Align::kRight;

// Text in the units in which these things are sold; a dash where the catalogue has no number.
std::string memory_text(Bytes memory) {
  constexpr double kGiB = 1073741824.0;
  const double gib = memory.value() / kGiB;
  if (memory.value() == 0) return "-";
  return gib == std::floor(gib) ? fmt::format("{:.0f} GiB", gib) : core::format_quantity(memory);
}
std::string network_text(Bandwidth bandwidth) {
  return bandwidth.value() == 0 ? "-" : fmt::format("{:.4g} Gbit/s", bandwidth.value() / 125e6);
}
std::string bandwidth_text(Bandwidth bandwidth) {
  return bandwidth.value() == 0 ? "-" : core::format_quantity(bandwidth);
}
// To the micro-dollar, so that 3.06 $/h is printed as it was read.
double dollars_per_hour(Price price) { return std::round(price.value() * 3600e6) / 1e6; }
std::string price_text(Price price) { return fmt::format("{:.6g} $/h", dollars_per_hour(price)); }
std::string rate_text(const Accelerator& entry, const std::string& precision) {
  const auto found = entry.peak.find(precision);
  return found == entry.peak.end() ? "-" : fmt::format("{:.5g}", found->second.value() / 1e12);
}

// A field of an entry as people and as programs read it.
struct Field {
  std::string name;
  std::string text;
  std::string key;  // in JSON, with its unit
  Json value;
};

std::vector<Field> fields_of(const Accelerator& entry) {
  std::vector<Field> fields;
  for (const std::string& precision : hardware::precisions()) {
    const auto found = entry.peak.find(precision);
    if (found == entry.peak.end()) continue;
    fields.push_back({"peak." + precision, core::format_quantity(found->second),
                      "peak_" + precision + "_flop_per_s", found->second.value()});
  }
  fields.push_back({"memory", memory_text(entry.memory), "memory_bytes", entry.memory.value()});
  fields.push_back({"memory_bandwidth", bandwidth_text(entry.memory_bandwidth),
                    "memory_bandwidth_bytes_per_s", entry.memory_bandwidth.value()});
  return fields;
}

std::vector<Field> fields_of(const Link& entry) {
  const bool network = entry.kind == "network";
  return {{"bandwidth", network ? network_text(entry.bandwidth) : bandwidth_text(entry.bandwidth),
           "bandwidth_bytes_per_s", entry.bandwidth.value()},
          {"latency", core::format_quantity(entry.latency), "latency_s", entry.latency.value()}};
}

std::vector<Field> fields_of(const Instance& entry) {
  std::vector<Field> fields = {
      {"accelerator", entry.accelerator, "accelerator", entry.accelerator},
      {"accelerators", fmt::format("{}", entry.accelerators), "accelerators", entry.accelerators},
      {"link", entry.link, "link", entry.link},
      {"vcpus", fmt::format("{}", entry.vcpus), "vcpus", entry.vcpus},
      {"memory", memory_text(entry.memory), "memory_bytes", entry.memory.value()},
      {"network", network_text(entry.network), "network_bytes_per_s", entry.network.value()},
      {"network_latency", core::format_quantity(entry.network_latency), "network_latency_s",
       entry.network_latency.value()},
      {"storage", bandwidth_text(entry.storage), "storage_bytes_per_s", entry.storage.value()},
      {"local_storage", core::format_quantity(entry.local_storage), "local_storage_bytes",
       entry.local_storage.value()},
      {"on_demand", price_text(entry.on_demand), "on_demand_usd_per_h",
       dollars_per_hour(entry.on_demand)}};
  if (entry.spot) {
    fields.push_back(
        {"spot", price_text(*entry.spot), "spot_usd_per_h", dollars_per_hour(*entry.spot)});
  }
  return fields;
}

std::string describe(const Accelerator& entry) { return entry.description; }
std::string describe(const Link& entry) { return entry.description; }
std::string describe(const Instance& entry) {
  return fmt::format("{} x {}", entry.accelerators, entry.accelerator);
}

// What the catalogue says of one entry: fields that it leaves out are left out here too.
template <typename Entry>
Json entry_json(const Entry& entry) {
  Json json = {{"name", entry.name}, {"description", describe(entry)}};
  Json sources = Json::object();
  for (const Field& field : fields_of(entry)) {
    const auto known = entry.provenance.find(field.name);
    if (known == entry.provenance.end()) continue;
    json[field.key] = field.value;
    sources[field.key] = {{"source", known->second.source}, {"date", known->second.date}};
  }
  if constexpr (std::is_same_v<Entry, Link>) json["kind"] = entry.kind;
  json["sources"] = std::move(sources);
  return json;
}

// A source in lines that fit beside the widest field, value and date.
std::vector<std::string> wrap(const std::string& source) {
  constexpr std::size_t kWidth = 52;
  std::vector<std::string> lines = {""};
  for (std::size_t start = 0; start < source.size();) {
    const std::size_t end = std::min(source.find(' ', start), source.size());
    const std::string word = source.substr(start, end - start);
    start = end + 1;
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > kWidth)
      lines.push_back("");
    lines.back() += (lines.back().empty() ? "" : " ") + word;
  }
  return lines;
}

template <typename Entry>
std::string entry_text(const std::string& kind, const Entry& entry) {
  Table table({{"field"}, {"value", kRight}, {"source"}, {"date"}});
  for (const Field& field : fields_of(entry)) {
    const auto known = entry.provenance.find(field.name);
    if (known == entry.provenance.end()) continue;
    const std::vector<std::string> lines = wrap(known->second.source);
    table.add_row({field.name, field.text, lines.front(), known->second.date});
    for (std::size_t i = 1; i < lines.size(); ++i) table.add_row({"", "", lines[i], ""});
  }
  return fmt::format("{} {}: {}\n\n{}", kind, entry.name, describe(entry), table.text());
}

// Source and date of the field that a section's table is mostly about.
template <typename Entry>
hardware::Provenance provenance_of(const Entry& entry, const std::string& field) {
  const auto known = entry.provenance.find(field);
  return known == entry.provenance.end() ? hardware::Provenance{"-", "-"} : known->second;
}

std::string accelerators_text(const Catalog& catalog) {
  Table table({{"accelerator"},
               {"fp32", kRight},
               {"tf32", kRight},
               {"fp16", kRight},
               {"bf16", kRight},
               {"fp8", kRight},
               {"memory", kRight},
               {"bandwidth", kRight},
               {"source of the peak"},
               {"date"}});
  for (const Accelerator& entry : catalog.accelerators) {
    const std::string fastest = entry.peak.count("fp16") != 0 ? "fp16" : entry.peak.begin()->first;
    const auto [source, date] = provenance_of(entry, "peak." + fastest);
    table.add_row({entry.name, rate_text(entry, "fp32"), rate_text(entry, "tf32"),
                   rate_text(entry, "fp16"), rate_text(entry, "bf16"), rate_text(entry, "fp8"),
                   memory_text(entry.memory), bandwidth_text(entry.memory_bandwidth), source,
                   date});
  }
  return table.text() + "Dense peaks in TFLOP/s.\n";
}

std::string links_text(const Catalog& catalog) {
  Table table({{"link"},
               {"kind"},
               {"bandwidth", kRight},
               {"latency", kRight},
               {"source of the bandwidth"},
               {"date"}});
  for (const Link& entry : catalog.links) {
    const std::vector<Field> fields = fields_of(entry);
    const auto [source, date] = provenance_of(entry, "bandwidth");
    table.add_row({entry.name, entry.kind, fields[0].text, fields[1].text, source, date});
  }
  return table.text() + "Bandwidth in one direction.\n";
}

std::string instances_text(const Catalog& catalog) {
  Table table({{"instance"},
               {"accelerators"},
               {"vCPU", kRight},
               {"memory", kRight},
               {"network", kRight},
               {"$/h", kRight},
               {"spot", kRight},
               {"source of the price"},
               {"date"}});
  for (const Instance& entry : catalog.instances) {
    const auto [source, date] = provenance_of(entry, "on_demand");
    table.add_row(
        {entry.name, describe(entry), fmt::format("{}", entry.vcpus), memory_text(entry.memory),
         network_text(entry.network), fmt::format("{:.6g}", dollars_per_hour(entry.on_demand)),
         entry.spot ? fmt::format("{:.6g}", dollars_per_hour(*entry.spot)) : "-", source, date});
  }
  return table.text();
}

class CatalogCommand : public Command {
 public:
  std::string name() const override { return "catalog"; }
  std::string summary() const override {
    return "List accelerators, links and instances, each number with its source and date";
  }
  std::string example() const override { return "penstock catalog instances p3.16xlarge"; }

  void declare(CLI::App& app) override {
    app.add_option("SECTION", words_[0],
                   "accelerators, links or instances; all of them if left out");
    app.add_option("NAME", words_[1], "One entry, with the source of every number");
    app.add_option("--catalog", user_files_, "Also read this catalogue; it overrides the built-in")
        ->type_name("FILE")
        ->allow_extra_args(false);
    output_.declare(app);
  }

  Status prepare() override {
    for (const std::string& word : words_) {
      if (word.empty()) continue;
      const bool is_section =
          std::find(kSections.begin(), kSections.end(), word) != kSections.end();
      if (is_section && section_.empty() && entry_.empty()) {
        section_ = word;
      } else if (entry_.empty()) {
        entry_ = word;
      } else {
        return core::input_error(
            "catalog", fmt::format("\"{}\" is one name too many", word),
            "name a section (accelerators, links, instances), an entry or both");
      }
    }
    return {};
  }

  Status run() override {
    PENSTOCK_TRY(const Catalog catalog, hardware::load_catalog(user_files_));
    Json document = {{"catalog_hash", catalog.hash}, {"files", catalog.files}};
    std::string human;
    bool found = false;
    std::vector<std::string> names;
    const auto add = [&](const std::string& section, const std::string& kind, const auto& entries,
                         std::string (*table)(const Catalog&)) {
      if (!section_.empty() && section_ != section) return;
      Json list = Json::array();
      for (const auto& entry : entries) {
        names.push_back(entry.name);
        if (!entry_.empty() && entry.name != entry_) continue;
        found = true;
        list.push_back(entry_json(entry));
        if (!entry_.empty()) human += (human.empty() ? "" : "\n") + entry_text(kind, entry);
      }
      if (entry_.empty()) human += (human.empty() ? "" : "\n") + table(catalog);
      if (entry_.empty() || !list.empty()) document[section] = std::move(list);
    };
    add("accelerators", "accelerator", catalog.accelerators, accelerators_text);
    add("links", "link", catalog.links, links_text);
    add("instances", "instance", catalog.instances, instances_text);
    if (!entry_.empty() && !found) return unknown(names);
    if (entry_.empty()) {
      human += fmt::format(
          "\nCatalogue {} from {} files; recalled: written from memory, to be "
          "checked.\npenstock catalog NAME shows the source of every number.\n",
          catalog.hash, catalog.files.size());
    }
    return output_.emit(document, human);
  }

 private:
  Status unknown(const std::vector<std::string>& names) const {
    std::string mend = core::did_you_mean(entry_, names);
    if (mend.empty()) mend = "penstock catalog lists what there is";
    const std::string place = section_.empty() ? "the catalogue" : "its " + section_;
    return core::input_error("catalog", fmt::format("\"{}\" is not in {}", entry_, place),
                             std::move(mend));
  }

  std::array<std::string, 2> words_;
  std::vector<std::string> user_files_;
  std::string section_;
  std::string entry_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_catalog_command() { return std::make_unique<CatalogCommand>(); }

}  // namespace penstock::cli
