#include "cpu/kernels/fft_run.h"

#include <algorithm>

#include "cpu/graph/thread_pool.h"
#include "cpu/kernels/shapes.h"
#include "cpu/tile/cpu_variant.h"
#include "cpu/tile/simd.h"

namespace anesdk::cpu {

ANESDK_IN_LEVELS(template <typename T>
                 bool fft_columns(const FftColumns<T>& plan, Planar<T> a, Planar<T> b, int64_t lanes);)

namespace {

template <typename T>
Planar<T> columns(const FftColumns<T>& plan, Planar<T> a, Planar<T> b, int64_t lanes) {
  static const FftColumnsFn<T> fn = ANESDK_PICK(fft_columns<T>);
  return fn(plan, a, b, lanes) ? b : a;
}

template <typename T>
void times(T& re, T& im, T by_re, T by_im) {
  const T product = re * by_re - im * by_im;
  im = re * by_im + im * by_re;
  re = product;
}

// Rows [begin, end) of x times one number per row.
template <typename T>
void scale_rows(Planar<T> x, int64_t begin, int64_t end, int64_t lanes, const std::vector<T>& re,
                const std::vector<T>& im) {
  for (int64_t k = begin; k < end; ++k) {
    const T by_re = re[static_cast<size_t>(k)], by_im = im[static_cast<size_t>(k)];
    for (int64_t at = k * lanes; at < (k + 1) * lanes; ++at) times(x.re[at], x.im[at], by_re, by_im);
  }
}

template <typename T>
void negate(T* x, int64_t count) {
  for (int64_t i = 0; i < count; ++i) x[i] = -x[i];
}

// Bluestein's algorithm around `transform`, which transforms the circle's rows and returns where they are.
template <typename T, typename Transform>
Planar<T> convolve(const FftPlan<T>& plan, Planar<T> x, int64_t lanes, Transform&& transform) {
  const int64_t n = plan.n, size = plan.circle->n;
  scale_rows(x, 0, n, lanes, plan.chirp_re, plan.chirp_im);
  std::fill(x.re + n * lanes, x.re + size * lanes, T{0});
  std::fill(x.im + n * lanes, x.im + size * lanes, T{0});
  x = transform(x);
  scale_rows(x, 0, size, lanes, plan.kernel_re, plan.kernel_im);
  negate(x.im, size * lanes);  // the inverse is the conjugate of the transform of the conjugate
  x = transform(x);
  negate(x.im, n * lanes);
  scale_rows(x, 0, n, lanes, plan.chirp_re, plan.chirp_im);
  return x;
}

template <typename T>
constexpr int64_t kLine = 64 / static_cast<int64_t>(sizeof(T));  // numbers in a cache line

template <typename T>
Planar<T> part(Planar<T> x, int64_t offset) {
  return {x.re + offset, x.im + offset};
}

// Two buffers of rows x kLine numbers, of the calling thread's own.
template <typename T>
std::pair<Planar<T>, Planar<T>> tiles(int64_t rows) {
  const int64_t size = rows * kLine<T>;
  T* memory = static_cast<T*>(ThreadPool::scratch(static_cast<size_t>(4 * size) * sizeof(T)));
  return {{memory, memory + size}, {memory + 2 * size, memory + 3 * size}};
}

// dst[r * dst_row + c * dst_column] = src[r * src_row + c * src_column], for both parts.
template <typename T>
void copy(Planar<T> dst, int64_t dst_row, int64_t dst_column, Planar<T> src, int64_t src_row, int64_t src_column,
          int64_t rows, int64_t cols) {
  const CopyPlaneFn plane = simd().copy_plane(sizeof(T));
  plane(dst.re, dst_row, dst_column, src.re, src_row, src_column, rows, cols);
  plane(dst.im, dst_row, dst_column, src.im, src_row, src_column, rows, cols);
}

// Bailey's four steps (1990, "FFTs in external or hierarchical memory"): x as a first.n x second.n matrix; columns
// transformed, each element turned by exp(-2 pi i k j / n), rows transformed, the matrix transposed.
template <typename T>
void four_steps(const FftPlan<T>& plan, Planar<T> x, Planar<T> work) {
  const int64_t n1 = plan.first.n, n2 = plan.second.n;
  auto& pool = ThreadPool::instance();
  pool.parallel_for(ceil_div(n2, kLine<T>), 1, [&](int64_t begin, int64_t end) {
    const auto [a, b] = tiles<T>(n1);
    for (int64_t j = begin * kLine<T>; j < std::min(end * kLine<T>, n2); j += kLine<T>) {
      const int64_t lanes = std::min(kLine<T>, n2 - j);
      copy(a, lanes, 1, part(x, j), n2, 1, n1, lanes);
      const Planar<T> done = columns(plan.first, a, b, lanes);
      for (int64_t k = 0; k < n1; ++k) {
        const T *c = plan.cosines.data() + k * n2 + j, *s = plan.sines.data() + k * n2 + j;
        for (int64_t l = 0; l < lanes; ++l) times(done.re[k * lanes + l], done.im[k * lanes + l], c[l], s[l]);
      }
      copy(part(work, j), n2, 1, done, lanes, 1, n1, lanes);
    }
  });
  pool.parallel_for(ceil_div(n1, kLine<T>), 1, [&](int64_t begin, int64_t end) {
    const auto [a, b] = tiles<T>(n2);
    for (int64_t k = begin * kLine<T>; k < std::min(end * kLine<T>, n1); k += kLine<T>) {
      const int64_t lanes = std::min(kLine<T>, n1 - k);
      copy(a, lanes, 1, part(work, k * n2), 1, n2, n2, lanes);
      const Planar<T> done = columns(plan.second, a, b, lanes);
      copy(part(x, k), n1, 1, done, lanes, 1, n2, lanes);
    }
  });
}

}  // namespace

template <typename T>
Planar<T> transform_columns(const FftPlan<T>& plan, Planar<T> a, Planar<T> b, int64_t lanes) {
  if (!plan.is_bluestein()) return columns(plan.whole, a, b, lanes);
  return convolve(plan, a, lanes,
                  [&](Planar<T> x) { return columns(plan.circle->whole, x, x.re == a.re ? b : a, lanes); });
}

template <typename T>
void transform_line(const FftPlan<T>& plan, Planar<T> x, Planar<T> work) {
  if (!plan.is_bluestein()) return four_steps(plan, x, work);
  convolve(plan, x, 1, [&](Planar<T> line) {
    four_steps(*plan.circle, line, work);
    return line;
  });
}

template <typename T>
void transform_once(const FftPlan<T>& plan, Planar<T> x) {
  const auto points = static_cast<size_t>(buffer_points(plan));
  std::vector<T> re(points), im(points);
  const Planar<T> work{re.data(), im.data()};
  if (!takes_columns(plan)) return transform_line(plan, x, work);
  const Planar<T> done = transform_columns(plan, x, work, 1);
  if (done.re == x.re) return;
  std::copy_n(done.re, plan.n, x.re);
  std::copy_n(done.im, plan.n, x.im);
}

#define ANESDK_INSTANTIATE(T)                                                             \
  template Planar<T> transform_columns(const FftPlan<T>&, Planar<T>, Planar<T>, int64_t); \
  template void transform_line(const FftPlan<T>&, Planar<T>, Planar<T>);                  \
  template void transform_once(const FftPlan<T>&, Planar<T>);
ANESDK_INSTANTIATE(float)
ANESDK_INSTANTIATE(double)
#undef ANESDK_INSTANTIATE

}  // namespace anesdk::cpu
