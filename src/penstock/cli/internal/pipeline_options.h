// The options of a loader that load bench and load run share.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "penstock/core/result.h"
#include "penstock/loader/pipeline.h"

namespace penstock::cli {

struct PipelineWords {
  loader::PipelineOptions options;
  std::int32_t batch = 32;
  std::int32_t slots = 4;
  bool drop_caches = false;

  void declare(CLI::App& app);
  // Turns words into `options`.
  Status read();
  train::BatchShape shape() const {
    return {batch, 3, options.image.size, options.image.size, slots};
  }

 private:
  std::string cache_ = "page";
  std::string cache_size_;
  std::string disk_limit_;
};

}  // namespace penstock::cli
