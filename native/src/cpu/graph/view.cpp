// Strided views: what transposes, reshapes, broadcasts and slices become.
#include <algorithm>
#include <numeric>

#include "cpu/graph/graph.h"

namespace anesdk::cpu {

int64_t elements_of(const Shape& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

Shape dense_strides(const Shape& shape) {
  Shape strides(shape.size());
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

bool View::dense() const {
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && strides[i] != step) return false;
    step *= shape[i];
  }
  return true;
}

bool View::scalar() const {
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] != 1 && strides[i] != 0) return false;
  }
  return true;
}

View dense_view(TensorId base, DType dtype, const Shape& shape) {
  return {base, dtype, 0, shape, dense_strides(shape)};
}

View transpose(const View& view, const std::vector<int64_t>& perm) {
  View out{view.base, view.dtype, view.offset, {}, {}};
  for (int64_t axis : perm) {
    out.shape.push_back(view.shape[axis]);
    out.strides.push_back(view.strides[axis]);
  }
  return out;
}

View broadcast(const View& view, const Shape& shape, const std::vector<int64_t>& dims) {
  View out{view.base, view.dtype, view.offset, shape, Shape(shape.size(), 0)};
  for (size_t k = 0; k < dims.size(); ++k) {
    if (view.shape[k] != 1) out.strides[dims[k]] = view.strides[k];
  }
  return out;
}

View broadcast_trailing(const View& view, const Shape& shape) {
  std::vector<int64_t> dims(view.shape.size());
  std::iota(dims.begin(), dims.end(), static_cast<int64_t>(shape.size() - view.shape.size()));
  return broadcast(view, shape, dims);
}

View slice(const View& view, const std::vector<int64_t>& start, const std::vector<int64_t>& limit,
           const std::vector<int64_t>& strides) {
  View out = view;
  for (size_t i = 0; i < view.shape.size(); ++i) {
    const int64_t step = strides.empty() ? 1 : strides[i];
    out.offset += start[i] * view.strides[i];
    out.shape[i] = limit[i] > start[i] ? (limit[i] - start[i] + step - 1) / step : 0;
    out.strides[i] = view.strides[i] * step;
  }
  return out;
}

View reverse(const View& view, const std::vector<int64_t>& dims) {
  View out = view;
  for (int64_t d : dims) {
    if (view.shape[d] > 0) out.offset += (view.shape[d] - 1) * view.strides[d];
    out.strides[d] = -view.strides[d];
  }
  return out;
}

std::vector<Extent> collapse(const View& view) {
  std::vector<Extent> out;
  for (size_t i = 0; i < view.shape.size(); ++i) {
    const Extent next{view.shape[i], view.strides[i]};
    if (next.size == 1) continue;
    if (!out.empty() && out.back().stride == next.stride * next.size) {
      out.back() = {out.back().size * next.size, next.stride};
    } else {
      out.push_back(next);
    }
  }
  return out;
}

bool reshape(const View& view, const Shape& shape, View* out) {
  *out = {view.base, view.dtype, view.offset, shape, Shape(shape.size(), 0)};
  if (view.elements() == 0) return true;
  const std::vector<Extent> extents = collapse(view);
  // Walk both from the innermost axis; an axis of the result must lie inside one extent.
  size_t e = extents.size();
  int64_t left = 1, stride = 0;  // what remains of extent e
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 1) continue;
    if (left == 1) {
      if (e == 0) return false;
      --e;
      left = extents[e].size;
      stride = extents[e].stride;
    }
    if (left % shape[i] != 0) return false;
    out->strides[i] = stride;
    stride *= shape[i];
    left /= shape[i];
  }
  return true;
}

std::vector<int64_t> memory_order(const View& view) {
  std::vector<int64_t> order(view.shape.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return std::abs(view.strides[a]) > std::abs(view.strides[b]); });
  return order;
}

std::vector<int64_t> inverse(const std::vector<int64_t>& perm) {
  std::vector<int64_t> out(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) out[perm[i]] = static_cast<int64_t>(i);
  return out;
}

const char* name_of(ReduceOp op) {
  static constexpr const char* kNames[] = {"sum", "prod", "max", "min", "and", "or", "xor"};
  return kNames[static_cast<size_t>(op)];
}

}  // namespace anesdk::cpu
