// Which of the compiled instruction-set variants (files *_simd.cpp, namespaces v1, v3, v4) this processor runs.
#pragma once

#include <cstdlib>
#include <cstring>

namespace anesdk::cpu {

enum class Variant { V1, V3, V4 };

// The best the processor has; ANEJAX_CPU_LEVEL = v1 or v3 asks for less, for tests.
inline Variant cpu_variant() {
  static const Variant variant = [] {
    Variant best = Variant::V1;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) {
      best = Variant::V3;
      if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
          __builtin_cpu_supports("avx512cd")) {
        best = Variant::V4;
      }
    }
#endif
    const char* wanted = std::getenv("ANEJAX_CPU_LEVEL");
    if (wanted && std::strcmp(wanted, "v1") == 0) best = Variant::V1;
    if (wanted && std::strcmp(wanted, "v3") == 0 && best == Variant::V4) best = Variant::V3;
    return best;
  }();
  return variant;
}

// `ANESDK_PICK(f)`: f of the namespace that fits, e.g. ANESDK_PICK(tile_ops<float>)().
#if defined(__x86_64__)
#define ANESDK_PICK(...)                                                          \
  (::anesdk::cpu::cpu_variant() == ::anesdk::cpu::Variant::V4   ? v4::__VA_ARGS__ \
   : ::anesdk::cpu::cpu_variant() == ::anesdk::cpu::Variant::V3 ? v3::__VA_ARGS__ \
                                                                : v1::__VA_ARGS__)
#else
#define ANESDK_PICK(...) v1::__VA_ARGS__
#endif

}  // namespace anesdk::cpu
