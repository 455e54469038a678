#include "cpu/steps/kernel_step.h"

#include "cpu/steps/steps.h"

namespace anesdk::cpu {
namespace {

class KernelStep : public Step {
 public:
  KernelStep(const Graph& graph, const Node& node)
      : prepared_(node.kernel), inputs_(node.inputs), outputs_(node.outputs) {
    text_ = prepared_->name;
    for (const View& v : inputs_) text_ += " " + list(v.shape);
    text_ += " ->";
    for (TensorId id : outputs_) text_ += " " + std::to_string(graph.tensors[id].elements);
  }

  void run(const RunContext& context) const override {
    constexpr size_t kInline = 16;
    const void* few_inputs[kInline];
    void* few_outputs[kInline];
    std::vector<const void*> many_inputs(inputs_.size() > kInline ? inputs_.size() : 0);
    std::vector<void*> many_outputs(outputs_.size() > kInline ? outputs_.size() : 0);
    const void** in = many_inputs.empty() ? few_inputs : many_inputs.data();
    void** out = many_outputs.empty() ? few_outputs : many_outputs.data();
    for (size_t i = 0; i < inputs_.size(); ++i) in[i] = context.at(inputs_[i]);
    for (size_t i = 0; i < outputs_.size(); ++i) out[i] = context.tensors[outputs_[i]];
    prepared_->kernel->run(in, out, context.workspace, context.pool);
  }

  std::string describe() const override { return text_; }
  size_t workspace_bytes() const override { return prepared_->kernel->workspace_bytes(); }

 private:
  std::shared_ptr<const PreparedKernel> prepared_;
  std::vector<View> inputs_;
  std::vector<TensorId> outputs_;
  std::string text_;
};

}  // namespace

std::unique_ptr<Step> make_kernel_step(const Graph& graph, const Node& node) {
  return std::make_unique<KernelStep>(graph, node);
}

}  // namespace anesdk::cpu
