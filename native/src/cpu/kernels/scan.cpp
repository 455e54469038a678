// The operations aj_cumsum, aj_cumprod, aj_cummax, aj_cummin, aj_cumlogsumexp and cumsum.
#include <algorithm>
#include <cmath>

#include "cpu/kernels/entries.h"
#include "cpu/kernels/numeric.h"
#include "cpu/kernels/shapes.h"
#include "mil/opset.h"

namespace anesdk::cpu {
namespace {

enum class ScanOp { SUM, PROD, MAX, MIN, LOGSUMEXP };

template <ScanOp op, typename C>
C scanned(C a, C b) {
  if constexpr (op == ScanOp::SUM) return wrapping_add(a, b);
  if constexpr (op == ScanOp::PROD) return wrapping_mul(a, b);
  if constexpr (op == ScanOp::MAX) return max_of(a, b);
  if constexpr (op == ScanOp::MIN) return min_of(a, b);
  if constexpr (op == ScanOp::LOGSUMEXP) {
    if (a == b) return a + static_cast<C>(0.69314718055994530942);  // infinities too
    return max_of(a, b) + std::log1p(std::exp(-std::abs(a - b)));
  }
}

struct ScanSpec {
  ScanOp op = ScanOp::SUM;
  mil::DType dtype = mil::DType::FP32;
  int64_t outer = 1, count = 0, inner = 1;
  bool reverse = false, exclusive = false;
};

constexpr int64_t kColumns = 256;  // scanned together: their running values fit in the first-level cache

// One block of columns: elements start + j * inner + i.
template <ScanOp op, typename C, typename T>
void scan_block(const ScanSpec& spec, int64_t start, int64_t columns, const T* in, T* out) {
  const auto widen = [](T x) { return static_cast<C>(static_cast<Compute<T>>(x)); };
  const auto narrow = [](C x) { return static_cast<T>(static_cast<Compute<T>>(x)); };
  C running[kColumns] = {};
  for (int64_t step = 0; step < spec.count; ++step) {
    const int64_t j = spec.reverse ? spec.count - 1 - step : step;
    const T* from = in + start + j * spec.inner;
    T* to = out + start + j * spec.inner;
    for (int64_t i = 0; i < columns; ++i) {
      const C x = widen(from[i]), before = running[i];
      running[i] = step == 0 ? x : scanned<op>(before, x);
      to[i] = narrow(!spec.exclusive ? running[i] : step == 0 ? C{} : before);
    }
  }
}

template <ScanOp op, typename T>
void scan(const ScanSpec& spec, const T* in, T* out, ThreadPool& pool) {
  if constexpr (op == ScanOp::LOGSUMEXP && !is_real<T>) {
    throw mil::Error("[aj_cumlogsumexp] expected floats.");
  } else {
    using C = std::conditional_t<op == ScanOp::LOGSUMEXP, double, Compute<T>>;
    const int64_t blocks = ceil_div(spec.inner, kColumns);
    const int64_t work = spec.count * std::min(spec.inner, kColumns) + 1;
    pool.parallel_for(spec.outer * blocks, ceil_div(8192, work), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t column = i % blocks * kColumns;
        scan_block<op, C>(spec, i / blocks * spec.count * spec.inner + column, std::min(kColumns, spec.inner - column),
                          in, out);
      }
    });
  }
}

class Scan final : public Kernel {
 public:
  Scan(const mil::Function& function, const mil::Op& op, ScanOp scan_op) {
    const auto& x = function.value(op, "x").type;
    const auto rank = static_cast<int64_t>(x.shape.size());
    int64_t axis = function.find(op, "axis") ? function.integer(op, "axis") : 0;
    if (axis < 0) axis += rank;
    expect(axis >= 0 && axis < rank, op.schema->name, "expected an axis of " + x.str() + ".");
    expect(x.dtype != mil::DType::BOOL, op.schema->name, "expected numbers, got bool.");
    const auto flag = [&](const char* name) { return function.find(op, name) && function.boolean(op, name); };
    spec_.op = scan_op;
    spec_.dtype = x.dtype;
    spec_.reverse = flag("reverse");
    spec_.exclusive = flag("exclusive");
    spec_.outer = product(std::span(x.shape).first(static_cast<size_t>(axis)));
    spec_.count = x.shape[static_cast<size_t>(axis)];
    spec_.inner = product(std::span(x.shape).subspan(static_cast<size_t>(axis) + 1));
    inputs_ = {function.find(op, "x")->values.at(0)};
  }

  bool may_alias(size_t, size_t) const override { return true; }  // every element is read before it is written

  void run(const void* const* inputs, void* const* outputs, void*, ThreadPool& pool) const override {
    if (spec_.outer * spec_.count * spec_.inner == 0) return;
    visit_dtype(spec_.dtype, [&]<typename T>(Tag<T>) {
      const T* in = static_cast<const T*>(inputs[0]);
      T* out = static_cast<T*>(outputs[0]);
      if constexpr (!std::is_same_v<T, bool>) {
        switch (spec_.op) {
          case ScanOp::SUM:
            return scan<ScanOp::SUM>(spec_, in, out, pool);
          case ScanOp::PROD:
            return scan<ScanOp::PROD>(spec_, in, out, pool);
          case ScanOp::MAX:
            return scan<ScanOp::MAX>(spec_, in, out, pool);
          case ScanOp::MIN:
            return scan<ScanOp::MIN>(spec_, in, out, pool);
          case ScanOp::LOGSUMEXP:
            return scan<ScanOp::LOGSUMEXP>(spec_, in, out, pool);
        }
      }
    });
  }

 private:
  ScanSpec spec_;
};

template <ScanOp scan_op>
std::unique_ptr<const Kernel> prepare(const mil::Function& function, const mil::Op& op) {
  return std::make_unique<Scan>(function, op, scan_op);
}

}  // namespace

std::span<const KernelEntry> scan_entries() {
  static constexpr KernelEntry entries[] = {
      {"aj_cumsum", prepare<ScanOp::SUM>}, {"aj_cumprod", prepare<ScanOp::PROD>},
      {"aj_cummax", prepare<ScanOp::MAX>}, {"aj_cummin", prepare<ScanOp::MIN>},
      {"cumsum", prepare<ScanOp::SUM>},    {"aj_cumlogsumexp", prepare<ScanOp::LOGSUMEXP>},
  };
  return entries;
}

}  // namespace anesdk::cpu
