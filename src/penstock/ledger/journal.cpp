#include "penstock/ledger/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "penstock/ledger/book.h"
#include "penstock/ledger/internal/sqlite.h"

namespace penstock::ledger {
namespace {

using internal::Database;
using internal::Statement;
using internal::Transaction;

// A table of its own that an older book gets when it is first needed; who knows no journals does
// not see it.
constexpr std::string_view kCreate =
    "CREATE TABLE IF NOT EXISTS journal (name TEXT NOT NULL, key TEXT NOT NULL, "
    "text TEXT NOT NULL, PRIMARY KEY (name, key)) WITHOUT ROWID";

Result<int> lock_journal(const std::string& path, const std::string& name) {
  std::string word = name;
  std::replace_if(
      word.begin(), word.end(),
      [](char c) { return !std::isalnum(static_cast<unsigned char>(c)) && c != '.'; }, '-');
  const std::string file = fmt::format("{}.{}.lock", path, word);
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    return core::missing_error(file, fmt::format("cannot be made: {}", std::strerror(errno)),
                               "name another file with --book");
  }
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    std::array<char, 32> owner{};
    const ssize_t length = ::read(descriptor, owner.data(), owner.size() - 1);
    ::close(descriptor);
    return core::input_error(
        file,
        fmt::format("process {} keeps this journal",
                    length > 0 ? std::string(owner.data(), std::size_t(length)) : "unknown"),
        "end it first, or name another book with --book");
  }
  const std::string owner = std::to_string(::getpid());
  if (::ftruncate(descriptor, 0) != 0 ||
      ::pwrite(descriptor, owner.data(), owner.size(), 0) != ssize_t(owner.size())) {
    ::close(descriptor);
    return core::missing_error(file, fmt::format("cannot be written: {}", std::strerror(errno)),
                               "make room on the disk");
  }
  return descriptor;
}

}  // namespace

struct Journal::State {
  std::string name;
  int lock = -1;
  std::unique_ptr<Database> database;
  std::map<std::string, std::string> entries;
  ~State() {
    database.reset();
    if (lock >= 0) ::close(lock);
  }
};

Journal::Journal(std::unique_ptr<State> state) : state_(std::move(state)) {}
Journal::~Journal() = default;
Journal::Journal(Journal&&) noexcept = default;
Journal& Journal::operator=(Journal&&) noexcept = default;

Result<Journal> Journal::open(const std::string& path, const std::string& name) {
  PENSTOCK_TRY(Book book, Book::open(path));  // makes the file, and knows whether it is a book
  auto state = std::make_unique<State>();
  state->name = name;
  PENSTOCK_TRY(state->lock, lock_journal(path, name));
  PENSTOCK_TRY(state->database, Database::open(path, false));
  PENSTOCK_TRY_STATUS(state->database->execute(kCreate));
  PENSTOCK_TRY(Statement select,
               state->database->prepare("SELECT key, text FROM journal WHERE name = ?"));
  select.bind(std::string_view(name));
  for (;;) {
    PENSTOCK_TRY(const bool row, select.step());
    if (!row) break;
    state->entries.emplace(select.text(0), select.text(1));
  }
  return Journal(std::move(state));
}

const std::map<std::string, std::string>& Journal::entries() const { return state_->entries; }

Status Journal::write(const std::map<std::string, std::optional<std::string>>& changes) {
  std::map<std::string, std::optional<std::string>> real;
  for (const auto& [key, text] : changes) {
    const auto found = state_->entries.find(key);
    const bool is_there = found != state_->entries.end();
    if (text ? !is_there || found->second != *text : is_there) real.emplace(key, text);
  }
  if (real.empty()) return {};
  Database& database = *state_->database;
  PENSTOCK_TRY(Transaction transaction, Transaction::begin(database));
  for (const auto& [key, text] : real) {
    PENSTOCK_TRY(Statement statement,
                 database.prepare(text ? "INSERT OR REPLACE INTO journal VALUES (?, ?, ?)"
                                       : "DELETE FROM journal WHERE name = ? AND key = ?"));
    statement.bind(std::string_view(state_->name)).bind(std::string_view(key));
    if (text) statement.bind(std::string_view(*text));
    PENSTOCK_TRY_STATUS(statement.run());
  }
  PENSTOCK_TRY_STATUS(transaction.commit());
  for (auto& [key, text] : real) {
    if (text) {
      state_->entries[key] = std::move(*text);
    } else {
      state_->entries.erase(key);
    }
  }
  return {};
}

}  // namespace penstock::ledger
