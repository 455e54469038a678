// Sums that the engine keeps in float16: every addition rounds, in the order of the elements, so whole numbers are
// exact to 2048 only, and long sums stand still. Seen as [outer, length, inner]; neighbouring sums run side by side. A
// second sum, in float32, tells how far the first is off.
#include <algorithm>
#include <cmath>

#include "anesdk.h"
#include "cpu/steps/steps.h"
#include "cpu/tile/numerics.h"
#include "cpu/tile/simd.h"

namespace anesdk::cpu {
namespace {

constexpr int64_t kSide = 1024;  // sums of one task, where they lie side by side
constexpr int64_t kRows = 64;    // sums of one task, where their elements do
constexpr int64_t kDepth = 64;   // elements of those that are transposed at once
constexpr int64_t kWork = 16384;

// Sums side by side, at most kSide.
struct Sums {
  float* narrow;
  float *wide, *magnitudes, *magnitude;  // of the elements in float32, of what they are without sign, a place to work
  int64_t count;
};

class NarrowSumStep : public Step {
 public:
  explicit NarrowSumStep(const Node& node)
      : node_(node),
        add_(simd().map(MapOp::ADD, DType::FP32, 0)),
        abs_(simd().map(MapOp::ABS, DType::FP32, 0)),
        round_(simd().map(MapOp::ROUND_FP16, DType::FP32, 0)),
        copy_(simd().copy_plane(sizeof(float))) {}

  void run(const RunContext& context) const override {
    const auto* in = reinterpret_cast<const float*>(context.at(node_.inputs[0]));
    auto* out = context.at<float>(node_.outputs[0]);
    const bool rows = node_.inner == 1;
    const int64_t per_outer = rows ? 1 : (node_.inner + kSide - 1) / kSide;
    const int64_t tasks = rows ? (node_.outer + kRows - 1) / kRows : node_.outer * per_outer;
    const auto body = [&](int64_t begin, int64_t end) {
      auto* scratch = static_cast<float*>(ThreadPool::scratch((3 * kSide + kRows * kDepth) * sizeof(float)));
      Sums sums{nullptr, scratch, scratch + kSide, scratch + 2 * kSide, 0};
      for (int64_t t = begin; t < end; ++t) {
        const int64_t outer = rows ? t * kRows : t / per_outer, first = rows ? 0 : t % per_outer * kSide;
        const float* from = in + outer * node_.length * node_.inner + first;
        sums.narrow = out + outer * node_.inner + first;
        sums.count = rows ? std::min(kRows, node_.outer - outer) : std::min(kSide, node_.inner - first);
        for (float* s : {sums.narrow, sums.wide, sums.magnitudes}) std::fill_n(s, sums.count, 0.0f);
        rows ? add_rows(from, sums, scratch + 3 * kSide) : add_columns(from, sums);
        for (int64_t i = 0; i < sums.count; ++i) note(sums, i);
      }
    };
    const int64_t each = std::max<int64_t>(1, node_.length * (rows ? kRows : std::min(kSide, node_.inner)));
    const int64_t grain = std::max<int64_t>(1, kWork / each);
    if (tasks <= grain) return body(0, tasks);
    context.pool.parallel_for(tasks, grain, body);
  }

  std::string describe() const override {
    return "narrow sum of axis 1 of " + list({node_.outer, node_.length, node_.inner});
  }

 private:
  static void apply(MapFn fn, float* to, const float* x, const float* y, int64_t count) {
    const void* both[] = {x, y};
    fn(to, both, count, 0);
  }

  void add(const float* more, const Sums& s) const {
    apply(add_, s.narrow, s.narrow, more, s.count);
    apply(round_, s.narrow, s.narrow, nullptr, s.count);
    apply(add_, s.wide, s.wide, more, s.count);
    apply(abs_, s.magnitude, more, nullptr, s.count);
    apply(add_, s.magnitudes, s.magnitudes, s.magnitude, s.count);
  }

  void add_columns(const float* from, const Sums& sums) const {
    for (int64_t l = 0; l < node_.length; ++l) add(from + l * node_.inner, sums);
  }

  void add_rows(const float* from, const Sums& sums, float* turned) const {
    for (int64_t begin = 0; begin < node_.length; begin += kDepth) {
      const int64_t depth = std::min(kDepth, node_.length - begin);
      copy_(turned, kRows, 1, from + begin, 1, node_.length, depth, sums.count);
      for (int64_t l = 0; l < depth; ++l) add(turned + l * kRows, sums);
    }
  }

  // An infinite sum of finite elements has overflowed on its way; their float32 sums are finite.
  void note(const Sums& sums, int64_t i) const {
    const float magnitudes = sums.magnitudes[i];
    if (!std::isfinite(magnitudes) || magnitudes == 0) return;
    if (std::isinf(sums.narrow[i])) {
      node_.site->overflowed.fetch_add(1, std::memory_order_relaxed);
      node_.site->flags->fetch_or(ANESDK_OVERFLOWED, std::memory_order_relaxed);
    } else {
      raise(&node_.site->sum_error, std::fabs(sums.narrow[i] - sums.wide[i]) / magnitudes);
    }
  }

  Node node_;
  MapFn add_, abs_, round_;
  CopyPlaneFn copy_;
};

}  // namespace

std::unique_ptr<Step> make_narrow_sum_step(const Node& node) { return std::make_unique<NarrowSumStep>(node); }

}  // namespace anesdk::cpu
