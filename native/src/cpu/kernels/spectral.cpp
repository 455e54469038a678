// The operations aj_eigh and aj_svd.
#include "cpu/kernels/entries.h"
#include "cpu/kernels/lapack.h"
#include "cpu/kernels/matrix.h"

namespace anesdk::cpu {
namespace {

template <typename T>
class Eigh final : public MatrixKernel {
 public:
  Eigh(const mil::Function& function, const mil::Op& op) : x_(matrices(function, op, "x")) {
    require_routine(lapack_.eigh, op.schema->name, kComplex<T> ? "heevd" : "syevd");
    expect_small(x_.n, op.schema->name);
    lower_ = function.boolean(op, "lower");
    symmetrize_ = function.boolean(op, "symmetrize_input");
    inputs_ = {function.find(op, "x")->values.at(0)};
    // what LAPACK documents
    const int64_t squares = x_.n * x_.n;
    lwork_ = static_cast<int>(kComplex<T> ? 1 + 2 * x_.n + squares : 1 + 6 * x_.n + 2 * squares);
    lrwork_ = static_cast<int>(kComplex<T> ? 1 + 5 * x_.n + 2 * squares : 0);
    liwork_ = static_cast<int>(3 + 5 * x_.n);
    const auto n = static_cast<double>(x_.n);
    set_tasks(x_.batch, 9 * n * n * n,
              Scratch::bytes<T>(x_.elements()) + Scratch::bytes<T>(lwork_) + Scratch::bytes<Real<T>>(lrwork_) +
                  Scratch::bytes<int>(liwork_));
  }

 protected:
  void one(const void* const* inputs, void* const* outputs, int64_t i, Scratch scratch) const override {
    const auto n = static_cast<int>(x_.n);
    if (n == 0) return;
    const T* x = nth<T>(inputs, 0, i, x_.elements());
    T* vectors = nth<T>(outputs, 0, i, x_.elements());
    Real<T>* values = nth<Real<T>>(outputs, 1, i, x_.n);
    T* a = scratch.take<T>(x_.elements());
    T* work = scratch.take<T>(lwork_);
    [[maybe_unused]] Real<T>* rwork = scratch.take<Real<T>>(lrwork_);
    int* iwork = scratch.take<int>(liwork_);
    transpose_into(x, n, n, a);
    if (symmetrize_) {
      for (int64_t j = 0; j < x_.elements(); ++j) a[j] = (a[j] + conjugate(x[j])) / Real<T>{2};
    }
    int info = 1;
    if (all_finite(a, x_.elements())) {
      const char* triangle = lower_ ? "L" : "U";
      if constexpr (kComplex<T>) {
        lapack_.eigh("V", triangle, &n, a, &n, values, work, &lwork_, rwork, &lrwork_, iwork, &liwork_, &info, 1, 1);
      } else {
        lapack_.eigh("V", triangle, &n, a, &n, values, work, &lwork_, iwork, &liwork_, &info, 1, 1);
      }
    }
    if (info == 0) return transpose_into(a, n, n, vectors);
    fill_nan(vectors, x_.elements());
    fill_nan(values, n);
  }

 private:
  const Lapack<T>& lapack_ = lapack<T>();
  Matrices x_;
  bool lower_ = true, symmetrize_ = true;
  int lwork_ = 1, lrwork_ = 0, liwork_ = 1;
};

template <typename T>
class Svd final : public MatrixKernel {
 public:
  Svd(const mil::Function& function, const mil::Op& op) : x_(matrices(function, op, "x")) {
    require_routine(lapack_.gesdd, op.schema->name, "gesdd");
    expect_small(x_.k(), op.schema->name);
    vectors_ = function.boolean(op, "compute_uv");
    const bool full = function.boolean(op, "full_matrices");
    job_ = !vectors_ ? "N" : full ? "A" : "S";
    u_columns_ = !vectors_ ? 0 : full ? x_.m : x_.k();
    vt_rows_ = !vectors_ ? 0 : full ? x_.n : x_.k();
    inputs_ = {function.find(op, "x")->values.at(0)};
    if (x_.k() > 0) lwork_ = workspace();
    if (kComplex<T>) {  // what LAPACK documents, with the 7 k that versions before 3.7 take for values alone
      const int64_t least = x_.k(), most = std::max(x_.m, x_.n);
      lrwork_ = vectors_ ? least * std::max(5 * least + 7, 2 * most + 2 * least + 1) : 7 * least;
    }
    const double columns = static_cast<double>(std::max({x_.k(), u_columns_, vt_rows_}));
    set_tasks(x_.batch, 8 * static_cast<double>(x_.elements()) * columns,
              Scratch::bytes<T>(x_.elements()) + Scratch::bytes<T>(x_.m * u_columns_) +
                  Scratch::bytes<T>(vt_rows_ * x_.n) + Scratch::bytes<T>(lwork_) + Scratch::bytes<Real<T>>(lrwork_) +
                  Scratch::bytes<int>(8 * x_.k()));
  }

