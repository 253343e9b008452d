#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "rules.h"

namespace penstock::architecture {
namespace {

namespace fs = std::filesystem;

std::string read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

bool is_text(const fs::path& path) {
  static const std::set<std::string> kExtensions = {
      "",     ".h",  ".cpp",  ".cu",  ".in", ".cmake", ".txt", ".md",  ".toml", ".json",
      ".mjs", ".js", ".html", ".css", ".sh", ".awk",   ".xml", ".yml", ".sql"};
  return kExtensions.contains(path.extension().string());
}

}  // namespace

std::vector<Room> parse_rooms(const std::string& text) {
  std::vector<Room> rooms;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    Room room;
    words >> room.name >> room.floor;
    for (std::string dep; words >> dep;) room.deps.push_back(dep);
    if (!room.name.empty()) rooms.push_back(std::move(room));
  }
  return rooms;
}

SourceTree read_source_tree(const std::string& root, const std::string& rooms_file) {
  SourceTree tree{.root = root, .files = {}, .rooms = parse_rooms(read_text(rooms_file))};
  for (auto it = fs::recursive_directory_iterator(root); it != fs::recursive_directory_iterator();
       ++it) {
    const std::string name = it->path().filename().string();
    if (it->is_directory()) {
      const bool made = name.starts_with("build") || name.starts_with("cmake-build");
      const bool hidden = name.starts_with(".") && name != ".ci";
      if (hidden || (made && it.depth() == 0)) it.disable_recursion_pending();
    } else if (it->is_regular_file() && is_text(it->path())) {
      tree.files[fs::relative(it->path(), root).generic_string()] = read_text(it->path());
    }
  }
  return tree;
}

}  // namespace penstock::architecture
