// penstock book list|show|add|remove: the ledgers that were kept.
#include <fmt/format.h>

#include <algorithm>

#include "penstock/cli/command.h"
#include "penstock/core/table.h"
#include "penstock/ledger/book.h"
#include "penstock/ledger/find.h"
#include "penstock/version.h"

namespace penstock::cli {

std::unique_ptr<Command> make_book_command();

namespace {

using core::Json;
using core::Table;
using ledger::Book;
using ledger::BookAddition;
using ledger::BookEntry;
using ledger::NamedLedger;

std::string entries_text(const std::vector<BookEntry>& entries) {
  constexpr auto kRight = Table::Align::kRight;
  Table table({{"id", kRight},
               {"added"},
               {"kind"},
               {"title"},
               {"evidence"},
               {"whole", kRight},
               {"cost", kRight}});
  for (const BookEntry& entry : entries) {
    table.add_row({fmt::format("{}", entry.id), entry.added_at, entry.kind, entry.title,
                   std::string(evidence_name(entry.evidence)), core::format_quantity(entry.whole),
                   entry.cost ? core::format_quantity(*entry.cost) : "-"});
  }
  return table.text();
}

// Where an entry came from, one line a member; whole objects are for --json.
std::string payload_text(const Json& payload) {
  std::string text;
  for (const auto& [key, value] : payload.items()) {
    const std::string shown = value.is_structured() ? "(see --json)"
                              : value.is_string()   ? value.get<std::string>()
                                                    : value.dump();
    text += fmt::format("{:<14} {}\n", key, shown);
  }
  return text;
}

// "plan" of the schema "penstock-plan/1"; the command's name where a result gives one.
std::string kind_of(const Json& document) {
  if (!document.is_object()) return "result";
  const auto text = [&](const char* key) {
    const auto member = document.find(key);
    return member != document.end() && member->is_string() ? member->get<std::string>() : "";
  };
  if (const std::string command = text("command"); !command.empty()) return command;
  const std::string schema = text("schema");
  constexpr std::string_view kPrefix = "penstock-";
  const std::size_t slash = schema.find('/');
  if (!schema.starts_with(kPrefix) || slash == std::string::npos || slash == kPrefix.size()) {
    return "result";
  }
  return schema.substr(kPrefix.size(), slash - kPrefix.size());
}

// What one file adds; kept together, since a BookAddition only refers to it.
struct Contribution {
  NamedLedger named;
  std::string kind;
  Json payload;
};

Result<std::vector<Contribution>> read_contributions(const std::string& file,
                                                     const std::string& kind) {
  PENSTOCK_TRY(const Json document, core::read_json(file));
  PENSTOCK_TRY(std::vector<NamedLedger> found, ledger::find_ledgers(document, file));
  std::vector<Contribution> contributions;
  for (NamedLedger& named : found) {
    Json payload = {{"file", file}};
    if (!named.path.empty()) payload["path"] = named.path;
    if (named.name != named.ledger.title()) payload["name"] = named.name;
    payload.update(ledger::without_ledgers(document));
    contributions.push_back(
        {std::move(named), kind.empty() ? kind_of(document) : kind, std::move(payload)});
  }
  return contributions;
}

class BookCommand : public Command {
 public:
  std::string name() const override { return "book"; }
  std::string summary() const override { return "Keep ledgers for later plans and comparisons"; }
  std::string example() const override {
    return "penstock book add examples/ledgers/two-boards-plan.json";
  }

  void declare(CLI::App& app) override {
    app.require_subcommand(1);
    list_ = declare_verb(app, "list", "List the entries, oldest first",
                         "penstock book list --kind plan");
    list_->add_option("--kind", kind_, "Only entries of this kind");

    show_ =
        declare_verb(app, "show", "Show one entry and where it came from", "penstock book show 1");
    show_->add_option("ENTRY", names_, "Its id, its title or the beginning of its title")
        ->required()
        ->type_name("")
        ->expected(1);

    add_ = declare_verb(app, "add", "Add every ledger of files, all or none", example());
    add_->add_option("FILE", names_, "A ledger, or any result that holds some")
        ->required()
        ->type_name("");
    add_->add_option("--kind", kind_, "What made them; by default what the file says");

    remove_ = declare_verb(app, "remove", "Remove entries", "penstock book remove 1");
    remove_->add_option("ENTRY", names_, "Id, title or the beginning of a title")
        ->required()
        ->type_name("");
  }

