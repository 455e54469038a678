#include "cpu/kernels/conv_shape.h"

#include <algorithm>

#include "cpu/kernels/shapes.h"
#include "mil/opset.h"

namespace anesdk::cpu {
namespace {

using Ints = std::vector<int64_t>;

// The dimension numbers: which axis of a tensor is the (batch or out), the (feature or in), and the spatial ones.
void expect_spec(const Ints& spec, size_t rank, std::string_view op, std::string_view name) {
  expect_size(spec, rank, op, name);
  Ints sorted = spec;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < rank; ++i) {
    expect(sorted[i] == static_cast<int64_t>(i), op,
           "expected a permutation of the axes as " + std::string(name) + ", got " + list_str(spec) + ".");
  }
}

int64_t at(const std::vector<int64_t>& values, int64_t index) { return values[static_cast<size_t>(index)]; }

// Slot of spatial axis i of n: the last n of the three.
size_t slot(size_t i, size_t n) { return kConvAxes - n + i; }

constexpr int64_t kLimit = int64_t{1} << 31;  // of numbers that are multiplied by sizes

void expect_positive(const Ints& values, std::string_view op, std::string_view name) {
  for (const int64_t value : values) {
    expect(value > 0 && value < kLimit, op,
           "expected positive " + std::string(name) + ", got " + list_str(values) + ".");
  }
}

void expect_padding(const Ints& values, std::string_view op, std::string_view name) {
  for (const int64_t value : values) {
    expect(value > -kLimit && value < kLimit, op,
           "expected smaller numbers as " + std::string(name) + ", got " + list_str(values) + ".");
  }
}

int64_t dilated(int64_t size, int64_t dilation) { return size == 0 ? 0 : (size - 1) * dilation + 1; }

// The number of places of a window; `extent` and `window` after dilation and padding.
int64_t window_places(int64_t extent, int64_t window, int64_t stride) {
  return extent < window ? 0 : (extent - window) / stride + 1;
}

void expect_result(int64_t expected, int64_t got, std::string_view op, const std::string& what) {
  expect(expected == got, op,
         "expected " + std::to_string(expected) + " as " + what + " of the result, got " + std::to_string(got) + ".");
}

}  // namespace

ConvShape parse_conv_general_dilated(const mil::Function& function, const mil::Op& op) {
  const auto name = op.schema->name;
  const auto& x = function.value(op, "x").type.shape;
  const auto& weight = function.value(op, "weight").type.shape;
  const auto& result = function.values[op.results[0]].type.shape;
  const size_t rank = x.size();
  expect(rank >= 2 && rank <= 2 + kConvAxes && weight.size() == rank && result.size() == rank, name,
         "expected tensors of one rank from 2 to 5, got ranks " + std::to_string(rank) + ", " +
             std::to_string(weight.size()) + " and " + std::to_string(result.size()) + ".");
  const size_t n = rank - 2;
  const auto lhs_spec = function.ints(op, "lhs_spec"), rhs_spec = function.ints(op, "rhs_spec"),
             out_spec = function.ints(op, "out_spec");
  expect_spec(lhs_spec, rank, name, "lhs_spec");
  expect_spec(rhs_spec, rank, name, "rhs_spec");
  expect_spec(out_spec, rank, name, "out_spec");
  const auto strides = function.ints(op, "strides"), padding = function.ints(op, "padding"),
             lhs_dilation = function.ints(op, "lhs_dilation"), rhs_dilation = function.ints(op, "rhs_dilation");
  expect_size(strides, n, name, "strides");
  expect_size(padding, 2 * n, name, "padding");
  expect_size(lhs_dilation, n, name, "lhs_dilation");
  expect_size(rhs_dilation, n, name, "rhs_dilation");
  expect_padding(padding, name, "padding");
  expect_positive(strides, name, "strides");
  expect_positive(lhs_dilation, name, "lhs_dilation");
  expect_positive(rhs_dilation, name, "rhs_dilation");
  const int64_t feature_groups = function.integer(op, "feature_group_count");
  const int64_t batch_groups = function.integer(op, "batch_group_count");
  expect(feature_groups > 0 && batch_groups > 0 && (feature_groups == 1 || batch_groups == 1), name,
         "expected positive group counts of which one is 1, got feature_group_count " + std::to_string(feature_groups) +
             " and batch_group_count " + std::to_string(batch_groups) + ".");

  const auto x_strides = row_major_strides(x), weight_strides = row_major_strides(weight),
             result_strides = row_major_strides(result);
  const int64_t batch = at(x, lhs_spec[0]), features = at(x, lhs_spec[1]), outputs = at(weight, rhs_spec[0]);
  ConvShape s;
  s.groups = feature_groups * batch_groups;
  expect(batch % batch_groups == 0 && features % feature_groups == 0 && outputs % s.groups == 0, name,
         "expected batch, features and outputs to divide into the groups.");
  s.batch = batch / batch_groups;
  s.features = features / feature_groups;
  s.outputs = outputs / s.groups;
  expect(at(weight, rhs_spec[1]) == s.features, name,
         "expected " + std::to_string(s.features) + " input features in the weight, got " +
             std::to_string(at(weight, rhs_spec[1])) + ".");
  expect_result(s.batch, at(result, out_spec[0]), name, "batch");
  expect_result(outputs, at(result, out_spec[1]), name, "features");

  s.lhs = {.group = feature_groups > 1 ? s.features * at(x_strides, lhs_spec[1]) : s.batch * at(x_strides, lhs_spec[0]),
           .batch = at(x_strides, lhs_spec[0]),
           .feature = at(x_strides, lhs_spec[1]),
           .spatial = {}};
  s.rhs = {.base = 0,
           .group = s.outputs * at(weight_strides, rhs_spec[0]),
           .output = at(weight_strides, rhs_spec[0]),
           .feature = at(weight_strides, rhs_spec[1]),
           .spatial = {}};
  s.out = {.group = s.outputs * at(result_strides, out_spec[1]),
           .batch = at(result_strides, out_spec[0]),
           .feature = at(result_strides, out_spec[1]),
           .spatial = {}};
  for (size_t i = 0; i < n; ++i) {
    auto& axis = s.axes[slot(i, n)];
    axis = {.in = at(x, lhs_spec[i + 2]),
            .kernel = at(weight, rhs_spec[i + 2]),
            .out = at(result, out_spec[i + 2]),
            .stride = strides[i],
            .pad_low = padding[2 * i],
            .lhs_dilation = lhs_dilation[i],
            .rhs_dilation = rhs_dilation[i]};
    const int64_t extent = dilated(axis.in, axis.lhs_dilation) + padding[2 * i] + padding[2 * i + 1];
    const int64_t window = dilated(axis.kernel, axis.rhs_dilation);
    expect_result(window_places(std::max<int64_t>(extent, 0), window, axis.stride), axis.out, name,
                  "size of spatial axis " + std::to_string(i));
    s.lhs.spatial[slot(i, n)] = at(x_strides, lhs_spec[i + 2]);
    s.rhs.spatial[slot(i, n)] = at(weight_strides, rhs_spec[i + 2]);
    s.out.spatial[slot(i, n)] = at(result_strides, out_spec[i + 2]);
  }
  return s;
}

