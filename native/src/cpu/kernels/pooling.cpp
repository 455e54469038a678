// The operations aj_reduce_window_{sum,max,min}, max_pool and avg_pool.
#include <algorithm>

#include "cpu/kernels/entries.h"
#include "cpu/kernels/numeric.h"
#include "cpu/kernels/shapes.h"
#include "cpu/kernels/windows.h"
#include "mil/opset.h"

namespace anesdk::cpu {
namespace {

class WindowKernel final : public Kernel {
 public:
  WindowKernel(const mil::Function& function, const mil::Op& op, WindowSpec spec) : spec_(std::move(spec)) {
    inputs_ = {function.find(op, "x")->values.at(0)};
  }
  void run(const void* const* inputs, void* const* outputs, void*, ThreadPool& pool) const override {
    reduce_windows(spec_, inputs[0], outputs[0], pool);
  }

 private:
  WindowSpec spec_;
};

void expect_in_range(const std::vector<int64_t>& values, int64_t low, std::string_view op, std::string_view name) {
  constexpr int64_t kLimit = int64_t{1} << 31;
  for (const int64_t value : values) {
    expect(value >= low && value < kLimit, op,
           "expected " + std::string(name) + " of at least " + std::to_string(low) + ", got " + list_str(values) + ".");
  }
}

template <WindowOp window_op>
std::unique_ptr<const Kernel> prepare_reduce_window(const mil::Function& function, const mil::Op& op) {
  const auto name = op.schema->name;
  const auto& x = function.value(op, "x").type;
  const auto& result = function.values[op.results[0]].type;
  const size_t rank = x.shape.size();
  const auto window = function.ints(op, "window_dimensions"), strides = function.ints(op, "window_strides"),
             padding = function.ints(op, "padding"), base = function.ints(op, "base_dilation"),
             dilation = function.ints(op, "window_dilation");
  expect_size(window, rank, name, "window_dimensions");
  expect_size(strides, rank, name, "window_strides");
  expect_size(padding, 2 * rank, name, "padding");
  expect_size(base, rank, name, "base_dilation");
  expect_size(dilation, rank, name, "window_dilation");
  expect_in_range(window, 0, name, "window_dimensions");
  for (const auto& list : {strides, base, dilation}) expect_in_range(list, 1, name, "strides and dilations");
  expect_in_range(padding, -(int64_t{1} << 31), name, "padding");
  expect(result.shape.size() == rank && result.dtype == x.dtype, name, "expected a result of the type of x.");
  WindowSpec spec{window_op, x.dtype, {}, {}};
  for (size_t d = 0; d < rank; ++d) {
    const int64_t extent = (x.shape[d] == 0 ? 0 : (x.shape[d] - 1) * base[d] + 1) + padding[2 * d] + padding[2 * d + 1];
    const int64_t reach = window[d] == 0 ? 0 : (window[d] - 1) * dilation[d] + 1;
    const int64_t out = extent < reach || extent <= 0 ? 0 : (extent - reach) / strides[d] + 1;
    expect(result.shape[d] == out, name,
           "expected " + std::to_string(out) + " as size of axis " + std::to_string(d) + " of the result, got " +
               result.str() + ".");
    spec.axes.push_back({x.shape[d], out, window[d], strides[d], dilation[d], base[d], padding[2 * d]});
  }
  return std::make_unique<WindowKernel>(function, op, std::move(spec));
}

// The number of elements over which each window of the axis averages.
std::vector<int64_t> divisors_of(const WindowAxis& axis, int64_t pad_high, bool exclude_padding) {
  const int64_t low = exclude_padding ? 0 : -axis.pad_low, high = axis.in + (exclude_padding ? 0 : pad_high);
  std::vector<int64_t> counts;
  for (int64_t j = 0; j < axis.out; ++j) {
    const int64_t begin = j * axis.stride - axis.pad_low;
    counts.push_back(std::max<int64_t>(std::min(begin + axis.window, high) - std::max(begin, low), 1));
  }
  return counts;
}

std::unique_ptr<const Kernel> prepare_pool(const mil::Function& function, const mil::Op& op, WindowOp window_op) {
  const auto name = op.schema->name;
  const auto& x = function.value(op, "x").type;
  const auto& result = function.values[op.results[0]].type;
  const size_t rank = x.shape.size();
  expect(rank >= 3 && result.shape.size() == rank && result.dtype == x.dtype && is_float(x.dtype), name,
         "expected floats of rank 3 or more, and a result of the same rank, got " + x.str() + ".");
  const size_t n = rank - 2;
  const auto kernel = function.ints(op, "kernel_sizes");
  const auto strides = function.find(op, "strides") ? function.ints(op, "strides") : std::vector<int64_t>(n, 1);
  const auto pad = function.find(op, "pad") ? function.ints(op, "pad") : std::vector<int64_t>(2 * n, 0);
  const std::string pad_type = function.find(op, "pad_type") ? function.text(op, "pad_type") : "valid";
  const bool exclude =
      function.find(op, "exclude_padding_from_average") && function.boolean(op, "exclude_padding_from_average");
  const bool ceil_mode = function.find(op, "ceil_mode") && function.boolean(op, "ceil_mode");
  expect_size(kernel, n, name, "kernel_sizes");
  expect_size(strides, n, name, "strides");
  expect_size(pad, 2 * n, name, "pad");
  expect_in_range(kernel, 1, name, "kernel_sizes");
  expect_in_range(strides, 1, name, "strides");
  expect_in_range(pad, 0, name, "pad");
  expect(result.shape[0] == x.shape[0] && result.shape[1] == x.shape[1], name,
         "expected batch and features to stay, got " + x.str() + " and " + result.str() + ".");
  WindowSpec spec{window_op, x.dtype, {{x.shape[0], x.shape[0]}, {x.shape[1], x.shape[1]}}, {}};
  if (window_op == WindowOp::SUM) spec.divisors.resize(rank);
  for (size_t d = 0; d < n; ++d) {
    const int64_t in = x.shape[d + 2], k = kernel[d], s = strides[d];
    int64_t low = 0, high = 0;
    if (pad_type == "custom") {
      low = pad[2 * d], high = pad[2 * d + 1];
    } else if (pad_type.starts_with("same")) {
      const int64_t total = std::max<int64_t>((ceil_div(in, s) - 1) * s + k - in, 0);
      low = pad_type == "same" ? total / 2 : total - total / 2;
      high = total - low;
    }
    const int64_t room = in + low + high - k;
    int64_t out = room < 0 ? 0 : (ceil_mode ? ceil_div(room, s) : room / s) + 1;
    if (ceil_mode && low + high > 0 && (out - 1) * s >= in + low) --out;  // it would start in the padding at the end
    expect(result.shape[d + 2] == out, name,
           "expected " + std::to_string(out) + " as size of spatial axis " + std::to_string(d) +
               " of the result, got " + result.str() + ".");
    spec.axes.push_back({in, out, k, s, 1, 1, low});
    if (window_op == WindowOp::SUM) spec.divisors[d + 2] = divisors_of(spec.axes.back(), high, exclude);
  }
  return std::make_unique<WindowKernel>(function, op, std::move(spec));
}

std::unique_ptr<const Kernel> prepare_max_pool(const mil::Function& function, const mil::Op& op) {
  return prepare_pool(function, op, WindowOp::MAX);
}

std::unique_ptr<const Kernel> prepare_avg_pool(const mil::Function& function, const mil::Op& op) {
  return prepare_pool(function, op, WindowOp::SUM);
}

}  // namespace

std::span<const KernelEntry> pool_entries() {
  static constexpr KernelEntry entries[] = {
      {"aj_reduce_window_sum", prepare_reduce_window<WindowOp::SUM>},
      {"aj_reduce_window_max", prepare_reduce_window<WindowOp::MAX>},
      {"aj_reduce_window_min", prepare_reduce_window<WindowOp::MIN>},
      {"max_pool", prepare_max_pool},
      {"avg_pool", prepare_avg_pool},
  };
  return entries;
}

}  // namespace anesdk::cpu
