// Traces that the project shares outside its repository.
#pragma once

#include <cstdlib>
#include <string>

namespace penstock::trace {

// The path of a file or folder below the shared traces, which may not be there.
inline std::string shared_trace(const std::string& name) {
  const char* root = std::getenv("PENSTOCK_SHARED");
  return std::string(root != nullptr ? root : PENSTOCK_SOURCE_DIR "/../shared") + "/data/cluster/" +
         name;
}

}  // namespace penstock::trace

#define PENSTOCK_SKIP_WITHOUT_SHARED_TRACES()                                     \
  if (!std::filesystem::exists(::penstock::trace::shared_trace("PROVENANCE.md"))) \
  GTEST_SKIP() << "the shared traces are absent; set PENSTOCK_SHARED"
