// Products of few rows with weights of one byte: a matrix that is converted from integers, and perhaps scaled, only to
// be multiplied is read as it is. Memory is what such a product waits for, and a float32 copy has four times as much.
#include <map>
#include <optional>

#include "cpu/plan/plan.h"
#include "cpu/steps/steps.h"

namespace anesdk::cpu {
namespace {

constexpr int64_t kMinWeight = 4096;  // elements from which a step of its own is worth while

class Narrower {
 public:
  explicit Narrower(Graph* graph)
      : graph_(*graph), makers_(graph->tensors.size(), -1), readers_(graph->tensors.size()) {
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      for (const View& v : graph_.nodes[n].inputs) ++readers_[v.base];
      for (const TensorId t : graph_.nodes[n].outputs) makers_[t] = static_cast<int32_t>(n);
    }
  }

  void run() {
    for (Node& node : graph_.nodes) {
      if (node.kind != NodeKind::GEMM || node.compute != DType::FP32) continue;
      for (const size_t side : {1, 0}) {
        if (rows(node, side) > kNarrowRows) continue;
        bool plain = false;
        if (std::optional<std::vector<View>> inputs = narrowed(node, side, &plain)) {
          node.inputs = std::move(*inputs);
          node.imm = plain == (side == 1);  // whether a row as stored has the weights of one k
          break;
        }
      }
    }
  }

 private:
  Graph& graph_;
  std::vector<int32_t> makers_, readers_;

  // Of the result, seen from the weight on this side.
  static int64_t rows(const Node& node, size_t side) {
    const Shape& shape = node.windows[0].shape;
    return shape[shape.size() - (side == 1 ? 2 : 1)];
  }

  // The node that alone makes the whole of a temporary, if it is this operation.
  const Node* maker(const View& view, MapOp op) const {
    const int32_t n = makers_[view.base];
    const Tensor& tensor = graph_.tensors[view.base];
    if (n < 0 || readers_[view.base] != 1 || tensor.storage != Storage::TEMPORARY || view.offset != 0) return nullptr;
    const Node& node = graph_.nodes[n];
    return node.kind == NodeKind::MAP && node.map == op && view.elements() == tensor.elements ? &node : nullptr;
  }

  // [product's other operand, integers as stored, scales], in the places of the node's inputs; scales are absent where
  // there are none.
  std::optional<std::vector<View>> narrowed(const Node& node, size_t side, bool* by_rows) const {
    const View& weight = node.inputs[side];
    const size_t r = weight.shape.size();
    if (weight.elements() < kMinWeight || weight.elements() != weight.shape[r - 1] * weight.shape[r - 2]) return {};
    const bool plain = weight.strides[r - 1] == 1 && weight.strides[r - 2] == weight.shape[r - 1];
    const bool turned = weight.strides[r - 2] == 1 && weight.strides[r - 1] == weight.shape[r - 2];
    if (!plain && !turned) return {};
    *by_rows = plain;
    const int64_t stored_rows = weight.shape[plain ? r - 2 : r - 1],
                  stored_columns = weight.shape[plain ? r - 1 : r - 2];
    std::vector<View> found = {node.inputs[0], node.inputs[1]};
    const Node* convert = maker(weight, MapOp::CONVERT);
    if (convert == nullptr) {
      const Node* scaled = maker(weight, MapOp::MUL);
      if (scaled == nullptr || scaled->compute != DType::FP32) return {};
      size_t which = 0;
      for (; which < 2 && convert == nullptr; ++which) {
        if (scaled->inputs[which].dense()) convert = maker(scaled->inputs[which], MapOp::CONVERT);
      }
      if (convert == nullptr) return {};
      const View& scale = scaled->inputs[2 - which];
      const size_t last = scale.shape.size() - 1;
      if (scale.shape.empty() || scale.shape[last] != stored_columns || scale.strides[last] < 0 ||
          scale.strides[last] > 1)
        return {};
      found.push_back(scale);
    }
    View stored = convert->inputs[0];
    if ((convert->compute != DType::INT8 && convert->compute != DType::UINT8) || !stored.dense()) return {};
    stored.shape = {stored_rows, stored_columns};
    stored.strides = {stored_columns, 1};
    // The weight keeps the shape and the strides that the product sees.
    found[side] = stored;
    found[side].shape = weight.shape;
    found[side].strides = weight.strides;
    return found;
  }
};

}  // namespace

bool is_narrow(const Node& node) {
  return node.compute == DType::FP32 && (node.inputs[0].dtype != DType::FP32 || node.inputs[1].dtype != DType::FP32);
}

void narrow_products(Graph* graph) { Narrower(graph).run(); }

}  // namespace anesdk::cpu
