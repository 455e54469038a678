// Checks of a plan before anything runs: the steps are followed in their order, with the tensor that stands in each
// piece of memory. A plan that is wrong would otherwise read unwritten memory, or what another step has overwritten.
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "cpu/plan/plan.h"
#include "mil/error.h"

namespace anesdk::cpu {
namespace {

[[noreturn]] void fail(const std::string& what) { throw mil::Error("[plan] " + what, ANESDK_INTERNAL_ERROR); }

std::string named(const char* what, int64_t index) { return std::string(what) + " " + std::to_string(index); }

template <class F>
void each_node(const Unit& unit, F f) {
  if (!unit.fused()) return f(unit.node);
  for (const Member& m : unit.cluster.members) f(m.node);
}

bool made_by_steps(const Tensor& tensor) {
  return tensor.storage == Storage::TEMPORARY || tensor.storage == Storage::OUTPUT;
}

// The contents of the arena while the steps run.
class ArenaContents {
 public:
  // The tensors of which some part lies in [begin, end).
  std::vector<TensorId> lying(size_t begin, size_t end) const {
    std::vector<TensorId> found;
    if (begin == end) return found;
    auto it = pieces_.lower_bound(begin);
    if (it != pieces_.begin() && std::prev(it)->second.end > begin) --it;
    for (; it != pieces_.end() && it->first < end; ++it) found.push_back(it->second.tensor);
    return found;
  }

  void write(TensorId tensor, size_t begin, size_t end) {
    for (const TensorId old : lying(begin, end)) pieces_.erase(begins_.at(old));
    if (begin < end) pieces_[begin] = {end, tensor};
    begins_[tensor] = begin;
  }

  // True if all of a tensor that was written is still there.
  bool holds(TensorId tensor, size_t begin, size_t end) const {
    return begin == end || lying(begin, end) == std::vector<TensorId>{tensor};
  }

 private:
  struct Piece {
    size_t end;
    TensorId tensor;
  };
  std::map<size_t, Piece> pieces_;  // by where they begin; none overlaps another
  std::map<TensorId, size_t> begins_;
};

class MemoryChecker {
 public:
  MemoryChecker(const Graph& graph, const std::vector<Unit>& units, const std::vector<Donation>& donate,
                const Memory& memory)
      : graph_(graph), units_(units), donate_(donate.begin(), donate.end()), memory_(memory) {}

  void check() {
    check_donations();
    check_offsets();
    pairs_.insert(memory_.alias.begin(), memory_.alias.end());
    input_holds_ = graph_.input_tensors;
    for (const Unit& unit : units_) check_unit(unit);
    for (size_t o = 0; o < graph_.output_tensors.size(); ++o) {
      if (!stands(graph_.output_tensors[o])) fail(named("output", o) + " is overwritten before the end");
    }
  }

 private:
  const Graph& graph_;
  const std::vector<Unit>& units_;
  const std::set<Donation> donate_;
  const Memory& memory_;
  std::set<std::pair<TensorId, TensorId>> pairs_;
  ArenaContents arena_;
  std::vector<TensorId> input_holds_;  // by input: the tensor that stands in its memory

  int64_t donor(const Tensor& tensor) const {
    return tensor.storage == Storage::OUTPUT ? memory_.output_alias[tensor.index] : -1;
  }

  void check_donations() const {
    std::set<int64_t> taken;
    for (size_t o = 0; o < memory_.output_alias.size(); ++o) {
      const int64_t i = memory_.output_alias[o];
      if (i < 0) continue;
      const auto input = static_cast<uint64_t>(i);
      if (!donate_.contains({input, -1}) && !donate_.contains({input, static_cast<int64_t>(o)})) {
        fail(named("output", o) + " takes the memory of " + named("input", i) + ", which was not given to it");
      }
      if (!taken.insert(i).second) fail(named("input", i) + " gives its memory to two outputs");
      if (graph_.inputs[input] != graph_.outputs[o]) {
        fail(named("output", o) + " takes the memory of " + named("input", i) + ", which has another type");
      }
    }
  }

