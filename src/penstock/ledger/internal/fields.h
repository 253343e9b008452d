// Reads the members of one JSON object and collects every error with its path.
//
//   std::vector<Error> errors;
//   Fields root(json, {file, ""}, errors);
//   const double whole = root.time("whole_s");
//   root.refuse_others();
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "penstock/core/json.h"
#include "penstock/core/result.h"

namespace penstock::ledger::internal {

// A place in a JSON file: "plan.json: strategies[0].ledger".
struct Place {
  std::string file;
  std::string path;

  Place member(const std::string& key) const;
  Place element(std::size_t index) const;
  std::string text() const;
};

// A getter that fails records the error and gives a default, so that one pass reports everything.
class Fields {
 public:
  Fields(const core::Json& object, Place place, std::vector<Error>& errors);

  // Whether an optional member is there.
  bool has(const std::string& key);
  std::optional<std::string> text(const std::string& key);
  // Seconds, dollars and the like: a finite number that is not negative.
  double not_negative(const std::string& key);
  int positive_count(const std::string& key);
  // The elements of an array, or the members of an object; empty after an error.
  const core::Json& array(const std::string& key);
  const core::Json& object(const std::string& key);
  Place place(const std::string& key) const { return place_.member(key); }
  void error(const std::string& key, std::string message, std::string mend = "");
  // An error for each member that no getter has asked for.
  void refuse_others();

 private:
  const core::Json* find(const std::string& key);

  const core::Json* object_;
  Place place_;
  std::vector<Error>* errors_;
  std::set<std::string> asked_;
};

// The number if it is finite and not negative, else 0 and an error at `place`.
double not_negative_number(const core::Json& value, const Place& place, std::vector<Error>& errors);

}  // namespace penstock::ledger::internal
