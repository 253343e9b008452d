#include "penstock/ledger/book.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "penstock/core/check.h"
#include "penstock/core/json.h"
#include "penstock/core/nearest.h"
#include "penstock/ledger/internal/sqlite.h"

namespace penstock::ledger {
namespace {

using core::Json;
using internal::Database;
using internal::Statement;
using internal::Transaction;

// Marks the file as ours for SQLite and file(1): "PNST".
constexpr std::int64_t kApplicationId = 0x504E5354;
constexpr std::int64_t kSchemaVersion = 1;

// AUTOINCREMENT: an id that somebody noted down never comes to mean another entry.
constexpr std::string_view kCreate =
    "CREATE TABLE entries ("
    "id INTEGER PRIMARY KEY AUTOINCREMENT, added_at TEXT NOT NULL, kind TEXT NOT NULL, "
    "title TEXT NOT NULL, evidence TEXT NOT NULL, whole_s REAL NOT NULL, cost_usd REAL, "
    "ledger TEXT NOT NULL, payload TEXT NOT NULL)";

constexpr std::string_view kSelect =
    "SELECT id, added_at, kind, title, evidence, whole_s, cost_usd FROM entries ";

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Status create_schema(Database& database) {
  PENSTOCK_TRY(Transaction transaction, Transaction::begin(database));
  // Another process may have made it since we looked.
  PENSTOCK_TRY(const std::int64_t version, database.integer("PRAGMA user_version"));
  if (version != 0) return {};
  PENSTOCK_TRY_STATUS(database.execute(kCreate));
  PENSTOCK_TRY_STATUS(database.execute(fmt::format("PRAGMA application_id = {}", kApplicationId)));
  PENSTOCK_TRY_STATUS(database.execute(fmt::format("PRAGMA user_version = {}", kSchemaVersion)));
  return transaction.commit();
}

Status check_schema(Database& database) {
  // One transaction, or another process that makes the schema now would be seen half-way.
  PENSTOCK_TRY_STATUS(database.execute("BEGIN"));
  PENSTOCK_TRY(const std::int64_t tables, database.integer("SELECT count(*) FROM sqlite_schema"));
  PENSTOCK_TRY(const std::int64_t application, database.integer("PRAGMA application_id"));
  PENSTOCK_TRY(const std::int64_t version, database.integer("PRAGMA user_version"));
  PENSTOCK_TRY_STATUS(database.execute("COMMIT"));
  if (application == 0 && version == 0 && tables == 0) return create_schema(database);
  if (application != kApplicationId) {
    return core::input_error(database.path(), "is a database of another program",
                             "name another file with --book");
  }
  if (version > kSchemaVersion) {
    return core::input_error(
        database.path(),
        fmt::format("has book version {}, but this Penstock reads {}", version, kSchemaVersion),
        "use the Penstock that wrote it, or name another file with --book");
  }
  if (version < 1 || tables == 0) {
    return core::input_error(database.path(), "is damaged: its tables are missing",
                             "restore it from a copy");
  }
  return {};
}

Result<BookEntry> read_entry(const Statement& row, const std::string& path) {
  BookEntry entry;
  entry.id = row.integer(0);
  entry.added_at = row.text(1);
  entry.kind = row.text(2);
  entry.title = row.text(3);
  const std::optional<Evidence> evidence = evidence_from_name(row.text(4));
  if (!evidence) {
    return core::input_error(fmt::format("{}: entry {}", path, entry.id),
                             fmt::format("\"{}\" is not a kind of evidence", row.text(4)),
                             fmt::format("penstock book remove {}", entry.id));
  }
  entry.evidence = *evidence;
  entry.whole = Seconds(row.number(5));
  if (!row.is_null(6)) entry.cost = Dollars(row.number(6));
  return entry;
}

Result<std::vector<BookEntry>> read_entries(Statement& statement, const std::string& path) {
  std::vector<BookEntry> entries;
  for (;;) {
    PENSTOCK_TRY(const bool row, statement.step());
    if (!row) return entries;
    PENSTOCK_TRY(BookEntry entry, read_entry(statement, path));
    entries.push_back(std::move(entry));
  }
}

std::string ids_of(const std::vector<BookEntry>& entries) {
  std::string ids;
  for (const BookEntry& entry : entries)
    ids += fmt::format("{}{}", ids.empty() ? "" : ", ", entry.id);
  return ids;
}

std::optional<std::int64_t> id_in(const std::string& text) {
  if (text.empty() || text.size() > 18) return std::nullopt;
  if (text.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  return std::stoll(text);
}

}  // namespace

Result<std::string> book_path(const std::string& option) {
  if (!option.empty()) return option;
  if (const std::string named = environment("PENSTOCK_BOOK"); !named.empty()) return named;
  // The XDG base directory specification: a relative path is to be ignored.
  std::string data = environment("XDG_DATA_HOME");
  if (data.empty() || data.front() != '/') {
    const std::string home = environment("HOME");
    if (home.empty()) {
      return core::missing_error("book", "there is no home folder to keep it in",
                                 "name a file with --book or PENSTOCK_BOOK");
    }
    data = home + "/.local/share";
  }
  return data + "/penstock/book.sqlite";
}

Json BookEntry::to_json() const {
  Json json = {{"id", id},
               {"added_at", added_at},
               {"kind", kind},
               {"title", title},
               {"evidence", evidence_name(evidence)},
               {"whole_s", whole.value()}};
  if (cost) json["cost_usd"] = cost->value();
  return json;
}

struct Book::State {
  std::unique_ptr<Database> database;
};

Book::Book(std::unique_ptr<State> state) : state_(std::move(state)) {}
Book::~Book() = default;
Book::Book(Book&&) noexcept = default;
Book& Book::operator=(Book&&) noexcept = default;

const std::string& Book::path() const { return state_->database->path(); }

Result<Book> Book::open(const std::string& path) {
  std::error_code failed;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, failed);
  if (failed) {
    return core::missing_error(path, "its folder cannot be made: " + failed.message(),
                               "name a writable file with --book");
  }
  return open(path, true);
}

Result<Book> Book::open_existing(const std::string& path) {
  std::error_code failed;
  if (!std::filesystem::exists(path, failed)) {
    return core::missing_error(path, "there is no book yet", "penstock book add FILE makes it");
  }
  return open(path, false);
}

Result<Book> Book::open(const std::string& path, bool create) {
  if (std::error_code failed; std::filesystem::is_directory(path, failed)) {
    return core::input_error(path, "is a directory", "name a file with --book");
  }
  PENSTOCK_TRY(std::unique_ptr<Database> database, Database::open(path, create));
  PENSTOCK_TRY_STATUS(check_schema(*database));
  // Readers then never wait for a writer. The mode stays with the file; where it cannot be had (a
  // file system without shared memory, another process switching now), the other mode is as safe.
  static_cast<void>(database->execute("PRAGMA journal_mode = WAL"));
  auto state = std::make_unique<State>();
  state->database = std::move(database);
  return Book(std::move(state));
}

Result<std::int64_t> Book::add(const BookAddition& addition) {
  PENSTOCK_TRY(const std::vector<std::int64_t> ids, add_all({addition}));
  return ids.front();
}

Result<std::vector<std::int64_t>> Book::add_all(const std::vector<BookAddition>& additions) {
  Database& database = *state_->database;
  PENSTOCK_TRY(Transaction transaction, Transaction::begin(database));
  std::vector<std::int64_t> ids;
  for (const BookAddition& addition : additions) {
    PENSTOCK_CHECK(addition.payload.is_object());
    PENSTOCK_CHECK(!addition.kind.empty());
    const Ledger& ledger = addition.ledger;
    std::optional<double> cost;
    if (ledger.cost()) cost = ledger.cost()->value();
    PENSTOCK_TRY(Statement insert,
                 database.prepare("INSERT INTO entries (added_at, kind, title, evidence, whole_s, "
                                  "cost_usd, ledger, payload) VALUES "
                                  "(strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), ?, ?, ?, ?, ?, ?, ?)"));
    insert.bind(addition.kind).bind(ledger.title()).bind(evidence_name(ledger.evidence()));
    insert.bind(ledger.whole().value()).bind(cost);
    insert.bind(core::json_text(ledger.to_json())).bind(core::json_text(addition.payload));
    PENSTOCK_TRY_STATUS(insert.run());
    ids.push_back(database.last_id());
  }
  PENSTOCK_TRY_STATUS(transaction.commit());
  return ids;
}

Result<std::vector<BookEntry>> Book::list(const std::string& kind) {
  Database& database = *state_->database;
  PENSTOCK_TRY(Statement select,
               database.prepare(std::string(kSelect) + "WHERE ?1 = '' OR kind = ?1 ORDER BY id"));
  select.bind(kind);
  return read_entries(select, path());
}

Result<BookEntry> Book::find(const std::string& id_or_title) {
  if (id_or_title.empty()) {
    return core::input_error(path(), "an empty title names no entry", "give an id or a title");
  }
  Database& database = *state_->database;
  if (const std::optional<std::int64_t> id = id_in(id_or_title)) {
    PENSTOCK_TRY(Statement by_id, database.prepare(std::string(kSelect) + "WHERE id = ?"));
    by_id.bind(*id);
    PENSTOCK_TRY(const std::vector<BookEntry> entries, read_entries(by_id, path()));
    if (!entries.empty()) return entries.front();
  }
  for (const char* condition : {"WHERE title = ?1", "WHERE substr(title, 1, length(?1)) = ?1"}) {
    PENSTOCK_TRY(Statement by_title,
                 database.prepare(std::string(kSelect) + condition + " ORDER BY id"));
    by_title.bind(id_or_title);
    PENSTOCK_TRY(const std::vector<BookEntry> entries, read_entries(by_title, path()));
    if (entries.size() == 1) return entries.front();
    if (entries.size() > 1) {
      return core::input_error(path(),
                               fmt::format("{} entries are called \"{}\": {}", entries.size(),
                                           id_or_title, ids_of(entries)),
                               "give one of these ids");
    }
  }
  PENSTOCK_TRY(const std::vector<BookEntry> all, list());
  std::vector<std::string> titles;
  for (const BookEntry& entry : all) titles.push_back(entry.title);
  const std::string near = core::did_you_mean(id_or_title, titles);
  return core::input_error(path(), fmt::format("has no entry \"{}\"", id_or_title),
                           near.empty() ? "penstock book list shows what there is" : near);
}

Result<std::string> Book::stored_text(std::int64_t id, const std::string& column) {
  Database& database = *state_->database;
  PENSTOCK_TRY(Statement select,
               database.prepare(fmt::format("SELECT {} FROM entries WHERE id = ?", column)));
  select.bind(id);
  PENSTOCK_TRY(const bool row, select.step());
  if (!row) return core::input_error(path(), fmt::format("has no entry {}", id));
  return select.text(0);
}

Result<Ledger> Book::ledger_of(std::int64_t id) {
  const std::string place = fmt::format("{}: entry {}", path(), id);
  PENSTOCK_TRY(const std::string text, stored_text(id, "ledger"));
  PENSTOCK_TRY(const Json json, core::parse_json(text, place));
  return Ledger::from_json(json, place);
}

Result<Json> Book::payload_of(std::int64_t id) {
  PENSTOCK_TRY(const std::string text, stored_text(id, "payload"));
  return core::parse_json(text, fmt::format("{}: entry {}", path(), id));
}

Status Book::remove(std::int64_t id) {
  Database& database = *state_->database;
  PENSTOCK_TRY(Transaction transaction, Transaction::begin(database));
  PENSTOCK_TRY(Statement statement, database.prepare("DELETE FROM entries WHERE id = ?"));
  statement.bind(id);
  PENSTOCK_TRY_STATUS(statement.run());
  if (database.changes() == 0) return core::input_error(path(), fmt::format("has no entry {}", id));
  return transaction.commit();
}

}  // namespace penstock::ledger
