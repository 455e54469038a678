#include "cpu/import/builder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "cpu/tile/simd.h"
#include "mil/error.h"

namespace anesdk::cpu {

bool same(const View& a, const View& b) {
  return a.base == b.base && a.dtype == b.dtype && a.offset == b.offset && a.shape == b.shape && a.strides == b.strides;
}

DType compute_dtype(DType dtype) { return dtype == DType::FP16 || dtype == DType::BF16 ? DType::FP32 : dtype; }

Shape broadcast_shape(const std::vector<View>& views) {
  Shape out;
  for (const View& v : views) {
    if (v.shape.size() > out.size()) out.insert(out.begin(), v.shape.size() - out.size(), 1);
    for (size_t i = 0; i < v.shape.size(); ++i) {
      int64_t& d = out[out.size() - v.shape.size() + i];
      if (v.shape[i] != 1) d = v.shape[i];
    }
  }
  return out;
}

namespace {

std::vector<int64_t> identity_perm(size_t rank) {
  std::vector<int64_t> perm(rank);
  std::iota(perm.begin(), perm.end(), 0);
  return perm;
}

// Dense in some order of its axes, no broadcast.
bool dense_in_order(const View& view, const std::vector<int64_t>& order) { return transpose(view, order).dense(); }

// The axis order in which most operands are dense: a loop over transposed operands runs in their order.
std::vector<int64_t> loop_order(const std::vector<View>& inputs, const Shape& shape) {
  const std::vector<int64_t> rows = identity_perm(shape.size());
  std::vector<std::pair<std::vector<int64_t>, int>> votes;
  int for_rows = 0;
  for (const View& view : inputs) {
    if (view.scalar()) continue;
    if (view.dense()) {
      ++for_rows;
      continue;
    }
    const std::vector<int64_t> order = memory_order(view);
    if (!dense_in_order(view, order)) continue;
    const auto found = std::find_if(votes.begin(), votes.end(), [&](const auto& v) { return v.first == order; });
    if (found == votes.end()) {
      votes.push_back({order, 1});
    } else {
      ++found->second;
    }
  }
  const auto best =
      std::max_element(votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return best != votes.end() && best->second > for_rows ? best->first : rows;
}

}  // namespace

TensorId Builder::tensor(DType dtype, int64_t elements) {
  graph_.tensors.push_back({dtype, elements, Storage::TEMPORARY, 0, nullptr});
  return static_cast<TensorId>(graph_.tensors.size() - 1);
}

View Builder::constant(const mil::Value& value) {
  if (value.constant == nullptr || value.constant->blob) {
    throw mil::Error("[const] " + value.name + ": the CPU device reads no blob files", ANESDK_UNSUPPORTED);
  }
  const TensorId id = tensor(value.type.dtype, value.type.elements());
  graph_.tensors[id].storage = Storage::CONSTANT;
  graph_.tensors[id].constant = value.constant;
  return dense_view(id, value.type.dtype, value.type.shape);
}

void Builder::add_message(Node node) {
  if (last_message_.base >= 0) node.inputs.push_back(last_message_);  // an operand that no kernel reads
  const TensorId made = node.outputs.at(0);
  last_message_ = dense_view(made, dtype_of(made), {graph_.tensors[made].elements});
  add(std::move(node));
}

View Builder::scalar(DType dtype, double value) {
  mil::Value v;
  v.type.dtype = dtype;
  auto constant = std::make_shared<mil::Constant>();
  constant->data.resize(8);
  const void* source[] = {&value};
  simd().convert(DType::FP64, dtype)(constant->data.data(), source, 1, 0);
  constant->data.resize(mil::size_of(dtype));
  v.constant = constant;
  return this->constant(v);
}

View Builder::map(MapOp op, std::vector<View> inputs, DType out, int64_t imm) {
  const Shape shape = broadcast_shape(inputs);
  for (View& v : inputs) {
    if (v.shape != shape) v = broadcast_trailing(v, shape);
  }
  const std::vector<int64_t> order = loop_order(inputs, shape);
  Node node;
  node.map = op;
  node.imm = imm;
  node.compute = inputs.back().dtype;
  for (const View& v : inputs) node.inputs.push_back(transpose(v, order));
  const TensorId id = tensor(out, elements_of(shape));
  node.outputs = {id};
  const View result = dense_view(id, out, node.inputs[0].shape);
  add(std::move(node));
  return transpose(result, inverse(order));
}

View Builder::select(const View& condition, const View& yes, const View& no) {
  return map(MapOp::SELECT, {condition, yes, no}, yes.dtype);
}

View Builder::convert(const View& x, DType to) {
  return x.dtype == to ? x : map(MapOp::CONVERT, std::vector<View>{x}, to);
}

View Builder::iota(DType dtype, const Shape& shape, int64_t dimension) {
  if (compute_dtype(dtype) != dtype) return convert(iota(DType::FP32, shape, dimension), dtype);
  Node node;
  node.map = MapOp::IOTA;
  node.compute = dtype;
  node.length = shape[dimension];
  for (size_t i = dimension + 1; i < shape.size(); ++i) node.inner *= shape[i];
  const TensorId id = tensor(dtype, elements_of(shape));
  node.outputs = {id};
  add(std::move(node));
  return dense_view(id, dtype, shape);
}

View Builder::copy(const View& x) {
  for (const auto& [from, to] : copies_) {
    if (same(from, x)) return to;
  }
  Node node;
  node.kind = NodeKind::CONCAT;
  node.inputs = {x};
  const TensorId id = tensor(x.dtype, x.elements());
  node.outputs = {id};
  const View out = dense_view(id, x.dtype, x.shape);
  node.windows = {out};
  const std::vector<int64_t> order = memory_order(x);
  if (!transpose(x, order).scalar() && order != identity_perm(order.size())) ++graph_.materialized_transposes;
  add(std::move(node));
  copies_.push_back({x, out});
  return out;
}

View Builder::dense(const View& x) { return x.dense() ? x : copy(x); }

View Builder::reshape(const View& x, const Shape& shape) {
  View out;
  if (cpu::reshape(x, shape, &out)) return out;
  cpu::reshape(copy(x), shape, &out);
  return out;
}

View Builder::reduce(ReduceOp op, const View& input, std::vector<int64_t> axes) {
  const DType dtype = input.dtype;
  if (axes.empty()) return input;
  if (narrow_ != nullptr && op == ReduceOp::SUM) return narrow_sum(input, std::move(axes));
  View x = convert(input, compute_dtype(dtype));
  const size_t rank = x.shape.size();
  // In memory order when that makes x dense; the result is then read through a permutation.
  std::vector<int64_t> order = identity_perm(rank);
  if (!x.dense()) {
    const std::vector<int64_t> memory = memory_order(x);
    if (dense_in_order(x, memory)) {
      order = memory;
    } else {
      x = map(MapOp::COPY, x);  // a renaming, when fused
    }
  }
  x = transpose(x, order);
  std::vector<bool> reduced(rank, false);
  for (int64_t a : axes) reduced[a] = true;
  struct Group {
    int64_t size;
    bool reduced;
  };
  std::vector<Group> groups;
  Shape kept_shape;
  std::vector<int64_t> kept_axes;  // original axes, in memory order
  for (size_t i = 0; i < rank; ++i) {
    const bool r = reduced[order[i]];
    if (!r) {
      kept_shape.push_back(x.shape[i]);
      kept_axes.push_back(order[i]);
    }
    if (groups.empty() || groups.back().reduced != r) {
      groups.push_back({x.shape[i], r});
    } else {
      groups.back().size *= x.shape[i];
    }
  }
  View value = x;
  for (;;) {
    size_t g = groups.size();
    while (g > 0 && !groups[g - 1].reduced) --g;
    if (g-- == 0) break;
    Node node;
    node.kind = NodeKind::REDUCE;
    node.reduce = op;
    node.compute = value.dtype;
    node.length = groups[g].size;
    for (size_t i = 0; i < groups.size(); ++i) {
      if (i < g) node.outer *= groups[i].size;
      if (i > g) node.inner *= groups[i].size;
    }
    node.inputs = {value};
    const TensorId id = tensor(value.dtype, node.outer * node.inner);
    node.outputs = {id};
    value = dense_view(id, value.dtype, {node.outer * node.inner});
    add(std::move(node));
    groups.erase(groups.begin() + static_cast<int64_t>(g));
    if (g > 0 && g < groups.size()) {  // its neighbours, both kept, are one group now
      groups[g - 1].size *= groups[g].size;
      groups.erase(groups.begin() + static_cast<int64_t>(g));
    }
  }
  value = dense_view(value.base, value.dtype, kept_shape);
  // back to the order of the original axes
  std::vector<int64_t> perm(kept_axes.size());
  std::iota(perm.begin(), perm.end(), 0);
  std::sort(perm.begin(), perm.end(), [&](int64_t a, int64_t b) { return kept_axes[a] < kept_axes[b]; });
  return convert(transpose(value, perm), dtype);
}

// One sum after the other takes the reduced axes in their order: they must lie side by side, or come first.
View Builder::narrow_sum(View x, std::vector<int64_t> axes) {
  std::sort(axes.begin(), axes.end());
  const auto count = static_cast<int64_t>(axes.size());
  if (axes.back() - axes.front() + 1 != count) {
    std::vector<int64_t> order = axes;
    for (int64_t a = 0; a < static_cast<int64_t>(x.shape.size()); ++a) {
      if (!std::binary_search(axes.begin(), axes.end(), a)) order.push_back(a);
    }
    x = transpose(x, order);
    std::iota(axes.begin(), axes.end(), 0);
  }
  Node node;
  node.kind = NodeKind::REDUCE;
  node.compute = x.dtype;
  node.site = narrow_;
  node.inputs = {dense(x)};
  Shape shape;
  for (int64_t a = 0; a < static_cast<int64_t>(x.shape.size()); ++a) {
    (a < axes.front() ? node.outer : a > axes.back() ? node.inner : node.length) *= x.shape[a];
    if (a < axes.front() || a > axes.back()) shape.push_back(x.shape[a]);
  }
  const TensorId id = tensor(x.dtype, elements_of(shape));
  node.outputs = {id};
  const DType dtype = x.dtype;
  add(std::move(node));
  return dense_view(id, dtype, shape);
}

View Builder::settle(const View& value, std::vector<View> operands, Site* site) {
  if (operands.size() > 2) throw mil::Error("[settle] more operands than a step has room for", ANESDK_INTERNAL_ERROR);
  operands.insert(operands.begin(), value);
  const View out = map(MapOp::SETTLE, std::move(operands), DType::FP32);
  graph_.nodes.back().site = site;
  return out;
}

View Builder::reduce_keep(ReduceOp op, const View& x, const std::vector<int64_t>& axes) {
  Shape shape = x.shape;
  for (int64_t a : axes) shape[a] = 1;
  return reshape(reduce(op, x, axes), shape);
}

View Builder::arg_reduce(bool largest, const View& input, int64_t axis, DType out) {
  const View x = dense(convert(input, compute_dtype(input.dtype)));
  Node node;
  node.kind = NodeKind::ARG_REDUCE;
  node.largest = largest;
  node.compute = x.dtype;
  node.inputs = {x};
  Shape shape;
  for (size_t i = 0; i < x.shape.size(); ++i) {
    const auto a = static_cast<size_t>(axis);
    (i < a ? node.outer : i == a ? node.length : node.inner) *= x.shape[i];
    if (i != a) shape.push_back(x.shape[i]);
  }
  const TensorId id = tensor(out, elements_of(shape));
  node.outputs = {id};
  add(std::move(node));
  return dense_view(id, out, shape);
}

View Builder::concat(const std::vector<View>& parts, int64_t axis) {
  Shape shape = parts[0].shape;
  shape[axis] = 0;
  for (const View& p : parts) shape[axis] += p.shape[axis];
  Node node;
  node.kind = NodeKind::CONCAT;
  const TensorId id = tensor(parts[0].dtype, elements_of(shape));
  node.outputs = {id};
  const View out = dense_view(id, parts[0].dtype, shape);
  int64_t at = 0;
  for (const View& p : parts) {
    View window = out;
    window.offset += at * out.strides[axis];
    window.shape = p.shape;
    at += p.shape[axis];
    node.inputs.push_back(p);
    node.windows.push_back(window);
  }
  add(std::move(node));
  return out;
}

View Builder::pad(const View& x, const View& value, const std::vector<int64_t>& low, const std::vector<int64_t>& high,
                  const std::vector<int64_t>& interior) {
  const size_t rank = x.shape.size();
  Shape shape(rank);
  View part = x;
  bool whole = true;
  for (size_t i = 0; i < rank; ++i) {
    const int64_t step = interior[i] + 1;
    const int64_t spread = x.shape[i] == 0 ? 0 : (x.shape[i] - 1) * step + 1;
    shape[i] = spread + low[i] + high[i];
    whole &= low[i] <= 0 && high[i] <= 0 && interior[i] == 0;
  }
  const TensorId id = tensor(x.dtype, elements_of(shape));
  const View out = dense_view(id, x.dtype, shape);
  View window = out;
  for (size_t i = 0; i < rank; ++i) {
    // Elements k of x with 0 <= low + k * step < shape stay.
    const int64_t step = interior[i] + 1;
    const int64_t first = low[i] >= 0 ? 0 : (-low[i] + step - 1) / step;
    const int64_t room = shape[i] - 1 - low[i];  // the largest k * step
    const int64_t last = room < 0 ? -1 : std::min(x.shape[i] - 1, room / step);
    const int64_t count = std::max<int64_t>(0, last - first + 1);
    part.offset += count > 0 ? first * x.strides[i] : 0;
    part.shape[i] = count;
    window.offset += count > 0 ? (low[i] + first * step) * out.strides[i] : 0;
    window.shape[i] = count;
    window.strides[i] = out.strides[i] * step;
  }
  if (whole) return part;  // only cut: a view
  Node node;
  node.kind = NodeKind::CONCAT;
  node.outputs = {id};
  node.inputs = {broadcast(value, shape, {}), part};
  node.windows = {out, window};
  add(std::move(node));
  return out;
}

namespace {

// One stride for axes [begin, end), or false. The merged axis replaces them. Any stride will do for an empty view.
bool merge(View* view, size_t begin, size_t end) {
  const bool empty = elements_of(view->shape) == 0;
  View group{view->base, view->dtype, 0, {}, {}};
  group.shape.assign(view->shape.begin() + begin, view->shape.begin() + end);
  group.strides.assign(view->strides.begin() + begin, view->strides.begin() + end);
  const int64_t size = elements_of(group.shape);
  const std::vector<Extent> extents = collapse(group);
  if (extents.size() > 1 && !empty) return false;
  const int64_t stride = extents.empty() ? 0 : extents[0].stride;
  view->shape.erase(view->shape.begin() + begin, view->shape.begin() + end);
  view->strides.erase(view->strides.begin() + begin, view->strides.begin() + end);
  view->shape.insert(view->shape.begin() + begin, size);
  view->strides.insert(view->strides.begin() + begin, stride);
  return true;
}

// Both matrix axes as BLAS takes them: one has stride 1, the other is a row distance.
bool matrix_like(View* view) {
  const size_t r = view->shape.size();
  int64_t &rows = view->shape[r - 2], &columns = view->shape[r - 1];
  int64_t &rs = view->strides[r - 2], &cs = view->strides[r - 1];
  if (rows <= 1 && columns <= 1) {
    rs = cs = 1;
  } else if (rows <= 1) {
    if (cs == 1)
      rs = columns;
    else
      rs = 1;
  } else if (columns <= 1) {
    if (rs == 1)
      cs = rows;
    else
      cs = 1;
  }
  return (cs == 1 && rs >= std::max<int64_t>(columns, 1)) || (rs == 1 && cs >= std::max<int64_t>(rows, 1));
}

// [batch..., a..., b...] -> [batch..., A, B] with strides that BLAS takes.
bool as_matrices(View* view, size_t batch, size_t a, size_t b) {
  return merge(view, batch + a, batch + a + b) && merge(view, batch, batch + a) && matrix_like(view);
}

// Sorts the contracting axes of both by how x lies in memory.
void sort_contracting(View* x, View* y, const Builder::Contraction& s) {
  std::vector<int64_t> order(s.k);
  std::iota(order.begin(), order.end(), 0);
  const size_t at = s.batch + s.m;
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t i, int64_t j) { return x->strides[at + i] > x->strides[at + j]; });
  std::vector<int64_t> px = identity_perm(x->shape.size()), py = identity_perm(y->shape.size());
  for (size_t i = 0; i < s.k; ++i) {
    px[at + i] = static_cast<int64_t>(at) + order[i];
    py[s.batch + i] = static_cast<int64_t>(s.batch) + order[i];
  }
  *x = transpose(*x, px);
  *y = transpose(*y, py);
}

}  // namespace

