// A folder of small JPEG files for a test, which goes when the test ends.
#pragma once

#include <gtest/gtest.h>
#include <turbojpeg.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "penstock/core/file.h"
#include "penstock/core/random.h"
#include "penstock/loader/internal/tar.h"

namespace penstock::loader {

// Some 90 x 70 pixels that depend on `index`, 2 to 4 kB.
inline std::string small_jpeg(int index) {
  const int width = 80 + index % 20;
  const int height = 60 + index % 17;
  core::RandomStream random(static_cast<std::uint64_t>(index), "small");
  std::vector<unsigned char> pixels(static_cast<std::size_t>(3 * width * height));
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const double wave = 80 * std::sin(0.01 * static_cast<double>(i) * (1 + index % 7));
    pixels[i] = static_cast<unsigned char>(128 + wave + 20 * random.uniform());
  }
  tjhandle handle = tjInitCompress();
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  tjCompress2(handle, pixels.data(), width, 0, height, TJPF_RGB, &buffer, &size, TJSAMP_420, 80, 0);
  std::string jpeg(reinterpret_cast<const char*>(buffer), size);
  tjFree(buffer);
  tjDestroy(handle);
  return jpeg;
}

class SmallData : public ::testing::Test {
 protected:
  SmallData() {
    std::string pattern = (std::filesystem::temp_directory_path() / "loader-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~SmallData() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string write(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    EXPECT_TRUE(core::write_file(path(name), bytes));
    return path(name);
  }
  static std::string number(int index) {
    const std::string digits = std::to_string(index);
    return std::string(4 - digits.size(), '0') + digits;
  }
  // `count` images of three classes below `name`.
  std::string write_tree(const std::string& name, int count) const {
    for (int i = 0; i < count; ++i) {
      write(name + "/class-" + std::to_string(i % 3) + "/" + number(i) + ".jpg", small_jpeg(i));
    }
    return path(name);
  }
  static std::string member(const std::string& name, const std::string& bytes) {
    std::string text = tar_header(name, static_cast<std::int64_t>(bytes.size())) + bytes;
    text.append((512 - bytes.size() % 512) % 512, '\0');
    return text;
  }
  // The same images, in the order in which a tree of them is read.
  std::string write_shards(const std::string& name, int count) const {
    std::string shards[2];
    int at = 0;
    for (int label = 0; label < 3; ++label) {
      for (int i = label; i < count; i += 3, ++at) {
        std::string& shard = shards[at < count / 2 ? 0 : 1];
        shard += member(number(i) + ".jpg", small_jpeg(i));
        shard += member(number(i) + ".cls", std::to_string(label) + "\n");
      }
    }
    write(name + "/0.tar", shards[0] + std::string(1024, '\0'));
    write(name + "/1.tar", shards[1] + std::string(1024, '\0'));
    return path(name);
  }

  std::string folder_;
};

}  // namespace penstock::loader
