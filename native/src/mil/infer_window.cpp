// MIL's own matrix multiplication, convolutions and pooling.
#include <algorithm>
#include <utility>

#include "mil/infer.h"

namespace anesdk::mil {
namespace {

Shape last_two(const OpView& op, std::string_view arg, bool transposed) {
  const Shape& shape = op.shape(arg);
  op.require(shape.size() >= 2, "operands must have rank 2 or more");
  Shape out(shape.end() - 2, shape.end());
  if (transposed) std::swap(out[0], out[1]);
  return out;
}

Shapes matmul(const OpView& op) {
  const Shape x = last_two(op, "x", op.flag("transpose_x")), y = last_two(op, "y", op.flag("transpose_y"));
  if (x[1] != y[0])
    op.fail("contracting dimensions must agree: " + op.type("x").str() + " @ " + op.type("y").str() + " contracts " +
            std::to_string(x[1]) + " with " + std::to_string(y[0]));
  const Shape &a = op.shape("x"), &b = op.shape("y");
  const size_t rank = std::max(a.size(), b.size());
  Shape out(rank);
  for (size_t i = 2; i < rank; ++i) {  // the batch axes, from the last
    const int64_t p = i < a.size() ? a[a.size() - 1 - i] : 1, q = i < b.size() ? b[b.size() - 1 - i] : 1;
    op.require(p == q || p == 1 || q == 1, "batch axes must broadcast, got " + str(a) + " and " + str(b));
    out[rank - 1 - i] = p == 1 ? q : p;
  }
  out[rank - 2] = x[0];
  out[rank - 1] = y[1];
  return {out};
}

// The windows of convolutions and pools, by spatial axis.
struct Windows {
  List sizes, strides, dilations, pad;
  std::string pad_type;
  int64_t count() const { return static_cast<int64_t>(sizes.size()); }
};

Windows windows(const OpView& op, List sizes) {
  const auto n = static_cast<int64_t>(sizes.size());
  return {std::move(sizes), op.ints_or("strides", n, 1, 1),
          op.has("dilations") ? op.ints("dilations", n, 1) : List(static_cast<size_t>(n), 1),
          op.ints_or("pad", 2 * n, 0, 0), op.one_of("pad_type", {"valid", "same", "same_lower", "custom"})};
}

int64_t output_size(const OpView& op, const Windows& w, size_t i, int64_t size) {
  const int64_t window = op.dilated(w.sizes[i], w.dilations[i]);
  if (w.pad_type == "same" || w.pad_type == "same_lower") return size == 0 ? 0 : (size - 1) / w.strides[i] + 1;
  const bool custom = w.pad_type == "custom";
  const int64_t low = custom ? w.pad[2 * i] : 0, high = custom ? w.pad[2 * i + 1] : 0;
  if (!op.flag("ceil_mode")) return window_count(op, size, low, high, window, w.strides[i]);
  // Rounded up, but a window that would start beyond the data and its left padding does not count.
  const int64_t padded = op.extent(size + low + high);
  if (padded < window) return 0;
  const int64_t count = op.extent(padded - window + w.strides[i] - 1) / w.strides[i] + 1;
  return low + high > 0 && op.multiply(count - 1, w.strides[i]) >= size + low ? count - 1 : count;
}

Shape image(const OpView& op) {
  const Shape& x = op.shape("x");
  op.require(x.size() >= 3 && x.size() <= 5, "x must have rank 3 to 5, got " + op.type("x").str());
  return x;
}

// The kernel's spatial axes.
Windows kernel(const OpView& op, const Shape& x) {
  const Shape& weight = op.shape("weight");
  op.require(weight.size() == x.size(), "x and weight must have equal ranks");
  op.require(std::find(weight.begin() + 2, weight.end(), 0) == weight.end(), "windows must not be empty");
  return windows(op, List(weight.begin() + 2, weight.end()));
}

void check_bias(const OpView& op, int64_t channels) {
  if (op.has("bias") && op.shape("bias") != Shape{channels})
    op.fail("bias must have one entry for each of " + std::to_string(channels) + " output channels, got " +
            op.type("bias").str());
}

Shapes conv(const OpView& op) {
  Shape out = image(op);
  const Windows w = kernel(op, out);
  const Shape& weight = op.shape("weight");
  const int64_t groups = op.integer_or("groups", 1, 1);
  if (out[1] != op.multiply(weight[1], groups) || weight[0] % groups != 0)
    op.fail("x and weight must agree on channels: " + op.type("x").str() + ", " + op.type("weight").str() + ", " +
            std::to_string(groups) + " groups");
  const bool dilated = std::any_of(w.dilations.begin(), w.dilations.end(), [](int64_t d) { return d > 1; });
  if (op.target() != Target::CPU && dilated) op.require(op.is_const("weight"), "a dilated weight must be a const");
  check_bias(op, weight[0]);
  out[1] = weight[0];
  for (size_t i = 0; i + 2 < out.size(); ++i) out[i + 2] = output_size(op, w, i, out[i + 2]);
  return {out};
}

Shapes conv_transpose(const OpView& op) {
  Shape out = image(op);
  const Windows w = kernel(op, out);
  const Shape& weight = op.shape("weight");
  const int64_t groups = op.integer_or("groups", 1, 1);
  op.require(w.pad_type != "same_lower", "pad_type must be valid, same or custom");
  if (out[1] != weight[0] || out[1] % groups != 0)
    op.fail("x and weight must agree on channels: " + op.type("x").str() + ", " + op.type("weight").str());
  out[1] = op.extent(op.multiply(weight[1], groups));
  check_bias(op, out[1]);
  for (size_t i = 0; i + 2 < out.size(); ++i) {
    const int64_t window = op.dilated(w.sizes[i], w.dilations[i]);
    const int64_t full = op.extent(op.multiply(std::max<int64_t>(out[i + 2] - 1, 0), w.strides[i])) + window;
    const int64_t cut = w.pad_type == "custom" ? w.pad[2 * i] + w.pad[2 * i + 1] : 0;
    out[i + 2] = op.extent(w.pad_type == "same" ? op.multiply(out[i + 2], w.strides[i]) : full - cut);
  }
  if (!op.has("output_shape")) return {out};
  const List given = op.ints("output_shape", static_cast<int64_t>(out.size()), 0);
  op.require(given[0] == out[0] && given[1] == out[1], "output_shape must keep batch and channels, " + str(out));
  return {given};
}

Shapes pool(const OpView& op) {
  Shape out = image(op);
  const Windows w = windows(op, op.ints("kernel_sizes", op.rank("x") - 2, 1));
  if (op.flag("ceil_mode")) {
    op.require(out.size() <= 4, "ceil_mode takes one or two spatial axes");
    op.require(w.pad_type == "valid" || w.pad_type == "custom", "ceil_mode takes pad_type valid or custom");
    for (int64_t i = 0; i < w.count(); ++i)
      op.require(w.pad[2 * i] == w.pad[2 * i + 1], "pad must be symmetric when ceil_mode is true");
  }
  for (size_t i = 0; i + 2 < out.size(); ++i) out[i + 2] = output_size(op, w, i, out[i + 2]);
  return {out};
}

}  // namespace

void add_window_rules(Rules& rules) {
  rules.insert({{"matmul", matmul}, {"conv", conv}, {"conv_transpose", conv_transpose}, {"pool", pool}});
}

}  // namespace anesdk::mil
