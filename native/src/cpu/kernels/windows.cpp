#include "cpu/kernels/windows.h"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "cpu/kernels/numeric.h"
#include "cpu/kernels/shapes.h"

namespace anesdk::cpu {
namespace {

template <WindowOp op, typename T>
constexpr T identity() {
  using Limits = std::numeric_limits<T>;
  if constexpr (op == WindowOp::SUM) return T{};
  if constexpr (op == WindowOp::MAX) return Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
  if constexpr (op == WindowOp::MIN) return Limits::has_infinity ? Limits::infinity() : Limits::max();
}

template <WindowOp op, typename T>
T combine(T a, T b) {
  if constexpr (op == WindowOp::SUM) return wrapping_add(a, b);
  if constexpr (op == WindowOp::MAX) return max_of(a, b);
  if constexpr (op == WindowOp::MIN) return min_of(a, b);
}

// The element that place t of the window at position j meets, or -1.
int64_t element_at(const WindowAxis& axis, int64_t j, int64_t t) {
  const int64_t place = j * axis.stride + t * axis.window_dilation - axis.pad_low;
  if (place < 0 || place % axis.base_dilation != 0) return -1;
  const int64_t element = place / axis.base_dilation;
  return element < axis.in ? element : -1;
}

// One axis of [outer, axis.in, inner]; vectors run along `inner`.
template <WindowOp op, typename T>
void reduce_outer_axis(const WindowAxis& axis, int64_t outer, int64_t inner, const T* in, T* out) {
  for (int64_t o = 0; o < outer; ++o, in += axis.in * inner) {
    for (int64_t j = 0; j < axis.out; ++j, out += inner) {
      bool first = true;
      for (int64_t t = 0; t < axis.window; ++t) {
        const int64_t element = element_at(axis, j, t);
        if (element < 0) continue;
        const T* from = in + element * inner;
        if (first) {
          std::copy_n(from, inner, out);
        } else {
          for (int64_t i = 0; i < inner; ++i) out[i] = combine<op>(out[i], from[i]);
        }
        first = false;
      }
      if (first) std::fill_n(out, inner, identity<op, T>());
    }
  }
}

// The last axis; vectors run along the output positions.
template <WindowOp op, typename T>
void reduce_last_axis(const WindowAxis& axis, int64_t outer, const T* in, T* out) {
  for (int64_t o = 0; o < outer; ++o, in += axis.in, out += axis.out) {
    std::fill_n(out, axis.out, identity<op, T>());
    for (int64_t t = 0; t < axis.window; ++t) {
      const int64_t shift = t * axis.window_dilation - axis.pad_low;
      if (axis.base_dilation == 1) {
        const int64_t begin = shift >= 0 ? 0 : std::min(ceil_div(-shift, axis.stride), axis.out);
        const int64_t end = axis.in <= shift ? begin : std::min(ceil_div(axis.in - shift, axis.stride), axis.out);
        for (int64_t j = begin; j < end; ++j) out[j] = combine<op>(out[j], in[j * axis.stride + shift]);
      } else {
        for (int64_t j = 0; j < axis.out; ++j) {
          const int64_t element = element_at(axis, j, t);
          if (element >= 0) out[j] = combine<op>(out[j], in[element]);
        }
      }
    }
  }
}

// The axes from the first that has a window on: a plane, reduced by one thread, axis after axis.
struct Plane {
  size_t first = 0;
  int64_t count = 1;        // planes
  int64_t in = 1, out = 1;  // elements of one
  int64_t scratch = 1;      // the most that lies between two axes
};

Plane plane_of(const WindowSpec& spec) {
  Plane plane;
  while (plane.first < spec.axes.size() && spec.axes[plane.first].trivial()) {
    plane.count *= spec.axes[plane.first++].in;
  }
  for (size_t d = plane.first; d < spec.axes.size(); ++d) plane.in *= spec.axes[d].in, plane.out *= spec.axes[d].out;
  int64_t between = plane.in;
  plane.scratch = between;
  for (size_t d = plane.first; d < spec.axes.size(); ++d) {
    between = 1;
    for (size_t e = plane.first; e < spec.axes.size(); ++e) between *= e <= d ? spec.axes[e].out : spec.axes[e].in;
    plane.scratch = std::max(plane.scratch, between);
  }
  return plane;
}

// Reduces one plane; the result is in the returned one of the two buffers.
template <WindowOp op, typename T>
T* reduce_plane(const WindowSpec& spec, const Plane& plane, T* a, T* b) {
  for (size_t d = plane.first; d < spec.axes.size(); ++d) {
    const auto& axis = spec.axes[d];
    if (axis.trivial()) continue;
    int64_t outer = 1, inner = 1;
    for (size_t e = plane.first; e < d; ++e) outer *= spec.axes[e].out;
    for (size_t e = d + 1; e < spec.axes.size(); ++e) inner *= spec.axes[e].in;
    if (inner == 1) {
      reduce_last_axis<op>(axis, outer, a, b);
    } else {
      reduce_outer_axis<op>(axis, outer, inner, a, b);
    }
    std::swap(a, b);
  }
  return a;
}

template <typename T>
void divide(const WindowSpec& spec, const Plane& plane, T* sums) {
  std::vector<int64_t> size, index;
  for (size_t d = plane.first; d < spec.axes.size(); ++d) size.push_back(spec.axes[d].out);
  index.assign(size.size(), 0);
  do {
    int64_t divisor = 1;
    for (size_t d = 0; d < size.size(); ++d) {
      const auto& by_index = spec.divisors[plane.first + d];
      divisor *= by_index.empty() ? 1 : by_index[static_cast<size_t>(index[d])];
    }
    *sums = *sums / static_cast<T>(divisor);
    ++sums;
  } while (next_index(index, size));
}

template <WindowOp op, typename T>
void reduce_typed(const WindowSpec& spec, const T* in, T* out, ThreadPool& pool) {
  using C = Compute<T>;
  const Plane plane = plane_of(spec);
  if (plane.count * plane.out == 0) return;
  pool.parallel_for(plane.count, ceil_div(4096, plane.in + 1), [&](int64_t begin, int64_t end) {
    C* a = static_cast<C*>(ThreadPool::scratch(static_cast<size_t>(2 * plane.scratch + 2) * sizeof(C)));
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t k = 0; k < plane.in; ++k) a[k] = static_cast<C>(in[i * plane.in + k]);
      C* result = reduce_plane<op>(spec, plane, a, a + plane.scratch);
      if constexpr (std::is_floating_point_v<C>) {
        if (!spec.divisors.empty()) divide(spec, plane, result);
      }
      for (int64_t k = 0; k < plane.out; ++k) out[i * plane.out + k] = static_cast<T>(result[k]);
    }
  });
}

}  // namespace

void reduce_windows(const WindowSpec& spec, const void* in, void* out, ThreadPool& pool) {
  // bool as bytes 0 and 1: maximum is or, minimum is and
  const auto dtype = spec.dtype == mil::DType::BOOL ? mil::DType::UINT8 : spec.dtype;
  visit_dtype(dtype, [&]<typename T>(Tag<T>) {
    const T* from = static_cast<const T*>(in);
    T* to = static_cast<T*>(out);
    if constexpr (std::is_same_v<T, bool>) {
      throw mil::Error("unreachable");
    } else {
      switch (spec.op) {
        case WindowOp::SUM:
          return reduce_typed<WindowOp::SUM>(spec, from, to, pool);
        case WindowOp::MAX:
          return reduce_typed<WindowOp::MAX>(spec, from, to, pool);
        case WindowOp::MIN:
          return reduce_typed<WindowOp::MIN>(spec, from, to, pool);
      }
    }
  });
}

}  // namespace anesdk::cpu
