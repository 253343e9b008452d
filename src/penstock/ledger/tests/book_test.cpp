#include "penstock/ledger/book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "penstock/core/file.h"
#include "penstock/core/json.h"

namespace penstock::ledger {
namespace {

using core::Json;
using ::testing::HasSubstr;

Ledger make_ledger(const std::string& title, double seconds = 1) {
  Ledger ledger(title, Evidence::kMeasured);
  ledger.add_account("gpu").add(Activity::kCompute, "step", Seconds(seconds));
  EXPECT_TRUE(ledger.close(Seconds(2 * seconds)));
  return ledger;
}

class BookTest : public ::testing::Test {
 protected:
  BookTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "book-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    path_ = folder_ + "/book.sqlite";
  }
  ~BookTest() override { std::filesystem::remove_all(folder_); }

  Book open() {
    Result<Book> book = Book::open(path_);
    EXPECT_TRUE(book) << book.error().text();
    return *std::move(book);
  }
  std::string open_error(const std::string& path) {
    const Result<Book> book = Book::open(path);
    return book ? "opened" : book.error().text();
  }
  // Runs SQL on the file as another program would.
  void foreign(const std::string& path, const std::string& sql) {
    sqlite3* handle = nullptr;
    ASSERT_EQ(sqlite3_open(path.c_str(), &handle), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(handle);
    sqlite3_close(handle);
  }

  std::string folder_;
  std::string path_;
  const Json payload_ = {{"seed", 7}, {"version", "0.1.0"}, {"catalog_hash", "00ff"}};
};

TEST_F(BookTest, GivesBackWhatWasPutIn) {
  Ledger ledger = make_ledger("vgg16 on two boards");
  ledger.set_cost(Dollars(0.25));
  Book book = open();
  const Result<std::int64_t> id = book.add({ledger, "plan", payload_});
  ASSERT_TRUE(id) << id.error().text();
  const Result<Ledger> kept = book.ledger_of(*id);
  ASSERT_TRUE(kept) << kept.error().text();
  EXPECT_EQ(core::json_text(kept->to_json()), core::json_text(ledger.to_json()));
  EXPECT_EQ(core::json_text(*book.payload_of(*id)), core::json_text(payload_));

  const auto entries = book.list();
  ASSERT_EQ(entries->size(), 1u);
  const BookEntry& entry = entries->front();
  EXPECT_EQ(entry.id, *id);
  EXPECT_EQ(entry.kind, "plan");
  EXPECT_EQ(entry.title, "vgg16 on two boards");
  EXPECT_EQ(entry.evidence, Evidence::kMeasured);
  EXPECT_EQ(entry.whole, Seconds(2));
  EXPECT_EQ(entry.cost, Dollars(0.25));
  EXPECT_THAT(entry.added_at, ::testing::MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z"));
}

TEST_F(BookTest, StaysWhenItIsClosed) {
  ASSERT_TRUE(open().add({make_ledger("a"), "plan", payload_}));
  EXPECT_EQ(open().list()->size(), 1u);
}

TEST_F(BookTest, ListsInOrderAndByKind) {
  Book book = open();
  ASSERT_TRUE(book.add({make_ledger("a"), "plan", payload_}));
  ASSERT_TRUE(book.add({make_ledger("b"), "profile", payload_}));
  ASSERT_TRUE(book.add({make_ledger("c"), "plan", payload_}));
  const auto plans = book.list("plan");
  ASSERT_EQ(plans->size(), 2u);
  EXPECT_EQ((*plans)[0].title, "a");
  EXPECT_EQ((*plans)[1].title, "c");
  EXPECT_EQ(book.list("none")->size(), 0u);
}

TEST_F(BookTest, FindsByIdByTitleAndByItsBeginning) {
  Book book = open();
  for (const char* title : {"vgg16", "vgg16 on v3", "resnet50", "100% alike", "2"}) {
    ASSERT_TRUE(book.add({make_ledger(title), "plan", payload_}));
  }
  EXPECT_EQ(book.find("3")->title, "resnet50");
  EXPECT_EQ(book.find("vgg16")->id, 1);  // a whole title comes before a beginning
  EXPECT_EQ(book.find("vgg16 on")->id, 2);
  EXPECT_EQ(book.find("res")->id, 3);
  EXPECT_EQ(book.find("2")->id, 2);  // an id comes before a title
  EXPECT_EQ(book.find("100%")->id, 4);
  EXPECT_FALSE(book.find("%"));  // no pattern
  EXPECT_THAT(book.find("vgg").error().text(),
              HasSubstr("book.sqlite: 2 entries are called \"vgg\": 1, 2; give one of these ids"));
  EXPECT_THAT(book.find("resnet51").error().text(),
              HasSubstr("has no entry \"resnet51\"; did you mean \"resnet50\"?"));
  EXPECT_THAT(book.find("99").error().text(), HasSubstr("has no entry \"99\""));
  EXPECT_FALSE(book.find("99999999999999999999"));
  EXPECT_FALSE(book.find(""));
}

TEST_F(BookTest, ARemovedIdNeverNamesAnotherEntry) {
  Book book = open();
  const std::int64_t first = *book.add({make_ledger("a"), "plan", payload_});
  ASSERT_TRUE(book.remove(first));
  EXPECT_EQ(book.list()->size(), 0u);
  EXPECT_FALSE(book.remove(first));
  EXPECT_FALSE(book.ledger_of(first));
  EXPECT_FALSE(book.payload_of(first));
  EXPECT_GT(*book.add({make_ledger("b"), "plan", payload_}), first);
}

TEST_F(BookTest, TextIsKeptWhateverItSays) {
  const std::string title = "it's; DROP TABLE entries; -- \"\u00e9\"";
  Book book = open();
  ASSERT_TRUE(book.add({make_ledger(title), "plan", payload_}));
  EXPECT_EQ(book.find(title)->title, title);
}

// A child that adds `count` ledgers through its own connection; returns its process id.
pid_t add_in_child(const std::string& path, int count, const Json& payload) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  Result<Book> book = Book::open(path);
  for (int i = 0; book && i < count; ++i) {
    const std::string title = "p" + std::to_string(::getpid()) + " " + std::to_string(i);
    if (!book->add({make_ledger(title), "plan", payload})) ::_exit(2);
  }
  ::_exit(book ? 0 : 1);
}

TEST_F(BookTest, ProcessesThatMakeAndFillItAtOnceLoseNoRow) {
  constexpr int kProcesses = 4;
  constexpr int kEach = 25;
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) children.push_back(add_in_child(path_, kEach, payload_));
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
  std::set<std::string> titles;
  std::set<std::int64_t> ids;
  const auto entries = open().list();
  for (const BookEntry& entry : *entries) {
    titles.insert(entry.title);
    ids.insert(entry.id);
  }
  EXPECT_EQ(titles.size(), static_cast<std::size_t>(kProcesses * kEach));
  EXPECT_EQ(ids.size(), titles.size());
}

TEST_F(BookTest, AProcessThatIsKilledLeavesOnlyWholeRows) {
  Book book = open();
  const pid_t child = add_in_child(path_, 1'000'000, payload_);
  std::size_t seen = 0;
  while (seen < 20) {
    const auto entries = book.list();
    ASSERT_TRUE(entries) << entries.error().text();
    seen = entries->size();
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, WNOHANG), 0) << "the child ended early";
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  Book again = open();
  const auto entries = again.list();
  EXPECT_GE(entries->size(), seen);
  for (const BookEntry& entry : *entries) {
    EXPECT_TRUE(again.ledger_of(entry.id));
    EXPECT_EQ(*again.payload_of(entry.id), payload_);
  }
  EXPECT_TRUE(again.add({make_ledger("after"), "plan", payload_}));
}

