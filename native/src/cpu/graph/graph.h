// The planner's form of a function. Views (transpose, reshape, broadcast, slice, reverse) are not nodes: every operand
// is a strided window on a dense tensor, and only what cannot be read so is copied.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mil/program.h"

namespace anesdk::cpu {

using mil::DType;
using mil::Shape;
using TensorId = int32_t;

int64_t elements_of(const Shape& shape);
Shape dense_strides(const Shape& shape);

// A window on a tensor; offset and strides in elements, strides may be 0 or negative.
struct View {
  TensorId base = -1;
  DType dtype = DType::FP32;
  int64_t offset = 0;
  Shape shape, strides;

  int64_t elements() const { return elements_of(shape); }
  bool dense() const;   // row-major and without gaps, from any offset
  bool scalar() const;  // one element, read everywhere
};

View dense_view(TensorId base, DType dtype, const Shape& shape);
View transpose(const View& view, const std::vector<int64_t>& perm);
// out[i...] reads view along dims[k] for its axis k; other axes repeat.
View broadcast(const View& view, const Shape& shape, const std::vector<int64_t>& dims);
View broadcast_trailing(const View& view, const Shape& shape);  // as NumPy
View slice(const View& view, const std::vector<int64_t>& start, const std::vector<int64_t>& limit,
           const std::vector<int64_t>& strides);
View reverse(const View& view, const std::vector<int64_t>& dims);
// False when the elements of `view` have no constant strides under `shape`.
bool reshape(const View& view, const Shape& shape, View* out);
// The permutation that puts the axes in memory order (outermost first).
std::vector<int64_t> memory_order(const View& view);
std::vector<int64_t> inverse(const std::vector<int64_t>& perm);

// Axes merged where a step along one is a whole run of the next; axes of length 1 vanish.
struct Extent {
  int64_t size, stride;
};
std::vector<Extent> collapse(const View& view);

enum class MapOp : uint8_t {
#define ANESDK_MAP_OP(name, ...) name,
#include "cpu/graph/map_ops.def"
};
enum class MapKind : uint8_t { UNARY, TEST, BINARY, COMPARISON, OTHER };

// The columns of map_ops.def that do not depend on a type.
struct MapRow {
  const char* name;
  std::string_view aj, mil;
  MapKind kind;
  int64_t cost;
  bool exact, cheap;
};
const MapRow& row_of(MapOp op);
const std::vector<MapRow>& map_rows();  // in the order of MapOp

enum class ReduceOp : uint8_t { SUM, PROD, MAX, MIN, AND, OR, XOR };
const char* name_of(ReduceOp op);

enum class NodeKind : uint8_t { MAP, REDUCE, ARG_REDUCE, GEMM, CONCAT, DYNAMIC_SLICE, DYNAMIC_UPDATE, KERNEL, CONTROL };

// When a node runs, of those that could run: before others, as memory wants it, or after all others.
enum class Turn : uint8_t { FIRST, USUAL, LAST };

struct PreparedKernel;  // a kernel of the registry, ready to run (kernel_step.h)
struct Control;         // a loop or a choice between branches (control.h)
class Plans;            // of the program's functions (plan.h)
struct Site;            // what the engine's numerics did to one operation (numerics.h)

// One operation of the plan. Outputs are dense tensors.
//   MAP             inputs have the output's shape; `compute` is the dtype of the data operands
//                   SETTLE: input 0 as the engine would have it, others what it was computed from; `site` counts
//   REDUCE          dense input read as [outer, length, inner], length vanishes; with a `site`, a sum that the engine
//                   keeps in float16
//   ARG_REDUCE      as REDUCE; `largest` picks argmax; the output's dtype is an integer's
//   GEMM            inputs [batch..., M, K] and [batch..., K, N], output dense [batch..., M, N]; one of them may be of
//                   int8 or uint8 in a product of float32, input 2 is then what scales it, if there is any
//   CONCAT          inputs are copied to `windows` of the output, first input first; the rest keeps what was written
//   DYNAMIC_SLICE   input 0 is a view whose shape is the slice's and whose offset is that of start 0; inputs 1.. are
//                   rank-0 starts, clamped to `limits` and scaled by `steps`
//   DYNAMIC_UPDATE  input 0 the operand (dense), input 1 the update, inputs 2.. the starts
//   KERNEL          dense inputs, one entry of kernels/registry.h
//   CONTROL         dense inputs in the order that control.h gives
struct Node {
  NodeKind kind = NodeKind::MAP;
  MapOp map = MapOp::COPY;
  ReduceOp reduce = ReduceOp::SUM;
  bool largest = true;
  DType compute = DType::FP32;
  int64_t imm = 0;                           // INTEGER_POW exponent
  int64_t outer = 1, length = 1, inner = 1;  // REDUCE, ARG_REDUCE; IOTA: (i / inner) % length
  std::vector<View> inputs;
  std::vector<TensorId> outputs;
  std::vector<View> windows;
  std::vector<int64_t> limits, steps;
  std::shared_ptr<const PreparedKernel> kernel;
  std::shared_ptr<const Control> control;
  Turn turn = Turn::USUAL;
  Site* site = nullptr;   // of the plan's Numerics
  bool repeated = false;  // a copy made by the planner, to be fused with its readers only
  int32_t op = -1;        // the operation that it is a part of, in Graph::op_names; -1: none
};

enum class Storage : uint8_t { INPUT, CONSTANT, TEMPORARY, OUTPUT };

struct Tensor {
  DType dtype = DType::FP32;
  int64_t elements = 0;
  Storage storage = Storage::TEMPORARY;
  int64_t index = 0;                              // INPUT, OUTPUT: port
  std::shared_ptr<const mil::Constant> constant;  // CONSTANT
  size_t nbytes() const { return static_cast<size_t>(elements) * mil::size_of(dtype); }
};

struct Graph {
  std::vector<Tensor> tensors;
  std::vector<Node> nodes;
  std::vector<mil::Type> inputs, outputs;
  std::vector<TensorId> input_tensors, output_tensors;  // output_tensors[i] has Storage::OUTPUT and index i
  std::vector<std::string> op_names;                    // of the function's operations, by their first results
  int64_t materialized_transposes = 0;
};

// Drops nodes that no output depends on.
void remove_dead_nodes(Graph* graph);

// mil::Function -> Graph; `plans` has those of the functions that it runs. Throws mil::Error.
Graph import_function(const mil::Function& function, Plans& plans);

}  // namespace anesdk::cpu
