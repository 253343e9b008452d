#include "rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <set>
#include <string_view>

namespace penstock::architecture {
namespace {

constexpr std::string_view kRooms = "src/penstock/";

struct Library {
  std::string_view prefix;  // of the included path
  std::set<std::string_view> rooms;
};

const std::vector<Library>& heavy_libraries() {
  static const std::vector<Library> kLibraries = {
      {"sqlite3", {"ledger"}},
      {"onnx/", {"model"}},
      {"google/protobuf/", {"model"}},
      {"toml++/", {"core"}},
      {"CLI/", {"cli"}},
      {"torch/", {"train", "serve"}},
      {"ATen/", {"train", "serve"}},
      {"c10/", {"train", "serve"}},
      {"cuda", {"device", "embedding"}},
      {"cublas", {"device", "embedding"}},
      {"grpc", {"serve"}},
      {"slurm/", {"cluster"}},
  };
  return kLibraries;
}

bool is_code(std::string_view path) {
  return path.ends_with(".h") || path.ends_with(".cpp") || path.ends_with(".cu");
}

// The room that a path lies in, or "".
std::string room_of(std::string_view path) {
  if (!path.starts_with(kRooms)) return "";
  path.remove_prefix(kRooms.size());
  const std::size_t slash = path.find('/');
  return slash == std::string_view::npos ? "" : std::string(path.substr(0, slash));
}

bool is_test(std::string_view path) {
  return path.find("/tests/") != std::string_view::npos || path.starts_with("tests/");
}

bool is_public_header(std::string_view path) {
  const std::string room = room_of(path);
  if (room.empty() || !path.ends_with(".h")) return false;
  return path.find('/', kRooms.size() + room.size() + 1) == std::string_view::npos;
}

void for_each_line(std::string_view text,
                   const std::function<void(std::size_t number, std::string_view line)>& body) {
  std::size_t number = 1;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    body(number++, text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// The path between the quotes or brackets of an #include, or "".
std::string_view included_path(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  if (!line.starts_with("#include")) return "";
  const std::size_t open = line.find_first_of("\"<");
  if (open == std::string_view::npos) return "";
  const std::size_t close = line.find_first_of("\">", open + 1);
  return close == std::string_view::npos ? "" : line.substr(open + 1, close - open - 1);
}

void for_each_include(const SourceTree& tree,
                      const std::function<void(const std::string& path, std::size_t number,
                                               std::string_view included)>& body) {
  for (const auto& [path, text] : tree.files) {
    if (!is_code(path)) continue;
    for_each_line(text, [&, &p = path](std::size_t number, std::string_view line) {
      if (const std::string_view included = included_path(line); !included.empty()) {
        body(p, number, included);
      }
    });
  }
}

const Room* find_room(const SourceTree& tree, std::string_view name) {
  const auto it = std::find_if(tree.rooms.begin(), tree.rooms.end(),
                               [&](const Room& room) { return room.name == name; });
  return it == tree.rooms.end() ? nullptr : &*it;
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// Whether `text` has `word` with no letter, digit or underscore beside it.
bool has_word(std::string_view text, std::string_view word) {
  for (std::size_t at = text.find(word); at != std::string_view::npos;
       at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end]))) {
      return true;
    }
  }
  return false;
}

// Whether `text` has a path that begins with `start`; "a/home/b", "$x/home/b" and "../home/b" are
// relative to something.
bool has_absolute(std::string_view text, std::string_view start) {
  for (std::size_t at = text.find(start); at != std::string_view::npos;
       at = text.find(start, at + 1)) {
    const char before = at == 0 ? ' ' : text[at - 1];
    if (!is_word(before) && std::string_view(".-})]*").find(before) == std::string_view::npos) {
      return true;
    }
  }
  return false;
}

// "PlanBuilder" and "plan_builder" are plan, builder.
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words(1);
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto c = static_cast<unsigned char>(name[i]);
    const bool capital =
        std::isupper(c) && i > 0 && std::islower(static_cast<unsigned char>(name[i - 1]));
    if (!std::isalnum(c) || capital) words.emplace_back();
    if (std::isalnum(c)) words.back() += static_cast<char>(std::tolower(c));
  }
  return words;
}

