// A matrix product whose left operand is read in place through two offset tables,
//     C[c_rows[r] + o] (+)= sum over k of x[rows[r] + taps[k]] * B[k, o],
// which is a convolution without a column buffer (r: output positions, k: input features and kernel positions), its
// gradients, and a plain matrix product with any strides. B is packed: panels of `panel` columns (the last one
// narrower), each [K][width], the width padded with zeros to a multiple of `lanes`.
#pragma once

#include <cstdint>

namespace anesdk::cpu {

struct TileProduct {
  const int64_t* rows;    // offsets into x, one per row of C
  const int64_t* c_rows;  // offsets into C, one per row
  int64_t num_rows;
  const int64_t* taps;  // offsets into x, one per k
  int64_t num_taps;
  int64_t columns;  // a multiple of lanes
  bool accumulate;
};

// out[r * out_row + i] = sum over k of weights[k] * x[taps[k] + r * row_step + i * step], r < rows, i < count.
// With step 1, rows of `out` have room for count rounded up to lanes, and x may be read that far.
template <typename T>
struct Correlation {
  const int64_t* taps;
  const T* weights;
  int64_t num_taps;
  int64_t step, row_step, out_row;
  int64_t rows, count;
};

template <typename T>
struct TileOps {
  int64_t lanes;
  int64_t panel;
  void (*multiply)(const TileProduct& product, const T* x, const T* packed, T* c);
  // target[j * target_stride + i] = source[i * source_stride + j], i < rows, j < columns
  void (*transpose)(const T* source, int64_t source_stride, int64_t rows, int64_t columns, T* target,
                    int64_t target_stride);
  void (*correlate)(const Correlation<T>& correlation, const T* x, T* out);
  // sum over i of a[i * a_step] * b[i * b_step]
  T (*dot)(const T* a, int64_t a_step, const T* b, int64_t b_step, int64_t count);
};

// The variant for this processor. T: float, double, uint32_t (all integers up to 32 bits), uint64_t.
template <typename T>
const TileOps<T>& tile_ops();

template <typename T>
int64_t packed_columns(int64_t columns) {
  const int64_t lanes = tile_ops<T>().lanes;
  return (columns + lanes - 1) / lanes * lanes;
}

// Packs B[k, o] = source[k_offsets[k] + o * o_stride] for k in [begin, end) of num_taps.
template <typename T>
void pack_columns(const T* source, const int64_t* k_offsets, int64_t num_taps, int64_t o_stride, int64_t columns,
                  int64_t begin, int64_t end, T* packed);

// The matrix product of blas.h without a library.
template <typename T>
void builtin_gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, T alpha, const T* a, int64_t lda,
                  const T* b, int64_t ldb, T beta, T* c, int64_t ldc);

}  // namespace anesdk::cpu
