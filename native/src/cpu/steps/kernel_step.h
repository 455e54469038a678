// A kernel of the registry, prepared for one operation.
#pragma once

#include <memory>
#include <string>

#include "cpu/kernels/registry.h"

namespace anesdk::cpu {

struct PreparedKernel {
  std::string name;
  std::unique_ptr<const Kernel> kernel;
};

}  // namespace anesdk::cpu
