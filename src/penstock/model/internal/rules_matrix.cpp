// Matrix products and recurrent layers.
#include <algorithm>
#include <map>

#include "penstock/model/internal/rules.h"

namespace penstock::model::internal {

Status gemm_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(2));
  const Shape& a = c.shape(0);
  const Shape& b = c.shape(1);
  if (a.size() != 2 || b.size() != 2) {
    return c.error("the operands " + shape_text(a) + " and " + shape_text(b) +
                   " are not both matrices");
  }
  const std::size_t a_rows = c.integer("transA", 0) != 0 ? 1 : 0;
  const std::size_t b_rows = c.integer("transB", 0) != 0 ? 1 : 0;
  if (a[1 - a_rows] != b[b_rows]) {
    return c.error("the operands " + shape_text(a) + " and " + shape_text(b) + " do not fit");
  }
  Shape output{a[a_rows], b[1 - b_rows]};
  if (c.has(2)) {
    PENSTOCK_TRY(const Shape sum, broadcast(c, {output, c.shape(2)}));
    if (sum != output) {
      return c.error("the addend " + shape_text(c.shape(2)) + " does not fit the product " +
                     shape_text(output));
    }
  }
  c.set_macs(saturating_multiply(saturating_elements(output), b[b_rows]));
  c.set(0, std::move(output), c.in(0).type);
  return {};
}

// As numpy.matmul: leading dimensions broadcast, vectors gain a dimension for the product.
Status matmul_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(2));
  Shape a = c.shape(0);
  Shape b = c.shape(1);
  if (a.empty() || b.empty()) return c.error("an operand is a scalar");
  const bool row_vector = a.size() == 1;
  const bool column_vector = b.size() == 1;
  if (row_vector) a.insert(a.begin(), 1);
  if (column_vector) b.push_back(1);
  const std::int64_t depth = a.back();
  if (b[b.size() - 2] != depth) {
    return c.error("the operands " + shape_text(c.shape(0)) + " and " + shape_text(c.shape(1)) +
                   " do not fit");
  }
  PENSTOCK_TRY(Shape output,
               broadcast(c, {Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2)}));
  if (!row_vector) output.push_back(a[a.size() - 2]);
  if (!column_vector) output.push_back(b.back());
  c.set_macs(saturating_multiply(saturating_elements(output), depth));
  c.set(0, std::move(output), c.in(0).type);
  return {};
}

namespace {

// Splits "ab,bc->ac"; a missing right side is the labels that occur once, in alphabetical order.
struct Equation {
  std::vector<std::string> terms;
  std::string result;
};

// An ellipsis stands for the dimensions that are left over; labels below 'A' name them from the
// right, so that terms broadcast against each other.
std::string expand_ellipsis(const std::string& term, std::size_t rank) {
  const std::size_t at = term.find("...");
  if (at == std::string::npos) return term;
  const std::size_t named = term.size() - 3;
  std::string middle;
  for (std::size_t i = rank > named ? rank - named : 0; i > 0; --i) {
    middle += static_cast<char>(i);
  }
  return term.substr(0, at) + middle + term.substr(at + 3);
}

Result<Equation> read_equation(const NodeContext& c) {
  std::string text = c.text("equation", "");
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  const std::size_t arrow = text.find("->");
  const std::string left = text.substr(0, arrow);
  Equation equation;
  for (std::size_t begin = 0; begin <= left.size();) {
    const std::size_t end = std::min(left.find(',', begin), left.size());
    equation.terms.push_back(left.substr(begin, end - begin));
    begin = end + 1;
  }
  if (equation.terms.size() != c.input_count()) {
    return c.error("\"equation\" " + printable(text) + " does not have one term an input");
  }
  std::string widest;
  std::map<char, int> uses;
  for (std::size_t i = 0; i < equation.terms.size(); ++i) {
    PENSTOCK_TRY_STATUS(c.require(i + 1));
    std::string& term = equation.terms[i];
    term = expand_ellipsis(term, c.shape(i).size());
    std::string unnamed;
    for (const char label : term) {
      ++uses[label];
      if (label < 'A') unnamed += label;
    }
    if (unnamed.size() > widest.size()) widest = unnamed;
  }
  if (arrow == std::string::npos) {
    equation.result = widest;
    for (const auto& [label, count] : uses) {
      if (label >= 'A' && count == 1) equation.result += label;
    }
  } else {
    const std::string right = text.substr(arrow + 2);
    const std::size_t named = right.size() - (right.find("...") == std::string::npos ? 0 : 3);
    equation.result = expand_ellipsis(right, named + widest.size());
  }
  return equation;
}

}  // namespace

