// The operations aj_eig and aj_schur, of general square matrices.
#include "cpu/kernels/entries.h"
#include "cpu/kernels/lapack.h"
#include "cpu/kernels/matrix.h"

namespace anesdk::cpu {
namespace {

// Two arrays for eigenvalues: real and imaginary parts, or all of them in the first.
template <typename T>
struct Values {
  T *first, *second;
};

template <typename T>
class Eig final : public MatrixKernel {
 public:
  using Complex = std::complex<Real<T>>;

  Eig(const mil::Function& function, const mil::Op& op) : x_(matrices(function, op, "x")) {
    require_routine(lapack_.geev, op.schema->name, "geev");
    expect_small(x_.n, op.schema->name);
    left_ = function.boolean(op, "left");
    right_ = function.boolean(op, "right");
    inputs_ = {function.find(op, "x")->values.at(0)};
    if (x_.n > 0) lwork_ = workspace();
    const auto n = static_cast<double>(x_.n);
    set_tasks(x_.batch, 25 * n * n * n,
              Scratch::bytes<T>(x_.elements()) * 3 + Scratch::bytes<T>(x_.n) * 2 + Scratch::bytes<T>(lwork_) +
                  Scratch::bytes<Real<T>>(2 * x_.n));
  }

 protected:
  void one(const void* const* inputs, void* const* outputs, int64_t i, Scratch scratch) const override {
    const auto n = static_cast<int>(x_.n);
    if (n == 0) return;
    T* a = scratch.take<T>(x_.elements());
    T* left = scratch.take<T>(x_.elements());
    T* right = scratch.take<T>(x_.elements());
    const Values<T> values{scratch.take<T>(n), scratch.take<T>(n)};
    T* work = scratch.take<T>(lwork_);
    Real<T>* rwork = scratch.take<Real<T>>(2 * n);
    transpose_into(nth<T>(inputs, 0, i, x_.elements()), n, n, a);
    int info = 1;
    if (all_finite(a, x_.elements())) geev(&n, a, values, left, right, work, &lwork_, rwork, &info);
    Complex* found = nth<Complex>(outputs, 0, i, n);
    size_t next = 1;
    for (const auto& [wanted, vectors] : {std::pair{left_, left}, std::pair{right_, right}}) {
      if (!wanted) continue;
      Complex* out = nth<Complex>(outputs, next++, i, x_.elements());
      if (info == 0) {
        store(vectors, values, out);
      } else {
        fill_nan(out, x_.elements());
      }
    }
    if (info != 0) return fill_nan(found, n);
    for (int j = 0; j < n; ++j) found[j] = value(values, j);
  }

 private:
  static Complex value(const Values<T>& values, int j) {
    if constexpr (kComplex<T>) {
      return values.first[j];
    } else {
      return {values.first[j], values.second[j]};
    }
  }

  // Columns to rows. The two vectors of a conjugate pair of a real matrix come as one's real and imaginary parts.
  void store(const T* columns, const Values<T>& values, Complex* out) const {
    const auto n = static_cast<int>(x_.n);
    if constexpr (kComplex<T>) {
      transpose_into(columns, n, n, out);
    } else {
      for (int j = 0; j < n; ++j) {
        const T* re = columns + static_cast<int64_t>(j) * n;
        const bool pair = values.second[j] != 0 && j + 1 < n;
        for (int64_t r = 0; r < n; ++r) out[r * n + j] = {re[r], pair ? re[n + r] : T{0}};
        if (!pair) continue;
        for (int64_t r = 0; r < n; ++r) out[r * n + j + 1] = std::conj(out[r * n + j]);
        ++j;
      }
    }
  }

  void geev(const int* n, T* a, const Values<T>& w, T* vl, T* vr, T* work, const int* lwork,
            [[maybe_unused]] Real<T>* rwork, int* info) const {
    const char *left = left_ ? "V" : "N", *right = right_ ? "V" : "N";
    if constexpr (kComplex<T>) {
      lapack_.geev(left, right, n, a, n, w.first, vl, n, vr, n, work, lwork, rwork, info, 1, 1);
    } else {
      lapack_.geev(left, right, n, a, n, w.first, w.second, vl, n, vr, n, work, lwork, info, 1, 1);
    }
  }

