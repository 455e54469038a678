// The order of the steps. A group of nodes that leaves no more temporaries alive than it found runs as soon as it can
// (an optimizer's update right behind its gradient); otherwise the group with the earliest node goes first. A group
// that could write an operand in place waits for the other readers of that operand. Messages to other processes begin
// as soon as they can, and are waited for when nothing else is left to do (Turn); what the first of them needs goes
// before what only later ones need.
#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <string>
#include <utility>

#include "cpu/plan/plan.h"
#include "mil/error.h"

namespace anesdk::cpu {
namespace {

constexpr int64_t kSmallGrowth = 4096;  // bytes that count as none
constexpr size_t kRanks = 8;

void make_unique(std::vector<int32_t>* values) {
  std::sort(values->begin(), values->end());
  values->erase(std::unique(values->begin(), values->end()), values->end());
}

class Scheduler {
 public:
  Scheduler(const Graph& graph, const std::vector<std::vector<int32_t>>& groups)
      : graph_(graph), groups_(groups), users_(groups.size()), waiting_(groups.size(), 0), done_(groups.size(), false) {
    maker_.assign(graph.tensors.size(), -1);
    readers_.resize(graph.tensors.size());
    left_.assign(graph.tensors.size(), 0);
    for (size_t g = 0; g < groups.size(); ++g) {
      for (const int32_t n : groups[g]) {
        for (const TensorId t : graph.nodes[n].outputs) maker_[t] = static_cast<int32_t>(g);
      }
    }
    for (size_t g = 0; g < groups.size(); ++g) find_needs(static_cast<int32_t>(g));
    for (size_t t = 0; t < readers_.size(); ++t) left_[t] = readers_[t].size();
    find_goals();
  }

  // Kahn's algorithm; of the groups that are ready, the earliest one of the lowest rank is next.
  std::vector<int32_t> run() {
    for (size_t g = 0; g < groups_.size(); ++g) {
      if (waiting_[g] == 0) make_ready(static_cast<int32_t>(g));
    }
    std::vector<int32_t> order;
    for (;;) {
      const auto lowest =
          std::find_if(ready_.begin(), ready_.end(), [](const auto& groups) { return !groups.empty(); });
      if (lowest == ready_.end()) break;
      const int32_t next = lowest->begin()->second;
      lowest->erase(lowest->begin());
      order.push_back(next);
      finish(next);
    }
    if (order.size() != groups_.size()) {
      throw mil::Error("[plan] expected an order of " + std::to_string(groups_.size()) + " groups of operations, " +
                           std::to_string(groups_.size() - order.size()) + " of them wait for each other",
                       ANESDK_INTERNAL_ERROR);
    }
    return order;
  }

 private:
  const Graph& graph_;
  const std::vector<std::vector<int32_t>>& groups_;
  std::vector<int32_t> maker_;                 // by tensor: group, or -1
  std::vector<std::vector<int32_t>> readers_;  // by tensor: groups, ascending
  std::vector<size_t> left_;                   // by tensor: how many of its readers have not run
  std::vector<std::vector<int32_t>> users_;    // by group: those that need it
  std::vector<int> waiting_;                   // by group: how many that it needs have not run
  std::vector<bool> done_;
  std::vector<int32_t> goals_;  // by group: the first message that needs it, or the largest number
  std::array<std::set<std::pair<int32_t, int32_t>>, kRanks> ready_;  // goal and group

  template <class F>
  void each_input(int32_t g, F f) const {
    for (const int32_t n : groups_[g]) {
      for (const View& v : graph_.nodes[n].inputs) f(v.base);
    }
  }

  std::vector<int32_t> tensors_read(int32_t g) const {
    std::vector<int32_t> tensors;
    each_input(g, [&](TensorId t) { tensors.push_back(t); });
    make_unique(&tensors);
    return tensors;
  }

