#include <algorithm>
#include <cmath>

#include "kernels.h"

namespace standin {

const Tensor& Args::operator[](const std::string& name) const { return *list(name).at(0); }

const std::vector<const Tensor*>& Args::list(const std::string& name) const {
  const auto it = values_.find(name);
  if (it == values_.end()) throw Refusal(op() + " lacks " + name);
  return it->second;
}

std::vector<int64_t> Args::ints(const std::string& name) const {
  const Tensor& tensor = (*this)[name];
  return {tensor.data.begin(), tensor.data.end()};
}

bool any_nan(const Tensor& tensor) {
  return std::any_of(tensor.data.begin(), tensor.data.end(), [](double v) { return std::isnan(v); });
}

Tensor half_tensor(Shape shape, std::vector<double> data, bool from_nan) {
  for (double& value : data) {
    value = round_half(value);
    if (std::isnan(value)) value = from_nan ? INFINITY : 0;
  }
  return {{"fp16", std::move(shape)}, std::move(data), ""};
}

std::vector<int64_t> strides_of(const Shape& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

int64_t axis_of(int64_t axis, const Shape& shape) {
  const auto rank = static_cast<int64_t>(shape.size());
  if (axis < -rank || axis >= rank) throw Refusal("an axis out of range");
  return axis < 0 ? axis + rank : axis;
}

bool step(std::vector<int64_t>& index, const Shape& shape) {
  for (size_t i = shape.size(); i-- > 0;) {
    if (++index[i] < shape[i]) return true;
    index[i] = 0;
  }
  return false;
}

namespace {

Shape broadcast(const Shape& a, const Shape& b) {
  Shape out(std::max(a.size(), b.size()));
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t m = i < a.size() ? a[a.size() - 1 - i] : 1, n = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (m != n && m != 1 && n != 1) throw Refusal("shapes that do not broadcast");
    out[out.size() - 1 - i] = std::max(m, n);
  }
  return out;
}

// Steps of `t` through the elements of the shape that it is broadcast to: 0 where it repeats.
std::vector<int64_t> steps_of(const Tensor& t, size_t rank) {
  const std::vector<int64_t> own = strides_of(t.type.shape);
  std::vector<int64_t> steps(rank);
  for (size_t i = 0; i < own.size(); ++i) steps[rank - own.size() + i] = t.type.shape[i] == 1 ? 0 : own[i];
  return steps;
}

template <class F>
std::vector<Tensor> map(const Args& args, const std::vector<std::string>& names, F f, const char* dtype = "fp16") {
  Shape shape;
  bool from_nan = false;
  for (const std::string& name : names) {
    shape = broadcast(shape, args[name].type.shape);
    from_nan |= any_nan(args[name]);
  }
  std::vector<std::vector<int64_t>> steps;
  std::vector<const double*> data;
  for (const std::string& name : names) {
    steps.push_back(steps_of(args[name], shape.size()));
    data.push_back(args[name].data.data());
  }
  std::vector<double> out, v(names.size());
  out.reserve(static_cast<size_t>(Type{"", shape}.elements()));
  std::vector<int64_t> index(shape.size());
  std::vector<int64_t> offsets(names.size());
  for (bool more = true; more;) {
    for (size_t i = 0; i < v.size(); ++i) v[i] = data[i][offsets[i]];
    out.push_back(f(v));
    more = step(index, shape);
    for (size_t i = 0; i < v.size(); ++i) {
      if (!index.empty() && index.back() != 0) {
        offsets[i] += steps[i].back();
      } else {
        offsets[i] = 0;
        for (size_t k = 0; k < index.size(); ++k) offsets[i] += index[k] * steps[i][k];
      }
    }
  }
  if (std::string(dtype) == "bool") return {{{"bool", shape}, std::move(out), ""}};
  return {half_tensor(shape, std::move(out), from_nan)};
}

void need_half(const Args& args, const std::string& name) {
  if (args[name].type.dtype != "fp16")
    throw Refusal(args.op() + " of " + args[name].type.dtype + " not supported on any backend");
}

template <double (*F)(double)>
std::vector<Tensor> unary(const Args& args) {
  need_half(args, "x");
  return map(args, {"x"}, [](const std::vector<double>& v) { return F(v[0]); });
}

template <double (*F)(double, double)>
std::vector<Tensor> binary(const Args& args) {
  need_half(args, "x"), need_half(args, "y");
  return map(args, {"x", "y"}, [](const std::vector<double>& v) { return F(v[0], v[1]); });
}

template <bool (*F)(double, double)>
std::vector<Tensor> compare(const Args& args) {
  need_half(args, "x"), need_half(args, "y");
  return map(args, {"x", "y"}, [](const std::vector<double>& v) { return F(v[0], v[1]) ? 1.0 : 0.0; }, "bool");
}

// One parameter besides x, a constant number.
template <const char* const& Name, double (*F)(double, double)>
std::vector<Tensor> with(const Args& args) {
  need_half(args, "x");
  const double p = args.number(Name);
  return map(args, {"x"}, [p](const std::vector<double>& v) { return F(v[0], p); });
}
constexpr const char* kEpsilon = "epsilon";
constexpr const char* kAlpha = "alpha";

double relu(double x) { return x > 0 ? x : 0; }
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double silu(double x) { return x * sigmoid(x); }
double softplus(double x) { return x > 11.09 ? 0 : std::log1p(std::exp(x)); }
double softsign(double x) { return x / (1 + std::fabs(x)); }
double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }
double square(double x) { return x * x; }
double exponential(double x) { return x > 11.09 ? INFINITY : std::exp(x); }
double log_eps(double x, double e) { return x + e == 0 ? -45440 : std::log(x + e); }
double rsqrt(double x, double e) { return 1 / std::sqrt(x + e); }
double inverse(double x, double e) { return x + e == 0 ? INFINITY : 1 / (x + e); }
double leaky(double x, double a) { return x > 0 ? x : a * x; }
double elu(double x, double a) { return x > 0 ? x : a * std::expm1(x); }
double relu6(double x) { return std::min(relu(x), 6.0); }
double thresholded(double x, double a) { return x >= a ? x : 0; }
double not_of(double x) { return x == 0; }
bool equal(double x, double y) { return x == y; }
bool differ(double x, double y) { return x != y; }
bool less(double x, double y) { return x < y; }
bool less_equal(double x, double y) { return x <= y; }
bool greater(double x, double y) { return x > y; }
bool greater_equal(double x, double y) { return x >= y; }
double add(double x, double y) { return x + y; }
double sub(double x, double y) { return x - y; }
double mul(double x, double y) { return x * y; }
double over(double x, double y) { return x / y; }
double floor_div(double x, double y) { return std::floor(x / y); }
double larger(double x, double y) { return std::max(x, y); }
double smaller(double x, double y) { return std::min(x, y); }

double gelu_exact(double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }
double gelu_tanh(double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }
double gelu_sigmoid(double x) { return x * sigmoid(1.702 * x); }

std::vector<Tensor> gelu(const Args& args) {
  const std::string mode = args.text("mode");
  if (mode == "EXACT") return unary<gelu_exact>(args);
  if (mode == "TANH_APPROXIMATION") return unary<gelu_tanh>(args);
  if (mode == "SIGMOID_APPROXIMATION") return unary<gelu_sigmoid>(args);
  throw Refusal("gelu: bad mode");
}

// Two parameters besides x, constant numbers.
template <double (*F)(double, double, double)>
std::vector<Tensor> with_two(const Args& args) {
  need_half(args, "x");
  const double a = args.number("alpha"), b = args.number("beta");
  return map(args, {"x"}, [=](const std::vector<double>& v) { return F(v[0], a, b); });
}
double clip(double x, double low, double high) { return std::min(std::max(x, low), high); }
double scaled_tanh(double x, double a, double b) { return a * std::tanh(b * x); }
double sigmoid_hard(double x, double a, double b) { return clip(a * x + b, 0, 1); }
double linear(double x, double a, double b) { return a * x + b; }
double clamped_relu(double x, double a, double b) { return std::min(x >= 0 ? x : a * x, b); }

std::vector<Tensor> prelu(const Args& args) {
  need_half(args, "x");
  const Tensor &x = args["x"], &alpha = args["alpha"];
  const Shape& shape = x.type.shape;
  if (shape.size() < 3 || alpha.type.shape != Shape{shape[1]}) throw Refusal("prelu: alpha is not one a channel");
  const int64_t inner = strides_of(shape)[1];
  std::vector<double> data = x.data;
  for (size_t i = 0; i < data.size(); ++i)
    data[i] = leaky(data[i], alpha.data[static_cast<size_t>(static_cast<int64_t>(i) / inner % shape[1])]);
  return {half_tensor(shape, std::move(data), any_nan(x))};
}

std::vector<Tensor> negation(const Args& args) {
  if (args["x"].type.dtype != "bool") throw Refusal("logical_not of another type than bool");
  return map(args, {"x"}, [](const std::vector<double>& v) { return not_of(v[0]); }, "bool");
}

std::vector<Tensor> select(const Args& args) {
  need_half(args, "a"), need_half(args, "b");
  if (args["cond"].type.dtype != "bool") throw Refusal("select by another type than bool");
  return map(args, {"cond", "a", "b"}, [](const std::vector<double>& v) { return v[0] != 0 ? v[1] : v[2]; });
}

std::vector<Tensor> cast(const Args& args) {
  static const std::map<std::string, std::pair<double, double>> ranges = {
      {"int8", {-128, 127}}, {"uint8", {0, 255}}, {"int16", {-32768, 32767}}, {"uint16", {0, 65535}}};
  const std::string to = args.text("dtype");
  const Tensor& x = args["x"];
  if (to == "fp16") return {half_tensor(x.type.shape, x.data, any_nan(x))};
  std::vector<double> data = x.data;
  const auto range = ranges.find(to);
  if (to != "bool" && range == ranges.end()) throw Refusal("cast to " + to + " not supported on any backend");
  for (double& v : data) {
    if (to == "bool")
      v = v != 0;
    else
      v = std::isnan(v) ? 0 : std::trunc(clip(v, range->second.first, range->second.second)) + 0.0;
  }
  return {{{to, x.type.shape}, std::move(data), ""}};
}

}  // namespace

