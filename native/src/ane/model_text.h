// A program in the form that the engine's compiler takes: MIL text, and a weight file for its larger constants.
#pragma once

#include <string>

#include "mil/program.h"

namespace anesdk::ane {

struct ModelText {
  std::string mil;
  std::string weights;  // the weight file; empty when the text refers to none
};

// Throws mil::Error(ANESDK_UNSUPPORTED) for constants in files and for more constants than one program can hold.
ModelText model_text(const mil::Program& program);

}  // namespace anesdk::ane
