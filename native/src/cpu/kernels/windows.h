// Sums, maxima and minima over boxes, axis after axis; and where in a window the greatest or least element stands.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cpu/graph/thread_pool.h"
#include "mil/program.h"

namespace anesdk::cpu {

enum class WindowOp { SUM, MAX, MIN };

struct WindowAxis {
  int64_t in = 1, out = 1;
  int64_t window = 1, stride = 1, window_dilation = 1, base_dilation = 1, pad_low = 0;

  bool trivial() const { return window == 1 && stride == 1 && base_dilation == 1 && pad_low == 0 && in == out; }
  // Undilated windows side by side that fill the axis.
  bool tiles() const {
    return window <= stride && pad_low == 0 && in == out * stride && window_dilation == 1 && base_dilation == 1;
  }
  // The elements under an undilated window at position j.
  int64_t begin(int64_t j) const { return std::max<int64_t>(j * stride - pad_low, 0); }
  int64_t end(int64_t j) const { return std::min(j * stride - pad_low + window, in); }
};

// A window reduction of one tensor. `divisors`, for averages: by axis and output index, else empty.
struct WindowSpec {
  WindowOp op = WindowOp::SUM;
  mil::DType dtype = mil::DType::FP32;
  std::vector<WindowAxis> axes;
  std::vector<std::vector<int64_t>> divisors;
};

void reduce_windows(const WindowSpec& spec, const void* in, void* out, ThreadPool& pool);

// The element types of everything below.
#define ANESDK_WINDOW_TYPES(X) \
  X(float)                     \
  X(double)                    \
  X(int8_t)                    \
  X(int16_t)                   \
  X(int32_t)                   \
  X(int64_t)                   \
  X(uint8_t)                   \
  X(uint16_t)                  \
  X(uint32_t)                  \
  X(uint64_t)

// The vector loops (windows_simd.cpp), of the variant for this processor.
template <typename T>
struct WindowLoops {
  // Reduces one axis of [outer, axis.in, inner], inner > 1; or the last axis of [outer, axis.in].
  void (*outer_axis)(const WindowAxis& axis, int64_t outer, int64_t inner, const T* in, T* out);
  void (*last_axis)(const WindowAxis& axis, int64_t outer, const T* in, T* out);
};

template <typename T>
WindowLoops<T> window_loops(WindowOp op);

// best: for every window of a plane, the offset of its first winner, or -1 for a window that holds nothing. `value` is
// room for columns.out elements.
template <typename T>
using WinnersFn = void (*)(const WindowAxis& rows, const WindowAxis& columns, const T* operand, T* value,
                           int32_t* best);

template <typename T>
WinnersFn<T> winners(bool greatest);

// The usual case in one pass: windows of 2 x 2 that tile a plane of 2 rows x 2 columns. Writes all of `out`.
template <typename T>
using ScatterPairsFn = void (*)(int64_t rows, int64_t columns, const T* operand, const T* source, T* out);

template <typename T>
ScatterPairsFn<T> pair_scatter(bool greatest);

}  // namespace anesdk::cpu
