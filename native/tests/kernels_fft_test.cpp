// aj_fft against the definition, summed in double.
#include <cmath>
#include <complex>
#include <numbers>

#include "kernels_test_util.h"

namespace anesdk::cpu::test {
namespace {

using Signal = std::vector<std::complex<double>>;

Signal transform(const Signal& x, double sign) {
  const auto n = static_cast<int64_t>(x.size());
  Signal out(x.size());
  for (int64_t k = 0; k < n; ++k) {
    for (int64_t i = 0; i < n; ++i) {
      const double turn = sign * 2 * std::numbers::pi * static_cast<double>(i * k % n) / static_cast<double>(n);
      out[static_cast<size_t>(k)] += x[static_cast<size_t>(i)] * std::polar(1.0, turn);
    }
  }
  return out;
}

// The Euclidean distance from what is expected, relative to its length.
double error(const Tensor& re, const Tensor& im, int64_t row, const Signal& expected) {
  double difference = 0, length = 0;
  const auto n = static_cast<int64_t>(expected.size());
  for (int64_t k = 0; k < n; ++k) {
    const auto e = expected[static_cast<size_t>(k)];
    difference += std::norm(std::complex<double>(re.get(row * n + k), im.get(row * n + k)) - e);
    length += std::norm(e);
  }
  return std::sqrt(difference / std::max(length, 1e-300));
}

// 2 eps log2 n, the bound that the kernel states; a little more for the shortest, whose logarithm is zero.
double bound(DType dtype, int64_t n) {
  return 2 * (dtype == DType::FP32 ? 0x1p-23 : 0x1p-52) * (1 + std::log2(static_cast<double>(n)));
}

TEST(kernels_fft) {
  for (const DType dtype : {DType::FP32, DType::FP64}) {
    for (const int64_t n : {1, 2, 3, 5, 8, 12, 17, 30, 64, 101, 143, 210, 256, 361}) {
      const int64_t rows = 3;
      Tensor re(dtype, {rows, n}), im(dtype, {rows, n});
      for (int64_t i = 0; i < rows * n; ++i) {
        re.set(i, std::sin(0.7 * static_cast<double>(i * i % 1009)));
        im.set(i, std::cos(1.3 * static_cast<double>(i * i % 997)));
      }
      for (const bool inverse : {false, true}) {
        const auto got = OpCase("aj_fft")
                             .text("kind", inverse ? "ifft" : "fft")
                             .ints("lengths", {n})
                             .tensors("values", {re, im})
                             .result(dtype, {rows, n})
                             .result(dtype, {rows, n})
                             .run();
        for (int64_t row = 0; row < rows; ++row) {
          Signal x;
          for (int64_t i = 0; i < n; ++i) x.emplace_back(re.get(row * n + i), im.get(row * n + i));
          Signal expected = transform(x, inverse ? 1 : -1);
          if (inverse) {
            for (auto& e : expected) e /= static_cast<double>(n);
          }
          CHECK(error(got[0], got[1], row, expected) <= bound(dtype, n));
        }
      }
    }
  }
}

}  // namespace
}  // namespace anesdk::cpu::test
