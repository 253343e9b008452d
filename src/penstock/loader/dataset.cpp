#include "penstock/loader/dataset.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <system_error>

#include "penstock/loader/internal/tar.h"

namespace penstock::loader {
namespace {

namespace fs = std::filesystem;

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return text;
}

bool is_jpeg_name(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string::npos) return false;
  const std::string extension = lower(name.substr(dot));
  return extension == ".jpg" || extension == ".jpeg";
}

bool is_tar_name(const std::string& name) { return lower(name).ends_with(".tar"); }

tl::unexpected<Error> unreadable(const std::string& path, const std::error_code& why) {
  return core::missing_error(path, "cannot be read: " + why.message());
}

struct TreeFile {
  std::string name;  // below the root
  std::int64_t bytes = 0;
};

// Every image below `root`; other files are counted.
Result<std::vector<TreeFile>> images_below(const std::string& root, std::int64_t& ignored) {
  std::vector<TreeFile> found;
  std::error_code error;
  fs::recursive_directory_iterator at(root, fs::directory_options::follow_directory_symlink, error);
  if (error) return unreadable(root, error);
  std::string path = root;
  for (const fs::recursive_directory_iterator end; at != end;) {
    path = at->path().string();
    std::error_code type_error;
    if (at->is_regular_file(type_error)) {
      if (is_jpeg_name(path)) {
        const auto bytes = at->file_size(type_error);
        if (type_error) return unreadable(path, type_error);
        found.push_back(
            {at->path().lexically_relative(root).string(), static_cast<std::int64_t>(bytes)});
      } else {
        ++ignored;
      }
    } else if (at->is_directory(type_error) && ::access(path.c_str(), R_OK | X_OK) != 0) {
      return core::missing_error(path, std::string("cannot be read: ") + std::strerror(errno));
    }
    at.increment(error);
    if (error) return unreadable(path, error);
  }
  return found;
}

std::string class_of(const std::string& name) {
  const std::size_t slash = name.find('/');
  return slash == std::string::npos ? "." : name.substr(0, slash);
}

// WebDataset's key: up to the first dot of the last part of the name.
std::string key_of(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  const std::size_t from = slash == std::string::npos ? 0 : slash + 1;
  return name.substr(0, name.find('.', from));
}

// A class number written in decimal digits, alone in its member.
std::optional<std::int32_t> parse_class(const std::string& text) {
  std::int32_t label = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), label);
  if (error != std::errc() || label < 0) return std::nullopt;
  const std::string_view rest(end, text.size() - static_cast<std::size_t>(end - text.data()));
  if (rest.find_first_not_of(" \r\n") != std::string_view::npos) return std::nullopt;
  return label;
}

}  // namespace

Result<Dataset> Dataset::open(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    return core::missing_error(path, "no such folder",
                               "make a data set with: penstock load synth " + path);
  }
  Dataset data;
  data.root_ = path;
  if (fs::is_regular_file(status) && is_tar_name(path)) {
    PENSTOCK_TRY_STATUS(data.read_shards({path}));
    return data;
  }
  if (!fs::is_directory(status)) {
    return core::input_error(path, "is neither a folder nor a .tar file",
                             "name a folder of JPEG files or of tar shards");
  }
  std::vector<std::string> shards;
  fs::directory_iterator at(path, error);
  if (error) return unreadable(path, error);
  for (; at != fs::directory_iterator(); at.increment(error)) {
    if (is_tar_name(at->path().string())) shards.push_back(at->path().string());
  }
  if (error) return unreadable(path, error);  // a step that fails ends the walk
  if (shards.empty()) {
    PENSTOCK_TRY_STATUS(data.read_tree());
  } else {
    std::sort(shards.begin(), shards.end());
    PENSTOCK_TRY_STATUS(data.read_shards(shards));
  }
  return data;
}

Status Dataset::read_tree() {
  PENSTOCK_TRY(std::vector<TreeFile> found, images_below(root_, ignored_));
  if (found.empty()) {
    return core::input_error(root_, "has no .jpg or .jpeg file",
                             "name a folder of JPEG files, one subfolder a class");
  }
  std::sort(found.begin(), found.end(),
            [](const TreeFile& a, const TreeFile& b) { return a.name < b.name; });
  std::map<std::string, std::int32_t> labels;
  for (const TreeFile& file : found) labels[class_of(file.name)] = 0;
  for (auto& [name, label] : labels) {
    label = static_cast<std::int32_t>(classes_.size());
    classes_.push_back(name);
  }
  for (const TreeFile& file : found) {
    const auto index = static_cast<std::int32_t>(files_.size());
    files_.push_back((fs::path(root_) / file.name).string());
    samples_.push_back({0, file.bytes, index, labels[class_of(file.name)]});
    bytes_ += file.bytes;
  }
  return {};
}

Status Dataset::read_shards(const std::vector<std::string>& paths) {
  std::vector<Error> errors;
  for (const std::string& path : paths) {
    const Status status = read_shard(path);
    if (!status) errors.push_back(status.error());
  }
  if (!errors.empty()) return core::fail(core::join_errors(std::move(errors)));
  std::int32_t most = 0;
  for (const Sample& sample : samples_) most = std::max(most, sample.label);
  for (std::int32_t label = 0; label <= most; ++label) classes_.push_back(std::to_string(label));
  return {};
}

Status Dataset::read_shard(const std::string& path) {
  PENSTOCK_TRY(const std::vector<TarMember> members, read_tar_members(path));
  const auto file = static_cast<std::int32_t>(files_.size());
  files_.push_back(path);
  std::map<std::string, std::int32_t> labels;
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  for (const TarMember& member : members) {
    if (!member.name.ends_with(".cls")) continue;
    std::string text(static_cast<std::size_t>(std::min<std::int64_t>(member.bytes, 32)), '\0');
    const ssize_t got = ::pread(descriptor, text.data(), text.size(), member.offset);
    const std::optional<std::int32_t> label =
        got == static_cast<ssize_t>(text.size()) ? parse_class(text) : std::nullopt;
    if (!label) {
      ::close(descriptor);
      return core::input_error(path + ": " + member.name, "is no class number",
                               "write the class as a decimal number");
    }
    labels[key_of(member.name)] = *label;
  }
  ::close(descriptor);
  std::int64_t images = 0;
  for (const TarMember& member : members) {
    if (!is_jpeg_name(member.name)) {
      if (!member.name.ends_with(".cls")) ++ignored_;
      continue;
    }
    const auto label = labels.find(key_of(member.name));
    if (label == labels.end()) {
      return core::input_error(path + ": " + member.name, "has no class",
                               "put " + key_of(member.name) + ".cls beside it");
    }
    samples_.push_back({member.offset, member.bytes, file, label->second});
    members_.push_back(member.name);
    bytes_ += member.bytes;
    ++images;
  }
  if (images == 0) {
    return core::input_error(path, "has no .jpg or .jpeg member",
                             "remove the empty shard or write it again");
  }
  return {};
}

std::string Dataset::name(std::int64_t sample) const {
  const auto at = static_cast<std::size_t>(sample);
  const std::string& path = files_[static_cast<std::size_t>(samples_[at].file)];
  if (is_sharded()) return path + ":" + members_[at];
  return fs::path(path).lexically_relative(root_).string();
}

}  // namespace penstock::loader