 protected:
  void one(const void* const* inputs, void* const* outputs, int64_t i, Scratch scratch) const override {
    const T* x = nth<T>(inputs, 0, i, x_.elements());
    Real<T>* s = nth<Real<T>>(outputs, 0, i, x_.k());
    T* u_out = vectors_ ? nth<T>(outputs, 1, i, x_.m * u_columns_) : nullptr;
    T* vt_out = vectors_ ? nth<T>(outputs, 2, i, vt_rows_ * x_.n) : nullptr;
    if (x_.k() == 0) {
      identity(u_out, u_columns_);
      return identity(vt_out, vt_rows_);
    }
    const int m = static_cast<int>(x_.m), n = static_cast<int>(x_.n), vt_rows = std::max(1, static_cast<int>(vt_rows_));
    T* a = scratch.take<T>(x_.elements());
    T* u = scratch.take<T>(x_.m * u_columns_);
    T* vt = scratch.take<T>(vt_rows_ * x_.n);
    T* work = scratch.take<T>(lwork_);
    Real<T>* rwork = scratch.take<Real<T>>(lrwork_);
    int* iwork = scratch.take<int>(8 * x_.k());
    transpose_into(x, m, n, a);
    int info = 1;
    if (all_finite(x, x_.elements())) {
      gesdd(&m, &n, a, s, u, vt, &vt_rows, work, &lwork_, rwork, iwork, &info);
    }
    if (info == 0) {
      transpose_into(u, u_columns_, m, u_out);
      return transpose_into(vt, n, vt_rows_, vt_out);
    }
    fill_nan(s, x_.k());
    fill_nan(u_out, x_.m * u_columns_);
    fill_nan(vt_out, vt_rows_ * x_.n);
  }

 private:
  static void identity(T* out, int64_t n) {
    for (int64_t j = 0; j < n * n; ++j) out[j] = j % (n + 1) == 0 ? T{1} : T{0};
  }

  int workspace() const {
    const int m = static_cast<int>(x_.m), n = static_cast<int>(x_.n), ask = -1;
    const int vt_rows = std::max(1, static_cast<int>(vt_rows_));
    T answer = 0, none = 0;
    Real<T> values = 0, rwork = 0;
    int iwork = 0, info = 0;
    gesdd(&m, &n, &none, &values, &none, &none, &vt_rows, &answer, &ask, &rwork, &iwork, &info);
    return workspace_size(answer, 4 * x_.k() + std::max(x_.m, x_.n));
  }

  void gesdd(const int* m, const int* n, T* a, Real<T>* s, T* u, T* vt, const int* vt_rows, T* work, const int* lwork,
             [[maybe_unused]] Real<T>* rwork, int* iwork, int* info) const {
    if constexpr (kComplex<T>) {
      lapack_.gesdd(job_, m, n, a, m, s, u, m, vt, vt_rows, work, lwork, rwork, iwork, info, 1);
    } else {
      lapack_.gesdd(job_, m, n, a, m, s, u, m, vt, vt_rows, work, lwork, iwork, info, 1);
    }
  }

  const Lapack<T>& lapack_ = lapack<T>();
  Matrices x_;
  bool vectors_ = true;
  const char* job_ = "S";
  int64_t u_columns_ = 0, vt_rows_ = 0, lrwork_ = 0;
  int lwork_ = 1;
};

}  // namespace

std::span<const KernelEntry> spectral_entries() {
  static constexpr KernelEntry entries[] = {
      {"aj_eigh", prepare_matrix_kernel<Eigh>},
      {"aj_svd", prepare_matrix_kernel<Svd>},
  };
  return entries;
}

}  // namespace anesdk::cpu
