// Functions with no vector loop: one call of the C library, or of our own in double, per element.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cpu/tile/map_forms.h"
#include "cpu/tile/simd.h"

namespace anesdk::cpu {
namespace {

constexpr double kPi = 3.14159265358979323846;

double digamma(double x) {
  if (std::isnan(x) || x == -INFINITY) return NAN;
  if (x <= 0.0 && x == std::floor(x)) return NAN;  // lax has it so at 0 as well
  double reflection = 0.0;
  if (x < 0.0) {
    const double from_pole = x - std::nearbyint(x);  // exact
    reflection = -kPi / std::tan(kPi * from_pole);
    x = 1.0 - x;
  }
  double shift = 0.0;
  for (; x < 12.0; x += 1.0) shift -= 1.0 / x;
  const double z = 1.0 / (x * x);
  double series = 1.0 / 12;  // Bernoulli numbers over 2k, the last first
  series = 691.0 / 32760 - z * series;
  series = 1.0 / 132 - z * series;
  series = 1.0 / 240 - z * series;
  series = 1.0 / 252 - z * series;
  series = 1.0 / 120 - z * series;
  series = 1.0 / 12 - z * series;
  const double tail = std::isinf(x) ? 0.0 : z * series;
  return std::log(x) - 0.5 / x - tail + shift + reflection;
}

// A start from the logarithm, then Newton with the second-order term (Halley) on erf, or on erfc where erf is flat.
double erf_inv(double y) {
  if (!(y >= -1.0 && y <= 1.0)) return NAN;
  if (y == 1.0 || y == -1.0) return std::copysign(INFINITY, y);
  if (y == 0.0) return y;
  const double a = std::fabs(y);
  const double log_term = std::log1p(-a * a), c = 2.0 / (kPi * 0.147) + 0.5 * log_term;
  double x = std::sqrt(std::sqrt(c * c - log_term / 0.147) - c);
  if (a < 1e-8) x = a * 0.5 * std::sqrt(kPi);
  for (int i = 0; i < 4; ++i) {
    const double error = a < 0.5 ? std::erf(x) - a : (1.0 - a) - std::erfc(x);
    const double step = error * 0.5 * std::sqrt(kPi) * std::exp(x * x);
    x -= step / (1.0 + x * step);
  }
  return std::copysign(x, y);
}

#if defined(__GLIBC__) || defined(__APPLE__)
double lgamma_of(double x) {
  int sign = 0;
  return ::lgamma_r(x, &sign);
}
#else
double lgamma_of(double x) { return std::lgamma(x); }
#endif

double floor_mod(double x, double y) {
  const double r = std::fmod(x, y);
  return r != 0.0 && ((r < 0.0) != (y < 0.0)) ? r + y : r;
}

template <class T, class F>
void unary_loop(void* dst, const void* const* src, int64_t n, int64_t) {
  auto* o = static_cast<T*>(dst);
  const auto* a = static_cast<const T*>(src[0]);
  for (int64_t i = 0; i < n; ++i) o[i] = static_cast<T>(F::f(static_cast<double>(a[i])));
}

template <class T, class F, unsigned kScalars>
void binary_loop(void* dst, const void* const* src, int64_t n, int64_t) {
  auto* o = static_cast<T*>(dst);
  const auto* a = static_cast<const T*>(src[0]);
  const auto* b = static_cast<const T*>(src[1]);
  const T sa = n > 0 ? a[0] : T{}, sb = n > 0 ? b[0] : T{};
  for (int64_t i = 0; i < n; ++i) {
    o[i] = static_cast<T>(
        F::f(static_cast<double>(kScalars & 1 ? sa : a[i]), static_cast<double>(kScalars & 2 ? sb : b[i])));
  }
}

template <class T, class F, MapKind kKind>
MapFn loop_of(unsigned scalars) {
  static_assert(kKind == MapKind::UNARY || kKind == MapKind::BINARY);
  if constexpr (kKind == MapKind::UNARY) {
    return unary_loop<T, F>;
  } else {
    return scalars == 0   ? binary_loop<T, F, 0>
           : scalars == 1 ? binary_loop<T, F, 1>
           : scalars == 2 ? binary_loop<T, F, 2>
                          : nullptr;
  }
}

// The neighbour of x towards y among floats of kMantissa explicit mantissa bits, held exactly in float32 or float64.
template <class T, class Bits>
T neighbour(T x, T y) {
  if (x != x || y != y) return x + y;
  if (x == y) return y;
  Bits bits;
  if (x == T(0)) {
    bits = 1;
    T smallest;
    std::memcpy(&smallest, &bits, sizeof smallest);
    return y > T(0) ? smallest : -smallest;
  }
  std::memcpy(&bits, &x, sizeof bits);
  bits = (y > x) == (x > T(0)) ? bits + 1 : bits - 1;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

template <class T>
struct NextAfter {
  static T f(double x, double y) {
    return neighbour<T, std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>(static_cast<T>(x), static_cast<T>(y));
  }
};

template <class T>
MapFn next_after(unsigned scalars) {
  return loop_of<T, NextAfter<T>, MapKind::BINARY>(scalars);
}

double logistic(double x) {
  const double e = std::exp(-std::fabs(x));
  return (x < 0.0 ? e : 1.0) / (1.0 + e);
}

template <MapOp>
struct Function;
#define ANESDK_MAP_OP(name, aj, mil, kind, cost, traits, floats, scalar, ...) ANESDK_FUNCTION(name, scalar)
#include "cpu/graph/map_ops.def"

template <class T>
MapFn of_type(MapOp op, unsigned scalars) {
  switch (op) {
#define ANESDK_MAP_OP(name, aj, mil, kind, cost, traits, floats, scalar, ...) ANESDK_CASE(name, kind, scalar)
#include "cpu/graph/map_ops.def"
  }
  return nullptr;
}

}  // namespace

MapFn rare_map(MapOp op, DType dtype, unsigned scalars) {
  if (dtype == DType::FP32) return of_type<float>(op, scalars);
  if (dtype == DType::FP64) return of_type<double>(op, scalars);
  return nullptr;
}

}  // namespace anesdk::cpu
