// The operation aj_threefry2x32.
#include "cpu/kernels/threefry.h"

#include "cpu/kernels/entries.h"
#include "cpu/kernels/shapes.h"
#include "cpu/tile/cpu_variant.h"
#include "mil/opset.h"

namespace anesdk::cpu {

ANESDK_IN_LEVELS(void threefry(const ThreefryOperand (&operands)[4], int64_t begin, int64_t end, uint32_t* out0,
                               uint32_t* out1);)

namespace {

class Threefry final : public Kernel {
 public:
  Threefry(const mil::Function& function, const mil::Op& op) : fn_(ANESDK_PICK(threefry)) {
    const auto name = op.schema->name;
    expect(op.results.size() == 2, name, "expected two results.");
    const auto& result = function.values[op.results[0]].type;
    expect(result.dtype == mil::DType::UINT32 && function.values[op.results[1]].type == result, name,
           "expected two results of one uint32 type, got " + result.str() + ".");
    count_ = result.elements();
    for (const char* key : {"k0", "k1", "x0", "x1"}) {
      const auto& type = function.value(op, key).type;
      expect(
          type.dtype == mil::DType::UINT32 && (type.shape.empty() || type.shape == result.shape), name,
          "expected " + std::string(key) + " to be " + result.str() + " or a single uint32, got " + type.str() + ".");
      strides_[inputs_.size()] = type.shape.empty() ? 0 : 1;
      inputs_.push_back(function.find(op, key)->values.at(0));
    }
  }

  void run(const void* const* inputs, void* const* outputs, void*, ThreadPool& pool) const override {
    ThreefryOperand operands[4];
    for (size_t i = 0; i < 4; ++i) operands[i] = {static_cast<const uint32_t*>(inputs[i]), strides_[i]};
    pool.parallel_for(count_, 4096, [&](int64_t begin, int64_t end) {
      fn_(operands, begin, end, static_cast<uint32_t*>(outputs[0]), static_cast<uint32_t*>(outputs[1]));
    });
  }

 private:
  ThreefryFn fn_;
  int64_t count_ = 0;
  int64_t strides_[4] = {};
};

std::unique_ptr<const Kernel> prepare(const mil::Function& function, const mil::Op& op) {
  return std::make_unique<Threefry>(function, op);
}

}  // namespace

std::span<const KernelEntry> threefry_entries() {
  static constexpr KernelEntry entries[] = {{"aj_threefry2x32", prepare}};
  return entries;
}

}  // namespace anesdk::cpu
