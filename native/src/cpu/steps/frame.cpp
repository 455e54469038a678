#include "cpu/steps/frame.h"

namespace anesdk::cpu {

size_t Frame::bytes(const Plan& plan) {
  return align64(plan.memory.arena_bytes) + align64(plan.workspace_bytes) +
         align64(plan.graph.tensors.size() * sizeof(std::byte*)) + 64 + plan.kept_bytes;
}

Frame::Frame(const Plan& plan, std::byte* memory)
    : plan_(&plan),
      inputs_(plan.graph.input_tensors.data()),
      outputs_(plan.graph.output_tensors.data()),
      workspace_(memory + align64(plan.memory.arena_bytes)),
      tensors_(reinterpret_cast<std::byte**>(workspace_ + align64(plan.workspace_bytes) + 64)),
      kept_(reinterpret_cast<std::byte*>(tensors_) + align64(plan.graph.tensors.size() * sizeof(std::byte*))) {
  // Tensors that are not in the arena are given later, or nobody reads them.
  const std::vector<int64_t>& offset = plan.memory.offset;
  for (size_t t = 0; t < offset.size(); ++t) tensors_[t] = offset[t] >= 0 ? memory + offset[t] : workspace_;
  for (const TensorId t : plan.constants)
    tensors_[t] = const_cast<std::byte*>(plan.graph.tensors[t].constant->data.data());
}

namespace {

void run_recorded(const Plan& plan, size_t s, const RunContext& context) {
  anesdk_event event{plan.id, static_cast<uint32_t>(s), 0, now_ns(), 0, -context.pool.busy_ns()};
  plan.steps[s]->run(context);
  event.end_ns = now_ns();
  event.busy_ns += context.pool.busy_ns();
  Profile::record(event);
}

}  // namespace

void Frame::keep(ThreadPool& pool) const {
  if (plan_->kept_bytes == 0) return;
  const RunContext context{tensors_, workspace_, kept_, pool};
  for (const auto& step : plan_->steps) step->keep(context);
}

void Frame::run(ThreadPool& pool) const {
  const RunContext context{tensors_, workspace_, kept_, pool};
  if (Profile::is_on()) {
    HostedCall* call = HostedCall::current();
    for (size_t i = 0; i < plan_->steps.size(); ++i) {
      run_recorded(*plan_, i, context);
      if (call != nullptr) call->spent(plan_->step_bytes[i]);
    }
    if (call != nullptr) call->spent(64);
    return;
  }
  HostedCall* call = HostedCall::current();
  if (plan_->scalar) return FrameRunner(*this, pool)();
  if (call == nullptr) {
    for (const auto& step : plan_->steps) step->run(context);
    return;
  }
  call->spent(64);  // a loop's body may have no steps
  for (size_t i = 0; i < plan_->steps.size(); ++i) {
    plan_->steps[i]->run(context);
    call->spent(plan_->step_bytes[i]);
  }
}

}  // namespace anesdk::cpu
