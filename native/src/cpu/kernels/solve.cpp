// The operations aj_cholesky, aj_triangular_solve, aj_lu and aj_qr.
#include <cstring>
#include <numeric>
#include <utility>

#include "cpu/kernels/entries.h"
#include "cpu/kernels/lapack.h"
#include "cpu/kernels/matrix.h"

namespace anesdk::cpu {
namespace {

template <typename T>
class Cholesky final : public MatrixKernel {
 public:
  Cholesky(const mil::Function& function, const mil::Op& op) : x_(matrices(function, op, "x")) {
    require_routine(lapack_.potrf, op.schema->name, "potrf");
    symmetrize_ = function.boolean(op, "symmetrize_input");
    inputs_ = {function.find(op, "x")->values.at(0)};
    const auto n = static_cast<double>(x_.n);
    set_tasks(x_.batch, n * n * n / 3, 0);
  }

 protected:
  void one(const void* const* inputs, void* const* outputs, int64_t i, Scratch) const override {
    const auto n = static_cast<int>(x_.n);
    if (n == 0) return;
    const T* x = nth<T>(inputs, 0, i, x_.elements());
    T* out = nth<T>(outputs, 0, i, x_.elements());
    if (symmetrize_) {
      symmetrized(x, n, out);
    } else {
      for (int64_t r = 0; r < n; ++r) std::copy_n(x + r * n, r + 1, out + r * n);
    }
    int info = 0;
    lapack_.potrf("U", &n, out, &n, &info,
                  1);  // our lower triangle is the upper one of columns, where U^H U is conj(x)
    if (info != 0) fill_nan(out, x_.elements());
    for (int64_t r = 0; r < n; ++r) std::fill(out + r * n + r + 1, out + (r + 1) * n, T{0});
  }

 private:
  // The lower triangle of (x + x^H) / 2, square by square, so that lines of the upper one are used whole.
  static void symmetrized(const T* x, int64_t n, T* out) {
    constexpr int64_t kSquare = 32;
    for (int64_t r0 = 0; r0 < n; r0 += kSquare) {
      for (int64_t c0 = 0; c0 <= r0; c0 += kSquare) {
        for (int64_t r = r0; r < std::min(n, r0 + kSquare); ++r) {
          for (int64_t c = c0; c <= std::min(r, c0 + kSquare - 1); ++c) {
            out[r * n + c] = (x[r * n + c] + conjugate(x[c * n + r])) / Real<T>{2};
          }
        }
      }
    }
  }

  const Lapack<T>& lapack_ = lapack<T>();
  Matrices x_;
  bool symmetrize_ = true;
};

template <typename T>
class TriangularSolve final : public MatrixKernel {
 public:
  TriangularSolve(const mil::Function& function, const mil::Op& op) : b_(matrices(function, op, "b")) {
    require_routine(lapack_.trsm, op.schema->name, "trsm");
    const Matrices a = matrices(function, op, "a");
    left_ = function.boolean(op, "left_side");
    n_ = left_ ? b_.m : b_.n;
    expect(a.batch == b_.batch && a.m == a.n && a.n == n_, op.schema->name, "expected a that fits b.");
    lower_ = function.boolean(op, "lower");
    transpose_ = function.boolean(op, "transpose_a");
    unit_ = function.boolean(op, "unit_diagonal");
    inputs_ = {function.find(op, "a")->values.at(0), function.find(op, "b")->values.at(0)};
    vectors_ = left_ ? b_.n : b_.m;
    pieces_ = vectors_ < kLeast ? 1 : 2 * ceil_div(vectors_, 4 * kLeast);
    const auto pieces = static_cast<double>(pieces_);
    set_tasks(b_.batch * pieces_, static_cast<double>(b_.elements()) * static_cast<double>(n_) / pieces, 0);
  }

  bool may_alias(size_t, size_t input) const override { return input == 1; }

 protected:
  // Some of the right-hand sides of a system. By columns it is the transposed system: its sides and its triangle change
  // places.
  void one(const void* const* inputs, void* const* outputs, int64_t task, Scratch) const override {
    const int64_t i = task / pieces_, begin = task % pieces_ * vectors_ / pieces_;
    const int64_t count = (task % pieces_ + 1) * vectors_ / pieces_ - begin;
    if (b_.elements() == 0 || count == 0) return;
    const int64_t first = left_ ? begin : begin * b_.n, rows = left_ ? b_.m : count, width = left_ ? count : b_.n;
    const T* b = nth<T>(inputs, 1, i, b_.elements()) + first;
    T* out = nth<T>(outputs, 0, i, b_.elements()) + first;
    if (out != b) {
      for (int64_t r = 0; r < rows; ++r) std::copy_n(b + r * b_.n, width, out + r * b_.n);
    }
    const int m = static_cast<int>(width), n = static_cast<int>(rows), side = static_cast<int>(n_);
    const int distance = static_cast<int>(b_.n);
    const T one = 1;
    lapack_.trsm(left_ ? "R" : "L", lower_ ? "U" : "L", transpose_ ? "T" : "N", unit_ ? "U" : "N", &m, &n, &one,
                 nth<T>(inputs, 0, i, n_ * n_), &side, out, &distance, 1, 1, 1, 1);
  }

 private:
  static constexpr int64_t kLeast = 128;  // right-hand sides that are shared out: each piece packs the triangle again

