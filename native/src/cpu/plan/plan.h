// From a graph to steps with memory: fusion, liveness, one arena.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "cpu/graph/graph.h"
#include "cpu/graph/step.h"
#include "cpu/tile/cluster.h"
#include "cpu/tile/scalar_program.h"

namespace anesdk::cpu {

class Numerics;  // numerics.h

// The work of one step: a cluster, or a single node that is not elementwise.
struct Unit {
  Cluster cluster;  // empty members: `node`
  int32_t node = -1;
  bool fused() const { return !cluster.members.empty(); }
};

// Products of at most so many rows read weights of one byte as they are stored.
constexpr int64_t kNarrowRows = 4;

// Lets such products read integers that were converted for them alone (plan/narrow.cpp).
void narrow_products(Graph* graph);
bool is_narrow(const Node& node);

// The units in an order that respects every dependence (plan/fuse.cpp).
std::vector<Unit> make_units(const Graph& graph);

// The order in which groups of nodes run (plan/schedule.cpp); throws an internal error when groups wait for each other.
std::vector<int32_t> schedule(const Graph& graph, const std::vector<std::vector<int32_t>>& groups);

// Rewrites the graph so that cheap large temporaries are made again where they are read (plan/recompute.cpp). False
// when there is nothing to gain.
bool recompute(const Graph& graph, const std::vector<Unit>& units, Graph* out);

struct Memory {
  std::vector<int64_t> offset;                       // by tensor; -1: not in the arena
  std::vector<bool> stored;                          // tensors that exist in memory at all
  std::vector<std::pair<TensorId, TensorId>> alias;  // (output, donated input) and (tensor, tensor) in place
  std::vector<int64_t> output_alias;                 // by output: index of the donated input, or -1
  size_t arena_bytes = 0;
  size_t temporaries_bytes = 0;  // of the stored temporaries, if none shared memory
};

// An input whose memory an output may have: `output`, or any when that is -1.
struct Donation {
  uint64_t input;
  int64_t output = -1;
  auto operator<=>(const Donation&) const = default;
};

// True if a node that is not elementwise may write output `o` over input `i`, the whole of which it reads.
bool may_take(const Graph& graph, const Node& node, size_t o, size_t i);

// True if the unit that makes `output` may write it over `input` while it reads `input`.
bool may_overwrite(const Graph& graph, const Unit& unit, TensorId output, TensorId input);

// plan/arena.cpp
Memory plan_memory(const Graph& graph, const std::vector<Unit>& units, const std::vector<Donation>& donate);

// Throw an internal error unless each node is planned once, after all that it reads, and the output of each unit stays
// in memory until its last reader is done (plan/check.cpp).
void check_units(const Graph& graph, const std::vector<Unit>& units);
void check_memory(const Graph& graph, const std::vector<Unit>& units, const std::vector<Donation>& donate,
                  const Memory& memory);

struct Plan {
  Graph graph;
  std::vector<std::unique_ptr<Step>> steps;
  Memory memory;
  std::optional<ScalarProgram> scalar;  // all steps, where each is elementwise on one element
  std::vector<TensorId> constants;
  std::vector<int64_t> step_bytes;               // by step: bytes that it reads and writes, and a fixed cost
  std::vector<std::vector<int32_t>> step_nodes;  // by step: the nodes that it computes
  uint64_t id = 0;                               // of this plan alone in the process, from 1 on
  std::string function;
  size_t workspace_bytes = 0;
  size_t kept_bytes = 0;
  int64_t fused_ops = 0, passes = 0;
};

// The plans of a program's functions, each made once for each way of lending memory.
class Plans {
 public:
  // numerics: null, or the counts of plans with the engine's numerics; it must outlive them.
  explicit Plans(const mil::Program& program, Numerics* numerics = nullptr) : program_(program), numerics_(numerics) {}
  // `steady`: so many first inputs stay as they are while a frame of the plan runs again and again (Step::keep).
  std::shared_ptr<const Plan> get(const std::string& function, const std::vector<Donation>& donate, size_t steady = 0);
  Numerics* numerics() const { return numerics_; }

 private:
  const mil::Program& program_;
  Numerics* numerics_;
  std::map<std::tuple<std::string, std::vector<Donation>, size_t>, std::shared_ptr<const Plan>> made_;
};

// describe("plan") and describe("stats"), with the plans that its steps run (plan/text.cpp)
std::string plan_text(const Plan& plan);
std::string plan_stats(const Plan& plan);
// describe("profile"): the steps of a plan and of the plans that they run (plan/profile.cpp)
std::string plan_profile(const Plan& plan);

}  // namespace anesdk::cpu