TEST_F(BookTest, SeveralAreAddedTogetherOrNotAtAll) {
  Book book = open();
  foreign(path_,
          "CREATE TRIGGER refuse BEFORE INSERT ON entries WHEN new.title = 'b' "
          "BEGIN SELECT raise(ABORT, 'refused'); END");
  const Ledger a = make_ledger("a");
  const Ledger b = make_ledger("b");
  EXPECT_FALSE(book.add_all({{a, "plan", payload_}, {b, "plan", payload_}}));
  EXPECT_EQ(book.list()->size(), 0u);
  ASSERT_TRUE(book.add_all({{a, "plan", payload_}, {a, "plan", payload_}}));
  EXPECT_EQ(book.list()->size(), 2u);
}

TEST_F(BookTest, AReaderDoesNotWaitForAWriter) {
  Book book = open();
  ASSERT_TRUE(book.add({make_ledger("a"), "plan", payload_}));
  sqlite3* writer = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &writer), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(writer, "BEGIN IMMEDIATE; DELETE FROM entries", nullptr, nullptr, nullptr),
            SQLITE_OK);
  EXPECT_EQ(book.list()->size(), 1u);
  EXPECT_EQ(open().list()->size(), 1u);
  sqlite3_close(writer);
}

TEST_F(BookTest, ForeignFilesAreRefusedAndNotTouched) {
  const std::string text(5000, 'x');
  ASSERT_TRUE(core::write_file(path_, text));
  EXPECT_THAT(open_error(path_), HasSubstr("book.sqlite: is not a book of Penstock; name another"));
  EXPECT_EQ(*core::read_file(path_), text);

  const std::string other = folder_ + "/other.sqlite";
  foreign(other, "CREATE TABLE songs (title TEXT)");
  const std::string before = *core::read_file(other);
  EXPECT_THAT(open_error(other), HasSubstr("other.sqlite: is a database of another program"));
  EXPECT_EQ(*core::read_file(other), before);
  EXPECT_THAT(open_error(folder_), HasSubstr(": is a directory"));
}

