#include "penstock/train/internal/private_folder.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

namespace penstock::train::internal {

Result<PrivateFolder> PrivateFolder::create() {
  const char* parent = std::getenv("TMPDIR");
  std::string path =
      std::string(parent == nullptr || *parent == '\0' ? "/tmp" : parent) + "/penstock-XXXXXX";
  if (::mkdtemp(path.data()) != nullptr) return PrivateFolder(path);
  return core::missing_error(path,
                             fmt::format("no folder can be made there: {}", std::strerror(errno)),
                             "set TMPDIR to a folder that can be written");
}

PrivateFolder::PrivateFolder(PrivateFolder&& other) noexcept
    : path_(std::exchange(other.path_, "")) {}

PrivateFolder& PrivateFolder::operator=(PrivateFolder&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

PrivateFolder::~PrivateFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace penstock::train::internal
