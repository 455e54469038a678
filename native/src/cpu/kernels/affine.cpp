// The operation affine: an image sampled at the places where a matrix takes those of the result.
#include <cmath>

#include "cpu/kernels/entries.h"
#include "cpu/kernels/numeric.h"
#include "cpu/kernels/shapes.h"

namespace anesdk::cpu {
namespace {

struct Plane {
  int64_t height = 0, width = 0;
  int64_t size() const { return height * width; }
};

// Coordinate `k` of `count`, from -1 to 1; of a single one, the middle, as in PyTorch.
double normalized(int64_t k, int64_t count) {
  return count == 1 ? 0.0 : -1.0 + 2.0 * static_cast<double>(k) / static_cast<double>(count - 1);
}

// The value at a place between the entries; outside there are zeros.
template <typename T>
double sampled(const T* image, const Plane& plane, double row, double column) {
  const auto inside = [](double at, int64_t size) { return at > -1 && at < static_cast<double>(size); };
  if (!inside(row, plane.height) || !inside(column, plane.width)) return 0.0;
  const double top = std::floor(row), left = std::floor(column);
  double sum = 0;
  for (int64_t i = 0; i < 2; ++i) {
    for (int64_t j = 0; j < 2; ++j) {
      const int64_t y = static_cast<int64_t>(top) + i, x = static_cast<int64_t>(left) + j;
      const double weight = (i ? row - top : 1 - (row - top)) * (j ? column - left : 1 - (column - left));
      if (weight == 0 || y < 0 || y >= plane.height || x < 0 || x >= plane.width) continue;
      sum += weight * static_cast<double>(static_cast<Compute<T>>(image[y * plane.width + x]));
    }
  }
  return sum;
}

class Affine final : public Kernel {
 public:
  Affine(const mil::Function& function, const mil::Op& op) {
    const mil::Type& x = function.value(op, "x").type;
    const mil::Shape& out = function.values[op.results.at(0)].type.shape;
    dtype_ = x.dtype;
    images_ = x.shape[0];
    channels_ = x.shape[1];
    from_ = {x.shape[2], x.shape[3]};
    to_ = {out[2], out[3]};
    one_matrix_ = function.value(op, "transform_matrix").type.shape[0] == 1;
    inputs_ = {function.find(op, "x")->values.at(0), function.find(op, "transform_matrix")->values.at(0)};
  }

  void run(const void* const* inputs, void* const* outputs, void*, ThreadPool& pool) const override {
    visit_dtype(dtype_, [&]<typename T>(Tag<T>) {
      if constexpr (is_real<T>)
        run_on(static_cast<const T*>(inputs[0]), static_cast<const T*>(inputs[1]), static_cast<T*>(outputs[0]), pool);
    });
  }

 private:
  template <typename T>
  void run_on(const T* x, const T* matrices, T* out, ThreadPool& pool) const {
    const int64_t row_work = to_.width * std::max<int64_t>(channels_, 1) + 1;
    pool.parallel_for(images_ * to_.height, ceil_div(4096, row_work), [&](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < end; ++at) {
        const int64_t image = at / to_.height;
        write_row(x + image * channels_ * from_.size(), matrices + (one_matrix_ ? 0 : image * 6),
                  out + image * channels_ * to_.size(), at % to_.height);
      }
    });
  }

  template <typename T>
  void write_row(const T* x, const T* matrix, T* out, int64_t row) const {
    const auto of = [&](int k) { return static_cast<double>(static_cast<Compute<T>>(matrix[k])); };
    const double v = normalized(row, to_.height);
    for (int64_t column = 0; column < to_.width; ++column) {
      const double u = normalized(column, to_.width);
      const double source_x = (of(0) * u + of(1) * v + of(2) + 1) / 2 * static_cast<double>(from_.width - 1);
      const double source_y = (of(3) * u + of(4) * v + of(5) + 1) / 2 * static_cast<double>(from_.height - 1);
      for (int64_t c = 0; c < channels_; ++c)
        out[c * to_.size() + row * to_.width + column] =
            static_cast<T>(static_cast<Compute<T>>(sampled(x + c * from_.size(), from_, source_y, source_x)));
    }
  }

  mil::DType dtype_ = mil::DType::FP32;
  int64_t images_ = 0, channels_ = 0;
  Plane from_, to_;
  bool one_matrix_ = true;
};

std::unique_ptr<const Kernel> prepare(const mil::Function& function, const mil::Op& op) {
  return std::make_unique<Affine>(function, op);
}

}  // namespace

std::span<const KernelEntry> affine_entries() {
  static constexpr KernelEntry entries[] = {{"affine", prepare}};
  return entries;
}

}  // namespace anesdk::cpu
