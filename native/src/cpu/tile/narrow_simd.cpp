// Weights of one byte times a vector of float32: each element is converted, and scaled where there are scales, in
// registers. Rows as stored are read in order, since memory is what this waits for.
#include "cpu/tile/simd_loops.h"
#include "cpu/tile/unaligned.h"

#if defined(__AVX2__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of the header's own undefined operands, in GCC 12
#endif
#include <immintrin.h>
#endif

namespace anesdk::cpu::ANESDK_SIMD_NS {
namespace {

template <class T, int kBytes>
using Vec [[gnu::vector_size(kBytes)]] = T;

constexpr int64_t kLanes = 16;
constexpr int kRows = 4;  // rows whose products are added to the sums together
using Floats = Vec<float, 64>;

// GCC converts bytes to float one by one, and fast by way of the wider integers.
template <class T>
inline void widen(const T* first, Floats* out) {
#if defined(__AVX512F__)
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(first));
  const __m512i wide = T(-1) < T(0) ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes);
  *reinterpret_cast<__m512*>(out) = _mm512_cvtepi32_ps(wide);
#elif defined(__AVX2__)
  for (int half = 0; half < 2; ++half) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(first + 8 * half));
    const __m256i wide = T(-1) < T(0) ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes);
    reinterpret_cast<__m256*>(out)[half] = _mm256_cvtepi32_ps(wide);
  }
#else
  using Word = Vec<int32_t, 64>;
  const auto wide = __builtin_convertvector(load<Vec<T, 16>>(first), Word);
  *out = __builtin_convertvector(wide, Floats);
#endif
}

inline Floats at(const float* first) { return load<Floats>(first); }

enum class Scales { NONE, ONE, EACH };  // in a row: none, one for all of it, one for each column

template <class T, Scales kScales>
inline void add(Floats* sum, const T* weight, float factor, const float* scale, int64_t i) {
  Floats w;
  widen(weight + i, &w);
  if constexpr (kScales == Scales::ONE) w *= scale[0];
  if constexpr (kScales == Scales::EACH) w *= at(scale + i);
  *sum += factor * w;
}

template <class T, Scales kScales>
inline float scaled(const T* weight, const float* scale, int64_t i) {
  const auto w = static_cast<float>(weight[i]);
  return kScales == Scales::NONE ? w : w * scale[kScales == Scales::ONE ? 0 : i];
}

// sums[n] += the sum of x[k] * (weight[k][n] * scale) over kCount rows, each of which is one k.
template <class T, Scales kScales, int kCount>
inline void rows_of(float* sums, const T* weight, int64_t distance, const float* x, const NarrowScale& s,
                    const int64_t* rows, int64_t n) {
  const float* scale[kCount];
  for (int r = 0; r < kCount; ++r) scale[r] = kScales == Scales::NONE ? nullptr : s.first + rows[r];
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    Floats sum = at(sums + i);
    for (int r = 0; r < kCount; ++r) add<T, kScales>(&sum, weight + r * distance, x[r], scale[r], i);
    store(sums + i, sum);
  }
  for (; i < n; ++i) {
    for (int r = 0; r < kCount; ++r) sums[i] += x[r] * scaled<T, kScales>(weight + r * distance, scale[r], i);
  }
}

template <class T, Scales kScales>
void sums_of(float* out, int64_t out_stride, const T* weight, int64_t distance, const float* x, const NarrowScale& s,
             int64_t n, int64_t k) {
  float sums[kNarrowColumns];
  for (int64_t i = 0; i < n; ++i) sums[i] = 0;
  int64_t row = 0;
  for (; row + kRows <= k; row += kRows) {
    rows_of<T, kScales, kRows>(sums, weight + row * distance, distance, x + row, s, s.rows + row, n);
  }
  for (; row < k; ++row) rows_of<T, kScales, 1>(sums, weight + row * distance, distance, x + row, s, s.rows + row, n);
  for (int64_t i = 0; i < n; ++i) out[i * out_stride] = sums[i];
}

inline float sum_of(const Floats& v) {
  float lanes[kLanes];
  __builtin_memcpy(lanes, &v, sizeof lanes);
  for (int step = kLanes / 2; step > 0; step /= 2) {
    for (int j = 0; j < step; ++j) lanes[j] += lanes[j + step];
  }
  return lanes[0];
}

// The same where a row as stored is one n: products of rows.
template <class T, Scales kScales>
void dots_of(float* out, int64_t out_stride, const T* weight, int64_t distance, const float* x, const NarrowScale& s,
             int64_t n, int64_t k) {
  constexpr int kRuns = 4;
  for (int64_t row = 0; row < n; ++row, weight += distance) {
    const float* scale = kScales == Scales::NONE ? nullptr : s.first + s.rows[row];
    const auto more = [&](Floats* sum, int64_t i) {
      Floats w;
      widen(weight + i, &w);
      if constexpr (kScales == Scales::ONE) w *= scale[0];
      if constexpr (kScales == Scales::EACH) w *= at(scale + i);
      *sum += at(x + i) * w;
    };
    Floats sums[kRuns] = {};
    int64_t i = 0;
    for (; i + kRuns * kLanes <= k; i += kRuns * kLanes) {
      for (int r = 0; r < kRuns; ++r) more(&sums[r], i + r * kLanes);
    }
    for (; i + kLanes <= k; i += kLanes) more(&sums[0], i);
    const Floats all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    float sum = sum_of(all);
    for (; i < k; ++i) sum += x[i] * scaled<T, kScales>(weight, scale, i);
    out[row * out_stride] = sum;
  }
}

template <class T, bool kDots, Scales kScales>
void run(float* out, int64_t out_stride, const void* weight, int64_t distance, const float* x, const NarrowScale& s,
         int64_t n, int64_t k) {
  const auto* w = static_cast<const T*>(weight);
  if constexpr (kDots) {
    dots_of<T, kScales>(out, out_stride, w, distance, x, s, n, k);
  } else {
    sums_of<T, kScales>(out, out_stride, w, distance, x, s, n, k);
  }
}

template <class T, bool kDots>
void choose(float* out, int64_t out_stride, const void* weight, int64_t distance, const float* x, const NarrowScale& s,
            int64_t n, int64_t k) {
  if (s.first == nullptr) return run<T, kDots, Scales::NONE>(out, out_stride, weight, distance, x, s, n, k);
  if (s.stride == 0) return run<T, kDots, Scales::ONE>(out, out_stride, weight, distance, x, s, n, k);
  run<T, kDots, Scales::EACH>(out, out_stride, weight, distance, x, s, n, k);
}

}  // namespace

NarrowFns narrow(DType dtype) {
  if (dtype == DType::INT8) return {choose<int8_t, false>, choose<int8_t, true>};
  return {choose<uint8_t, false>, choose<uint8_t, true>};
}

}  // namespace anesdk::cpu::ANESDK_SIMD_NS
