// A cluster: elementwise nodes and reductions that make one pass over memory. Its values live on two levels: FULL, an
// element per point of [rows, length], and ROW, one per row. Row reductions lead from FULL to ROW and rows are read
// back as broadcasts; column sinks leave the cluster.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "cpu/graph/graph.h"
#include "cpu/graph/step.h"

namespace anesdk::cpu {

enum class Level : uint8_t { FULL, ROW };

struct Member {
  int32_t node;             // index in Graph::nodes
  Level level;              // of its operands
  bool sink = false;        // a reduction over rows: its result leaves the cluster through memory
  bool row_reduce = false;  // a reduction along rows: FULL operand, ROW result
  Level result() const { return row_reduce ? Level::ROW : level; }
};

struct Cluster {
  int64_t elements = 0;         // of FULL
  int64_t length = 1;           // of a row; 1 while no member cares
  bool rows_fixed = false;      // a row reduction set `length`
  std::vector<Member> members;  // in program order
  int64_t rows() const { return length == 0 ? 0 : elements / length; }
};

// The longest row that a row reduction may fuse with its users.
inline constexpr int64_t kMaxRow = 16384;

// True if `view` repeats each element along the last `length` points.
bool repeats_along_row(const View& view, int64_t length);

// `stored` says which tensors must reach memory; `aliases` are (output, input) tensors that share it.
std::unique_ptr<Step> make_fused_step(const Graph& graph, const Cluster& cluster, const std::vector<bool>& stored,
                                      const std::vector<std::pair<TensorId, TensorId>>& aliases);

}  // namespace anesdk::cpu
