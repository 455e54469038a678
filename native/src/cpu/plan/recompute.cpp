// Recomputation: a large temporary that is cheap to make again from something that stands in memory anyway (a centred
// or scaled activation, a mask of it) is made again by each cluster that reads it, and is never stored. One store and
// no load are saved per tensor, two loads where the reader has the source at hand.
#include <algorithm>
#include <map>
#include <set>

#include "cpu/plan/plan.h"

namespace anesdk::cpu {
namespace {

constexpr int64_t kLarge = 16384;  // elements from which a store is worth avoiding
constexpr size_t kMaxCone = 4;     // operations repeated per reader

bool cheap(const Node& node) { return node.kind == NodeKind::MAP && row_of(node.map).cheap; }

class Recomputer {
 public:
  Recomputer(const Graph& graph, const std::vector<Unit>& units) : graph_(graph) {
    maker_.assign(graph.tensors.size(), -1);
    unit_of_.assign(graph.nodes.size(), -1);
    for (size_t n = 0; n < graph.nodes.size(); ++n) {
      for (TensorId t : graph.nodes[n].outputs) maker_[t] = static_cast<int32_t>(n);
    }
    for (size_t u = 0; u < units.size(); ++u) {
      if (!units[u].fused()) unit_of_[units[u].node] = static_cast<int32_t>(u);
      for (const Member& m : units[u].cluster.members) unit_of_[m.node] = static_cast<int32_t>(u);
    }
    fused_.resize(units.size());
    for (size_t u = 0; u < units.size(); ++u) fused_[u] = units[u].fused();
    for (size_t n = 0; n < graph.nodes.size(); ++n) {
      for (const View& v : graph.nodes[n].inputs) readers_[v.base].insert(static_cast<int32_t>(n));
    }
  }

  // The graph with copies of the cones in front of their readers, or false when there is nothing to gain.
  bool rewrite(Graph* out) {
    std::map<int32_t, std::vector<Node>> before;  // by node: what is inserted in front of it
    std::vector<Node> nodes = graph_.nodes;
    *out = graph_;
    bool any = false;
    for (TensorId t = 0; t < static_cast<TensorId>(graph_.tensors.size()); ++t) {
      std::vector<int32_t> cone;
      if (!worth(t, &cone)) continue;
      any = true;
      std::map<int32_t, std::vector<int32_t>> readers_by_unit;
      for (int32_t reader : readers_.at(t)) {
        if (unit_of_[reader] != unit_of_[maker_[t]]) readers_by_unit[unit_of_[reader]].push_back(reader);
      }
      for (const auto& [unit, readers] : readers_by_unit) {
        std::map<TensorId, TensorId> renamed;
        for (int32_t n : cone) {
          Node copy = graph_.nodes[n];
          copy.repeated = true;
          rename(&copy, renamed);
          out->tensors.push_back(graph_.tensors[copy.outputs[0]]);
          const auto fresh = static_cast<TensorId>(out->tensors.size() - 1);
          renamed[copy.outputs[0]] = fresh;
          copy.outputs[0] = fresh;
          before[readers.front()].push_back(std::move(copy));
        }
        for (int32_t reader : readers) rename(&nodes[reader], {{t, renamed.at(t)}});
      }
    }
    if (!any) return false;
    out->nodes.clear();
    for (size_t n = 0; n < nodes.size(); ++n) {
      for (Node& copy : before[static_cast<int32_t>(n)]) out->nodes.push_back(std::move(copy));
      out->nodes.push_back(std::move(nodes[n]));
    }
    remove_dead_nodes(out);
    return true;
  }

 private:
  const Graph& graph_;
  std::vector<int32_t> maker_, unit_of_;
  std::vector<bool> fused_;
  std::map<TensorId, std::set<int32_t>> readers_;

  static void rename(Node* node, const std::map<TensorId, TensorId>& names) {
    for (View& v : node->inputs) {
      const auto found = names.find(v.base);
      if (found != names.end()) v.base = found->second;
    }
  }

  bool large(TensorId t) const { return graph_.tensors[t].elements >= kLarge; }

  // Stored, large, made in a cluster, read by other clusters only, at the element's own place.
  bool worth(TensorId t, std::vector<int32_t>* cone) const {
    const Tensor& tensor = graph_.tensors[t];
    const int32_t maker = maker_[t];
    if (!large(t) || tensor.storage != Storage::TEMPORARY || maker < 0 || !fused_[unit_of_[maker]]) return false;
    const auto readers = readers_.find(t);
    if (readers == readers_.end()) return false;
    bool outside = false;
    for (int32_t reader : readers->second) {
      if (unit_of_[reader] == unit_of_[maker]) continue;
      outside = true;
      const Node& node = graph_.nodes[reader];
      if (!fused_[unit_of_[reader]]) return false;
      for (const View& v : node.inputs) {
        if (v.base == t &&
            (!v.dense() || v.offset != 0 || v.elements() != tensor.elements || v.dtype != tensor.dtype)) {
          return false;
        }
      }
    }
    if (!outside) return false;
    std::set<TensorId> sources;
    if (!gather(maker, unit_of_[maker], cone, &sources)) return false;
    std::sort(cone->begin(), cone->end());
    return sources.size() == 1;
  }

  // The operations of `unit` that lead from memory to node n, and the large tensors they start from.
  bool gather(int32_t n, int32_t unit, std::vector<int32_t>* cone, std::set<TensorId>* sources) const {
    const Node& node = graph_.nodes[n];
    if (std::find(cone->begin(), cone->end(), n) != cone->end()) return true;
    if (!cheap(node) || cone->size() == kMaxCone) return false;
    cone->push_back(n);
    for (const View& v : node.inputs) {
      const int32_t maker = maker_[v.base];
      if (maker >= 0 && unit_of_[maker] == unit) {
        if (graph_.nodes[maker].kind != NodeKind::MAP || !gather(maker, unit, cone, sources)) return false;
        continue;
      }
      if (!large(v.base)) continue;
      if (!v.dense() || v.offset != 0) return false;
      sources->insert(v.base);
    }
    return true;
  }
};

}  // namespace

bool recompute(const Graph& graph, const std::vector<Unit>& units, Graph* out) {
  return Recomputer(graph, units).rewrite(out);
}

}  // namespace anesdk::cpu
