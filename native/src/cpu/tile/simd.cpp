#include "cpu/tile/simd.h"

#include "cpu/tile/cpu_variant.h"

namespace anesdk::cpu {

ANESDK_IN_LEVELS(extern const SimdTable kTable;)

const SimdTable& simd() {
  static const SimdTable& table = ANESDK_PICK(kTable);
  return table;
}

}  // namespace anesdk::cpu
