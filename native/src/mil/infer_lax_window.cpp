// aj_ operations: dot_general, convolution, windows.
#include <algorithm>

#include "mil/infer.h"

namespace anesdk::mil {
namespace {

bool contains(const List& list, int64_t entry) { return std::find(list.begin(), list.end(), entry) != list.end(); }

struct DotSide {
  const Shape& shape;
  List batch, contracting;
};

DotSide dot_side(const OpView& op, std::string_view x, std::string_view batch, std::string_view contracting) {
  DotSide side{op.shape(x), op.axes(batch, op.rank(x)), op.axes(contracting, op.rank(x))};
  for (const int64_t axis : side.batch)
    op.require(!contains(side.contracting, axis), "an axis is both batch and contracting");
  return side;
}

void check_pairs(const OpView& op, const char* what, const Shape& x, const List& x_axes, const Shape& y,
                 const List& y_axes) {
  op.require(x_axes.size() == y_axes.size(), std::string(what) + " axes of x and y must pair up");
  for (size_t i = 0; i < x_axes.size(); ++i)
    if (x[x_axes[i]] != y[y_axes[i]])
      op.fail(std::string(what) + " dimensions must agree: " + op.type("x").str() + " @ " + op.type("y").str() +
              " pairs " + std::to_string(x[x_axes[i]]) + " with " + std::to_string(y[y_axes[i]]));
}

void append_free(Shape& out, const DotSide& side) {
  for (int64_t i = 0; i < static_cast<int64_t>(side.shape.size()); ++i)
    if (!contains(side.batch, i) && !contains(side.contracting, i)) out.push_back(side.shape[i]);
}

Shapes dot_general(const OpView& op) {
  const DotSide x = dot_side(op, "x", "x_batch", "x_contracting"), y = dot_side(op, "y", "y_batch", "y_contracting");
  check_pairs(op, "batch", x.shape, x.batch, y.shape, y.batch);
  check_pairs(op, "contracting", x.shape, x.contracting, y.shape, y.contracting);
  Shape out;
  for (const int64_t axis : x.batch) out.push_back(x.shape[axis]);
  append_free(out, x);
  append_free(out, y);
  return {out};
}

List permutation(const OpView& op, std::string_view arg, int64_t rank) {
  List spec = op.axes(arg, rank);
  op.require(static_cast<int64_t>(spec.size()) == rank, std::string(arg) + " must name every axis");
  return spec;
}

void check_channels(const OpView& op, int64_t batch, int64_t features, int64_t out_features, int64_t in_features) {
  const int64_t groups = op.integer("feature_group_count", 1), batches = op.integer("batch_group_count", 1);
  op.require(groups == 1 || batches == 1, "feature_group_count and batch_group_count cannot both be above 1");
  if (features != op.multiply(in_features, groups))
    op.fail("x has " + std::to_string(features) + " features, weight takes " + std::to_string(in_features) + " in " +
            std::to_string(groups) + " groups");
  op.require(out_features % groups == 0, "feature_group_count must divide the output features");
  op.require(out_features % batches == 0, "batch_group_count must divide the output features");
  op.require(batch % batches == 0, "batch_group_count must divide the batch");
}

Shapes conv(const OpView& op) {
  const Shape &x = op.shape("x"), &weight = op.shape("weight");
  const int64_t rank = op.rank("x"), n = rank - 2;
  op.require(n >= 0 && weight.size() == x.size(), "x and weight must have equal ranks of 2 or more");
  const List lhs = permutation(op, "lhs_spec", rank), rhs = permutation(op, "rhs_spec", rank);
  const List spec = permutation(op, "out_spec", rank);
  const List strides = op.ints("strides", n, 1), padding = op.ints("padding", 2 * n, -kMaxExtent);
  const List lhs_dilation = op.ints("lhs_dilation", n, 1), rhs_dilation = op.ints("rhs_dilation", n, 1);
  check_channels(op, x[lhs[0]], x[lhs[1]], weight[rhs[0]], weight[rhs[1]]);
  Shape out(x.size());
  out[spec[0]] = x[lhs[0]] / op.integer("batch_group_count", 1);
  out[spec[1]] = weight[rhs[0]];
  for (int64_t i = 0; i < n; ++i) {
    const int64_t size = op.dilated(x[lhs[i + 2]], lhs_dilation[i]);
    const int64_t window = op.dilated(weight[rhs[i + 2]], rhs_dilation[i]);
    out[spec[i + 2]] = window_count(op, size, padding[2 * i], padding[2 * i + 1], window, strides[i]);
  }
  return {out};
}

Shape windowed(const OpView& op, Shape x, const List& base_dilation, const List& window_dilation) {
  const auto rank = static_cast<int64_t>(x.size());
  const List sizes = op.ints("window_dimensions", rank, 1), strides = op.ints("window_strides", rank, 1);
  const List padding = op.ints("padding", 2 * rank, -kMaxExtent);
  for (size_t i = 0; i < x.size(); ++i) {
    const int64_t window = op.dilated(sizes[i], window_dilation[i]);
    x[i] = window_count(op, op.dilated(x[i], base_dilation[i]), padding[2 * i], padding[2 * i + 1], window, strides[i]);
  }
  return x;
}

Shapes reduce_window(const OpView& op) {
  const int64_t rank = op.rank("x");
  return {windowed(op, op.shape("x"), op.ints("base_dilation", rank, 1), op.ints("window_dilation", rank, 1))};
}

Shapes select_and_scatter_add(const OpView& op) {
  const Shape& operand = op.shape("operand");
  op.one_of("select", {"ge", "le"});
  const List ones(operand.size(), 1);
  const Shape source = windowed(op, operand, ones, ones);
  if (op.shape("source") != source)
    op.fail("source must have one element for each window, " + str(source) + ", got " + op.type("source").str());
  return {operand};
}

}  // namespace

void add_lax_window_rules(Rules& rules) {
  rules.insert({{"aj_dot_general", dot_general},
                {"aj_conv_general_dilated", conv},
                {"aj_reduce_window", reduce_window},
                {"aj_select_and_scatter_add", select_and_scatter_add}});
}

}  // namespace anesdk::mil
