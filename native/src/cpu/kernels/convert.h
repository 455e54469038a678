// Whole-tensor conversions between storage types and the types kernels compute in.
#pragma once

#include <cstdint>

#include "cpu/graph/thread_pool.h"
#include "mil/program.h"

namespace anesdk::cpu {

// target[i] = source[i]; T: float, double, uint32_t or uint64_t (integers wrap, signed ones are sign-extended).
template <typename T>
void to_compute(mil::DType dtype, const void* source, int64_t count, T* target, ThreadPool& pool);

// The other way: floats are rounded once, integers wrap.
template <typename T>
void from_compute(mil::DType dtype, const T* source, int64_t count, void* target, ThreadPool& pool);

}  // namespace anesdk::cpu
