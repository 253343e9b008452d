#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <optional>

#include "penstock/core/nearest.h"
#include "penstock/core/spec.h"
#include "penstock/hardware/internal/catalog_draft.h"

namespace penstock::hardware::internal {
namespace {

using core::Range;
using core::SpecTable;

constexpr double kMostAccelerators = 1024;
constexpr double kMostVcpus = 65536;

// "2024", "2024-04" or "2024-04-09".
bool is_date(std::string_view text) {
  constexpr std::string_view kShape = "dddd-dd-dd";
  if (text.size() != 4 && text.size() != 7 && text.size() != 10) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool digit = std::isdigit(static_cast<unsigned char>(text[i])) != 0;
    if (kShape[i] == 'd' ? !digit : text[i] != '-') return false;
  }
  return true;
}

// Reads the fields of one table [kind.name] into a draft, each with its provenance.
template <typename Entry>
class EntryReader {
 public:
  EntryReader(SpecTable& table, Draft<Entry>& draft)
      : table_(table), sources_(table.table("sources")), draft_(draft) {
    default_.source = table.text_or("source", "");
    default_.date = table.text_or("date", "");
    if (!default_.date.empty() && !is_date(default_.date)) {
      table.error("date", fmt::format("\"{}\" is not a date", default_.date),
                  "write it as \"2024\", \"2024-04\" or \"2024-04-09\"");
    }
  }

  template <typename Q>
  void quantity(const std::string& field, Q& target, Range range = core::kPositive) {
    target = table_.quantity_or<Q>(field, target, range);
    note(table_, field, field);
  }

  void integer(const std::string& field, int& target, Range range) {
    target = static_cast<int>(std::clamp<std::int64_t>(table_.integer_or(field, target, range),
                                                       static_cast<std::int64_t>(range.min),
                                                       static_cast<std::int64_t>(range.max)));
    note(table_, field, field);
  }

  void text(const std::string& field, std::string& target) {
    target = table_.text_or(field, target);
    note(table_, field, field);
  }

  // Words about the entry, which need no source.
  void description(std::string& target) { target = table_.text_or("description", target); }

  // The sub-table `field`: one quantity a key out of `keys`.
  template <typename Q>
  void quantities(const std::string& field, const std::vector<std::string>& keys,
                  std::map<std::string, Q>& target) {
    SpecTable group = table_.table(field);
    for (const std::string& key : keys) {
      const Q value = group.quantity_or<Q>(key, Q(0));
      if (!group.has(key)) continue;
      target[key] = value;
      note(group, key, field + "." + key);
      draft_.places.emplace(field, group.where());
    }
  }

  // Reports the fields that came without a source or date.
  void finish() {
    if (unsourced_.empty()) return;
    table_.error("",
                 fmt::format("{} {} no source and date", fmt::join(unsourced_, ", "),
                             unsourced_.size() == 1 ? "has" : "have"),
                 "add source = \"...\" and date = \"2024-04\" to the entry, or \"source, date\" "
                 "under its sources");
  }

 private:
  void note(SpecTable& table, const std::string& key, const std::string& field) {
    if (!table.has(key)) return;
    draft_.places[field] = table.where(key);
    Provenance provenance = default_;
    // A source for "peak" covers "peak.fp16" too, unless that has its own.
    std::vector<std::string> names = {field};
    if (const auto dot = field.find('.'); dot != std::string::npos) {
      names.insert(names.begin(), field.substr(0, dot));
    }
    for (const std::string& name : names) {
      if (const std::string text = sources_.text_or(name, ""); !text.empty()) {
        provenance = split(name, text);
      }
    }
    if (provenance.source.empty() || provenance.date.empty()) {
      unsourced_.push_back(field);
    }
    draft_.entry.provenance[field] = provenance;
  }

  Provenance split(const std::string& name, const std::string& text) {
    const std::size_t comma = text.rfind(',');
    if (comma != std::string::npos && comma != 0) {
      const std::size_t date = text.find_first_not_of(' ', comma + 1);
      if (date != std::string::npos && is_date(text.substr(date))) {
        return {text.substr(0, comma), text.substr(date)};
      }
    }
    sources_.error(name, fmt::format("\"{}\" does not end in a date", text),
                   "write \"source, 2024-04\"");
    return {text, text};
  }