std::string empty_word_in(std::string_view name) {
  static const std::set<std::string> kEmpty = {"util",   "utils", "helper",  "helpers",
                                               "common", "misc",  "manager", "base"};
  for (const std::string& word : words_of(name)) {
    if (kEmpty.contains(word)) return word;
  }
  return "";
}

// The name that a line declares as a type or namespace, or "".
std::string_view declared_name(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  for (const std::string_view keyword :
       {"class ", "struct ", "enum class ", "enum ", "union ", "namespace ", "concept "}) {
    if (!line.starts_with(keyword)) continue;
    line.remove_prefix(keyword.size());
    const std::size_t end = std::min(
        line.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_:"),
        line.size());
    if (keyword == "enum " && line.substr(0, end) == "class") continue;
    return line.substr(0, end);
  }
  return "";
}

}  // namespace

Breaches wrong_includes(const SourceTree& tree) {
  Breaches breaches;
  for_each_include(tree, [&](const std::string& path, std::size_t number,
                             std::string_view included) {
    const std::string here = room_of(path);
    if (here.empty() || !included.starts_with("penstock/")) return;
    const std::string there = room_of("src/" + std::string(included));
    if (there.empty()) return;
    const bool internal = included.find("/internal/") != std::string_view::npos;
    if (there == here) {
      if (internal && is_public_header(path)) {
        breaches.push_back(
            fmt::format("{}:{}: a public header includes {}", path, number, included));
      }
      return;
    }
    if (internal) {
      breaches.push_back(fmt::format("{}:{}: {} is internal to {}", path, number, included, there));
    }
    const Room* from = find_room(tree, here);
    const Room* to = find_room(tree, there);
    if (from == nullptr) return;  // incomplete_rooms() reports it
    const auto& deps = from->deps;
    if (std::find(deps.begin(), deps.end(), there) == deps.end()) {
      breaches.push_back(
          fmt::format("{}:{}: {} is not in the DEPS of {}", path, number, there, here));
    }
    if (to == nullptr || to->floor >= from->floor) {
      breaches.push_back(
          fmt::format("{}:{}: {} is not on a floor below {}", path, number, there, here));
    }
  });
  return breaches;
}

Breaches libraries_past_their_door(const SourceTree& tree) {
  Breaches breaches;
  for_each_include(
      tree, [&](const std::string& path, std::size_t number, std::string_view included) {
        for (const Library& library : heavy_libraries()) {
          if (included.starts_with(library.prefix) && !library.rooms.contains(room_of(path))) {
            breaches.push_back(fmt::format("{}:{}: {} may be included only in {}", path, number,
                                           included, fmt::join(library.rooms, ", ")));
          }
        }
      });
  return breaches;
}

Breaches stream_headers(const SourceTree& tree) {
  Breaches breaches;
  for_each_include(tree,
                   [&](const std::string& path, std::size_t number, std::string_view included) {
                     if (included == "iostream" && !room_of(path).empty() && !is_test(path)) {
                       breaches.push_back(fmt::format("{}:{}: includes <iostream>", path, number));
                     }
                   });
  return breaches;
}

Breaches too_many_headers(const SourceTree& tree) {
  std::map<std::string, int> counts;
  for (const auto& [path, text] : tree.files) {
    if (is_public_header(path)) ++counts[room_of(path)];
  }
  Breaches breaches;
  for (const auto& [room, count] : counts) {
    const int cap = room == "core" ? 25 : 12;
    if (count > cap) {
      breaches.push_back(
          fmt::format("{}{}: {} public headers, above {}", kRooms, room, count, cap));
    }
  }
  return breaches;
}

Breaches incomplete_rooms(const SourceTree& tree) {
  Breaches breaches;
  std::set<std::string> folders;
  std::set<std::string> tested;
  for (const auto& [path, text] : tree.files) {
    const std::string room = room_of(path);
    if (room.empty()) continue;
    folders.insert(room);
    if (is_test(path) && path.ends_with("_test.cpp")) tested.insert(room);
  }
  for (const std::string& room : folders) {
    const std::string folder = std::string(kRooms) + room;
    if (find_room(tree, room) == nullptr) {
      breaches.push_back(folder + ": no penstock_room() declares it");
    }
    if (!tree.files.contains(folder + "/README.md")) breaches.push_back(folder + ": no README.md");
    if (!tested.contains(room)) breaches.push_back(folder + ": no tests/*_test.cpp");
  }
  return breaches;
}

