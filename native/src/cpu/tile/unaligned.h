// Vectors, or single numbers, V at addresses that may have no more than the alignment of one number T. They are copied:
// an alignment that an alias of a vector type states is lost where the alias depends on a template's argument.
#pragma once

#include <cstring>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"  // of vectors as results: these functions are called within one file
#endif

namespace anesdk::cpu::ANESDK_SIMD_NS {

template <typename V, typename T>
inline V load(const T* from) {
  V value;
  std::memcpy(&value, from, sizeof(V));
  return value;
}

template <typename V, typename T>
inline void store(T* to, const V& value) {
  std::memcpy(to, &value, sizeof(V));
}

}  // namespace anesdk::cpu::ANESDK_SIMD_NS
