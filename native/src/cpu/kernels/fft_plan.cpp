// The tables of fft.h, computed in double precision.
#include <pthread.h>

#include <cmath>
#include <map>
#include <mutex>
#include <new>
#include <numbers>

#include "cpu/kernels/fft.h"
#include "cpu/kernels/fft_run.h"
#include "mil/error.h"

namespace anesdk::cpu {
namespace {

constexpr int64_t kLong = 4096;      // points from which a transform is split in two
constexpr int64_t kLongAlone = 256;  // the same for a signal by itself, which has no others to fill vectors with

struct Root {
  double re, im;
};

// exp(-2 pi i k / n), exact to the last place: the angle is brought into the first eighth of the circle.
Root root(int64_t k, int64_t n) {
  k %= n;
  const bool lower = 2 * k > n;
  if (lower) k = n - k;
  const bool left = 4 * k > n;
  const int64_t quarter = left ? n - 2 * k : 2 * k;  // of 2n: in [0, n / 2]
  const bool steep = 4 * quarter > n;
  const double angle =
      std::numbers::pi * static_cast<double>(steep ? n - 2 * quarter : 2 * quarter) / (2 * static_cast<double>(n));
  double re = std::cos(angle), im = std::sin(angle);
  if (steep) std::swap(re, im);
  return {left ? -re : re, lower ? im : -im};
}

// The factors of n among kRadices, and what is left of it.
std::pair<std::vector<int>, int64_t> factors(int64_t n) {
  std::vector<int> found;
  for (const int radix : kRadices) {
    for (; n % radix == 0; n /= radix) found.push_back(radix);
  }
  return {found, n};
}

template <typename T>
FftColumns<T> columns_plan(int64_t n) {
  FftColumns<T> plan;
  plan.n = n;
  int64_t rest = n, spread = 1;
  for (const int radix : factors(n).first) {
    const int64_t count = rest / radix;
    plan.stages.push_back({radix, count, spread, plan.cosines.size()});
    for (int64_t j = 1; j < radix; ++j) {
      for (int64_t q = 0; q < count; ++q) {
        const Root w = root(j * q, rest);
        plan.cosines.push_back(static_cast<T>(w.re));
        plan.sines.push_back(static_cast<T>(w.im));
      }
    }
    rest = count;
    spread *= radix;
  }
  return plan;
}

// The divisor of n nearest to its square root from below; n has small primes only.
int64_t balanced(int64_t n) {
  auto best = static_cast<int64_t>(std::sqrt(static_cast<double>(n)));
  while (best > 1 && n % best) --best;
  return best;
}

template <typename T>
void split(FftPlan<T>& plan, int64_t rows) {
  plan.first = columns_plan<T>(rows);
  plan.second = columns_plan<T>(plan.n / rows);
  plan.cosines.reserve(static_cast<size_t>(plan.n));
  plan.sines.reserve(static_cast<size_t>(plan.n));
  for (int64_t k = 0; k < plan.first.n; ++k) {
    for (int64_t j = 0; j < plan.second.n; ++j) {
      const Root w = root(k * j, plan.n);
      plan.cosines.push_back(static_cast<T>(w.re));
      plan.sines.push_back(static_cast<T>(w.im));
    }
  }
}

// Bluestein (1970): jk = (j^2 + k^2 - (k - j)^2) / 2 makes the transform a convolution with a chirp.
template <typename T>
void bluestein(FftPlan<T>& plan, bool prefer_long) {
  const int64_t n = plan.n;
  int64_t size = 1;
  while (size < 2 * n - 1) size *= 2;
  plan.circle = fft_plan<T>(size, prefer_long);
  std::vector<double> re(static_cast<size_t>(size)), im(static_cast<size_t>(size));
  int64_t square = 0;  // k^2 mod 2n
  for (int64_t k = 0; k < n; ++k) {
    const Root w = root(square, 2 * n);
    const auto at = static_cast<size_t>(k), mirrored = static_cast<size_t>(k ? size - k : 0);
    plan.chirp_re.push_back(static_cast<T>(w.re));
    plan.chirp_im.push_back(static_cast<T>(w.im));
    re[at] = re[mirrored] = w.re;
    im[at] = im[mirrored] = -w.im;
    square = (square + 2 * k + 1) % (2 * n);
  }
  transform_once(*fft_plan<double>(size, false), Planar<double>{re.data(), im.data()});
  for (size_t k = 0; k < re.size(); ++k) {  // the inverse transform's 1 / size included
    plan.kernel_re.push_back(static_cast<T>(re[k] / static_cast<double>(size)));
    plan.kernel_im.push_back(static_cast<T>(im[k] / static_cast<double>(size)));
  }
}

template <typename T>
std::shared_ptr<const FftPlan<T>> make_plan(int64_t n, bool prefer_long) {
  auto plan = std::make_shared<FftPlan<T>>();
  plan->n = n;
  if (factors(n).second > 1) {
    bluestein(*plan, prefer_long);
  } else if (n > (prefer_long ? kLongAlone : kLong) && balanced(n) > 1) {
    split(*plan, balanced(n));
  } else {
    plan->whole = columns_plan<T>(n);
  }
  return plan;
}

std::recursive_mutex& plans_mutex() {
  static auto* mutex = new std::recursive_mutex;
  return *mutex;
}

// Another thread may hold the mutex when a process forks. The child makes it anew: a recursive mutex belongs to the
// number of a thread, which the child does not have.
[[maybe_unused]] const int fork_handlers =
    pthread_atfork([] { plans_mutex().lock(); }, [] { plans_mutex().unlock(); },
                   [] { ::new (static_cast<void*>(&plans_mutex())) std::recursive_mutex; });

}  // namespace

template <typename T>
std::shared_ptr<const FftPlan<T>> fft_plan(int64_t n, bool prefer_long) {
  if (n < 1 || n > kFftLongest) {
    throw mil::Error("[aj_fft] expected signals of 1 to " + std::to_string(kFftLongest) + " points, got " +
                     std::to_string(n) + ".");
  }
  static std::map<std::pair<int64_t, bool>, std::weak_ptr<const FftPlan<T>>> known;
  const std::lock_guard lock(plans_mutex());
  auto& kept = known[{n, prefer_long}];
  auto plan = kept.lock();
  if (!plan) {
    plan = make_plan<T>(n, prefer_long);
    kept = plan;
  }
  return plan;
}

template std::shared_ptr<const FftPlan<float>> fft_plan(int64_t, bool);
template std::shared_ptr<const FftPlan<double>> fft_plan(int64_t, bool);

}  // namespace anesdk::cpu
