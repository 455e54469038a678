// The operation aj_fft: Fourier transforms over the trailing axes, of complex numbers as two arrays.
#include "cpu/kernels/fft.h"

#include <algorithm>

#include "cpu/kernels/entries.h"
#include "cpu/kernels/fft_run.h"
#include "cpu/kernels/shapes.h"
#include "cpu/tile/simd.h"
#include "mil/opset.h"

namespace anesdk::cpu {
namespace {

constexpr size_t kAlignment = 64;

// One axis of an array of `outer` x axis x `inner` elements.
template <typename T>
struct Pass {
  std::shared_ptr<const FftPlan<T>> plan;
  int64_t outer, inner;
  int64_t read, written;  // points of the axis in source and destination; the rest follows from symmetry
  T scale;

  int64_t lines() const { return outer * inner; }
};

template <typename T>
size_t bytes_of(int64_t elements) {
  return (static_cast<size_t>(elements) * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
}

template <typename T>
Planar<T> planar_at(void* memory, int64_t elements) {
  auto* first = static_cast<std::byte*>(memory);
  return {reinterpret_cast<T*>(first), reinterpret_cast<T*>(first + bytes_of<T>(elements))};
}

// Copies the same place of lines [line, line + count) between an array and a matrix of columns.
template <typename T>
void move(const Pass<T>& pass, T* array, int64_t axis, T* columns, int64_t lanes, int64_t line, int64_t count,
          int64_t points, bool load) {
  const CopyPlaneFn plane = simd().copy_plane(sizeof(T));
  for (int64_t done = 0; done < count;) {
    const int64_t outer = (line + done) / pass.inner, inner = (line + done) % pass.inner;
    const int64_t together = pass.inner == 1 ? count - done : std::min(count - done, pass.inner - inner);
    T* first = array + outer * axis * pass.inner + inner;
    const int64_t apart = pass.inner == 1 ? axis : 1;  // from line to line
    if (load) {
      plane(columns + done, lanes, 1, first, pass.inner, apart, points, together);
    } else {
      plane(first, pass.inner, apart, columns + done, lanes, 1, points, together);
    }
    done += together;
  }
}

// Columns from the array: absent imaginary parts are 0, and points past `read` are X[n - k] = conj(X[k]), where real
// and imaginary parts have changed places for the inverse.
template <typename T>
void load(const Pass<T>& pass, Planar<const T> from, Planar<T> to, int64_t lanes, int64_t line, int64_t count) {
  const int64_t n = pass.plan->n;
  for (const auto& [source, target] : {std::pair{from.re, to.re}, std::pair{from.im, to.im}}) {
    if (source) {
      move(pass, const_cast<T*>(source), pass.read, target, lanes, line, count, pass.read, true);
    } else {
      std::fill_n(target, n * lanes, T{0});
    }
  }
  for (int64_t k = pass.read; k < n; ++k) {
    const T *re = to.re + (n - k) * lanes, *im = to.im + (n - k) * lanes;
    std::transform(re, re + lanes, to.re + k * lanes, std::negate<>());
    std::copy_n(im, lanes, to.im + k * lanes);
  }
}

template <typename T>
void store(const Pass<T>& pass, Planar<T> from, Planar<T> to, int64_t lanes, int64_t line, int64_t count) {
  for (const auto& [source, target] : {std::pair{from.re, to.re}, std::pair{from.im, to.im}}) {
    if (!target) continue;
    if (pass.scale != T{1}) {
      for (int64_t i = 0; i < pass.written * lanes; ++i) source[i] *= pass.scale;
    }
    move(pass, target, pass.written, source, lanes, line, count, pass.written, false);
  }
}

// Many lines: matrices of columns, spread over the threads.
template <typename T>
void run_columns(const Pass<T>& pass, Planar<const T> from, Planar<T> to, ThreadPool& pool) {
  const int64_t rows = buffer_points(*pass.plan), lines = pass.lines();
  const int64_t lanes = std::min(lines, std::max(64 / static_cast<int64_t>(sizeof(T)), 2048 / rows));
  pool.parallel_for(ceil_div(lines, lanes), ceil_div(4096, rows * lanes), [&](int64_t begin, int64_t end) {
    const int64_t size = rows * lanes;
    void* memory = ThreadPool::scratch(4 * bytes_of<T>(size));
    const Planar<T> a = planar_at<T>(memory, size);
    const Planar<T> b = planar_at<T>(static_cast<std::byte*>(memory) + 2 * bytes_of<T>(size), size);
    for (int64_t tile = begin; tile < end; ++tile) {
      const int64_t line = tile * lanes, count = std::min(lanes, lines - line);
      load(pass, from, a, count, line, count);
      store(pass, transform_columns(*pass.plan, a, b, count), to, count, line, count);
    }
  });
}

// Few long lines: one after the other, each by all threads.
template <typename T>
void run_lines(const Pass<T>& pass, Planar<const T> from, Planar<T> to, void* workspace) {
  const int64_t points = buffer_points(*pass.plan);
  const Planar<T> x = planar_at<T>(workspace, points);
  const Planar<T> work = planar_at<T>(static_cast<std::byte*>(workspace) + 2 * bytes_of<T>(points), points);
  for (int64_t line = 0; line < pass.lines(); ++line) {
    load(pass, from, x, 1, line, 1);
    transform_line(*pass.plan, x, work);
    store(pass, x, to, 1, line, 1);
  }
}

template <typename T>
class Fft final : public Kernel {
 public:
  Fft(const mil::Function& function, const mil::Op& op) {
    const auto name = op.schema->name;
    const std::string kind = function.text(op, "kind");
    real_in_ = kind == "rfft";
    real_out_ = kind == "irfft";
    inverse_ = real_out_ || kind == "ifft";
    inputs_ = function.find(op, "values")->values;
    const std::vector<int64_t> lengths = function.ints(op, "lengths");
    expect(inputs_.size() == (real_in_ ? 1U : 2U) && op.results.size() == (real_out_ ? 1U : 2U), name,
           "expected parts as " + kind + " takes and gives them.");
    const auto& in = function.values[inputs_[0]].type.shape;
    const auto& out = function.values[op.results[0]].type.shape;
    expect(!lengths.empty() && lengths.size() <= in.size(), name, "expected a length per trailing axis.");
    make_passes(lengths, in, out);
    half_ = real_out_ && passes_.size() > 1 ? product(in) : 0;
    workspace_bytes_ = 2 * bytes_of<T>(half_);
    size_t line_bytes = 0;
    for (const auto& pass : passes_) {
      if (!takes_columns(*pass.plan)) line_bytes = std::max(line_bytes, 4 * bytes_of<T>(buffer_points(*pass.plan)));
    }
    workspace_bytes_ += line_bytes;
    empty_ = product(out) == 0;
  }

  void run(const void* const* inputs, void* const* outputs, void* workspace, ThreadPool& pool) const override {
    if (empty_) return;
    Planar<const T> from{static_cast<const T*>(inputs[0]), real_in_ ? nullptr : static_cast<const T*>(inputs[1])};
    const Planar<T> out{static_cast<T*>(outputs[0]), real_out_ ? nullptr : static_cast<T*>(outputs[1])};
    const Planar<T> between = half_ ? planar_at<T>(workspace, half_) : out;
    void* lines = static_cast<std::byte*>(workspace) + 2 * bytes_of<T>(half_);
    for (size_t i = 0; i < passes_.size(); ++i) {
      const Planar<T> to = i + 1 == passes_.size() ? out : between;
      run_pass(passes_[i], from, to, lines, pool);
      from = {to.re, to.im};
    }
  }

 private:
  // The inverse transform is the forward one with the parts exchanged before and after.
  void run_pass(const Pass<T>& pass, Planar<const T> from, Planar<T> to, void* lines, ThreadPool& pool) const {
    if (inverse_) {
      std::swap(from.re, from.im);
      std::swap(to.re, to.im);
    }
    if (takes_columns(*pass.plan)) {
      run_columns(pass, from, to, pool);
    } else {
      run_lines(pass, from, to, lines);
    }
  }

  // The last axis first, or last when the result is real, so that every other transform sees the short axis.
  void make_passes(const std::vector<int64_t>& lengths, const mil::Shape& in, const mil::Shape& out) {
    const size_t lead = in.size() - lengths.size();
    const auto& narrow = real_out_ ? in : out;
    for (size_t i = lengths.size(); i-- > 0;) {
      const bool last = i + 1 == lengths.size();
      const int64_t inner = product(std::span(narrow).subspan(lead + i + 1));
      const int64_t outer = product(std::span(narrow).first(lead + i));
      const int64_t n = lengths[i];
      const T scale = inverse_ ? T{1} / static_cast<T>(n) : T{1};
      const bool few = outer * inner < 64 / static_cast<int64_t>(sizeof(T));
      passes_.push_back({fft_plan<T>(n, few), outer, inner, last ? in[lead + i] : n, last ? out[lead + i] : n, scale});
    }
    if (real_out_) std::rotate(passes_.begin(), passes_.begin() + 1, passes_.end());
  }

  std::vector<Pass<T>> passes_;
  bool real_in_ = false, real_out_ = false, inverse_ = false, empty_ = false;
  int64_t half_ = 0;
};

std::unique_ptr<const Kernel> prepare(const mil::Function& function, const mil::Op& op) {
  const auto dtype = function.values[function.find(op, "values")->values.at(0)].type.dtype;
  if (dtype == mil::DType::FP32) return std::make_unique<Fft<float>>(function, op);
  return std::make_unique<Fft<double>>(function, op);
}

}  // namespace

std::span<const KernelEntry> fft_entries() {
  static constexpr KernelEntry entries[] = {{"aj_fft", prepare}};
  return entries;
}

}  // namespace anesdk::cpu
