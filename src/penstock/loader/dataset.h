// The index of a data set: which bytes of which file are a sample, and its class.
//
//   PENSTOCK_TRY(const Dataset data, Dataset::open("imagenet/train"));
//   data.samples().size();  data.name(17);      // "n01440764/n01440764_10026.JPEG"
//
// Either a folder tree whose first level of folders are the classes, sorted byte by byte (images
// above them are a class of their own, "."), or tar shards in WebDataset's layout (NAME.jpg and
// NAME.cls side by side), read in place without unpacking. Other files are counted and left alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "penstock/core/result.h"

namespace penstock::loader {

struct Sample {
  std::int64_t offset = 0;  // in its file
  std::int64_t bytes = 0;
  std::int32_t file = 0;
  std::int32_t label = 0;
};

class Dataset {
 public:
  // `path` is a folder of images, a folder of .tar files, or one .tar file.
  static Result<Dataset> open(const std::string& path);

  const std::vector<Sample>& samples() const { return samples_; }
  const std::vector<std::string>& files() const { return files_; }  // paths
  const std::vector<std::string>& classes() const { return classes_; }
  std::string name(std::int64_t sample) const;  // within the data set
  const std::string& root() const { return root_; }
  bool is_sharded() const { return !members_.empty(); }
  std::int64_t bytes() const { return bytes_; }      // of all samples
  std::int64_t ignored() const { return ignored_; }  // files that are no JPEG by name

 private:
  Status read_tree();
  Status read_shards(const std::vector<std::string>& paths);
  Status read_shard(const std::string& path);

  std::string root_;
  std::vector<std::string> files_;
  std::vector<std::string> classes_;
  std::vector<std::string> members_;  // names inside shards
  std::vector<Sample> samples_;
  std::int64_t bytes_ = 0;
  std::int64_t ignored_ = 0;
};

}  // namespace penstock::loader
