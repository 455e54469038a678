// LAPACK's routines, from the library that blas.h opens: there is no LAPACK of our own.
#pragma once

#include <cstddef>
#include <string_view>

namespace anesdk::cpu {

// Fortran's calling convention: everything by pointer, 32-bit integers, matrices column by column; the lengths of the
// strings (all of one character) come last, by value, where C versions of LAPACK do not look.
template <typename T>
struct Lapack {
  using In = const int*;
  using Word = const char*;
  using Length = std::size_t;
  using Potrf = void (*)(Word uplo, In n, T* a, In lda, int* info, Length);
  using Trsm = void (*)(Word side, Word uplo, Word trans, Word diag, In m, In n, const T* alpha, const T* a, In lda,
                        T* b, In ldb, Length, Length, Length, Length);
  using Getrf = void (*)(In m, In n, T* a, In lda, int* pivots, int* info);
  using Geqrf = void (*)(In m, In n, T* a, In lda, T* tau, T* work, In lwork, int* info);
  using Orgqr = void (*)(In m, In n, In k, T* a, In lda, const T* tau, T* work, In lwork, int* info);
  using Syevd = void (*)(Word jobz, Word uplo, In n, T* a, In lda, T* w, T* work, In lwork, int* iwork, In liwork,
                         int* info, Length, Length);
  using Gesdd = void (*)(Word jobz, In m, In n, T* a, In lda, T* s, T* u, In ldu, T* vt, In ldvt, T* work, In lwork,
                         int* iwork, int* info, Length);

  // Null where the library has no such symbol.
  Potrf potrf = nullptr;
  Trsm trsm = nullptr;
  Getrf getrf = nullptr;
  Geqrf geqrf = nullptr;
  Orgqr orgqr = nullptr;
  Syevd syevd = nullptr;
  Gesdd gesdd = nullptr;
};

// The routines of the library opened last; a table stays valid for ever. T is float or double.
template <typename T>
const Lapack<T>& lapack();

// Throws mil::Error naming the routine (without the letter of its type) and the library when it is not there.
void require_routine(bool present, std::string_view op, std::string_view routine);

}  // namespace anesdk::cpu
