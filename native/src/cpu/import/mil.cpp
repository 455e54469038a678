// MIL's own operations, composed from the same nodes. Composites of 16-bit floats compute in float32 and round once.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "cpu/import/importer.h"

namespace anesdk::cpu {
namespace {

using mil::Op;

View wide(Importer& i, const View& x) { return i.b.convert(x, compute_dtype(x.dtype)); }
void finish(Importer& i, const Op& op, const View& value) { i.set(op, i.b.convert(value, i.type(op).dtype)); }

void exp2_op(Importer& i, const Op& op) {
  const View x = i.in(op, "x");
  const bool integer = x.dtype == DType::INT32;
  finish(i, op, i.b.map(MapOp::EXP2, integer ? i.b.convert(x, DType::FP32) : x));
}

// f(x + epsilon)
template <MapOp kOp>
void with_epsilon(Importer& i, const Op& op) {
  constexpr double kMissing = kOp == MapOp::LOG ? 1e-45 : kOp == MapOp::RSQRT ? 1e-12 : 1e-4;
  const double epsilon = i.real(op, "epsilon", kMissing);
  View x = wide(i, i.in(op, "x"));
  if (epsilon != 0.0) x = i.b.map(MapOp::ADD, x, epsilon);
  finish(i, op, i.b.map(kOp, x));
}

void select(Importer& i, const Op& op) { i.set(op, i.b.select(i.in(op, "cond"), i.in(op, "a"), i.in(op, "b"))); }

void cast(Importer& i, const Op& op) { finish(i, op, i.in(op, "x")); }
void identity(Importer& i, const Op& op) { i.set(op, i.in(op, "x")); }

void gelu(Importer& i, const Op& op) {
  const View x = wide(i, i.in(op, "x"));
  const std::string mode = i.text(op, "mode", "EXACT");
  if (mode == "SIGMOID_APPROXIMATION") {
    return finish(i, op, i.b.map(MapOp::MUL, x, i.b.map(MapOp::LOGISTIC, i.b.map(MapOp::MUL, x, 1.702))));
  }
  View inner;
  if (mode == "TANH_APPROXIMATION") {
    const View cube = i.b.map(MapOp::MUL, i.b.map(MapOp::SQUARE, x), x);
    const View sum = i.b.map(MapOp::ADD, x, i.b.map(MapOp::MUL, cube, 0.044715));
    inner = i.b.map(MapOp::TANH, i.b.map(MapOp::MUL, sum, std::sqrt(2.0 / 3.14159265358979323846)));
  } else {
    inner = i.b.map(MapOp::ERF, i.b.map(MapOp::MUL, x, std::sqrt(0.5)));
  }
  finish(i, op, i.b.map(MapOp::MUL, i.b.map(MapOp::MUL, x, 0.5), i.b.map(MapOp::ADD, inner, 1.0)));
}

void silu(Importer& i, const Op& op) {
  const View x = wide(i, i.in(op, "x"));
  finish(i, op, i.b.map(MapOp::MUL, x, i.b.map(MapOp::LOGISTIC, x)));
}

// log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|))
void softplus(Importer& i, const Op& op) {
  const View x = wide(i, i.in(op, "x"));
  const View tail = i.b.map(MapOp::LOG1P, i.b.map(MapOp::EXP, i.b.map(MapOp::NEG, i.b.map(MapOp::ABS, x))));
  finish(i, op, i.b.map(MapOp::ADD, i.b.map(MapOp::MAX, x, 0.0), tail));
}

void softmax(Importer& i, const Op& op) {
  const View x = wide(i, i.in(op, "x"));
  const std::vector<int64_t> axes = {axis_of(i.integer(op, "axis", -1), x.shape.size())};
  const View e = i.b.map(MapOp::EXP, i.b.map(MapOp::SUB, x, i.b.reduce_keep(ReduceOp::MAX, x, axes)));
  finish(i, op, i.b.map(MapOp::DIV, e, i.b.reduce_keep(ReduceOp::SUM, e, axes)));
}

void clip(Importer& i, const Op& op) {
  const View low = i.b.map(MapOp::MAX, i.in(op, "x"), i.in(op, "alpha"));
  i.set(op, i.b.map(MapOp::MIN, low, i.in(op, "beta")));
}

std::vector<int64_t> axes_of(Importer& i, const Op& op, size_t rank) {
  std::vector<int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (i.has(op, "axes")) axes = i.ints(op, "axes");
  for (int64_t& a : axes) a = axis_of(a, rank);
  return axes;
}

int64_t count_of(const View& x, const std::vector<int64_t>& axes) {
  int64_t count = 1;
  for (int64_t a : axes) count *= x.shape[a];
  return count;
}

// The reduced axes kept or not, as the declared type has it.
void finish_reduction(Importer& i, const Op& op, const View& value) {
  finish(i, op, i.b.reshape(value, i.type(op).shape));
}

template <ReduceOp kOp>
void reduce(Importer& i, const Op& op) {
  const View x = i.in(op, "x");
  finish_reduction(i, op, i.b.reduce(kOp, x, axes_of(i, op, x.shape.size())));
}

void reduce_sum_square(Importer& i, const Op& op) {
  const View x = wide(i, i.in(op, "x"));
  finish_reduction(i, op, i.b.reduce(ReduceOp::SUM, i.b.map(MapOp::SQUARE, x), axes_of(i, op, x.shape.size())));
}

// The integers' in float32, rounded when they are integers again.
template <MapOp kBefore, MapOp kAfter>
void reduce_between(Importer& i, const Op& op) {
  View x = i.in(op, "x");
  x = i.b.convert(x, x.dtype == DType::INT32 ? DType::FP32 : compute_dtype(x.dtype));
  const std::vector<int64_t> axes = axes_of(i, op, x.shape.size());
  if (kBefore != MapOp::COPY) x = i.b.map(kBefore, x);
  View sum = i.b.reduce(ReduceOp::SUM, x, axes);
  if (kAfter != MapOp::COPY) sum = i.b.map(kAfter, sum);
  finish_reduction(i, op, sum);
}

void reduce_mean(Importer& i, const Op& op) {
  const View x = wide(i, i.in(op, "x"));
  const std::vector<int64_t> axes = axes_of(i, op, x.shape.size());
  const View sum = i.b.reduce(ReduceOp::SUM, x, axes);
  finish_reduction(i, op, i.b.map(MapOp::DIV, sum, static_cast<double>(count_of(x, axes))));
}

void reduce_log_sum_exp(Importer& i, const Op& op) {
  View x = i.in(op, "x");
  x = i.b.convert(x, x.dtype == DType::INT32 ? DType::FP32 : compute_dtype(x.dtype));
  const std::vector<int64_t> axes = axes_of(i, op, x.shape.size());
  const View top = i.b.reduce_keep(ReduceOp::MAX, x, axes);
  const View finite = i.b.map(MapOp::IS_FINITE, {top}, DType::BOOL);
  const View shift = i.b.select(finite, top, i.b.scalar(x.dtype, 0.0));
  const View sum = i.b.reduce_keep(ReduceOp::SUM, i.b.map(MapOp::EXP, i.b.map(MapOp::SUB, x, shift)), axes);
  finish_reduction(i, op, i.b.map(MapOp::ADD, i.b.map(MapOp::LOG, sum), shift));
}

template <bool kLargest>
void reduce_arg(Importer& i, const Op& op) {
  const View x = i.in(op, "x");
  const int64_t axis = axis_of(i.integer(op, "axis", -1), x.shape.size());
  finish_reduction(i, op, i.b.arg_reduce(kLargest, x, axis, i.type(op).dtype));
}

void reshape_op(Importer& i, const Op& op) { i.set(op, i.b.reshape(i.in(op, "x"), i.type(op).shape)); }

void transpose_op(Importer& i, const Op& op) {
  const View x = i.in(op, "x");
  std::vector<int64_t> perm = i.ints(op, "perm");
  for (int64_t& a : perm) a = axis_of(a, x.shape.size());
  i.set(op, transpose(x, perm));
}

void concat(Importer& i, const Op& op) {
  const std::vector<View> values = i.list(op, "values");
  const int64_t axis = axis_of(i.f.integer(op, "axis"), values[0].shape.size());
  if (!i.flag(op, "interleave")) return i.set(op, i.b.concat(values, axis));
  std::vector<View> parts;
  for (const View& v : values) {
    Shape shape = v.shape;
    shape.insert(shape.begin() + axis + 1, 1);
    parts.push_back(i.b.reshape(v, shape));
  }
  i.set(op, i.b.reshape(i.b.concat(parts, axis + 1), i.type(op).shape));
}

void stack(Importer& i, const Op& op) {
  std::vector<View> parts = i.list(op, "values");
  const int64_t axis = axis_of(i.f.integer(op, "axis"), parts[0].shape.size() + 1);
  for (View& v : parts) {
    Shape shape = v.shape;
    shape.insert(shape.begin() + axis, 1);
    v = i.b.reshape(v, shape);
  }
  i.set(op, i.b.concat(parts, axis));
}

void split(Importer& i, const Op& op) {
  const View x = i.in(op, "x");
  const int64_t axis = axis_of(i.f.integer(op, "axis"), x.shape.size());
  int64_t at = 0;
  for (size_t k = 0; k < op.results.size(); ++k) {
    std::vector<int64_t> start(x.shape.size(), 0), limit = x.shape;
    start[axis] = at;
    at += i.type(op, k).shape[axis];
    limit[axis] = at;
    i.set(op, slice(x, start, limit, {}), k);
  }
}

// A const list of bools.
std::vector<bool> flags(Importer& i, const Op& op, std::string_view name, size_t rank) {
  std::vector<bool> out(rank, false);
  if (!i.has(op, name)) return out;
  const mil::Value& value = i.f.value(op, name);
  for (size_t d = 0; d < rank && d < value.constant->data.size(); ++d) out[d] = value.constant->data[d] != std::byte{0};
  return out;
}

void slice_by_index(Importer& i, const Op& op) {
  const View x = i.in(op, "x");
  const size_t rank = x.shape.size();
  const std::vector<int64_t> begin = i.ints(op, "begin"), end = i.ints(op, "end");
  const std::vector<int64_t> stride = i.has(op, "stride") ? i.ints(op, "stride") : std::vector<int64_t>(rank, 1);
  const auto open = flags(i, op, "begin_mask", rank), close = flags(i, op, "end_mask", rank);
  const auto squeeze = flags(i, op, "squeeze_mask", rank);
  View out{x.base, x.dtype, x.offset, {}, {}};
  for (size_t d = 0; d < rank; ++d) {
    const int64_t size = x.shape[d], step = stride[d];
    const auto wrap = [&](int64_t v) { return v < 0 ? v + size : v; };
    if (squeeze[d]) {
      out.offset += wrap(begin[d]) * x.strides[d];
      continue;
    }
    const int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
    const int64_t first = open[d] ? (step > 0 ? 0 : size - 1) : std::clamp(wrap(begin[d]), low, high);
    const int64_t last = close[d] ? (step > 0 ? size : -1) : std::clamp(wrap(end[d]), low, high);
    const int64_t span = step > 0 ? last - first : first - last;
    const int64_t count = span > 0 ? (span + std::abs(step) - 1) / std::abs(step) : 0;
    if (count > 0) out.offset += first * x.strides[d];
    out.shape.push_back(count);
    out.strides.push_back(x.strides[d] * step);
  }
  i.set(op, i.b.reshape(out, i.type(op).shape));
}

void slice_by_size(Importer& i, const Op& op) {
  const View x = i.in(op, "x");
  std::vector<int64_t> begin = i.ints(op, "begin"), limit = i.type(op).shape;
  for (size_t d = 0; d < begin.size(); ++d) limit[d] += begin[d];
  i.set(op, slice(x, begin, limit, {}));
}

View slice_axis(const View& x, int64_t axis, int64_t begin, int64_t end) {
  std::vector<int64_t> start(x.shape.size(), 0), limit = x.shape;
  start[axis] = begin;
  limit[axis] = end;
  return slice(x, start, limit, {});
}

void pad(Importer& i, const Op& op) {
  View x = i.in(op, "x");
  const size_t rank = x.shape.size();
  const std::vector<int64_t> pairs = i.ints(op, "pad");  // of the last axes
  std::vector<int64_t> low(rank, 0), high(rank, 0);
  const size_t first = rank - pairs.size() / 2;
  for (size_t k = 0; k < pairs.size() / 2; ++k) {
    low[first + k] = pairs[2 * k];
    high[first + k] = pairs[2 * k + 1];
  }
  const std::string mode = i.text(op, "mode", "constant");
  if (mode == "constant") {
    const View value = i.has(op, "constant_val") ? i.in(op, "constant_val") : i.b.scalar(x.dtype, 0.0);
    return i.set(op, i.b.pad(x, value, low, high, std::vector<int64_t>(rank, 0)));
  }
  for (size_t d = 0; d < rank; ++d) {
    if (low[d] == 0 && high[d] == 0) continue;
    const auto axis = static_cast<int64_t>(d);
    const int64_t n = x.shape[d];
    View before, after;
    if (mode == "reflect") {
      before = reverse(slice_axis(x, axis, 1, low[d] + 1), {axis});
      after = reverse(slice_axis(x, axis, n - 1 - high[d], n - 1), {axis});
    } else {  // replicate
      before = slice_axis(x, axis, 0, 1);
      before.shape[d] = low[d], before.strides[d] = 0;
      after = slice_axis(x, axis, n - 1, n);
      after.shape[d] = high[d], after.strides[d] = 0;
    }
    x = i.b.concat({before, x, after}, axis);
  }
  i.set(op, x);
}

void reverse_op(Importer& i, const Op& op) {
  const View x = i.in(op, "x");
  i.set(op, reverse(x, axes_of(i, op, x.shape.size())));
}

void tile(Importer& i, const Op& op) {
  const View x = i.in(op, "x");
  const std::vector<int64_t> reps = i.ints(op, "reps");
  View out{x.base, x.dtype, x.offset, {}, {}};
  for (size_t d = 0; d < x.shape.size(); ++d) {
    out.shape.insert(out.shape.end(), {reps[d], x.shape[d]});
    out.strides.insert(out.strides.end(), {0, x.strides[d]});
  }
  i.set(op, i.b.reshape(out, i.type(op).shape));
}

void fill(Importer& i, const Op& op) {
  const mil::Type& t = i.type(op);
  const View value = i.has(op, "value") ? i.in(op, "value") : i.b.scalar(t.dtype, 0.0);
  i.set(op, broadcast(value, t.shape, {}));
}

void band_part(Importer& i, const Op& op) {
  const View x = i.in(op, "x");
  const Shape plane(x.shape.end() - 2, x.shape.end());
  const int64_t lower = i.integer(op, "lower", -1), upper = i.integer(op, "upper", -1);
  const View row = i.b.iota(DType::INT32, plane, 0), column = i.b.iota(DType::INT32, plane, 1);
  const View below = i.b.map(MapOp::SUB, row, column);
  View out = x;
  const View zero = i.b.scalar(x.dtype, 0.0);
  const auto keep = [&](MapOp test, int64_t bound) {
    const View inside = i.b.compare(test, below, i.b.scalar(DType::INT32, static_cast<double>(bound)));
    out = i.b.select(inside, out, zero);
  };
  if (lower >= 0) keep(MapOp::LE, lower);
  if (upper >= 0) keep(MapOp::GE, -upper);
  i.set(op, out);
}

void matmul(Importer& i, const Op& op) {
  View x = i.in(op, "x"), y = i.in(op, "y");
  const bool vector_x = x.shape.size() == 1, vector_y = y.shape.size() == 1;
  if (vector_x) x = i.b.reshape(x, {1, x.shape[0]});
  if (vector_y) y = i.b.reshape(y, {y.shape[0], 1});
  const auto swap_last = [](const View& v) {
    std::vector<int64_t> perm(v.shape.size());
    std::iota(perm.begin(), perm.end(), 0);
    std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
    return transpose(v, perm);
  };
  if (i.flag(op, "transpose_x") && !vector_x) x = swap_last(x);
  if (i.flag(op, "transpose_y") && !vector_y) y = swap_last(y);
  // the batch axes broadcast
  const size_t rank = std::max(x.shape.size(), y.shape.size());
  Shape batch(rank - 2, 1);
  for (const View* v : {&x, &y}) {
    for (size_t d = 0; d + 2 < v->shape.size(); ++d) {
      int64_t& size = batch[rank - v->shape.size() + d];
      if (v->shape[d] != 1) size = v->shape[d];
    }
  }
  const auto widen = [&](const View& v) {
    Shape shape = batch;
    shape.insert(shape.end(), v.shape.end() - 2, v.shape.end());
    return broadcast_trailing(v, shape);
  };
  std::vector<int64_t> perm = i.read_order(op);
  const bool plain = vector_x || vector_y;
  if (plain) {
    perm.resize(rank);
    std::iota(perm.begin(), perm.end(), 0);
  }
  const View out = i.b.dot(widen(x), widen(y), {rank - 2, 1, 1, 1, perm}, i.type(op).dtype);
  i.set(op, plain ? i.b.reshape(out, i.type(op).shape) : out);
}

// x, mean and variance -> gamma * (x - mean) / sqrt(variance + epsilon) + beta
View normalise(Importer& i, const View& x, const View& mean, const View& variance, double epsilon, const View* gamma,
               const View* beta) {
  const View scale = i.b.map(MapOp::RSQRT, i.b.map(MapOp::ADD, variance, epsilon));
  View y = i.b.map(MapOp::MUL, i.b.map(MapOp::SUB, x, mean), scale);
  if (gamma != nullptr) y = i.b.map(MapOp::MUL, y, *gamma);
  if (beta != nullptr) y = i.b.map(MapOp::ADD, y, *beta);
  return y;
}

void layer_norm(Importer& i, const Op& op) {
  const View x = wide(i, i.in(op, "x"));
  const std::vector<int64_t> axes = axes_of(i, op, x.shape.size());
  const double count = static_cast<double>(count_of(x, axes));
  const View mean = i.b.map(MapOp::DIV, i.b.reduce_keep(ReduceOp::SUM, x, axes), count);
  const View square = i.b.map(MapOp::SQUARE, i.b.map(MapOp::SUB, x, mean));
  const View variance = i.b.map(MapOp::DIV, i.b.reduce_keep(ReduceOp::SUM, square, axes), count);
  View gamma, beta;
  const auto affine = [&](const char* name, View* out) -> const View* {
    if (!i.has(op, name)) return nullptr;
    *out = broadcast(wide(i, i.in(op, name)), x.shape, axes);
    return out;
  };
  const View* g = affine("gamma", &gamma);
  const View* b = affine("beta", &beta);
  finish(i, op, normalise(i, x, mean, variance, i.real(op, "epsilon", 1e-5), g, b));
}

void batch_norm(Importer& i, const Op& op) {
  const View x = wide(i, i.in(op, "x"));
  View views[4];
  const char* names[] = {"mean", "variance", "gamma", "beta"};
  for (int k = 0; k < 4; ++k) {
    if (i.has(op, names[k])) views[k] = broadcast(wide(i, i.in(op, names[k])), x.shape, {1});
  }
  finish(i, op,
         normalise(i, x, views[0], views[1], i.real(op, "epsilon", 1e-5), i.has(op, "gamma") ? &views[2] : nullptr,
                   i.has(op, "beta") ? &views[3] : nullptr));
}

}  // namespace

const Handlers& mil_handlers() {
  static const Handlers kTable = {
      {"exp2", exp2_op},
      {"log", with_epsilon<MapOp::LOG>},
      {"rsqrt", with_epsilon<MapOp::RSQRT>},
      {"inverse", with_epsilon<MapOp::RECIPROCAL>},
      {"gelu", gelu},
      {"silu", silu},
      {"softplus", softplus},
      {"softmax", softmax},
      {"clip", clip},
      {"select", select},
      {"cast", cast},
      {"identity", identity},
      {"reduce_sum", reduce<ReduceOp::SUM>},
      {"reduce_prod", reduce<ReduceOp::PROD>},
      {"reduce_max", reduce<ReduceOp::MAX>},
      {"reduce_min", reduce<ReduceOp::MIN>},
      {"reduce_mean", reduce_mean},
      {"reduce_l1_norm", reduce_between<MapOp::ABS, MapOp::COPY>},
      {"reduce_l2_norm", reduce_between<MapOp::SQUARE, MapOp::SQRT>},
      {"reduce_log_sum", reduce_between<MapOp::COPY, MapOp::LOG>},
      {"reduce_sum_square", reduce_sum_square},
      {"reduce_log_sum_exp", reduce_log_sum_exp},
      {"reduce_argmax", reduce_arg<true>},
      {"reduce_argmin", reduce_arg<false>},
      {"reshape", reshape_op},
      {"expand_dims", reshape_op},
      {"squeeze", reshape_op},
      {"transpose", transpose_op},
      {"concat", concat},
      {"stack", stack},
      {"split", split},
      {"slice_by_index", slice_by_index},
      {"slice_by_size", slice_by_size},
      {"pad", pad},
      {"reverse", reverse_op},
      {"tile", tile},
      {"fill", fill},
      {"band_part", band_part},
      {"matmul", matmul},
      {"layer_norm", layer_norm},
      {"batch_norm", batch_norm},
  };
  return kTable;
}

}  // namespace anesdk::cpu