Status einsum_rule(NodeContext& c) {
  PENSTOCK_TRY(const Equation equation, read_equation(c));
  std::map<char, std::int64_t> sizes;
  for (std::size_t i = 0; i < equation.terms.size(); ++i) {
    const Shape& shape = c.shape(i);
    const std::string& term = equation.terms[i];
    if (term.size() != shape.size()) {
      return c.error("the term \"" + printable(term) + "\" does not fit the input " +
                     shape_text(shape));
    }
    for (std::size_t d = 0; d < term.size(); ++d) {
      std::int64_t& size = sizes.try_emplace(term[d], shape[d]).first->second;
      if (size == 1) size = shape[d];
      if (shape[d] != size && shape[d] != 1) {
        return c.error(std::string("the label '") + term[d] + "' stands for both " +
                       std::to_string(size) + " and " + std::to_string(shape[d]));
      }
    }
  }
  Shape output;
  for (const char label : equation.result) {
    const auto found = sizes.find(label);
    if (found == sizes.end()) return c.error("the result uses a label that no input has");
    output.push_back(found->second);
  }
  std::int64_t macs = static_cast<std::int64_t>(equation.terms.size()) - 1;
  for (const auto& [label, size] : sizes) macs = saturating_multiply(macs, size);
  c.set_macs(macs);
  c.set(0, std::move(output), c.in(0).type);
  return {};
}

// LSTM, GRU and RNN: X is [seq, batch, input], W [directions, gates*hidden, input],
// R [directions, gates*hidden, hidden]; `layout` 1 puts the batch first.
Status recurrent_rule(NodeContext& c) {
  PENSTOCK_TRY_STATUS(c.require(3));
  const Shape& x = c.shape(0);
  const Shape& w = c.shape(1);
  const Shape& r = c.shape(2);
  const std::string& type = c.node().type;
  const std::int64_t gates = type == "LSTM" ? 4 : type == "GRU" ? 3 : 1;
  if (x.size() != 3 || w.size() != 3 || r.size() != 3 || w[2] != x[2] || w[0] != r[0] ||
      w[1] != r[1] || saturating_multiply(gates, r[2]) != r[1]) {
    return c.error("the weights " + shape_text(w) + " and " + shape_text(r) +
                   " do not fit the input " + shape_text(x));
  }
  const bool batch_first = c.integer("layout", 0) == 1;
  const std::int64_t steps = x[batch_first ? 1 : 0];
  const std::int64_t batch = x[batch_first ? 0 : 1];
  const std::int64_t directions = w[0];
  const std::int64_t hidden = r[2];
  const Shape state =
      batch_first ? Shape{batch, directions, hidden} : Shape{directions, batch, hidden};
  for (const std::size_t slot : {std::size_t{5}, std::size_t{6}}) {
    const bool initial_state = slot == 5 || type == "LSTM";
    if (initial_state && c.has(slot) && c.shape(slot) != state) {
      return c.error("the initial state " + shape_text(c.shape(slot)) + " should be " +
                     shape_text(state));
    }
  }
  const std::int64_t per_item =
      saturating_multiply(saturating_multiply(directions, r[1]), saturating_add(x[2], hidden));
  c.set_macs(saturating_multiply(per_item, saturating_multiply(steps, batch)));
  c.set(0,
        batch_first ? Shape{batch, steps, directions, hidden}
                    : Shape{steps, directions, batch, hidden},
        c.in(0).type);
  for (std::size_t slot = 1; slot < std::min<std::size_t>(c.output_count(), 3); ++slot) {
    c.set(slot, state, c.in(0).type);
  }
  return {};
}

}  // namespace penstock::model::internal
