#include "penstock/loader/internal/tar.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "penstock/core/check.h"

namespace penstock::loader {
namespace {

constexpr std::int64_t kBlock = 512;
using Block = std::array<char, kBlock>;

// Fields of the header: offset and length (POSIX.1-2001, pax, "ustar Interchange Format").
struct Field {
  std::size_t at;
  std::size_t length;
};
constexpr Field kName = {0, 100};
constexpr Field kSize = {124, 12};
constexpr Field kChecksum = {148, 8};
constexpr std::size_t kType = 156;
constexpr Field kMagic = {257, 6};
constexpr Field kPrefix = {345, 155};

std::string_view text_of(const Block& block, Field field) {
  const std::string_view all(block.data() + field.at, field.length);
  return all.substr(0, all.find('\0'));
}

std::optional<std::int64_t> octal(const Block& block, Field field) {
  std::int64_t value = 0;
  // GNU: a set top bit means that a big-endian binary number follows.
  if ((static_cast<unsigned char>(block[field.at]) & 0x80) != 0) {
    for (std::size_t i = field.length - 7; i < field.length; ++i) {
      value = value * 256 + static_cast<unsigned char>(block[field.at + i]);
    }
    return value;
  }
  std::string_view text = text_of(block, field);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  if (text.empty()) return 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::int64_t checksum(const Block& block) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const bool in_field = i >= kChecksum.at && i < kChecksum.at + kChecksum.length;
    sum += in_field ? ' ' : static_cast<unsigned char>(block[i]);
  }
  return sum;
}

// What the records of a pax header say of the next member.
struct Override {
  std::string name;
  std::optional<std::int64_t> bytes;
};

// Records "LENGTH KEY=VALUE\n", the length of the whole record.
bool read_pax(std::string_view records, Override& next) {
  while (!records.empty() && records.front() != '\0') {
    std::size_t length = 0;
    const auto [end, error] =
        std::from_chars(records.data(), records.data() + records.size(), length);
    const auto digits = static_cast<std::size_t>(end - records.data());
    if (error != std::errc() || length <= digits + 2 || length > records.size()) return false;
    const std::string_view record = records.substr(digits + 1, length - digits - 2);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view key = record.substr(0, equals);
    const std::string_view value = record.substr(equals + 1);
    if (key == "path") next.name = value;
    if (key == "size") {
      std::int64_t bytes = 0;
      std::from_chars(value.data(), value.data() + value.size(), bytes);
      next.bytes = bytes;
    }
    records.remove_prefix(length);
  }
  return true;
}

class TarReader {
 public:
  TarReader(int descriptor, const std::string& path, std::int64_t size)
      : descriptor_(descriptor), path_(path), size_(size) {}
  TarReader(const TarReader&) = delete;
  TarReader& operator=(const TarReader&) = delete;
  ~TarReader() { ::close(descriptor_); }

  Result<std::vector<TarMember>> members() {
    std::vector<TarMember> members;
    Override next;
    while (at_ + kBlock <= size_) {
      Block block;
      PENSTOCK_TRY_STATUS(read(at_, block.data(), kBlock));
      if (block[0] == '\0') return members;  // the end is two empty blocks
      const std::optional<std::int64_t> stated = octal(block, kChecksum);
      const std::optional<std::int64_t> size = octal(block, kSize);
      if (!stated || *stated != checksum(block) || !size || *size < 0) {
        return error("the header is damaged or this is no tar file");
      }
      const char type = block[kType];
      const std::int64_t bytes = is_plain(type) ? next.bytes.value_or(*size) : *size;
      const std::int64_t data = at_ + kBlock;
      if (bytes > size_ - data) {
        return error(fmt::format("the member \"{}\" has {} bytes, but the file ends after {}",
                                 name_of(block, next), bytes, size_ - data));
      }
      if (type == 'x' || type == 'L') {
        PENSTOCK_TRY_STATUS(read_extension(type, data, bytes, next));
      } else {
        if (is_plain(type)) members.push_back({name_of(block, next), data, bytes});
        if (type != 'g') next = {};
      }
      at_ = data + (bytes + kBlock - 1) / kBlock * kBlock;
    }
    return members;
  }

 private:
  static bool is_plain(char type) { return type == '0' || type == '\0' || type == '7'; }

  static std::string name_of(const Block& block, const Override& next) {
    if (!next.name.empty()) return next.name;
    const std::string name(text_of(block, kName));
    const bool is_ustar = std::memcmp(block.data() + kMagic.at, "ustar\0", 6) == 0;
    const std::string_view prefix = is_ustar ? text_of(block, kPrefix) : "";
    return prefix.empty() ? name : std::string(prefix) + "/" + name;
  }

  Status read_extension(char type, std::int64_t data, std::int64_t bytes, Override& next) {
    constexpr std::int64_t kMost = 1 << 20;
    if (bytes > kMost) return error("the extended header is too long");
    std::string text(static_cast<std::size_t>(bytes), '\0');
    PENSTOCK_TRY_STATUS(read(data, text.data(), bytes));
    if (type == 'L') {
      next.name = text.substr(0, text.find('\0'));
    } else if (!read_pax(text, next)) {
      return error("the extended header is damaged");
    }
    return {};
  }

  Status read(std::int64_t at, char* to, std::int64_t bytes) {
    std::int64_t done = 0;
    while (done < bytes) {
      const ssize_t got =
          ::pread(descriptor_, to + done, static_cast<std::size_t>(bytes - done), at + done);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return error(std::string("cannot be read: ") + std::strerror(errno));
      done += got;
    }
    return {};
  }

  tl::unexpected<Error> error(std::string message) const {
    return core::input_error(fmt::format("{}: byte {}", path_, at_), std::move(message),
                             "write the shard again");
  }

  int descriptor_;
  std::string path_;
  std::int64_t size_;
  std::int64_t at_ = 0;
};

}  // namespace

Result<std::vector<TarMember>> read_tar_members(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info = {};
  if (descriptor < 0 || ::fstat(descriptor, &info) != 0) {
    const std::string why = std::strerror(errno);
    if (descriptor >= 0) ::close(descriptor);
    return core::missing_error(path, "cannot be opened: " + why);
  }
  return TarReader(descriptor, path, info.st_size).members();
}

std::string tar_header(const std::string& name, std::int64_t bytes) {
  PENSTOCK_CHECK(name.size() < kName.length);
  Block block = {};
  const auto put = [&block](std::size_t at, const std::string& text) {
    std::memcpy(block.data() + at, text.data(), text.size());
  };
  put(kName.at, name);
  put(100, "0000644");  // mode
  put(108, "0000000");  // owner
  put(116, "0000000");  // group
  put(kSize.at, fmt::format("{:011o}", bytes));
  put(136, "00000000000");  // time: the same bytes at any time
  block[kType] = '0';
  put(kMagic.at, "ustar");
  put(263, "00");
  put(kChecksum.at, fmt::format("{:06o}", checksum(block)));
  block[kChecksum.at + 7] = ' ';
  return std::string(block.data(), block.size());
}

}  // namespace penstock::loader
