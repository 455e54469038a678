// The operations aj_scatter, aj_scatter_{add,mul,min,max} and scatter_nd.
#include <algorithm>
#include <cstring>

#include "cpu/kernels/entries.h"
#include "cpu/kernels/indexing.h"
#include "cpu/kernels/numeric.h"
#include "cpu/kernels/shapes.h"
#include "mil/opset.h"

namespace anesdk::cpu {
namespace {

enum class Update { SET, ADD, SUB, MUL, DIV, MIN, MAX };

template <Update update, typename C>
C updated(C old, C value) {
  if constexpr (update == Update::SET) return value;
  if constexpr (update == Update::ADD) return wrapping_add(old, value);
  if constexpr (update == Update::SUB) {
    if constexpr (std::is_integral_v<C>)
      return wrapping_add(old, wrapping_mul(value, static_cast<C>(-1)));
    else
      return old - value;
  }
  if constexpr (update == Update::MUL) return wrapping_mul(old, value);
  if constexpr (update == Update::DIV) {
    if constexpr (std::is_floating_point_v<C>)
      return old / value;
    else if (value == 0)
      return static_cast<C>(-1);
    else
      return static_cast<int64_t>(value) == -1 ? wrapping_mul(old, static_cast<C>(-1)) : static_cast<C>(old / value);
  }
  if constexpr (update == Update::MIN) return min_of(old, value);
  if constexpr (update == Update::MAX) return max_of(old, value);
}

// Whether two windows can only meet at equal places of their innermost runs: all other steps are multiples of a run.
bool runs_are_columns(const Indexing& indexing) {
  const auto& window = indexing.window;
  const int64_t run = window.back().size * window.back().tensor;
  bool columns = true;
  for (const auto& component : indexing.components) columns &= component.limit <= 0 || component.stride % run == 0;
  for (const auto& pair : indexing.along) columns &= pair.stride % run == 0;
  for (size_t d = 0; d + 1 < window.size(); ++d) columns &= window[d].tensor % run == 0;
  return columns;
}

// Updates of one element come in the order of the index vectors. Threads share out the innermost run of the window,
// never the vectors, so that no two of them meet at an element.
template <Update update, typename T, typename C>
void scatter(const Indexing& indexing, const void* indices, const T* updates, C* out, ThreadPool& pool) {
  const int64_t run = indexing.window.back().size;
  const int64_t work = indexing.vectors * indexing.window_elements;
  const bool splits = work >= 16384 && runs_are_columns(indexing);
  const int64_t grain = splits ? std::max<int64_t>(ceil_div(run, 4 * pool.num_threads()), 64) : run;
  pool.parallel_for(run, grain, [&](int64_t begin, int64_t end) {
    std::vector<int64_t> index;
    indexing.each(indices, 0, indexing.vectors, [&](int64_t tensor, int64_t slices) {
      if (tensor < 0) return;
      each_run(indexing, tensor, slices, index,
               [&](int64_t to, int64_t from, int64_t, int64_t to_step, int64_t from_step) {
                 for (int64_t i = begin; i < end; ++i) {
                   C& old = out[to + i * to_step];
                   old = updated<update>(old, static_cast<C>(updates[from + i * from_step]));
                 }
               });
    });
  });
}

class Scatter final : public Kernel {
 public:
  Scatter(const mil::Function& function, const mil::Op& op, Indexing indexing, Update update)
      : indexing_(std::move(indexing)), update_(update) {
    const char* tensor = function.find(op, "x") ? "x" : "data";
    for (const char* name : {tensor, "indices", "updates"}) inputs_.push_back(function.find(op, name)->values.at(0));
    const auto& type = function.value(op, tensor).type;
    dtype_ = type.dtype;
    elements_ = type.elements();
    if (in_float()) workspace_bytes_ = static_cast<size_t>(elements_) * sizeof(float);
  }

  bool may_alias(size_t, size_t input) const override { return input == 0; }

  void run(const void* const* inputs, void* const* outputs, void* workspace, ThreadPool& pool) const override {
    // bool: sums are or, products are and
    Update update = update_;
    mil::DType dtype = dtype_;
    if (dtype == mil::DType::BOOL) {
      dtype = mil::DType::UINT8;
      if (update == Update::ADD) update = Update::MAX;
      if (update == Update::MUL) update = Update::MIN;
    }
    visit_dtype(dtype, [&]<typename T>(Tag<T>) {
      if constexpr (!std::is_same_v<T, bool>) run_typed<T>(update, inputs, outputs[0], workspace, pool);
    });
  }

