// The MIL text of a typed program: what a compiler outside this library reads, and what round trips are made of.
#pragma once

#include <functional>
#include <string>

#include "mil/program.h"

namespace anesdk::mil {

// The text of a constant; "" for its elements in full.
using WriteConstant = std::function<std::string(const Value&)>;

// Every constant, inline literals too, becomes a `const` line with a name at the head of its function, and names of
// operations equal those of their first results: the form that Core ML's tools write and the engine's compiler has
// been seen to take. parse(print(p)) prints as p does.
std::string print(const Program& program, const WriteConstant& write = {});

std::string quoted(const std::string& text);  // a string as MIL writes it

}  // namespace anesdk::mil
