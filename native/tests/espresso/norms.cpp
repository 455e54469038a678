#include <algorithm>
#include <cmath>

#include "kernels.h"

namespace standin {
namespace {

// Elements of x in groups: group(index) numbers that of an index, place(index) the parameters' element there.
template <class Group, class Place>
std::vector<Tensor> normalized(const Args& a, size_t groups, Group group, Place place) {
  const Tensor& x = a["x"];
  const double epsilon = a.number("epsilon");
  std::vector<double> sums(groups), squares(groups), counts(groups), out;
  const auto each = [&](auto f) {
    std::vector<int64_t> index(x.type.shape.size());
    size_t at = 0;
    do f(static_cast<size_t>(group(index)), static_cast<size_t>(place(index)), x.data[at++]);
    while (step(index, x.type.shape));
  };
  each([&](size_t g, size_t, double v) { sums[g] += v, counts[g] += 1; });
  each([&](size_t g, size_t, double v) { squares[g] += std::pow(v - sums[g] / counts[g], 2); });
  each([&](size_t g, size_t p, double v) {
    const double scaled = (v - sums[g] / counts[g]) / std::sqrt(squares[g] / counts[g] + epsilon);
    out.push_back(scaled * a["gamma"].data.at(p) + a["beta"].data.at(p));
  });
  return {half_tensor(x.type.shape, std::move(out), any_nan(x))};
}

void check_channels(const Args& a) {
  const Shape& shape = a["x"].type.shape;
  if (shape.size() < 3) throw Refusal(a.op() + " below rank 3");
  for (const char* name : {"gamma", "beta"})
    if (a[name].type.shape != Shape{shape[1]}) throw Refusal(a.op() + ": " + name + " is not one number a channel");
}

std::vector<Tensor> instance_norm(const Args& a) {
  check_channels(a);
  const Shape& shape = a["x"].type.shape;
  return normalized(
      a, static_cast<size_t>(shape[0] * shape[1]), [&](const auto& i) { return i[0] * shape[1] + i[1]; },
      [](const auto& i) { return i[1]; });
}

std::vector<Tensor> layer_norm(const Args& a) {
  const Shape& shape = a["x"].type.shape;
  std::vector<bool> reduced(shape.size());
  for (const int64_t axis : a.ints("axes")) reduced[static_cast<size_t>(axis_of(axis, shape))] = true;
  Shape parameters;
  int64_t groups = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (reduced[i])
      parameters.push_back(shape[i]);
    else
      groups *= shape[i];
  }
  for (const char* name : {"gamma", "beta"})
    if (a[name].type.shape != parameters) throw Refusal("layer_norm: " + std::string(name) + " of another shape");
  const auto number = [&](const auto& index, bool of_reduced) {
    int64_t n = 0;
    for (size_t i = 0; i < shape.size(); ++i)
      if (reduced[i] == of_reduced) n = n * shape[i] + index[i];
    return n;
  };
  return normalized(
      a, static_cast<size_t>(groups), [&](const auto& i) { return number(i, false); },
      [&](const auto& i) { return number(i, true); });
}

std::vector<Tensor> batch_norm(const Args& a) {
  check_channels(a);
  const Tensor& x = a["x"];
  std::vector<double> out;
  std::vector<int64_t> index(x.type.shape.size());
  do {
    const auto c = static_cast<size_t>(index[1]);
    const double scale = a["gamma"].data.at(c) / std::sqrt(a["variance"].data.at(c) + a.number("epsilon"));
    out.push_back((x.data[out.size()] - a["mean"].data.at(c)) * scale + a["beta"].data.at(c));
  } while (step(index, x.type.shape));
  return {half_tensor(x.type.shape, std::move(out), any_nan(x))};
}

}  // namespace

void add_norms(Table& t) {
  t["batch_norm"] = {{"x", "mean", "variance", "gamma", "beta", "epsilon"}, {}, batch_norm};
  t["instance_norm"] = {{"x", "gamma", "beta", "epsilon"}, {}, instance_norm};
  t["layer_norm"] = {{"x", "axes", "gamma", "beta", "epsilon"}, {}, layer_norm};
}

}  // namespace standin
