// A folder that only we can enter and that goes with its owner.
#pragma once

#include <string>

#include "penstock/core/result.h"

namespace penstock::train::internal {

class PrivateFolder {
 public:
  // Below $TMPDIR, or /tmp.
  static Result<PrivateFolder> create();
  PrivateFolder(PrivateFolder&& other) noexcept;
  PrivateFolder& operator=(PrivateFolder&& other) noexcept;
  ~PrivateFolder();
  const std::string& path() const { return path_; }

 private:
  explicit PrivateFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace penstock::train::internal