Breaches empty_names(const SourceTree& tree) {
  Breaches breaches;
  for (const auto& [path, text] : tree.files) {
    if (const std::string word = empty_word_in(path); !word.empty()) {
      breaches.push_back(fmt::format("{}: \"{}\" says nothing", path, word));
    }
    if (!is_code(path)) continue;
    for_each_line(text, [&, &p = path](std::size_t number, std::string_view line) {
      const std::string_view name = declared_name(line);
      if (const std::string word = empty_word_in(name); !word.empty()) {
        breaches.push_back(fmt::format("{}:{}: {}: \"{}\" says nothing", p, number, name, word));
      }
    });
  }
  return breaches;
}

Breaches long_files(const SourceTree& tree, const std::string& allowed) {
  std::set<std::string> excused;
  Breaches breaches;
  for_each_line(allowed, [&](std::size_t number, std::string_view line) {
    if (line.empty() || line.starts_with('#')) return;
    const std::size_t space = std::min(line.find(' '), line.size());
    excused.emplace(line.substr(0, space));
    if (line.find_first_not_of(' ', space) == std::string_view::npos) {
      breaches.push_back(fmt::format("allowed:{}: no reason given", number));
    }
  });
  for (const auto& [path, text] : tree.files) {
    if (!is_code(path) && !path.ends_with(".mjs") && !path.ends_with(".cmake")) continue;
    const auto lines = std::count(text.begin(), text.end(), '\n');
    if (lines > 600 && excused.erase(path) == 0) {
      breaches.push_back(fmt::format("{}: {} lines, above 600", path, lines));
    }
  }
  for (const std::string& path : excused) {
    breaches.push_back(path + ": excused for its length, and not that long");
  }
  return breaches;
}

Breaches machine_paths(const SourceTree& tree) {
  std::vector<std::string> starts = {"/home/", "/root/",  "/Users/",    "/mnt/",
                                     "/srv/",  "/media/", "/workspace/"};
  starts.push_back(tree.root + "/");
  Breaches breaches;
  for (const auto& [path, text] : tree.files) {
    if (path == "tests/architecture/rules.cpp") continue;  // names them in the list above
    for_each_line(text, [&, &p = path](std::size_t number, std::string_view line) {
      for (const std::string& start : starts) {
        if (has_absolute(line, start)) {
          breaches.push_back(fmt::format("{}:{}: names a path below {}", p, number, start));
        }
      }
    });
  }
  return breaches;
}

Breaches unfinished_work(const SourceTree& tree) {
  // In two parts, so that this file does not break its own rule.
  static const std::vector<std::string> kMarks = {std::string("TO") + "DO",
                                                  std::string("FIX") + "ME"};
  Breaches breaches;
  for (const auto& [path, text] : tree.files) {
    for_each_line(text, [&, &p = path](std::size_t number, std::string_view line) {
      for (const std::string& mark : kMarks) {
        if (has_word(line, mark)) breaches.push_back(fmt::format("{}:{}: {}", p, number, mark));
      }
    });
  }
  return breaches;
}

Breaches sleeping_tests(const SourceTree& tree) {
  static const std::vector<std::string> kCalls = {"sleep_for", "sleep_until", "usleep",
                                                  "nanosleep"};
  Breaches breaches;
  for (const auto& [path, text] : tree.files) {
    if (!is_test(path) || !is_code(path)) continue;
    for_each_line(text, [&, &p = path](std::size_t number, std::string_view line) {
      for (const std::string& call : kCalls) {
        if (line.find(call + "(") != std::string_view::npos) {
          breaches.push_back(fmt::format("{}:{}: sleeps", p, number));
        }
      }
    });
  }
  return breaches;
}

}  // namespace penstock::architecture
