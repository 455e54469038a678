#include <algorithm>
#include <cmath>

#include "kernels.h"

namespace standin {
namespace {

// Largest windows of the smallest engines.
constexpr int64_t kKernelWidth = 13, kKernelHeight = 29, kKernelDepth = 16, kPool = 29;

Shape spatial(const Shape& shape) { return {shape.begin() + 2, shape.end()}; }

int64_t count_of(const Shape& shape) { return Type{"", shape}.elements(); }

// Windows over the spatial axes of [batch, channels, spatial...], of which there are one to three.
struct Window {
  Shape in, kernel, strides, dilations, pad, out;  // pad: before and after each axis

  Window(const Args& a, const Shape& image, Shape k) : in(image), kernel(std::move(k)), dilations(kernel.size(), 1) {
    const size_t n = kernel.size();
    const std::string type = a.text("pad_type");
    strides = a.ints("strides"), pad = a.ints("pad");
    if (a.has("dilations")) dilations = a.ints("dilations");
    if (type != "custom" && type != "valid") throw Refusal(a.op() + ": pad_type " + type + " is not known here");
    if (type == "valid") pad.assign(2 * n, 0);
    if (n < 1 || n > 3 || in.size() != n || strides.size() != n || pad.size() != 2 * n || dilations.size() != n)
      throw Refusal(a.op() + ": a bad window");
  }

  int64_t reach(size_t axis) const { return dilations[axis] * (kernel[axis] - 1) + 1; }

  void slide(const std::string& op) {
    for (size_t i = 0; i < in.size(); ++i) {
      out.push_back((in[i] + pad[2 * i] + pad[2 * i + 1] - reach(i)) / strides[i] + 1);
      if (in[i] + pad[2 * i] + pad[2 * i + 1] < reach(i)) throw Refusal(op + ": the kernel is larger than the image");
    }
  }

