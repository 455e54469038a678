// The steps of loops and branches. Operands and slices are read where they are, results and stacked slices written
// where they belong; a carry that the body cannot update in place alternates between its result and a spare buffer.
// A step allocates nothing: its frames and spares lie in the workspace.
#include <algorithm>
#include <cstring>

#include "cpu/control.h"
#include "cpu/frame.h"
#include "cpu/steps.h"

namespace anesdk::cpu {
namespace {

class ControlStep : public Step {
 public:
  ControlStep(const Graph& graph, const Node& node)
      : control_(node.control), inputs_(node.inputs), outputs_(node.outputs) {
    for (TensorId id : outputs_) bytes_.push_back(graph.tensors[id].nbytes());
  }

  std::vector<Nested> nested() const override {
    std::vector<Nested> out;
    for (size_t i = 0; i < control_->plans.size(); ++i) {
      out.push_back({control_->names[i], control_->plans[i].get()});
    }
    return out;
  }

 protected:
  const Plan& plan(size_t i) const { return *control_->plans[i]; }
  const std::byte* in(const RunContext& context, size_t i) const { return context.at(inputs_[i]); }
  std::byte* out(const RunContext& context, size_t o) const { return context.tensors[outputs_[o]]; }

  std::shared_ptr<const Control> control_;
  std::vector<View> inputs_;
  std::vector<TensorId> outputs_;
  std::vector<size_t> bytes_;  // by result
};

// What scan and while share: the carry and where it is.
class LoopStep : public ControlStep {
 public:
  LoopStep(const Graph& graph, const Node& node, size_t body) : ControlStep(graph, node), body_(body) {
    for (size_t k = 0; k < control_->carry; ++k) {
      spare_.push_back(spare_bytes_);
      if (control_->in_place(k)) continue;
      spare_bytes_ += align64(bytes_[k]);
      stays_ = false;
    }
  }

 protected:
  const Plan& body() const { return plan(body_); }
  const std::byte* initial(const RunContext& context, size_t k) const { return in(context, control_->consts + k); }

  // The buffer of carry k that is not its result, when `other` and there are two.
  std::byte* buffer(const RunContext& context, std::byte* spares, size_t k, bool other) const {
    return other && !control_->in_place(k) ? spares + spare_[k] : out(context, k);
  }

  void bind_consts(const RunContext& context, const Frame& frame) const {
    for (size_t i = 0; i < control_->consts; ++i) frame.input(i, in(context, i));
  }

  void finish(const RunContext& context, size_t k, const std::byte* last) const {
    if (last != out(context, k) && bytes_[k] > 0) std::memcpy(out(context, k), last, bytes_[k]);
  }

  std::string describe_carry() const {
    const auto in_place =
        std::count_if(control_->alias.begin(), control_->alias.begin() + static_cast<int64_t>(control_->carry),
                      [](int64_t alias) { return alias >= 0; });
    return std::to_string(control_->carry) + " carried, " + std::to_string(in_place) + " in place";
  }

  size_t body_;
  std::vector<size_t> spare_;  // by carry: offset of its other buffer among the spares
  size_t spare_bytes_ = 0;
  bool stays_ = true;  // each carry is where the turn before wrote it, from the second turn on
};

// workspace: the body's frame, spares
class ScanStep : public LoopStep {
 public:
  ScanStep(const Graph& graph, const Node& node) : LoopStep(graph, node, 0), xs_(control_->consts + control_->carry) {
    for (size_t i = xs_; i < inputs_.size(); ++i) slice_.push_back(slice_bytes(body().graph.inputs[i]));
    for (size_t o = control_->carry; o < outputs_.size(); ++o) {
      stacked_.push_back(slice_bytes(body().graph.outputs[o]));
    }
  }

  void run(const RunContext& context) const override {
    const int64_t length = control_->length;
    const size_t carry = control_->carry;
    if (length == 0) {
      for (size_t k = 0; k < carry; ++k) finish(context, k, initial(context, k));
      return;
    }
    const Frame frame(body(), context.workspace);
    std::byte* spares = context.workspace + Frame::bytes(body());
    const FrameRunner turn(frame, context.pool);
    bind_consts(context, frame);
    for (int64_t t = 0; t < length; ++t) {
      // What is written last lands in the result, so that nothing is left to copy.
      const bool other = (length - 1 - t) % 2 != 0;
      for (size_t k = 0; k < carry && (t < 2 || !stays_); ++k) {
        frame.input(control_->consts + k, t == 0 ? initial(context, k) : buffer(context, spares, k, !other));
        frame.output(k, buffer(context, spares, k, other));
      }
      const int64_t at = control_->reverse ? length - 1 - t : t;
      for (size_t i = 0; i < slice_.size(); ++i) frame.input(xs_ + i, in(context, xs_ + i) + at * slice_[i]);
      for (size_t i = 0; i < stacked_.size(); ++i) {
        frame.output(carry + i, out(context, carry + i) + at * stacked_[i]);
      }
      turn();
    }
  }

