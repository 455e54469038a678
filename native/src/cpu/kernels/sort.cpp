// The operation aj_sort: several operands, stable, lexicographic in the first num_keys of them.
#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "cpu/kernels/entries.h"
#include "cpu/kernels/numeric.h"
#include "cpu/kernels/shapes.h"
#include "mil/opset.h"

namespace anesdk::cpu {
namespace {

// Unsigned keys in lax's order: -0 equals 0, and every NaN comes after infinity, whatever its sign.
template <typename T>
uint64_t sort_key(T x) {
  if constexpr (is_half_like<T>) {
    return sort_key(static_cast<float>(x));
  } else if constexpr (std::is_floating_point_v<T>) {
    using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    constexpr Bits kSign = Bits{1} << (8 * sizeof(T) - 1);
    if (x != x) return static_cast<Bits>(~Bits{0});
    const Bits bits = std::bit_cast<Bits>(x == 0 ? T{0} : x);
    return static_cast<Bits>(bits & kSign ? ~bits : bits | kSign);
  } else if constexpr (std::is_signed_v<T>) {
    using Bits = std::make_unsigned_t<T>;
    return static_cast<Bits>(static_cast<Bits>(x) ^ (Bits{1} << (8 * sizeof(T) - 1)));
  } else {
    return static_cast<uint64_t>(x);
  }
}

struct Line {
  int64_t start, step, count;  // in elements
};

void read_keys(mil::DType dtype, const void* data, const Line& line, uint64_t* keys) {
  visit_dtype(dtype, [&]<typename T>(Tag<T>) {
    const T* from = static_cast<const T*>(data) + line.start;
    for (int64_t i = 0; i < line.count; ++i) keys[i] = sort_key(from[i * line.step]);
  });
}

// One key of 32 bits: the position in the low half makes the sort stable, and comparisons cheap.
void order_narrow(std::vector<uint64_t>& keys, std::vector<int64_t>& order) {
  for (size_t i = 0; i < keys.size(); ++i) keys[i] = keys[i] << 32 | i;
  std::sort(keys.begin(), keys.end());
  for (size_t i = 0; i < keys.size(); ++i) order[i] = static_cast<int64_t>(keys[i] & 0xffffffffu);
}

void order_wide(const std::vector<std::vector<uint64_t>>& keys, std::vector<int64_t>& order) {
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    for (const auto& key : keys) {
      const uint64_t first = key[static_cast<size_t>(a)], second = key[static_cast<size_t>(b)];
      if (first != second) return first < second;
    }
    return false;
  });
}

template <typename Word>
void permute(const void* in, void* out, const Line& line, const std::vector<int64_t>& order) {
  const Word* from = static_cast<const Word*>(in) + line.start;
  Word* to = static_cast<Word*>(out) + line.start;
  for (int64_t i = 0; i < line.count; ++i) to[i * line.step] = from[order[static_cast<size_t>(i)] * line.step];
}

class Sort final : public Kernel {
 public:
  Sort(const mil::Function& function, const mil::Op& op) {
    const auto name = op.schema->name;
    const auto* values = function.find(op, "values");
    expect(values && !values->values.empty() && op.results.size() == values->values.size(), name,
           "expected as many results as values, and one at least.");
    inputs_ = values->values;
    const auto& shape = function.values[inputs_[0]].type.shape;
    for (const auto id : inputs_) {
      expect(function.values[id].type.shape == shape, name, "expected values of one shape.");
      dtypes_.push_back(function.values[id].type.dtype);
    }
    const int64_t keys = function.integer(op, "num_keys"), dimension = function.integer(op, "dimension");
    expect(keys >= 1 && keys <= static_cast<int64_t>(inputs_.size()), name,
           "expected num_keys from 1 to " + std::to_string(inputs_.size()) + ", got " + std::to_string(keys) + ".");
    expect(dimension >= 0 && dimension < static_cast<int64_t>(shape.size()), name,
           "expected a dimension of the values, got " + std::to_string(dimension) + ".");
    const auto axis = static_cast<size_t>(dimension);
    num_keys_ = static_cast<size_t>(keys);
    outer_ = product(std::span(shape).first(axis));
    count_ = shape[axis];
    inner_ = product(std::span(shape).subspan(axis + 1));
  }

  void run(const void* const* inputs, void* const* outputs, void*, ThreadPool& pool) const override {
    if (count_ == 0) return;
    pool.parallel_for(outer_ * inner_, ceil_div(512, count_), [&](int64_t begin, int64_t end) {
      std::vector<std::vector<uint64_t>> keys(num_keys_, std::vector<uint64_t>(static_cast<size_t>(count_)));
      std::vector<int64_t> order(static_cast<size_t>(count_));
      for (int64_t i = begin; i < end; ++i) {
        const Line line{i / inner_ * count_ * inner_ + i % inner_, inner_, count_};
        for (size_t k = 0; k < num_keys_; ++k) read_keys(dtypes_[k], inputs[k], line, keys[k].data());
        if (num_keys_ == 1 && mil::size_of(dtypes_[0]) <= 4 && count_ <= int64_t{0xffffffff}) {
          order_narrow(keys[0], order);
        } else {
          order_wide(keys, order);
        }
        for (size_t v = 0; v < dtypes_.size(); ++v) write(dtypes_[v], inputs[v], outputs[v], line, order);
      }
    });
  }

 private:
  static void write(mil::DType dtype, const void* in, void* out, const Line& line, const std::vector<int64_t>& order) {
    switch (mil::size_of(dtype)) {
      case 1:
        return permute<uint8_t>(in, out, line, order);
      case 2:
        return permute<uint16_t>(in, out, line, order);
      case 4:
        return permute<uint32_t>(in, out, line, order);
      default:
        return permute<uint64_t>(in, out, line, order);
    }
  }

  std::vector<mil::DType> dtypes_;
  size_t num_keys_ = 1;
  int64_t outer_ = 1, count_ = 0, inner_ = 1;
};

std::unique_ptr<const Kernel> prepare(const mil::Function& function, const mil::Op& op) {
  return std::make_unique<Sort>(function, op);
}

}  // namespace

std::span<const KernelEntry> sort_entries() {
  static constexpr KernelEntry entries[] = {{"aj_sort", prepare}};
  return entries;
}

}  // namespace anesdk::cpu
