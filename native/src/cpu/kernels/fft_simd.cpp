// The vector loop of fft.h, compiled once per instruction set.
#include <numbers>
#include <utility>

#include "cpu/kernels/fft.h"
#include "cpu/tile/unaligned.h"

namespace anesdk::cpu::ANESDK_SIMD_NS {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

template <typename T>
using Vec [[gnu::vector_size(kVectorBytes)]] = T;

// A complex number, or a vector of them.
template <typename V>
struct Point {
  V re, im;
};
template <typename V>
Point<V> operator+(Point<V> a, Point<V> b) {
  return {a.re + b.re, a.im + b.im};
}
template <typename V>
Point<V> operator-(Point<V> a, Point<V> b) {
  return {a.re - b.re, a.im - b.im};
}
template <typename V, typename T>
Point<V> turned(Point<V> a, Point<T> by) {
  return {a.re * by.re - a.im * by.im, a.re * by.im + a.im * by.re};
}
template <typename V>
Point<V> over_i(Point<V> a) {
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
template <int P, typename T, typename V>
inline void butterfly(Point<V> (&a)[P]) {
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
    Point<V> sum[kHalf], less[kHalf], out[P];
    out[0] = a[0];
#pragma GCC unroll 16
    for (int l = 1; l <= kHalf; ++l) {
      sum[l - 1] = a[l] + a[P - l];
      less[l - 1] = over_i(a[l] - a[P - l]);
      out[0] = out[0] + sum[l - 1];
    }
#pragma GCC unroll 16
    for (int k = 1; k <= kHalf; ++k) {
      Point<V> even = a[0], odd = {V{}, V{}};
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

// The places that a stage reads and writes: point j of a butterfly is `apart` from the next in, `width` out.
template <typename T>
struct Places {
  const T *in_re, *in_im;
  T *out_re, *out_im;
  int64_t apart, width;
};

// Butterflies of the numbers from k on, as many as V has.
template <int P, typename T, typename V>
inline void butterflies(const Places<T>& at, const Point<T> (&twiddles)[P], int64_t k) {
  Point<V> a[P];
#pragma GCC unroll 16
  for (int j = 0; j < P; ++j) {
    a[j] = {load<V>(at.in_re + k + j * at.apart), load<V>(at.in_im + k + j * at.apart)};
  }
  butterfly<P, T>(a);
#pragma GCC unroll 16
  for (int j = 0; j < P; ++j) {
    const Point<V> out = j == 0 ? a[0] : turned(a[j], twiddles[j]);
    store(at.out_re + k + j * at.width, out.re);
    store(at.out_im + k + j * at.width, out.im);
  }
}

template <int P, typename T>
void pass(const FftStage& stage, const T* cosines, const T* sines, Planar<T> from, Planar<T> to, int64_t lanes) {
  constexpr auto kStep = static_cast<int64_t>(kVectorBytes / sizeof(T));
  const int64_t width = stage.spread * lanes;
  for (int64_t q = 0; q < stage.count; ++q) {
    Point<T> twiddles[P] = {};
    for (int j = 1; j < P; ++j) {
      const int64_t at = static_cast<int64_t>(stage.twiddles) + (j - 1) * stage.count + q;
      twiddles[j] = {cosines[at], sines[at]};
    }
    const Places<T> at{from.re + q * width,   from.im + q * width, to.re + q * P * width,
                       to.im + q * P * width, stage.count * width, width};
    int64_t k = 0;
    for (; k + kStep <= width; k += kStep) butterflies<P, T, Vec<T>>(at, twiddles, k);
    for (; k < width; ++k) butterflies<P, T, T>(at, twiddles, k);
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
