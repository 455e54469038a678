// The operations aj_eigh and aj_svd.
#include "cpu/kernels/entries.h"
#include "cpu/kernels/matrix.h"
#include "cpu/lapack.h"

namespace anesdk::cpu {
namespace {

// LAPACK counts its workspace, a few times n * n, in 32-bit integers.
constexpr int64_t kMostRows = 16000;

void expect_small(int64_t n, std::string_view op) {
  expect(n <= kMostRows, op,
         "expected matrices whose smaller side is at most " + std::to_string(kMostRows) + ", got " + std::to_string(n) +
             ".");
}

// A queried workspace size: in float it may have been rounded down.
template <typename T>
int workspace_size(T answer, int64_t least) {
  const double rounded_up = static_cast<double>(answer) * (1 + 2.0 * std::numeric_limits<T>::epsilon());
  const double most = std::numeric_limits<int>::max();
  return static_cast<int>(std::min(most, std::max(rounded_up, static_cast<double>(least))));
}

template <typename T>
class Eigh final : public MatrixKernel {
 public:
  Eigh(const mil::Function& function, const mil::Op& op) : x_(matrices(function, op, "x")) {
    require_routine(lapack_.syevd, op.schema->name, "syevd");
    expect_small(x_.n, op.schema->name);
    lower_ = function.boolean(op, "lower");
    symmetrize_ = function.boolean(op, "symmetrize_input");
    inputs_ = {function.find(op, "x")->values.at(0)};
    lwork_ = static_cast<int>(1 + 6 * x_.n + 2 * x_.n * x_.n);  // what LAPACK documents
    liwork_ = static_cast<int>(3 + 5 * x_.n);
    const auto n = static_cast<double>(x_.n);
    set_tasks(x_.batch, 9 * n * n * n,
              Scratch::bytes<T>(x_.elements()) + Scratch::bytes<T>(lwork_) + Scratch::bytes<int>(liwork_));
  }

 protected:
  void one(const void* const* inputs, void* const* outputs, int64_t i, Scratch scratch) const override {
    const auto n = static_cast<int>(x_.n);
    if (n == 0) return;
    const T* x = nth<T>(inputs, 0, i, x_.elements());
    T* vectors = nth<T>(outputs, 0, i, x_.elements());
    T* values = nth<T>(outputs, 1, i, x_.n);
    T* a = scratch.take<T>(x_.elements());
    T* work = scratch.take<T>(lwork_);
    int* iwork = scratch.take<int>(liwork_);
    transpose_into(x, n, n, a);
    if (symmetrize_) {
      for (int64_t j = 0; j < x_.elements(); ++j) a[j] = (a[j] + x[j]) / 2;
    }
    int info = 1;
    if (all_finite(a, x_.elements())) {
      lapack_.syevd("V", lower_ ? "L" : "U", &n, a, &n, values, work, &lwork_, iwork, &liwork_, &info, 1, 1);
    }
    if (info == 0) return transpose_into(a, n, n, vectors);
    fill_nan(vectors, x_.elements());
    fill_nan(values, n);
  }

 private:
  const Lapack<T>& lapack_ = lapack<T>();
  Matrices x_;
  bool lower_ = true, symmetrize_ = true;
  int lwork_ = 1, liwork_ = 1;
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
    const double columns = static_cast<double>(std::max({x_.k(), u_columns_, vt_rows_}));
    set_tasks(x_.batch, 8 * static_cast<double>(x_.elements()) * columns,
              Scratch::bytes<T>(x_.elements()) + Scratch::bytes<T>(x_.m * u_columns_) +
                  Scratch::bytes<T>(vt_rows_ * x_.n) + Scratch::bytes<T>(lwork_) + Scratch::bytes<int>(8 * x_.k()));
  }

 protected:
  void one(const void* const* inputs, void* const* outputs, int64_t i, Scratch scratch) const override {
    const T* x = nth<T>(inputs, 0, i, x_.elements());
    T* s = nth<T>(outputs, 0, i, x_.k());
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
    int* iwork = scratch.take<int>(8 * x_.k());
    transpose_into(x, m, n, a);
    int info = 1;
    if (all_finite(x, x_.elements())) {
      lapack_.gesdd(job_, &m, &n, a, &m, s, u, &m, vt, &vt_rows, work, &lwork_, iwork, &info, 1);
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
    int iwork = 0, info = 0;
    lapack_.gesdd(job_, &m, &n, &none, &m, &none, &none, &m, &none, &vt_rows, &answer, &ask, &iwork, &info, 1);
    return workspace_size(answer, 4 * x_.k() + std::max(x_.m, x_.n));
  }

  const Lapack<T>& lapack_ = lapack<T>();
  Matrices x_;
  bool vectors_ = true;
  const char* job_ = "S";
  int64_t u_columns_ = 0, vt_rows_ = 0;
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