namespace {

// The parts that MIL's conv and conv_transpose share: N, C, spatial... and their lists of numbers.
struct MilConv {
  const mil::Shape& x;
  const mil::Shape& weight;
  const mil::Shape& result;
  size_t n;
  Ints strides, dilations, pad;
  int64_t groups;
  std::string pad_type;
};

MilConv parse_mil(const mil::Function& function, const mil::Op& op) {
  const auto name = op.schema->name;
  const auto& x = function.value(op, "x").type.shape;
  const auto& weight = function.value(op, "weight").type.shape;
  const auto& result = function.values[op.results[0]].type.shape;
  expect(x.size() >= 3 && x.size() <= 5 && weight.size() == x.size() && result.size() == x.size(), name,
         "expected x, weight and result of one rank from 3 to 5.");
  const size_t n = x.size() - 2;
  const auto list = [&](std::string_view key, size_t size, int64_t fill) {
    Ints values = function.find(op, key) ? function.ints(op, key) : Ints(size, fill);
    expect_size(values, size, name, key);
    return values;
  };
  MilConv c{x, weight, result, n, list("strides", n, 1), list("dilations", n, 1), {}, 1, "valid"};
  expect_positive(c.strides, name, "strides");
  expect_positive(c.dilations, name, "dilations");
  if (function.find(op, "pad_type")) c.pad_type = function.text(op, "pad_type");
  if (function.find(op, "groups")) c.groups = function.integer(op, "groups");
  const bool custom = c.pad_type == "custom";
  expect(custom || c.pad_type == "valid" || c.pad_type == "same" || c.pad_type == "same_lower", name,
         "expected pad_type custom, valid, same or same_lower, got " + c.pad_type + ".");
  c.pad = custom ? list("pad", 2 * n, 0) : Ints(2 * n, 0);
  expect_padding(c.pad, name, "pad");
  expect(c.groups > 0 && x[1] % c.groups == 0, name,
         "expected the input features to divide into the groups, got " + std::to_string(x[1]) + " and " +
             std::to_string(c.groups) + ".");
  expect_result(x[0], result[0], name, "batch");
  if (const auto* bias = function.find(op, "bias")) {
    const auto& shape = function.values[bias->values.at(0)].type.shape;
    expect(shape == mil::Shape{result[1]}, name, "expected one bias per output feature.");
  }
  return c;
}

void set_nchw_strides(const MilConv& c, ConvShape& s) {
  const auto x = row_major_strides(c.x), result = row_major_strides(c.result);
  s.groups = c.groups;
  s.batch = c.x[0];
  s.features = c.x[1] / c.groups;
  s.outputs = c.result[1] / c.groups;
  s.lhs = {.group = s.features * x[1], .batch = x[0], .feature = x[1], .spatial = {}};
  s.out = {.group = s.outputs * result[1], .batch = result[0], .feature = result[1], .spatial = {}};
  for (size_t i = 0; i < c.n; ++i) {
    s.lhs.spatial[slot(i, c.n)] = x[i + 2];
    s.out.spatial[slot(i, c.n)] = result[i + 2];
  }
}

}  // namespace

