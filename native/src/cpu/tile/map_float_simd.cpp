// Elementwise loops over float32 and float64.
#include <cmath>

#include "cpu/tile/map_forms.h"
#include "cpu/tile/simd_loops.h"
#include "cpu/tile/simd_math.h"

namespace anesdk::cpu::ANESDK_SIMD_NS {
namespace {

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
  // Read once: a loop that reads one element again and again beside its stores is not vectorized.
  const float sa = n > 0 ? a[0] : 0.0f, sb = n > 0 ? b[0] : 0.0f;
  for (int64_t begin = 0; begin < n; begin += 256) {
    const int64_t end = begin + 256 < n ? begin + 256 : n;
    int special = 0;
    for (int64_t i = begin; i < end; ++i) {
      const float x = kScalars & 1 ? sa : a[i], y = kScalars & 2 ? sb : b[i];
      special |= !(x > 0.0f && x < kInf) | !(abs_f(y) < kInf);
    }
    if (special) {
      for (int64_t i = begin; i < end; ++i) {
        const float x = kScalars & 1 ? sa : a[i], y = kScalars & 2 ? sb : b[i];
        o[i] = static_cast<float>(::pow(static_cast<double>(x), static_cast<double>(y)));
      }
      continue;
    }
    ANESDK_IVDEP
    for (int64_t i = begin; i < end; ++i) {
      o[i] = pow_f(kScalars & 1 ? sa : a[i], kScalars & 2 ? sb : b[i]);
    }
  }
}

template <class T>
MapFn sine(unsigned) {
  return std::is_same_v<T, float> ? trig_loop<0> : nullptr;
}

template <class T>
MapFn cosine(unsigned) {
  return std::is_same_v<T, float> ? trig_loop<1> : nullptr;
}

template <class T>
MapFn pow(unsigned scalars) {
  if (!std::is_same_v<T, float>) return nullptr;
  return scalars == 0 ? pow_loop<0> : scalars == 1 ? pow_loop<1> : scalars == 2 ? pow_loop<2> : nullptr;
}

template <class T>
MapFn integer_pow(unsigned) {
  return integer_pow_loop<T>;
}

// The sum of a NaN and anything is that NaN: maximum and minimum use it.
template <MapOp>
struct Function;
#define ANESDK_MAP_OP(name, aj, mil, kind, cost, traits, floats, ...) ANESDK_FUNCTION(name, floats)
#include "cpu/graph/map_ops.def"

template <class T>
MapFn of_type(MapOp op, unsigned scalars) {
  switch (op) {
#define ANESDK_MAP_OP(name, aj, mil, kind, cost, traits, floats, ...) ANESDK_CASE(name, kind, floats)
#include "cpu/graph/map_ops.def"
  }
  return nullptr;
}

}  // namespace

MapFn map_float(MapOp op, unsigned scalars) { return of_type<float>(op, scalars); }
MapFn map_double(MapOp op, unsigned scalars) { return of_type<double>(op, scalars); }

}  // namespace anesdk::cpu::ANESDK_SIMD_NS