  SpecTable& table_;
  SpecTable sources_;
  Draft<Entry>& draft_;
  Provenance default_;
  std::vector<std::string> unsourced_;
};

void read(SpecTable& table, Draft<Accelerator>& draft) {
  EntryReader reader(table, draft);
  Accelerator& entry = draft.entry;
  reader.description(entry.description);
  reader.quantities("peak", precisions(), entry.peak);
  reader.quantity("memory", entry.memory);
  reader.quantity("memory_bandwidth", entry.memory_bandwidth);
  reader.finish();
}

void read(SpecTable& table, Draft<Link>& draft) {
  EntryReader reader(table, draft);
  Link& entry = draft.entry;
  reader.description(entry.description);
  if (entry.kind.empty()) entry.kind = "interconnect";
  entry.kind = table.choice_or("kind", entry.kind, {"interconnect", "network", "memory"});
  reader.quantity("bandwidth", entry.bandwidth);
  reader.quantity("latency", entry.latency, core::kNotNegative);
  reader.finish();
}

void read(SpecTable& table, Draft<Instance>& draft) {
  EntryReader reader(table, draft);
  Instance& entry = draft.entry;
  reader.text("accelerator", entry.accelerator);
  reader.integer("accelerators", entry.accelerators, {.min = 1, .max = kMostAccelerators});
  reader.text("link", entry.link);
  reader.integer("vcpus", entry.vcpus, {.min = 1, .max = kMostVcpus});
  reader.quantity("memory", entry.memory);
  reader.quantity("network", entry.network);
  reader.quantity("network_latency", entry.network_latency, core::kNotNegative);
  reader.quantity("storage", entry.storage);
  reader.quantity("local_storage", entry.local_storage, core::kNotNegative);
  reader.quantity("on_demand", entry.on_demand);
  Price spot = entry.spot.value_or(Price(0));
  reader.quantity("spot", spot);
  if (draft.given("spot")) entry.spot = spot;
  reader.finish();
}

template <typename Entry>
void read_all(SpecTable& root, const std::string& kind, bool override_allowed,
              std::map<std::string, Draft<Entry>>& drafts) {
  for (auto& [name, table] : root.named_tables(kind)) {
    const auto [place, fresh] = drafts.try_emplace(name);
    Draft<Entry>& draft = place->second;
    if (fresh) {
      draft.entry.name = name;
      draft.kind = kind;
      draft.where = table.where();
    } else if (!override_allowed) {
      table.error("", "is defined twice", fmt::format("the other one is at {}", draft.where));
    }
    read(table, draft);
  }
}

// Collects the errors of check_draft.
class Checker {
 public:
  explicit Checker(std::vector<Error>& errors) : errors_(errors) {}

  void error(std::string where, std::string message, std::string mend) {
    errors_.push_back(
        core::input_error(std::move(where), std::move(message), std::move(mend)).value());
  }

  template <typename Entry>
  void require(const Draft<Entry>& draft, const std::string& field, const std::string& example) {
    if (draft.given(field)) return;
    error(draft.where, fmt::format("{}.{}: {} is missing", draft.kind, draft.entry.name, field),
          fmt::format("add {} = {}", field, example));
  }

  template <typename Named>
  void refer(const Draft<Instance>& draft, const std::string& field, const std::string& name,
             const std::map<std::string, Named>& known) {
    if (known.count(name) != 0) return;
    std::vector<std::string> names;
    for (const auto& [key, value] : known) names.push_back(key);
    std::string mend = core::did_you_mean(name, names);
    if (mend.empty()) mend = fmt::format("known: {}", fmt::join(names, ", "));
    error(draft.place(field),
          fmt::format("instance.{}.{}: \"{}\" is not in the catalogue", draft.entry.name, field,
                      name),
          std::move(mend));
  }

 private:
  std::vector<Error>& errors_;
};

}  // namespace

Status add_file(CatalogDraft& draft, const std::string& path, const std::string& text,
                bool override_allowed) {
  PENSTOCK_TRY(core::SpecFile file, core::SpecFile::parse(text, path));
  SpecTable root = file.root();
  read_all(root, "accelerator", override_allowed, draft.accelerators);
  read_all(root, "link", override_allowed, draft.links);
  read_all(root, "instance", override_allowed, draft.instances);
  return file.finish();
}

void check_draft(const CatalogDraft& draft, std::vector<Error>& errors) {
  Checker checker(errors);
  // A price that could not be read has a stand-in value, which is not worth comparing.
  const bool all_read = errors.empty();
  for (const auto& [name, accelerator] : draft.accelerators) {
    checker.require(accelerator, "peak", "{ fp32 = \"10 TFLOP/s\" }");
    checker.require(accelerator, "memory", "\"16 GiB\"");
  }
  for (const auto& [name, link] : draft.links) {
    checker.require(link, "bandwidth", "\"25 Gbit/s\"");
    checker.require(link, "latency", "\"5 us\"");
  }
  for (const auto& [name, instance] : draft.instances) {
    const Instance& entry = instance.entry;
    checker.require(instance, "on_demand", "\"3.06 $/h\"");
    checker.require(instance, "accelerator", "\"V100\"");
    if (instance.given("accelerator")) {
      checker.refer(instance, "accelerator", entry.accelerator, draft.accelerators);
    }
    if (entry.accelerators > 1) checker.require(instance, "link", "\"PCIe3-x16\"");
    if (instance.given("link")) checker.refer(instance, "link", entry.link, draft.links);
    if (all_read && entry.spot && *entry.spot > entry.on_demand) {
      checker.error(instance.place("spot"),
                    fmt::format("instance.{}: spot {:.6g} $/h is above on_demand {:.6g} $/h ({})",
                                name, entry.spot->value() * 3600, entry.on_demand.value() * 3600,
                                instance.place("on_demand")),
                    "correct one of the two");
    }
  }
}

}  // namespace penstock::hardware::internal
