// Liveness, reuse in place, donation, and offsets in one arena.
#include <algorithm>
#include <map>
#include <set>

#include "cpu/plan/plan.h"
#include "cpu/steps/control.h"
#include "cpu/steps/kernel_step.h"

namespace anesdk::cpu {
namespace {

class MemoryPlanner {
 public:
  MemoryPlanner(const Graph& graph, const std::vector<Unit>& units, const std::vector<Donation>& donate)
      : graph_(graph), units_(units), donate_(donate.begin(), donate.end()) {}

  Memory plan() {
    const size_t count = graph_.tensors.size();
    memory_.offset.assign(count, -1);
    memory_.stored.assign(count, false);
    memory_.output_alias.assign(graph_.outputs.size(), -1);
    find_lives();
    donate();
    reuse_in_place();
    place();
    return std::move(memory_);
  }

 private:
  struct Life {
    int first = -1, last = -1;  // units; -1: never
  };

  const Graph& graph_;
  const std::vector<Unit>& units_;
  std::set<Donation> donate_;
  Memory memory_;
  std::vector<Life> lives_;
  std::vector<TensorId> slot_;  // by tensor: the tensor whose memory it uses

  template <class F>
  void each_node(const Unit& unit, F f) const {
    if (!unit.fused()) return f(graph_.nodes[unit.node]);
    for (const Member& m : unit.cluster.members) f(graph_.nodes[m.node]);
  }

  // The unit that makes each tensor and the last one that reads it. A tensor inside one cluster is never stored.
  void find_lives() {
    lives_.assign(graph_.tensors.size(), {});
    for (size_t u = 0; u < units_.size(); ++u) {
      std::set<TensorId> made;
      each_node(units_[u], [&](const Node& node) {
        for (const View& v : node.inputs) {
          if (made.contains(v.base)) continue;
          lives_[v.base].last = static_cast<int>(u);
          if (graph_.tensors[v.base].storage == Storage::TEMPORARY) memory_.stored[v.base] = true;
        }
        for (TensorId t : node.outputs) {
          lives_[t].first = static_cast<int>(u);
          made.insert(t);
        }
      });
      each_node(units_[u], [&](const Node& node) {
        for (TensorId t : node.outputs) {
          if (graph_.tensors[t].storage == Storage::OUTPUT || !units_[u].fused()) memory_.stored[t] = true;
        }
      });
      for (const Member& m : units_[u].cluster.members) {
        if (m.sink) memory_.stored[graph_.nodes[m.node].outputs[0]] = true;
      }
    }
  }

  void donate() {
    slot_.resize(graph_.tensors.size());
    for (size_t t = 0; t < slot_.size(); ++t) slot_[t] = static_cast<TensorId>(t);
    std::set<Donation> left = donate_;
    for (const bool in_place : {true, false}) {
      for (size_t o = 0; o < graph_.output_tensors.size(); ++o) {
        if (memory_.output_alias[o] >= 0) continue;
        const TensorId out = graph_.output_tensors[o];
        const int made = lives_[out].first;
        for (const Donation& donation : left) {
          const uint64_t i = donation.input;
          const TensorId in = graph_.input_tensors[i];
          if (donation.output >= 0 && static_cast<size_t>(donation.output) != o) continue;
          if (graph_.inputs[i] != graph_.outputs[o]) continue;
          const int last = lives_[in].last;
          const bool here = last == made && may_overwrite(graph_, units_[made], out, in);
          if (in_place ? !here : last >= made) continue;
          memory_.output_alias[o] = static_cast<int64_t>(i);
          memory_.alias.push_back({out, in});
          left.erase(donation);
          break;
        }
      }
    }
  }

  // A temporary takes the memory of one that dies where it is made.
  void reuse_in_place() {
    for (size_t u = 0; u < units_.size(); ++u) {
      std::vector<TensorId> dying;
      std::set<TensorId> seen;
      each_node(units_[u], [&](const Node& node) {
        for (const View& v : node.inputs) {
          if (graph_.tensors[v.base].storage != Storage::TEMPORARY || !memory_.stored[v.base]) continue;
          if (lives_[v.base].last != static_cast<int>(u) || lives_[v.base].first == static_cast<int>(u)) continue;
          if (seen.insert(v.base).second) dying.push_back(v.base);
        }
      });
      each_node(units_[u], [&](const Node& node) {
        for (TensorId out : node.outputs) {
          if (graph_.tensors[out].storage != Storage::TEMPORARY || !memory_.stored[out]) continue;
          for (auto it = dying.begin(); it != dying.end(); ++it) {
            if (!may_overwrite(graph_, units_[u], out, *it)) continue;
            memory_.alias.push_back({out, *it});
            slot_[out] = slot_[*it];
            dying.erase(it);
            break;
          }
        }
      });
    }
  }

  struct Block {
    TensorId slot;
    size_t bytes;
    int first, last;
    size_t offset = 0;
  };

