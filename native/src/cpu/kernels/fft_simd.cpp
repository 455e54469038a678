// The vector loop of fft.h, compiled once per instruction set.
#include <numbers>
#include <utility>

#include "cpu/kernels/fft.h"

namespace anesdk::cpu::ANESDK_SIMD_NS {
namespace {

template <typename T>
struct Point {
  T re, im;
};
template <typename T>
Point<T> operator+(Point<T> a, Point<T> b) {
  return {a.re + b.re, a.im + b.im};
}
template <typename T>
Point<T> operator-(Point<T> a, Point<T> b) {
  return {a.re - b.re, a.im - b.im};
}
template <typename T>
Point<T> operator*(Point<T> a, Point<T> b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
template <typename T>
Point<T> over_i(Point<T> a) {
  return {a.im, -a.re};
}

// cos and sin of 2 pi k / P for k < P, by Taylor's series at compile time (the argument is at most pi).
template <int P>
struct Circle {
  double cosines[P], sines[P];
  constexpr Circle() : cosines(), sines() {
    for (int k = 0; k < P; ++k) {
      const double x = 2 * std::numbers::pi * (2 * k > P ? k - P : k) / P;
      double term = 1, c = 0, s = 0;
      for (int i = 0; i < 40; i += 2) {
        c += term;
        s += term * x / (i + 1);
        term *= -x * x / ((i + 1) * (i + 2));
      }
      cosines[k] = c;
      sines[k] = s;
    }
  }
};

template <int P>
inline constexpr Circle<P> kCircle;

// The P-point transform of `a`, in place.
template <int P, typename T>
inline void butterfly(Point<T> (&a)[P]) {
  if constexpr (P == 2) {
    const auto sum = a[0] + a[1];
    a[1] = a[0] - a[1];
    a[0] = sum;
  } else if constexpr (P == 4) {
    const auto even = a[0] + a[2], even_less = a[0] - a[2], odd = a[1] + a[3], odd_less = over_i(a[1] - a[3]);
    a[0] = even + odd;
    a[1] = even_less + odd_less;
    a[2] = even - odd;
    a[3] = even_less - odd_less;
  } else {  // odd: k and P - k share their products
    constexpr int kHalf = P / 2;
    Point<T> sum[kHalf], less[kHalf], out[P];
    out[0] = a[0];
#pragma GCC unroll 16
    for (int l = 1; l <= kHalf; ++l) {
      sum[l - 1] = a[l] + a[P - l];
      less[l - 1] = over_i(a[l] - a[P - l]);
      out[0] = out[0] + sum[l - 1];
    }
#pragma GCC unroll 16
    for (int k = 1; k <= kHalf; ++k) {
      Point<T> even = a[0], odd = {0, 0};
#pragma GCC unroll 16
      for (int l = 1; l <= kHalf; ++l) {
        const T c = static_cast<T>(kCircle<P>.cosines[k * l % P]), s = static_cast<T>(kCircle<P>.sines[k * l % P]);
        even = {even.re + c * sum[l - 1].re, even.im + c * sum[l - 1].im};
        odd = {odd.re + s * less[l - 1].re, odd.im + s * less[l - 1].im};
      }
      out[k] = even + odd;
      out[P - k] = even - odd;
    }
#pragma GCC unroll 16
    for (int k = 0; k < P; ++k) a[k] = out[k];
  }
}

template <int P, typename T>
void pass(const FftStage& stage, const T* cosines, const T* sines, Planar<T> from, Planar<T> to, int64_t lanes) {
  const int64_t width = stage.spread * lanes, apart = stage.count * width;
  for (int64_t q = 0; q < stage.count; ++q) {
    Point<T> twiddle[P];
    for (int j = 1; j < P; ++j) {
      const int64_t at = static_cast<int64_t>(stage.twiddles) + (j - 1) * stage.count + q;
      twiddle[j] = {cosines[at], sines[at]};
    }
    const T* __restrict in_re = from.re + q * width;
    const T* __restrict in_im = from.im + q * width;
    T* __restrict out_re = to.re + q * P * width;
    T* __restrict out_im = to.im + q * P * width;
    for (int64_t k = 0; k < width; ++k) {
      Point<T> a[P];
#pragma GCC unroll 16
      for (int j = 0; j < P; ++j) a[j] = {in_re[k + j * apart], in_im[k + j * apart]};
      butterfly<P>(a);
      out_re[k] = a[0].re;
      out_im[k] = a[0].im;
#pragma GCC unroll 16
      for (int j = 1; j < P; ++j) {
        const auto turned = a[j] * twiddle[j];
        out_re[k + j * width] = turned.re;
        out_im[k + j * width] = turned.im;
      }
    }
  }
}

}  // namespace

template <typename T>
bool fft_columns(const FftColumns<T>& plan, Planar<T> a, Planar<T> b, int64_t lanes) {
  bool swapped = false;
  for (const FftStage& stage : plan.stages) {
    const T *c = plan.cosines.data(), *s = plan.sines.data();
    const auto run = [&]<int... P>(std::integer_sequence<int, P...>) {
      ((stage.radix == P ? pass<P>(stage, c, s, a, b, lanes) : void()), ...);
    };
    run(std::integer_sequence<int, 2, 3, 4, 5, 7, 11, 13>{});
    std::swap(a, b);
    swapped = !swapped;
  }
  return swapped;
}

template bool fft_columns(const FftColumns<float>&, Planar<float>, Planar<float>, int64_t);
template bool fft_columns(const FftColumns<double>&, Planar<double>, Planar<double>, int64_t);

}  // namespace anesdk::cpu::ANESDK_SIMD_NS
