// Reductions that stand alone, seen as [outer, length, inner] with length reduced; arguments of extrema.
#include <algorithm>

#include "cpu/steps/steps.h"
#include "cpu/tile/simd.h"
#include "cpu/tile/tile.h"
#include "mil/error.h"

namespace anesdk::cpu {
namespace {

// Runs of columns that are accumulated in one task; the rows of one column block go in groups, so that the error of a
// long sum grows with the number of groups and not of rows.
constexpr int64_t kColumns = 1024;
constexpr int64_t kGroup = 256;
// Rows of few columns are added side by side, a power of two of them, which are folded at the end.
constexpr int64_t kNarrow = 64;
constexpr int64_t kWide = 512;

class ReduceStep : public Step {
 public:
  explicit ReduceStep(const Node& node) : node_(node), size_(static_cast<int64_t>(mil::size_of(node.compute))) {
    row_ = simd().reduce_row(node.reduce, node.compute);
    column_ = simd().reduce_column(node.reduce, node.compute);
    if (row_ == nullptr || column_ == nullptr) {
      throw mil::Error(std::string("[reduce_") + name_of(node.reduce) + "] has no kernel for " +
                           std::string(mil::name_of(node.compute)),
                       ANESDK_UNSUPPORTED);
    }
  }

  void run(const RunContext& context) const override {
    if (node_.outer * node_.inner == 0) return;
    if (node_.length == 0) {
      return tile::fill_identity(node_.reduce, node_.compute, context.at(node_.outputs[0]), node_.outer * node_.inner);
    }
    if (node_.inner == 1) return run_rows(context);
    run_columns(context);
  }

  std::string describe() const override {
    return std::string("reduce[") + name_of(node_.reduce) + "] of axis 1 of " +
           list({node_.outer, node_.length, node_.inner});
  }

 private:
  void run_rows(const RunContext& context) const {
    const std::byte* in = context.at(node_.inputs[0]);
    std::byte* out = context.at(node_.outputs[0]);
    const auto body = [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) row_(out + r * size_, in + r * node_.length * size_, node_.length);
    };
    const int64_t grain = std::max<int64_t>(1, 65536 / node_.length);
    if (node_.outer <= grain) return body(0, node_.outer);
    context.pool.parallel_for(node_.outer, grain, body);
  }

  void run_columns(const RunContext& context) const {
    const std::byte* in = context.at(node_.inputs[0]);
    std::byte* out = context.at(node_.outputs[0]);
    const int64_t per_row = (node_.inner + kColumns - 1) / kColumns, tasks = node_.outer * per_row;
    int64_t fold = 1;
    while (node_.inner < kNarrow && 2 * fold * node_.inner <= kWide && 2 * fold <= node_.length) fold *= 2;
    const auto body = [&](int64_t begin, int64_t end) {
      auto* part = static_cast<std::byte*>(ThreadPool::scratch(kColumns * 8));
      for (int64_t t = begin; t < end; ++t) {
        const int64_t o = t / per_row, first = t % per_row * kColumns, count = std::min(kColumns, node_.inner - first);
        std::byte* to = out + (o * node_.inner + first) * size_;
        tile::fill_identity(node_.reduce, node_.compute, to, count);
        for (int64_t group = 0; group < node_.length; group += kGroup * fold) {
          tile::fill_identity(node_.reduce, node_.compute, part, fold * count);
          const int64_t end_row = std::min(node_.length, group + kGroup * fold);
          for (int64_t l = group; l < end_row; l += fold) {
            const int64_t rows = std::min(fold, end_row - l);
            column_(part, in + ((o * node_.length + l) * node_.inner + first) * size_, rows * count);
          }
          for (int64_t half = fold / 2; half >= 1; half /= 2) {
            column_(part, part + half * count * size_, half * count);
          }
          column_(to, part, count);
        }
      }
    };
    const int64_t grain = std::max<int64_t>(1, 65536 / (node_.length * std::min(node_.inner, kColumns)));
    if (tasks <= grain) return body(0, tasks);
    context.pool.parallel_for(tasks, grain, body);
  }

  Node node_;
  int64_t size_;
  ReduceRowFn row_;
  ReduceColumnFn column_;
};

template <class T, bool kLargest>
int64_t winner(const T* a, int64_t length, int64_t stride) {
  int64_t best = 0;
  if (a[0] != a[0]) return 0;
  for (int64_t i = 1; i < length; ++i) {
    const T x = a[i * stride], y = a[best * stride];
    if (x != x) return i;
    if (kLargest ? x > y : x < y) best = i;
  }
  return best;
}

class ArgReduceStep : public Step {
 public:
  explicit ArgReduceStep(const Graph& graph, const Node& node)
      : node_(node), out_dtype_(graph.tensors[node.outputs[0]].dtype) {}

  void run(const RunContext& context) const override {
    switch (node_.compute) {
      case DType::BOOL:
      case DType::UINT8:
        return search<uint8_t>(context);
      case DType::INT8:
        return search<int8_t>(context);
      case DType::INT16:
        return search<int16_t>(context);
      case DType::INT32:
        return search<int32_t>(context);
      case DType::INT64:
        return search<int64_t>(context);
      case DType::UINT16:
        return search<uint16_t>(context);
      case DType::UINT32:
        return search<uint32_t>(context);
      case DType::UINT64:
        return search<uint64_t>(context);
      case DType::FP64:
        return search<double>(context);
      default:
        return search<float>(context);
    }
  }

  std::string describe() const override {
    return std::string(node_.largest ? "argmax" : "argmin") + " of axis 1 of " +
           list({node_.outer, node_.length, node_.inner});
  }

 private:
  template <class T>
  void search(const RunContext& context) const {
    const T* in = reinterpret_cast<const T*>(context.at(node_.inputs[0]));
    std::byte* out = context.at(node_.outputs[0]);
    const auto size = static_cast<int64_t>(mil::size_of(out_dtype_));
    const auto convert = simd().convert(DType::INT64, out_dtype_);
    const auto body = [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* at = in + (i / node_.inner * node_.length) * node_.inner + i % node_.inner;
        const int64_t best = node_.largest ? winner<T, true>(at, node_.length, node_.inner)
                                           : winner<T, false>(at, node_.length, node_.inner);
        const void* source[] = {&best};
        convert(out + i * size, source, 1, 0);
      }
    };
    const int64_t total = node_.length == 0 ? 0 : node_.outer * node_.inner;
    const int64_t grain = std::max<int64_t>(1, 32768 / std::max<int64_t>(1, node_.length));
    if (total <= grain) return body(0, total);
    context.pool.parallel_for(total, grain, body);
  }

  Node node_;
  DType out_dtype_;
};

}  // namespace

std::unique_ptr<Step> make_reduce_step(const Graph&, const Node& node) { return std::make_unique<ReduceStep>(node); }
std::unique_ptr<Step> make_arg_reduce_step(const Graph& graph, const Node& node) {
  return std::make_unique<ArgReduceStep>(graph, node);
}

}  // namespace anesdk::cpu
