// Loop shapes shared by the *_simd.cpp files.
#pragma once

#include <cstdint>
#include <type_traits>

#include "cpu/tile/simd.h"

#if defined(__clang__)
#define ANESDK_IVDEP _Pragma("clang loop vectorize(assume_safety)")
#else
#define ANESDK_IVDEP _Pragma("GCC ivdep")
#endif

#if defined(__GNUC__) && !defined(__clang__)
// Selects become blends: no one reads the floating-point exception flags.
#pragma GCC optimize("no-trapping-math")
#endif

namespace anesdk::cpu::ANESDK_SIMD_NS {

MapFn map_float(MapOp op, unsigned scalars);
MapFn map_double(MapOp op, unsigned scalars);
MapFn map_integer(MapOp op, DType dtype, unsigned scalars);
MapFn convert(DType from, DType to);
ReduceRowFn reduce_row(ReduceOp op, DType dtype);
ReduceColumnFn reduce_column(ReduceOp op, DType dtype);
CopyPlaneFn copy_plane(int64_t element_size);
DotRowsFn dot_rows(DType dtype);
NarrowFns narrow(DType dtype);

template <class Out, class T, class F>
void unary_loop(void* dst, const void* const* src, int64_t n, int64_t) {
  auto* o = static_cast<Out*>(dst);
  const auto* a = static_cast<const T*>(src[0]);
  ANESDK_IVDEP
  for (int64_t i = 0; i < n; ++i) o[i] = static_cast<Out>(F::f(a[i]));
}

template <class Out, class T, class F, unsigned kScalars>
void binary_loop(void* dst, const void* const* src, int64_t n, int64_t) {
  auto* o = static_cast<Out*>(dst);
  const auto* a = static_cast<const T*>(src[0]);
  const auto* b = static_cast<const T*>(src[1]);
  if constexpr (kScalars == 1) {
    const T s = a[0];
    ANESDK_IVDEP
    for (int64_t i = 0; i < n; ++i) o[i] = static_cast<Out>(F::f(s, b[i]));
  } else if constexpr (kScalars == 2) {
    const T s = b[0];
    ANESDK_IVDEP
    for (int64_t i = 0; i < n; ++i) o[i] = static_cast<Out>(F::f(a[i], s));
  } else {
    ANESDK_IVDEP
    for (int64_t i = 0; i < n; ++i) o[i] = static_cast<Out>(F::f(a[i], b[i]));
  }
}

template <class Out, class T, class F>
MapFn binary(unsigned scalars) {
  switch (scalars) {
    case 0:
      return binary_loop<Out, T, F, 0>;
    case 1:
      return binary_loop<Out, T, F, 1>;
    case 2:
      return binary_loop<Out, T, F, 2>;
    default:
      return nullptr;
  }
}

// The loop of F, the function of a row of map_ops.def.
template <class T, class F, MapKind kKind>
MapFn loop_of(unsigned scalars) {
  static_assert(kKind != MapKind::OTHER);
  if constexpr (kKind == MapKind::UNARY) {
    return unary_loop<T, T, F>;
  } else if constexpr (kKind == MapKind::TEST) {
    return unary_loop<uint8_t, T, F>;
  } else {
    return binary<std::conditional_t<kKind == MapKind::BINARY, T, uint8_t>, T, F>(scalars);
  }
}

// src: condition (bool), taken when true, taken when false. Bits 1 and 2 of kScalars as in SimdTable::map.
template <class T, unsigned kScalars>
void select_loop(void* dst, const void* const* src, int64_t n, int64_t) {
  auto* o = static_cast<T*>(dst);
  const auto* c = static_cast<const uint8_t*>(src[0]);
  const auto* a = static_cast<const T*>(src[1]);
  const auto* b = static_cast<const T*>(src[2]);
  const T sa = n > 0 ? a[0] : T{}, sb = n > 0 ? b[0] : T{};
  ANESDK_IVDEP
  for (int64_t i = 0; i < n; ++i) {
    const T x = kScalars & 2 ? sa : a[i], y = kScalars & 4 ? sb : b[i];
    o[i] = c[i] ? x : y;
  }
}

template <class T>
MapFn select(unsigned scalars) {
  switch (scalars) {
    case 0:
      return select_loop<T, 0>;
    case 2:
      return select_loop<T, 2>;
    case 4:
      return select_loop<T, 4>;
    case 6:
      return select_loop<T, 6>;
    default:
      return nullptr;
  }
}

// Functions of map_ops.def that return a loop take the type and the operands that are one element.
template <class T>
MapFn none(unsigned) {
  return nullptr;
}

template <class T>
void copy_loop(void* dst, const void* const* src, int64_t n, int64_t) {
  if (dst != src[0]) __builtin_memmove(dst, src[0], static_cast<size_t>(n) * sizeof(T));
}

template <class T>
MapFn copy(unsigned) {
  return copy_loop<T>;
}

// Integer powers by squaring, the exponent shared by the whole block. T{1} / x for negative ones of floats.
template <class T>
void integer_pow_loop(void* dst, const void* const* src, int64_t n, int64_t exponent) {
  auto* o = static_cast<T*>(dst);
  const auto* a = static_cast<const T*>(src[0]);
  constexpr int64_t kBlock = 256;
  T base[kBlock], acc[kBlock];
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t count = n - begin < kBlock ? n - begin : kBlock;
    for (int64_t i = 0; i < count; ++i) base[i] = a[begin + i];
    for (int64_t i = 0; i < count; ++i) acc[i] = T{1};
    for (uint64_t k = exponent < 0 ? -static_cast<uint64_t>(exponent) : static_cast<uint64_t>(exponent); k != 0;) {
      if (k & 1) {
        for (int64_t i = 0; i < count; ++i) acc[i] *= base[i];
      }
      k >>= 1;
      if (k == 0) break;
      for (int64_t i = 0; i < count; ++i) base[i] *= base[i];
    }
    for (int64_t i = 0; i < count; ++i) o[begin + i] = exponent < 0 ? T{1} / acc[i] : acc[i];
  }
}

}  // namespace anesdk::cpu::ANESDK_SIMD_NS