  // Largest first, each at the tightest gap among the blocks that live at the same time.
  void place() {
    std::map<TensorId, Block> blocks;
    for (size_t t = 0; t < graph_.tensors.size(); ++t) {
      const Tensor& tensor = graph_.tensors[t];
      if (tensor.storage != Storage::TEMPORARY || !memory_.stored[t]) continue;
      memory_.temporaries_bytes += align64(tensor.nbytes());
      const Life& life = lives_[t];
      const int last = std::max(life.first, life.last);
      auto [it, fresh] = blocks.try_emplace(slot_[t], Block{slot_[t], align64(tensor.nbytes()), life.first, last, 0});
      if (fresh) continue;
      Block& b = it->second;
      b.bytes = std::max(b.bytes, align64(tensor.nbytes()));
      b.first = std::min(b.first, life.first);
      b.last = std::max(b.last, last);
    }
    std::vector<Block> order;
    for (const auto& [id, b] : blocks) order.push_back(b);
    std::stable_sort(order.begin(), order.end(), [](const Block& a, const Block& b) { return a.bytes > b.bytes; });
    std::vector<Block> placed;  // by offset
    for (Block& b : order) {
      b.offset = best_gap(placed, b);
      const auto behind = [](size_t offset, const Block& other) { return offset < other.offset; };
      placed.insert(std::upper_bound(placed.begin(), placed.end(), b.offset, behind), b);
      memory_.arena_bytes = std::max(memory_.arena_bytes, b.offset + b.bytes);
    }
    std::map<TensorId, size_t> offsets;
    for (const Block& b : placed) offsets[b.slot] = b.offset;
    for (size_t t = 0; t < graph_.tensors.size(); ++t) {
      const auto found = offsets.find(slot_[t]);
      const bool stored = graph_.tensors[t].storage == Storage::TEMPORARY && memory_.stored[t];
      if (stored && found != offsets.end()) memory_.offset[t] = static_cast<int64_t>(found->second);
    }
  }

  static size_t best_gap(const std::vector<Block>& placed, const Block& b) {
    size_t at = 0, best = SIZE_MAX, best_size = SIZE_MAX;
    for (const Block& p : placed) {
      if (p.first > b.last || b.first > p.last) continue;
      const size_t gap = p.offset > at ? p.offset - at : 0;
      if (gap >= b.bytes && gap > 0 && gap < best_size) best = at, best_size = gap;
      at = std::max(at, p.offset + p.bytes);
    }
    return best != SIZE_MAX ? best : at;
  }
};

// A tensor as it is, from its first element to its last.
bool whole(const Graph& graph, const View& v) {
  return v.dense() && v.offset == 0 && v.elements() == graph.tensors[v.base].elements;
}

// Every read of the input is of the very element that is being written.
bool may_overwrite_fused(const Graph& graph, const Unit& unit, TensorId output, TensorId input) {
  const Tensor &out = graph.tensors[output], &in = graph.tensors[input];
  if (out.elements != in.elements || mil::size_of(out.dtype) != mil::size_of(in.dtype)) return false;
  const Member* maker = nullptr;
  for (const Member& m : unit.cluster.members) {
    if (graph.nodes[m.node].outputs[0] == output) maker = &m;
  }
  if (maker == nullptr || maker->sink) return false;
  for (const Member& m : unit.cluster.members) {
    for (const View& v : graph.nodes[m.node].inputs) {
      if (v.base == input && (!whole(graph, v) || m.level != maker->result())) return false;
    }
  }
  return true;
}

}  // namespace

bool may_take(const Graph& graph, const Node& node, size_t o, size_t i) {
  if (!whole(graph, node.inputs[i])) return false;
  switch (node.kind) {
    case NodeKind::DYNAMIC_UPDATE:
      return i == 0;
    case NodeKind::CONCAT:  // a copy onto itself
      return node.inputs.size() == 1 && whole(graph, node.windows[0]);
    case NodeKind::KERNEL:
      return node.kernel->kernel->may_alias(o, i);
    case NodeKind::CONTROL:
      return node.control->alias[o] == static_cast<int64_t>(i);
    default:
      return false;
  }
}

bool may_overwrite(const Graph& graph, const Unit& unit, TensorId output, TensorId input) {
  if (graph.tensors[output].nbytes() != graph.tensors[input].nbytes()) return false;
  if (unit.fused()) return may_overwrite_fused(graph, unit, output, input);
  const Node& node = graph.nodes[unit.node];
  size_t found = node.inputs.size();
  for (size_t k = 0; k < node.inputs.size(); ++k) {
    if (node.inputs[k].base != input) continue;
    if (found < node.inputs.size()) return false;  // read in two ways
    found = k;
  }
  const auto at = std::find(node.outputs.begin(), node.outputs.end(), output) - node.outputs.begin();
  return found < node.inputs.size() && may_take(graph, node, static_cast<size_t>(at), found);
}

Memory plan_memory(const Graph& graph, const std::vector<Unit>& units, const std::vector<Donation>& donate) {
  return MemoryPlanner(graph, units, donate).plan();
}

}  // namespace anesdk::cpu
