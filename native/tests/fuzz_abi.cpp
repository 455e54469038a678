#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  anesdk::test::fuzz_abi(data, size);
  return 0;
}
