#include "mil/literal.h"

#include <locale.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>

namespace anesdk::mil {
namespace {

constexpr size_t kMaxDigits = 64;  // of one number, as in anejax/mil/parse.py

struct FloatFormat {
  int exponent_bits;
  int mantissa_bits;
  int min_exponent() const { return 2 - (1 << (exponent_bits - 1)); }
  uint64_t infinity() const { return ((uint64_t{1} << exponent_bits) - 1) << mantissa_bits; }
  uint64_t sign() const { return uint64_t{1} << (exponent_bits + mantissa_bits); }
};

FloatFormat format_of(DType dtype) {
  switch (dtype) {
    case DType::FP16:
      return {5, 10};
    case DType::BF16:
      return {8, 7};
    case DType::FP32:
      return {8, 23};
    default:
      return {11, 52};
  }
}

// Round to nearest even. Adding the rounded significand to the shifted exponent lets its leading bit and any carry
// run into the exponent field, so subnormals and overflow need no case of their own.
uint64_t pack(double value, FloatFormat format) {
  if (value == 0) return 0;
  const int exponent = std::max(std::ilogb(value), format.min_exponent());
  const double significand = std::nearbyint(std::ldexp(value, format.mantissa_bits - exponent));
  const auto field = static_cast<uint64_t>(exponent - format.min_exponent()) << format.mantissa_bits;
  return field + static_cast<uint64_t>(significand);
}

double unpack(uint64_t bits, FloatFormat format) {
  const double sign = bits & format.sign() ? -1.0 : 1.0;
  const uint64_t magnitude = bits & (format.sign() - 1);
  const uint64_t mantissa = magnitude & ((uint64_t{1} << format.mantissa_bits) - 1);
  const auto exponent = static_cast<int>(magnitude >> format.mantissa_bits);
  if (magnitude >= format.infinity())
    return mantissa ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  const uint64_t significand = exponent ? mantissa | (uint64_t{1} << format.mantissa_bits) : mantissa;
  const int scale = std::max(exponent, 1) - 1 + format.min_exponent() - format.mantissa_bits;
  return sign * std::ldexp(static_cast<double>(significand), scale);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// 0x<hex>[.<hex>][p[+-]<decimal>], without a sign.
std::optional<double> parse_hex_float(std::string_view text) {
  if (text.size() < 3 || text[0] != '0' || (text[1] != 'x' && text[1] != 'X')) return std::nullopt;
  uint64_t significand = 0;
  int64_t scale = 0;
  bool point = false, digits = false, sticky = false;
  size_t i = 2;
  for (; i < text.size(); ++i) {
    if (text[i] == '.' && !point) {
      point = true;
      continue;
    }
    const int digit = hex_digit(text[i]);
    if (digit < 0) break;
    digits = true;
    if (significand >> 58) {
      sticky |= digit != 0;
      scale += point ? 0 : 4;
    } else {
      significand = significand << 4 | static_cast<uint64_t>(digit);
      scale -= point ? 4 : 0;
    }
  }
  if (!digits) return std::nullopt;
  int exponent = 0;
  if (i < text.size()) {
    if (text[i] != 'p' && text[i] != 'P') return std::nullopt;
    const bool plus = text.substr(i + 1).starts_with('+') && !text.substr(i + 1).starts_with("+-");
    i += 1 + plus;  // which from_chars does not take
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + text.size(), exponent);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  }
  constexpr int64_t kFar = 100000;  // beyond any double, and far from int's limits
  scale = std::clamp<int64_t>(scale + exponent, -kFar, kFar);
  return std::ldexp(static_cast<double>(significand | (sticky ? 1 : 0)), static_cast<int>(scale));
}

size_t digits_at(std::string_view text, size_t from) {
  const size_t end = text.find_first_not_of("0123456789", from);
  return (end == std::string_view::npos ? text.size() : end) - std::min(from, text.size());
}

bool is_decimal_float(std::string_view text) {
  size_t at = digits_at(text, 0);
  if (at == 0) return false;
  if (at < text.size() && text[at] == '.') {
    const size_t fraction = digits_at(text, at + 1);
    if (fraction == 0) return false;
    at += 1 + fraction;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    at += 1;
    at += at < text.size() && (text[at] == '+' || text[at] == '-');
    const size_t exponent = digits_at(text, at);
    if (exponent == 0) return false;
    at += exponent;
  }
  return at == text.size();
}

// <decimal>[.<decimal>][e[+-]<decimal>], without a sign. strtod follows the process's locale, which may write a comma
// for the point, and from_chars<double> is young on macOS.
std::optional<double> parse_decimal_float(std::string_view text) {
  if (!is_decimal_float(text)) return std::nullopt;
  static const locale_t c_locale = newlocale(LC_ALL_MASK, "C", nullptr);
  return strtod_l(std::string(text).c_str(), nullptr, c_locale);
}

std::string encode_float(std::string_view text, DType dtype, std::byte* out) {
  const FloatFormat format = format_of(dtype);
  const bool negative = text.starts_with('-');
  const std::string_view magnitude = text.substr(negative);
  uint64_t bits = 0;
  if (magnitude == "inf") {
    bits = format.infinity();
  } else if (text == "nan") {
    bits = format.infinity() | (uint64_t{1} << (format.mantissa_bits - 1));
  } else {
    if (text.size() > kMaxDigits) return "expected a number of at most " + std::to_string(kMaxDigits) + " characters";
    const std::optional<double> hex = parse_hex_float(magnitude);
    const std::optional<double> value = hex ? hex : parse_decimal_float(magnitude);
    if (!value) return "expected a decimal number or a C hex float, such as 1.5 or 0x1.8p+0, inf, -inf or nan";
    if (std::isinf(*value) || (bits = pack(*value, format)) >= format.infinity())
      return "the number is out of the range of " + std::string(name_of(dtype));
  }
  if (negative) bits |= format.sign();
  std::memcpy(out, &bits, size_of(dtype));  // every host we build for is little-endian
  return "";
}

template <class T>
std::string encode_integer(std::string_view text, DType dtype, std::byte* out) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range)
    return "the number is out of the range of " + std::string(name_of(dtype));
  if (error != std::errc() || end != text.data() + text.size()) return "expected a decimal integer";
  std::memcpy(out, &value, sizeof value);
  return "";
}

