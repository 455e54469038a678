// A matrix stored by rows times a vector. Row after row, so that memory is read in order: rows side by side, as BLAS
// libraries take them, leave the prefetcher behind, and memory is all that this waits for.
#include "cpu/tile/simd_loops.h"
#include "cpu/tile/unaligned.h"

namespace anesdk::cpu::ANESDK_SIMD_NS {
namespace {

template <class T, int kBytes>
using Vec [[gnu::vector_size(kBytes)]] = T;

template <class T>
inline constexpr int64_t kLanes = 64 / sizeof(T);

template <class T>
inline Vec<T, 64> at(const T* first) {
  return load<Vec<T, 64>>(first);
}

// The sum of the lanes, by halves that stay in registers.
template <class T, int kBytes>
inline T sum_of(const Vec<T, kBytes>& v) {
  if constexpr (kBytes == sizeof(T)) {
    return v[0];
  } else {
    Vec<T, kBytes / 2> low, high;
    __builtin_memcpy(&low, &v, sizeof low);
    __builtin_memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof low, sizeof high);
    return sum_of<T, kBytes / 2>(low + high);
  }
}

template <class T>
T dot(const T* row, const T* x, int64_t k) {
  constexpr int kRuns = 4;
  Vec<T, 64> sums[kRuns] = {};
  int64_t i = 0;
  for (; i + kRuns * kLanes<T> <= k; i += kRuns * kLanes<T>) {
    for (int r = 0; r < kRuns; ++r) sums[r] += at(row + i + r * kLanes<T>) * at(x + i + r * kLanes<T>);
  }
  for (; i + kLanes<T> <= k; i += kLanes<T>) sums[0] += at(row + i) * at(x + i);
  T sum = sum_of<T, 64>((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (; i < k; ++i) sum += row[i] * x[i];
  return sum;
}

template <class T>
void rows_of(void* out, int64_t out_stride, const void* matrix, int64_t distance, const void* vector, int64_t rows,
             int64_t k) {
  for (int64_t r = 0; r < rows; ++r) {
    const T* row = static_cast<const T*>(matrix) + r * distance;
    static_cast<T*>(out)[r * out_stride] = dot(row, static_cast<const T*>(vector), k);
  }
}

}  // namespace

DotRowsFn dot_rows(DType dtype) {
  return dtype == DType::FP32 ? rows_of<float> : dtype == DType::FP64 ? rows_of<double> : nullptr;
}

}  // namespace anesdk::cpu::ANESDK_SIMD_NS
