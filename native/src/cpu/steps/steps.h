// The steps that are not fused loops. Each is made from one node of the graph.
#pragma once

#include <memory>

#include "cpu/graph/graph.h"
#include "cpu/graph/step.h"

namespace anesdk::cpu {

std::unique_ptr<Step> make_copy_step(const Graph& graph, const Node& node);            // CONCAT
std::unique_ptr<Step> make_dynamic_slice_step(const Graph& graph, const Node& node);   // DYNAMIC_SLICE
std::unique_ptr<Step> make_dynamic_update_step(const Graph& graph, const Node& node);  // DYNAMIC_UPDATE
std::unique_ptr<Step> make_reduce_step(const Graph& graph, const Node& node);          // REDUCE
std::unique_ptr<Step> make_narrow_sum_step(const Node& node);                          // REDUCE with a site
std::unique_ptr<Step> make_arg_reduce_step(const Graph& graph, const Node& node);      // ARG_REDUCE
View swapped(View view);                                                               // its last two axes exchanged
std::unique_ptr<Step> make_gemm_step(const Graph& graph, const Node& node);            // GEMM
// GEMM whose weights are among the first `steady` inputs and packed once; null where that gains nothing.
std::unique_ptr<Step> make_packed_gemm_step(const Graph& graph, const Node& node, size_t steady);
std::unique_ptr<Step> make_narrow_step(const Node& node);                       // GEMM, a weight of one byte
std::unique_ptr<Step> make_kernel_step(const Graph& graph, const Node& node);   // KERNEL
std::unique_ptr<Step> make_control_step(const Graph& graph, const Node& node);  // CONTROL

// Copies between two views of equal shape, prepared once: axes merged, the inner plane chosen.
class StridedCopy {
 public:
  StridedCopy(const View& dst, const View& src);
  // Base addresses of the views' first elements.
  void run(std::byte* dst, const std::byte* src, ThreadPool& pool) const;
  int64_t elements() const { return elements_; }

 private:
  struct Axis {
    int64_t size, dst, src;
  };
  std::vector<Axis> outer_;
  Axis row_{1, 0, 0}, column_{1, 0, 0};
  int64_t elements_ = 0, outer_count_ = 1;
  int64_t size_ = 4;
};

}  // namespace anesdk::cpu
