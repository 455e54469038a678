// Windows (reductions, pooling, select and scatter) against plain loops in double.
#include <limits>

#include "kernels_test_util.h"

namespace anesdk::cpu::test {
namespace {

using Ints = std::vector<int64_t>;

double combine(int op, double a, double b) {
  if (op == 0) return a + b;
  if (std::isnan(a) || std::isnan(b)) return std::nan("");
  return op == 1 ? std::max(a, b) : std::min(a, b);
}

double identity(int op, DType dtype) {
  if (op == 0) return 0;
  if (is_float(dtype)) return op == 1 ? -INFINITY : INFINITY;
  return visit_dtype(dtype, [&]<typename T>(Tag<T>) {
    if constexpr (is_half_like<T>)
      return 0.0;
    else
      return static_cast<double>(op == 1 ? std::numeric_limits<T>::lowest() : std::numeric_limits<T>::max());
  });
}

int64_t flat(const Ints& index, const Shape& shape) {
  int64_t at = 0;
  for (size_t d = 0; d < index.size(); ++d) at = at * shape[d] + index[d];
  return at;
}

bool same(double got, double want, double tolerance) {
  if (std::isnan(want)) return std::isnan(got);
  return got == want || std::abs(got - want) <= tolerance;
}

struct Windows {
  Ints window, strides, padding, base, dilation;
};

// The element under place t of the window at o; false outside.
bool element(const Windows& w, const Shape& x, const Ints& o, const Ints& t, Ints& at) {
  for (size_t d = 0; d < o.size(); ++d) {
    const int64_t u = o[d] * w.strides[d] + t[d] * w.dilation[d] - w.padding[2 * d];
    if (u < 0 || u % w.base[d] != 0 || u / w.base[d] >= x[d]) return false;
    at[d] = u / w.base[d];
  }
  return true;
}

Shape places(const Windows& w, const Shape& x) {
  Shape out;
  for (size_t d = 0; d < x.size(); ++d) {
    const int64_t extent = (x[d] == 0 ? 0 : (x[d] - 1) * w.base[d] + 1) + w.padding[2 * d] + w.padding[2 * d + 1];
    const int64_t reach = (w.window[d] - 1) * w.dilation[d] + 1;
    out.push_back(extent < reach || extent <= 0 ? 0 : (extent - reach) / w.strides[d] + 1);
  }
  return out;
}

Windows random_windows(Random& random, size_t rank, bool dilated) {
  Windows w;
  for (size_t d = 0; d < rank; ++d) {
    const bool plain = random.integer(0, 2) == 0;
    w.window.push_back(plain ? 1 : random.integer(1, 3));
    w.strides.push_back(plain ? 1 : random.integer(1, 3));
    for (int side = 0; side < 2; ++side) w.padding.push_back(plain ? 0 : random.integer(dilated ? -1 : 0, 2));
    w.base.push_back(plain || !dilated ? 1 : random.integer(1, 2));
    w.dilation.push_back(plain || !dilated ? 1 : random.integer(1, 2));
  }
  return w;
}

const std::vector<DType> kDtypes{DType::FP32,  DType::FP64,  DType::FP16,  DType::BF16,  DType::INT8,
                                 DType::INT32, DType::INT64, DType::UINT8, DType::UINT32};

void check_reduce(Random& random) {
  const std::vector<std::string> names{"aj_reduce_window_sum", "aj_reduce_window_max", "aj_reduce_window_min"};
  const int op = static_cast<int>(random.integer(0, 2));
  const DType dtype = random.pick(kDtypes);
  const auto rank = static_cast<size_t>(random.integer(0, 4));
  Shape shape;
  for (size_t d = 0; d < rank; ++d) shape.push_back(random.pick(Ints{0, 1, 2, 3, 5, 8, 9}));
  const Windows w = random_windows(random, rank, true);
  Tensor x = random.tensor(dtype, shape);
  if (is_float(dtype) && x.elements() > 3 && random.coin()) x.set(random.integer(0, x.elements() - 1), std::nan(""));
  const Shape out = places(w, shape);
  const Tensor got = OpCase(names[static_cast<size_t>(op)])
                         .ints("base_dilation", w.base)
                         .ints("padding", w.padding)
                         .ints("window_dilation", w.dilation)
                         .ints("window_dimensions", w.window)
                         .ints("window_strides", w.strides)
                         .tensor("x", x)
                         .result(dtype, out)
                         .run()[0];
  if (product(out) == 0) return;
  Ints o(rank, 0), at(rank);
  do {
    double want = identity(op, dtype), magnitude = 0;
    bool empty = true;
    Ints t(rank, 0);
    do {
      if (!element(w, shape, o, t, at)) continue;
      const double value = x.get(flat(at, shape));
      want = combine(op, want, value);
      magnitude += std::abs(value);
      empty = false;
    } while (next_index(t, w.window));
    const double tolerance = op == 0 ? 4 * epsilon(DType::FP32) * magnitude + epsilon(dtype) * std::abs(want) : 0;
    const double value = got.get(flat(o, out));
    CHECK_THAT(same(value, empty ? want : stored(dtype, want), is_float(dtype) ? tolerance : 0),
               "%s at %s of %s: %g, want %g", names[static_cast<size_t>(op)].c_str(), list_str(o).c_str(),
               list_str(out).c_str(), value, want);
  } while (next_index(o, out));
}

TEST(kernels_reduce_window) {
  Random random;
  for (int i = 0; i < 600; ++i) check_reduce(random);
}

// Adds each source where the first winner of its window stands.
void check_select(Random& random) {
  const bool greatest = random.coin();
  const DType dtype = random.pick(std::vector<DType>{DType::FP32, DType::FP32, DType::BF16, DType::FP16, DType::INT32});
  const auto rank = static_cast<size_t>(random.integer(1, 4));
  Shape shape;
  for (size_t d = 0; d < rank; ++d) shape.push_back(random.pick(Ints{0, 1, 3, 6, 7}));
  const Windows w = random_windows(random, rank, false);
  Tensor x(dtype, shape);
  for (int64_t i = 0; i < x.elements(); ++i) x.set(i, static_cast<double>(random.integer(0, 6)));  // with ties
  const Shape out = places(w, shape);
  const Tensor source = random.tensor(dtype, out);
  const Tensor got = OpCase("aj_select_and_scatter_add")
                         .tensor("operand", x)
                         .ints("padding", w.padding)
                         .text("select", greatest ? "ge" : "le")
                         .tensor("source", source)
                         .ints("window_dimensions", w.window)
                         .ints("window_strides", w.strides)
                         .result(dtype, shape)
                         .run()[0];
  std::vector<double> want(static_cast<size_t>(product(shape))), magnitude(want.size());
  Ints o(rank, 0), at(rank), t(rank);
  if (product(out) != 0) do {
      int64_t best = -1;
      std::fill(t.begin(), t.end(), 0);
      do {
        if (!element(w, shape, o, t, at)) continue;
        const int64_t i = flat(at, shape);
        if (best < 0 || (greatest ? x.get(i) > x.get(best) : x.get(i) < x.get(best))) best = i;
      } while (next_index(t, w.window));
      if (best < 0) continue;
      want[static_cast<size_t>(best)] += source.get(flat(o, out));
      magnitude[static_cast<size_t>(best)] += std::abs(source.get(flat(o, out)));
    } while (next_index(o, out));
  for (int64_t i = 0; i < got.elements(); ++i) {
    const auto j = static_cast<size_t>(i);
    CHECK_THAT(same(got.get(i), want[j], 4 * epsilon(DType::FP32) * magnitude[j] + epsilon(dtype) * std::abs(want[j])),
               "element %d of %s: %g, want %g", static_cast<int>(i), list_str(shape).c_str(), got.get(i), want[j]);
  }
}

TEST(kernels_select_and_scatter) {
  Random random;
  for (int i = 0; i < 400; ++i) check_select(random);
}

void check_pool(Random& random) {
  const bool average = random.coin(), exclude = random.coin(), ceil_mode = random.integer(0, 2) == 0;
  const DType dtype = random.coin() ? DType::FP32 : DType::FP16;
  const std::string pad_type =
      ceil_mode ? "custom" : random.pick(std::vector<std::string>{"custom", "valid", "same", "same_lower"});
  const auto n = static_cast<size_t>(random.integer(1, 3));
  Shape shape{random.integer(1, 2), random.integer(1, 3)}, out = shape;
  Ints kernel, strides, pad, low, high;
  for (size_t d = 0; d < n; ++d) {
    const int64_t size = random.integer(4, 9), k = random.integer(1, 4), s = random.integer(1, 3);
    int64_t first = 0, last = 0;
    if (pad_type == "custom") first = random.integer(0, k / 2), last = ceil_mode ? first : random.integer(0, k / 2);
    if (pad_type.starts_with("same")) {
      const int64_t total = std::max<int64_t>(((size + s - 1) / s - 1) * s + k - size, 0);
      first = pad_type == "same" ? total / 2 : total - total / 2;
      last = total - first;
    }
    const int64_t room = size + first + last - k;
    int64_t count = (ceil_mode ? (room + s - 1) / s : room / s) + 1;
    if (ceil_mode && first + last > 0 && (count - 1) * s >= size + first) --count;
    shape.push_back(size);
    out.push_back(count);
    kernel.push_back(k);
    strides.push_back(s);
    pad.insert(pad.end(), {first, last});
    low.push_back(first);
    high.push_back(last);
  }
  const Tensor x = random.tensor(dtype, shape);
  OpCase op(average ? "avg_pool" : "max_pool");
  if (average) op.boolean("exclude_padding_from_average", exclude);
  if (pad_type == "custom") op.ints("pad", pad);
  const Tensor got = op.boolean("ceil_mode", ceil_mode)
                         .ints("kernel_sizes", kernel)
                         .text("pad_type", pad_type)
                         .ints("strides", strides)
                         .tensor("x", x)
                         .result(dtype, out)
                         .run()[0];
  Ints o(out.size(), 0), at(out.size());
  do {
    double sum = 0, magnitude = 0, most = -INFINITY;
    int64_t inside = 0, padded = 0;
    Ints t(n, 0);
    do {
      bool in = true, in_padding = true;
      at[0] = o[0], at[1] = o[1];
      for (size_t d = 0; d < n; ++d) {
        at[d + 2] = o[d + 2] * strides[d] + t[d] - low[d];
        in = in && at[d + 2] >= 0 && at[d + 2] < shape[d + 2];
        in_padding = in_padding && at[d + 2] < shape[d + 2] + high[d];
      }
      padded += in_padding;
      if (!in) continue;
      const double value = x.get(flat(at, shape));
      sum += value, magnitude += std::abs(value), most = std::max(most, value), ++inside;
    } while (next_index(t, kernel));
    const double divisor = static_cast<double>(std::max<int64_t>(exclude ? inside : padded, 1));
    const double want = average ? sum / divisor : most, value = got.get(flat(o, out));
    const double tolerance = average ? 8 * epsilon(DType::FP32) * magnitude + epsilon(dtype) * std::abs(want) : 0;
    CHECK_THAT(same(value, want, tolerance), "%s %s at %s: %g, want %g", average ? "avg" : "max", pad_type.c_str(),
               list_str(o).c_str(), value, want);
  } while (next_index(o, out));
}

TEST(kernels_pool) {
  Random random;
  for (int i = 0; i < 300; ++i) check_pool(random);
}

}  // namespace
}  // namespace anesdk::cpu::test
