// Sums, maxima and minima over boxes, axis after axis.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/thread_pool.h"
#include "mil/program.h"

namespace anesdk::cpu {

enum class WindowOp { SUM, MAX, MIN };

struct WindowAxis {
  int64_t in = 1, out = 1;
  int64_t window = 1, stride = 1, window_dilation = 1, base_dilation = 1, pad_low = 0;
  bool trivial() const { return window == 1 && stride == 1 && base_dilation == 1 && pad_low == 0 && in == out; }
};

// A window reduction of one tensor. `divisors`, for averages: by axis and output index, else empty.
struct WindowSpec {
  WindowOp op = WindowOp::SUM;
  mil::DType dtype = mil::DType::FP32;
  std::vector<WindowAxis> axes;
  std::vector<std::vector<int64_t>> divisors;
};

void reduce_windows(const WindowSpec& spec, const void* in, void* out, ThreadPool& pool);

}  // namespace anesdk::cpu
