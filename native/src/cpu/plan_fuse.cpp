#include "cpu/plan.h"

namespace anesdk::cpu {

namespace {
bool long_row(const Node& node) { return node.inner == 1 && node.outer > 1; }
}  // namespace

std::vector<Unit> make_units(const Graph& graph) {
  std::vector<Unit> units;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    Unit unit;
    unit.node = static_cast<int32_t>(i);
    if (node.kind == NodeKind::MAP) {
      unit.cluster.elements = graph.tensors[node.outputs[0]].elements;
      unit.cluster.members.push_back({unit.node, Level::FULL});
    } else if (node.kind == NodeKind::REDUCE && node.outer == 1 && node.length > 0 && !long_row(node)) {
      unit.cluster.elements = node.inputs[0].elements();
      unit.cluster.members.push_back({unit.node, Level::FULL, true, false});
    }
    units.push_back(std::move(unit));
  }
  return units;
}

}  // namespace anesdk::cpu
