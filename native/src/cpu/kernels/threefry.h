// Threefry-2x32 with 20 rounds, the bits behind random numbers.
#pragma once

#include <cstdint>

namespace anesdk::cpu {

// Operands of stride 0 are one number for all elements, the others have stride 1.
struct ThreefryOperand {
  const uint32_t* data;
  int64_t stride;
};

using ThreefryFn = void (*)(const ThreefryOperand (&operands)[4], int64_t begin, int64_t end, uint32_t* out0,
                            uint32_t* out1);

}  // namespace anesdk::cpu
