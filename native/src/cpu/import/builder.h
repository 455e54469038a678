// Builds a Graph: operations over views, with shapes already known to fit.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cpu/graph/graph.h"

namespace anesdk::cpu {

class Builder {
 public:
  explicit Builder(Graph* graph) : graph_(*graph) {}

  TensorId tensor(DType dtype, int64_t elements);
  DType dtype_of(TensorId id) const { return graph_.tensors[id].dtype; }
  void add(Node node) {
    node.op = op_;
    graph_.nodes.push_back(std::move(node));
  }
  // As add, for a node that sends to other processes, and has an output. It runs behind those that were added before:
  // all processes must send in one order.
  void add_message(Node node);
  // Nodes that are added from now on are parts of the operation whose first result has this name.
  void begin_op(const std::string& name) {
    op_ = static_cast<int32_t>(graph_.op_names.size());
    graph_.op_names.push_back(name);
  }

  View scalar(DType dtype, double value);
  View constant(const mil::Value& value);

  // Elementwise. Operands broadcast as NumPy's do; the result has dtype `out`.
  View map(MapOp op, std::vector<View> inputs, DType out, int64_t imm = 0);
  View map(MapOp op, const View& x) { return map(op, std::vector<View>{x}, x.dtype); }
  View map(MapOp op, const View& x, const View& y) { return map(op, std::vector<View>{x, y}, x.dtype); }
  View map(MapOp op, const View& x, double y) { return map(op, x, scalar(x.dtype, y)); }
  View compare(MapOp op, const View& x, const View& y) { return map(op, std::vector<View>{x, y}, DType::BOOL); }
  View select(const View& condition, const View& yes, const View& no);
  View convert(const View& x, DType to);
  View iota(DType dtype, const Shape& shape, int64_t dimension);

  // Reduced axes vanish. 16-bit floats reduce in float32.
  View reduce(ReduceOp op, const View& x, std::vector<int64_t> axes);
  View arg_reduce(bool largest, const View& x, int64_t axis, DType out);
  // Until told otherwise, sums are kept in float16 and counted by `site`; null: as usual.
  void narrow_sums(Site* site) { narrow_ = site; }
  // `value` as the engine would have it (numerics.h), float32; operands: what it was computed from, two at most.
  View settle(const View& value, std::vector<View> operands, Site* site);
  // As reduce, with the axes kept at length 1.
  View reduce_keep(ReduceOp op, const View& x, const std::vector<int64_t>& axes);

  View reshape(const View& x, const Shape& shape);
  View concat(const std::vector<View>& parts, int64_t axis);
  View pad(const View& x, const View& value, const std::vector<int64_t>& low, const std::vector<int64_t>& high,
           const std::vector<int64_t>& interior);

  // x [batch..., m..., k...] times y [batch..., k..., n...], groups given by their ranks. `perm` is the order in which
  // the axes of the result will be read: the result is dense in that order when a GEMM can write it so.
  struct Contraction {
    size_t batch, m, n, k;
    std::vector<int64_t> perm;
  };
  View dot(View x, View y, const Contraction& spec, DType out);

  // The same elements, dense; a copy only when they are not. Copies are made once.
  View dense(const View& x);

 private:
  View copy(const View& x);
  View narrow_sum(View x, std::vector<int64_t> axes);

  Graph& graph_;
  Site* narrow_ = nullptr;
  int32_t op_ = -1;
  View last_message_;  // what the last node that sends made, if any
  std::vector<std::pair<View, View>> copies_;
};

bool same(const View& a, const View& b);
Shape broadcast_shape(const std::vector<View>& views);
DType compute_dtype(DType dtype);  // FP32 for 16-bit floats

}  // namespace anesdk::cpu
