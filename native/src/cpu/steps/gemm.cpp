// Matrix multiplication steps: BLAS for float32 and float64 with strides as transposition flags, loops for the rest.
#include <algorithm>
#include <cstring>

#include "cpu/kernels/blas.h"
#include "cpu/steps/steps.h"

namespace anesdk::cpu {
namespace {

struct Matrix {
  bool transposed;   // rows have stride 1
  int64_t distance;  // between rows as stored
  std::vector<int64_t> batch_strides;
};

Matrix matrix_of(const View& view) {
  const size_t r = view.shape.size();
  const bool plain = view.strides[r - 1] == 1;
  return {!plain, plain ? view.strides[r - 2] : view.strides[r - 1], {view.strides.begin(), view.strides.end() - 2}};
}

template <class T>
Gemm<T> blas_gemm();
template <>
Gemm<float> blas_gemm<float>() {
  return blas().sgemm;
}
template <>
Gemm<double> blas_gemm<double>() {
  return blas().dgemm;
}

class GemmStep : public Step {
 public:
  GemmStep(const Node& node) : dtype_(node.compute) {
    View x = node.inputs[0], y = node.inputs[1], out = node.windows[0];
    if (out.strides.back() != 1) {  // the transposed product
      std::swap(x, y);
      x = swapped(x), y = swapped(y), out = swapped(out);
    }
    const size_t r = out.shape.size();
    m_ = out.shape[r - 2], n_ = out.shape[r - 1], k_ = x.shape[r - 1];
    batch_shape_.assign(out.shape.begin(), out.shape.end() - 2);
    batch_ = elements_of(batch_shape_);
    x_ = matrix_of(x), y_ = matrix_of(y), out_ = matrix_of(out);
    x_view_ = x, y_view_ = y, out_view_ = out;
  }

  void run(const RunContext& context) const override {
    if (batch_ * m_ * n_ == 0) return;
    switch (dtype_) {
      case DType::FP32:
        return run_blas<float>(context);
      case DType::FP64:
        return run_blas<double>(context);
      case DType::INT8:
        return run_plain<int8_t, uint32_t>(context);
      case DType::INT16:
        return run_plain<int16_t, uint32_t>(context);
      case DType::INT32:
        return run_plain<int32_t, uint32_t>(context);
      case DType::INT64:
        return run_plain<int64_t, uint64_t>(context);
      case DType::UINT8:
        return run_plain<uint8_t, uint32_t>(context);
      case DType::UINT16:
        return run_plain<uint16_t, uint32_t>(context);
      case DType::UINT32:
        return run_plain<uint32_t, uint32_t>(context);
      case DType::UINT64:
        return run_plain<uint64_t, uint64_t>(context);
      default:
        return run_plain<bool, uint32_t>(context);
    }
  }

  std::string describe() const override {
    std::string text = std::string("gemm ") + (x_.transposed ? "T" : "N") + (y_.transposed ? "T" : "N") + " " +
                       std::to_string(m_) + "x" + std::to_string(n_) + "x" + std::to_string(k_);
    if (batch_ != 1) text += " batch " + list(batch_shape_);
    if (dtype_ != DType::FP32) text += " " + std::string(mil::name_of(dtype_));
    return text;
  }

 private:
  struct Offsets {
    int64_t x, y, out;
  };
  Offsets at(int64_t index) const {
    Offsets o{0, 0, 0};
    for (size_t d = batch_shape_.size(); d-- > 0;) {
      const int64_t i = index % batch_shape_[d];
      index /= batch_shape_[d];
      o.x += i * x_.batch_strides[d];
      o.y += i * y_.batch_strides[d];
      o.out += i * out_.batch_strides[d];
    }
    return o;
  }

  // One product, cut along m or n into `pieces`, of which piece `p` is done.
  template <class T>
  void piece(const T* x, const T* y, T* out, int64_t pieces, int64_t p) const {
    int64_t m = m_, n = n_;
    if (pieces > 1) {
      const bool by_rows = m_ >= n_;
      const int64_t total = by_rows ? m_ : n_;
      const int64_t step = ((total + pieces - 1) / pieces + 15) / 16 * 16;
      const int64_t begin = std::min(total, p * step), count = std::min(step, total - begin);
      if (count <= 0) return;
      if (by_rows) {
        x += begin * (x_.transposed ? 1 : x_.distance);
        out += begin * out_.distance;
        m = count;
      } else {
        y += begin * (y_.transposed ? y_.distance : 1);
        out += begin;
        n = count;
      }
    }
    blas_gemm<T>()(x_.transposed, y_.transposed, m, n, k_, T(1), x, x_.distance, y, y_.distance, T(0), out,
                   out_.distance);
  }

