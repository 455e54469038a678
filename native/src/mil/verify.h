// The rules of the dialect: operands against the opset table, declared result types against the inferred ones.
#pragma once

#include <string_view>

#include "mil/opset.h"
#include "mil/program.h"

namespace anesdk::mil {

Target target_of(std::string_view name);  // "cpu", "coreml" or "ane"; throws Error(ANESDK_INVALID_ARGUMENT)

// Throws Error(ANESDK_VERIFY_ERROR, or ANESDK_UNSUPPORTED for what is legal MIL but not for this target).
void verify(const Program& program, Target target);

}  // namespace anesdk::mil