  void check_offsets() const {
    for (size_t t = 0; t < graph_.tensors.size(); ++t) {
      const Tensor& tensor = graph_.tensors[t];
      if (tensor.storage != Storage::TEMPORARY || !memory_.stored[t]) continue;
      const int64_t offset = memory_.offset[t];
      if (offset < 0 || offset % 64 != 0 || static_cast<size_t>(offset) + tensor.nbytes() > memory_.arena_bytes) {
        fail(named("tensor", t) + " of " + std::to_string(tensor.nbytes()) + " bytes has the place " +
             std::to_string(offset) + " in an arena of " + std::to_string(memory_.arena_bytes) + " bytes");
      }
    }
  }

  // True if the whole of a tensor is where it was written.
  bool stands(TensorId t) const {
    const Tensor& tensor = graph_.tensors[t];
    if (tensor.storage == Storage::INPUT) return input_holds_[tensor.index] == t;
    if (tensor.storage == Storage::OUTPUT && donor(tensor) >= 0) return input_holds_[donor(tensor)] == t;
    if (tensor.storage != Storage::TEMPORARY) return true;
    const auto offset = static_cast<size_t>(memory_.offset[t]);
    return memory_.stored[t] && arena_.holds(t, offset, offset + tensor.nbytes());
  }

  void check_unit(const Unit& unit) {
    std::set<TensorId> made, read;
    each_node(unit, [&](int32_t n) {
      for (const View& v : graph_.nodes[n].inputs) {
        if (!made.contains(v.base)) read.insert(v.base);
      }
      made.insert(graph_.nodes[n].outputs.begin(), graph_.nodes[n].outputs.end());
    });
    for (const TensorId t : read) {
      if (!stands(t)) fail(named("tensor", t) + " is overwritten, or not kept, before it is read");
    }
    for (const TensorId t : made) write(t, unit, read);
    for (const TensorId t : made) {
      if (memory_.stored[t] && !stands(t)) fail(named("tensor", t) + " shares memory with another result of its step");
    }
  }

  void write(TensorId t, const Unit& unit, const std::set<TensorId>& read) {
    const Tensor& tensor = graph_.tensors[t];
    if (tensor.storage == Storage::OUTPUT) {
      const int64_t i = donor(tensor);
      if (i < 0) return;
      check_overwritten(t, input_holds_[i], unit, read);
      input_holds_[i] = t;
    } else if (memory_.stored[t]) {
      const auto begin = static_cast<size_t>(memory_.offset[t]), end = begin + tensor.nbytes();
      for (const TensorId old : arena_.lying(begin, end)) check_overwritten(t, old, unit, read);
      arena_.write(t, begin, end);
    }
  }

  // A step that writes over what it reads must know: the pair is what defers its writes.
  void check_overwritten(TensorId t, TensorId old, const Unit& unit, const std::set<TensorId>& read) const {
    if (!read.contains(old)) return;
    const bool same_place = graph_.tensors[old].storage == Storage::INPUT || memory_.offset[t] == memory_.offset[old];
    if (!pairs_.contains({t, old}) || !same_place || !may_overwrite(graph_, unit, t, old)) {
      fail(named("tensor", t) + " is written over " + named("tensor", old) + " while that is read");
    }
  }
};

}  // namespace

void check_units(const Graph& graph, const std::vector<Unit>& units) {
  std::vector<bool> planned(graph.nodes.size(), false), made(graph.tensors.size(), false);
  for (const Unit& unit : units) {
    each_node(unit, [&](int32_t n) {
      if (planned[n]) fail(named("node", n) + " is planned twice");
      planned[n] = true;
      for (const View& v : graph.nodes[n].inputs) {
        if (made_by_steps(graph.tensors[v.base]) && !made[v.base]) {
          fail(named("node", n) + " reads " + named("tensor", v.base) + " before it is made");
        }
      }
      for (const TensorId t : graph.nodes[n].outputs) {
        if (!made_by_steps(graph.tensors[t]) || made[t]) fail(named("tensor", t) + " is made twice");
        made[t] = true;
      }
    });
  }
  const auto missing = std::find(planned.begin(), planned.end(), false);
  if (missing != planned.end()) fail(named("node", missing - planned.begin()) + " is not planned");
  for (size_t o = 0; o < graph.output_tensors.size(); ++o) {
    if (!made[graph.output_tensors[o]]) fail(named("output", o) + " is not made");
  }
}

void check_memory(const Graph& graph, const std::vector<Unit>& units, const std::vector<Donation>& donate,
                  const Memory& memory) {
  MemoryChecker(graph, units, donate, memory).check();
}

}  // namespace anesdk::cpu