  // How often a product is cut depends on its shape alone: BLAS sums small and large matrices in different orders, so
  // the bits of a result must not depend on the number of threads. A piece packs the other operand again, which 768
  // rows hide; two pieces are cut in any case.
  static constexpr int64_t kWhole = 4;  // a batch of so many keeps threads busy by itself
  static int64_t pieces_of(int64_t rows) { return std::clamp<int64_t>(rows / 768, 2, 16); }

  template <class T>
  void run_blas(const RunContext& context) const {
    const T* x = reinterpret_cast<const T*>(context.at(x_view_));
    const T* y = reinterpret_cast<const T*>(context.at(y_view_));
    T* out = reinterpret_cast<T*>(context.tensors[out_view_.base]) + out_view_.offset;
    if (k_ == 0) {
      for (int64_t b = 0; b < batch_; ++b) {
        T* c = out + at(b).out;
        for (int64_t i = 0; i < m_; ++i) std::fill_n(c + i * out_.distance, n_, T(0));
      }
      return;
    }
    constexpr double kSmall = 2e5;  // multiply-adds that one thread does before another could have woken
    const double work = static_cast<double>(m_) * static_cast<double>(n_) * static_cast<double>(k_);
    const int64_t pieces = batch_ < kWhole && work > 2 * kSmall ? pieces_of(std::max(m_, n_)) : 1;
    const auto body = [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const Offsets o = at(t / pieces);
        piece(x + o.x, y + o.y, out + o.out, pieces, t % pieces);
      }
    };
    const int64_t tasks = batch_ * pieces;
    const int64_t grain = std::max<int64_t>(1, static_cast<int64_t>(kSmall * static_cast<double>(pieces) / work));
    if (tasks <= grain) return body(0, tasks);
    context.pool.parallel_for(tasks, grain, body);
  }

  // Integers wrap; bools take "or" of "and". An outer product per k, so that the inner loop runs along rows.
  template <class T, class Wide>
  void run_plain(const RunContext& context) const {
    const T* x = reinterpret_cast<const T*>(context.at(x_view_));
    const T* y = reinterpret_cast<const T*>(context.at(y_view_));
    T* out = reinterpret_cast<T*>(context.tensors[out_view_.base]) + out_view_.offset;
    const size_t r = out_view_.shape.size();
    const int64_t xm = x_view_.strides[r - 2], xk = x_view_.strides[r - 1];
    const int64_t yk = y_view_.strides[r - 2], yn = y_view_.strides[r - 1];
    const auto body = [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        const Offsets o = at(t / m_);
        T* row = out + o.out + t % m_ * out_.distance;
        std::fill_n(row, n_, T(0));
        for (int64_t k = 0; k < k_; ++k) {
          const Wide a = static_cast<Wide>(x[o.x + t % m_ * xm + k * xk]);
          const T* b = y + o.y + k * yk;
          for (int64_t n = 0; n < n_; ++n) {
            row[n] = static_cast<T>(static_cast<Wide>(row[n]) + a * static_cast<Wide>(b[n * yn]));
          }
        }
      }
    };
    const int64_t grain = std::max<int64_t>(1, 65536 / std::max<int64_t>(1, n_ * k_));
    if (batch_ * m_ <= grain) return body(0, batch_ * m_);
    context.pool.parallel_for(batch_ * m_, grain, body);
  }

  DType dtype_;
  int64_t m_, n_, k_, batch_;
  Shape batch_shape_;
  Matrix x_, y_, out_;
  View x_view_, y_view_, out_view_;
};

}  // namespace

View swapped(View view) {
  const size_t r = view.shape.size();
  std::swap(view.shape[r - 1], view.shape[r - 2]);
  std::swap(view.strides[r - 1], view.strides[r - 2]);
  return view;
}

std::unique_ptr<Step> make_gemm_step(const Graph&, const Node& node) { return std::make_unique<GemmStep>(node); }

}  // namespace anesdk::cpu
