#include "penstock/core/spec.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "penstock/core/file.h"
#include "penstock/core/nearest.h"

// toml++ 3.3 asserts that a key starts well, and in release builds promises it to the compiler,
// before it checks just that: "[}x]" would be undefined behaviour. Without the promise its own
// check speaks.
#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(...) static_cast<void>(0)
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

namespace penstock::core {

struct SpecFile::State {
  std::string name;
  toml::table root;
  std::vector<std::pair<std::uint32_t, Error>> errors;  // with the line, to sort by
  // Every table handed out, with the keys that were asked for.
  std::vector<std::shared_ptr<SpecTable::Node>> nodes;
};

struct SpecTable::Node {
  SpecFile::State* file = nullptr;
  const toml::table* table = nullptr;  // null when the table is absent
  std::string path;                    // dotted, empty at the root
  std::set<std::string, std::less<>> asked;

  const toml::node* find(std::string_view key) {
    asked.emplace(key);
    return table == nullptr ? nullptr : table->get(key);
  }
  std::string key_path(std::string_view key) const {
    if (key.empty()) return path;
    return path.empty() ? std::string(key) : path + "." + std::string(key);
  }
};

namespace {

std::uint32_t line_of(const toml::node* node) {
  return node == nullptr ? 0 : static_cast<std::uint32_t>(node->source().begin.line);
}

std::string at_line(const std::string& file, std::uint32_t line) {
  return line == 0 ? file : fmt::format("{}:{}", file, line);
}

// toml++ sorts keys by name; people expect the order in which they wrote them.
std::vector<std::string> keys_in_file_order(const toml::table& table) {
  std::vector<std::pair<toml::source_position, std::string>> places;
  for (const auto& [key, value] : table) {
    places.emplace_back(key.source().begin, std::string(key.str()));
  }
  std::sort(places.begin(), places.end());
  std::vector<std::string> names;
  for (auto& [place, name] : places) names.push_back(std::move(name));
  return names;
}

bool inside(double value, const Range& range) {
  return std::isfinite(value) && value <= range.max &&
         (range.above_min ? value > range.min : value >= range.min);
}

std::string describe(const Range& range) {
  if (std::isinf(range.max)) {
    return fmt::format("must be {} {}", range.above_min ? "above" : "at least", range.min);
  }
  return fmt::format("must lie {} {} and {}", range.above_min ? "above" : "between", range.min,
                     range.max);
}

std::string kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "text";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "a boolean";
    default:
      return "a date";
  }
}

}  // namespace

bool SpecTable::has(std::string_view key) const {
  return node_->table != nullptr && node_->table->contains(key);
}

std::vector<std::string> SpecTable::keys() const {
  return node_->table == nullptr ? std::vector<std::string>() : keys_in_file_order(*node_->table);
}

std::optional<std::string> SpecTable::text_if(std::string_view key) {
  const toml::node* node = node_->find(key);
  return node == nullptr ? std::nullopt : node->value_exact<std::string>();
}

std::uint32_t SpecTable::line(std::string_view key) const {
  const toml::node* node = node_->table;
  if (!key.empty() && node_->table != nullptr && node_->table->contains(key)) {
    node = node_->table->get(key);
  }
  return line_of(node);
}

std::string SpecTable::where(std::string_view key) const {
  return at_line(node_->file->name, line(key));
}

const std::string& SpecTable::path() const { return node_->path; }

void SpecTable::error(std::string_view key, std::string message, std::string mend) {
  Error error;
  error.where = where(key);
  const std::string path = node_->key_path(key);
  error.message = path.empty() ? std::move(message) : path + ": " + message;
  error.mend = std::move(mend);
  node_->file->errors.emplace_back(line(key), std::move(error));
}

namespace {
// The value of a key as T, with an error if it is absent and required, or of another kind.
template <typename T>
std::optional<T> get(SpecTable& table, const toml::node* node, std::string_view key, bool required,
                     const char* wanted) {
  if (node == nullptr) {
    if (required) table.error(key, "is missing", fmt::format("add {} = {}", key, wanted));
    return std::nullopt;
  }
  if constexpr (std::is_same_v<T, double>) {
    if (auto integer = node->value_exact<std::int64_t>()) return static_cast<double>(*integer);
  }
  if (auto value = node->value_exact<T>()) return value;
  table.error(key, fmt::format("is {}", kind_of(*node)), fmt::format("write {}", wanted));
  return std::nullopt;
}
}  // namespace

