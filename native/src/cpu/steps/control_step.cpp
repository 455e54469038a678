// The steps of loops and branches. Operands and slices are read where they are, results and stacked slices written
// where they belong; a carry that the body cannot update in place alternates between its result and a spare buffer.
// A step allocates nothing: its frames and spares lie in the workspace.
#include <algorithm>
#include <cstring>
#include <optional>
#include <span>

#include "cpu/steps/control.h"
#include "cpu/steps/frame.h"
#include "cpu/steps/steps.h"

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

// The part that scan and while share: the carry and its place.
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
    if (length == 0) {
      for (size_t k = 0; k < control_->carry; ++k) finish(context, k, initial(context, k));
      return;
    }
    const Frame frame(body(), context.workspace);
    std::byte* spares = context.workspace + Frame::bytes(body());
    const FrameRunner turn(frame, context.pool);
    bind_consts(context, frame);
    frame.keep(context.pool);
    for (int64_t t = 0; t < length; ++t) {
      if (t == 2 && turn.binds()) return run_bound(context, frame, spares, turn);
      point(context, frame, spares, t);
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
  // Tells the frame where turn t reads and writes.
  void point(const RunContext& context, const Frame& frame, std::byte* spares, int64_t t) const {
    const int64_t length = control_->length;
    const size_t carry = control_->carry;
    // The last carry is written into the result, so that nothing is left to copy.
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
  }

  // From turn 2 on, as a list of instructions. Carries are where they were two turns before, and slices move on.
  void run_bound(const RunContext& context, const Frame& frame, std::byte* spares, const FrameRunner& turn) const {
    const auto bound_at = [&](int64_t t) -> ScalarProgram::Bound {
      point(context, frame, spares, std::min(t, control_->length - 1));
      return turn.bound();
    };
    ScalarProgram::Bound even = bound_at(2), odd = bound_at(3);
    const int64_t step = control_->reverse ? -2 : 2;
    const Graph& graph = body().graph;
    for (ScalarProgram::Bound* bound : {&even, &odd}) {
      for (size_t i = 0; i < slice_.size(); ++i) bound->move(graph.input_tensors[xs_ + i], step * slice_[i]);
      for (size_t i = 0; i < stacked_.size(); ++i) {
        bound->move(graph.output_tensors[control_->carry + i], step * stacked_[i]);
      }
    }
    HostedCall* call = HostedCall::current();
    for (int64_t t = 2; t < control_->length; ++t) {
      ScalarProgram::Bound& bound = t % 2 == 0 ? even : odd;
      bound.run();
      bound.advance();
      if (call != nullptr) call->spent(64);
    }
  }

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
    const auto aim = [&](bool first, bool other) {
      for (size_t k = 0; k < carry; ++k) {
        const std::byte* from = first ? initial(context, k) : buffer(context, spares, k, !other);
        test.input(cond_consts + k, from);
        frame.input(control_->consts + k, from);
        frame.output(k, buffer(context, spares, k, other));
      }
    };
    const auto ends = [&](bool first, bool other) {
      if (*more != std::byte{0}) return false;
      for (size_t k = 0; k < carry; ++k) {
        finish(context, k, first ? initial(context, k) : buffer(context, spares, k, !other));
      }
      return true;
    };
    bool other = false;
    int64_t turns = 0;
    for (bool first = true;; first = false, other = !other, ++turns) {
      if (turns == 2 && ask.binds() && turn.binds()) break;
      if (turns < 2 || !stays_) aim(first, other);
      ask();
      if (ends(first, other)) return;
      if (first) frame.keep(context.pool);
      turn();
    }
    run_bound(
        ask, turn, [&](bool odd) { aim(false, odd != other); }, [&](bool odd) { return ends(false, odd != other); });
  }

  std::string describe() const override { return "while, " + describe_carry(); }
  size_t workspace_bytes() const override { return 64 + Frame::bytes(plan(0)) + Frame::bytes(body()) + spare_bytes_; }

 private:
  // All turns that are left, as lists of instructions. Carries are where they were two turns before.
  template <class Aim, class Ends>
  static void run_bound(const FrameRunner& ask, const FrameRunner& turn, Aim aim, Ends ends) {
    struct Pair {
      ScalarProgram::Bound question, body;
    };
    const auto aimed = [&](bool odd) {
      aim(odd);
      return Pair{ask.bound(), turn.bound()};
    };
    const Pair pairs[2] = {aimed(false), aimed(true)};
    HostedCall* call = HostedCall::current();
    for (bool odd = false;; odd = !odd) {
      pairs[odd].question.run();
      if (ends(odd)) return;
      pairs[odd].body.run();
      if (call != nullptr) call->spent(128);
    }
  }
};

// workspace: the frame of the branch that runs
class CondStep : public ControlStep {
 public:
  CondStep(const Graph& graph, const Node& node) : ControlStep(graph, node) {
    ScalarProgram scalar;
    if (append_to(&scalar)) scalar_ = std::move(scalar);
  }

  bool append_to(ScalarProgram* all) const override {
    std::vector<ScalarProgram::Branch> branches;
    for (const auto& plan : control_->plans) {
      if (!plan->scalar) return false;
      branches.push_back({*plan->scalar, plan->graph, plan->memory.offset, plan->memory.arena_bytes});
    }
    return all->append_choice(inputs_[0], branches, std::span(inputs_).subspan(1), outputs_);
  }

  void run(const RunContext& context) const override {
    if (scalar_ && !Profile::is_on()) return scalar_->run(context.tensors);
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

 private:
  std::optional<ScalarProgram> scalar_;  // the same, where each branch has one element at a time
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
