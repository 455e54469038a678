// The parts that the kernels of linear algebra share: one task per matrix of a batch, and LAPACK's column-major layout.
#pragma once

#include <algorithm>
#include <complex>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "cpu/kernels/blas_seat.h"
#include "cpu/kernels/lapack.h"
#include "cpu/kernels/registry.h"
#include "cpu/kernels/shapes.h"
#include "mil/opset.h"

namespace anesdk::cpu {

// Matrices [..., m, n], one per index of the leading axes; complex ones are [..., m, n, 2] in the program.
struct Matrices {
  int64_t batch, m, n;
  int64_t k() const { return std::min(m, n); }
  int64_t elements() const { return m * n; }
};

// The operand as matrices. Throws mil::Error when it has rank below 2, or sides past LAPACK's 32-bit integers.
Matrices matrices(const mil::Function& function, const mil::Op& op, std::string_view operand);

// out[c, r] = in[r, c] for a row-major in[rows, columns]: row-major to column-major and back.
template <typename T>
void transpose_into(const T* in, int64_t rows, int64_t columns, T* out);

// Memory of one task, cut into arrays.
class Scratch {
 public:
  explicit Scratch(void* memory) : next_(static_cast<std::byte*>(memory)) {}
  template <typename T>
  T* take(int64_t count) {
    T* taken = reinterpret_cast<T*>(next_);
    next_ += bytes<T>(count);
    return taken;
  }
  template <typename T>
  static size_t bytes(int64_t count) {
    return (static_cast<size_t>(count) * sizeof(T) + 63) / 64 * 64;
  }

 private:
  std::byte* next_;
};

// A kernel that does the same to each matrix of a batch; the batch is split over the pool.
class MatrixKernel : public Kernel {
 public:
  void run(const void* const* inputs, void* const* outputs, void*, ThreadPool& pool) const final {
    if (batch_ == 0) return;
    const int64_t grain = ceil_div(int64_t{1} << 15, std::max<int64_t>(work_, 1));
    pool.parallel_for(batch_, grain, [&](int64_t begin, int64_t end) {
      void* memory = ThreadPool::scratch(scratch_bytes_);
      const BlasSeat seat;
      seat.require();
      for (int64_t i = begin; i < end; ++i) one(inputs, outputs, i, Scratch(memory));
    });
  }

 protected:
  virtual void one(const void* const* inputs, void* const* outputs, int64_t i, Scratch scratch) const = 0;

  // `work` is about the floating-point operations of one matrix.
  void set_tasks(int64_t batch, double work, size_t scratch_bytes) {
    batch_ = batch;
    work_ = static_cast<int64_t>(std::min(work, 1e15));
    scratch_bytes_ = std::max<size_t>(scratch_bytes, 64);
  }

 private:
  int64_t batch_ = 0, work_ = 0;
  size_t scratch_bytes_ = 0;
};

template <typename T>
T* nth(void* const* outputs, size_t which, int64_t i, int64_t elements) {
  return static_cast<T*>(outputs[which]) + i * elements;
}

template <typename T>
const T* nth(const void* const* inputs, size_t which, int64_t i, int64_t elements) {
  return static_cast<const T*>(inputs[which]) + i * elements;
}

template <typename T>
void fill_nan(T* out, int64_t count) {
  constexpr Real<T> kNan = std::numeric_limits<Real<T>>::quiet_NaN();
  if constexpr (kComplex<T>) {
    std::fill_n(out, count, T(kNan, kNan));
  } else {
    std::fill_n(out, count, kNan);
  }
}

template <typename T>
bool all_finite(const T* x, int64_t count) {
  return std::all_of(x, x + count, [](T v) { return v - v == T{0}; });
}

template <typename T>
T conjugate(T x) {
  if constexpr (kComplex<T>) {
    return std::conj(x);
  } else {
    return x;
  }
}

// A queried workspace size: in float it may have been rounded down.
template <typename T>
int workspace_size(T answer, int64_t least) {
  const double rounded_up =
      static_cast<double>(std::real(answer)) * (1 + 2.0 * std::numeric_limits<Real<T>>::epsilon());
  const double most = std::numeric_limits<int>::max();
  return static_cast<int>(std::min(most, std::max(rounded_up, static_cast<double>(least))));
}

// Throws mil::Error past what LAPACK's routines take whose workspace, a few times n * n, is counted in 32-bit integers.
void expect_small(int64_t n, std::string_view op);

// K<T> after the dtype of the first result, complex with the flag.
template <template <typename> typename K>
std::unique_ptr<const Kernel> prepare_matrix_kernel(const mil::Function& function, const mil::Op& op) {
  const mil::Type& type = function.values[op.results.at(0)].type;
  const bool complex = function.find(op, "complex") && function.boolean(op, "complex");
  if (type.dtype == mil::DType::FP32 && complex) return std::make_unique<K<std::complex<float>>>(function, op);
  if (type.dtype == mil::DType::FP64 && complex) return std::make_unique<K<std::complex<double>>>(function, op);
  if (type.dtype == mil::DType::FP32) return std::make_unique<K<float>>(function, op);
  if (type.dtype == mil::DType::FP64) return std::make_unique<K<double>>(function, op);
  throw mil::Error("[" + std::string(op.schema->name) + "] expected fp32 or fp64, got " + type.str() + ".");
}

}  // namespace anesdk::cpu