  void find_needs(int32_t g) {
    std::vector<int32_t> needs;
    for (const TensorId t : tensors_read(g)) {
      readers_[t].push_back(g);
      if (maker_[t] >= 0 && maker_[t] != g) needs.push_back(maker_[t]);
    }
    make_unique(&needs);
    waiting_[g] = static_cast<int>(needs.size());
    for (const int32_t need : needs) users_[need].push_back(g);
  }

  Turn turn(int32_t g) const { return graph_.nodes[groups_[g].front()].turn; }

  // The groups that begin messages are in the order in which they are to begin.
  void find_goals() {
    goals_.assign(groups_.size(), std::numeric_limits<int32_t>::max());
    for (size_t message = 0; message < groups_.size(); ++message) {
      if (turn(static_cast<int32_t>(message)) != Turn::FIRST) continue;
      std::vector<int32_t> open{static_cast<int32_t>(message)};
      while (!open.empty()) {
        const int32_t g = open.back();
        open.pop_back();
        if (goals_[g] <= static_cast<int32_t>(message)) continue;
        goals_[g] = static_cast<int32_t>(message);
        each_input(g, [&](TensorId t) {
          if (maker_[t] >= 0) open.push_back(maker_[t]);
        });
      }
    }
  }

  void make_ready(int32_t g) { ready_[rank(g)].insert({goals_[g], g}); }

  void finish(int32_t g) {
    done_[g] = true;
    for (const TensorId t : tensors_read(g)) {
      if (--left_[t] == 1) rank_again(t);
    }
    for (const int32_t user : users_[g]) {
      if (--waiting_[user] == 0) make_ready(user);
    }
  }

  // The last reader of a tensor frees its memory, or may write over it.
  void rank_again(TensorId t) {
    const int32_t last = *std::find_if(readers_[t].begin(), readers_[t].end(), [this](int32_t g) { return !done_[g]; });
    for (auto& groups : ready_) {
      if (groups.erase({goals_[last], last}) > 0) return make_ready(last);
    }
  }

  size_t rank(int32_t g) const {
    if (turn(g) != Turn::USUAL) return turn(g) == Turn::FIRST ? 0 : kRanks - 1;
    return 1 + 2 * patience(g) + (growth(g) <= kSmallGrowth ? 0 : 1);
  }

  // 0 unless the group could write an operand that others still read; then the price of writing elsewhere: 1, another
  // buffer; 2, a copy of the operand as well.
  size_t patience(int32_t g) const {
    const Node& node = graph_.nodes[groups_[g].front()];
    if (node.kind == NodeKind::MAP || node.kind == NodeKind::REDUCE) return 0;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (left_[node.inputs[i].base] < 2) continue;
      for (size_t o = 0; o < node.outputs.size(); ++o) {
        if (may_take(graph_, node, o, i)) return node.kind == NodeKind::KERNEL ? 1 : 2;
      }
    }
    return 0;
  }

  // Bytes of temporaries that live on after group g, less those that die in it.
  int64_t growth(int32_t g) const {
    int64_t bytes = 0;
    for (const int32_t n : groups_[g]) {
      for (const TensorId t : graph_.nodes[n].outputs) {
        const bool outside = readers_[t].size() > 1 || (readers_[t].size() == 1 && readers_[t].front() != g);
        if (outside && graph_.tensors[t].storage == Storage::TEMPORARY) {
          bytes += static_cast<int64_t>(graph_.tensors[t].nbytes());
        }
      }
    }
    for (const TensorId t : tensors_read(g)) {
      if (graph_.tensors[t].storage != Storage::TEMPORARY || maker_[t] == g || left_[t] != 1) continue;
      bytes -= static_cast<int64_t>(graph_.tensors[t].nbytes());
    }
    return bytes;
  }
};

}  // namespace

std::vector<int32_t> schedule(const Graph& graph, const std::vector<std::vector<int32_t>>& groups) {
  return Scheduler(graph, groups).run();
}

}  // namespace anesdk::cpu