View Builder::dot(View x, View y, const Contraction& s, DType out) {
  const DType wide = mil::size_of(compute_dtype(out)) >= mil::size_of(compute_dtype(x.dtype)) ? compute_dtype(out)
                                                                                              : compute_dtype(x.dtype);
  x = convert(x, wide);
  y = convert(y, wide);
  sort_contracting(&x, &y, s);
  Shape shape(x.shape.begin(), x.shape.begin() + static_cast<int64_t>(s.batch + s.m));
  shape.insert(shape.end(), y.shape.begin() + static_cast<int64_t>(s.batch + s.k), y.shape.end());

  Node node;
  node.kind = NodeKind::GEMM;
  node.compute = wide;
  View a = x, b = y;
  if (!as_matrices(&a, s.batch, s.m, s.k)) {
    a = dense(x);
    as_matrices(&a, s.batch, s.m, s.k);
  }
  if (!as_matrices(&b, s.batch, s.k, s.n)) {
    b = dense(y);
    as_matrices(&b, s.batch, s.k, s.n);
  }
  const TensorId id = tensor(wide, elements_of(shape));
  View result = transpose(dense_view(id, wide, transpose(dense_view(id, wide, shape), s.perm).shape), inverse(s.perm));
  View window = result;
  if (!as_matrices(&window, s.batch, s.m, s.n)) {
    result = dense_view(id, wide, shape);
    window = result;
    as_matrices(&window, s.batch, s.m, s.n);
  }
  node.inputs = {a, b};
  node.windows = {window};
  node.outputs = {id};
  add(std::move(node));
  return convert(result, out);
}

}  // namespace anesdk::cpu
