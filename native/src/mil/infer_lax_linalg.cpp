// aj_ operations on matrices [..., m, n]: factorizations and triangular systems. With the flag `complex` every complex
// array has a last axis of length 2: real and imaginary part.
#include <algorithm>

#include "mil/infer.h"

namespace anesdk::mil {
namespace {

// The operand's shape without its last two axes, and these.
struct Matrix {
  Shape lead;
  int64_t m, n;
  bool complex;
  int64_t k() const { return std::min(m, n); }
  Shape with(std::initializer_list<int64_t> sizes) const {
    Shape shape = lead;
    shape.insert(shape.end(), sizes);
    return shape;
  }
  // Of an array that is complex when the operand is.
  Shape with_parts(std::initializer_list<int64_t> sizes) const {
    Shape shape = with(sizes);
    if (complex) shape.push_back(2);
    return shape;
  }
};

Matrix matrix(const OpView& op, std::string_view operand) {
  Shape lead = op.shape(operand);
  const bool complex = op.flag("complex");
  if (complex) {
    if (lead.empty() || lead.back() != 2)
      op.fail(std::string(operand) + " must have real and imaginary parts along its last axis, got " +
              op.type(operand).str());
    lead.pop_back();
  }
  if (lead.size() < 2) op.fail(std::string(operand) + " must be matrices, got " + op.type(operand).str());
  const int64_t m = lead[lead.size() - 2], n = lead.back();
  lead.resize(lead.size() - 2);
  return {lead, m, n, complex};
}

Matrix square(const OpView& op, std::string_view operand) {
  const Matrix x = matrix(op, operand);
  if (x.m != x.n) op.fail(std::string(operand) + " must be square matrices, got " + op.type(operand).str());
  return x;
}

Shapes cholesky(const OpView& op) {
  square(op, "x");
  return {op.shape("x")};
}

Shapes triangular_solve(const OpView& op) {
  const Matrix a = square(op, "a"), b = matrix(op, "b");
  if (a.lead != b.lead || a.n != (op.flag("left_side") ? b.m : b.n))
    op.fail("a must fit b, got " + op.type("a").str() + " and " + op.type("b").str());
  return {op.shape("b")};
}

Shapes lu(const OpView& op) {
  const Matrix x = matrix(op, "x");
  return {op.shape("x"), x.with({x.k()}), x.with({x.m})};
}

Shapes qr(const OpView& op) {
  const Matrix x = matrix(op, "x");
  const int64_t columns = op.flag("full_matrices") ? x.m : x.k();
  return {x.with_parts({x.m, columns}), x.with_parts({columns, x.n})};
}

Shapes eigh(const OpView& op) {
  const Matrix x = square(op, "x");
  return {op.shape("x"), x.with({x.n})};
}

Shapes svd(const OpView& op) {
  const Matrix x = matrix(op, "x");
  if (!op.flag("compute_uv")) return {x.with({x.k()})};
  const bool full = op.flag("full_matrices");
  return {x.with({x.k()}), x.with_parts({x.m, full ? x.m : x.k()}), x.with_parts({full ? x.n : x.k(), x.n})};
}

// Eigenvalues and vectors are complex, whatever x is.
Shapes eig(const OpView& op) {
  const Matrix x = square(op, "x");
  Shapes shapes{x.with({x.n, 2})};
  for (const char* vectors : {"left", "right"}) {
    if (op.flag(vectors)) shapes.push_back(x.with({x.n, x.n, 2}));
  }
  return shapes;
}

Shapes schur(const OpView& op) {
  square(op, "x");
  return Shapes(op.flag("vectors") ? 2 : 1, op.shape("x"));
}

}  // namespace

void add_lax_linalg_rules(Rules& rules) {
  rules.insert({{"aj_cholesky", cholesky},
                {"aj_triangular_solve", triangular_solve},
                {"aj_lu", lu},
                {"aj_qr", qr},
                {"aj_eigh", eigh},
                {"aj_svd", svd},
                {"aj_eig", eig},
                {"aj_schur", schur}});
}

}  // namespace anesdk::mil
