// The one door to libjpeg: the rows of a rectangle of a JPEG, perhaps at 1/2, 1/4 or 1/8.
//
//   JpegWindow jpeg;
//   if (!jpeg.open(bytes) || !jpeg.start({x, y, width, height}, 1)) ... jpeg.problem() ...
//   while (rows are missing) jpeg.read_rows(...);
//
// libjpeg reports errors by a long jump, so each call catches its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace penstock::loader {

struct PixelBox {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
};

class JpegWindow {
 public:
  JpegWindow();
  JpegWindow(const JpegWindow&) = delete;
  JpegWindow& operator=(const JpegWindow&) = delete;
  ~JpegWindow();

  bool open(std::span<const std::uint8_t> jpeg);
  int width() const;
  int height() const;

  // Prepares the rows of `box`, in pixels of the image divided by `denominator` (rounded up).
  bool start(const PixelBox& box, int denominator);
  // A row is as wide as the decoder's blocks ask: its pixel `left()` is the box's first.
  int row_pixels() const;
  int left() const;
  // Reads the next row of 4-byte pixels; `row` has room for row_pixels().
  bool read_row(std::uint8_t* row);
  // What went wrong; warnings of damaged data count too, once the rows are read.
  bool is_damaged() const;
  const char* problem() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace penstock::loader