std::string SpecTable::text(std::string_view key) {
  const toml::node* node = node_->find(key);
  auto value = get<std::string>(*this, node, key, true, "\"text\"");
  if (value && value->empty()) error(key, "is empty");
  return value.value_or("");
}

std::string SpecTable::text_or(std::string_view key, std::string fallback) {
  const toml::node* node = node_->find(key);
  return get<std::string>(*this, node, key, false, "\"text\"").value_or(std::move(fallback));
}

std::string SpecTable::choice_or(std::string_view key, std::string fallback,
                                 const std::vector<std::string>& choices) {
  std::string value = text_or(key, fallback);
  for (const std::string& choice : choices) {
    if (choice == value) return value;
  }
  error(key, fmt::format("\"{}\" is not one of {}", value, fmt::join(choices, ", ")),
        did_you_mean(value, choices));
  return fallback;
}

std::int64_t SpecTable::integer(std::string_view key, Range range) {
  const toml::node* node = node_->find(key);
  auto value = get<std::int64_t>(*this, node, key, true, "an integer");
  if (value && !inside(static_cast<double>(*value), range)) {
    error(key, fmt::format("is {}", *value), describe(range));
  }
  return value.value_or(1);
}

std::int64_t SpecTable::integer_or(std::string_view key, std::int64_t fallback, Range range) {
  return has(key) ? integer(key, range) : (node_->find(key), fallback);
}

double SpecTable::number(std::string_view key, Range range) {
  const toml::node* node = node_->find(key);
  auto value = get<double>(*this, node, key, true, "a number");
  if (value && !inside(*value, range)) error(key, fmt::format("is {}", *value), describe(range));
  return value.value_or(1);
}

double SpecTable::number_or(std::string_view key, double fallback, Range range) {
  return has(key) ? number(key, range) : (node_->find(key), fallback);
}

bool SpecTable::boolean_or(std::string_view key, bool fallback) {
  const toml::node* node = node_->find(key);
  return get<bool>(*this, node, key, false, "true or false").value_or(fallback);
}

std::vector<std::string> SpecTable::texts_or(std::string_view key,
                                             std::vector<std::string> fallback) {
  const toml::node* node = node_->find(key);
  if (node == nullptr) return fallback;
  std::vector<std::string> list;
  const toml::array* array = node->as_array();
  if (array == nullptr) {
    error(key, "is " + kind_of(*node), "write an array of texts");
    return fallback;
  }
  for (const toml::node& element : *array) {
    if (auto value = element.value_exact<std::string>()) {
      list.push_back(*value);
    } else {
      error(key, "holds " + kind_of(element), "write an array of texts");
    }
  }
  return list;
}

std::vector<std::int64_t> SpecTable::integers_or(std::string_view key,
                                                 std::vector<std::int64_t> fallback, Range range) {
  const toml::node* node = node_->find(key);
  if (node == nullptr) return fallback;
  std::vector<std::int64_t> list;
  const toml::array* array = node->as_array();
  if (array == nullptr) {
    error(key, "is " + kind_of(*node), "write an array of integers");
    return fallback;
  }
  for (const toml::node& element : *array) {
    const auto value = element.value_exact<std::int64_t>();
    if (!value) {
      error(key, "holds " + kind_of(element), "write an array of integers");
    } else if (!inside(static_cast<double>(*value), range)) {
      error(key, fmt::format("holds {}", *value), describe(range));
    } else {
      list.push_back(*value);
    }
  }
  return list;
}

std::optional<std::string> SpecTable::quantity_text(std::string_view key, bool required) {
  const toml::node* node = node_->find(key);
  if (node != nullptr && node->is_number()) {
    error(key, "is a bare number", "write it as text with its unit");
    return std::nullopt;
  }
  return get<std::string>(*this, node, key, required, "\"number unit\"");
}

template <typename Q>
Q SpecTable::quantity_or(std::string_view key, Q fallback, Range range) {
  if (!has(key)) {
    node_->find(key);
    return fallback;
  }
  return quantity<Q>(key, range);
}

template <typename Q>
Q SpecTable::quantity(std::string_view key, Range range) {
  const auto text = quantity_text(key, true);
  if (!text) return Q(1);
  const Result<Q> value = parse_quantity<Q>(*text);
  if (!value) {
    error(key, value.error().message, value.error().mend);
    return Q(1);
  }
  if (!inside(value->value(), range)) error(key, fmt::format("is \"{}\"", *text), describe(range));
  return *value;
}