TEST_F(BookTest, ANewerBookIsRefusedByItsVersion) {
  ASSERT_TRUE(open().add({make_ledger("a"), "plan", payload_}));
  foreign(path_, "PRAGMA user_version = 2");
  EXPECT_THAT(open_error(path_), HasSubstr("has book version 2, but this Penstock reads 1"));
  EXPECT_EQ(Book::open(path_).error().kind, ErrorKind::kInput);
}

TEST_F(BookTest, DamageIsReportedAndNeverCrashes) {
  {
    Book book = open();
    for (int i = 0; i < 40; ++i) {
      ASSERT_TRUE(book.add({make_ledger("entry " + std::to_string(i)), "plan", payload_}));
    }
  }
  const std::string whole = *core::read_file(path_);
  ASSERT_GT(whole.size(), 8192u);
  const auto outcome = [&](const std::string& bytes) -> std::string {
    EXPECT_TRUE(core::write_file(path_, bytes));
    Result<Book> book = Book::open(path_);
    if (!book) return book.error().text();
    const auto entries = book->list();
    if (!entries) return entries.error().text();
    for (const BookEntry& entry : *entries) {
      const Result<Ledger> ledger = book->ledger_of(entry.id);
      if (!ledger) return ledger.error().text();
    }
    return "read";
  };
  EXPECT_EQ(outcome(whole), "read");
  std::string wiped = whole;
  wiped.replace(4096, 4096, std::string(4096, '\xff'));
  EXPECT_THAT(outcome(wiped), HasSubstr("book.sqlite: is damaged"));
  EXPECT_THAT(outcome(whole.substr(0, 4096)), HasSubstr("book.sqlite: is damaged"));
  std::string edited = whole;
  const std::size_t at = edited.find("\"compute\"");
  ASSERT_NE(at, std::string::npos);
  edited.replace(at, 9, "\"compete\"");
  EXPECT_THAT(outcome(edited), HasSubstr("\"compete\" is not an activity; did you mean"));
}

TEST_F(BookTest, AMissingBookIsMadeToWriteAndNotToRead) {
  const std::string deep = folder_ + "/new/folder/book.sqlite";
  const Result<Book> missing = Book::open_existing(deep);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::kMissing);
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/new"));
  EXPECT_EQ(open_error(deep), "opened");
  EXPECT_TRUE(Book::open_existing(deep));
  EXPECT_THAT(open_error("/proc/none/book.sqlite"), HasSubstr("its folder cannot be made"));
}

TEST(BookPathTest, OptionComesBeforePenstockBookBeforeXdgBeforeHome) {
  ::setenv("HOME", "/h", 1);
  ::unsetenv("XDG_DATA_HOME");
  ::unsetenv("PENSTOCK_BOOK");
  EXPECT_EQ(*book_path(""), "/h/.local/share/penstock/book.sqlite");
  ::setenv("XDG_DATA_HOME", "relative", 1);
  EXPECT_EQ(*book_path(""), "/h/.local/share/penstock/book.sqlite");
  ::setenv("XDG_DATA_HOME", "/x", 1);
  EXPECT_EQ(*book_path(""), "/x/penstock/book.sqlite");
  ::setenv("PENSTOCK_BOOK", "/b.sqlite", 1);
  EXPECT_EQ(*book_path(""), "/b.sqlite");
  EXPECT_EQ(*book_path("mine"), "mine");
  ::unsetenv("PENSTOCK_BOOK");
  ::unsetenv("XDG_DATA_HOME");
  ::unsetenv("HOME");
  EXPECT_EQ(book_path("").error().kind, ErrorKind::kMissing);
}

}  // namespace
}  // namespace penstock::ledger