std::string encode_bool(std::string_view text, std::byte* out) {
  if (text != "true" && text != "false") return "expected true or false";
  *out = std::byte{text == "true"};
  return "";
}

template <class T>
T load(const std::byte* data) {
  T value;
  std::memcpy(&value, data, sizeof value);
  return value;
}

}  // namespace

bool is_float(DType dtype) { return dtype >= DType::FP16 && dtype <= DType::FP64; }
bool is_signed(DType dtype) { return dtype >= DType::INT8 && dtype <= DType::INT64; }
bool is_unsigned(DType dtype) { return dtype >= DType::UINT8 && dtype <= DType::UINT64; }

std::string encode_number(std::string_view text, DType dtype, std::byte* out) {
  switch (dtype) {
    case DType::BOOL:
      return encode_bool(text, out);
    case DType::INT8:
      return encode_integer<int8_t>(text, dtype, out);
    case DType::INT16:
      return encode_integer<int16_t>(text, dtype, out);
    case DType::INT32:
      return encode_integer<int32_t>(text, dtype, out);
    case DType::INT64:
      return encode_integer<int64_t>(text, dtype, out);
    case DType::UINT8:
      return encode_integer<uint8_t>(text, dtype, out);
    case DType::UINT16:
      return encode_integer<uint16_t>(text, dtype, out);
    case DType::UINT32:
      return encode_integer<uint32_t>(text, dtype, out);
    case DType::UINT64:
      return encode_integer<uint64_t>(text, dtype, out);
    case DType::STRING:
      return "expected a string";
    default:
      return encode_float(text, dtype, out);
  }
}

double decode_real(DType dtype, const std::byte* data) {
  uint64_t bits = 0;
  std::memcpy(&bits, data, size_of(dtype));
  return unpack(bits, format_of(dtype));
}

int64_t decode_integer(DType dtype, const std::byte* data) {
  switch (dtype) {
    case DType::INT8:
      return load<int8_t>(data);
    case DType::INT16:
      return load<int16_t>(data);
    case DType::INT32:
      return load<int32_t>(data);
    case DType::INT64:
      return load<int64_t>(data);
    case DType::UINT16:
      return load<uint16_t>(data);
    case DType::UINT32:
      return load<uint32_t>(data);
    case DType::UINT64:
      return static_cast<int64_t>(load<uint64_t>(data));
    default:
      return load<uint8_t>(data);  // BOOL and UINT8
  }
}

}  // namespace anesdk::mil
