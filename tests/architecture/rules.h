// The rules of the house as functions from a source tree to the list of what breaks them.
//
//   const SourceTree tree = read_source_tree(root, rooms_file);
//   EXPECT_THAT(wrong_includes(tree), IsEmpty());
//
// A tree is plain data, so that each rule is also shown to find what it looks for.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace penstock::architecture {

// As penstock_room() declared it.
struct Room {
  std::string name;
  int floor = 0;
  std::vector<std::string> deps;
};

struct SourceTree {
  std::string root;                          // absolute; no file may name it
  std::map<std::string, std::string> files;  // text by path below the root
  std::vector<Room> rooms;
};

// Reads every text file below `root` except build folders and version control. `rooms_file` holds
// one room a line: name, floor, and the rooms that it may include.
SourceTree read_source_tree(const std::string& root, const std::string& rooms_file);
std::vector<Room> parse_rooms(const std::string& text);

// One line for each breach, in the form "path:line: what is wrong".
using Breaches = std::vector<std::string>;

// Includes of a room that is not in the room's DEPS or not on a lower floor; of another room's
// internal headers; of an internal header from a public one.
Breaches wrong_includes(const SourceTree& tree);
// Heavy libraries included outside the rooms that are their door.
Breaches libraries_past_their_door(const SourceTree& tree);
// Standard streams in libraries: each translation unit would get a static initialiser.
Breaches stream_headers(const SourceTree& tree);
// More than 25 public headers in core, or 12 in another room.
Breaches too_many_headers(const SourceTree& tree);
// Rooms without README.md, without tests, or never declared.
Breaches incomplete_rooms(const SourceTree& tree);
// Files, folders, types and namespaces whose name says nothing.
Breaches empty_names(const SourceTree& tree);
// Files over 600 lines that `allowed` ("path reason" a line) does not name, and entries of
// `allowed` that are not needed.
Breaches long_files(const SourceTree& tree, const std::string& allowed);
// Paths of somebody's machine: home folders, mounts, the root of this checkout.
Breaches machine_paths(const SourceTree& tree);
// Marks of unfinished work, and sleeps in tests.
Breaches unfinished_work(const SourceTree& tree);
Breaches sleeping_tests(const SourceTree& tree);

}  // namespace penstock::architecture
