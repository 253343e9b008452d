// Reads a TOML file into typed values, collecting every error with its line.
//
//   PENSTOCK_TRY(SpecFile file, SpecFile::read("array.toml"));
//   SpecTable root = file.root();
//   const std::string name = root.text("name");
//   for (SpecTable& group : root.tables("group")) {
//     const Bytes memory = group.quantity<Bytes>("memory");
//     const std::int64_t count = group.integer_or("count", 1, {.min = 1});
//   }
//   PENSTOCK_TRY_STATUS(file.finish());   // all errors, unknown keys with the nearest name
//
// A getter that fails records the error and gives a default, so that one pass reports everything.
// The getters without `_or` require the key.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "penstock/core/quantity.h"
#include "penstock/core/result.h"

namespace penstock::core {

// The accepted interval of a number, both ends included.
struct Range {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool above_min = false;  // exclude `min` itself
};
inline constexpr Range kPositive{.min = 0, .above_min = true};
inline constexpr Range kNotNegative{.min = 0};

class SpecTable {
 public:
  bool has(std::string_view key) const;
  std::vector<std::string> keys() const;  // in the order of the file

  std::string text(std::string_view key);
  std::string text_or(std::string_view key, std::string fallback);
  // The text at `key`, if there is one: for values that are either a name or a quantity.
  std::optional<std::string> text_if(std::string_view key);
  // One of `choices`, or an error that lists them.
  std::string choice_or(std::string_view key, std::string fallback,
                        const std::vector<std::string>& choices);
  std::int64_t integer(std::string_view key, Range range = {});
  std::int64_t integer_or(std::string_view key, std::int64_t fallback, Range range = {});
  double number(std::string_view key, Range range = {});
  double number_or(std::string_view key, double fallback, Range range = {});
  bool boolean_or(std::string_view key, bool fallback);
  std::vector<std::string> texts_or(std::string_view key, std::vector<std::string> fallback);
  std::vector<std::int64_t> integers_or(std::string_view key, std::vector<std::int64_t> fallback,
                                        Range range = {});

  // A quantity is text with a unit; it must lie in `range` (base units), by default above zero.
  template <typename Q>
  Q quantity(std::string_view key, Range range = kPositive);
  template <typename Q>
  Q quantity_or(std::string_view key, Q fallback, Range range = kPositive);

  // The sub-table `key`; an absent one is empty (and an error if `required`).
  SpecTable table(std::string_view key, bool required = false);
  // The array of tables `key`; empty if absent.
  std::vector<SpecTable> tables(std::string_view key);
  // The sub-tables below `key` with their names, in the order of the file: [key.NAME].
  std::vector<std::pair<std::string, SpecTable>> named_tables(std::string_view key);

  // Records an error at `key` (or at the table itself when the key is empty).
  void error(std::string_view key, std::string message, std::string mend = "");
  // "file:line" of the key, or of the table.
  std::string where(std::string_view key = "") const;
  const std::string& path() const;

 private:
  friend class SpecFile;
  struct Node;
  explicit SpecTable(std::shared_ptr<Node> node) : node_(std::move(node)) {}
  std::uint32_t line(std::string_view key) const;
  std::optional<std::string> quantity_text(std::string_view key, bool required);
  std::shared_ptr<Node> node_;
};

class SpecFile {
 public:
  static Result<SpecFile> read(const std::string& path);
  // `name` stands for the file in errors.
  static Result<SpecFile> parse(std::string_view text, const std::string& name);

  SpecTable root();
  // Fails with all errors recorded so far, and one for each key that nothing has asked for.
  Status finish();

 private:
  struct State;
  explicit SpecFile(std::shared_ptr<State> state) : state_(std::move(state)) {}
  friend class SpecTable;
  std::shared_ptr<State> state_;
};

}  // namespace penstock::core
