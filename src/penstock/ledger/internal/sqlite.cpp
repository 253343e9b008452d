#include "penstock/ledger/internal/sqlite.h"

namespace penstock::ledger::internal {
namespace {

// How long to wait for another process's write; each takes milliseconds.
constexpr int kBusyMilliseconds = 20'000;

}  // namespace

Statement& Statement::note(int code) {
  if (bind_code_ == SQLITE_OK) bind_code_ = code;
  return *this;
}

Statement& Statement::bind(std::int64_t value) {
  return note(sqlite3_bind_int64(statement_.get(), ++bound_, value));
}

Statement& Statement::bind(double value) {
  return note(sqlite3_bind_double(statement_.get(), ++bound_, value));
}

Statement& Statement::bind(std::string_view value) {
  return note(sqlite3_bind_text64(statement_.get(), ++bound_, value.data(), value.size(),
                                  SQLITE_TRANSIENT, SQLITE_UTF8));
}

Statement& Statement::bind(std::optional<double> value) {
  return value ? bind(*value) : note(sqlite3_bind_null(statement_.get(), ++bound_));
}

Result<bool> Statement::step() {
  if (bind_code_ != SQLITE_OK) return database_->failure(bind_code_);
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return database_->failure(code);
}

Status Statement::run() {
  for (;;) {
    PENSTOCK_TRY(const bool row, step());
    if (!row) return {};
  }
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

double Statement::number(int column) const {
  return sqlite3_column_double(statement_.get(), column);
}

std::string Statement::text(int column) const {
  const auto* bytes = sqlite3_column_text(statement_.get(), column);
  if (bytes == nullptr) return "";
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return std::string(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path, bool create) {
  sqlite3* handle = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0);
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  std::unique_ptr<Database> database(new Database(path, handle));
  if (code != SQLITE_OK) return database->failure(code);
  sqlite3_busy_timeout(handle, kBusyMilliseconds);
  return database;
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                      &statement, nullptr);
  if (code != SQLITE_OK) return failure(code);
  return Statement(*this, statement);
}

Status Database::execute(std::string_view sql) {
  PENSTOCK_TRY(Statement statement, prepare(sql));
  return statement.run();
}

Result<std::int64_t> Database::integer(std::string_view sql) {
  PENSTOCK_TRY(Statement statement, prepare(sql));
  PENSTOCK_TRY(const bool row, statement.step());
  return row ? statement.integer(0) : 0;
}

tl::unexpected<Error> Database::failure(int code) const {
  const std::string why = handle_ ? sqlite3_errmsg(handle_.get()) : sqlite3_errstr(code);
  switch (code & 0xFF) {  // the primary code; the rest is an extension
    case SQLITE_NOTADB:
      return core::input_error(path_, "is not a book of Penstock", "name another file with --book");
    case SQLITE_CORRUPT:
      return core::input_error(path_, "is damaged: " + why, "restore it from a copy");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return core::missing_error(path_, "is locked by another process", "try again");
    case SQLITE_CANTOPEN:
      return core::missing_error(path_, "cannot be opened", "name a readable file with --book");
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return core::missing_error(path_, "cannot be written: " + why,
                                 "name a writable file with --book");
    case SQLITE_FULL:
    case SQLITE_IOERR:
      return core::missing_error(path_, "cannot be used: " + why, "check the disk");
    default: {
      Error error;
      error.kind = ErrorKind::kBug;
      error.where = path_;
      error.message = "SQLite: " + why;
      return core::fail(std::move(error));
    }
  }
}

Result<Transaction> Transaction::begin(Database& database) {
  PENSTOCK_TRY_STATUS(database.execute("BEGIN IMMEDIATE"));
  return Transaction(database);
}

Status Transaction::commit() {
  PENSTOCK_TRY_STATUS(database_->execute("COMMIT"));
  database_ = nullptr;
  return {};
}

Transaction::~Transaction() {
  // A failed roll-back needs no report: SQLite then rolls back when the file is next opened.
  if (database_ != nullptr) static_cast<void>(database_->execute("ROLLBACK"));
}

}  // namespace penstock::ledger::internal
