// Products of few rows in a loop's body with weights that are the same in every turn: a library packs the weights anew
// each time, which takes as long as multiplying 32 rows does. Here they are packed once, before the first turn.
#include <algorithm>
#include <string_view>

#include "cpu/kernels/blas.h"
#include "cpu/kernels/gemm_tiles.h"
#include "cpu/steps/steps.h"

namespace anesdk::cpu {
namespace {

constexpr int64_t kMostRows = 256;                  // beyond, a library's packing is hidden behind the product
constexpr int64_t kMostWeights = int64_t{4} << 20;  // elements; what is kept is a second copy of them

std::vector<int64_t> multiples(int64_t count, int64_t factor) {
  std::vector<int64_t> out(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) out[static_cast<size_t>(i)] = i * factor;
  return out;
}

// x [m, k] times weights y [k, n] gives out [m, n], whose rows are dense.
struct Product {
  View x, y, out;
  size_t rank() const { return out.shape.size(); }
  int64_t m() const { return out.shape[rank() - 2]; }
  int64_t n() const { return out.shape[rank() - 1]; }
  int64_t k() const { return x.shape[rank() - 1]; }
};

template <class T>
class PackedGemmStep : public Step {
 public:
  explicit PackedGemmStep(const Product& p)
      : p_(p),
        columns_(packed_columns<T>(p.n())),
        rows_(multiples(p.m(), p.x.strides[p.rank() - 2])),
        taps_(multiples(p.k(), p.x.strides[p.rank() - 1])),
        weight_rows_(multiples(p.k(), p.y.strides[p.rank() - 2])),
        out_rows_(multiples(p.m(), p.out.strides[p.rank() - 2])),
        dense_rows_(multiples(p.m(), tile_ops<T>().panel)) {}

  size_t kept_bytes() const override { return static_cast<size_t>(columns_ * p_.k()) * sizeof(T); }

  void keep(const RunContext& context) const override {
    const T* weights = reinterpret_cast<const T*>(context.at(p_.y));
    T* packed = reinterpret_cast<T*>(context.kept + kept_at);
    const int64_t panel = tile_ops<T>().panel, stride = p_.y.strides[p_.rank() - 1];
    const auto body = [&](int64_t begin, int64_t end) {
      for (int64_t o = begin * panel; o < std::min(columns_, end * panel); o += panel) {
        pack_columns(weights + o * stride, weight_rows_.data(), p_.k(), stride, std::min(panel, p_.n() - o), 0, p_.k(),
                     packed + o * p_.k());
      }
    };
    context.pool.parallel_for(panels(), std::max<int64_t>(1, 16384 / (panel * p_.k() + 1)), body);
  }

  // A panel of columns by itself, so that every element is summed in one order whatever the number of threads.
  void run(const RunContext& context) const override {
    const T* x = reinterpret_cast<const T*>(context.at(p_.x));
    const T* packed = reinterpret_cast<const T*>(context.kept + kept_at);
    T* out = reinterpret_cast<T*>(context.tensors[p_.out.base]) + p_.out.offset;
    const int64_t panel = tile_ops<T>().panel;
    const auto body = [&](int64_t begin, int64_t end) {
      for (int64_t o = begin * panel; o < std::min(columns_, end * panel); o += panel) {
        const int64_t width = std::min(panel, columns_ - o), filled = std::min(width, p_.n() - o);
        const T* weights = packed + o * p_.k();
        if (filled == width) {
          multiply(out_rows_, width, x, weights, out + o);
        } else {
          through_scratch(width, filled, x, weights, out + o);
        }
      }
    };
    constexpr int64_t kSmall = 200'000;  // multiply-adds that one thread does before another could have woken
    context.pool.parallel_for(panels(), std::max<int64_t>(1, kSmall / (panel * p_.m() * p_.k() + 1)), body);
  }

  std::string describe() const override {
    std::string text =
        "packed gemm " + std::to_string(p_.m()) + "x" + std::to_string(p_.n()) + "x" + std::to_string(p_.k());
    return sizeof(T) == 4 ? text : text + " fp64";
  }

 private:
  int64_t panels() const {
    const int64_t panel = tile_ops<T>().panel;
    return (columns_ + panel - 1) / panel;
  }

  void multiply(const std::vector<int64_t>& out_rows, int64_t width, const T* x, const T* weights, T* out) const {
    tile_ops<T>().multiply({rows_.data(), out_rows.data(), p_.m(), taps_.data(), p_.k(), width, false}, x, weights,
                           out);
  }

  // The last panel, which is wider than what there is room for.
  void through_scratch(int64_t width, int64_t filled, const T* x, const T* weights, T* out) const {
    const int64_t panel = tile_ops<T>().panel;
    T* product = static_cast<T*>(ThreadPool::scratch(static_cast<size_t>(p_.m() * panel) * sizeof(T)));
    multiply(dense_rows_, width, x, weights, product);
    for (int64_t i = 0; i < p_.m(); ++i) std::copy_n(product + i * panel, filled, out + out_rows_[i]);
  }

  Product p_;
  int64_t columns_;  // as packed
  std::vector<int64_t> rows_, taps_, weight_rows_, out_rows_, dense_rows_;
};

// Apple's library multiplies by matrix instructions, which the tile kernels do not have.
bool is_outdone() { return std::string_view(blas().name).starts_with("accelerate"); }

}  // namespace

std::unique_ptr<Step> make_packed_gemm_step(const Graph& graph, const Node& node, size_t steady) {
  if (steady == 0 || is_outdone() || (node.compute != DType::FP32 && node.compute != DType::FP64)) return nullptr;
  Product p{node.inputs[0], node.inputs[1], node.windows[0]};
  if (p.out.strides.back() != 1) p = {swapped(p.y), swapped(p.x), swapped(p.out)};  // the transposed product
  if (p.out.strides.back() != 1 || p.out.elements() != p.m() * p.n()) return nullptr;
  if (p.m() < 2 || p.m() > kMostRows || p.n() < 8 || p.k() < 8 || p.n() * p.k() > kMostWeights) return nullptr;
  const Tensor& weights = graph.tensors[p.y.base];
  if (weights.storage != Storage::INPUT || weights.index >= static_cast<int64_t>(steady)) return nullptr;
  if (node.compute == DType::FP32) return std::make_unique<PackedGemmStep<float>>(p);
  return std::make_unique<PackedGemmStep<double>>(p);
}

}  // namespace anesdk::cpu
