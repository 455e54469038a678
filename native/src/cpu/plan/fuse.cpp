// Fusion: elementwise nodes and reductions that can share one pass over memory become clusters. A cluster grows from
// its producers down; joining is refused where it would make a cycle or where an operand inside would have to be read
// anywhere but at the element being computed.
#include <algorithm>
#include <map>
#include <set>

#include "cpu/plan/order.h"
#include "cpu/plan/plan.h"

namespace anesdk::cpu {
namespace {

constexpr size_t kMaxMembers = 96;
constexpr size_t kMaxStreams = 40;       // tensors that one pass reads or writes
constexpr int64_t kMaxSingleRow = 4096;  // a whole tensor reduced and used again inside one cluster
constexpr int64_t kWorthSharing = 4096;  // elements of an input that two clusters would each read
constexpr size_t kSharers = 16;          // readers of one tensor before a reader that it is held against

bool fusible(const Node& node) {
  if (node.kind == NodeKind::REDUCE) return node.site == nullptr;
  return node.kind == NodeKind::MAP;
}

// The cluster of a set of nodes, if the set can be one.
class Shaper {
 public:
  explicit Shaper(const Graph& graph) : graph_(graph) {}

  bool shape(const std::vector<int32_t>& nodes, Cluster* out) const {
    if (nodes.size() > kMaxMembers) return false;
    *out = {};
    for (int32_t id : nodes) out->elements = std::max(out->elements, points(graph_.nodes[id]));
    if (!choose_length(nodes, out)) return false;
    std::map<TensorId, Member> made;
    std::set<TensorId> streams;
    for (int32_t id : nodes) {
      const Node& node = graph_.nodes[id];
      Member member{id, Level::FULL};
      if (!place(node, *out, &member)) return false;
      for (const View& view : node.inputs) {
        const auto maker = made.find(view.base);
        if (maker == made.end()) {
          streams.insert(view.base);
        } else if (!reads_own_element(view, maker->second, member, *out)) {
          return false;
        }
      }
      made[node.outputs[0]] = member;
      out->members.push_back(member);
    }
    return streams.size() <= kMaxStreams;
  }

 private:
  const Graph& graph_;

  // The size of the loop that a node wants.
  int64_t points(const Node& node) const {
    return node.kind == NodeKind::REDUCE ? node.inputs[0].elements() : graph_.tensors[node.outputs[0]].elements;
  }

  bool choose_length(const std::vector<int32_t>& nodes, Cluster* out) const {
    bool whole = false;
    for (int32_t id : nodes) {
      const Node& node = graph_.nodes[id];
      if (node.kind != NodeKind::REDUCE) continue;
      if (node.length == 0) return false;
      if (node.inner != 1 || points(node) != out->elements) continue;
      if (node.outer == 1) {
        whole = true;
        continue;
      }
      if (node.length > kMaxRow || (out->rows_fixed && out->length != node.length)) return false;
      out->length = node.length;
      out->rows_fixed = true;
    }
    if (whole && !out->rows_fixed && nodes.size() > 1 && out->elements > 1 && out->elements <= kMaxSingleRow) {
      out->length = out->elements;
      out->rows_fixed = true;
    }
    return out->length == 1 || out->elements > 0;
  }

  bool place(const Node& node, const Cluster& cluster, Member* member) const {
    const int64_t n = points(node);
    const bool row = n != cluster.elements;
    if (row && (!cluster.rows_fixed || n != cluster.rows())) return false;
    member->level = row ? Level::ROW : Level::FULL;
    if (node.kind == NodeKind::MAP) return true;
    member->row_reduce = !row && cluster.rows_fixed && node.inner == 1 && node.length == cluster.length;
    member->sink = !member->row_reduce;
    return member->row_reduce || node.outer == 1;
  }

