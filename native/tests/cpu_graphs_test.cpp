// Plans of many small graphs: all of up to five nodes, and random ones of up to sixteen, are planned and pass the
// checks of plan/check.cpp.
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "cpu/plan/plan.h"
#include "mil/error.h"

namespace {

using namespace anesdk::cpu;

constexpr int64_t kElements = 16;

// Values are numbered: the inputs first, then the results of the nodes.
class Sketch {
 public:
  explicit Sketch(int inputs) : inputs_(inputs) {
    for (int i = 0; i < inputs; ++i) {
      const TensorId t = tensor();
      graph_.tensors[t].storage = Storage::INPUT;
      graph_.tensors[t].index = i;
      graph_.input_tensors.push_back(t);
      graph_.inputs.push_back(type());
    }
    used_.assign(inputs, true);
  }

  int values() const { return static_cast<int>(graph_.tensors.size()); }

  void elementwise(int x, int y) { add(NodeKind::MAP, {x, y}); }
  void product(int x, int y) { add(NodeKind::GEMM, {x, y}); }
  void copy(int x) {  // may be written where it reads
    add(NodeKind::CONCAT, {x});
    Node& node = graph_.nodes.back();
    node.windows = {dense_view(node.outputs[0], DType::FP32, {kElements})};
  }

  // All values that no node reads are outputs. Plans the graph, with all inputs donated, and returns its defect.
  std::string defect() const {
    Graph graph = graph_;
    for (size_t t = inputs_; t < graph.tensors.size(); ++t) {
      if (used_[t]) continue;
      graph.tensors[t].storage = Storage::OUTPUT;
      graph.tensors[t].index = static_cast<int64_t>(graph.output_tensors.size());
      graph.output_tensors.push_back(static_cast<TensorId>(t));
      graph.outputs.push_back(type());
    }
    std::vector<Donation> donate;
    for (int i = 0; i < inputs_; ++i) donate.push_back({static_cast<uint64_t>(i)});
    try {
      const std::vector<Unit> units = make_units(graph);
      check_units(graph, units);
      check_memory(graph, units, donate, plan_memory(graph, units, donate));
    } catch (const anesdk::mil::Error& e) {
      return text() + e.what();
    }
    return "";
  }

 private:
  int inputs_;
  Graph graph_;
  std::vector<bool> used_;  // by value

  static anesdk::mil::Type type() {
    anesdk::mil::Type t;
    t.dtype = DType::FP32;
    t.shape = {kElements};
    return t;
  }

  TensorId tensor() {
    Tensor t;
    t.elements = kElements;
    graph_.tensors.push_back(t);
    return static_cast<TensorId>(graph_.tensors.size() - 1);
  }

  void add(NodeKind kind, const std::vector<int>& operands) {
    Node node;
    node.kind = kind;
    node.map = MapOp::ADD;
    for (const int x : operands) {
      node.inputs.push_back(dense_view(x, DType::FP32, {kElements}));
      used_[x] = true;
    }
    node.outputs = {tensor()};
    used_.push_back(false);
    graph_.nodes.push_back(node);
  }

  std::string text() const {
    std::string out;
    for (const Node& node : graph_.nodes) {
      out += node.kind == NodeKind::MAP ? "map(" : node.kind == NodeKind::GEMM ? "product(" : "copy(";
      for (const View& v : node.inputs) out += std::to_string(v.base) + " ";
      out += ") = " + std::to_string(node.outputs[0]) + "; ";
    }
    return out;
  }
};

void check(const Sketch& sketch) {
  const std::string defect = sketch.defect();
  if (!defect.empty()) anesdk::test::report(__FILE__, __LINE__, defect);
}

// Calls itself for each node that may come next: elementwise of any two values, or a copy of any one.
void enumerate(const Sketch& sketch, int nodes) {
  check(sketch);
  if (nodes == 0) return;
  for (int x = 0; x < sketch.values(); ++x) {
    Sketch next = sketch;
    next.copy(x);
    enumerate(next, nodes - 1);
    for (int y = x; y < sketch.values(); ++y) {
      next = sketch;
      next.elementwise(x, y);
      enumerate(next, nodes - 1);
    }
  }
}

}  // namespace

TEST(cpu_plans_of_all_graphs_of_five_nodes_are_sound) { enumerate(Sketch(1), 5); }

TEST(cpu_plans_of_random_graphs_are_sound) {
  std::mt19937 random(0);
  for (int round = 0; round < 30000; ++round) {
    Sketch sketch(1 + static_cast<int>(random() % 3));
    const int nodes = 6 + static_cast<int>(random() % 11);
    for (int n = 0; n < nodes; ++n) {
      // Mostly of the last few values, so that paths are long.
      const int values = sketch.values(), from = random() % 4 == 0 ? 0 : std::max(0, values - 5);
      const int x = from + static_cast<int>(random() % (values - from));
      const int y = from + static_cast<int>(random() % (values - from));
      const unsigned kind = random() % 8;
      if (kind < 5) {
        sketch.elementwise(x, y);
      } else if (kind < 7) {
        sketch.copy(x);
      } else {
        sketch.product(x, y);
      }
    }
    check(sketch);
  }
}
