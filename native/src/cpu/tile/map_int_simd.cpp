// Elementwise loops over integers and bools. Arithmetic wraps: it is done on unsigned types.
#include "cpu/tile/map_forms.h"
#include "cpu/tile/simd_loops.h"

namespace anesdk::cpu::ANESDK_SIMD_NS {
namespace {

// Unsigned, and never narrower than int: uint16 * uint16 would promote to a signed int.
template <class T>
struct Wide {
  using type = unsigned;
};
template <>
struct Wide<int64_t> {
  using type = uint64_t;
};
template <>
struct Wide<uint64_t> {
  using type = uint64_t;
};
template <class T>
using wide = typename Wide<T>::type;

template <class T>
inline constexpr bool kSigned = T(-1) < T(0);
template <class T>
inline constexpr T kMin = kSigned<T> ? T(wide<T>{1} << (sizeof(T) * 8 - 1)) : T(0);
template <class T>
inline constexpr unsigned kBits = sizeof(T) * 8;

template <class T>
uint64_t zero_extended(T x) {
  return kBits<T> == 64 ? uint64_t(x) : uint64_t(x) & ((uint64_t{1} << (kBits<T> & 63)) - 1);
}

template <class T>
T leading_zeros(T x) {
  const uint64_t bits = zero_extended(x);
  return static_cast<T>(bits == 0 ? kBits<T> : __builtin_clzll(bits) - (64 - kBits<T>));
}

template <class T>
T quotient(T x, T y) {
  if (y == T(0)) return T(-1);
  if (kSigned<T> && x == kMin<T> && y == T(-1)) return x;
  return static_cast<T>(x / y);
}

template <class T>
T remainder_of(T x, T y) {
  if (y == T(0)) return x;
  if (kSigned<T> && y == T(-1)) return T(0);
  return static_cast<T>(x % y);
}

template <class T>
T floor_quotient(T x, T y) {
  const T q = quotient(x, y), r = remainder_of(x, y);
  return y != T(0) && r != T(0) && ((r < T(0)) != (y < T(0))) ? static_cast<T>(q - 1) : q;
}

template <class T>
T floor_mod(T x, T y) {  // the sign of the divisor
  const T r = remainder_of(x, y);
  return y != T(0) && r != T(0) && ((r < T(0)) != (y < T(0))) ? static_cast<T>(r + y) : r;
}

template <class T>
T power(T x, T y) {
  if (y < T(0)) return x == T(1) ? T(1) : (x == T(-1) ? (y & 1 ? T(-1) : T(1)) : T(0));
  wide<T> base = wide<T>(x), acc = 1;
  for (wide<T> k = wide<T>(y); k != 0; k >>= 1) {
    if (k & 1) acc *= base;
    base *= base;
  }
  return static_cast<T>(acc);
}

// Amounts are unsigned: a negative one is as good as infinite.
template <class T>
T shift_left(T x, T y) {
  return static_cast<T>(zero_extended(y) >= kBits<T> ? 0 : wide<T>(x) << (zero_extended(y) & 63));
}

template <class T>
T shift_right_logical(T x, T y) {
  return static_cast<T>(zero_extended(y) >= kBits<T> ? 0 : zero_extended(x) >> (zero_extended(y) & 63));
}

template <class T>
T shift_right_arithmetic(T x, T y) {
  const uint64_t amount = zero_extended(y) >= kBits<T> ? kBits<T> - 1 : zero_extended(y);
  const int64_t wide_x = static_cast<int64_t>(zero_extended(x) << (64 - kBits<T>));  // the sign bit at the top
  return static_cast<T>(wide_x >> (64 - kBits<T>) >> amount);
}

template <class T>
void wrapping_pow_loop(void* dst, const void* const* src, int64_t n, int64_t exponent) {
  auto* o = static_cast<T*>(dst);
  const auto* a = static_cast<const T*>(src[0]);
  ANESDK_IVDEP
  for (int64_t i = 0; i < n; ++i) {
    wide<T> base = wide<T>(a[i]), acc = 1;
    for (uint64_t k = exponent < 0 ? 0 : uint64_t(exponent); k != 0; k >>= 1) {
      if (k & 1) acc *= base;
      base *= base;
    }
    o[i] = exponent < 0 ? (a[i] == T(1) ? T(1) : a[i] == T(-1) ? (exponent & 1 ? T(-1) : T(1)) : T(0)) : T(acc);
  }
}

template <class T>
MapFn integer_pow(unsigned) {
  return wrapping_pow_loop<T>;
}

namespace integers {
template <MapOp>
struct Function;
#define ANESDK_MAP_OP(name, aj, mil, kind, cost, traits, floats, scalar, integers, ...) ANESDK_FUNCTION(name, integers)
#include "cpu/graph/map_ops.def"

template <class T>
MapFn of_type(MapOp op, unsigned scalars) {
  switch (op) {
#define ANESDK_MAP_OP(name, aj, mil, kind, cost, traits, floats, scalar, integers, ...) \
  ANESDK_CASE(name, kind, integers)
#include "cpu/graph/map_ops.def"
  }
  return nullptr;
}
}  // namespace integers

namespace bools {
using T = uint8_t;
template <MapOp>
struct Function;
#define ANESDK_MAP_OP(name, aj, mil, kind, cost, traits, floats, scalar, integers, bools) ANESDK_FUNCTION(name, bools)
#include "cpu/graph/map_ops.def"

MapFn of_bool(MapOp op, unsigned scalars) {
  switch (op) {
#define ANESDK_MAP_OP(name, aj, mil, kind, cost, traits, floats, scalar, integers, bools) ANESDK_CASE(name, kind, bools)
#include "cpu/graph/map_ops.def"
  }
  return nullptr;
}
}  // namespace bools

}  // namespace

MapFn map_integer(MapOp op, DType dtype, unsigned scalars) {
  switch (dtype) {
    case DType::BOOL:
      return bools::of_bool(op, scalars);
    case DType::INT8:
      return integers::of_type<int8_t>(op, scalars);
    case DType::INT16:
      return integers::of_type<int16_t>(op, scalars);
    case DType::INT32:
      return integers::of_type<int32_t>(op, scalars);
    case DType::INT64:
      return integers::of_type<int64_t>(op, scalars);
    case DType::UINT8:
      return integers::of_type<uint8_t>(op, scalars);
    case DType::UINT16:
      return integers::of_type<uint16_t>(op, scalars);
    case DType::UINT32:
      return integers::of_type<uint32_t>(op, scalars);
    case DType::UINT64:
      return integers::of_type<uint64_t>(op, scalars);
    default:
      return nullptr;
  }
}

}  // namespace anesdk::cpu::ANESDK_SIMD_NS
