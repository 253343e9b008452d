// What a long-running program must know again after it was killed: texts by key, in the book's
// file.
//
//   PENSTOCK_TRY(Journal journal, Journal::open(path, "cluster/penstock"));
//   for (const auto& [key, text] : journal.entries()) take_up(key, text);
//   PENSTOCK_TRY_STATUS(journal.write({{"job/7", "..."}, {"job/3", std::nullopt}}));
//
// A write is there whole or not at all, whenever the process or the machine ends. One process at a
// time keeps a journal of a name; the lock goes with the process.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "penstock/core/result.h"

namespace penstock::ledger {

class Journal {
 public:
  // Makes the file and its folder where they are missing. Fails (exit code 2) while another process
  // keeps the journal of this name.
  static Result<Journal> open(const std::string& path, const std::string& name);
  ~Journal();
  Journal(Journal&&) noexcept;
  Journal& operator=(Journal&&) noexcept;

  const std::map<std::string, std::string>& entries() const;
  // Sets what has a text and removes what has none; what changes nothing costs nothing.
  Status write(const std::map<std::string, std::optional<std::string>>& changes);

 private:
  struct State;
  explicit Journal(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace penstock::ledger
