// Element types of kernels: 16-bit floats as storage types, and dispatch from a dtype to a C++ type.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <type_traits>

#include "mil/error.h"
#include "mil/program.h"

namespace anesdk::cpu {

// Round to nearest even, overflow to infinity, NaN stays NaN.
inline float half_to_float(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t magnitude = bits & 0x7fffu;
  // Scaling by 2^112 turns the 5-bit exponent into the 8-bit one, subnormals included.
  const float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p+112f;
  const uint32_t special = (magnitude << 13) | 0x7f800000u;
  const uint32_t value = magnitude >= 0x7c00u ? special : std::bit_cast<uint32_t>(scaled);
  return std::bit_cast<float>(sign | value);
}

inline uint16_t float_to_half(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const uint32_t magnitude = bits & 0x7fffffffu;
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {  // subnormal: the addition rounds at the right bit
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
  }
  const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u) - 0x38000000u;
  return static_cast<uint16_t>(sign | (rounded >> 13));
}

inline float bfloat_to_float(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

inline uint16_t float_to_bfloat(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

struct Half {
  uint16_t bits = 0;
  Half() = default;
  explicit Half(float x) : bits(float_to_half(x)) {}
  explicit operator float() const { return half_to_float(bits); }
};

struct BFloat16 {
  uint16_t bits = 0;
  BFloat16() = default;
  explicit BFloat16(float x) : bits(float_to_bfloat(x)) {}
  explicit operator float() const { return bfloat_to_float(bits); }
};

template <typename T>
inline constexpr bool is_half_like = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;

template <typename T>
inline constexpr bool is_real = std::is_floating_point_v<T> || is_half_like<T>;

// The type in which arithmetic on T is done: float for 16-bit floats, T itself for all others.
template <typename T>
struct ComputeOf {
  using type = std::conditional_t<is_half_like<T>, float, T>;
};
template <typename T>
using Compute = typename ComputeOf<T>::type;

// Arithmetic that wraps for integers.
template <typename T>
T wrapping_add(T a, T b) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  else
    return a + b;
}

template <typename T>
T wrapping_mul(T a, T b) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  else
    return a * b;
}

// NaN wins.
template <typename T>
T max_of(T a, T b) {
  return ((a > b) | (a != a)) ? a : b;  // no branch
}

template <typename T>
T min_of(T a, T b) {
  return ((a < b) | (a != a)) ? a : b;
}

template <typename T>
struct Tag {
  using type = T;
};

// Calls fn(Tag<T>) with the C++ type of a dtype. Strings throw.
template <typename Fn>
decltype(auto) visit_dtype(mil::DType dtype, Fn&& fn) {
  switch (dtype) {
    case mil::DType::BOOL:
      return fn(Tag<bool>{});
    case mil::DType::INT8:
      return fn(Tag<int8_t>{});
    case mil::DType::INT16:
      return fn(Tag<int16_t>{});
    case mil::DType::INT32:
      return fn(Tag<int32_t>{});
    case mil::DType::INT64:
      return fn(Tag<int64_t>{});
    case mil::DType::UINT8:
      return fn(Tag<uint8_t>{});
    case mil::DType::UINT16:
      return fn(Tag<uint16_t>{});
    case mil::DType::UINT32:
      return fn(Tag<uint32_t>{});
    case mil::DType::UINT64:
      return fn(Tag<uint64_t>{});
    case mil::DType::FP16:
      return fn(Tag<Half>{});
    case mil::DType::BF16:
      return fn(Tag<BFloat16>{});
    case mil::DType::FP32:
      return fn(Tag<float>{});
    case mil::DType::FP64:
      return fn(Tag<double>{});
    case mil::DType::STRING:
      break;
  }
  throw mil::Error("a kernel was given a string tensor.");
}

inline bool is_float(mil::DType dtype) {
  return dtype == mil::DType::FP16 || dtype == mil::DType::BF16 || dtype == mil::DType::FP32 ||
         dtype == mil::DType::FP64;
}

}  // namespace anesdk::cpu
