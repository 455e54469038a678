#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels.h"

namespace standin {
namespace {

constexpr double kSaturation = 32768;  // products and convolutions give infinity from here

double saturated(double sum) { return std::fabs(sum) >= kSaturation ? std::copysign(INFINITY, sum) : sum; }

std::vector<Tensor> matmul(const Args& a) {
  const Tensor &x = a["x"], &y = a["y"];
  const Shape &xs = x.type.shape, &ys = y.type.shape;
  if (xs.size() < 2 || ys.size() < 2) throw Refusal("matmul below rank 2");
  const bool tx = a.flag("transpose_x"), ty = a.flag("transpose_y");
  const size_t xr = xs.size(), yr = ys.size(), rank = std::max(xr, yr);
  const int64_t m = xs[xr - (tx ? 1 : 2)], k = xs[xr - (tx ? 2 : 1)], n = ys[yr - (ty ? 2 : 1)];
  if (k != ys[yr - (ty ? 1 : 2)]) throw Refusal("matmul of contracted axes that differ");
  if (k > 32768) throw Refusal("matmul: K not supported on any backend");
  Shape shape(rank, 1);
  const auto batch = [&](const Shape& s, size_t i) { return i + s.size() < rank ? 1 : s[i + s.size() - rank]; };
  for (size_t i = 0; i + 2 < rank; ++i) {
    shape[i] = std::max(batch(xs, i), batch(ys, i));
    if (std::min(batch(xs, i), batch(ys, i)) != 1 && batch(xs, i) != batch(ys, i)) throw Refusal("matmul of batches");
  }
  const Shape outer(shape.begin(), shape.end() - 2);
  shape[rank - 2] = m, shape[rank - 1] = n;
  std::vector<double> out;
  std::vector<int64_t> index(outer.size());
  const auto base = [&](const Shape& s) {
    int64_t offset = 0;
    for (size_t i = 0; i < outer.size(); ++i) offset = offset * batch(s, i) + (batch(s, i) == 1 ? 0 : index[i]);
    return offset * s[s.size() - 1] * s[s.size() - 2];
  };
  do {
    const double* p = x.data.data() + base(xs);
    const double* q = y.data.data() + base(ys);
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t l = 0; l < k; ++l) sum += p[tx ? l * m + i : i * k + l] * q[ty ? j * k + l : l * n + j];
        out.push_back(saturated(sum));
      }
  } while (step(index, outer));
  return {half_tensor(shape, std::move(out), any_nan(x) || any_nan(y))};
}

// Reduces `axes` of x with `add`, from `first`, rounding each partial result by `round`.
template <class Add, class Finish>
std::vector<Tensor> reduce(const Args& a, double first, Add add, Finish finish) {
  const Tensor& x = a["x"];
  if (x.type.dtype != "fp16") throw Refusal(a.op() + " of " + x.type.dtype + " not supported on any backend");
  Shape full = x.type.shape, kept;
  std::vector<bool> gone(full.size());
  for (const int64_t axis : a.ints("axes")) gone[static_cast<size_t>(axis_of(axis, x.type.shape))] = true;
  int64_t count = 1;
  for (size_t i = 0; i < full.size(); ++i) {
    if (gone[i]) count *= std::exchange(full[i], 1);
    if (!gone[i] || a.flag("keep_dims")) kept.push_back(full[i]);
  }
  const std::vector<int64_t> strides = strides_of(full);
  std::vector<double> out(static_cast<size_t>(x.type.elements() / count), first);
  std::vector<int64_t> index(full.size());
  size_t at = 0;
  do {
    int64_t offset = 0;
    for (size_t i = 0; i < full.size(); ++i) offset += gone[i] ? 0 : index[i] * strides[i];
    double& sum = out[static_cast<size_t>(offset)];
    sum = add(sum, x.data[at++]);
  } while (step(index, x.type.shape));
  for (double& value : out) value = finish(value, static_cast<double>(count));
  return {half_tensor(kept, std::move(out), any_nan(x))};
}

double narrow_add(double sum, double x) { return round_half(sum + x); }  // reduce_sum is exact to 2048 only
double plain(double value, double) { return value; }

