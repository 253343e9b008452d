#include "penstock/hardware/catalog.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "penstock/core/file.h"
#include "penstock/hardware/internal/catalog_draft.h"

namespace penstock::hardware {
namespace {

namespace fs = std::filesystem;

template <typename Entry>
const Entry* find_sorted(const std::vector<Entry>& entries, const std::string& name) {
  const auto found =
      std::lower_bound(entries.begin(), entries.end(), name,
                       [](const Entry& entry, const std::string& key) { return entry.name < key; });
  return found != entries.end() && found->name == name ? &*found : nullptr;
}

template <typename Entry>
std::vector<Entry> entries_of(std::map<std::string, internal::Draft<Entry>> drafts) {
  std::vector<Entry> entries;
  for (auto& [name, draft] : drafts) entries.push_back(std::move(draft.entry));
  return entries;
}

bool is_folder(const fs::path& path) {
  std::error_code failure;
  return fs::is_directory(path, failure);
}

Result<fs::path> built_in_folder() {
  if (const char* named = std::getenv("PENSTOCK_CATALOG"); named != nullptr && *named != '\0') {
    if (is_folder(named)) return fs::path(named);
    return core::missing_error(named, "PENSTOCK_CATALOG names no folder",
                               "unset it or name a folder of .toml files");
  }
  std::error_code failure;
  const fs::path program = fs::read_symlink("/proc/self/exe", failure);
  const fs::path installed = program.parent_path() / PENSTOCK_CATALOG_INSTALL;
  // An installed program must not read the tree that it was built from.
  for (const fs::path& folder : {installed.lexically_normal(), fs::path(PENSTOCK_CATALOG_DIR)}) {
    if (is_folder(folder)) return folder;
  }
  return core::missing_error(installed.lexically_normal().string(), "the catalogue is not there",
                             "name its folder in PENSTOCK_CATALOG");
}

Result<std::vector<std::string>> built_in_files() {
  PENSTOCK_TRY(const fs::path folder, built_in_folder());
  std::vector<std::string> files;
  std::error_code failure;
  for (fs::directory_iterator it(folder, failure), end; !failure && it != end;
       it.increment(failure)) {
    if (it->path().extension() == ".toml") files.push_back(it->path().string());
  }
  if (failure)
    return core::missing_error(folder.string(), "cannot be listed: " + failure.message());
  if (files.empty()) {
    return core::missing_error(folder.string(), "holds no .toml file",
                               "name the catalogue's folder in PENSTOCK_CATALOG");
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

const std::vector<std::string>& precisions() {
  static const std::vector<std::string> kNames = {"fp8", "bf16", "fp16", "tf32", "fp32"};
  return kNames;
}

std::optional<FlopRate> Accelerator::rate(const std::string& precision) const {
  if (const auto exact = peak.find(precision); exact != peak.end()) return exact->second;
  const std::vector<std::string>& names = precisions();
  // bf16 and fp16 are equally wide, so each may stand for the other.
  auto next = std::find(names.begin(), names.end(), precision == "fp16" ? "bf16" : precision);
  for (; next != names.end(); ++next) {
    if (const auto wider = peak.find(*next); wider != peak.end()) return wider->second;
  }
  return std::nullopt;
}

const Accelerator* Catalog::find_accelerator(const std::string& name) const {
  return find_sorted(accelerators, name);
}
const Link* Catalog::find_link(const std::string& name) const { return find_sorted(links, name); }
const Instance* Catalog::find_instance(const std::string& name) const {
  return find_sorted(instances, name);
}

Result<Catalog> load_catalog(const std::vector<std::string>& user_files) {
  PENSTOCK_TRY(std::vector<std::string> files, built_in_files());
  const std::size_t built_in = files.size();
  files.insert(files.end(), user_files.begin(), user_files.end());

  internal::CatalogDraft draft;
  std::vector<Error> errors;
  std::string contents;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const Result<std::string> text = core::read_file(files[i]);
    if (!text) {
      errors.push_back(text.error());
      continue;
    }
    contents += std::to_string(text->size()) + ":" + *text;
    if (Status status = internal::add_file(draft, files[i], *text, i >= built_in); !status) {
      errors.push_back(std::move(status).error());
    }
  }
  internal::check_draft(draft, errors);
  if (!errors.empty()) return core::fail(core::join_errors(std::move(errors)));

  Catalog catalog;
  catalog.accelerators = entries_of(std::move(draft.accelerators));
  catalog.links = entries_of(std::move(draft.links));
  catalog.instances = entries_of(std::move(draft.instances));
  catalog.files = std::move(files);
  catalog.hash = core::content_hash(contents);
  return catalog;
}

}  // namespace penstock::hardware