  bool reads_own_element(const View& view, const Member& maker, const Member& reader, const Cluster& cluster) const {
    if (maker.sink || view.offset != 0 || view.dtype != graph_.tensors[view.base].dtype) return false;
    if (maker.result() == reader.level) {
      const int64_t n = reader.level == Level::FULL ? cluster.elements : cluster.rows();
      return view.dense() && view.elements() == n;
    }
    if (maker.result() == Level::FULL) return false;  // a row would read a point
    if (view.elements() != cluster.elements || !repeats_along_row(view, cluster.length)) return false;
    const std::vector<Extent> extents = collapse(view);
    if (extents.back().size != cluster.length) return cluster.rows() == 1;
    return extents.size() == 1 || (extents.size() == 2 && extents[0].stride == 1);
  }
};

class Fuser {
 public:
  explicit Fuser(const Graph& graph)
      : graph_(graph), shaper_(graph), order_(static_cast<int32_t>(graph.nodes.size())) {}

  std::vector<Unit> run() {
    const auto count = static_cast<int32_t>(graph_.nodes.size());
    maker_.assign(graph_.tensors.size(), -1);
    unit_of_.resize(count);
    groups_.resize(count);
    seen_.assign(count, 0);
    for (int32_t n = 0; n < count; ++n) {
      unit_of_[n] = n;
      groups_[n].nodes = {n};
      order_.append(n);
      add_dependences(n);
      for (TensorId t : graph_.nodes[n].outputs) maker_[t] = n;
      if (fusible(graph_.nodes[n])) join_producers(n);
    }
    share_inputs();
    return ordered();
  }

 private:
  struct Group {
    std::vector<int32_t> nodes;  // ascending; empty when merged away
    std::vector<int32_t> needs;  // nodes whose results it reads, ascending; some may be its own by now
  };

  const Graph& graph_;
  Shaper shaper_;
  std::vector<int32_t> maker_;    // by tensor: node, or -1
  std::vector<int32_t> unit_of_;  // by node: group
  std::vector<Group> groups_;
  OrderedList order_;          // of groups: each stands behind all that it needs
  std::vector<int32_t> seen_;  // by group: the search that last came by
  int32_t search_ = 0;

  void add_dependences(int32_t n) {
    std::vector<int32_t>& needs = groups_[n].needs;
    for (const View& v : graph_.nodes[n].inputs) {
      if (maker_[v.base] >= 0) needs.push_back(maker_[v.base]);
    }
    std::sort(needs.begin(), needs.end());
    needs.erase(std::unique(needs.begin(), needs.end()), needs.end());
  }

  // The groups that `later` needs, directly or through others, and that stand behind `earlier`; false if one of them
  // needs `earlier`, so that the two can be no single group. What stands before `earlier` cannot need it: the search
  // ends there.
  bool between(int32_t earlier, int32_t later, std::vector<int32_t>* found) {
    ++search_;
    found->clear();
    for (size_t next = 0, from = static_cast<size_t>(later);; from = static_cast<size_t>((*found)[next++])) {
      for (const int32_t node : groups_[from].needs) {
        const int32_t g = unit_of_[node];
        if (g == earlier && from != static_cast<size_t>(later)) return false;
        if (seen_[g] == search_ || g == later || !order_.before(earlier, g)) continue;
        seen_[g] = search_;
        found->push_back(g);
      }
      if (next == found->size()) return true;
    }
  }

