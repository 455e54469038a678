// MIL's own elementwise operations, normalisations and reductions.
#include <algorithm>

#include "mil/infer.h"

namespace anesdk::mil {
namespace {

Shape broadcast(const OpView& op, const Shape& a, const Shape& b) {
  const size_t rank = std::max(a.size(), b.size());
  Shape out(rank);
  for (size_t i = 0; i < rank; ++i) {  // from the last axis
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) op.fail("operands must broadcast, got " + str(a) + " and " + str(b));
    out[rank - 1 - i] = x == 1 ? y : x;
  }
  return out;
}

Shapes broadcast_all(const OpView& op) {
  Shape shape;
  for (const ArgSchema& arg : op.schema().args)
    if (arg.kind == ArgKind::TENSOR) shape = broadcast(op, shape, op.shape(arg.name));
  return {shape};
}

Shapes same(const OpView& op) { return {op.shape("x")}; }

Shapes gelu(const OpView& op) {
  op.one_of("mode", {"EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION"});
  return same(op);
}

Shapes cast(const OpView& op) {
  const std::string dtype = op.text_or("dtype", "");
  if (dtype != name_of(op.declared(0).dtype))
    op.fail("dtype is " + dtype.substr(0, 16) + ", the result is declared " + op.declared(0).str());
  return same(op);
}

Shapes last_axis(const OpView& op) {
  op.wrapped_axis("axis", op.rank("x"), -1);
  return same(op);
}

Shapes first_axis(const OpView& op) {
  op.wrapped_axis("axis", op.rank("x"), 0);
  return same(op);
}

Shapes reverse(const OpView& op) {
  if (op.has("axes")) op.wrapped_axes("axes", op.rank("x"));
  return same(op);
}

Shapes band_part(const OpView& op) {
  op.require(op.rank("x") >= 2, "x must have rank 2 or more");
  return same(op);
}

// gamma, beta, mean, variance, alpha: one entry for each channel of x.
Shapes by_channel(const OpView& op) {
  op.require(op.rank("x") >= 2, "x must have rank 2 or more");
  for (const std::string_view arg : {"gamma", "beta", "mean", "variance", "alpha"})
    if (op.has(arg) && op.shape(arg) != Shape{op.shape("x")[1]})
      op.fail(std::string(arg) + " must have one entry for each of " + std::to_string(op.shape("x")[1]) +
              " channels, got " + op.type(arg).str());
  return same(op);
}

Shapes layer_norm(const OpView& op) {
  const Shape& x = op.shape("x");
  Shape normalized = x;
  if (op.has("axes")) {
    List axes = op.wrapped_axes("axes", op.rank("x"));
    std::sort(axes.begin(), axes.end());
    normalized.clear();
    for (const int64_t axis : axes) normalized.push_back(x[axis]);
  }
  for (const std::string_view arg : {"gamma", "beta"})
    if (op.has(arg) && op.shape(arg) != normalized)
      op.fail(std::string(arg) + " must have the shape of the axes, " + str(normalized) + ", got " +
              op.type(arg).str());
  return same(op);
}

Shape reduced(const OpView& op, const List& axes) {
  Shape out;
  const Shape& x = op.shape("x");
  for (size_t i = 0; i < x.size(); ++i) {
    const bool gone = std::find(axes.begin(), axes.end(), static_cast<int64_t>(i)) != axes.end();
    if (!gone) out.push_back(x[i]);
    if (gone && op.flag("keep_dims")) out.push_back(1);
  }
  return out;
}

Shapes reduce(const OpView& op) {
  List axes;
  if (op.has("axes"))
    axes = op.wrapped_axes("axes", op.rank("x"));
  else
    for (int64_t i = 0; i < op.rank("x"); ++i) axes.push_back(i);
  return {reduced(op, axes)};
}

Shapes reduce_arg(const OpView& op) {
  const int64_t axis = op.wrapped_axis("axis", op.rank("x"), -1);
  op.require(op.shape("x")[axis] > 0, "the axis must not be empty");
  if (op.text_or("output_dtype", "int32") != name_of(op.declared(0).dtype))
    op.fail("output_dtype differs from the declared result, " + op.declared(0).str());
  return {reduced(op, {axis})};
}

}  // namespace

void add_elementwise_rules(Rules& rules) {
  rules.insert({{"broadcast", broadcast_all},
                {"same", same},
                {"gelu", gelu},
                {"cast", cast},
                {"softmax", last_axis},
                {"cumsum", first_axis},
                {"reverse", reverse},
                {"band_part", band_part},
                {"prelu", by_channel},
                {"batch_norm", by_channel},
                {"instance_norm", by_channel},
                {"layer_norm", layer_norm},
                {"reduce", reduce},
                {"reduce_arg", reduce_arg}});
}

}  // namespace anesdk::mil
