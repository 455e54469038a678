// The memory of one run of a plan: where every tensor is, the arena, the workspace of the steps. A frame lies in memory
// that whoever runs the plan has; those of loop bodies and branches lie in the workspace of the enclosing plan.
#pragma once

#include "cpu/graph/profile.h"
#include "cpu/plan/plan.h"
#include "hosted_call.h"

namespace anesdk::cpu {

class Frame {
 public:
  static size_t bytes(const Plan& plan);

  // memory: 64-byte aligned, bytes(plan) long.
  Frame(const Plan& plan, std::byte* memory);

  // Sets the memory of input i or output o, until the next call.
  void input(size_t i, const std::byte* data) const { tensors_[inputs_[i]] = const_cast<std::byte*>(data); }
  void output(size_t o, std::byte* data) const { tensors_[outputs_[o]] = data; }
  // Before the first run and whenever a steady input is elsewhere, where the plan has steady inputs.
  void keep(ThreadPool& pool) const;
  void run(ThreadPool& pool) const;

 private:
  friend class FrameRunner;
  const Plan* plan_;
  const TensorId *inputs_, *outputs_;
  std::byte* workspace_;
  std::byte** tensors_;
  std::byte* kept_;
};

// Runs one frame again and again; looks up once the addresses that stay the same.
class FrameRunner {
 public:
  FrameRunner(const Frame& frame, ThreadPool& pool)
      : frame_(frame),
        pool_(pool),
        scalar_(frame.plan_->scalar && !Profile::is_on() ? &*frame.plan_->scalar : nullptr),
        call_(HostedCall::current()) {}

  void operator()() const {
    if (scalar_ == nullptr) return frame_.run(pool_);
    scalar_->run(frame_.tensors_);
    if (call_ != nullptr) call_->spent(64);
  }

  // Whether the steps are a short list of instructions, which `bound` looks up with operands where they are now.
  bool binds() const { return scalar_ != nullptr && scalar_->is_short(); }
  ScalarProgram::Bound bound() const { return {*scalar_, frame_.tensors_}; }

 private:
  const Frame& frame_;
  ThreadPool& pool_;
  const ScalarProgram* scalar_;  // null: the plan has steps to be called
  HostedCall* call_;
};

}  // namespace anesdk::cpu
