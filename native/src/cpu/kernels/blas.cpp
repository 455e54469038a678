#include "cpu/kernels/blas.h"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "cpu/kernels/blas_seat.h"
#include "cpu/kernels/gemm_tiles.h"
#include "cpu/kernels/lapack.h"
#include "cpu/tile/simd.h"
#include "mil/error.h"

namespace anesdk::cpu {
namespace {

enum : int { kRowMajor = 101, kNoTrans = 111, kTrans = 112 };

template <typename T>
using CblasGemm = void (*)(int order, int transpose_a, int transpose_b, int m, int n, int k, T alpha, const T* a,
                           int lda, const T* b, int ldb, T beta, T* c, int ldc);

template <typename T>
using CblasGemv = void (*)(int order, int transpose, int rows, int columns, T alpha, const T* a, int lda, const T* x,
                           int incx, T beta, T* y, int incy);

// The functions of the library opened last. Libraries are never closed: a call may be running in one.
template <typename T>
std::atomic<CblasGemm<T>> library_gemm{nullptr};
template <typename T>
std::atomic<CblasGemv<T>> library_gemv{nullptr};

// y = alpha * op(A) x + beta * y, where A is stored as [rows, columns].
template <typename T>
void gemv(CblasGemv<T> call, bool transpose, int64_t rows, int64_t columns, T alpha, const T* a, int64_t lda,
          const T* x, int64_t incx, T beta, T* y, int64_t incy) {
  if (beta == T(0)) {  // libraries differ in whether NaN in y survives
    for (int64_t i = 0; i < (transpose ? columns : rows); ++i) y[i * incy] = T(0);
    beta = T(1);
  }
  const auto narrow = [](int64_t value) { return static_cast<int>(value); };
  call(kRowMajor, transpose ? kTrans : kNoTrans, narrow(rows), narrow(columns), alpha, a, narrow(lda), x, narrow(incx),
       beta, y, narrow(incy));
}

// Accelerate's choice between its own threads and none, of macOS 15 and later, holds for the calling thread alone.
using SetThreading = int (*)(unsigned);
std::atomic<SetThreading> library_threading{nullptr};
enum : unsigned { kSingleThreaded = 1 };  // BLAS_THREADING_SINGLE_THREADED

// Called by every thread before it calls the library: our pool splits the work.
void use_one_thread() {
  thread_local SetThreading told = nullptr;
  const SetThreading set = library_threading.load(std::memory_order_acquire);
  if (set == told) return;
  set(kSingleThreaded);
  told = set;
}

template <typename T>
const Lapack<T> kNoRoutines;

template <typename T>
std::atomic<const Lapack<T>*> library_lapack{&kNoRoutines<T>};

// C = op(A) op(B), where that is the rows of a matrix times a vector; false where it is something else.
template <typename T>
bool rows_times_vector(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const T* a, int64_t lda,
                       const T* b, int64_t ldb, T* c, int64_t ldc) {
  const DotRowsFn dot = simd().dot_rows(std::is_same_v<T, float> ? DType::FP32 : DType::FP64);
  if (m == 1 && transpose_b && (!transpose_a || lda == 1)) {
    dot(c, 1, b, ldb, a, n, k);
  } else if (n == 1 && !transpose_a && (transpose_b || ldb == 1)) {
    dot(c, ldc, a, lda, b, m, k);
  } else {
    return false;
  }
  return true;
}

template <typename T>
void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, T alpha, const T* a, int64_t lda,
          const T* b, int64_t ldb, T beta, T* c, int64_t ldc) {
  const bool plain = alpha == T(1) && beta == T(0);
  if (plain && rows_times_vector<T>(transpose_a, transpose_b, m, n, k, a, lda, b, ldb, c, ldc)) return;
  const auto call = library_gemm<T>.load(std::memory_order_acquire);
  const bool fits = std::max({m, n, k, lda, ldb, ldc}) <= std::numeric_limits<int>::max();
  const BlasSeat seat;
  if (!call || !fits || m == 0 || n == 0 || k == 0 || !seat.granted()) {
    return builtin_gemm<T>(transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  }
  use_one_thread();
  // A library's gemm packs its operands, which costs more than multiplying by a vector.
  if (const auto vector = library_gemv<T>.load(std::memory_order_acquire); vector && (m == 1 || n == 1)) {
    if (m == 1) {
      return gemv<T>(vector, !transpose_b, transpose_b ? n : k, transpose_b ? k : n, alpha, b, ldb, a,
                     transpose_a ? lda : 1, beta, c, 1);
    }
    return gemv<T>(vector, transpose_a, transpose_a ? k : m, transpose_a ? m : k, alpha, a, lda, b,
                   transpose_b ? 1 : ldb, beta, c, ldc);
  }
  const auto narrow = [](int64_t value) { return static_cast<int>(value); };
  call(kRowMajor, transpose_a ? kTrans : kNoTrans, transpose_b ? kTrans : kNoTrans, narrow(m), narrow(n), narrow(k),
       alpha, a, narrow(lda), b, narrow(ldb), beta, c, narrow(ldc));
}

template <typename F>
F symbol(void* library, const std::string& name) {
  return reinterpret_cast<F>(dlsym(library, name.c_str()));
}

// How Accelerate's functions of LAPACK 3.9 and their BLAS are called since macOS 13.3; those without it are of
// LAPACK 3.2.
constexpr const char* kNew = "$NEWLAPACK";

template <typename F>
F newest(void* library, const std::string& prefix, const std::string& name, const char* ending = "") {
  const F found = prefix.empty() ? symbol<F>(library, name + kNew) : nullptr;
  return found ? found : symbol<F>(library, prefix + name + ending);
}

// `letter` is LAPACK's for the type: s or d, c or z.
template <typename T>
void adopt_lapack(void* library, const std::string& prefix, const std::string& letter) {
  const auto find = [&](auto& routine, const char* name) {
    using Routine = std::remove_reference_t<decltype(routine)>;
    routine = newest<Routine>(library, prefix, letter + name, "_");
  };
  auto* table = new Lapack<T>;
  find(table->potrf, "potrf");
  find(table->trsm, "trsm");
  find(table->getrf, "getrf");
  find(table->geqrf, "geqrf");
  find(table->orgqr, kComplex<T> ? "ungqr" : "orgqr");
  find(table->eigh, kComplex<T> ? "heevd" : "syevd");
  find(table->gesdd, "gesdd");
  find(table->geev, "geev");
  find(table->gees, "gees");
  library_lapack<T>.store(table, std::memory_order_release);
}

// A product large enough to use the library's work buffer, which it makes and keeps.
void warm(CblasGemm<float> sgemm) {
  constexpr int n = 128;
  const BlasSeat seat;
  if (!seat.granted()) return;
  std::vector<float> values(3 * n * n, 1.0f);
  float* a = values.data();
  sgemm(kRowMajor, kNoTrans, kNoTrans, n, n, n, 1.0f, a, n, a + n * n, n, 0.0f, a + 2 * n * n, n);
  BlasSeat::warmed();
}

// Takes over the functions of an opened library; false when it lacks them.
bool adopt(void* library, Blas& table) {
  for (const std::string prefix : {"scipy_", ""}) {
    const auto cblas = [&]<typename F>(std::atomic<F>& function, const std::string& name) {
      function.store(newest<F>(library, prefix, "cblas_" + name), std::memory_order_release);
    };
    const auto sgemm = newest<CblasGemm<float>>(library, prefix, "cblas_sgemm");
    const auto dgemm = newest<CblasGemm<double>>(library, prefix, "cblas_dgemm");
    if (!sgemm || !dgemm) continue;
    const auto openblas_threads = symbol<void (*)(int)>(library, prefix + "openblas_set_num_threads");
    if (openblas_threads) openblas_threads(1);  // of all threads; our pool splits the work
    library_threading.store(symbol<SetThreading>(library, "BLASSetThreading"), std::memory_order_release);
    use_one_thread();
    cblas(library_gemv<float>, "sgemv");
    cblas(library_gemv<double>, "dgemv");
    library_gemm<float>.store(sgemm, std::memory_order_release);
    library_gemm<double>.store(dgemm, std::memory_order_release);
    adopt_lapack<float>(library, prefix, "s");
    adopt_lapack<double>(library, prefix, "d");
    adopt_lapack<std::complex<float>>(library, prefix, "c");
    adopt_lapack<std::complex<double>>(library, prefix, "z");
    warm(sgemm);
    const bool new_lapack = symbol<void*>(library, std::string("sgetrf") + kNew) != nullptr;
    table.name = !prefix.empty()    ? "scipy-openblas"
                 : openblas_threads ? "openblas"
                 : new_lapack       ? "accelerate, LAPACK 3.9"
                                    : "accelerate";
    return true;
  }
  return false;
}

struct Loaded {
  std::mutex mutex;
  Blas table{gemm<float>, gemm<double>, "built-in"};
};

Loaded& loaded() {
  static Loaded& state = []() -> Loaded& {
    auto* made = new Loaded;
#ifdef __APPLE__
    constexpr const char* kNames[] = {"/System/Library/Frameworks/Accelerate.framework/Accelerate"};
#else
    constexpr const char* kNames[] = {"libopenblas.so.0", "libopenblas.so"};
#endif
    for (const char* name : kNames) {
      void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
      if (library && adopt(library, made->table)) break;
    }
    return *made;
  }();
  return state;
}

}  // namespace

const Blas& blas() { return loaded().table; }

template <typename T>
const Lapack<T>& lapack() {
  loaded();
  use_one_thread();
  return *library_lapack<T>.load(std::memory_order_acquire);
}

template const Lapack<float>& lapack();
template const Lapack<double>& lapack();
template const Lapack<std::complex<float>>& lapack();
template const Lapack<std::complex<double>>& lapack();

void require_routine(bool present, std::string_view op, std::string_view routine) {
  if (present) return;
  throw mil::Error("[" + std::string(op) + "] expected a BLAS library with LAPACK's " + std::string(routine) +
                   ", got " + blas().name +
                   " without it. Install scipy-openblas32, or point ANEJAX_BLAS at a library " + "that has it.");
}

void load_blas(const char* path) {
  auto& state = loaded();
  if (!path) return;
  const std::lock_guard<std::mutex> lock(state.mutex);
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) throw std::runtime_error(std::string("[load_blas] cannot open the library: ") + dlerror());
  if (!adopt(library, state.table)) {
    throw std::runtime_error(std::string("[load_blas] expected cblas_sgemm and cblas_dgemm in ") + path + ".");
  }
}

}  // namespace anesdk::cpu
