// A folder that only we can enter and that goes with its owner.
//
//   PENSTOCK_TRY(const PrivateFolder folder, PrivateFolder::create());
//   ... write to folder.path() + "/job.json" ...
//
// What a killed process has left goes when the next folder is made beside it: an owner holds a lock
// on its folder, which the kernel takes back with the process.
#pragma once

#include <string>
#include <utility>

#include "penstock/core/result.h"

namespace penstock::core {

class PrivateFolder {
 public:
  // Below `parent`; by default $TMPDIR, or /tmp.
  static Result<PrivateFolder> create(std::string parent = "");
  PrivateFolder(PrivateFolder&& other) noexcept;
  PrivateFolder& operator=(PrivateFolder&& other) noexcept;
  ~PrivateFolder();
  const std::string& path() const { return path_; }

 private:
  PrivateFolder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  std::string path_;
  int lock_ = -1;
};

}  // namespace penstock::core
