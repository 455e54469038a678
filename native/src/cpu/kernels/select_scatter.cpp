// The operation aj_select_and_scatter_add, the gradient of a maximum or minimum over windows.
#include <algorithm>
#include <limits>

#include "cpu/kernels/entries.h"
#include "cpu/kernels/numeric.h"
#include "cpu/kernels/shapes.h"
#include "cpu/kernels/windows.h"
#include "mil/opset.h"

namespace anesdk::cpu {
namespace {

struct SelectSpec {
  mil::DType dtype = mil::DType::FP32;
  bool greatest = true;
  int64_t planes = 1;            // leading axes without a window
  std::vector<WindowAxis> axes;  // the others, at least two
  int64_t in = 1, out = 1;       // elements of a plane
};

// The window of position `index`: where the element stands that no later one beats, or -1 when it has none.
template <bool greatest, typename T>
int64_t winner(const SelectSpec& spec, const std::vector<int64_t>& index, const T* operand) {
  const size_t rank = spec.axes.size();
  int64_t first = 0;  // offset of the innermost run of the window
  std::vector<int64_t> at(rank), low(rank), high(rank);
  for (size_t d = 0; d < rank; ++d) {
    low[d] = at[d] = spec.axes[d].begin(index[d]);
    high[d] = spec.axes[d].end(index[d]);
    if (low[d] >= high[d]) return -1;
    first = first * spec.axes[d].in + low[d];
  }
  int64_t best = first;
  while (true) {
    int64_t offset = 0;
    for (size_t d = 0; d < rank; ++d) offset = offset * spec.axes[d].in + at[d];
    const bool keeps = greatest ? operand[best] >= operand[offset] : operand[best] <= operand[offset];
    if (!keeps) best = offset;
    size_t d = rank;
    while (d-- > 0 && ++at[d] == high[d]) at[d] = low[d];
    if (d == SIZE_MAX) return best;
  }
}

template <bool greatest, typename T>
void scatter_any(const SelectSpec& spec, const T* operand, const T* source, T* sums) {
  std::vector<int64_t> size, index(spec.axes.size(), 0);
  for (const auto& axis : spec.axes) size.push_back(axis.out);
  do {
    const int64_t best = winner<greatest>(spec, index, operand);
    if (best >= 0) sums[best] = wrapping_add(sums[best], *source);
    ++source;
  } while (next_index(index, size));
}

// Two axes, the usual case.
template <bool greatest, typename T>
void scatter_2d(const SelectSpec& spec, const T* operand, const T* source, T* sums) {
  std::vector<T> value(static_cast<size_t>(spec.axes[1].out));
  std::vector<int32_t> best(static_cast<size_t>(spec.out));
  winners<T>(greatest)(spec.axes[0], spec.axes[1], operand, value.data(), best.data());
  for (const int32_t at : best) {
    if (at >= 0) sums[at] = wrapping_add(sums[at], *source);
    ++source;
  }
}

bool is_pair(const WindowAxis& axis) { return axis.tiles() && axis.window == 2 && axis.stride == 2; }

template <bool greatest, typename T>
void scatter_plane(const SelectSpec& spec, const T* operand, const T* source, T* out) {
  const bool flat = spec.axes.size() == 2 && spec.in <= std::numeric_limits<int32_t>::max();
  if (flat && is_pair(spec.axes[0]) && is_pair(spec.axes[1])) {
    return pair_scatter<T>(greatest)(spec.axes[0].out, spec.axes[1].out, operand, source, out);
  }
  std::fill_n(out, spec.in, T{});
  if (spec.out == 0 || spec.in == 0) return;
  if (flat) {
    scatter_2d<greatest>(spec, operand, source, out);
  } else {
    scatter_any<greatest>(spec, operand, source, out);
  }
}

// Comparisons and sums of 16-bit floats are made in float, on a converted plane.
template <typename T>
void run_typed(const SelectSpec& spec, const T* operand, const T* source, T* out, ThreadPool& pool) {
  const auto scatter = [&](const auto* from, const auto* values, auto* sums) {
    if (spec.greatest) {
      scatter_plane<true>(spec, from, values, sums);
    } else {
      scatter_plane<false>(spec, from, values, sums);
    }
  };
  pool.parallel_for(spec.planes, ceil_div(4096, spec.in + 1), [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const T* from = operand + p * spec.in;
      const T* values = source + p * spec.out;
      T* to = out + p * spec.in;
      if constexpr (is_half_like<T>) {
        float* sums =
            static_cast<float*>(ThreadPool::scratch(static_cast<size_t>(2 * spec.in + spec.out + 1) * sizeof(float)));
        float* wide = sums + spec.in;
        float* wide_values = wide + spec.in;
        std::transform(from, from + spec.in, wide, [](T x) { return static_cast<float>(x); });
        std::transform(values, values + spec.out, wide_values, [](T x) { return static_cast<float>(x); });
        scatter(wide, wide_values, sums);
        std::transform(sums, sums + spec.in, to, [](float x) { return T(x); });
      } else {
        scatter(from, values, to);
      }
    }
  });
}

class SelectAndScatter final : public Kernel {
 public:
  SelectAndScatter(const mil::Function& function, const mil::Op& op) {
    const auto name = op.schema->name;
    const auto& operand = function.value(op, "operand").type;
    const auto& source = function.value(op, "source").type;
    const auto& select = function.text(op, "select");
    const size_t rank = operand.shape.size();
    const auto window = function.ints(op, "window_dimensions"), strides = function.ints(op, "window_strides"),
               padding = function.ints(op, "padding");
    expect_size(window, rank, name, "window_dimensions");
    expect_size(strides, rank, name, "window_strides");
    expect_size(padding, 2 * rank, name, "padding");
    expect(select == "ge" || select == "le", name, "expected select ge or le, got " + select + ".");
    expect(source.shape.size() == rank && source.dtype == operand.dtype &&
               function.values[op.results[0]].type == operand && operand.dtype != mil::DType::BOOL,
           name,
           "expected operand, source and result of one numeric type and rank, got " + operand.str() + " and " +
               source.str() + ".");
    spec_.dtype = operand.dtype;
    spec_.greatest = select == "ge";
    for (size_t d = 0; d < rank; ++d) {
      constexpr int64_t kLimit = int64_t{1} << 31;
      expect(window[d] >= 1 && strides[d] >= 1 &&
                 std::max({window[d], strides[d], std::abs(padding[2 * d]), std::abs(padding[2 * d + 1])}) < kLimit,
             name, "expected positive windows and strides.");
      const int64_t room = operand.shape[d] + padding[2 * d] + padding[2 * d + 1] - window[d];
      const int64_t out = room < 0 ? 0 : room / strides[d] + 1;
      expect(source.shape[d] == out, name,
             "expected " + std::to_string(out) + " as size of axis " + std::to_string(d) + " of source, got " +
                 source.str() + ".");
      const WindowAxis axis{operand.shape[d], out, window[d], strides[d], 1, 1, padding[2 * d]};
      if (spec_.axes.empty() && axis.trivial()) {
        spec_.planes *= axis.in;
      } else {
        spec_.axes.push_back(axis);
        spec_.in *= axis.in;
        spec_.out *= axis.out;
      }
    }
    while (spec_.axes.size() < 2) spec_.axes.insert(spec_.axes.begin(), WindowAxis{});
    inputs_ = {function.find(op, "operand")->values.at(0), function.find(op, "source")->values.at(0)};
  }

  void run(const void* const* inputs, void* const* outputs, void*, ThreadPool& pool) const override {
    visit_dtype(spec_.dtype, [&]<typename T>(Tag<T>) {
      if constexpr (!std::is_same_v<T, bool>) {
        run_typed(spec_, static_cast<const T*>(inputs[0]), static_cast<const T*>(inputs[1]),
                  static_cast<T*>(outputs[0]), pool);
      }
    });
  }

 private:
  SelectSpec spec_;
};

std::unique_ptr<const Kernel> prepare(const mil::Function& function, const mil::Op& op) {
  return std::make_unique<SelectAndScatter>(function, op);
}

}  // namespace

std::span<const KernelEntry> window_entries() {
  static constexpr KernelEntry entries[] = {{"aj_select_and_scatter_add", prepare}};
  return entries;
}

}  // namespace anesdk::cpu