  const Lapack<T>& lapack_ = lapack<T>();
  Matrices b_;
  int64_t n_ = 0, vectors_ = 0, pieces_ = 1;
  bool left_ = false, lower_ = false, transpose_ = false, unit_ = false;
};

template <typename T>
class Lu final : public MatrixKernel {
 public:
  Lu(const mil::Function& function, const mil::Op& op) : x_(matrices(function, op, "x")) {
    require_routine(lapack_.getrf, op.schema->name, "getrf");
    inputs_ = {function.find(op, "x")->values.at(0)};
    set_tasks(x_.batch, static_cast<double>(x_.elements()) * static_cast<double>(x_.k()),
              Scratch::bytes<T>(x_.elements()) + Scratch::bytes<int>(x_.k()));
  }

 protected:
  void one(const void* const* inputs, void* const* outputs, int64_t i, Scratch scratch) const override {
    const int m = static_cast<int>(x_.m), n = static_cast<int>(x_.n);
    T* a = scratch.take<T>(x_.elements());
    int* found = scratch.take<int>(x_.k());
    transpose_into(nth<T>(inputs, 0, i, x_.elements()), m, n, a);
    int info = 0;
    if (x_.k() > 0) lapack_.getrf(&m, &n, a, &m, found, &info);  // info > 0: U is singular, which is no failure
    transpose_into(a, n, m, nth<T>(outputs, 0, i, x_.elements()));
    int32_t* pivots = nth<int32_t>(outputs, 1, i, x_.k());
    int32_t* permutation = nth<int32_t>(outputs, 2, i, x_.m);
    std::iota(permutation, permutation + m, 0);
    for (int j = 0; j < static_cast<int>(x_.k()); ++j) {
      pivots[j] = std::clamp(found[j] - 1, j, m - 1);  // whatever a library makes of NaN, it is a row
      std::swap(permutation[j], permutation[pivots[j]]);
    }
  }

 private:
  const Lapack<T>& lapack_ = lapack<T>();
  Matrices x_;
};

template <typename T>
class Qr final : public MatrixKernel {
 public:
  Qr(const mil::Function& function, const mil::Op& op) : x_(matrices(function, op, "x")) {
    require_routine(lapack_.geqrf, op.schema->name, "geqrf");
    require_routine(lapack_.orgqr, op.schema->name, "orgqr");
    columns_ = function.boolean(op, "full_matrices") ? x_.m : x_.k();
    inputs_ = {function.find(op, "x")->values.at(0)};
    lwork_ = x_.k() > 0 ? workspace() : 1;
    set_tasks(
        x_.batch, 4.0 * static_cast<double>(x_.elements()) * static_cast<double>(columns_),
        Scratch::bytes<T>(x_.m * std::max(x_.n, columns_)) + Scratch::bytes<T>(x_.k()) + Scratch::bytes<T>(lwork_));
  }

 protected:
  void one(const void* const* inputs, void* const* outputs, int64_t i, Scratch scratch) const override {
    const int m = static_cast<int>(x_.m), n = static_cast<int>(x_.n), k = static_cast<int>(x_.k());
    const int columns = static_cast<int>(columns_);
    T* a = scratch.take<T>(x_.m * std::max(x_.n, columns_));
    T* tau = scratch.take<T>(x_.k());
    T* work = scratch.take<T>(lwork_);
    T* q = nth<T>(outputs, 0, i, x_.m * columns_);
    T* r = nth<T>(outputs, 1, i, columns_ * x_.n);
    if (k == 0) {  // nothing to factorize: q is the identity
      for (int64_t j = 0; j < x_.m * columns_; ++j) q[j] = j % (columns_ + 1) == 0 ? T{1} : T{0};
      std::fill_n(r, columns_ * x_.n, T{0});
      return;
    }
    transpose_into(nth<T>(inputs, 0, i, x_.elements()), m, n, a);
    int info = 0;
    lapack_.geqrf(&m, &n, a, &m, tau, work, &lwork_, &info);
    for (int64_t row = 0; row < columns_; ++row) {
      for (int64_t c = 0; c < n; ++c) r[row * n + c] = row <= c ? a[c * m + row] : T{0};
    }
    lapack_.orgqr(&m, &columns, &k, a, &m, tau, work, &lwork_, &info);
    transpose_into(a, columns_, m, q);
  }

 private:
  int workspace() const {
    const int m = static_cast<int>(x_.m), n = static_cast<int>(x_.n), k = static_cast<int>(x_.k());
    const int columns = static_cast<int>(columns_), ask = -1;
    T first = 0, second = 0, none = 0;
    int info = 0;
    lapack_.geqrf(&m, &n, &none, &m, &none, &first, &ask, &info);
    lapack_.orgqr(&m, &columns, &k, &none, &m, &none, &second, &ask, &info);
    const Real<T> most = std::max(std::real(first), std::real(second));
    return workspace_size(most, std::max(n, columns));
  }

  const Lapack<T>& lapack_ = lapack<T>();
  Matrices x_;
  int64_t columns_ = 0;
  int lwork_ = 1;
};

}  // namespace

std::span<const KernelEntry> solve_entries() {
  static constexpr KernelEntry entries[] = {
      {"aj_cholesky", prepare_matrix_kernel<Cholesky>},
      {"aj_triangular_solve", prepare_matrix_kernel<TriangularSolve>},
      {"aj_lu", prepare_matrix_kernel<Lu>},
      {"aj_qr", prepare_matrix_kernel<Qr>},
  };
  return entries;
}

}  // namespace anesdk::cpu
