// The rules of the dialect: operands against the opset table, declared result types against the inferred ones.
#pragma once

#include <string_view>

#include "mil/opset.h"
#include "mil/program.h"

namespace anesdk::mil {

Target target_of(std::string_view name);  // "cpu", "coreml" or "ane"; throws Error(ANESDK_INVALID_ARGUMENT)

// The depth to which functions may run one another.
inline constexpr int kMaxNesting = 64;

// Throws where a function runs itself, directly or through others, or too deep (infer_control.cpp).
void check_calls(const Program& program);

// Throws Error(ANESDK_VERIFY_ERROR, or ANESDK_UNSUPPORTED for what is legal MIL but not for this target).
void verify(const Program& program, Target target);

}  // namespace anesdk::mil
