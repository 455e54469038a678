// The levels of instruction sets that *_simd.cpp files are compiled for, and which of them this processor runs.
#pragma once

#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <span>

#include "levels.inc"

namespace anesdk::cpu {

// Declares something in the namespace of each level: the argument is a declaration.
#define ANESDK_IN_LEVEL(level, runs, ...) \
  namespace level {                       \
  __VA_ARGS__                             \
  }
#define ANESDK_IN_LEVELS(...) ANESDK_LEVELS(ANESDK_IN_LEVEL, __VA_ARGS__)

struct CpuLevel {
  const char* name;
  bool runs;
};

// All levels, from the least on; the processor runs those up to some one.
inline std::span<const CpuLevel> cpu_levels() {
#if defined(__x86_64__)
  __builtin_cpu_init();
#endif
#define ANESDK_LEVEL_ROW(level, runs, ...) {#level, runs},
  static const CpuLevel kLevels[] = {ANESDK_LEVELS(ANESDK_LEVEL_ROW, )};
#undef ANESDK_LEVEL_ROW
  return kLevels;
}

// The number of the best level that the processor has; ANEJAX_CPU_LEVEL asks for a lower one, for tests.
inline size_t cpu_level() {
  static const size_t level = [] {
    const char* wanted = std::getenv("ANEJAX_CPU_LEVEL");
    size_t best = 0;
    for (size_t k = 0; k < cpu_levels().size() && cpu_levels()[k].runs; ++k) {
      best = k;
      if (wanted && std::strcmp(wanted, cpu_levels()[k].name) == 0) break;
    }
    return best;
  }();
  return level;
}

// `ANESDK_PICK(f)`: f of the level's namespace, e.g. ANESDK_PICK(tile_ops<float>)(). Every machine has v1.
template <class Pointer>
auto& pick(std::initializer_list<Pointer> levels) {
  return *levels.begin()[cpu_level()];
}
#define ANESDK_ADDRESS(level, runs, ...) &level::__VA_ARGS__,
#define ANESDK_PICK(...) ::anesdk::cpu::pick<decltype(&v1::__VA_ARGS__)>({ANESDK_LEVELS(ANESDK_ADDRESS, __VA_ARGS__)})

}  // namespace anesdk::cpu
