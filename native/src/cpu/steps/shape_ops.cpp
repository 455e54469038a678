// Steps that move elements: copies into windows, dynamic slices and updates.
#include <algorithm>
#include <cstring>

#include "cpu/steps/steps.h"
#include "cpu/tile/scalar_program.h"
#include "cpu/tile/simd.h"

namespace anesdk::cpu {

StridedCopy::StridedCopy(const View& dst, const View& src) {
  size_ = static_cast<int64_t>(mil::size_of(dst.dtype));
  elements_ = dst.elements();
  std::vector<Axis> axes;
  for (size_t i = 0; i < dst.shape.size(); ++i) {
    if (dst.shape[i] != 1) axes.push_back({dst.shape[i], dst.strides[i], src.strides[i]});
  }
  // Outermost first as the destination lies in memory, then neighbours that make one run become one axis.
  std::stable_sort(axes.begin(), axes.end(), [](const Axis& a, const Axis& b) { return a.dst > b.dst; });
  for (const Axis& next : axes) {
    if (!outer_.empty() && outer_.back().dst == next.dst * next.size && outer_.back().src == next.src * next.size) {
      outer_.back() = {outer_.back().size * next.size, next.dst, next.src};
    } else {
      outer_.push_back(next);
    }
  }
  if (!outer_.empty()) {
    column_ = outer_.back();
    outer_.pop_back();
  }
  if (!outer_.empty()) {
    // The other axis of the plane: the one along which the source runs, else the next.
    size_t pick = outer_.size() - 1;
    if (column_.src != 1) {
      for (size_t i = 0; i < outer_.size(); ++i) {
        if (outer_[i].src == 1) pick = i;
      }
    }
    row_ = outer_[pick];
    outer_.erase(outer_.begin() + static_cast<int64_t>(pick));
  }
  for (const Axis& a : outer_) outer_count_ *= a.size;
}

void StridedCopy::run(std::byte* dst, const std::byte* src, ThreadPool& pool) const {
  if (elements_ == 0) return;
  const CopyPlaneFn plane = simd().copy_plane(size_);
  constexpr int64_t kRows = 64;  // a piece of a plane, so that one big plane also splits
  const int64_t pieces = (row_.size + kRows - 1) / kRows;
  const auto body = [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      int64_t rest = p / pieces, d = 0, s = 0;
      for (size_t i = outer_.size(); i-- > 0;) {
        const int64_t at = rest % outer_[i].size;
        rest /= outer_[i].size;
        d += at * outer_[i].dst;
        s += at * outer_[i].src;
      }
      const int64_t row = p % pieces * kRows;
      d += row * row_.dst;
      s += row * row_.src;
      plane(dst + d * size_, row_.dst, column_.dst, src + s * size_, row_.src, column_.src,
            std::min(kRows, row_.size - row), column_.size);
    }
  };
  const int64_t total = outer_count_ * pieces;
  const int64_t grain = std::max<int64_t>(1, 65536 * total / elements_);
  if (total <= grain) return body(0, total);
  pool.parallel_for(total, grain, body);
}

namespace {

std::byte* address(const RunContext& context, const View& view) {
  return context.tensors[view.base] + view.offset * static_cast<int64_t>(mil::size_of(view.dtype));
}

class CopyStep : public Step {
 public:
  explicit CopyStep(const Node& node) : inputs_(node.inputs), windows_(node.windows) {
    for (size_t i = 0; i < inputs_.size(); ++i) {
      copies_.emplace_back(windows_[i], inputs_[i]);
      for (size_t d = 0; d < inputs_[i].shape.size(); ++d) permuted_ |= inputs_[i].strides[d] != windows_[i].strides[d];
    }
  }
  void run(const RunContext& context) const override {
    for (size_t i = 0; i < copies_.size(); ++i) {
      std::byte* to = address(context, windows_[i]);
      // The same memory only where the planner lets a copy have that of what it copies (may_take).
      if (to != context.at(inputs_[i])) copies_[i].run(to, context.at(inputs_[i]), context.pool);
    }
  }
  bool append_to(ScalarProgram* all) const override {
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (!all->append_copy(windows_[i], inputs_[i])) return false;
    }
    return true;
  }
  std::string describe() const override {
    if (inputs_.size() > 1) return "concat of " + std::to_string(inputs_.size()) + " windows";
    if (inputs_.empty()) return "concat of nothing";
    return std::string(permuted_ ? "strided copy " : "copy ") + list(inputs_[0].shape) + " strides " +
           list(inputs_[0].strides);
  }