#define PENSTOCK_INSTANTIATE_(Q)                              \
  template Q SpecTable::quantity<Q>(std::string_view, Range); \
  template Q SpecTable::quantity_or<Q>(std::string_view, Q, Range)
PENSTOCK_INSTANTIATE_(Bytes);
PENSTOCK_INSTANTIATE_(Seconds);
PENSTOCK_INSTANTIATE_(Flop);
PENSTOCK_INSTANTIATE_(Dollars);
PENSTOCK_INSTANTIATE_(Bandwidth);
PENSTOCK_INSTANTIATE_(FlopRate);
PENSTOCK_INSTANTIATE_(Price);
#undef PENSTOCK_INSTANTIATE_

SpecTable SpecTable::table(std::string_view key, bool required) {
  const toml::node* node = node_->find(key);
  if (node == nullptr && required) error(key, "is missing", fmt::format("add a [{}] table", key));
  if (node != nullptr && !node->is_table()) error(key, "is " + kind_of(*node), "write a table");
  auto child = std::make_shared<Node>();
  child->file = node_->file;
  child->table = node == nullptr ? nullptr : node->as_table();
  child->path = node_->key_path(key);
  node_->file->nodes.push_back(child);
  return SpecTable(child);
}

std::vector<SpecTable> SpecTable::tables(std::string_view key) {
  const toml::node* node = node_->find(key);
  std::vector<SpecTable> list;
  if (node == nullptr) return list;
  const toml::array* array = node->as_array();
  if (array == nullptr) {
    error(key, "is " + kind_of(*node), fmt::format("write [[{}]] tables", key));
    return list;
  }
  std::size_t index = 0;
  for (const toml::node& element : *array) {
    if (!element.is_table()) {
      error(key, "holds " + kind_of(element), fmt::format("write [[{}]] tables", key));
      continue;
    }
    auto child = std::make_shared<Node>();
    child->file = node_->file;
    child->table = element.as_table();
    child->path = fmt::format("{}[{}]", node_->key_path(key), index++);
    node_->file->nodes.push_back(child);
    list.push_back(SpecTable(child));
  }
  return list;
}

std::vector<std::pair<std::string, SpecTable>> SpecTable::named_tables(std::string_view key) {
  SpecTable parent = table(key);
  std::vector<std::pair<std::string, SpecTable>> list;
  for (const std::string& name : parent.keys()) list.emplace_back(name, parent.table(name));
  return list;
}

Result<SpecFile> SpecFile::read(const std::string& path) {
  PENSTOCK_TRY(const std::string text, read_file(path));
  return parse(text, path);
}

Result<SpecFile> SpecFile::parse(std::string_view text, const std::string& name) {
  auto state = std::make_shared<State>();
  state->name = name;
  try {
    state->root = toml::parse(text, name);
  } catch (const toml::parse_error& e) {
    return input_error(fmt::format("{}:{}", name, e.source().begin.line),
                       fmt::format("is not TOML: {}", e.description()));
  }
  return SpecFile(std::move(state));
}

SpecTable SpecFile::root() {
  auto node = std::make_shared<SpecTable::Node>();
  node->file = state_.get();
  node->table = &state_->root;
  state_->nodes.push_back(node);
  return SpecTable(node);
}

Status SpecFile::finish() {
  auto errors = state_->errors;
  for (const auto& node : state_->nodes) {
    if (node->table == nullptr) continue;
    const std::vector<std::string> known(node->asked.begin(), node->asked.end());
    for (const auto& [key, value] : *node->table) {
      if (node->asked.count(key.str()) != 0) continue;
      const std::uint32_t line = line_of(&value);
      Error error;
      error.where = at_line(state_->name, line);
      error.message = fmt::format("{}: unknown key", node->key_path(key.str()));
      error.mend = did_you_mean(key.str(), known);
      if (error.mend.empty()) error.mend = fmt::format("known here: {}", fmt::join(known, ", "));
      errors.emplace_back(line, std::move(error));
    }
  }
  if (errors.empty()) return {};
  std::stable_sort(errors.begin(), errors.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Error> sorted;
  for (auto& [line, error] : errors) sorted.push_back(std::move(error));
  return fail(join_errors(std::move(sorted)));
}

}  // namespace penstock::core
