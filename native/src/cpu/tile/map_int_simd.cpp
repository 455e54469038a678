// Elementwise loops over integers and bools. Arithmetic wraps: it is done on unsigned types.
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

#define ANESDK_UNARY(name, expression)   \
  struct name {                          \
    template <class T>                   \
    static T f(T x) {                    \
      return static_cast<T>(expression); \
    }                                    \
  };
#define ANESDK_BINARY(name, expression)  \
  struct name {                          \
    template <class T>                   \
    static T f(T x, T y) {               \
      return static_cast<T>(expression); \
    }                                    \
  };
#define ANESDK_COMPARE(name, operation) \
  struct name {                         \
    template <class T>                  \
    static uint8_t f(T x, T y) {        \
      return x operation y;             \
    }                                   \
  };

ANESDK_UNARY(Abs, x < T(0) ? wide<T>(0) - wide<T>(x) : wide<T>(x))
ANESDK_UNARY(Neg, wide<T>(0) - wide<T>(x))
ANESDK_UNARY(Sign, (x > T(0)) - (x < T(0)))
ANESDK_UNARY(Not, ~x)
ANESDK_UNARY(Square, wide<T>(x) * wide<T>(x))
ANESDK_UNARY(Relu, x > T(0) ? x : T(0))
ANESDK_UNARY(LogicalNot, x == T(0))

template <class T>
uint64_t zero_extended(T x) {
  return kBits<T> == 64 ? uint64_t(x) : uint64_t(x) & ((uint64_t{1} << (kBits<T> & 63)) - 1);
}
ANESDK_UNARY(PopulationCount, __builtin_popcountll(zero_extended(x)))
ANESDK_UNARY(Clz, zero_extended(x) == 0 ? kBits<T> : __builtin_clzll(zero_extended(x)) - (64 - kBits<T>))

ANESDK_BINARY(Add, wide<T>(x) + wide<T>(y))
ANESDK_BINARY(Sub, wide<T>(x) - wide<T>(y))
ANESDK_BINARY(Mul, wide<T>(x) * wide<T>(y))
ANESDK_BINARY(Max, x > y ? x : y)
ANESDK_BINARY(Min, x < y ? x : y)
ANESDK_BINARY(And, x& y)
ANESDK_BINARY(Or, x | y)
ANESDK_BINARY(Xor, x ^ y)
ANESDK_COMPARE(Eq, ==)
ANESDK_COMPARE(Ne, !=)
ANESDK_COMPARE(Lt, <)
ANESDK_COMPARE(Le, <=)
ANESDK_COMPARE(Gt, >)
ANESDK_COMPARE(Ge, >=)

