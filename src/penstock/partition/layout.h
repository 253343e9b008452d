// The layout algebra: how one tensor lies over the two sides of a split, and what a change of
// layout makes each side receive.
//
// Every layer multiplies three ways in a training step, and each product contracts one dimension:
// forward the input channels, backward the output channels, gradient the batch. Splitting one
// dimension gives one basic type (AccPar, room page "partition" 1.1-1.4):
//
//   type  split     F_l  W          F_{l+1}  E_{l+1}  E_l  partial sums arise in
//   I     batch     R    whole      R        R        R    the gradient, A(W)
//   II    in        C    by rows    P        D        C    forward, A(F_{l+1})
//   III   out       D    by columns C        C        P    backward, A(E_l)
//   G     groups    C    by groups  C        C        C    nothing (grouped convolution)
#pragma once

#include <cstdint>
#include <string_view>

namespace penstock::partition {

enum class Layout : std::uint8_t {
  kRows,        // R: split along the batch
  kColumns,     // C: split along the channels
  kReplicated,  // D: both sides hold the whole
  kPartial,     // P: both sides hold a summand of the whole
};
inline constexpr int kLayouts = 3;  // the layouts that a tensor can rest in; P cannot
char layout_letter(Layout layout);

enum class Type : std::uint8_t { kBatch, kIn, kOut, kGroup };
inline constexpr int kTypes = 4;
std::string_view type_name(Type type);  // "I", "II", "III", "G"

Layout forward_in(Type type);    // layout in which the layer reads F_l
Layout forward_out(Type type);   // layout in which it leaves F_{l+1}; P for II
Layout backward_in(Type type);   // layout in which it reads E_{l+1}
Layout backward_out(Type type);  // layout in which it leaves E_l; P for III

// One side's part of the two dimensions that layouts split, as fractions of the whole (or as whole
// items over whole items): `rows` along the batch, `columns` along the channels.
struct Share {
  double rows = 0.5;
  double columns = 0.5;
};

// Elements that a side receives, as a fraction of the tensor, to bring a tensor from layout `from`
// with shares `before` to layout `to` with shares `after` (its own shares; the other side's are the
// complement). `to` is never P. Derived in room page 1.3 and 1.4.
double received(Layout from, Layout to, Share before, Share after);

}  // namespace penstock::partition
