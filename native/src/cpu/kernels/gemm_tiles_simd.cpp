// The vector loops of gemm_tiles.h, compiled once per instruction set (see cpu_variant.h).
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>
#include <utility>

#include "cpu/kernels/gemm_tiles.h"

namespace anesdk::cpu::ANESDK_SIMD_NS {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
constexpr int kPanelVectors = 4;
constexpr int kAccumulators = 24;  // of 32 registers
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
constexpr int kPanelVectors = 2;
constexpr int kAccumulators = 12;  // of 16
#elif defined(__aarch64__)
constexpr int kVectorBytes = 16;
constexpr int kPanelVectors = 4;
constexpr int kAccumulators = 24;
#else
constexpr int kVectorBytes = 16;
constexpr int kPanelVectors = 2;
constexpr int kAccumulators = 12;
#endif
constexpr int kMaxTileRows = 12;
constexpr int64_t kDepthBytes = 24 * 1024;   // a slice of a panel of B that stays in the first-level cache
constexpr int64_t kBlockBytes = 256 * 1024;  // a block of C that stays in the second-level cache

constexpr int tile_rows(int vectors) { return std::min(kAccumulators / vectors, kMaxTileRows); }

template <typename T>
constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

template <typename T>
struct VectorOf {
  typedef T type __attribute__((vector_size(kVectorBytes)));
};
template <typename T>
using Vector = typename VectorOf<T>::type;

template <typename T>
inline Vector<T> load(const T* p) {
  Vector<T> v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}

template <typename T>
inline void store(T* p, Vector<T> v) {
  std::memcpy(p, &v, sizeof(v));
}

template <typename T>
inline Vector<T> splat(T x) {
  return x - Vector<T>{};  // x - 0 is x for every x, so nothing is left of it; -0 + 0 would not be -0
}

// Fused where the processor can: the compiler contracts vector expressions only under some language modes.
template <typename T>
inline Vector<T> fma(Vector<T> a, Vector<T> b, Vector<T> c) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) return (Vector<T>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
  if constexpr (std::is_same_v<T, double>) return (Vector<T>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__FMA__)
  if constexpr (std::is_same_v<T, float>) return (Vector<T>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
  if constexpr (std::is_same_v<T, double>) return (Vector<T>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__aarch64__)
  if constexpr (std::is_same_v<T, float>) {
    return (Vector<T>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
  }
  if constexpr (std::is_same_v<T, double>) {
    return (Vector<T>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
  }
#endif
  return a * b + c;
}

template <typename T>
using Micro = void (*)(const T* x, const int64_t* rows, const int64_t* taps, int64_t depth, const T* b, T* c,
                       const int64_t* c_rows, bool accumulate);

// One tile of C, Rows x (Vectors * lanes), held in registers over `depth`.
template <typename T, int Rows, int Vectors>
void micro(const T* x, const int64_t* rows, const int64_t* taps, int64_t depth, const T* b, T* c, const int64_t* c_rows,
           bool accumulate) {
  constexpr int lanes = kLanes<T>;
  Vector<T> sum[Rows][Vectors];
  int64_t row[Rows];
  for (int r = 0; r < Rows; ++r) {
    row[r] = rows[r];
    for (int v = 0; v < Vectors; ++v) sum[r][v] = accumulate ? load(c + c_rows[r] + v * lanes) : Vector<T>{};
  }
  for (int64_t k = 0; k < depth; ++k) {
    const T* from = x + taps[k];
    Vector<T> column[Vectors];
    for (int v = 0; v < Vectors; ++v) column[v] = load(b + v * lanes);
    b += Vectors * lanes;
#pragma GCC unroll 12
    for (int r = 0; r < Rows; ++r) {
      const Vector<T> value = splat(from[row[r]]);
      for (int v = 0; v < Vectors; ++v) sum[r][v] = fma<T>(value, column[v], sum[r][v]);
    }
  }
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < Vectors; ++v) store(c + c_rows[r] + v * lanes, sum[r][v]);
  }
}

template <typename T>
using MicroRow = std::array<Micro<T>, kMaxTileRows + 1>;  // by the number of rows

template <typename T, int Vectors, int... Rows>
constexpr MicroRow<T> micro_row(std::integer_sequence<int, Rows...>) {
  return {nullptr, micro<T, Rows + 1, Vectors>...};
}

template <typename T, int... Vectors>
constexpr std::array<MicroRow<T>, kPanelVectors + 1> micro_table(std::integer_sequence<int, Vectors...>) {
  return {MicroRow<T>{}, micro_row<T, Vectors + 1>(std::make_integer_sequence<int, tile_rows(Vectors + 1)>{})...};
}

template <typename T>
constexpr auto kMicro = micro_table<T>(std::make_integer_sequence<int, kPanelVectors>{});

// Rows are dealt out evenly: 32 rows are six tiles of 5 or 6, never 6 6 6 6 6 2.
template <typename T>
void multiply_slice(const TileProduct& p, int64_t row_begin, int64_t row_end, int64_t k_begin, int64_t k_end,
                    const T* x, const T* packed, T* c) {
  constexpr int64_t panel = kPanelVectors * kLanes<T>;
  const bool accumulate = p.accumulate || k_begin > 0;
  const int64_t rows = row_end - row_begin;
  for (int64_t o = 0; o < p.columns; o += panel) {
    const int64_t width = std::min(panel, p.columns - o);
    const auto vectors = static_cast<int>(width / kLanes<T>);
    const int64_t tiles = (rows + tile_rows(vectors) - 1) / tile_rows(vectors);
    const T* b = packed + o * p.num_taps + k_begin * width;
    const auto& by_rows = kMicro<T>[static_cast<size_t>(vectors)];
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t begin = row_begin + rows * tile / tiles;
      const int64_t end = row_begin + rows * (tile + 1) / tiles;
      by_rows[static_cast<size_t>(end - begin)](x, p.rows + begin, p.taps + k_begin, k_end - k_begin, b, c + o,
                                                p.c_rows + begin, accumulate);
    }
  }
}

