// Running a planned convolution in one compute type.
#pragma once

#include <memory>

#include "cpu/graph/thread_pool.h"
#include "cpu/kernels/conv_shape.h"

namespace anesdk::cpu {

template <typename T>
class ConvRunner {
 public:
  virtual ~ConvRunner() = default;
  // bias: one per output feature, or null. workspace: workspace_elements() of T.
  virtual void run(const T* lhs, const T* rhs, const T* bias, T* out, T* workspace, ThreadPool& pool) const = 0;
  virtual int64_t workspace_elements() const = 0;
};

// Chooses the way that suits the shape: split the output positions, or the sum (gradients of weights), over the
// threads; with vectors along the output features, or along the last spatial axis when there are few of them.
template <typename T>
std::unique_ptr<const ConvRunner<T>> make_conv_runner(const ConvShape& shape);

}  // namespace anesdk::cpu
