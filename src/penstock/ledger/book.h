// The book keeps ledgers, so that the next plan can read what the last run measured.
//
//   PENSTOCK_TRY(const std::string path, book_path(option));
//   PENSTOCK_TRY(Book book, Book::open(path));
//   PENSTOCK_TRY(const std::int64_t id, book.add({ledger, "plan", provenance}));
//   PENSTOCK_TRY(const BookEntry entry, book.find("vgg16"));
//
// One SQLite file that several processes may use at once. What is added is there whole or not at
// all, whenever the process ends.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "penstock/core/json_fwd.h"
#include "penstock/core/result.h"
#include "penstock/ledger/ledger.h"

namespace penstock::ledger {

// `option`, else $PENSTOCK_BOOK, else $XDG_DATA_HOME/penstock/book.sqlite, by default below
// ~/.local/share.
Result<std::string> book_path(const std::string& option);

struct BookEntry {
  std::int64_t id = 0;
  std::string added_at;  // UTC, "2026-01-31T12:00:00Z"
  std::string kind;      // what made it: "plan", "partition", "profile"
  std::string title;
  Evidence evidence = Evidence::kPredicted;
  Seconds whole;
  std::optional<Dollars> cost;

  core::Json to_json() const;
};

// What goes in together. The payload is an object that says where the ledger came from: the
// resolved spec, seed, version and the catalogue's hash.
struct BookAddition {
  const Ledger& ledger;
  std::string kind;
  const core::Json& payload;
};

class Book {
 public:
  // Makes the file and its folder where they are missing.
  static Result<Book> open(const std::string& path);
  // Fails (exit code 3) where there is no book.
  static Result<Book> open_existing(const std::string& path);
  ~Book();
  Book(Book&&) noexcept;
  Book& operator=(Book&&) noexcept;

  Result<std::int64_t> add(const BookAddition& addition);
  // All of them in one transaction.
  Result<std::vector<std::int64_t>> add_all(const std::vector<BookAddition>& additions);
  // Oldest first; of one kind where it is not empty.
  Result<std::vector<BookEntry>> list(const std::string& kind = "");
  // By id, by title, or by the beginning of a title that no other entry shares.
  Result<BookEntry> find(const std::string& id_or_title);
  Result<Ledger> ledger_of(std::int64_t id);
  Result<core::Json> payload_of(std::int64_t id);
  Status remove(std::int64_t id);
  const std::string& path() const;

 private:
  struct State;
  explicit Book(std::unique_ptr<State> state);
  static Result<Book> open(const std::string& path, bool create);
  Result<std::string> stored_text(std::int64_t id, const std::string& column);
  std::unique_ptr<State> state_;
};

}  // namespace penstock::ledger
