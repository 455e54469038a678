// The step of a product whose weight stays in one byte (plan/narrow.cpp).
#include <algorithm>

#include "cpu/steps/steps.h"
#include "cpu/tile/simd.h"

namespace anesdk::cpu {
namespace {

constexpr double kSmall = 2e5;  // multiply-adds that one thread does before another could have woken

class NarrowStep : public Step {
 public:
  explicit NarrowStep(const Node& node) {
    const bool right = mil::size_of(node.inputs[1].dtype) == 1;
    x_ = node.inputs[right ? 0 : 1], weight_ = node.inputs[right ? 1 : 0];
    const View& out = node.windows[0];
    const size_t r = out.shape.size(), rows = right ? r - 2 : r - 1, columns = right ? r - 1 : r - 2;
    out_ = {out.base, out.offset};
    m_ = out.shape[rows], n_ = out.shape[columns], k_ = x_.shape[right ? r - 1 : r - 2];
    out_row_ = out.strides[rows], out_column_ = out.strides[columns];
    x_row_ = x_.strides[right ? r - 2 : r - 1], x_k_ = x_.strides[right ? r - 1 : r - 2];
    by_k_ = node.imm != 0;
    scaled_ = node.inputs.size() == 3;
    if (scaled_) index_scales(node.inputs[2]);
  }

  void run(const RunContext& context) const override {
    if (m_ * n_ == 0) return;
    const auto* x = reinterpret_cast<const float*>(context.at(x_));
    const std::byte* weight = context.at(weight_);
    const float* scale = scaled_ ? reinterpret_cast<const float*>(context.at(scale_)) : nullptr;
    auto* out = reinterpret_cast<float*>(context.tensors[out_.base]) + out_.offset;
    auto* row = reinterpret_cast<float*>(context.workspace);
    if (x_k_ != 1) {
      for (int64_t m = 0; m < m_; ++m) {
        for (int64_t k = 0; k < k_; ++k) row[m * k_ + k] = x[m * x_row_ + k * x_k_];
      }
      x = row;
    }
    const int64_t x_row = x_k_ != 1 ? k_ : x_row_;
    const NarrowFns fns = simd().narrow(weight_.dtype);
    const int64_t stored = by_k_ ? n_ : k_;  // elements of a row as stored
    // Wide pieces, as they read long runs of each row; two where there is work for two.
    const int64_t columns = std::clamp<int64_t>((n_ / 2 + 63) / 64 * 64, 256, kNarrowColumns);
    const auto body = [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        const int64_t first = p * columns, count = std::min(columns, n_ - first);
        const int64_t at = by_k_ ? first : first * stored;
        for (int64_t m = 0; m < m_; ++m) {
          float* to = out + m * out_row_ + first * out_column_;
          const NarrowScale s{scale == nullptr ? nullptr : scale + (by_k_ ? first * scale_column_ : 0),
                              scale_rows_.data() + (by_k_ || scale_rows_.empty() ? 0 : first), scale_column_};
          (by_k_ ? fns.sums : fns.dots)(to, out_column_, weight + at, stored, x + m * x_row, s, count, k_);
        }
      }
    };
    const int64_t pieces = (n_ + columns - 1) / columns;
    const double work = static_cast<double>(m_) * static_cast<double>(k_) * static_cast<double>(std::min(n_, columns));
    const int64_t grain = std::max<int64_t>(1, static_cast<int64_t>(kSmall / std::max(work, 1.0)));
    if (pieces <= grain) return body(0, pieces);
    context.pool.parallel_for(pieces, grain, body);
  }

  size_t workspace_bytes() const override {
    return x_k_ == 1 ? 0 : align64(sizeof(float) * static_cast<size_t>(m_ * k_));
  }

  std::string describe() const override {
    return "gemm of " + std::string(mil::name_of(weight_.dtype)) + (scaled_ ? " scaled " : " ") + std::to_string(m_) +
           "x" + std::to_string(n_) + "x" + std::to_string(k_);
  }

 private:
  struct Place {
    TensorId base;
    int64_t offset;
  };
  View x_, weight_, scale_;
  Place out_{};
  int64_t m_ = 0, n_ = 0, k_ = 0, out_row_ = 0, out_column_ = 0, x_row_ = 0, x_k_ = 0, scale_column_ = 0;
  bool by_k_ = false, scaled_ = false;
  std::vector<int64_t> scale_rows_;  // by row as stored: where its scales begin

  void index_scales(const View& scale) {
    scale_ = scale;
    const size_t last = scale.shape.size() - 1;
    scale_column_ = scale.strides[last];
    const int64_t rows = scale.shape[last] == 0 ? 0 : scale.elements() / scale.shape[last];
    for (int64_t row = 0; row < rows; ++row) {
      int64_t index = row, at = 0;
      for (size_t d = last; d-- > 0;) {
        at += index % scale.shape[d] * scale.strides[d];
        index /= scale.shape[d];
      }
      scale_rows_.push_back(at);
    }
  }
};

}  // namespace

std::unique_ptr<Step> make_narrow_step(const Node& node) { return std::make_unique<NarrowStep>(node); }

}  // namespace anesdk::cpu
