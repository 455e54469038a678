// Convolutions of many small random forms against plain loops in double.
#include <algorithm>
#include <numeric>

#include "kernels_test_util.h"

namespace anesdk::cpu::test {
namespace {

using Ints = std::vector<int64_t>;

struct ConvCase {
  DType dtype = DType::FP32;
  Ints x, w, out;  // shapes as (batch, feature, spatial...), (out, in, spatial...), before the specs
  Ints lhs_spec, rhs_spec, out_spec, strides, padding, lhs_dilation, rhs_dilation;
  int64_t feature_groups = 1, batch_groups = 1;
};

// Shape in memory: axis spec[i] has size[i].
Shape placed(const Ints& size, const Ints& spec) {
  Shape shape(size.size());
  for (size_t i = 0; i < size.size(); ++i) shape[static_cast<size_t>(spec[i])] = size[i];
  return shape;
}

int64_t offset(const Ints& index, const Ints& spec, const Shape& shape) {
  Ints at(index.size());
  for (size_t i = 0; i < index.size(); ++i) at[static_cast<size_t>(spec[i])] = index[i];
  int64_t o = 0;
  for (size_t i = 0; i < at.size(); ++i) o = o * shape[i] + at[i];
  return o;
}

struct Sum {
  double value = 0, magnitude = 0;
  int64_t terms = 0;
};

// Strides of a tensor by the axes of its spec.
Ints spec_strides(const Tensor& t, const Ints& spec) {
  const auto strides = row_major_strides(t.type.shape);
  Ints by_spec;
  for (const int64_t axis : spec) by_spec.push_back(strides[static_cast<size_t>(axis)]);
  return by_spec;
}

struct Operand {
  std::vector<double> values;
  Ints strides;
  Operand(const Tensor& t, const Ints& spec) : values(t.doubles()), strides(spec_strides(t, spec)) {}
};

void add_taps(const ConvCase& c, const Operand& x, const Operand& w, const Ints& o, size_t d, int64_t xi, int64_t wi,
              Sum& sum) {
  if (d == c.strides.size()) {
    const double term = x.values[static_cast<size_t>(xi)] * w.values[static_cast<size_t>(wi)];
    sum.value += term;
    sum.magnitude += std::abs(term);
    ++sum.terms;
    return;
  }
  for (int64_t t = 0; t < c.w[d + 2]; ++t) {
    const int64_t u = o[d + 2] * c.strides[d] + t * c.rhs_dilation[d] - c.padding[2 * d];
    if (u < 0 || u % c.lhs_dilation[d] != 0 || u / c.lhs_dilation[d] >= c.x[d + 2]) continue;
    add_taps(c, x, w, o, d + 1, xi + u / c.lhs_dilation[d] * x.strides[d + 2], wi + t * w.strides[d + 2], sum);
  }
}

Sum naive_at(const ConvCase& c, const Operand& x, const Operand& w, const Ints& o) {
  const int64_t group = o[1] / (c.w[0] / (c.feature_groups * c.batch_groups));
  const int64_t batch = c.batch_groups > 1 ? group * c.out[0] + o[0] : o[0];
  Sum sum;
  for (int64_t f = 0; f < c.w[1]; ++f) {
    const int64_t feature = c.feature_groups > 1 ? group * c.w[1] + f : f;
    add_taps(c, x, w, o, 0, batch * x.strides[0] + feature * x.strides[1], o[1] * w.strides[0] + f * w.strides[1], sum);
  }
  return sum;
}

double tolerance(DType dtype, const Sum& sum) {
  if (!is_float(dtype)) return 0;
  const double compute = dtype == DType::FP64 ? 0x1p-52 : 0x1p-23;
  return 8 * std::sqrt(static_cast<double>(std::max<int64_t>(sum.terms, 1))) * compute * sum.magnitude +
         (dtype == DType::FP32 || dtype == DType::FP64 ? 0 : epsilon(dtype) * std::abs(sum.value)) + 1e-30;
}

void check_conv(const ConvCase& c, Random& random) {
  const Tensor x = random.tensor(c.dtype, placed(c.x, c.lhs_spec));
  const Tensor w = random.tensor(c.dtype, placed(c.w, c.rhs_spec));
  const Tensor got = OpCase("aj_conv_general_dilated")
                         .integer("batch_group_count", c.batch_groups)
                         .integer("feature_group_count", c.feature_groups)
                         .ints("lhs_dilation", c.lhs_dilation)
                         .ints("lhs_spec", c.lhs_spec)
                         .ints("out_spec", c.out_spec)
                         .ints("padding", c.padding)
                         .ints("rhs_dilation", c.rhs_dilation)
                         .ints("rhs_spec", c.rhs_spec)
                         .ints("strides", c.strides)
                         .tensor("weight", w)
                         .tensor("x", x)
                         .result(c.dtype, placed(c.out, c.out_spec))
                         .run()[0];
  if (product(c.out) == 0) return;
  const Operand lhs(x, c.lhs_spec), rhs(w, c.rhs_spec);
  Ints o(c.out.size(), 0);
  do {
    const Sum sum = naive_at(c, lhs, rhs, o);
    const double value = got.get(offset(o, c.out_spec, got.type.shape));
    CHECK_THAT(std::abs(value - stored(c.dtype, sum.value)) <= tolerance(c.dtype, sum),
               "at %s of %s: %g, want %g; x %s w %s strides %s padding %s dilations %s %s groups %d %d",
               list_str(o).c_str(), list_str(c.out).c_str(), value, sum.value, list_str(c.x).c_str(),
               list_str(c.w).c_str(), list_str(c.strides).c_str(), list_str(c.padding).c_str(),
               list_str(c.lhs_dilation).c_str(), list_str(c.rhs_dilation).c_str(), static_cast<int>(c.feature_groups),
               static_cast<int>(c.batch_groups));
  } while (next_index(o, c.out));
}

Ints identity(size_t n) {
  Ints spec(n);
  std::iota(spec.begin(), spec.end(), 0);
  return spec;
}

Ints shuffled(size_t n, Random& random) {
  Ints spec = identity(n);
  if (random.coin()) std::shuffle(spec.begin(), spec.end(), random.engine);
  return spec;
}

// Fills in the output shape; false when the result would be negative.
bool finish(ConvCase& c) {
  const int64_t groups = c.feature_groups * c.batch_groups;
  c.w[0] = std::max<int64_t>(c.w[0] / groups, 0) * groups;
  c.out = {c.x[0] / c.batch_groups, c.w[0]};
  for (size_t d = 0; d < c.strides.size(); ++d) {
    const auto dilated = [](int64_t size, int64_t by) { return size ? (size - 1) * by + 1 : 0; };
    const int64_t extent = dilated(c.x[d + 2], c.lhs_dilation[d]) + c.padding[2 * d] + c.padding[2 * d + 1];
    const int64_t window = dilated(c.w[d + 2], c.rhs_dilation[d]);
    if (extent < 0) return false;
    c.out.push_back(extent < window ? 0 : (extent - window) / c.strides[d] + 1);
  }
  return true;
}

ConvCase random_case(Random& random, DType dtype, size_t n) {
  ConvCase c;
  c.dtype = dtype;
  const Ints sizes{0, 1, 1, 2, 3, 5, 7};
  const Ints groups{1, 1, 1, 2, 3};
  c.feature_groups = random.pick(groups);
  c.batch_groups = c.feature_groups > 1 ? 1 : random.pick(groups);
  c.x = {random.pick(sizes) * c.batch_groups, random.pick(sizes) * c.feature_groups};
  c.w = {random.pick(Ints{0, 1, 2, 5, 17, 33}) * c.feature_groups * c.batch_groups, c.x[1] / c.feature_groups};
  for (size_t d = 0; d < n; ++d) {
    c.x.push_back(random.pick(Ints{0, 1, 2, 4, 7, 11, 19}));
    c.w.push_back(random.pick(Ints{0, 1, 1, 2, 3, 3, 5}));
    c.strides.push_back(random.integer(1, 3));
    c.padding.push_back(random.integer(-2, 3));
    c.padding.push_back(random.integer(-2, 3));
    c.lhs_dilation.push_back(random.pick(Ints{1, 1, 2, 3}));
    c.rhs_dilation.push_back(random.pick(Ints{1, 1, 2, 3}));
  }
  c.lhs_spec = shuffled(n + 2, random);
  c.rhs_spec = shuffled(n + 2, random);
  c.out_spec = shuffled(n + 2, random);
  return c;
}

TEST(conv_random) {
  Random random;
  const std::vector<DType> dtypes{DType::FP32, DType::FP32,  DType::FP64,  DType::FP16,  DType::BF16,
                                  DType::INT8, DType::INT32, DType::INT64, DType::UINT8, DType::UINT64};
  for (int i = 0; i < 700; ++i) {
    ConvCase c = random_case(random, random.pick(dtypes), static_cast<size_t>(random.pick(Ints{0, 1, 2, 2, 3})));
    if (!finish(c) || product(c.out) * product(c.w) > 200000) continue;
    check_conv(c, random);
  }
}

// The three convolutions of a layer, as automatic differentiation writes them, for both layouts.
TEST(conv_gradients) {
  Random random;
  for (int i = 0; i < 60; ++i) {
    const bool nhwc = random.coin(), depthwise = random.integer(0, 3) == 0;
    const int64_t batch = random.pick(Ints{1, 2, 5}), in = random.pick(Ints{1, 3, 16, 20});
    const int64_t stride = random.integer(1, 2), kernel = random.pick(Ints{1, 3, 5}),
                  size = random.pick(Ints{6, 9, 13});
    const int64_t groups = depthwise ? in : 1, out = depthwise ? in : random.pick(Ints{1, 8, 64, 70});
    const Ints lhs = nhwc ? Ints{0, 3, 1, 2} : identity(4), rhs = nhwc ? Ints{3, 2, 0, 1} : identity(4);
    const auto swap = [](const Ints& s) { return Ints{s[1], s[0], s[2], s[3]}; };
    const int64_t low = (kernel - 1) / 2, high = kernel - 1 - low;
    ConvCase forward{DType::FP32,
                     {batch, in, size, size},
                     {out, in / groups, kernel, kernel},
                     {},
                     lhs,
                     rhs,
                     lhs,
                     {stride, stride},
                     {low, high, low, high},
                     {1, 1},
                     {1, 1},
                     groups,
                     1};
    finish(forward);
    check_conv(forward, random);
    const int64_t place = forward.out[2], rest = (size + low + high - kernel) % stride;

    ConvCase data = forward;
    data.x = forward.out;
    data.w = {in, out / groups, kernel, kernel};
    data.rhs_spec = swap(rhs);
    data.strides = {1, 1};
    data.lhs_dilation = {stride, stride};
    data.padding = {kernel - 1 - low, kernel - 1 - high + rest, kernel - 1 - low, kernel - 1 - high + rest};
    finish(data);
    CHECK(data.out == forward.x);
    check_conv(data, random);

    ConvCase weights = forward;
    weights.x = {in, batch, size, size};
    weights.w = {out, batch, place, place};
    weights.lhs_spec = swap(lhs);
    weights.rhs_spec = swap(lhs);
    weights.out_spec = swap(rhs);
    weights.strides = {1, 1};
    weights.rhs_dilation = {stride, stride};
    weights.padding = {low, high - rest, low, high - rest};
    weights.feature_groups = 1;
    weights.batch_groups = groups;
    finish(weights);
    CHECK_EQ(weights.out[2], kernel);
    check_conv(weights, random);
  }
}

// MIL's conv and conv_transpose against aj_conv_general_dilated's meaning.
TEST(conv_mil) {
  Random random;
  for (int i = 0; i < 200; ++i) {
    const bool transposed = random.coin();
    const int64_t groups = random.pick(Ints{1, 1, 2}), batch = random.integer(1, 2), in = groups * random.integer(1, 3),
                  out = groups * random.integer(1, 9);
    const size_t n = static_cast<size_t>(random.integer(1, 3));
    const DType dtype = random.coin() ? DType::FP32 : DType::FP16;
    const std::string pad_type = random.pick(std::vector<std::string>{"custom", "valid", "same", "same_lower"});
    Shape x_shape{batch, in}, out_shape{batch, out};
    Shape w_shape = transposed ? Shape{in, out / groups} : Shape{out, in / groups};
    Ints strides, dilations, pad, low;
    for (size_t d = 0; d < n; ++d) {
      const int64_t size = random.integer(5, 8), kernel = random.integer(1, 3), s = random.integer(1, 3),
                    dilation = random.integer(1, 2), window = (kernel - 1) * dilation + 1;
      strides.push_back(s);
      dilations.push_back(dilation);
      x_shape.push_back(size);
      w_shape.push_back(kernel);
      int64_t first = 0, last = 0;  // padding, or cropping when transposed
      const int64_t full = transposed ? (size - 1) * s + window : 0;
      if (pad_type == "custom") {
        const int64_t limit = transposed ? window - 1 : 2;
        first = random.integer(0, limit), last = random.integer(0, limit);
      } else if (pad_type.starts_with("same")) {
        const int64_t total =
            transposed ? full - size * s : std::max<int64_t>(((size + s - 1) / s - 1) * s + window - size, 0);
        const int64_t half = static_cast<int64_t>(std::floor(static_cast<double>(total) / 2));
        first = pad_type == "same" ? half : total - half;
        last = total - first;
      }
      pad.push_back(first);
      pad.push_back(last);
      out_shape.push_back(transposed ? full - first - last : (size + first + last - window) / s + 1);
    }
    const Tensor x = random.tensor(dtype, x_shape), w = random.tensor(dtype, w_shape),
                 bias = random.tensor(dtype, {out});
    const bool biased = random.coin();
    OpCase op(transposed ? "conv_transpose" : "conv");
    if (biased) op.tensor("bias", bias);
    op.ints("dilations", dilations).integer("groups", groups);
    if (pad_type == "custom" || random.coin()) op.ints("pad", pad);
    const Tensor got = op.text("pad_type", pad_type)
                           .ints("strides", strides)
                           .tensor("weight", w)
                           .tensor("x", x)
                           .result(dtype, out_shape)
                           .run()[0];

    // Scatter x through the kernel (transposed), or gather it, straight from the definition.
    std::vector<Sum> want(static_cast<size_t>(product(out_shape)));
    Ints xi(x_shape.size(), 0), wi(w_shape.size(), 0);
    const Shape& outer = transposed ? x_shape : out_shape;
    Ints oi(outer.size(), 0);
    do {
      std::fill(wi.begin(), wi.end(), 0);
      do {
        Ints other{oi[0], 0};
        const int64_t in_group = transposed ? oi[1] / (in / groups) : oi[1] / (out / groups);
        if (transposed) {
          if (wi[0] != oi[1]) continue;
          other[1] = in_group * (out / groups) + wi[1];
        } else {
          if (wi[0] != oi[1]) continue;
          other[1] = in_group * (in / groups) + wi[1];
        }
        bool inside = true;
        for (size_t d = 0; d < n; ++d) {
          other.push_back(oi[d + 2] * strides[d] + wi[d + 2] * dilations[d] - pad[2 * d]);
          inside = inside && other.back() >= 0 && other.back() < (transposed ? out_shape : x_shape)[d + 2];
        }
        if (!inside) continue;
        const Ints spec = identity(n + 2);
        const int64_t at_outer = offset(oi, spec, outer),
                      at_other = offset(other, spec, transposed ? out_shape : x_shape);
        const double term = x.get(transposed ? at_outer : at_other) * w.get(offset(wi, spec, w_shape));
        Sum& sum = want[static_cast<size_t>(transposed ? at_other : at_outer)];
        sum.value += term, sum.magnitude += std::abs(term), ++sum.terms;
      } while (next_index(wi, w_shape));
    } while (next_index(oi, outer));
    for (int64_t j = 0; j < got.elements(); ++j) {
      Sum sum = want[static_cast<size_t>(j)];
      if (biased) {
        const double b = bias.get(j / product(std::span(out_shape).subspan(2)) % out);
        sum.value += b, sum.magnitude += std::abs(b);
      }
      CHECK_THAT(std::abs(got.get(j) - stored(dtype, sum.value)) <= tolerance(dtype, sum), "%s %s at %d: %g, want %g",
                 transposed ? "conv_transpose" : "conv", pad_type.c_str(), static_cast<int>(j), got.get(j), sum.value);
    }
  }
}

// Numbers no real program has: an error or a right answer, never a crash.
TEST(conv_absurd) {
  Random random;
  ConvCase empty{DType::FP32,
                 {1, 0, 5, 5},
                 {2, 0, int64_t{1} << 40, 1},
                 {},
                 identity(4),
                 identity(4),
                 identity(4),
                 {1, 1},
                 {int64_t{1} << 30, int64_t{1} << 30, 0, 0},
                 {1, 1},
                 {1, 1},
                 1,
                 1};
  CHECK(finish(empty));
  CHECK_EQ(product(empty.out), 0);
  empty.w[2] = 3;
  empty.padding = {0, 0, 0, 0};
  empty.out.clear();
  CHECK(finish(empty));
  check_conv(empty, random);  // a sum of nothing
  const int64_t far = (int64_t{1} << 31) - 2;
  ConvCase wide{DType::FP32,
                {1, 1, 2, 2, 2},
                {1, 1, 2, 2, 2},
                {},
                identity(5),
                identity(5),
                identity(5),
                {1, 1, 1},
                {far, far, far, far, far, far},
                {1, 1, 1},
                {far, far, far},
                1,
                1};
  for (const int64_t stride : {far, far / 2}) {
    wide.strides = {stride, stride, stride};
    CHECK(finish(wide));
    bool refused = false;
    try {
      check_conv(wide, random);
    } catch (const std::bad_alloc&) {
      refused = true;
    }
    CHECK(refused);
  }
}

}  // namespace
}  // namespace anesdk::cpu::test
