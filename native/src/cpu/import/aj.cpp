// The aj_ operations: the meaning of lax primitives.
#include <algorithm>
#include <numeric>

#include "cpu/import/importer.h"

namespace anesdk::cpu {
namespace {

using mil::Op;

void power(Importer& i, const Op& op) {
  const View x = i.in(op, "x");
  i.set(op, i.b.map(MapOp::POW, {x, i.b.convert(i.in(op, "y"), x.dtype)}, x.dtype));
}

void integer_pow(Importer& i, const Op& op) {
  const View x = i.in(op, "x");
  const int64_t y = i.f.integer(op, "y");
  if (y == 2) return i.set(op, i.b.map(MapOp::SQUARE, x));
  i.set(op, i.b.map(MapOp::INTEGER_POW, {x}, x.dtype, y));
}

// Float32 has the neighbours of 16-bit floats only through their bits.
void nextafter(Importer& i, const Op& op) {
  const View x = i.in(op, "x"), y = i.in(op, "y");
  if (compute_dtype(x.dtype) == x.dtype) return i.set(op, i.b.map(MapOp::NEXTAFTER, {x, y}, x.dtype));
  const DType bits_type = DType::INT16;
  View bits = x;
  bits.dtype = bits_type;
  const View one = i.b.scalar(bits_type, 1), zero = i.b.scalar(x.dtype, 0);
  const View above = i.b.compare(MapOp::GT, y, x), positive = i.b.compare(MapOp::GT, x, zero);
  const View outward = i.b.compare(MapOp::EQ, above, positive);
  View next = i.b.select(outward, i.b.map(MapOp::ADD, bits, one), i.b.map(MapOp::SUB, bits, one));
  const View smallest = i.b.select(above, one, i.b.scalar(bits_type, -32767));  // of either sign
  next = i.b.select(i.b.compare(MapOp::EQ, x, zero), smallest, next);
  next = i.b.dense(next);
  next.dtype = x.dtype;
  next = i.b.select(i.b.compare(MapOp::EQ, x, y), y, next);
  const View nan = i.b.map(MapOp::OR, i.b.compare(MapOp::NE, x, x), i.b.compare(MapOp::NE, y, y));
  i.set(op, i.b.select(nan, i.b.map(MapOp::ADD, x, y), next));
}

void copy(Importer& i, const Op& op) { i.set(op, i.in(op, "x")); }

void select_n(Importer& i, const Op& op) {
  const View which = i.in(op, "which");
  const std::vector<View> cases = i.list(op, "cases");
  View out = cases[0];
  if (which.dtype == DType::BOOL) {
    if (cases.size() > 1) out = i.b.select(which, cases[1], cases[0]);
  } else {
    for (size_t k = 1; k < cases.size(); ++k) {
      const MapOp test = k + 1 == cases.size() ? MapOp::GE : MapOp::EQ;
      const View hit = i.b.compare(test, which, i.b.scalar(which.dtype, static_cast<double>(k)));
      out = i.b.select(hit, cases[k], out);
    }
  }
  i.set(op, out);
}

void clamp(Importer& i, const Op& op) {
  const View x = i.b.map(MapOp::MAX, i.in(op, "x"), i.in(op, "min"));
  i.set(op, i.b.map(MapOp::MIN, x, i.in(op, "max")));
}

void convert(Importer& i, const Op& op) { i.set(op, i.b.convert(i.in(op, "x"), i.type(op).dtype)); }

void bitcast(Importer& i, const Op& op) {
  View x = i.in(op, "x");
  x.dtype = i.type(op).dtype;
  i.set(op, x);
}

template <ReduceOp kOp>
void reduce(Importer& i, const Op& op) {
  i.set(op, i.b.reduce(kOp, i.in(op, "x"), i.ints(op, "axes")));
}

template <bool kLargest>
void arg_reduce(Importer& i, const Op& op) {
  i.set(op, i.b.arg_reduce(kLargest, i.in(op, "x"), i.f.integer(op, "axis"), i.type(op).dtype));
}

void reshape(Importer& i, const Op& op) { i.set(op, i.b.reshape(i.in(op, "x"), i.type(op).shape)); }
void transpose_op(Importer& i, const Op& op) { i.set(op, transpose(i.in(op, "x"), i.ints(op, "perm"))); }

void broadcast_in_dim(Importer& i, const Op& op) {
  i.set(op, broadcast(i.in(op, "x"), i.type(op).shape, i.ints(op, "broadcast_dimensions")));
}

void slice_op(Importer& i, const Op& op) {
  i.set(op, slice(i.in(op, "x"), i.ints(op, "start_indices"), i.ints(op, "limit_indices"), i.ints(op, "strides")));
}

void concatenate(Importer& i, const Op& op) {
  i.set(op, i.b.concat(i.list(op, "values"), i.f.integer(op, "dimension")));
}

void pad(Importer& i, const Op& op) {
  i.set(op, i.b.pad(i.in(op, "x"), i.in(op, "padding_value"), i.ints(op, "low"), i.ints(op, "high"),
                    i.ints(op, "interior")));
}

void rev(Importer& i, const Op& op) { i.set(op, reverse(i.in(op, "x"), i.ints(op, "dimensions"))); }

void iota(Importer& i, const Op& op) {
  const mil::Type& t = i.type(op);
  i.set(op, i.b.iota(t.dtype, t.shape, i.f.integer(op, "dimension")));
}

void dynamic_slice(Importer& i, const Op& op) {
  const View x = i.in(op, "x");
  const mil::Type& t = i.type(op);
  Node node;
  node.kind = NodeKind::DYNAMIC_SLICE;
  node.inputs = {x};
  node.inputs[0].shape = t.shape;
  for (const View& start : i.list(op, "start_indices")) node.inputs.push_back(start);
  for (size_t d = 0; d < t.shape.size(); ++d) node.limits.push_back(x.shape[d] - t.shape[d]);
  node.steps = x.strides;
  const TensorId id = i.b.tensor(t.dtype, t.elements());
  node.outputs = {id};
  i.b.add(std::move(node));
  i.set(op, dense_view(id, t.dtype, t.shape));
}

void dynamic_update_slice(Importer& i, const Op& op) {
  const View x = i.b.dense(i.in(op, "x")), update = i.in(op, "update");
  Node node;
  node.kind = NodeKind::DYNAMIC_UPDATE;
  node.inputs = {x, update};
  for (const View& start : i.list(op, "start_indices")) node.inputs.push_back(start);
  for (size_t d = 0; d < x.shape.size(); ++d) node.limits.push_back(x.shape[d] - update.shape[d]);
  const TensorId id = i.b.tensor(x.dtype, x.elements());
  const View out = dense_view(id, x.dtype, x.shape);
  node.steps = out.strides;
  View window = out;
  window.shape = update.shape;
  node.windows = {window};
  node.outputs = {id};
  i.b.add(std::move(node));
  i.set(op, out);
}

std::vector<int64_t> others(size_t rank, const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  std::vector<int64_t> out;
  for (int64_t d = 0; d < static_cast<int64_t>(rank); ++d) {
    if (std::find(a.begin(), a.end(), d) == a.end() && std::find(b.begin(), b.end(), d) == b.end()) out.push_back(d);
  }
  return out;
}

std::vector<int64_t> join(std::vector<int64_t> a, const std::vector<int64_t>& b, const std::vector<int64_t>& c) {
  a.insert(a.end(), b.begin(), b.end());
  a.insert(a.end(), c.begin(), c.end());
  return a;
}

void dot_general(Importer& i, const Op& op) {
  const View x = i.in(op, "x"), y = i.in(op, "y");
  const auto xb = i.ints(op, "x_batch"), xc = i.ints(op, "x_contracting");
  const auto yb = i.ints(op, "y_batch"), yc = i.ints(op, "y_contracting");
  const auto xf = others(x.shape.size(), xb, xc), yf = others(y.shape.size(), yb, yc);
  Builder::Contraction s{xb.size(), xf.size(), yf.size(), xc.size(), i.read_order(op)};
  i.set(op, i.b.dot(transpose(x, join(xb, xf, xc)), transpose(y, join(yb, yc, yf)), s, i.type(op).dtype));
}

void barrier(Importer& i, const Op& op) {
  const std::vector<View> values = i.list(op, "values");
  for (size_t k = 0; k < values.size(); ++k) i.set(op, values[k], k);
}

}  // namespace

const Handlers& aj_handlers() {
  static const Handlers kTable = {
      {"aj_nextafter", nextafter},
      {"aj_pow", power},
      {"aj_integer_pow", integer_pow},
      {"aj_copy", copy},
      {"aj_select_n", select_n},
      {"aj_clamp", clamp},
      {"aj_convert_element_type", convert},
      {"aj_bitcast_convert_type", bitcast},
      {"aj_reduce_sum", reduce<ReduceOp::SUM>},
      {"aj_reduce_prod", reduce<ReduceOp::PROD>},
      {"aj_reduce_max", reduce<ReduceOp::MAX>},
      {"aj_reduce_min", reduce<ReduceOp::MIN>},
      {"aj_reduce_and", reduce<ReduceOp::AND>},
      {"aj_reduce_or", reduce<ReduceOp::OR>},
      {"aj_reduce_xor", reduce<ReduceOp::XOR>},
      {"aj_argmax", arg_reduce<true>},
      {"aj_argmin", arg_reduce<false>},
      {"aj_reshape", reshape},
      {"aj_transpose", transpose_op},
      {"aj_broadcast_in_dim", broadcast_in_dim},
      {"aj_slice", slice_op},
      {"aj_concatenate", concatenate},
      {"aj_pad", pad},
      {"aj_rev", rev},
      {"aj_iota", iota},
      {"aj_dynamic_slice", dynamic_slice},
      {"aj_dynamic_update_slice", dynamic_update_slice},
      {"aj_dot_general", dot_general},
      {"aj_optimization_barrier", barrier},
  };
  return kTable;
}

}  // namespace anesdk::cpu
