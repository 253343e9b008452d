// The catalogue while it is being read: entries that later files may still complete or override.
#pragma once

#include <map>
#include <string>

#include "penstock/core/result.h"
#include "penstock/hardware/catalog.h"

namespace penstock::hardware::internal {

// One entry with the place of each field that was given, for errors found after reading.
template <typename Entry>
struct Draft {
  Entry entry;
  std::string kind;                           // "accelerator", "link" or "instance"
  std::string where;                          // of its first table
  std::map<std::string, std::string> places;  // field -> "file:line"

  bool given(const std::string& field) const { return places.count(field) != 0; }
  std::string place(const std::string& field) const {
    const auto found = places.find(field);
    return found == places.end() ? where : found->second;
  }
};

struct CatalogDraft {
  std::map<std::string, Draft<Accelerator>> accelerators;
  std::map<std::string, Draft<Link>> links;
  std::map<std::string, Draft<Instance>> instances;
};

// Adds one file's entries. With `override_allowed` an entry that is already there takes the new
// fields and keeps the others; without, it is an error (the built-in files must not clash).
Status add_file(CatalogDraft& draft, const std::string& path, const std::string& text,
                bool override_allowed);

// What can only be said once every file has been read: missing fields, unknown names, a spot price
// above the on-demand price. Appends to `errors`.
void check_draft(const CatalogDraft& draft, std::vector<Error>& errors);

}  // namespace penstock::hardware::internal
