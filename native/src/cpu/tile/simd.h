// The vector loops, compiled once per instruction set and chosen when the library starts.
#pragma once

#include <cstdint>

#include "cpu/graph/graph.h"

namespace anesdk::cpu {

// dst[i] = f(src[0][i], src[1][i], ...) for n elements. dst may be one of the sources.
using MapFn = void (*)(void* dst, const void* const* src, int64_t n, int64_t imm);
// Reduces n elements to one of the same type (float32 sums in float32, blocked).
using ReduceRowFn = void (*)(void* out, const void* src, int64_t n);
// acc[i] = acc[i] op src[i]
using ReduceColumnFn = void (*)(void* acc, const void* src, int64_t n);
// Copies rows x columns elements; strides in elements.
using CopyPlaneFn = void (*)(void* dst, int64_t dst_row, int64_t dst_column, const void* src, int64_t src_row,
                             int64_t src_column, int64_t rows, int64_t columns);
// out[r * out_stride] = the sum of matrix[r * distance + j] * vector[j] over j < k, for `rows` rows.
using DotRowsFn = void (*)(void* out, int64_t out_stride, const void* matrix, int64_t distance, const void* vector,
                           int64_t rows, int64_t k);

constexpr int64_t kNarrowColumns = 2048;  // whose sums stay in the first cache

// The scales of weights of one byte: `first` + rows[r] is where those of row r as stored begin, `stride` apart (0 or
// 1); null: there are none.
struct NarrowScale {
  const float* first;
  const int64_t* rows;
  int64_t stride;
};
// out[i * out_stride] = the sum of x[j] * (weight * scale) over j < k, for i < n <= kNarrowColumns; rows as stored are
// `distance` apart. `sums`: row j has the weights of j; `dots`: row i has those of i.
using NarrowFn = void (*)(float* out, int64_t out_stride, const void* weight, int64_t distance, const float* x,
                          const NarrowScale& scale, int64_t n, int64_t k);
struct NarrowFns {
  NarrowFn sums, dots;
};

// The losses of float32 numbers that are rounded to float16.
struct Inspection {
  int32_t worst = 0;  // the bits of the largest magnitude, NaN above all
  int64_t tiny = 0;   // rounded to another number, below the smallest normal one
  int64_t gone = 0;   // not zero, and zero when rounded
};
using InspectFn = void (*)(const float* src, int64_t n, Inspection* out);

struct SimdTable {
  // Bit k of `scalars`: source k is one element. Null when there is no such loop.
  MapFn (*map)(MapOp op, DType dtype, unsigned scalars);
  MapFn (*convert)(DType from, DType to);
  ReduceRowFn (*reduce_row)(ReduceOp op, DType dtype);
  ReduceColumnFn (*reduce_column)(ReduceOp op, DType dtype);
  CopyPlaneFn (*copy_plane)(int64_t element_size);
  DotRowsFn (*dot_rows)(DType dtype);  // of float32 and float64
  InspectFn inspect_fp16;
  NarrowFns (*narrow)(DType dtype);  // of int8 and uint8
};

const SimdTable& simd();

// Operations with no vector loop: one call per element (map_rare.cpp).
MapFn rare_map(MapOp op, DType dtype, unsigned scalars);

}  // namespace anesdk::cpu