  int workspace() const {
    const int n = static_cast<int>(x_.n), ask = -1;
    T answer = 0, none = 0;
    Real<T> rwork = 0;
    int info = 0;
    geev(&n, &none, {&none, &none}, &none, &none, &answer, &ask, &rwork, &info);
    return workspace_size(answer, 4 * x_.n);
  }

  const Lapack<T>& lapack_ = lapack<T>();
  Matrices x_;
  bool left_ = false, right_ = false;
  int lwork_ = 1;
};

template <typename T>
class Schur final : public MatrixKernel {
 public:
  Schur(const mil::Function& function, const mil::Op& op) : x_(matrices(function, op, "x")) {
    require_routine(lapack_.gees, op.schema->name, "gees");
    expect_small(x_.n, op.schema->name);
    vectors_ = function.boolean(op, "vectors");
    inputs_ = {function.find(op, "x")->values.at(0)};
    if (x_.n > 0) lwork_ = workspace();
    const auto n = static_cast<double>(x_.n);
    set_tasks(x_.batch, 25 * n * n * n,
              Scratch::bytes<T>(x_.elements()) * 2 + Scratch::bytes<T>(x_.n) * 2 + Scratch::bytes<T>(lwork_) +
                  Scratch::bytes<Real<T>>(x_.n));
  }

 protected:
  void one(const void* const* inputs, void* const* outputs, int64_t i, Scratch scratch) const override {
    const auto n = static_cast<int>(x_.n);
    if (n == 0) return;
    T* a = scratch.take<T>(x_.elements());
    T* vectors = scratch.take<T>(x_.elements());
    const Values<T> values{scratch.take<T>(n), scratch.take<T>(n)};
    T* work = scratch.take<T>(lwork_);
    Real<T>* rwork = scratch.take<Real<T>>(n);
    transpose_into(nth<T>(inputs, 0, i, x_.elements()), n, n, a);
    int info = 1;
    if (all_finite(a, x_.elements())) gees(&n, a, values, vectors, work, &lwork_, rwork, &info);
    for (const auto& [which, columns] : {std::pair{0, a}, std::pair{1, vectors}}) {
      if (which == 1 && !vectors_) continue;
      T* out = nth<T>(outputs, static_cast<size_t>(which), i, x_.elements());
      if (info == 0) {
        transpose_into(columns, n, n, out);
      } else {
        fill_nan(out, x_.elements());
      }
    }
  }

 private:
  void gees(const int* n, T* a, const Values<T>& w, T* vs, T* work, const int* lwork, [[maybe_unused]] Real<T>* rwork,
            int* info) const {
    int selected = 0;
    const char* vectors = vectors_ ? "V" : "N";
    if constexpr (kComplex<T>) {
      lapack_.gees(vectors, "N", nullptr, n, a, n, &selected, w.first, vs, n, work, lwork, rwork, nullptr, info, 1, 1);
    } else {
      lapack_.gees(vectors, "N", nullptr, n, a, n, &selected, w.first, w.second, vs, n, work, lwork, nullptr, info, 1,
                   1);
    }
  }

  int workspace() const {
    const int n = static_cast<int>(x_.n), ask = -1;
    T answer = 0, none = 0;
    Real<T> rwork = 0;
    int info = 0;
    gees(&n, &none, {&none, &none}, &none, &answer, &ask, &rwork, &info);
    return workspace_size(answer, 3 * x_.n);
  }

  const Lapack<T>& lapack_ = lapack<T>();
  Matrices x_;
  bool vectors_ = false;
  int lwork_ = 1;
};

}  // namespace

std::span<const KernelEntry> eigen_entries() {
  static constexpr KernelEntry entries[] = {
      {"aj_eig", prepare_matrix_kernel<Eig>},
      {"aj_schur", prepare_matrix_kernel<Schur>},
  };
  return entries;
}

}  // namespace anesdk::cpu