template <typename T>
void multiply(const TileProduct& p, const T* x, const T* packed, T* c) {
  constexpr int64_t depth_limit = kDepthBytes / (kPanelVectors * kVectorBytes);
  const int64_t slices = std::max<int64_t>((p.num_taps + depth_limit - 1) / depth_limit, 1);
  const int64_t row_bytes = p.columns * static_cast<int64_t>(sizeof(T));
  const int64_t block = std::max<int64_t>(kBlockBytes / std::max<int64_t>(row_bytes, 1), 96);
  for (int64_t row = 0; row < p.num_rows; row += block) {
    const int64_t row_end = std::min(p.num_rows, row + block);
    for (int64_t s = 0; s < slices; ++s) {
      multiply_slice(p, row, row_end, p.num_taps * s / slices, p.num_taps * (s + 1) / slices, x, packed, c);
    }
  }
}

// Lanes of a whose number has bit `Step` change places with lanes of b whose number has not.
template <typename T, int Step, int... Lane>
inline void exchange(Vector<T>& a, Vector<T>& b, std::integer_sequence<int, Lane...>) {
  constexpr int lanes = kLanes<T>;  // of b are numbered on from those of a
  const Vector<T> low = __builtin_shufflevector(a, b, (Lane & Step ? lanes + Lane - Step : Lane)...);
  const Vector<T> high = __builtin_shufflevector(a, b, (Lane & Step ? lanes + Lane : Lane + Step)...);
  a = low, b = high;
}

// A square of lanes x lanes, by log2(lanes) rounds of exchanging halves.
template <typename T, int Step = kLanes<T> / 2>
inline void transpose_square(Vector<T>* v) {
  if constexpr (Step >= 1) {
    for (int i = 0; i < kLanes<T>; ++i) {
      if (!(i & Step)) exchange<T, Step>(v[i], v[i + Step], std::make_integer_sequence<int, kLanes<T>>{});
    }
    transpose_square<T, Step / 2>(v);
  }
}

