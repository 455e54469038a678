// Elementwise loops over float32 and float64.
#include <cmath>

#include "cpu/tile/simd_loops.h"
#include "cpu/tile/simd_math.h"

namespace anesdk::cpu::ANESDK_SIMD_NS {
namespace {

#define ANESDK_UNARY(name, expression) \
  struct name {                        \
    template <class T>                 \
    static T f(T x) {                  \
      return expression;               \
    }                                  \
  };
#define ANESDK_BINARY(name, result, expression) \
  struct name {                                 \
    template <class T>                          \
    static result f(T x, T y) {                 \
      return expression;                        \
    }                                           \
  };

inline float sqrt_of(float x) { return __builtin_sqrtf(x); }
inline double sqrt_of(double x) { return __builtin_sqrt(x); }
inline float magnitude(float x) { return __builtin_fabsf(x); }
inline double magnitude(double x) { return __builtin_fabs(x); }
inline float floor_of(float x) { return __builtin_floorf(x); }
inline double floor_of(double x) { return __builtin_floor(x); }
inline float ceil_of(float x) { return __builtin_ceilf(x); }
inline double ceil_of(double x) { return __builtin_ceil(x); }
inline float rint_of(float x) { return __builtin_rintf(x); }
inline double rint_of(double x) { return __builtin_rint(x); }

ANESDK_UNARY(Abs, magnitude(x))
ANESDK_UNARY(Neg, -x)
ANESDK_UNARY(Sign, x > T{0} ? T{1} : (x < T{0} ? T{-1} : x))
ANESDK_UNARY(Floor, floor_of(x))
ANESDK_UNARY(Ceil, ceil_of(x))
ANESDK_UNARY(Round, rint_of(x))
ANESDK_UNARY(Sqrt, sqrt_of(x))
ANESDK_UNARY(Rsqrt, T{1} / sqrt_of(x))
ANESDK_UNARY(Square, x* x)
ANESDK_UNARY(Reciprocal, T{1} / x)
ANESDK_UNARY(Relu, x > T{0} || x != x ? x : T{0})
ANESDK_UNARY(IsFinite, magnitude(x) <= T(__builtin_inff()) && magnitude(x) != T(__builtin_inff()))
ANESDK_UNARY(Exp, exp_f(x))
ANESDK_UNARY(Exp2, exp2_f(x))
ANESDK_UNARY(Log, log_f(x))
ANESDK_UNARY(Log1p, log1p_f(x))
ANESDK_UNARY(Expm1, expm1_f(x))
ANESDK_UNARY(Tanh, tanh_f(x))
ANESDK_UNARY(Logistic, logistic_f(x))
ANESDK_UNARY(Erf, erf_f(x))

ANESDK_BINARY(Add, T, x + y)
ANESDK_BINARY(Sub, T, x - y)
ANESDK_BINARY(Mul, T, x* y)
ANESDK_BINARY(Div, T, x / y)
// the sum of a NaN and anything is that NaN
ANESDK_BINARY(Max, T, x != x || y != y ? x + y : (x > y ? x : y))
ANESDK_BINARY(Min, T, x != x || y != y ? x + y : (x < y ? x : y))
ANESDK_BINARY(Eq, uint8_t, x == y)
ANESDK_BINARY(Ne, uint8_t, x != y)
ANESDK_BINARY(Lt, uint8_t, x < y)
ANESDK_BINARY(Le, uint8_t, x <= y)
ANESDK_BINARY(Gt, uint8_t, x > y)
ANESDK_BINARY(Ge, uint8_t, x >= y)

// Sine and cosine: one vector pass, then the C library for arguments too large for its reduction.
template <uint64_t kQuarters>
void trig_loop(void* dst, const void* const* src, int64_t n, int64_t) {
  auto* o = static_cast<float*>(dst);
  const auto* a = static_cast<const float*>(src[0]);
  for (int64_t begin = 0; begin < n; begin += 256) {
    const int64_t end = begin + 256 < n ? begin + 256 : n;
    int large = 0;
    for (int64_t i = begin; i < end; ++i) large |= !(abs_f(a[i]) < kTrigLimit);
    if (large) {
      for (int64_t i = begin; i < end; ++i) {
        o[i] = abs_f(a[i]) < kTrigLimit ? sin_f(a[i], kQuarters) : (kQuarters ? ::cosf(a[i]) : ::sinf(a[i]));
      }
      continue;
    }
    ANESDK_IVDEP
    for (int64_t i = begin; i < end; ++i) o[i] = sin_f(a[i], kQuarters);
  }
}

template <unsigned kScalars>
void pow_loop(void* dst, const void* const* src, int64_t n, int64_t) {
  auto* o = static_cast<float*>(dst);
  const auto* a = static_cast<const float*>(src[0]);
  const auto* b = static_cast<const float*>(src[1]);
  for (int64_t begin = 0; begin < n; begin += 256) {
    const int64_t end = begin + 256 < n ? begin + 256 : n;
    int special = 0;
    for (int64_t i = begin; i < end; ++i) {
      const float x = a[kScalars & 1 ? 0 : i], y = b[kScalars & 2 ? 0 : i];
      special |= !(x > 0.0f && x < kInf) | !(abs_f(y) < kInf);
    }
    if (special) {
      for (int64_t i = begin; i < end; ++i) {
        const float x = a[kScalars & 1 ? 0 : i], y = b[kScalars & 2 ? 0 : i];
        o[i] = static_cast<float>(::pow(static_cast<double>(x), static_cast<double>(y)));
      }
      continue;
    }
    ANESDK_IVDEP
    for (int64_t i = begin; i < end; ++i) {
      o[i] = pow_f(a[kScalars & 1 ? 0 : i], b[kScalars & 2 ? 0 : i]);
    }
  }
}

template <class T>
MapFn common(MapOp op, unsigned scalars) {
  switch (op) {
    case MapOp::COPY:
      return copy_loop<T>;
    case MapOp::ABS:
      return unary_loop<T, T, Abs>;
    case MapOp::NEG:
      return unary_loop<T, T, Neg>;
    case MapOp::SIGN:
      return unary_loop<T, T, Sign>;
    case MapOp::FLOOR:
      return unary_loop<T, T, Floor>;
    case MapOp::CEIL:
      return unary_loop<T, T, Ceil>;
    case MapOp::ROUND:
      return unary_loop<T, T, Round>;
    case MapOp::SQRT:
      return unary_loop<T, T, Sqrt>;
    case MapOp::RSQRT:
      return unary_loop<T, T, Rsqrt>;
    case MapOp::SQUARE:
      return unary_loop<T, T, Square>;
    case MapOp::RECIPROCAL:
      return unary_loop<T, T, Reciprocal>;
    case MapOp::RELU:
      return unary_loop<T, T, Relu>;
    case MapOp::IS_FINITE:
      return unary_loop<uint8_t, T, IsFinite>;
    case MapOp::INTEGER_POW:
      return integer_pow_loop<T>;
    case MapOp::ADD:
      return binary<T, T, Add>(scalars);
    case MapOp::SUB:
      return binary<T, T, Sub>(scalars);
    case MapOp::MUL:
      return binary<T, T, Mul>(scalars);
    case MapOp::DIV:
      return binary<T, T, Div>(scalars);
    case MapOp::MAX:
      return binary<T, T, Max>(scalars);
    case MapOp::MIN:
      return binary<T, T, Min>(scalars);
    case MapOp::EQ:
      return binary<uint8_t, T, Eq>(scalars);
    case MapOp::NE:
      return binary<uint8_t, T, Ne>(scalars);
    case MapOp::LT:
      return binary<uint8_t, T, Lt>(scalars);
    case MapOp::LE:
      return binary<uint8_t, T, Le>(scalars);
    case MapOp::GT:
      return binary<uint8_t, T, Gt>(scalars);
    case MapOp::GE:
      return binary<uint8_t, T, Ge>(scalars);
    case MapOp::SELECT:
      return select<T>(scalars);
    default:
      return nullptr;
  }
}

}  // namespace

MapFn map_float(MapOp op, unsigned scalars) {
  switch (op) {
    case MapOp::EXP:
      return unary_loop<float, float, Exp>;
    case MapOp::EXP2:
      return unary_loop<float, float, Exp2>;
    case MapOp::LOG:
      return unary_loop<float, float, Log>;
    case MapOp::LOG1P:
      return unary_loop<float, float, Log1p>;
    case MapOp::EXPM1:
      return unary_loop<float, float, Expm1>;
    case MapOp::TANH:
      return unary_loop<float, float, Tanh>;
    case MapOp::LOGISTIC:
      return unary_loop<float, float, Logistic>;
    case MapOp::ERF:
      return unary_loop<float, float, Erf>;
    case MapOp::SIN:
      return trig_loop<0>;
    case MapOp::COS:
      return trig_loop<1>;
    case MapOp::POW:
      return scalars == 0 ? pow_loop<0> : scalars == 1 ? pow_loop<1> : scalars == 2 ? pow_loop<2> : nullptr;
    default:
      return common<float>(op, scalars);
  }
}

MapFn map_double(MapOp op, unsigned scalars) { return common<double>(op, scalars); }

}  // namespace anesdk::cpu::ANESDK_SIMD_NS
