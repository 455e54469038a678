// A stand-in for Apple's Accelerate, for tests only: threads are chosen for each thread alone, as since macOS 15, and
// the functions of the new LAPACK have names of their own, as since macOS 13.3. What is called by its old name, or by a
// thread that chose nothing, is counted.
#include <atomic>
#include <cstdint>

#define API extern "C" __attribute__((visibility("default")))

namespace {

thread_local bool single = false;
std::atomic<uint64_t> calls{0}, without_choice{0}, of_old_names{0};

template <class T>
void multiply(bool transpose_a, bool transpose_b, int m, int n, int k, T alpha, const T* a, int lda, const T* b,
              int ldb, T beta, T* c, int ldc) {
  ++calls;
  without_choice += !single;
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      double sum = 0;
      for (int x = 0; x < k; ++x)
        sum += static_cast<double>(transpose_a ? a[x * lda + i] : a[i * lda + x]) *
               static_cast<double>(transpose_b ? b[j * ldb + x] : b[x * ldb + j]);
      c[i * ldc + j] = alpha * static_cast<T>(sum) + (beta == 0 ? T(0) : beta * c[i * ldc + j]);
    }
}

constexpr int kTrans = 112;

}  // namespace

API int BLASSetThreading(unsigned threading) {
  single = threading == 1;
  return 0;
}

#define GEMM(T, name, symbol)                                                                                          \
  API void name(int, int ta, int tb, int m, int n, int k, T alpha, const T* a, int lda, const T* b, int ldb, T beta,   \
                T* c, int ldc) __asm__(symbol);                                                                        \
  void name(int, int ta, int tb, int m, int n, int k, T alpha, const T* a, int lda, const T* b, int ldb, T beta, T* c, \
            int ldc)

GEMM(float, new_sgemm, "cblas_sgemm$NEWLAPACK") {
  multiply(ta == kTrans, tb == kTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
GEMM(double, new_dgemm, "cblas_dgemm$NEWLAPACK") {
  multiply(ta == kTrans, tb == kTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
GEMM(float, old_sgemm, "cblas_sgemm") {
  ++of_old_names;
  multiply(ta == kTrans, tb == kTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
GEMM(double, old_dgemm, "cblas_dgemm") {
  ++of_old_names;
  multiply(ta == kTrans, tb == kTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

// Without pivots, of one matrix in column-major order.
API void new_sgetrf(const int* rows, const int* columns, float* a, const int* stride, int* pivots,
                    int* info) __asm__("sgetrf$NEWLAPACK");
void new_sgetrf(const int* rows, const int* columns, float* a, const int* stride, int* pivots, int* info) {
  ++calls;
  without_choice += !single;
  const int m = *rows, n = *columns, ld = *stride;
  *info = 0;
  for (int j = 0; j < (m < n ? m : n); ++j) {
    pivots[j] = j + 1;
    for (int i = j + 1; i < m; ++i) {
      a[i + j * ld] /= a[j + j * ld];
      for (int k = j + 1; k < n; ++k) a[i + k * ld] -= a[i + j * ld] * a[j + k * ld];
    }
  }
}
API void sgetrf_(const int*, const int*, float*, const int*, int*, int* info) {
  ++of_old_names;
  *info = -1;
}

API uint64_t standin_calls() { return calls; }
API uint64_t standin_without_choice() { return without_choice; }
API uint64_t standin_of_old_names() { return of_old_names; }