 private:
  std::vector<View> inputs_, windows_;
  std::vector<StridedCopy> copies_;
  bool permuted_ = false;
};

int64_t read_index(const std::byte* data, DType dtype) {
  const auto read = [&]<class T>(T value) {
    std::memcpy(&value, data, sizeof value);
    return value;
  };
  switch (dtype) {
    case DType::INT8:
      return read(int8_t{});
    case DType::INT16:
      return read(int16_t{});
    case DType::INT32:
      return read(int32_t{});
    case DType::INT64:
      return read(int64_t{});
    case DType::UINT8:
      return read(uint8_t{});
    case DType::UINT16:
      return read(uint16_t{});
    case DType::UINT32:
      return read(uint32_t{});
    default:
      return static_cast<int64_t>(std::min<uint64_t>(read(uint64_t{}), INT64_MAX));
  }
}

// The offset, in elements, of starts clamped so that the slice fits.
int64_t start_offset(const RunContext& context, const View* starts, const std::vector<int64_t>& limits,
                     const std::vector<int64_t>& steps) {
  int64_t offset = 0;
  for (size_t d = 0; d < limits.size(); ++d) {
    const int64_t at = read_index(context.at(starts[d]), starts[d].dtype);
    offset += std::clamp<int64_t>(at, 0, limits[d]) * steps[d];
  }
  return offset;
}

class DynamicSliceStep : public Step {
 public:
  explicit DynamicSliceStep(const Node& node)
      : node_(node),
        out_(dense_view(node.outputs[0], node.inputs[0].dtype, node.inputs[0].shape)),
        copy_(out_, node.inputs[0]) {}
  void run(const RunContext& context) const override {
    const int64_t offset = start_offset(context, node_.inputs.data() + 1, node_.limits, node_.steps);
    const auto size = static_cast<int64_t>(mil::size_of(out_.dtype));
    copy_.run(address(context, out_), context.at(node_.inputs[0]) + offset * size, context.pool);
  }
  std::string describe() const override { return "dynamic_slice " + list(out_.shape); }

 private:
  Node node_;
  View out_;
  StridedCopy copy_;
};

class DynamicUpdateStep : public Step {
 public:
  explicit DynamicUpdateStep(const Node& node) : node_(node), copy_(node.windows[0], node.inputs[1]) {}
  void run(const RunContext& context) const override {
    const View& x = node_.inputs[0];
    std::byte* out = context.tensors[node_.outputs[0]];
    const auto size = static_cast<int64_t>(mil::size_of(x.dtype));
    const std::byte* from = context.at(x);
    const int64_t offset = start_offset(context, node_.inputs.data() + 2, node_.limits, node_.steps);
    if (from != out) std::memcpy(out, from, static_cast<size_t>(x.elements() * size));
    copy_.run(out + offset * size, context.at(node_.inputs[1]), context.pool);
  }
  std::string describe() const override {
    return "dynamic_update_slice " + list(node_.inputs[1].shape) + " into " + list(node_.inputs[0].shape);
  }

 private:
  Node node_;
  StridedCopy copy_;
};

}  // namespace

std::string list(const std::vector<int64_t>& values) {
  std::string out = "[";
  for (size_t i = 0; i < values.size(); ++i) out += (i ? ", " : "") + std::to_string(values[i]);
  return out + "]";
}

std::unique_ptr<Step> make_copy_step(const Graph&, const Node& node) { return std::make_unique<CopyStep>(node); }
std::unique_ptr<Step> make_dynamic_slice_step(const Graph&, const Node& node) {
  return std::make_unique<DynamicSliceStep>(node);
}
std::unique_ptr<Step> make_dynamic_update_step(const Graph&, const Node& node) {
  return std::make_unique<DynamicUpdateStep>(node);
}

}  // namespace anesdk::cpu
