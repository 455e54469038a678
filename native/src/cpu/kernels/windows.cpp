#include "cpu/kernels/windows.h"

#include <algorithm>
#include <type_traits>

#include "cpu/kernels/numeric.h"
#include "cpu/kernels/shapes.h"
#include "cpu/tile/cpu_variant.h"

namespace anesdk::cpu {

ANESDK_IN_LEVELS(template <typename T> WindowLoops<T> window_loops(WindowOp op);
                 template <typename T> WinnersFn<T> winners(bool greatest);
                 template <typename T> ScatterPairsFn<T> pair_scatter(bool greatest);)

template <typename T>
WindowLoops<T> window_loops(WindowOp op) {
  return ANESDK_PICK(window_loops<T>)(op);
}

template <typename T>
WinnersFn<T> winners(bool greatest) {
  return ANESDK_PICK(winners<T>)(greatest);
}

template <typename T>
ScatterPairsFn<T> pair_scatter(bool greatest) {
  return ANESDK_PICK(pair_scatter<T>)(greatest);
}

#define ANESDK_INSTANTIATE(T)                      \
  template WinnersFn<T> winners<T>(bool greatest); \
  template ScatterPairsFn<T> pair_scatter<T>(bool greatest);
ANESDK_WINDOW_TYPES(ANESDK_INSTANTIATE)
#undef ANESDK_INSTANTIATE

namespace {

// The axes from the first that has a window on: a plane, reduced by one thread, axis after axis.
struct Plane {
  size_t first = 0;
  int64_t count = 1;          // planes
  int64_t in = 1, out = 1;    // elements of one
  int64_t scratch = 1;        // the most that any step reads or writes
  std::vector<size_t> steps;  // the axes with a window
};

Plane plane_of(const WindowSpec& spec) {
  Plane plane;
  while (plane.first < spec.axes.size() && spec.axes[plane.first].trivial()) {
    plane.count *= spec.axes[plane.first++].in;
  }
  for (size_t d = plane.first; d < spec.axes.size(); ++d) plane.in *= spec.axes[d].in, plane.out *= spec.axes[d].out;
  plane.scratch = plane.in;
  for (size_t d = plane.first; d < spec.axes.size(); ++d) {
    int64_t between = 1;
    for (size_t e = plane.first; e < spec.axes.size(); ++e) between *= e <= d ? spec.axes[e].out : spec.axes[e].in;
    plane.scratch = std::max(plane.scratch, between);
    if (!spec.axes[d].trivial()) plane.steps.push_back(d);
  }
  return plane;
}

template <typename C>
void reduce_step(const WindowSpec& spec, const Plane& plane, size_t d, const C* in, C* out) {
  const auto loops = window_loops<C>(spec.op);
  int64_t outer = 1, inner = 1;
  for (size_t e = plane.first; e < d; ++e) outer *= spec.axes[e].out;
  for (size_t e = d + 1; e < spec.axes.size(); ++e) inner *= spec.axes[e].in;
  if (inner == 1) {
    loops.last_axis(spec.axes[d], outer, in, out);
  } else {
    loops.outer_axis(spec.axes[d], outer, inner, in, out);
  }
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

// One plane from `in` to `out` over two buffers; 16-bit floats are widened before and rounded once after.
template <typename T>
void reduce_plane(const WindowSpec& spec, const Plane& plane, const T* in, T* out, Compute<T>* buffer) {
  using C = Compute<T>;
  constexpr bool converts = !std::is_same_v<T, C>;
  C* next = buffer;
  C* spare = buffer + plane.scratch;
  const C* from;
  if constexpr (converts) {
    std::transform(in, in + plane.in, next, [](T x) { return static_cast<C>(x); });
    from = std::exchange(next, spare);
    spare = buffer;
  } else {
    from = in;
  }
  for (const size_t d : plane.steps) {
    C* to = next;
    if constexpr (!converts) {
      if (d == plane.steps.back()) to = out;
    }
    reduce_step(spec, plane, d, from, to);
    from = to;
    std::swap(next, spare);
  }
  if constexpr (converts) {
    C* result = const_cast<C*>(from);  // it is one of the buffers
    if (!spec.divisors.empty()) divide(spec, plane, result);
    std::transform(result, result + plane.out, out, [](C x) { return T(x); });
  } else {
    if (plane.steps.empty()) std::copy_n(in, plane.in, out);
    if constexpr (std::is_floating_point_v<C>) {
      if (!spec.divisors.empty()) divide(spec, plane, out);
    }
  }
}

template <typename T>
void reduce_typed(const WindowSpec& spec, const T* in, T* out, ThreadPool& pool) {
  using C = Compute<T>;
  const Plane plane = plane_of(spec);
  if (plane.count * plane.out == 0) return;
  pool.parallel_for(plane.count, ceil_div(4096, plane.in + 1), [&](int64_t begin, int64_t end) {
    C* buffer = static_cast<C*>(ThreadPool::scratch(static_cast<size_t>(2 * plane.scratch + 2) * sizeof(C)));
    for (int64_t i = begin; i < end; ++i) reduce_plane(spec, plane, in + i * plane.in, out + i * plane.out, buffer);
  });
}

}  // namespace

void reduce_windows(const WindowSpec& spec, const void* in, void* out, ThreadPool& pool) {
  // bool as bytes 0 and 1: maximum is or, minimum is and
  const auto dtype = spec.dtype == mil::DType::BOOL ? mil::DType::UINT8 : spec.dtype;
  visit_dtype(dtype, [&]<typename T>(Tag<T>) {
    if constexpr (!std::is_same_v<T, bool>) {
      reduce_typed(spec, static_cast<const T*>(in), static_cast<T*>(out), pool);
    }
  });
}

}  // namespace anesdk::cpu