std::vector<Tensor> reduce_sum(const Args& a) { return reduce(a, 0, narrow_add, plain); }
std::vector<Tensor> reduce_mean(const Args& a) {
  return reduce(a, 0, narrow_add, [](double v, double n) { return v / n; });
}
std::vector<Tensor> reduce_max(const Args& a) {
  return reduce(a, -INFINITY, [](double s, double x) { return std::max(s, x); }, plain);
}
std::vector<Tensor> reduce_min(const Args& a) {
  return reduce(a, INFINITY, [](double s, double x) { return std::min(s, x); }, plain);
}
std::vector<Tensor> reduce_sum_square(const Args& a) {
  return reduce(a, 0, [](double s, double x) { return narrow_add(s, x * x); }, plain);
}

std::vector<Tensor> softmax(const Args& a) {
  const Tensor& x = a["x"];
  const auto axis = static_cast<size_t>(axis_of(a.integer("axis"), x.type.shape));
  const int64_t n = x.type.shape[axis], inner = strides_of(x.type.shape)[axis];
  std::vector<double> out(x.data.size());
  for (int64_t at = 0; at < x.type.elements(); ++at) {
    if (at / inner % n) continue;
    double largest = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; ++i) largest = std::max(largest, x.data[static_cast<size_t>(at + i * inner)]);
    for (int64_t i = 0; i < n; ++i) sum += std::exp(x.data[static_cast<size_t>(at + i * inner)] - largest);
    for (int64_t i = 0; i < n; ++i) {
      const auto place = static_cast<size_t>(at + i * inner);
      out[place] = std::exp(x.data[place] - largest) / sum;
    }
  }
  return {half_tensor(x.type.shape, std::move(out), any_nan(x))};
}

// Windows over the last two axes of NCHW.
struct Window {
  Shape kernel, strides, dilations, pad;
  int64_t rows, columns;

  Window(const Args& a, const Shape& x, Shape k) : kernel(std::move(k)), dilations(2, 1) {
    if (x.size() != 4 || kernel.size() != 2) throw Refusal(a.op() + ": only two spatial axes here");
    if (a.text("pad_type") != "custom" && a.text("pad_type") != "valid") throw Refusal(a.op() + ": bad pad_type");
    strides = a.ints("strides");
    pad = a.ints("pad");
    if (a.has("dilations")) dilations = a.ints("dilations");
    if (strides.size() != 2 || pad.size() != 4 || dilations.size() != 2) throw Refusal(a.op() + ": bad window");
    if (a.text("pad_type") == "valid") pad = {0, 0, 0, 0};
    rows = extent(x[2], 0), columns = extent(x[3], 1);
    if (rows < 1 || columns < 1) throw Refusal(a.op() + ": the kernel is larger than the image");
  }
  int64_t extent(int64_t n, size_t axis) const {
    return (n + pad[2 * axis] + pad[2 * axis + 1] - dilations[axis] * (kernel[axis] - 1) - 1) / strides[axis] + 1;
  }
  // Calls f(kernel row, kernel column, row, column) for the taps inside an image of h x w.
  template <class F>
  void taps(int64_t r, int64_t c, int64_t h, int64_t w, F f) const {
    for (int64_t i = 0; i < kernel[0]; ++i)
      for (int64_t j = 0; j < kernel[1]; ++j) {
        const int64_t y = r * strides[0] - pad[0] + i * dilations[0], x = c * strides[1] - pad[2] + j * dilations[1];
        if (y >= 0 && y < h && x >= 0 && x < w) f(i, j, y, x);
      }
  }
};

