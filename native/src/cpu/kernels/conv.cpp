// The operations aj_conv_general_dilated, conv and conv_transpose.
#include <algorithm>
#include <limits>

#include "cpu/kernels/conv_run.h"
#include "cpu/kernels/convert.h"
#include "cpu/kernels/entries.h"
#include "cpu/kernels/numeric.h"
#include "cpu/kernels/shapes.h"
#include "mil/opset.h"

namespace anesdk::cpu {
namespace {

struct ConvTensor {
  mil::DType dtype = mil::DType::FP32;
  int64_t elements = 0;
};

// Computes in T. Tensors of another type are converted whole, before and after.
template <typename T>
class ConvKernel final : public Kernel {
 public:
  ConvKernel(const mil::Function& function, const mil::Op& op, const ConvShape& shape)
      : runner_(make_conv_runner<T>(shape)) {
    for (const char* name : {"x", "weight", "bias"}) {
      if (const auto* operand = function.find(op, name)) {
        inputs_.push_back(operand->values.at(0));
        add(function.values[inputs_.back()].type);
      }
    }
    add(function.values[op.results[0]].type);
    int64_t elements = rounded(runner_->workspace_elements());
    for (const auto& tensor : tensors_) {
      if (!is_compute(tensor)) elements += rounded(tensor.elements);
    }
    workspace_bytes_ = static_cast<size_t>(elements) * sizeof(T);
  }

  void run(const void* const* inputs, void* const* outputs, void* workspace, ThreadPool& pool) const override {
    T* free = static_cast<T*>(workspace);
    const auto take = [&](int64_t elements) { return std::exchange(free, free + rounded(elements)); };
    const T* operands[3] = {};  // x, weight, bias
    for (size_t i = 0; i < inputs_.size(); ++i) {
      operands[i] = static_cast<const T*>(inputs[i]);
      if (is_compute(tensors_[i])) continue;
      T* copy = take(tensors_[i].elements);
      to_compute(tensors_[i].dtype, inputs[i], tensors_[i].elements, copy, pool);
      operands[i] = copy;
    }
    const auto& result = tensors_.back();
    T* out = is_compute(result) ? static_cast<T*>(outputs[0]) : take(result.elements);
    runner_->run(operands[0], operands[1], operands[2], out, free, pool);
    if (!is_compute(result)) from_compute(result.dtype, out, result.elements, outputs[0], pool);
  }

 private:
  static int64_t rounded(int64_t elements) { return ceil_div(elements, 64) * 64; }

  void add(const mil::Type& type) { tensors_.push_back({type.dtype, type.elements()}); }

  // Integers of T's width count as T: two's complement.
  static bool is_compute(const ConvTensor& tensor) {
    return is_float(tensor.dtype) == std::is_floating_point_v<T> && mil::size_of(tensor.dtype) == sizeof(T);
  }

  std::unique_ptr<const ConvRunner<T>> runner_;
  std::vector<ConvTensor> tensors_;  // the inputs, then the result
};

std::unique_ptr<const Kernel> prepare(const mil::Function& function, const mil::Op& op, const ConvShape& shape) {
  bool floats = false, integers = false, wide = false;
  const auto look = [&](const mil::Type& type) {
    expect(type.dtype != mil::DType::BOOL, op.schema->name, "expected numbers, got bool.");
    (is_float(type.dtype) ? floats : integers) = true;
    wide |= mil::size_of(type.dtype) == 8;
  };
  for (const char* name : {"x", "weight", "bias"}) {
    if (const auto* operand = function.find(op, name)) look(function.values[operand->values.at(0)].type);
  }
  look(function.values[op.results[0]].type);
  expect(!(floats && integers), op.schema->name, "expected all floats or all integers.");
  if (floats && wide) return std::make_unique<ConvKernel<double>>(function, op, shape);
  if (floats) return std::make_unique<ConvKernel<float>>(function, op, shape);
  if (wide) return std::make_unique<ConvKernel<uint64_t>>(function, op, shape);
  return std::make_unique<ConvKernel<uint32_t>>(function, op, shape);
}

template <ConvShape (*parse)(const mil::Function&, const mil::Op&)>
std::unique_ptr<const Kernel> prepare_as(const mil::Function& function, const mil::Op& op) {
  return prepare(function, op, parse(function, op));
}

}  // namespace

std::span<const KernelEntry> conv_entries() {
  static constexpr KernelEntry entries[] = {
      {"aj_conv_general_dilated", prepare_as<parse_conv_general_dilated>},
      {"conv", prepare_as<parse_mil_conv>},
      {"conv_transpose", prepare_as<parse_mil_conv_transpose>},
  };
  return entries;
}

}  // namespace anesdk::cpu
