// Short forms of MIL text, for tests.
#pragma once

#include <string>
#include <string_view>

#include "mil/print.h"

namespace anesdk::test {

using mil::print;

// A program whose main takes `inputs` and holds the one statement, returning `outputs`; `functions` stand behind it.
// Short forms are spelled out: fp32[2,3] is tensor<fp32, [2, 3]>, {1,2} is a list of int32, and a statement is given
// its name attribute.
std::string one_op(std::string_view inputs, std::string_view statement, std::string_view outputs = "o",
                   std::string_view functions = "");

struct OpRow;
std::string one_op(const OpRow& row);

}  // namespace anesdk::test