struct Div {
  template <class T>
  static T f(T x, T y) {
    if (y == T(0)) return T(-1);
    if (kSigned<T> && x == kMin<T> && y == T(-1)) return x;
    return static_cast<T>(x / y);
  }
};
struct Rem {
  template <class T>
  static T f(T x, T y) {
    if (y == T(0)) return x;
    if (kSigned<T> && y == T(-1)) return T(0);
    return static_cast<T>(x % y);
  }
};
struct FloorDiv {
  template <class T>
  static T f(T x, T y) {
    const T q = Div::f(x, y), r = Rem::f(x, y);
    return y != T(0) && r != T(0) && ((r < T(0)) != (y < T(0))) ? static_cast<T>(q - 1) : q;
  }
};
struct Mod {  // the sign of the divisor
  template <class T>
  static T f(T x, T y) {
    const T r = Rem::f(x, y);
    return y != T(0) && r != T(0) && ((r < T(0)) != (y < T(0))) ? static_cast<T>(r + y) : r;
  }
};
struct Pow {
  template <class T>
  static T f(T x, T y) {
    if (y < T(0)) return x == T(1) ? T(1) : (x == T(-1) ? (y & 1 ? T(-1) : T(1)) : T(0));
    wide<T> base = wide<T>(x), acc = 1;
    for (wide<T> k = wide<T>(y); k != 0; k >>= 1) {
      if (k & 1) acc *= base;
      base *= base;
    }
    return static_cast<T>(acc);
  }
};
// Amounts are unsigned: a negative one is as good as infinite.
ANESDK_BINARY(ShiftLeft, zero_extended(y) >= kBits<T> ? 0 : wide<T>(x) << (zero_extended(y) & 63))
ANESDK_BINARY(ShiftRightLogical, zero_extended(y) >= kBits<T> ? 0 : zero_extended(x) >> (zero_extended(y) & 63))
struct ShiftRightArithmetic {
  template <class T>
  static T f(T x, T y) {
    const uint64_t amount = zero_extended(y) >= kBits<T> ? kBits<T> - 1 : zero_extended(y);
    const int64_t wide_x = static_cast<int64_t>(zero_extended(x) << (64 - kBits<T>));  // the sign bit at the top
    return static_cast<T>(wide_x >> (64 - kBits<T>) >> amount);
  }
};

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
MapFn of_type(MapOp op, unsigned scalars) {
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
    case MapOp::CEIL:
    case MapOp::ROUND:
      return copy_loop<T>;
    case MapOp::NOT:
      return unary_loop<T, T, Not>;
    case MapOp::SQUARE:
      return unary_loop<T, T, Square>;
    case MapOp::RELU:
      return unary_loop<T, T, Relu>;
    case MapOp::POPULATION_COUNT:
      return unary_loop<T, T, PopulationCount>;
    case MapOp::CLZ:
      return unary_loop<T, T, Clz>;
    case MapOp::INTEGER_POW:
      return wrapping_pow_loop<T>;
    case MapOp::ADD:
      return binary<T, T, Add>(scalars);
    case MapOp::SUB:
      return binary<T, T, Sub>(scalars);
    case MapOp::MUL:
      return binary<T, T, Mul>(scalars);
    case MapOp::DIV:
      return binary<T, T, Div>(scalars);
    case MapOp::REM:
      return binary<T, T, Rem>(scalars);
    case MapOp::FLOOR_DIV:
      return binary<T, T, FloorDiv>(scalars);
    case MapOp::MOD:
      return binary<T, T, Mod>(scalars);
    case MapOp::POW:
      return binary<T, T, Pow>(scalars);
    case MapOp::MAX:
      return binary<T, T, Max>(scalars);
    case MapOp::MIN:
      return binary<T, T, Min>(scalars);
    case MapOp::AND:
      return binary<T, T, And>(scalars);
    case MapOp::OR:
      return binary<T, T, Or>(scalars);
    case MapOp::XOR:
      return binary<T, T, Xor>(scalars);
    case MapOp::SHIFT_LEFT:
      return binary<T, T, ShiftLeft>(scalars);
    case MapOp::SHIFT_RIGHT_LOGICAL:
      return binary<T, T, ShiftRightLogical>(scalars);
    case MapOp::SHIFT_RIGHT_ARITHMETIC:
      return binary<T, T, ShiftRightArithmetic>(scalars);
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

// Bools are bytes 0 and 1; sums are "or", products "and".
MapFn of_bool(MapOp op, unsigned scalars) {
  using T = uint8_t;
  switch (op) {
    case MapOp::NOT:
      return unary_loop<T, T, LogicalNot>;
    case MapOp::ABS:
    case MapOp::SIGN:
    case MapOp::SQUARE:
    case MapOp::RELU:
      return copy_loop<T>;
    case MapOp::ADD:
    case MapOp::OR:
    case MapOp::MAX:
      return binary<T, T, Or>(scalars);
    case MapOp::MUL:
    case MapOp::AND:
    case MapOp::MIN:
      return binary<T, T, And>(scalars);
    case MapOp::XOR:
    case MapOp::SUB:
      return binary<T, T, Xor>(scalars);
    case MapOp::COPY:
    case MapOp::EQ:
    case MapOp::NE:
    case MapOp::LT:
    case MapOp::LE:
    case MapOp::GT:
    case MapOp::GE:
    case MapOp::SELECT:
      return of_type<uint8_t>(op, scalars);
    default:
      return nullptr;
  }
}

}  // namespace

MapFn map_integer(MapOp op, DType dtype, unsigned scalars) {
  switch (dtype) {
    case DType::BOOL:
      return of_bool(op, scalars);
    case DType::INT8:
      return of_type<int8_t>(op, scalars);
    case DType::INT16:
      return of_type<int16_t>(op, scalars);
    case DType::INT32:
      return of_type<int32_t>(op, scalars);
    case DType::INT64:
      return of_type<int64_t>(op, scalars);
    case DType::UINT8:
      return of_type<uint8_t>(op, scalars);
    case DType::UINT16:
      return of_type<uint16_t>(op, scalars);
    case DType::UINT32:
      return of_type<uint32_t>(op, scalars);
    case DType::UINT64:
      return of_type<uint64_t>(op, scalars);
    default:
      return nullptr;
  }
}

}  // namespace anesdk::cpu::ANESDK_SIMD_NS