  bool try_merge(int32_t a, int32_t b) {
    if (a == b) return true;
    std::vector<int32_t> nodes;
    std::merge(groups_[a].nodes.begin(), groups_[a].nodes.end(), groups_[b].nodes.begin(), groups_[b].nodes.end(),
               std::back_inserter(nodes));
    Cluster shape;
    if (!shaper_.shape(nodes, &shape)) return false;
    const int32_t earlier = order_.before(a, b) ? a : b, later = earlier == a ? b : a;
    std::vector<int32_t> needed;
    if (!between(earlier, later, &needed)) return false;
    // The new group takes the place of the earlier one, and all that the later one needs goes before it.
    std::sort(needed.begin(), needed.end(), [this](int32_t x, int32_t y) { return order_.before(x, y); });
    needed.push_back(later);
    for (const int32_t g : needed) {
      order_.remove(g);
      order_.insert_before(g, earlier);
    }
    const int32_t keep = std::min(a, b), gone = std::max(a, b);
    order_.remove(gone);
    for (int32_t n : groups_[gone].nodes) unit_of_[n] = keep;
    groups_[keep].nodes = std::move(nodes);
    std::vector<int32_t> needs;
    std::set_union(groups_[a].needs.begin(), groups_[a].needs.end(), groups_[b].needs.begin(), groups_[b].needs.end(),
                   std::back_inserter(needs));
    groups_[keep].needs = std::move(needs);
    groups_[gone] = {};
    return true;
  }

  void join_producers(int32_t n) {
    std::vector<int32_t> producers;
    for (const View& v : graph_.nodes[n].inputs) {
      const int32_t maker = maker_[v.base];
      if (maker < 0 || !fusible(graph_.nodes[maker])) continue;
      // A repeated node goes with its readers, not with what it reads.
      if (!graph_.nodes[n].repeated || graph_.nodes[maker].repeated) producers.push_back(maker);
    }
    std::sort(producers.rbegin(), producers.rend());  // the latest first: it is the likeliest to come after the others
    for (int32_t p : producers) try_merge(unit_of_[n], unit_of_[p]);
  }

  // Clusters that read the same large tensor read it once when nothing keeps them apart.
  void share_inputs() {
    std::map<TensorId, std::vector<int32_t>> readers;
    for (int32_t n = 0; n < static_cast<int32_t>(graph_.nodes.size()); ++n) {
      if (!fusible(graph_.nodes[n]) || graph_.nodes[n].repeated) continue;
      for (const View& v : graph_.nodes[n].inputs) {
        if (graph_.tensors[v.base].elements >= kWorthSharing && v.elements() == graph_.tensors[v.base].elements) {
          std::vector<int32_t>& nodes = readers[v.base];
          if (nodes.empty() || nodes.back() != n) nodes.push_back(n);
        }
      }
    }
    for (const auto& [tensor, nodes] : readers) {
      for (size_t i = 1; i < nodes.size(); ++i) share_with(nodes[i], nodes, i > kSharers ? i - kSharers : 0, i);
    }
  }

  // Joins the group of node n with that of the first of nodes [begin, end) with which it can be one.
  void share_with(int32_t n, const std::vector<int32_t>& nodes, size_t begin, size_t end) {
    std::vector<int32_t> refused;
    for (size_t i = begin; i < end; ++i) {
      const int32_t a = unit_of_[nodes[i]], b = unit_of_[n];
      if (a == b || std::find(refused.begin(), refused.end(), a) != refused.end()) continue;
      if (try_merge(a, b)) return;
      refused.push_back(a);
    }
  }

  std::vector<Unit> ordered() const {
    std::vector<std::vector<int32_t>> groups;
    for (const Group& group : groups_) {
      if (!group.nodes.empty()) groups.push_back(group.nodes);
    }
    std::vector<Unit> units;
    for (const int32_t g : schedule(graph_, groups)) units.push_back(unit(groups[g]));
    return units;
  }

  Unit unit(const std::vector<int32_t>& nodes) const {
    Unit out;
    out.node = nodes.front();
    const Node& first = graph_.nodes[nodes.front()];
    // A lone row reduction is better served by the reduction step.
    const bool alone = nodes.size() == 1 && first.kind == NodeKind::REDUCE && first.outer != 1;
    if (!fusible(first) || alone || !shaper_.shape(nodes, &out.cluster)) out.cluster = {};
    return out;
  }
};

}  // namespace

std::vector<Unit> make_units(const Graph& graph) { return Fuser(graph).run(); }

}  // namespace anesdk::cpu
