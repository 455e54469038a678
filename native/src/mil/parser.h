// MIL text -> Program. Syntax, names and declared types only; what operations mean is verify.h's.
#pragma once

#include <string_view>

#include "mil/program.h"

namespace anesdk::mil {

// Throws Error(ANESDK_PARSE_ERROR) with a message that starts with "line:column: ".
Program parse(std::string_view text);

}  // namespace anesdk::mil