  std::string describe() const override {
    return "scan of " + std::to_string(control_->length) + (control_->reverse ? " backwards, " : ", ") +
           describe_carry() + ", " + std::to_string(slice_.size()) + " sliced, " + std::to_string(stacked_.size()) +
           " stacked";
  }
  size_t workspace_bytes() const override { return Frame::bytes(body()) + spare_bytes_; }

 private:
  static int64_t slice_bytes(const mil::Type& type) { return static_cast<int64_t>(type.nbytes()); }

  size_t xs_;                             // the first of them among the inputs
  std::vector<int64_t> slice_, stacked_;  // bytes
};

// workspace: what cond returns, cond's frame, the body's frame, spares
class WhileStep : public LoopStep {
 public:
  WhileStep(const Graph& graph, const Node& node) : LoopStep(graph, node, 1) {}

  void run(const RunContext& context) const override {
    std::byte* more = context.workspace;
    std::byte* memory = more + 64;
    const Frame test(plan(0), memory);
    memory += Frame::bytes(plan(0));
    const Frame frame(body(), memory);
    std::byte* spares = memory + Frame::bytes(body());
    const size_t carry = control_->carry, cond_consts = inputs_.size() - control_->consts - carry;
    for (size_t i = 0; i < cond_consts; ++i) test.input(i, in(context, control_->consts + carry + i));
    test.output(0, more);
    bind_consts(context, frame);
    const FrameRunner ask(test, context.pool), turn(frame, context.pool);
    bool other = false;
    int64_t turns = 0;
    for (bool first = true;; first = false, other = !other, ++turns) {
      for (size_t k = 0; k < carry && (turns < 2 || !stays_); ++k) {
        const std::byte* from = first ? initial(context, k) : buffer(context, spares, k, !other);
        test.input(cond_consts + k, from);
        frame.input(control_->consts + k, from);
        frame.output(k, buffer(context, spares, k, other));
      }
      ask();
      if (*more == std::byte{0}) {
        for (size_t k = 0; k < carry; ++k)
          finish(context, k, first ? initial(context, k) : buffer(context, spares, k, !other));
        return;
      }
      turn();
    }
  }

  std::string describe() const override { return "while, " + describe_carry(); }
  size_t workspace_bytes() const override { return 64 + Frame::bytes(plan(0)) + Frame::bytes(body()) + spare_bytes_; }
};

// workspace: the frame of the branch that runs
class CondStep : public ControlStep {
 public:
  using ControlStep::ControlStep;

  void run(const RunContext& context) const override {
    int32_t index;
    std::memcpy(&index, in(context, 0), sizeof index);
    const auto last = static_cast<int32_t>(control_->plans.size()) - 1;
    const Frame frame(plan(static_cast<size_t>(std::clamp(index, 0, last))), context.workspace);
    for (size_t i = 1; i < inputs_.size(); ++i) frame.input(i - 1, in(context, i));
    for (size_t o = 0; o < outputs_.size(); ++o) frame.output(o, out(context, o));
    frame.run(context.pool);
  }

  std::string describe() const override {
    return "cond of " + std::to_string(control_->plans.size()) + " branches, " + std::to_string(inputs_.size() - 1) +
           " operands";
  }
  size_t workspace_bytes() const override {
    size_t bytes = 0;
    for (const auto& branch : control_->plans) bytes = std::max(bytes, Frame::bytes(*branch));
    return bytes;
  }
};

}  // namespace

std::unique_ptr<Step> make_control_step(const Graph& graph, const Node& node) {
  switch (node.control->kind) {
    case Control::Kind::SCAN:
      return std::make_unique<ScanStep>(graph, node);
    case Control::Kind::WHILE:
      return std::make_unique<WhileStep>(graph, node);
    case Control::Kind::COND:
      break;
  }
  return std::make_unique<CondStep>(graph, node);
}

}  // namespace anesdk::cpu