std::vector<Tensor> conv(const Args& a) {
  const Tensor &x = a["x"], &w = a["weight"];
  if (w.type.shape.size() != 4) throw Refusal("conv: only two spatial axes here");
  const Shape &xs = x.type.shape, &ws = w.type.shape;
  const Window window(a, xs, {ws[2], ws[3]});
  const int64_t groups = a.integer("groups"), per = ws[0] / groups;
  if (ws[3] > 13 || ws[2] > 29) throw Refusal("conv: kernel not supported on any backend");
  if (ws[0] % groups || ws[1] * groups != xs[1]) throw Refusal("conv: channels and groups do not fit");
  std::vector<double> out;
  for (int64_t n = 0; n < xs[0]; ++n)
    for (int64_t o = 0; o < ws[0]; ++o)
      for (int64_t r = 0; r < window.rows; ++r)
        for (int64_t c = 0; c < window.columns; ++c) {
          double sum = a.has("bias") ? a["bias"].data[static_cast<size_t>(o)] : 0;
          for (int64_t ch = 0; ch < ws[1]; ++ch) {
            const int64_t image = (n * xs[1] + o / per * ws[1] + ch) * xs[2], kernel = (o * ws[1] + ch) * ws[2];
            window.taps(r, c, xs[2], xs[3], [&](int64_t i, int64_t j, int64_t y, int64_t col) {
              sum += x.data[static_cast<size_t>((image + y) * xs[3] + col)] *
                     w.data[static_cast<size_t>((kernel + i) * ws[3] + j)];
            });
          }
          out.push_back(saturated(sum));
        }
  return {half_tensor({xs[0], ws[0], window.rows, window.columns}, std::move(out), any_nan(x) || any_nan(w))};
}

template <class Finish>
std::vector<Tensor> pool(const Args& a, Finish finish) {
  const Tensor& x = a["x"];
  const Shape& xs = x.type.shape;
  const Window window(a, xs, a.ints("kernel_sizes"));
  if (a.flag("ceil_mode")) throw Refusal("pool: ceil_mode is not known here");
  if (std::max(window.kernel[0], window.kernel[1]) > 29) throw Refusal("pool: window not supported on any backend");
  std::vector<double> out;
  for (int64_t plane = 0; plane < xs[0] * xs[1]; ++plane)
    for (int64_t r = 0; r < window.rows; ++r)
      for (int64_t c = 0; c < window.columns; ++c) {
        std::vector<double> taken;
        window.taps(r, c, xs[2], xs[3], [&](int64_t, int64_t, int64_t y, int64_t col) {
          taken.push_back(x.data[static_cast<size_t>((plane * xs[2] + y) * xs[3] + col)]);
        });
        out.push_back(finish(taken, window));
      }
  return {half_tensor({xs[0], xs[1], window.rows, window.columns}, std::move(out), any_nan(x))};
}

std::vector<Tensor> max_pool(const Args& a) {
  return pool(a, [](const std::vector<double>& v, const Window&) {
    return v.empty() ? -INFINITY : *std::max_element(v.begin(), v.end());
  });
}

std::vector<Tensor> avg_pool(const Args& a) {
  const bool inside = a.flag("exclude_padding_from_average");
  return pool(a, [inside](const std::vector<double>& v, const Window& window) {
    double sum = 0;
    for (const double x : v) sum += x;
    return sum / static_cast<double>(inside ? static_cast<int64_t>(v.size()) : window.kernel[0] * window.kernel[1]);
  });
}

}  // namespace

void add_contractions(Table& t) {
  t["matmul"] = {{"x", "y", "transpose_x", "transpose_y"}, {}, matmul};
  t["softmax"] = {{"x", "axis"}, {}, softmax};
  t["reduce_sum"] = {{"x", "axes", "keep_dims"}, {}, reduce_sum};
  t["reduce_mean"] = {{"x", "axes", "keep_dims"}, {}, reduce_mean};
  t["reduce_max"] = {{"x", "axes", "keep_dims"}, {}, reduce_max};
  t["reduce_min"] = {{"x", "axes", "keep_dims"}, {}, reduce_min};
  t["reduce_sum_square"] = {{"x", "axes", "keep_dims"}, {}, reduce_sum_square};
  t["conv"] = {{"x", "weight", "strides", "pad_type", "pad", "dilations", "groups"}, {"bias"}, conv};
  t["max_pool"] = {{"x", "kernel_sizes", "strides", "pad_type", "pad", "ceil_mode"}, {}, max_pool};
  t["avg_pool"] = {
      {"x", "kernel_sizes", "strides", "pad_type", "pad", "ceil_mode", "exclude_padding_from_average"}, {}, avg_pool};
}

const std::map<std::string, Operation>& operations() {
  static const Table table = [] {
    Table t;
    add_elementwise(t);
    add_movement(t);
    add_contractions(t);
    return t;
  }();
  return table;
}

}  // namespace standin
