// Float32 functions that vectorise: straight-line code, no calls, within 2 ulp. Included only by *_simd.cpp files, once
// per instruction set, hence the namespace. Functions of double are accurate enough for a float32 result, no more.
#pragma once

#include <cstdint>
#include <cstring>

namespace anesdk::cpu::ANESDK_SIMD_NS {

template <class To, class From>
inline To bits_as(From from) {
  To to;
  static_assert(sizeof to == sizeof from);
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}

inline constexpr float kInf = __builtin_inff();
inline constexpr float kRoundFloat = 12582912.0f;           // 1.5 * 2^23: adding it rounds to an integer
inline constexpr double kRoundDouble = 6755399441055744.0;  // 1.5 * 2^52

// x * y + z, in one rounding where the processor has it.
inline float madd(float x, float y, float z) {
#if defined(__FMA__) || defined(__aarch64__)
  return __builtin_fmaf(x, y, z);
#else
  return x * y + z;
#endif
}
inline double madd(double x, double y, double z) {
#if defined(__FMA__) || defined(__aarch64__)
  return __builtin_fma(x, y, z);
#else
  return x * y + z;
#endif
}

// 2^n for a float holding an integer in [-126, 127].
inline float pow2(int32_t n) { return bits_as<float>((n + 127) << 23); }

// y * 2^n with n in [-252, 254], in two steps so that the result may be denormal or overflow.
inline float scale(float y, float n) {
  const int32_t i = static_cast<int32_t>(n);
  const int32_t half = i >> 1;
  return y * pow2(half) * pow2(i - half);
}

// exp(r) for |r| <= ln2 / 2.
inline float exp_core(float r) {
  float p = 1.9875691500e-4f;
  p = madd(p, r, 1.3981999507e-3f);
  p = madd(p, r, 8.3334519073e-3f);
  p = madd(p, r, 4.1665795894e-2f);
  p = madd(p, r, 1.6666665459e-1f);
  p = madd(p, r, 5.0000001201e-1f);
  return madd(p, r * r, r) + 1.0f;
}

inline float clamp_exponent(float x, float low, float high) {
  x = x < low ? low : x;  // false for NaN, which goes through
  return x > high ? high : x;
}

inline float exp_f(float x) {
  const float c = clamp_exponent(x, -104.0f, 89.0f);
  const float n = madd(c, 1.44269504f, kRoundFloat) - kRoundFloat;
  const float r = madd(n, 2.12194440e-4f, madd(n, -0.693359375f, c));
  const float y = scale(exp_core(r), n == n ? n : 0.0f);
  return y;
}

inline float exp2_f(float x) {
  const float c = clamp_exponent(x, -151.0f, 129.0f);
  const float n = (c + kRoundFloat) - kRoundFloat;
  return scale(exp_core((c - n) * 0.693147181f), n == n ? n : 0.0f);
}

inline float log_f(float x) {
  const bool denormal = x < 1.17549435e-38f;
  const float scaled = denormal ? x * 8388608.0f : x;
  const uint32_t bits = bits_as<uint32_t>(scaled);
  // m in [sqrt(1/2), sqrt(2))
  const int32_t e = static_cast<int32_t>(bits - 0x3f3504f3u) >> 23;
  const float m = bits_as<float>(bits - (static_cast<uint32_t>(e) << 23)) - 1.0f;
  const float exponent = static_cast<float>(e) - (denormal ? 23.0f : 0.0f);
  const float z = m * m;
  float p = 7.0376836292e-2f;
  p = madd(p, m, -1.1514610310e-1f);
  p = madd(p, m, 1.1676998740e-1f);
  p = madd(p, m, -1.2420140846e-1f);
  p = madd(p, m, 1.4249322787e-1f);
  p = madd(p, m, -1.6668057665e-1f);
  p = madd(p, m, 2.0000714765e-1f);
  p = madd(p, m, -2.4999993993e-1f);
  p = madd(p, m, 3.3333331174e-1f);
  float y = p * m * z - 2.12194440e-4f * exponent - 0.5f * z;
  y = m + y + 0.693359375f * exponent;
  y = x == kInf ? kInf : y;
  y = x == 0.0f ? -kInf : y;
  return x >= 0.0f ? y : __builtin_nanf("");
}

inline float abs_f(float x) { return bits_as<float>(bits_as<uint32_t>(x) & 0x7fffffffu); }
inline float sign_of(float magnitude, float sign) {
  return bits_as<float>((bits_as<uint32_t>(magnitude) & 0x7fffffffu) | (bits_as<uint32_t>(sign) & 0x80000000u));
}

inline float tanh_f(float x) {
  const float a = abs_f(x);
  const float z = x * x;
  float p = -5.70498872745e-3f;
  p = madd(p, z, 2.06390887954e-2f);
  p = madd(p, z, -5.37397155531e-2f);
  p = madd(p, z, 1.33314422036e-1f);
  p = madd(p, z, -3.33332819422e-1f);
  const float small = sign_of(p * z * x + x, x);  // -0 stays
  const float large = sign_of(1.0f - 2.0f / (exp_f(2.0f * a) + 1.0f), x);
  return a < 0.625f ? small : (a == a ? large : x);
}

inline float logistic_f(float x) {
  const float e = exp_f(-abs_f(x));
  const float sum = 1.0f + e, lost = e - (sum - 1.0f);
  const float y = (x < 0.0f ? e : 1.0f) / sum;
  return y - y * lost * (1.457f - 0.5f * sum);  // what the sum lost, times about 1 / sum
}

// ---- double inside -------------------------------------------------------------------------------------------------

inline double exp_d(double x) {
  x = x < -708.0 ? -708.0 : x;
  x = x > 709.0 ? 709.0 : x;
  const double shifted = madd(x, 1.4426950408889634, kRoundDouble);
  const double n = shifted - kRoundDouble;
  const double r = madd(n, -1.90821492927058770002e-10, madd(n, -0.693147180369123816490, x));
  double p = 2.7557319223985893e-6;
  p = madd(p, r, 2.48015873015873e-5);
  p = madd(p, r, 1.984126984126984e-4);
  p = madd(p, r, 1.388888888888889e-3);
  p = madd(p, r, 8.333333333333333e-3);
  p = madd(p, r, 4.166666666666666e-2);
  p = madd(p, r, 1.666666666666667e-1);
  p = madd(p, r, 0.5);
  p = madd(madd(p, r, 1.0), r, 1.0);
  // the integer stands in the low bits of `shifted`
  return bits_as<double>(bits_as<uint64_t>(p) + (bits_as<uint64_t>(shifted) << 52));
}

// x normal, positive and finite.
inline double log_d(double x) {
  const uint64_t bits = bits_as<uint64_t>(x) - 0x3fe6a09e667f3bcdull;  // sqrt(1/2)
  const double e = bits_as<double>((((bits >> 52) + 2048) & 0xfff) | 0x4330000000000000ull) - 4503599627372544.0;
  const double m = bits_as<double>((bits & 0x000fffffffffffffull) + 0x3fe6a09e667f3bcdull);
  const double s = (m - 1.0) / (m + 1.0), z = s * s;
  double p = 2.0 / 17;
  p = p * z + 2.0 / 15;
  p = p * z + 2.0 / 13;
  p = p * z + 2.0 / 11;
  p = p * z + 2.0 / 9;
  p = p * z + 2.0 / 7;
  p = p * z + 2.0 / 5;
  p = p * z + 2.0 / 3;
  return e * 0.6931471805599453 + (p * z * s + 2.0 * s);
}

inline float log2_f(float x) {
  const bool ordinary = x > 0.0f && x < kInf;
  const double d = ordinary ? static_cast<double>(x) : 1.0;  // denormals of float32 are normal here
  float r = static_cast<float>(log_d(d) * 1.4426950408889634);
  r = x == kInf ? kInf : r;
  r = x == 0.0f ? -kInf : r;
  return x >= 0.0f ? r : __builtin_nanf("");
}

inline float log1p_f(float x) {
  const double d = x;
  const bool ordinary = x > -1.0f && x < kInf;
  const double y = log_d(ordinary ? 1.0 + d : 1.0);
  const float near = x - 0.5f * x * x;
  float r = abs_f(x) < 1e-5f ? near : static_cast<float>(y);
  r = x == -1.0f ? -kInf : r;
  r = x == kInf ? kInf : r;
  return x >= -1.0f ? r : __builtin_nanf("");
}

inline float expm1_f(float x) {
  const double d = x < -110.0f ? -110.0 : (x > 100.0f ? 100.0 : static_cast<double>(x));
  double p = 1.0 / 3628800;
  p = p * d + 1.0 / 362880;
  p = p * d + 1.0 / 40320;
  p = p * d + 1.0 / 5040;
  p = p * d + 1.0 / 720;
  p = p * d + 1.0 / 120;
  p = p * d + 1.0 / 24;
  p = p * d + 1.0 / 6;
  p = madd(p, d, 0.5);
  p = p * d * d + d;
  const double r = abs_f(x) < 0.4f ? p : exp_d(d) - 1.0;
  return x == x ? (x == 0.0f ? x : static_cast<float>(r)) : x;
}

inline float erf_f(float x) {
  const double a = abs_f(x) < 4.0f ? static_cast<double>(abs_f(x)) : 4.0;
  const double z = a * a, t = a - 2.5;
  double p = 1.058938064107502e-06;
  p = madd(p, z, -1.3909340021874599e-05);
  p = madd(p, z, 0.0001195656256820733);
  p = madd(p, z, -0.0008542637997087229);
  p = madd(p, z, 0.005223783477189248);
  p = madd(p, z, -0.026866133235095593);
  p = madd(p, z, 0.11283791308604582);
  p = madd(p, z, -0.3761263888963531);
  p = (p * z + 1.1283791670946768) * a;
  double q = 1.713328469523717e-08;
  q = madd(q, t, -3.5116319925678533e-07);
  q = madd(q, t, 7.357494723767418e-07);
  q = madd(q, t, 3.461528317745017e-06);
  q = madd(q, t, -1.5153995102536417e-05);
  q = madd(q, t, 7.76015756900154e-06);
  q = madd(q, t, 8.00225016283282e-05);
  q = madd(q, t, -0.0002534303815818847);
  q = madd(q, t, 0.0002598692589340108);
  q = madd(q, t, 0.0005445393425852912);
  q = madd(q, t, -0.0027982086376201164);
  q = madd(q, t, 0.00611658507158297);
  q = madd(q, t, -0.008622419844859008);
  q = madd(q, t, 0.008350212261757061);
  q = madd(q, t, -0.0054457084866670735);
  q = madd(q, t, 0.002178278477149569);
  q = madd(q, t, 0.999593047982555);
  const float y = static_cast<float>(a < 1.0 ? p : q);
  return x == x ? sign_of(y > 1.0f ? 1.0f : y, x) : x;
}

// sin(x + quarters * pi/2) for |x| < kTrigLimit; beyond it the caller uses the C library.
inline constexpr float kTrigLimit = 1e6f;

inline float sin_f(float x, uint64_t quarters) {
  const double shifted = static_cast<double>(x) * 0.63661977236758134308 + kRoundDouble;
  const double n = shifted - kRoundDouble;
  const double r = (static_cast<double>(x) - n * 1.5707963267341256) - n * 6.077100506506192e-11;
  const double z = r * r;
  const uint64_t quadrant = bits_as<uint64_t>(shifted) + quarters;
  double s = 2.755731922398589e-6;
  s = madd(s, z, -1.984126984126984e-4);
  s = madd(s, z, 8.333333333333333e-3);
  s = madd(s, z, -1.666666666666667e-1);
  s = s * z * r + r;
  double c = -2.755731922398589e-7;
  c = madd(c, z, 2.48015873015873e-5);
  c = madd(c, z, -1.388888888888889e-3);
  c = madd(c, z, 4.166666666666666e-2);
  c = madd(c, z, -0.5);
  c = madd(c, z, 1.0);
  const double y = quadrant & 1 ? c : s;
  const double signed_y = bits_as<double>(bits_as<uint64_t>(y) ^ ((quadrant & 2) << 62));
  return (quarters == 0 && x == 0.0f) ? x : static_cast<float>(signed_y);
}

// x positive, finite; y finite. Others are the caller's.
inline float pow_f(float x, float y) {
  const double l = static_cast<double>(y) * log_d(x);
  return static_cast<float>(exp_d(l));
}

}  // namespace anesdk::cpu::ANESDK_SIMD_NS
