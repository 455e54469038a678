// LAPACK's routines, from the library that blas.h opens: there is no LAPACK of our own.
#pragma once

#include <complex>
#include <cstddef>
#include <string_view>

namespace anesdk::cpu {

template <typename T>
struct Scalar {
  using Real = T;
  static constexpr bool kComplex = false;
};
template <typename T>
struct Scalar<std::complex<T>> {
  using Real = T;
  static constexpr bool kComplex = true;
};
template <typename T>
using Real = typename Scalar<T>::Real;
template <typename T>
inline constexpr bool kComplex = Scalar<T>::kComplex;

// Fortran's calling convention: everything by pointer, 32-bit integers, matrices column by column; the lengths of the
// strings (all of one character) come last, by value, where C versions of LAPACK do not look.
struct Fortran {
  using In = const int*;
  using Word = const char*;
  using Length = std::size_t;
};

// The routines whose arguments depend on whether T is real: complex ones take real workspace besides.
template <typename T>
struct Spectral : Fortran {
  using Eigh = void (*)(Word jobz, Word uplo, In n, T* a, In lda, T* w, T* work, In lwork, int* iwork, In liwork,
                        int* info, Length, Length);
  using Gesdd = void (*)(Word jobz, In m, In n, T* a, In lda, T* s, T* u, In ldu, T* vt, In ldvt, T* work, In lwork,
                         int* iwork, int* info, Length);
  using Geev = void (*)(Word left, Word right, In n, T* a, In lda, T* re, T* im, T* vl, In ldvl, T* vr, In ldvr,
                        T* work, In lwork, int* info, Length, Length);
  using Gees = void (*)(Word vectors, Word sort, const void* select, In n, T* a, In lda, int* selected, T* re, T* im,
                        T* vs, In ldvs, T* work, In lwork, int* flags, int* info, Length, Length);
};
template <typename R>
struct Spectral<std::complex<R>> : Fortran {
  using T = std::complex<R>;
  using Eigh = void (*)(Word jobz, Word uplo, In n, T* a, In lda, R* w, T* work, In lwork, R* rwork, In lrwork,
                        int* iwork, In liwork, int* info, Length, Length);
  using Gesdd = void (*)(Word jobz, In m, In n, T* a, In lda, R* s, T* u, In ldu, T* vt, In ldvt, T* work, In lwork,
                         R* rwork, int* iwork, int* info, Length);
  using Geev = void (*)(Word left, Word right, In n, T* a, In lda, T* w, T* vl, In ldvl, T* vr, In ldvr, T* work,
                        In lwork, R* rwork, int* info, Length, Length);
  using Gees = void (*)(Word vectors, Word sort, const void* select, In n, T* a, In lda, int* selected, T* w, T* vs,
                        In ldvs, T* work, In lwork, R* rwork, int* flags, int* info, Length, Length);
};

template <typename T>
struct Lapack : Fortran {
  using Potrf = void (*)(Word uplo, In n, T* a, In lda, int* info, Length);
  using Trsm = void (*)(Word side, Word uplo, Word trans, Word diag, In m, In n, const T* alpha, const T* a, In lda,
                        T* b, In ldb, Length, Length, Length, Length);
  using Getrf = void (*)(In m, In n, T* a, In lda, int* pivots, int* info);
  using Geqrf = void (*)(In m, In n, T* a, In lda, T* tau, T* work, In lwork, int* info);
  using Orgqr = void (*)(In m, In n, In k, T* a, In lda, const T* tau, T* work, In lwork, int* info);

  // Null where the library has no such symbol.
  Potrf potrf = nullptr;
  Trsm trsm = nullptr;
  Getrf getrf = nullptr;
  Geqrf geqrf = nullptr;
  Orgqr orgqr = nullptr;                      // ungqr
  typename Spectral<T>::Eigh eigh = nullptr;  // syevd, heevd
  typename Spectral<T>::Gesdd gesdd = nullptr;
  typename Spectral<T>::Geev geev = nullptr;
  typename Spectral<T>::Gees gees = nullptr;
};

// The routines of the library opened last; a table stays valid for ever. T is float or double, or complex of either.
template <typename T>
const Lapack<T>& lapack();

// Throws mil::Error naming the routine (without the letter of its type) and the library when it is not there.
void require_routine(bool present, std::string_view op, std::string_view routine);

}  // namespace anesdk::cpu
