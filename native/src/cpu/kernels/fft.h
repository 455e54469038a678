// Discrete Fourier transforms of one length: tables made once, and the vector loop that applies them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace anesdk::cpu {

// Complex numbers as two arrays.
template <typename T>
struct Planar {
  T* re = nullptr;
  T* im = nullptr;
};

// One step of Stockham's algorithm: `count` butterflies of `radix` points, each `spread` places wide.
struct FftStage {
  int radix;
  int64_t count, spread;
  size_t twiddles;  // where its (radix - 1) x count factors begin
};

constexpr std::array<int, 7> kRadices = {4, 2, 3, 5, 7, 11, 13};

// A length that factors into kRadices.
template <typename T>
struct FftColumns {
  int64_t n = 1;
  std::vector<FftStage> stages;
  std::vector<T> cosines, sines;  // exp(-2 pi i j q / (radix * count)), computed in double
};

// Transforms each column of the n x lanes matrix `a`, with `b` of the same size as the other hand. Returns whether the
// result is in `b`.
template <typename T>
using FftColumnsFn = bool (*)(const FftColumns<T>& plan, Planar<T> a, Planar<T> b, int64_t lanes);

// Everything about one length. A length of small primes is a matrix of columns, or, when long, two of them with a table
// between (Bailey's four steps); any other is a convolution of a length of small primes (Bluestein's algorithm).
template <typename T>
struct FftPlan {
  int64_t n = 1;
  FftColumns<T> whole;                    // when neither of the following
  FftColumns<T> first, second;            // long: n = first.n * second.n
  std::vector<T> cosines, sines;          // long: exp(-2 pi i k j / n) for k < first.n, j < second.n
  std::shared_ptr<const FftPlan> circle;  // Bluestein: the transform of a power of two >= 2n - 1
  std::vector<T> chirp_re, chirp_im;      // Bluestein: exp(-pi i k^2 / n)
  std::vector<T> kernel_re, kernel_im;    // Bluestein: the transform of the conjugate chirp, over circle->n

  bool is_long() const { return first.n > 1; }
  bool is_bluestein() const { return circle != nullptr; }
};

// The plan for n points, shared by all who ask while one of them lives. `prefer_long`: a signal by itself.
template <typename T>
std::shared_ptr<const FftPlan<T>> fft_plan(int64_t n, bool prefer_long);

constexpr int64_t kFftLongest = int64_t{1} << 27;  // points; tables stay below 2 GiB

}  // namespace anesdk::cpu
