// Applying the plans of fft.h, to many short signals side by side or to a long one by itself.
#pragma once

#include "cpu/kernels/fft.h"

namespace anesdk::cpu {

// Points that a buffer for one signal has: more than the signal's where it is transformed by a convolution.
template <typename T>
int64_t buffer_points(const FftPlan<T>& plan) {
  return plan.is_bluestein() ? plan.circle->n : plan.n;
}

// Whether signals are transformed side by side, as columns, rather than one after the other.
template <typename T>
bool takes_columns(const FftPlan<T>& plan) {
  return !(plan.is_bluestein() ? plan.circle->is_long() : plan.is_long());
}

// For plans that take columns: transforms each of the `lanes` columns of `a`, with `b` as the other hand; both have
// buffer_points(plan) rows. Returns the one of the two that has the result in its first plan.n rows.
template <typename T>
Planar<T> transform_columns(const FftPlan<T>& plan, Planar<T> a, Planar<T> b, int64_t lanes);

// For the others: transforms the contiguous signal `x`, in place, with several threads; `work` is as long as `x`,
// buffer_points(plan).
template <typename T>
void transform_line(const FftPlan<T>& plan, Planar<T> x, Planar<T> work);

// Either, for one contiguous signal.
template <typename T>
void transform_once(const FftPlan<T>& plan, Planar<T> x);

}  // namespace anesdk::cpu
