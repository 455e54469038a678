// Conversions between any two element types: NaN to an integer is 0, out of range saturates, to bool is x != 0,
// to a 16-bit float rounds once to nearest even.
#include "cpu/tile/simd_loops.h"
#include "cpu/tile/simd_math.h"

#if defined(__F16C__)
#include <immintrin.h>
#endif

namespace anesdk::cpu::ANESDK_SIMD_NS {
namespace {

struct Half {
  uint16_t bits;
};
struct Brain {
  uint16_t bits;
};
struct Bool {
  uint8_t value;
};

// GCC's C++ has _Float16 on arm64 from version 13 on, and __fp16, which is stored as the same, before.
#if defined(__aarch64__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
using Native = __fp16;
#else
using Native = _Float16;
#endif

inline float to_float(Half h) { return static_cast<float>(bits_as<Native>(h.bits)); }
inline float to_float(Brain b) { return bits_as<float>(static_cast<uint32_t>(b.bits) << 16); }

inline Half to_half(float x) { return {bits_as<uint16_t>(static_cast<Native>(x))}; }
inline Half to_half(double x) { return {bits_as<uint16_t>(static_cast<Native>(x))}; }
inline Brain to_brain(float x) {
  const uint32_t bits = bits_as<uint32_t>(x);
  const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return {static_cast<uint16_t>(x == x ? rounded : bits >> 16 | 0x40)};
}
inline Brain to_brain(double x) {
  // float32 rounded to odd first: then the second rounding is right
  float f = static_cast<float>(x);
  const double back = f;
  if (back != x && x == x && back - back == 0.0) {
    uint32_t bits = bits_as<uint32_t>(f);
    if ((back < 0 ? -back : back) > (x < 0 ? -x : x)) --bits;
    f = bits_as<float>(bits | 1);
  }
  return to_brain(f);
}

template <class T>
inline constexpr bool kFloat = false;
template <>
inline constexpr bool kFloat<float> = true;
template <>
inline constexpr bool kFloat<double> = true;
template <class T>
inline constexpr bool kSigned = T(-1) < T(0);

template <class To, class From>
inline To saturate(From x) {
  constexpr unsigned bits = sizeof(To) * 8;
  constexpr To low = kSigned<To> ? To(uint64_t{1} << (bits - 1)) : To(0);
  constexpr To high = To(~low);
  constexpr From limit = From(uint64_t{1} << (bits - 1)) * From(kSigned<To> ? 1 : 2);  // the first value too large
  const From safe = x < limit && x > From(low) ? x : From(0);
  const To inside = static_cast<To>(safe);
  return x >= limit ? high : (x <= From(low) ? low : inside);
}

template <class To, class From>
inline To convert_one(From x) {
  if constexpr (__is_same(From, Half) || __is_same(From, Brain)) {
    return convert_one<To>(to_float(x));
  } else if constexpr (__is_same(From, Bool)) {
    return convert_one<To>(static_cast<int32_t>(x.value));
  } else if constexpr (__is_same(To, Bool)) {
    return {static_cast<uint8_t>(x != From(0))};
  } else if constexpr (__is_same(To, Half)) {
    if constexpr (kFloat<From>)
      return to_half(x);
    else
      return to_half(static_cast<double>(x));
  } else if constexpr (__is_same(To, Brain)) {
    if constexpr (kFloat<From>)
      return to_brain(x);
    else
      return to_brain(static_cast<double>(x));
  } else if constexpr (kFloat<From> && !kFloat<To>) {
    return saturate<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

template <class To, class From>
void convert_loop(void* dst, const void* const* src, int64_t n, int64_t) {
  auto* o = static_cast<To*>(dst);
  const auto* a = static_cast<const From*>(src[0]);
  int64_t i = 0;
#if defined(__F16C__)
  if constexpr (__is_same(To, float) && __is_same(From, Half)) {
    for (; i + 8 <= n; i += 8) {
      const __m128i h = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a + i));
      _mm256_storeu_ps(o + i, _mm256_cvtph_ps(h));
    }
  }
  if constexpr (__is_same(To, Half) && __is_same(From, float)) {
    for (; i + 8 <= n; i += 8) {
      const __m128i h = _mm256_cvtps_ph(_mm256_loadu_ps(a + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(o + i), h);
    }
  }
#endif
  ANESDK_IVDEP
  for (int64_t k = i; k < n; ++k) o[k] = convert_one<To>(a[k]);
}

template <class From>
MapFn convert_from(DType to) {
  switch (to) {
    case DType::BOOL:
      return convert_loop<Bool, From>;
    case DType::INT8:
      return convert_loop<int8_t, From>;
    case DType::INT16:
      return convert_loop<int16_t, From>;
    case DType::INT32:
      return convert_loop<int32_t, From>;
    case DType::INT64:
      return convert_loop<int64_t, From>;
    case DType::UINT8:
      return convert_loop<uint8_t, From>;
    case DType::UINT16:
      return convert_loop<uint16_t, From>;
    case DType::UINT32:
      return convert_loop<uint32_t, From>;
    case DType::UINT64:
      return convert_loop<uint64_t, From>;
    case DType::FP16:
      return convert_loop<Half, From>;
    case DType::BF16:
      return convert_loop<Brain, From>;
    case DType::FP32:
      return convert_loop<float, From>;
    case DType::FP64:
      return convert_loop<double, From>;
    default:
      return nullptr;
  }
}

// float32 rounded to a 16-bit float, kept as float32.
template <class Short, Short (*kRound)(float)>
void round_loop(void* dst, const void* const* src, int64_t n, int64_t) {
  auto* o = static_cast<float*>(dst);
  const auto* a = static_cast<const float*>(src[0]);
  int64_t i = 0;
#if defined(__F16C__)
  if constexpr (__is_same(Short, Half)) {
    for (; i + 8 <= n; i += 8) {
      const __m128i h = _mm256_cvtps_ph(_mm256_loadu_ps(a + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
      _mm256_storeu_ps(o + i, _mm256_cvtph_ps(h));
    }
  }
#endif
  ANESDK_IVDEP
  for (int64_t k = i; k < n; ++k) o[k] = to_float(kRound(a[k]));
}

void inspect_fp16(const float* src, int64_t n, Inspection* out) {
  constexpr float kTiny = 1024.0f - 0.5f;  // of the smallest subnormal: from there ties go to the smallest normal
  int32_t worst = 0, tiny = 0, gone = 0;
  for (int64_t i = 0; i < n; ++i) {
    const int32_t bits = bits_as<int32_t>(src[i]) & 0x7fffffff;
    const float steps = bits_as<float>(bits) * 0x1p24f;
    worst = bits > worst ? bits : worst;
    tiny += (steps < kTiny) & ((steps + kRoundFloat) - kRoundFloat != steps);
    gone += (steps <= 0.5f) & (bits != 0);
  }
  *out = {worst, tiny, gone};
}

MapFn map_op(MapOp op, DType dtype, unsigned scalars) {
  if (op == MapOp::ROUND_FP16) return round_loop<Half, to_half>;
  if (op == MapOp::ROUND_BF16) return round_loop<Brain, to_brain>;
  if (dtype == DType::FP32) return map_float(op, scalars);
  if (dtype == DType::FP64) return map_double(op, scalars);
  return map_integer(op, dtype, scalars);
}

}  // namespace

MapFn convert(DType from, DType to) {
  switch (from) {
    case DType::BOOL:
      return convert_from<Bool>(to);
    case DType::INT8:
      return convert_from<int8_t>(to);
    case DType::INT16:
      return convert_from<int16_t>(to);
    case DType::INT32:
      return convert_from<int32_t>(to);
    case DType::INT64:
      return convert_from<int64_t>(to);
    case DType::UINT8:
      return convert_from<uint8_t>(to);
    case DType::UINT16:
      return convert_from<uint16_t>(to);
    case DType::UINT32:
      return convert_from<uint32_t>(to);
    case DType::UINT64:
      return convert_from<uint64_t>(to);
    case DType::FP16:
      return convert_from<Half>(to);
    case DType::BF16:
      return convert_from<Brain>(to);
    case DType::FP32:
      return convert_from<float>(to);
    case DType::FP64:
      return convert_from<double>(to);
    default:
      return nullptr;
  }
}

extern const SimdTable kTable;
const SimdTable kTable = {map_op, convert, reduce_row, reduce_column, copy_plane, dot_rows, inspect_fp16, narrow};

}  // namespace anesdk::cpu::ANESDK_SIMD_NS
