#include "cpu/tile/simd.h"

#include "cpu/tile/cpu_variant.h"

namespace anesdk::cpu {

#if defined(__x86_64__)
namespace v1 {
extern const SimdTable kTable;
}
namespace v3 {
extern const SimdTable kTable;
}
namespace v4 {
extern const SimdTable kTable;
}
#else
namespace v1 {
extern const SimdTable kTable;
}
#endif

const SimdTable& simd() {
  static const SimdTable& table = ANESDK_PICK(kTable);
  return table;
}

}  // namespace anesdk::cpu
