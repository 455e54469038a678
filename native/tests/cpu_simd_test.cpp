// The vector functions of every instruction set that this processor has, against the C library in double.
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "check.h"
#include "cpu/tile/cpu_variant.h"
#include "cpu/tile/simd.h"

namespace anesdk::cpu {
ANESDK_IN_LEVELS(extern const SimdTable kTable;)
}

namespace {

using namespace anesdk::cpu;

std::vector<const SimdTable*> tables() {
  std::vector<const SimdTable*> out;
#define ANESDK_TABLE(level, runs, ...) \
  if (runs) out.push_back(&level::kTable);
  ANESDK_LEVELS(ANESDK_TABLE, )
#undef ANESDK_TABLE
  return out;
}

std::vector<float> arguments() {
  std::vector<float> out = {0.0f,     -0.0f,  1.0f,    -1.0f,   1e-45f,   -1e-45f,   1e-38f, 3.4e38f,
                            -3.4e38f, 88.73f, -103.9f, -104.5f, INFINITY, -INFINITY, NAN};
  for (int i = -40000; i <= 40000; ++i) out.push_back(static_cast<float>(i) * 0.00275f);
  for (int i = -20000; i <= 20000; ++i) out.push_back(static_cast<float>(i) * 1e-4f);
  std::mt19937 random(1);
  for (int i = 0; i < 100000; ++i) {
    const uint32_t bits = random();
    float x;
    std::memcpy(&x, &bits, sizeof x);
    out.push_back(x);
  }
  return out;
}

// Units in the last place between a float32 and the exact value; 1e9 when one of them alone is special.
double ulps(float got, double want) {
  const float rounded = static_cast<float>(want);
  if (std::isnan(got) || std::isnan(rounded)) return std::isnan(got) && std::isnan(rounded) ? 0.0 : 1e9;
  if (std::isinf(rounded) || std::isinf(got)) {
    if (got == rounded) return 0.0;
    return std::fabs(want) > 3.40282e38 && std::fabs(got) > 3.40282e38f ? 1.0 : 1e9;
  }
  const double unit = std::nextafter(std::fabs(rounded), INFINITY) - std::fabs(rounded);
  return std::fabs(static_cast<double>(got) - want) / unit;
}

void check_unary(MapOp op, double (*exact)(double)) {
  const std::vector<float> x = arguments();
  std::vector<float> y(x.size());
  for (const SimdTable* table : tables()) {
    const void* src[] = {x.data()};
    table->map(op, DType::FP32, 0)(y.data(), src, static_cast<int64_t>(x.size()), 0);
    double worst = 0.0;
    float at = 0.0f;
    for (size_t i = 0; i < x.size(); ++i) {
      const double e = ulps(y[i], exact(static_cast<double>(x[i])));
      if (e > worst) worst = e, at = x[i];
    }
    if (worst > 2.0) {
      anesdk::test::report(
          __FILE__, __LINE__,
          std::string(row_of(op).name) + " is " + std::to_string(worst) + " ulp off at " + std::to_string(at));
    }
  }
}

double logistic(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
double rsqrt(double x) { return 1 / std::sqrt(x); }

}  // namespace

TEST(cpu_functions_within_two_ulp) {
  check_unary(MapOp::EXP, std::exp);
  check_unary(MapOp::EXP2, std::exp2);
  check_unary(MapOp::LOG, std::log);
  check_unary(MapOp::LOG2, std::log2);
  check_unary(MapOp::LOG1P, std::log1p);
  check_unary(MapOp::EXPM1, std::expm1);
  check_unary(MapOp::TANH, std::tanh);
  check_unary(MapOp::LOGISTIC, logistic);
  check_unary(MapOp::ERF, std::erf);
  check_unary(MapOp::SIN, std::sin);
  check_unary(MapOp::COS, std::cos);
  check_unary(MapOp::SQRT, std::sqrt);
  check_unary(MapOp::RSQRT, rsqrt);
}

TEST(cpu_power_within_two_ulp) {
  std::mt19937 random(2);
  std::uniform_real_distribution<float> exponent(-90.0f, 90.0f), power(-3.0f, 3.0f);
  std::vector<float> x, y;
  for (int i = 0; i < 50000; ++i) {
    x.push_back(std::exp(exponent(random)));
    y.push_back(power(random));
  }
  for (float s : {0.0f, -0.0f, 1.0f, -1.0f, -2.5f, INFINITY, -INFINITY, NAN}) {
    for (float t : {0.0f, 1.0f, -1.0f, 2.0f, 0.5f, 3.0f, INFINITY, -INFINITY, NAN}) {
      x.push_back(s);
      y.push_back(t);
    }
  }
  std::vector<float> z(x.size());
  for (const SimdTable* table : tables()) {
    const void* src[] = {x.data(), y.data()};
    table->map(MapOp::POW, DType::FP32, 0)(z.data(), src, static_cast<int64_t>(x.size()), 0);
    for (size_t i = 0; i < x.size(); ++i) {
      CHECK(ulps(z[i], std::pow(static_cast<double>(x[i]), static_cast<double>(y[i]))) <= 2.0);
    }
  }
}

TEST(cpu_sums_keep_their_bound) {
  constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (int64_t n : {1, 7, 64, 1000, 4096, 100003, 1000000}) {
    for (const bool constant : {true, false}) {
      std::vector<float> x(static_cast<size_t>(n));
      double exact = 0.0, magnitude = 0.0;
      for (float& v : x) {
        v = constant ? 0.1f : normal(random);
        exact += v;
        magnitude += std::fabs(v);
      }
      for (const SimdTable* table : tables()) {
        float sum = 0.0f;
        table->reduce_row(ReduceOp::SUM, DType::FP32)(&sum, x.data(), n);
        CHECK(std::fabs(sum - exact) <= 8 * std::sqrt(static_cast<double>(n)) * kEpsilon * magnitude);
      }
    }
  }
}

TEST(cpu_integer_sums_are_exact_at_every_length) {
  std::vector<int32_t> x(130);
  std::vector<int8_t> y(130);
  for (int i = 0; i < 130; ++i) x[i] = i * 7919 - 60000, y[i] = static_cast<int8_t>(i * 37);
  for (const SimdTable* table : tables()) {
    int32_t want = 0;
    int8_t want_short = 0;
    for (int n = 0; n < 130; ++n) {
      int32_t sum = -1;
      int8_t sum_short = -1;
      table->reduce_row(ReduceOp::SUM, DType::INT32)(&sum, x.data(), n);
      table->reduce_row(ReduceOp::SUM, DType::INT8)(&sum_short, y.data(), n);
      CHECK_EQ(sum, want);
      CHECK_EQ(static_cast<int>(sum_short), static_cast<int>(want_short));
      want += x[n];
      want_short = static_cast<int8_t>(want_short + y[n]);
    }
  }
}

TEST(cpu_extrema_propagate_nan) {
  for (const SimdTable* table : tables()) {
    for (size_t at : {0u, 5u, 63u, 64u, 299u}) {
      std::vector<float> x(300, 1.0f);
      x[at] = NAN;
      float most = 0.0f, least = 0.0f;
      table->reduce_row(ReduceOp::MAX, DType::FP32)(&most, x.data(), 300);
      table->reduce_row(ReduceOp::MIN, DType::FP32)(&least, x.data(), 300);
      CHECK(std::isnan(most) && std::isnan(least));
    }
  }
}