 private:
  bool in_float() const { return update_ != Update::SET && (dtype_ == mil::DType::FP16 || dtype_ == mil::DType::BF16); }

  // Arithmetic on 16-bit floats is done in a float copy and rounded once.
  template <typename T>
  void run_typed(Update update, const void* const* inputs, void* output, void* workspace, ThreadPool& pool) const {
    const T* x = static_cast<const T*>(inputs[0]);
    const T* updates = static_cast<const T*>(inputs[2]);
    T* out = static_cast<T*>(output);
    if (in_float()) {
      if constexpr (is_half_like<T>) {
        float* wide = static_cast<float*>(workspace);
        std::transform(x, x + elements_, wide, [](T value) { return static_cast<float>(value); });
        apply(update, inputs[1], updates, wide, pool);
        std::transform(wide, wide + elements_, out, [](float value) { return T(value); });
      }
      return;
    }
    if (out != x) {
      pool.parallel_for(elements_, 65536,
                        [&](int64_t begin, int64_t end) { std::copy(x + begin, x + end, out + begin); });
    }
    if constexpr (is_half_like<T>) {
      scatter_or_skip<Update::SET>(inputs[1], updates, out, pool);
    } else {
      apply(update, inputs[1], updates, out, pool);
    }
  }

  template <typename T, typename C>
  void apply(Update update, const void* indices, const T* updates, C* out, ThreadPool& pool) const {
    switch (update) {
      case Update::SET:
        return scatter_or_skip<Update::SET>(indices, updates, out, pool);
      case Update::ADD:
        return scatter_or_skip<Update::ADD>(indices, updates, out, pool);
      case Update::SUB:
        return scatter_or_skip<Update::SUB>(indices, updates, out, pool);
      case Update::MUL:
        return scatter_or_skip<Update::MUL>(indices, updates, out, pool);
      case Update::DIV:
        return scatter_or_skip<Update::DIV>(indices, updates, out, pool);
      case Update::MIN:
        return scatter_or_skip<Update::MIN>(indices, updates, out, pool);
      case Update::MAX:
        return scatter_or_skip<Update::MAX>(indices, updates, out, pool);
    }
  }

  template <Update update, typename T, typename C>
  void scatter_or_skip(const void* indices, const T* updates, C* out, ThreadPool& pool) const {
    if (indexing_.vectors * indexing_.window_elements == 0) return;
    scatter<update>(indexing_, indices, updates, out, pool);
  }

  Indexing indexing_;
  Update update_;
  mil::DType dtype_;
  int64_t elements_;
};

template <Update update>
std::unique_ptr<const Kernel> prepare(const mil::Function& function, const mil::Op& op) {
  return std::make_unique<Scatter>(function, op, parse_aj_scatter(function, op), update);
}

std::unique_ptr<const Kernel> prepare_nd(const mil::Function& function, const mil::Op& op) {
  const std::string mode = function.find(op, "mode") ? function.text(op, "mode") : "add";
  constexpr std::pair<std::string_view, Update> kModes[] = {
      {"update", Update::SET}, {"add", Update::ADD}, {"sub", Update::SUB}, {"mul", Update::MUL},
      {"div", Update::DIV},    {"min", Update::MIN}, {"max", Update::MAX}};
  for (const auto& [text, update] : kModes) {
    if (mode == text) return std::make_unique<Scatter>(function, op, parse_mil_scatter_nd(function, op), update);
  }
  throw mil::Error("[scatter_nd] expected mode add, div, max, min, mul, sub or update, got " + mode + ".");
}

}  // namespace

std::span<const KernelEntry> scatter_entries() {
  static constexpr KernelEntry entries[] = {
      {"aj_scatter", prepare<Update::SET>},     {"aj_scatter_add", prepare<Update::ADD>},
      {"aj_scatter_mul", prepare<Update::MUL>}, {"aj_scatter_min", prepare<Update::MIN>},
      {"aj_scatter_max", prepare<Update::MAX>}, {"scatter_nd", prepare_nd},
  };
  return entries;
}

}  // namespace anesdk::cpu