void add_elementwise(Table& t) {
  t["relu"] = {{"x"}, {}, unary<relu>};
  t["sigmoid"] = {{"x"}, {}, unary<sigmoid>};
  t["tanh"] = {{"x"}, {}, unary<std::tanh>};
  t["exp"] = {{"x"}, {}, unary<exponential>};
  t["exp2"] = {{"x"}, {}, unary<std::exp2>};
  t["sqrt"] = {{"x"}, {}, unary<std::sqrt>};
  t["abs"] = {{"x"}, {}, unary<std::fabs>};
  t["square"] = {{"x"}, {}, unary<square>};
  t["erf"] = {{"x"}, {}, unary<std::erf>};
  t["floor"] = {{"x"}, {}, unary<std::floor>};
  t["ceil"] = {{"x"}, {}, unary<std::ceil>};
  t["round"] = {{"x"}, {}, unary<std::nearbyint>};
  t["sin"] = {{"x"}, {}, unary<std::sin>};
  t["cos"] = {{"x"}, {}, unary<std::cos>};
  t["atan"] = {{"x"}, {}, unary<std::atan>};
  t["sign"] = {{"x"}, {}, unary<sign>};
  t["silu"] = {{"x"}, {}, unary<silu>};
  t["softplus"] = {{"x"}, {}, unary<softplus>};
  t["softsign"] = {{"x"}, {}, unary<softsign>};
  t["log"] = {{"x", "epsilon"}, {}, with<kEpsilon, log_eps>};
  t["rsqrt"] = {{"x", "epsilon"}, {}, with<kEpsilon, rsqrt>};
  t["inverse"] = {{"x", "epsilon"}, {}, with<kEpsilon, inverse>};
  t["leaky_relu"] = {{"x", "alpha"}, {}, with<kAlpha, leaky>};
  t["elu"] = {{"x", "alpha"}, {}, with<kAlpha, elu>};
  t["gelu"] = {{"x", "mode"}, {}, gelu};
  t["relu6"] = {{"x"}, {}, unary<relu6>};
  t["thresholded_relu"] = {{"x", "alpha"}, {}, with<kAlpha, thresholded>};
  t["threshold"] = {{"x", "alpha"}, {}, with<kAlpha, larger>};
  t["prelu"] = {{"x", "alpha"}, {}, prelu};
  t["clip"] = {{"x", "alpha", "beta"}, {}, with_two<clip>};
  t["scaled_tanh"] = {{"x", "alpha", "beta"}, {}, with_two<scaled_tanh>};
  t["sigmoid_hard"] = {{"x", "alpha", "beta"}, {}, with_two<sigmoid_hard>};
  t["linear_activation"] = {{"x", "alpha", "beta"}, {}, with_two<linear>};
  t["clamped_relu"] = {{"x", "alpha", "beta"}, {}, with_two<clamped_relu>};
  t["add"] = {{"x", "y"}, {}, binary<add>};
  t["sub"] = {{"x", "y"}, {}, binary<sub>};
  t["mul"] = {{"x", "y"}, {}, binary<mul>};
  t["real_div"] = {{"x", "y"}, {}, binary<over>};
  t["floor_div"] = {{"x", "y"}, {}, binary<floor_div>};
  t["maximum"] = {{"x", "y"}, {}, binary<larger>};
  t["minimum"] = {{"x", "y"}, {}, binary<smaller>};
  t["pow"] = {{"x", "y"}, {}, binary<std::pow>};
  t["equal"] = {{"x", "y"}, {}, compare<equal>};
  t["not_equal"] = {{"x", "y"}, {}, compare<differ>};
  t["less"] = {{"x", "y"}, {}, compare<less>};
  t["less_equal"] = {{"x", "y"}, {}, compare<less_equal>};
  t["greater"] = {{"x", "y"}, {}, compare<greater>};
  t["greater_equal"] = {{"x", "y"}, {}, compare<greater_equal>};
  t["logical_not"] = {{"x"}, {}, negation};
  t["select"] = {{"cond", "a", "b"}, {}, select};
  t["cast"] = {{"x", "dtype"}, {}, cast};
}

}  // namespace standin
