// The heavy kernels of the CPU device, found by operation name. A kernel is prepared once, when the program is
// compiled: its const operands are parsed into a spec, its workspace is sized. Running it is const and thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "cpu/graph/thread_pool.h"
#include "mil/program.h"

namespace anesdk::cpu {

class Kernel {
 public:
  virtual ~Kernel() = default;

  // Operands and results are dense and row-major; inputs are in the order of `inputs()`, outputs in that of op.results.
  // No output overlaps an input, except where may_alias says so. workspace: 64-byte aligned, workspace_bytes() long.
  virtual void run(const void* const* inputs, void* const* outputs, void* workspace, ThreadPool& pool) const = 0;

  // The values whose memory run() reads, consts among them when an operand that may be a tensor happens to be one.
  const std::vector<mil::ValueId>& inputs() const { return inputs_; }
  size_t workspace_bytes() const { return workspace_bytes_; }

  // Whether output `output` may be given the memory of inputs()[input].
  virtual bool may_alias(size_t output, size_t input) const {
    (void)output, (void)input;
    return false;
  }

 protected:
  std::vector<mil::ValueId> inputs_;
  size_t workspace_bytes_ = 0;
};

struct KernelEntry {
  std::string_view op;
  // Throws mil::Error when the operation cannot run as written.
  std::unique_ptr<const Kernel> (*prepare)(const mil::Function& function, const mil::Op& op);
};

const KernelEntry* find_kernel(std::string_view op_name);  // null when no kernel has the name

}  // namespace anesdk::cpu
