#include "penstock/loader/internal/jpeg_window.h"

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>

// Uses the declarations of <cstdio> and <cstddef>.
#include <jerror.h>
#include <jpeglib.h>

namespace penstock::loader {

struct JpegWindow::State {
  jpeg_decompress_struct info = {};
  jpeg_error_mgr errors = {};
  std::jmp_buf escape = {};
  char message[JMSG_LENGTH_MAX] = {};
  bool damaged = false;
  int left = 0;
  JSAMPROW row = nullptr;

  static State& of(j_common_ptr info) { return *static_cast<State*>(info->client_data); }
  [[noreturn]] static void on_error(j_common_ptr info) {
    State& state = of(info);
    (*info->err->format_message)(info, state.message);
    state.damaged = true;
    std::longjmp(state.escape, 1);
  }
  // Of the warnings (level below 0) only these mean that pixels are made up; stray bytes between
  // segments, which every decoder tolerates, do not.
  static void on_message(j_common_ptr info, int level) {
    if (level >= 0) return;
    State& state = of(info);
    switch (info->err->msg_code) {
      case JWRN_JPEG_EOF:
      case JWRN_HIT_MARKER:
      case JWRN_HUFF_BAD_CODE:
      case JWRN_MUST_RESYNC:
        if (!state.damaged) (*info->err->format_message)(info, state.message);
        state.damaged = true;
        break;
      default:
        break;
    }
  }
  static void no_output(j_common_ptr /*info*/) {}
};

JpegWindow::JpegWindow() : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.info.err = jpeg_std_error(&s.errors);
  s.errors.error_exit = State::on_error;
  s.errors.emit_message = State::on_message;
  s.errors.output_message = State::no_output;
  s.info.client_data = &s;
  if (setjmp(s.escape) != 0) return;
  jpeg_create_decompress(&s.info);
}

JpegWindow::~JpegWindow() { jpeg_destroy_decompress(&state_->info); }

bool JpegWindow::open(std::span<const std::uint8_t> jpeg) {
  State& s = *state_;
  s.damaged = false;
  s.message[0] = '\0';
  if (setjmp(s.escape) != 0) return false;
  jpeg_abort_decompress(&s.info);
  jpeg_mem_src(&s.info, jpeg.data(), jpeg.size());
  jpeg_read_header(&s.info, TRUE);
  return true;
}

int JpegWindow::width() const { return static_cast<int>(state_->info.image_width); }
int JpegWindow::height() const { return static_cast<int>(state_->info.image_height); }

bool JpegWindow::start(const PixelBox& box, int denominator) {
  State& s = *state_;
  if (setjmp(s.escape) != 0) return false;
  const bool four_inks = s.info.num_components == 4;
  s.info.out_color_space = four_inks ? JCS_CMYK : JCS_EXT_RGBX;
  s.info.scale_num = 1;
  s.info.scale_denom = static_cast<unsigned>(denominator);
  jpeg_start_decompress(&s.info);
  // Two columns more on each side, because the chroma of a pixel is interpolated from its
  // neighbours.
  constexpr int kMargin = 2;
  const int begin = std::max(0, box.x - kMargin);
  const int end = std::min(static_cast<int>(s.info.output_width), box.x + box.width + kMargin);
  auto offset = static_cast<JDIMENSION>(begin);
  auto width = static_cast<JDIMENSION>(end - begin);
  if (width < s.info.output_width) jpeg_crop_scanline(&s.info, &offset, &width);
  s.left = box.x - static_cast<int>(offset);
  if (box.y > 0) jpeg_skip_scanlines(&s.info, static_cast<JDIMENSION>(box.y));
  return true;
}

int JpegWindow::row_pixels() const { return static_cast<int>(state_->info.output_width); }
int JpegWindow::left() const { return state_->left; }

namespace {

// a * b / 255, rounded (Pillow's MULDIV255).
int times(int a, int b) {
  const int product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

// Inks are stored inverted, as Adobe's programs do; the arithmetic is Pillow's.
void inks_to_rgb(std::uint8_t* row, int count) {
  for (int i = 0; i < count; ++i, row += 4) {
    const int white = row[3];
    for (int c = 0; c < 3; ++c) {
      row[c] = static_cast<std::uint8_t>(std::clamp(white - times(255 - row[c], white), 0, 255));
    }
  }
}

}  // namespace

bool JpegWindow::read_row(std::uint8_t* row) {
  State& s = *state_;
  s.row = row;  // kept where a long jump does not reach
  if (setjmp(s.escape) != 0) return false;
  if (jpeg_read_scanlines(&s.info, &s.row, 1) != 1) return false;
  if (s.info.out_color_space == JCS_CMYK) inks_to_rgb(s.row, row_pixels());
  return true;
}

bool JpegWindow::is_damaged() const { return state_->damaged; }
const char* JpegWindow::problem() const { return state_->message; }

}  // namespace penstock::loader