  // Calls f(tap, element) with the places in the kernel and in the image of each tap inside it.
  template <class F>
  void taps(const Shape& at, F f) const {
    std::vector<int64_t> k(kernel.size());
    int64_t tap = 0;
    do {
      int64_t element = 0;
      bool inside = true;
      for (size_t i = 0; i < in.size(); ++i) {
        const int64_t place = at[i] * strides[i] - pad[2 * i] + k[i] * dilations[i];
        inside &= place >= 0 && place < in[i];
        element = element * in[i] + place;
      }
      if (inside) f(static_cast<size_t>(tap), static_cast<size_t>(element));
      ++tap;
    } while (step(k, kernel));
  }
};

void check_kernel(const Args& a, const Shape& kernel) {
  const size_t n = kernel.size();
  if (n < 1 || kernel[n - 1] > kKernelWidth || (n > 1 && kernel[n - 2] > kKernelHeight) ||
      (n > 2 && kernel[n - 3] > kKernelDepth))
    throw Refusal(a.op() + ": kernel not supported on any backend");
}

double bias_of(const Args& a, int64_t channel) {
  return a.has("bias") ? a["bias"].data.at(static_cast<size_t>(channel)) : 0;
}

Shape images(int64_t batch, int64_t channels, const Shape& rest) {
  Shape shape = {batch, channels};
  shape.insert(shape.end(), rest.begin(), rest.end());
  return shape;
}

void check_images(const Args& a) {
  const Shape &x = a["x"].type.shape, &w = a["weight"].type.shape;
  if (x.size() < 3 || w.size() != x.size()) throw Refusal(a.op() + ": ranks that do not fit");
  if (a.integer("groups") < 1) throw Refusal(a.op() + ": no groups");
  check_kernel(a, spatial(w));
}

std::vector<Tensor> conv(const Args& a) {
  check_images(a);
  const Tensor &x = a["x"], &w = a["weight"];
  const Shape &xs = x.type.shape, &ws = w.type.shape;
  const int64_t groups = a.integer("groups"), per = ws[0] / groups;
  if (ws[0] % groups || ws[1] * groups != xs[1]) throw Refusal("conv: channels and groups do not fit");
  Window window(a, spatial(xs), spatial(ws));
  window.slide(a.op());
  const auto image = static_cast<size_t>(count_of(window.in)), kernel = static_cast<size_t>(count_of(window.kernel));
  std::vector<double> out;
  for (int64_t n = 0; n < xs[0]; ++n)
    for (int64_t o = 0; o < ws[0]; ++o) {
      const double* from = x.data.data() + static_cast<size_t>(n * xs[1] + o / per * ws[1]) * image;
      const double* by = w.data.data() + static_cast<size_t>(o * ws[1]) * kernel;
      std::vector<int64_t> at(window.out.size());
      do {
        double sum = bias_of(a, o);
        window.taps(at, [&](size_t tap, size_t element) {
          for (size_t c = 0; c < static_cast<size_t>(ws[1]); ++c)
            sum += from[c * image + element] * by[c * kernel + tap];
        });
        out.push_back(saturated(sum));
      } while (step(at, window.out));
    }
  return {half_tensor(images(xs[0], ws[0], window.out), std::move(out), any_nan(x) || any_nan(w))};
}

// Each element of x spreads over the taps of a window; weight is [in, out / groups, spatial...].
std::vector<Tensor> conv_transpose(const Args& a) {
  check_images(a);
  const Tensor &x = a["x"], &w = a["weight"];
  const Shape &xs = x.type.shape, &ws = w.type.shape;
  const int64_t groups = a.integer("groups"), per = xs[1] / groups, made = ws[1] * groups;
  if (xs[1] % groups || ws[0] != xs[1]) throw Refusal("conv_transpose: channels and groups do not fit");
  if (a.has("output_shape")) throw Refusal("conv_transpose: output_shape is not known here");
  Window window(a, spatial(xs), spatial(ws));
  const Shape small = window.in;
  for (size_t i = 0; i < small.size(); ++i)
    window.in[i] = (small[i] - 1) * window.strides[i] + window.reach(i) - window.pad[2 * i] - window.pad[2 * i + 1];
  if (*std::min_element(window.in.begin(), window.in.end()) < 1) throw Refusal("conv_transpose: nothing is left");
  const auto from = static_cast<size_t>(count_of(small)), to = static_cast<size_t>(count_of(window.in)),
             kernel = static_cast<size_t>(count_of(window.kernel));
  std::vector<double> out;
  for (int64_t n = 0; n < xs[0]; ++n)
    for (int64_t o = 0; o < made; ++o) {
      std::vector<double> sums(to, bias_of(a, o));
      for (int64_t c = o / ws[1] * per; c < (o / ws[1] + 1) * per; ++c) {
        const double* by = w.data.data() + static_cast<size_t>(c * ws[1] + o % ws[1]) * kernel;
        const double* value = x.data.data() + static_cast<size_t>(n * xs[1] + c) * from;
        std::vector<int64_t> at(small.size());
        do {
          window.taps(at, [&](size_t tap, size_t element) { sums[element] += *value * by[tap]; });
          ++value;
        } while (step(at, small));
      }
      for (const double sum : sums) out.push_back(saturated(sum));
    }
  return {half_tensor(images(xs[0], made, window.in), std::move(out), any_nan(x) || any_nan(w))};
}

template <class Finish>
std::vector<Tensor> pool(const Args& a, Finish finish) {
  const Tensor& x = a["x"];
  const Shape& xs = x.type.shape;
  if (xs.size() < 3) throw Refusal(a.op() + " below rank 3");
  if (a.flag("ceil_mode")) throw Refusal(a.op() + ": ceil_mode is not known here");
  Window window(a, spatial(xs), a.ints("kernel_sizes"));
  window.slide(a.op());
  if (*std::max_element(window.kernel.begin(), window.kernel.end()) > kPool)
    throw Refusal(a.op() + ": window not supported on any backend");
  const auto image = static_cast<size_t>(count_of(window.in));
  std::vector<double> out;
  for (size_t plane = 0; plane < static_cast<size_t>(xs[0] * xs[1]); ++plane) {
    std::vector<int64_t> at(window.out.size());
    do {
      std::vector<double> taken;
      window.taps(at, [&](size_t, size_t element) { taken.push_back(x.data[plane * image + element]); });
      out.push_back(finish(taken, static_cast<double>(count_of(window.kernel))));
    } while (step(at, window.out));
  }
  return {half_tensor(images(xs[0], xs[1], window.out), std::move(out), any_nan(x))};
}

std::vector<Tensor> max_pool(const Args& a) {
  return pool(a, [](const std::vector<double>& v, double) {
    return v.empty() ? -INFINITY : *std::max_element(v.begin(), v.end());
  });
}

std::vector<Tensor> avg_pool(const Args& a) {
  const bool inside = a.flag("exclude_padding_from_average");
  return pool(a, [inside](const std::vector<double>& v, double size) {
    double sum = 0;
    for (const double x : v) sum += x;
    return sum / (inside ? static_cast<double>(v.size()) : size);
  });
}

}  // namespace

void add_windows(Table& t) {
  const std::set<std::string> conv_needs = {"x", "weight", "strides", "pad_type", "pad", "dilations", "groups"};
  const std::set<std::string> pool_needs = {"x", "kernel_sizes", "strides", "pad_type", "pad", "ceil_mode"};
  t["conv"] = {conv_needs, {"bias"}, conv};
  t["conv_transpose"] = {conv_needs, {"bias", "output_shape"}, conv_transpose};
  t["max_pool"] = {pool_needs, {}, max_pool};
  t["avg_pool"] = {pool_needs, {}, avg_pool};
  t["avg_pool"].needs.insert("exclude_padding_from_average");
}

}  // namespace standin
