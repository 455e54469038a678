#include <bit>
#include <cmath>

#include "model.h"

namespace standin {

double half_value(uint16_t bits) {
  const double sign = bits & 0x8000 ? -1 : 1;
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  if (exponent == 31) return fraction ? std::nan("") : sign * INFINITY;
  return sign * (exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24));
}

double round_half(double value) {
  constexpr uint64_t kDropped = 42;  // bits of a double's fraction that a half does not have
  if (const double size = std::fabs(value); size >= 0x1p-14 && size < 65520) {
    const auto bits = std::bit_cast<uint64_t>(value);
    const uint64_t half = (uint64_t{1} << (kDropped - 1)) - 1 + (bits >> kDropped & 1);  // ties to even
    return std::bit_cast<double>((bits + half) >> kDropped << kDropped);
  }
  if (value == 0 || !std::isfinite(value)) return value;
  int exponent = 0;
  std::frexp(value, &exponent);
  const int step = std::max(exponent - 11, -24);  // 2^step is the distance of neighbours
  const double rounded = std::ldexp(std::nearbyint(std::ldexp(value, -step)), step);
  return std::fabs(rounded) > 65504 ? std::copysign(INFINITY, value) : rounded;
}

uint16_t half_bits(double value) {
  const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000 : 0);
  if (std::isnan(value)) return 0x7e00;
  const double size = std::fabs(round_half(value));
  if (std::isinf(size)) return sign | 0x7c00;
  if (size == 0) return sign;
  int exponent = 0;
  std::frexp(size, &exponent);
  if (exponent < -13) return sign | static_cast<uint16_t>(std::ldexp(size, 24));
  return sign |
         static_cast<uint16_t>((exponent + 14) << 10 | (static_cast<int>(std::ldexp(size, 11 - exponent)) - 1024));
}

}  // namespace standin
