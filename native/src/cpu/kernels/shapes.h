// Small helpers for shapes, shared by the kernels.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "mil/error.h"
#include "mil/program.h"

namespace anesdk::cpu {

inline std::vector<int64_t> row_major_strides(std::span<const int64_t> shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

inline int64_t product(std::span<const int64_t> shape) {
  int64_t total = 1;
  for (const int64_t size : shape) total *= size;
  return total;
}

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }  // a >= 0, b > 0

inline int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

// Steps an index over a shape in row-major order; false after the last one.
inline bool next_index(std::span<int64_t> index, std::span<const int64_t> shape) {
  for (size_t i = shape.size(); i-- > 0;) {
    if (++index[i] < shape[i]) return true;
    index[i] = 0;
  }
  return false;
}

inline std::string list_str(std::span<const int64_t> values) {
  std::string text = "[";
  for (size_t i = 0; i < values.size(); ++i) text += (i ? ", " : "") + std::to_string(values[i]);
  return text + "]";
}

// Throws mil::Error("[op] message") unless ok.
inline void expect(bool ok, std::string_view op, const std::string& message) {
  if (!ok) throw mil::Error("[" + std::string(op) + "] " + message);
}

inline void expect_size(std::span<const int64_t> list, size_t size, std::string_view op, std::string_view name) {
  expect(list.size() == size, op,
         "expected " + std::to_string(size) + " numbers in " + std::string(name) + ", got " + list_str(list) + ".");
}

}  // namespace anesdk::cpu
