// Functions with no vector loop: one call of the C library, or of our own in double, per element.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

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

using Unary = double (*)(double);
using Binary = double (*)(double, double);

template <class T, Unary kFn>
void unary(void* dst, const void* const* src, int64_t n, int64_t) {
  auto* o = static_cast<T*>(dst);
  const auto* a = static_cast<const T*>(src[0]);
  for (int64_t i = 0; i < n; ++i) o[i] = static_cast<T>(kFn(static_cast<double>(a[i])));
}

template <class T, Binary kFn, unsigned kScalars>
void binary_loop(void* dst, const void* const* src, int64_t n, int64_t) {
  auto* o = static_cast<T*>(dst);
  const auto* a = static_cast<const T*>(src[0]);
  const auto* b = static_cast<const T*>(src[1]);
  const T sa = n > 0 ? a[0] : T{}, sb = n > 0 ? b[0] : T{};
  for (int64_t i = 0; i < n; ++i) {
    o[i] = static_cast<T>(
        kFn(static_cast<double>(kScalars & 1 ? sa : a[i]), static_cast<double>(kScalars & 2 ? sb : b[i])));
  }
}

template <class T, Binary kFn>
MapFn binary(unsigned scalars) {
  return scalars == 0   ? binary_loop<T, kFn, 0>
         : scalars == 1 ? binary_loop<T, kFn, 1>
         : scalars == 2 ? binary_loop<T, kFn, 2>
                        : nullptr;
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
double next_float(double x, double y) {
  return static_cast<double>(neighbour<float, uint32_t>(static_cast<float>(x), static_cast<float>(y)));
}
double next_double(double x, double y) { return neighbour<double, uint64_t>(x, y); }

double fn_exp(double x) { return std::exp(x); }
double fn_exp2(double x) { return std::exp2(x); }
double fn_log(double x) { return std::log(x); }
double fn_log1p(double x) { return std::log1p(x); }
double fn_expm1(double x) { return std::expm1(x); }
double fn_cbrt(double x) { return std::cbrt(x); }
double fn_sin(double x) { return std::sin(x); }
double fn_cos(double x) { return std::cos(x); }
double fn_tan(double x) { return std::tan(x); }
double fn_asin(double x) { return std::asin(x); }
double fn_acos(double x) { return std::acos(x); }
double fn_atan(double x) { return std::atan(x); }
double fn_sinh(double x) { return std::sinh(x); }
double fn_cosh(double x) { return std::cosh(x); }
double fn_tanh(double x) { return std::tanh(x); }
double fn_asinh(double x) { return std::asinh(x); }
double fn_acosh(double x) { return std::acosh(x); }
double fn_atanh(double x) { return std::atanh(x); }
double fn_erf(double x) { return std::erf(x); }
double fn_erfc(double x) { return std::erfc(x); }
double fn_logistic(double x) {
  const double e = std::exp(-std::fabs(x));
  return (x < 0.0 ? e : 1.0) / (1.0 + e);
}
double fn_pow(double x, double y) { return std::pow(x, y); }
double fn_atan2(double x, double y) { return std::atan2(x, y); }
double fn_fmod(double x, double y) { return std::fmod(x, y); }
double fn_floor_div(double x, double y) { return std::floor(x / y); }

template <class T>
MapFn of_type(MapOp op, unsigned scalars) {
  switch (op) {
    case MapOp::EXP:
      return unary<T, fn_exp>;
    case MapOp::EXP2:
      return unary<T, fn_exp2>;
    case MapOp::LOG:
      return unary<T, fn_log>;
    case MapOp::LOG1P:
      return unary<T, fn_log1p>;
    case MapOp::EXPM1:
      return unary<T, fn_expm1>;
    case MapOp::CBRT:
      return unary<T, fn_cbrt>;
    case MapOp::SIN:
      return unary<T, fn_sin>;
    case MapOp::COS:
      return unary<T, fn_cos>;
    case MapOp::TAN:
      return unary<T, fn_tan>;
    case MapOp::ASIN:
      return unary<T, fn_asin>;
    case MapOp::ACOS:
      return unary<T, fn_acos>;
    case MapOp::ATAN:
      return unary<T, fn_atan>;
    case MapOp::SINH:
      return unary<T, fn_sinh>;
    case MapOp::COSH:
      return unary<T, fn_cosh>;
    case MapOp::TANH:
      return unary<T, fn_tanh>;
    case MapOp::ASINH:
      return unary<T, fn_asinh>;
    case MapOp::ACOSH:
      return unary<T, fn_acosh>;
    case MapOp::ATANH:
      return unary<T, fn_atanh>;
    case MapOp::LOGISTIC:
      return unary<T, fn_logistic>;
    case MapOp::ERF:
      return unary<T, fn_erf>;
    case MapOp::ERFC:
      return unary<T, fn_erfc>;
    case MapOp::ERF_INV:
      return unary<T, erf_inv>;
    case MapOp::LGAMMA:
      return unary<T, lgamma_of>;
    case MapOp::DIGAMMA:
      return unary<T, digamma>;
    case MapOp::POW:
      return binary<T, fn_pow>(scalars);
    case MapOp::ATAN2:
      return binary<T, fn_atan2>(scalars);
    case MapOp::REM:
      return binary<T, fn_fmod>(scalars);
    case MapOp::MOD:
      return binary<T, floor_mod>(scalars);
    case MapOp::FLOOR_DIV:
      return binary<T, fn_floor_div>(scalars);
    case MapOp::NEXTAFTER:
      return sizeof(T) == 4 ? binary<T, next_float>(scalars) : binary<T, next_double>(scalars);
    default:
      return nullptr;
  }
}

}  // namespace

MapFn rare_map(MapOp op, DType dtype, unsigned scalars) {
  if (dtype == DType::FP32) return of_type<float>(op, scalars);
  if (dtype == DType::FP64) return of_type<double>(op, scalars);
  return nullptr;
}

}  // namespace anesdk::cpu
