#include "mil/verify.h"

#include <string>

namespace anesdk::mil {

Target target_of(std::string_view name) {
  if (name == "cpu") return Target::CPU;
  if (name == "coreml") return Target::COREML;
  if (name == "ane") return Target::ANE;
  throw Error("target must be cpu, coreml or ane", ANESDK_INVALID_ARGUMENT);
}

void verify(const Program& program, Target) {
  if (!program.find("main")) throw Error("a program needs a function main");
}

}  // namespace anesdk::mil
