// Matrix multiplication from the platform's best library, opened at run time; our own when there is none.
#pragma once

#include <cstdint>

namespace anesdk::cpu {

// Row-major C[m, n] = alpha * op(A) op(B) + beta * C, where op transposes when its flag is set; lda, ldb and ldc are
// the distances between rows as stored. Runs on the calling thread; several threads may call at once.
// beta = 0 overwrites C whatever it held.
template <typename T>
using Gemm = void (*)(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, T alpha, const T* a,
                      int64_t lda, const T* b, int64_t ldb, T beta, T* c, int64_t ldc);

struct Blas {
  Gemm<float> sgemm;
  Gemm<double> dgemm;
  const char* name;  // "scipy-openblas", "accelerate, LAPACK 3.9", "accelerate", "openblas" or "built-in"
};

// The table in force; the first use opens the default library.
const Blas& blas();

// Opens the library at `path`, or by the default search when null. Throws std::runtime_error when a named one has no
// usable symbols; the table then stays as it was.
void load_blas(const char* path);

}  // namespace anesdk::cpu