ConvShape parse_mil_conv(const mil::Function& function, const mil::Op& op) {
  MilConv c = parse_mil(function, op);
  const auto name = op.schema->name;
  const auto weight = row_major_strides(c.weight);
  expect(c.weight[0] % c.groups == 0 && c.weight[1] * c.groups == c.x[1], name,
         "expected a weight [outputs, inputs / groups, ...], got " + list_str(c.weight) + " for an input " +
             list_str(c.x) + ".");
  expect_result(c.weight[0], c.result[1], name, "features");
  ConvShape s;
  set_nchw_strides(c, s);
  s.rhs = {.base = 0, .group = s.outputs * weight[0], .output = weight[0], .feature = weight[1], .spatial = {}};
  for (size_t i = 0; i < c.n; ++i) {
    const int64_t in = c.x[i + 2], window = dilated(c.weight[i + 2], c.dilations[i]);
    int64_t low = c.pad[2 * i], high = c.pad[2 * i + 1];
    if (c.pad_type.starts_with("same")) {
      const int64_t total = std::max<int64_t>((ceil_div(in, c.strides[i]) - 1) * c.strides[i] + window - in, 0);
      low = c.pad_type == "same" ? total / 2 : total - total / 2;
      high = total - low;
    }
    s.axes[slot(i, c.n)] = {.in = in,
                            .kernel = c.weight[i + 2],
                            .out = c.result[i + 2],
                            .stride = c.strides[i],
                            .pad_low = low,
                            .lhs_dilation = 1,
                            .rhs_dilation = c.dilations[i]};
    expect_result(window_places(std::max<int64_t>(in + low + high, 0), window, c.strides[i]), c.result[i + 2], name,
                  "size of spatial axis " + std::to_string(i));
    s.rhs.spatial[slot(i, c.n)] = weight[i + 2];
  }
  return s;
}

// The gradient of a convolution with respect to its input: dilate x by the strides and flip the kernel.
ConvShape parse_mil_conv_transpose(const mil::Function& function, const mil::Op& op) {
  MilConv c = parse_mil(function, op);
  const auto name = op.schema->name;
  const auto weight = row_major_strides(c.weight);
  expect(c.weight[0] == c.x[1], name,
         "expected a weight [inputs, outputs / groups, ...], got " + list_str(c.weight) + " for an input " +
             list_str(c.x) + ".");
  expect_result(c.weight[1] * c.groups, c.result[1], name, "features");
  ConvShape s;
  set_nchw_strides(c, s);
  s.rhs = {.base = 0, .group = s.features * weight[0], .output = weight[1], .feature = weight[0], .spatial = {}};
  const bool sized = function.find(op, "output_shape") != nullptr;
  for (size_t i = 0; i < c.n; ++i) {
    const int64_t in = c.x[i + 2], window = dilated(c.weight[i + 2], c.dilations[i]);
    const int64_t full = in == 0 ? 0 : (in - 1) * c.strides[i] + window;
    int64_t crop = c.pad[2 * i], out = full - c.pad[2 * i] - c.pad[2 * i + 1];
    if (c.pad_type.starts_with("same")) {
      out = in * c.strides[i];
      crop = c.pad_type == "same" ? floor_div(full - out, 2) : full - out - floor_div(full - out, 2);
    }
    if (!sized)
      expect_result(std::max<int64_t>(out, 0), c.result[i + 2], name, "size of spatial axis " + std::to_string(i));
    s.axes[slot(i, c.n)] = {.in = in,
                            .kernel = c.weight[i + 2],
                            .out = c.result[i + 2],
                            .stride = 1,
                            .pad_low = window - 1 - crop,
                            .lhs_dilation = c.strides[i],
                            .rhs_dilation = c.dilations[i]};
    s.rhs.base += (c.weight[i + 2] - 1) * weight[i + 2];
    s.rhs.spatial[slot(i, c.n)] = -weight[i + 2];
  }
  if (c.weight.empty() || product(c.weight) == 0) s.rhs.base = 0;
  return s;
}

}  // namespace anesdk::cpu
