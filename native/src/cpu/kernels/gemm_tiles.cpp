#include "cpu/kernels/gemm_tiles.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "cpu/tile/cpu_variant.h"

namespace anesdk::cpu {

ANESDK_IN_LEVELS(template <typename T> const TileOps<T>& tile_ops();)

template <typename T>
const TileOps<T>& tile_ops() {
  static const TileOps<T>& ops = ANESDK_PICK(tile_ops<T>)();
  return ops;
}

namespace {

bool consecutive(const int64_t* offsets, int64_t begin, int64_t end) {
  for (int64_t k = begin + 1; k < end; ++k) {
    if (offsets[k] != offsets[k - 1] + 1) return false;
  }
  return true;
}

}  // namespace

template <typename T>
void pack_columns(const T* source, const int64_t* k_offsets, int64_t num_taps, int64_t o_stride, int64_t columns,
                  int64_t begin, int64_t end, T* packed) {
  if (begin >= end) return;
  const auto& ops = tile_ops<T>();
  const int64_t padded = packed_columns<T>(columns);
  const bool rows_of_source = consecutive(k_offsets, begin, end);
  for (int64_t o = 0; o < padded; o += ops.panel) {
    const int64_t width = std::min(ops.panel, padded - o);
    const int64_t filled = std::clamp<int64_t>(columns - o, 0, width);
    const T* from = source + o * o_stride;
    T* panel = packed + o * num_taps;
    if (o_stride == 1) {
      for (int64_t k = begin; k < end; ++k) std::copy_n(from + k_offsets[k], filled, panel + k * width);
    } else if (rows_of_source) {
      ops.transpose(from + k_offsets[begin], o_stride, filled, end - begin, panel + begin * width, width);
    } else {
      for (int64_t k = begin; k < end; ++k) {
        const T* column = from + k_offsets[k];
        for (int64_t i = 0; i < filled; ++i) panel[k * width + i] = column[i * o_stride];
      }
    }
    if (filled == width) continue;
    for (int64_t k = begin; k < end; ++k) std::fill(panel + k * width + filled, panel + (k + 1) * width, T{});
  }
}

template <typename T>
void builtin_gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, T alpha, const T* a, int64_t lda,
                  const T* b, int64_t ldb, T beta, T* c, int64_t ldc) {
  if (m == 0 || n == 0) return;
  const int64_t columns = packed_columns<T>(n);
  const auto scaled = [](int64_t count, int64_t factor) {
    std::vector<int64_t> offsets(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) offsets[static_cast<size_t>(i)] = i * factor;
    return offsets;
  };
  const auto b_rows = scaled(k, transpose_b ? 1 : ldb);
  std::vector<T> packed(static_cast<size_t>(columns * k));
  pack_columns(b, b_rows.data(), k, transpose_b ? ldb : 1, n, 0, k, packed.data());

  constexpr int64_t kRows = 96;  // of the product at a time, so that its padded copy stays small
  std::vector<T> product(static_cast<size_t>(kRows * columns));
  const auto rows = scaled(m, transpose_a ? 1 : lda);
  const auto taps = scaled(k, transpose_a ? lda : 1);
  const auto c_rows = scaled(kRows, columns);
  for (int64_t row = 0; row < m; row += kRows) {
    const int64_t count = std::min(kRows, m - row);
    tile_ops<T>().multiply({rows.data() + row, c_rows.data(), count, taps.data(), k, columns, false}, a, packed.data(),
                           product.data());
    for (int64_t i = 0; i < count; ++i) {
      T* target = c + (row + i) * ldc;
      const T* from = product.data() + i * columns;
      for (int64_t j = 0; j < n; ++j) target[j] = alpha * from[j] + (beta == T{} ? T{} : beta * target[j]);
    }
  }
}

#define ANESDK_INSTANTIATE(T)                                                                                          \
  template const TileOps<T>& tile_ops<T>();                                                                            \
  template void pack_columns<T>(const T*, const int64_t*, int64_t, int64_t, int64_t, int64_t, int64_t, T*);            \
  template void builtin_gemm<T>(bool, bool, int64_t, int64_t, int64_t, T, const T*, int64_t, const T*, int64_t, T, T*, \
                                int64_t);
ANESDK_INSTANTIATE(float)
ANESDK_INSTANTIATE(double)
ANESDK_INSTANTIATE(uint32_t)
ANESDK_INSTANTIATE(uint64_t)

}  // namespace anesdk::cpu
