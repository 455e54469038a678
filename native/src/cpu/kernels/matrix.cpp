#include "cpu/kernels/matrix.h"

namespace anesdk::cpu {

Matrices matrices(const mil::Function& function, const mil::Op& op, std::string_view operand) {
  const mil::Type& type = function.value(op, operand).type;
  const bool complex = function.find(op, "complex") && function.boolean(op, "complex");
  const size_t rank = type.shape.size() - (complex && !type.shape.empty() ? 1 : 0);
  expect(rank >= 2, op.schema->name, "expected matrices, got " + type.str() + ".");
  const Matrices out{product(std::span(type.shape).first(rank - 2)), type.shape[rank - 2], type.shape[rank - 1]};
  constexpr int64_t kMost = std::numeric_limits<int>::max();
  expect(out.m <= kMost && out.n <= kMost, op.schema->name,
         "expected matrices of fewer than 2^31 rows and columns, got " + type.str() + ".");
  return out;
}

template <typename T>
void transpose_into(const T* in, int64_t rows, int64_t columns, T* out) {
  constexpr int64_t kTile = 32;  // of both sides: the lines that are written stay in the first-level cache
  for (int64_t r0 = 0; r0 < rows; r0 += kTile) {
    for (int64_t c0 = 0; c0 < columns; c0 += kTile) {
      const int64_t r1 = std::min(r0 + kTile, rows), c1 = std::min(c0 + kTile, columns);
      for (int64_t c = c0; c < c1; ++c) {
        for (int64_t r = r0; r < r1; ++r) out[c * rows + r] = in[r * columns + c];
      }
    }
  }
}

template void transpose_into(const float*, int64_t, int64_t, float*);
template void transpose_into(const double*, int64_t, int64_t, double*);
template void transpose_into(const std::complex<float>*, int64_t, int64_t, std::complex<float>*);
template void transpose_into(const std::complex<double>*, int64_t, int64_t, std::complex<double>*);

void expect_small(int64_t n, std::string_view op) {
  constexpr int64_t kMostRows = 16000;
  expect(n <= kMostRows, op,
         "expected matrices whose smaller side is at most " + std::to_string(kMostRows) + ", got " + std::to_string(n) +
             ".");
}

}  // namespace anesdk::cpu
