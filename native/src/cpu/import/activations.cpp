// MIL's activations that no pass writes, and its normalisation of instances: those of other projects' programs.
#include <numeric>

#include "cpu/import/importer.h"

namespace anesdk::cpu {
namespace {

using mil::Op;

View wide(Importer& i, const View& x) { return i.b.convert(x, compute_dtype(x.dtype)); }
View operand(Importer& i, const Op& op, const char* name) { return wide(i, i.in(op, name)); }
void finish(Importer& i, const Op& op, const View& value) { i.set(op, i.b.convert(value, i.type(op).dtype)); }

View times(Importer& i, const View& x, const View& y) { return i.b.map(MapOp::MUL, x, y); }

// `negative` where x is below 0, else x.
View below_zero(Importer& i, const View& x, const View& negative) {
  return i.b.select(i.b.compare(MapOp::LT, x, i.b.scalar(x.dtype, 0.0)), negative, x);
}

// alpha x + beta
View line(Importer& i, const Op& op) {
  return i.b.map(MapOp::ADD, times(i, operand(i, op, "x"), operand(i, op, "alpha")), operand(i, op, "beta"));
}

void relu6(Importer& i, const Op& op) {
  finish(i, op, i.b.map(MapOp::MIN, i.b.map(MapOp::MAX, operand(i, op, "x"), 0.0), 6.0));
}

void softsign(Importer& i, const Op& op) {
  const View x = operand(i, op, "x");
  finish(i, op, i.b.map(MapOp::DIV, x, i.b.map(MapOp::ADD, i.b.map(MapOp::ABS, x), 1.0)));
}

void leaky_relu(Importer& i, const Op& op) {
  const View x = operand(i, op, "x");
  finish(i, op, below_zero(i, x, times(i, x, operand(i, op, "alpha"))));
}

void elu(Importer& i, const Op& op) {
  const View x = operand(i, op, "x");
  finish(i, op, below_zero(i, x, times(i, i.b.map(MapOp::EXPM1, x), operand(i, op, "alpha"))));
}

void thresholded_relu(Importer& i, const Op& op) {
  const View x = operand(i, op, "x");
  const View alpha = broadcast_trailing(operand(i, op, "alpha"), x.shape);
  const View none = broadcast_trailing(i.b.scalar(x.dtype, 0.0), x.shape);
  finish(i, op, i.b.select(i.b.compare(MapOp::LT, x, alpha), none, x));
}

void scaled_tanh(Importer& i, const Op& op) {
  const View inner = i.b.map(MapOp::TANH, times(i, operand(i, op, "x"), operand(i, op, "beta")));
  finish(i, op, times(i, inner, operand(i, op, "alpha")));
}

void sigmoid_hard(Importer& i, const Op& op) {
  finish(i, op, i.b.map(MapOp::MIN, i.b.map(MapOp::MAX, line(i, op), 0.0), 1.0));
}

void clamped_relu(Importer& i, const Op& op) {
  const View x = operand(i, op, "x");
  const View leaky = below_zero(i, x, times(i, x, operand(i, op, "alpha")));
  finish(i, op, i.b.map(MapOp::MIN, leaky, operand(i, op, "beta")));
}

void linear_activation(Importer& i, const Op& op) { finish(i, op, line(i, op)); }

void threshold(Importer& i, const Op& op) { i.set(op, i.b.map(MapOp::MAX, i.in(op, "x"), i.in(op, "alpha"))); }

// A number for each channel, the second axis.
View channels(Importer& i, const Op& op, const char* name, const Shape& shape) {
  return broadcast(operand(i, op, name), shape, {1});
}

void prelu(Importer& i, const Op& op) {
  const View x = operand(i, op, "x");
  finish(i, op, below_zero(i, x, times(i, x, channels(i, op, "alpha", x.shape))));
}

void instance_norm(Importer& i, const Op& op) {
  const View x = operand(i, op, "x");
  std::vector<int64_t> axes(x.shape.size() - 2);
  std::iota(axes.begin(), axes.end(), 2);
  double count = 1;
  for (const int64_t axis : axes) count *= static_cast<double>(x.shape[static_cast<size_t>(axis)]);
  const auto mean = [&](const View& v) { return i.b.map(MapOp::DIV, i.b.reduce_keep(ReduceOp::SUM, v, axes), count); };
  const View centered = i.b.map(MapOp::SUB, x, mean(x));
  const View inside = i.b.map(MapOp::ADD, mean(i.b.map(MapOp::SQUARE, centered)), i.real(op, "epsilon", 1e-5));
  View y = times(i, centered, i.b.map(MapOp::RSQRT, inside));
  if (i.has(op, "gamma")) y = times(i, y, channels(i, op, "gamma", x.shape));
  if (i.has(op, "beta")) y = i.b.map(MapOp::ADD, y, channels(i, op, "beta", x.shape));
  finish(i, op, y);
}

}  // namespace

const Handlers& activation_handlers() {
  static const Handlers kTable = {
      {"relu6", relu6},
      {"softsign", softsign},
      {"leaky_relu", leaky_relu},
      {"elu", elu},
      {"thresholded_relu", thresholded_relu},
      {"scaled_tanh", scaled_tanh},
      {"sigmoid_hard", sigmoid_hard},
      {"clamped_relu", clamped_relu},
      {"linear_activation", linear_activation},
      {"threshold", threshold},
      {"prelu", prelu},
      {"instance_norm", instance_norm},
  };
  return kTable;
}

}  // namespace anesdk::cpu
