#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels.h"

namespace standin {
namespace {

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

double magnitude_add(double sum, double x) { return narrow_add(sum, std::fabs(x)); }
double square_add(double sum, double x) { return narrow_add(sum, x * x); }
std::vector<Tensor> reduce_sum_square(const Args& a) { return reduce(a, 0, square_add, plain); }
std::vector<Tensor> reduce_l1_norm(const Args& a) { return reduce(a, 0, magnitude_add, plain); }
std::vector<Tensor> reduce_l2_norm(const Args& a) {
  return reduce(a, 0, square_add, [](double v, double) { return std::sqrt(v); });
}
std::vector<Tensor> reduce_log_sum(const Args& a) {
  return reduce(a, 0, narrow_add, [](double v, double) { return std::log(v); });
}
std::vector<Tensor> reduce_log_sum_exp(const Args& a) {  // log(exp(sum) + exp(x)), in no danger of overflow
  const auto join = [](double sum, double x) {
    const double larger = std::max(sum, x);
    return std::isinf(larger) ? larger : larger + std::log1p(std::exp(std::min(sum, x) - larger));
  };
  return reduce(a, -INFINITY, join, plain);
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

}  // namespace

double saturated(double sum) {
  constexpr double kSaturation = 32768;
  return std::fabs(sum) >= kSaturation ? std::copysign(INFINITY, sum) : sum;
}

void add_contractions(Table& t) {
  t["matmul"] = {{"x", "y", "transpose_x", "transpose_y"}, {}, matmul};
  t["softmax"] = {{"x", "axis"}, {}, softmax};
  t["reduce_sum"] = {{"x", "axes", "keep_dims"}, {}, reduce_sum};
  t["reduce_mean"] = {{"x", "axes", "keep_dims"}, {}, reduce_mean};
  t["reduce_max"] = {{"x", "axes", "keep_dims"}, {}, reduce_max};
  t["reduce_min"] = {{"x", "axes", "keep_dims"}, {}, reduce_min};
  t["reduce_sum_square"] = {{"x", "axes", "keep_dims"}, {}, reduce_sum_square};
  t["reduce_l1_norm"] = {{"x", "axes", "keep_dims"}, {}, reduce_l1_norm};
  t["reduce_l2_norm"] = {{"x", "axes", "keep_dims"}, {}, reduce_l2_norm};
  t["reduce_log_sum"] = {{"x", "axes", "keep_dims"}, {}, reduce_log_sum};
  t["reduce_log_sum_exp"] = {{"x", "axes", "keep_dims"}, {}, reduce_log_sum_exp};
}

const std::map<std::string, Operation>& operations() {
  static const Table table = [] {
    Table t;
    add_elementwise(t);
    add_movement(t);
    add_contractions(t);
    add_windows(t);
    add_norms(t);
    return t;
  }();
  return table;
}

}  // namespace standin
