#include "cpu/kernels/convert.h"

#include <cstddef>
#include <type_traits>

#include "cpu/kernels/numeric.h"
#include "cpu/tile/simd.h"

namespace anesdk::cpu {
namespace {

constexpr int64_t kGrain = 16 * 1024;

template <typename To, typename From>
To converted(From x) {
  if constexpr (is_half_like<From>) {
    return static_cast<To>(static_cast<float>(x));
  } else if constexpr (is_half_like<To>) {
    return To(static_cast<float>(x));
  } else {
    return static_cast<To>(x);
  }
}

// Integers meet integers and floats meet floats only; anything else is a mistake of the caller.
template <typename To, typename From>
void convert(const From* source, int64_t count, To* target, ThreadPool& pool) {
  if constexpr (is_real<To> == is_real<From>) {
    pool.parallel_for(count, kGrain, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) target[i] = converted<To>(source[i]);
    });
  } else {
    throw mil::Error("a kernel was given floats beside integers.");
  }
}

// The device's vector loops, for what training in 16 bits converts all the time.
bool convert_halves(mil::DType from, const void* source, int64_t count, mil::DType to, void* target, ThreadPool& pool) {
  const auto is_half = [](mil::DType dtype) { return dtype == mil::DType::FP16 || dtype == mil::DType::BF16; };
  const bool widens = is_half(from) && to == mil::DType::FP32;
  const bool narrows = from == mil::DType::FP32 && is_half(to);
  const MapFn loop = widens || narrows ? simd().convert(from, to) : nullptr;
  if (!loop) return false;
  pool.parallel_for(count, kGrain, [&](int64_t begin, int64_t end) {
    const void* part = static_cast<const std::byte*>(source) + static_cast<size_t>(begin) * mil::size_of(from);
    loop(static_cast<std::byte*>(target) + static_cast<size_t>(begin) * mil::size_of(to), &part, end - begin, 0);
  });
  return true;
}

}  // namespace

template <typename T>
void to_compute(mil::DType dtype, const void* source, int64_t count, T* target, ThreadPool& pool) {
  if constexpr (std::is_same_v<T, float>) {
    if (convert_halves(dtype, source, count, mil::DType::FP32, target, pool)) return;
  }
  visit_dtype(dtype, [&]<typename From>(Tag<From>) { convert(static_cast<const From*>(source), count, target, pool); });
}

template <typename T>
void from_compute(mil::DType dtype, const T* source, int64_t count, void* target, ThreadPool& pool) {
  if constexpr (std::is_same_v<T, float>) {
    if (convert_halves(mil::DType::FP32, source, count, dtype, target, pool)) return;
  }
  visit_dtype(dtype, [&]<typename To>(Tag<To>) { convert(source, count, static_cast<To*>(target), pool); });
}

#define ANESDK_INSTANTIATE(T)                                                     \
  template void to_compute<T>(mil::DType, const void*, int64_t, T*, ThreadPool&); \
  template void from_compute<T>(mil::DType, const T*, int64_t, void*, ThreadPool&);
ANESDK_INSTANTIATE(float)
ANESDK_INSTANTIATE(double)
ANESDK_INSTANTIATE(uint32_t)
ANESDK_INSTANTIATE(uint64_t)

}  // namespace anesdk::cpu
