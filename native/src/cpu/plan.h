// From a graph to steps with memory: fusion, liveness, one arena.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cpu/cluster.h"
#include "cpu/graph.h"
#include "cpu/step.h"

namespace anesdk::cpu {

// What one step runs: a cluster, or a single node that is not elementwise.
struct Unit {
  Cluster cluster;  // empty members: `node`
  int32_t node = -1;
  bool fused() const { return !cluster.members.empty(); }
};

// The units in an order that respects every dependence (plan_fuse.cpp).
std::vector<Unit> make_units(const Graph& graph);

// Rewrites the graph so that cheap large temporaries are made again where they are read (plan_recompute.cpp). False
// when there is nothing to gain.
bool recompute(const Graph& graph, const std::vector<Unit>& units, Graph* out);

struct Memory {
  std::vector<int64_t> offset;                       // by tensor; -1: not in the arena
  std::vector<bool> stored;                          // tensors that exist in memory at all
  std::vector<std::pair<TensorId, TensorId>> alias;  // (output, donated input) and (tensor, tensor) in place
  std::vector<int64_t> output_alias;                 // by output: index of the donated input, or -1
  size_t arena_bytes = 0;
  size_t temporaries_bytes = 0;  // what the stored temporaries would take side by side
};

// plan_arena.cpp
Memory plan_memory(const Graph& graph, const std::vector<Unit>& units, const std::vector<uint64_t>& donate);

struct Plan {
  Graph graph;
  std::vector<std::unique_ptr<Step>> steps;
  Memory memory;
  size_t workspace_bytes = 0;
  std::string text;   // describe("plan")
  std::string stats;  // describe("stats")
};

std::unique_ptr<const Plan> make_plan(const mil::Function& function, const std::vector<uint64_t>& donate);

}  // namespace anesdk::cpu