  Status run() override {
    PENSTOCK_TRY(const std::string path, ledger::book_path(book_));
    if (add_->parsed()) return add(path);
    PENSTOCK_TRY(Book book, Book::open_existing(path));
    if (list_->parsed()) return list(book);
    return show_->parsed() ? show(book) : remove(book);
  }

 private:
  CLI::App* declare_verb(CLI::App& app, const std::string& verb, const std::string& summary,
                         const std::string& example) {
    CLI::App* sub = app.add_subcommand(verb, summary);
    sub->footer("Example:\n  " + example);
    sub->add_option("--book", book_,
                    "The book's file; by default $PENSTOCK_BOOK or "
                    "~/.local/share/penstock/book.sqlite")
        ->type_name("FILE");
    output_.declare(*sub);
    return sub;
  }

  Json document(const Book& book) const { return {{"version", kVersion}, {"book", book.path()}}; }

  Status emit_entries(const Book& book, const std::vector<BookEntry>& entries,
                      const std::string& human) const {
    Json json = document(book);
    json["entries"] = Json::array();
    for (const BookEntry& entry : entries) json["entries"].push_back(entry.to_json());
    return output_.emit(json, human);
  }

  Status list(Book& book) const {
    PENSTOCK_TRY(const std::vector<BookEntry> entries, book.list(kind_));
    return emit_entries(book, entries, entries.empty() ? "no entries\n" : entries_text(entries));
  }

  Status show(Book& book) const {
    PENSTOCK_TRY(const BookEntry entry, book.find(names_.front()));
    PENSTOCK_TRY(const ledger::Ledger kept, book.ledger_of(entry.id));
    PENSTOCK_TRY(const Json payload, book.payload_of(entry.id));
    Json json = document(book);
    json["entry"] = entry.to_json();
    json["payload"] = payload;
    json["ledger"] = kept.to_json();
    const std::string human = fmt::format("{:<14} {}\n{:<14} {}\n{:<14} {}\n{}\n{}\n{}", "id",
                                          entry.id, "kind", entry.kind, "added", entry.added_at,
                                          payload_text(payload), kept.heading(), kept.table());
    return output_.emit(json, human);
  }

  Status add(const std::string& path) const {
    std::vector<Contribution> contributions;
    std::vector<Error> errors;
    for (const std::string& file : names_) {
      Result<std::vector<Contribution>> read = read_contributions(file, kind_);
      if (!read) {
        errors.push_back(read.error());
        continue;
      }
      for (Contribution& contribution : *read) contributions.push_back(std::move(contribution));
    }
    if (!errors.empty()) return core::fail(core::join_errors(std::move(errors)));
    std::vector<BookAddition> additions;
    for (const Contribution& each : contributions) {
      additions.push_back({each.named.ledger, each.kind, each.payload});
    }
    PENSTOCK_TRY(Book book, Book::open(path));
    PENSTOCK_TRY(const std::vector<std::int64_t> ids, book.add_all(additions));
    std::vector<BookEntry> entries;
    for (const std::int64_t id : ids) {
      PENSTOCK_TRY(BookEntry entry, book.find(fmt::format("{}", id)));
      entries.push_back(std::move(entry));
    }
    return emit_entries(book, entries, entries_text(entries) + "in " + path + "\n");
  }

  Status remove(Book& book) const {
    std::vector<BookEntry> entries;
    for (const std::string& name : names_) {
      PENSTOCK_TRY(BookEntry entry, book.find(name));
      const bool named_twice = std::any_of(entries.begin(), entries.end(),
                                           [&](const BookEntry& e) { return e.id == entry.id; });
      if (!named_twice) entries.push_back(std::move(entry));
    }
    std::string human;
    for (const BookEntry& entry : entries) {
      PENSTOCK_TRY_STATUS(book.remove(entry.id));
      human += fmt::format("removed {}: {}\n", entry.id, entry.title);
    }
    return emit_entries(book, entries, human);
  }

  CLI::App* list_ = nullptr;
  CLI::App* show_ = nullptr;
  CLI::App* add_ = nullptr;
  CLI::App* remove_ = nullptr;
  std::string book_;
  std::string kind_;
  std::vector<std::string> names_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_book_command() { return std::make_unique<BookCommand>(); }

}  // namespace penstock::cli