template <typename T>
void transpose(const T* source, int64_t source_stride, int64_t rows, int64_t columns, T* target,
               int64_t target_stride) {
  constexpr int64_t lanes = kLanes<T>;
  const int64_t full_rows = rows / lanes * lanes;
  const int64_t full_columns = columns / lanes * lanes;
  for (int64_t j = 0; j < full_columns; j += lanes) {  // few lines of the target at a time, each written onwards
    for (int64_t i = 0; i < full_rows; i += lanes) {
      Vector<T> square[lanes];
      for (int64_t r = 0; r < lanes; ++r) square[r] = load(source + (i + r) * source_stride + j);
      transpose_square<T>(square);
      for (int64_t r = 0; r < lanes; ++r) store(target + (j + r) * target_stride + i, square[r]);
    }
  }
  const auto plain = [&](int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
    for (int64_t j = j0; j < j1; ++j) {
      for (int64_t i = i0; i < i1; ++i) target[j * target_stride + i] = source[i * source_stride + j];
    }
  };
  plain(0, full_rows, full_columns, columns);
  plain(full_rows, rows, 0, columns);
}

template <typename T, int Rows, int Vectors>
void correlate_block(const Correlation<T>& c, const T* x, T* out) {
  Vector<T> sum[Rows][Vectors] = {};
  for (int64_t k = 0; k < c.num_taps; ++k) {
    const Vector<T> weight = splat(c.weights[k]);
    for (int r = 0; r < Rows; ++r) {
      const T* from = x + c.taps[k] + r * c.row_step;
      for (int v = 0; v < Vectors; ++v) sum[r][v] = fma<T>(weight, load(from + v * kLanes<T>), sum[r][v]);
    }
  }
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < Vectors; ++v) store(out + r * c.out_row + v * kLanes<T>, sum[r][v]);
  }
}

// Rows of Vectors vectors each; as many rows at once as there are accumulators for.
template <typename T, int Vectors>
void correlate_columns(const Correlation<T>& c, const T* x, T* out) {
  constexpr int rows = 8 / Vectors;
  int64_t r = 0;
  for (; r + rows <= c.rows; r += rows) correlate_block<T, rows, Vectors>(c, x + r * c.row_step, out + r * c.out_row);
  for (; r < c.rows; ++r) correlate_block<T, 1, Vectors>(c, x + r * c.row_step, out + r * c.out_row);
}

template <typename T>
void correlate(const Correlation<T>& c, const T* x, T* out) {
  constexpr int64_t lanes = kLanes<T>;
  if (c.step == 1) {
    int64_t i = 0;
    for (; i + 2 * lanes <= c.count; i += 2 * lanes) correlate_columns<T, 2>(c, x + i, out + i);
    for (; i < c.count; i += lanes) correlate_columns<T, 1>(c, x + i, out + i);
    return;
  }
  for (int64_t r = 0; r < c.rows; ++r, x += c.row_step, out += c.out_row) {
    for (int64_t i = 0; i < c.count; ++i) out[i] = T{};
    for (int64_t k = 0; k < c.num_taps; ++k) {
      const T* from = x + c.taps[k];
      for (int64_t i = 0; i < c.count; ++i) out[i] += c.weights[k] * from[i * c.step];
    }
  }
}

template <typename T>
T dot(const T* a, int64_t a_step, const T* b, int64_t b_step, int64_t count) {
  constexpr int64_t lanes = kLanes<T>;
  T total{};
  int64_t i = 0;
  if (a_step == 1 && b_step == 1) {
    Vector<T> sum{};
    for (; i + lanes <= count; i += lanes) sum = fma<T>(load(a + i), load(b + i), sum);
    for (int64_t lane = 0; lane < lanes; ++lane) total += sum[lane];
  }
  for (; i < count; ++i) total += a[i * a_step] * b[i * b_step];
  return total;
}

}  // namespace

template <typename T>
const TileOps<T>& tile_ops() {
  static constexpr TileOps<T> ops{kLanes<T>, kPanelVectors * kLanes<T>, multiply<T>, transpose<T>, correlate<T>,
                                  dot<T>};
  return ops;
}

template const TileOps<float>& tile_ops<float>();
template const TileOps<double>& tile_ops<double>();
template const TileOps<uint32_t>& tile_ops<uint32_t>();
template const TileOps<uint64_t>& tile_ops<uint64_t>();

}  // namespace anesdk::cpu::ANESDK_SIMD_NS
