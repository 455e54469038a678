#include "cpu/plan.h"

#include <algorithm>
#include <cstdio>

#include "cpu/steps.h"
#include "mil/error.h"

namespace anesdk::cpu {
namespace {

std::unique_ptr<Step> make_step(const Plan& plan, const Unit& unit) {
  if (unit.fused()) return make_fused_step(plan.graph, unit.cluster, plan.memory.stored, plan.memory.alias);
  const Node& node = plan.graph.nodes[unit.node];
  switch (node.kind) {
    case NodeKind::REDUCE:
      return make_reduce_step(plan.graph, node);
    case NodeKind::ARG_REDUCE:
      return make_arg_reduce_step(plan.graph, node);
    case NodeKind::GEMM:
      return make_gemm_step(plan.graph, node);
    case NodeKind::CONCAT:
      return make_copy_step(plan.graph, node);
    case NodeKind::DYNAMIC_SLICE:
      return make_dynamic_slice_step(plan.graph, node);
    case NodeKind::DYNAMIC_UPDATE:
      return make_dynamic_update_step(plan.graph, node);
    case NodeKind::KERNEL:
      return make_kernel_step(plan.graph, node);
    case NodeKind::MAP:
      break;
  }
  throw mil::Error("[plan] an elementwise node outside a cluster", ANESDK_INTERNAL_ERROR);
}

void describe(Plan* plan, const std::vector<Unit>& units) {
  int64_t fused_ops = 0, passes = 0;
  std::string& text = plan->text;
  for (size_t s = 0; s < plan->steps.size(); ++s) {
    text += std::to_string(s) + ": " + plan->steps[s]->describe() + "\n";
    if (!units[s].fused()) continue;
    ++passes;
    if (units[s].cluster.members.size() > 1) fused_ops += static_cast<int64_t>(units[s].cluster.members.size());
  }
  const Memory& m = plan->memory;
  for (size_t o = 0; o < m.output_alias.size(); ++o) {
    if (m.output_alias[o] < 0) continue;
    text += "output " + std::to_string(o) + " in the memory of input " + std::to_string(m.output_alias[o]) + "\n";
  }
  text += "arena " + std::to_string(m.arena_bytes) + " bytes for " + std::to_string(m.temporaries_bytes) +
          " bytes of temporaries; workspace " + std::to_string(plan->workspace_bytes) + " bytes\n";
  plan->stats = "{\"steps\": " + std::to_string(plan->steps.size()) + ", \"fused_ops\": " + std::to_string(fused_ops) +
                ", \"passes\": " + std::to_string(passes) +
                ", \"materialized_transposes\": " + std::to_string(plan->graph.materialized_transposes) +
                ", \"arena_bytes\": " + std::to_string(m.arena_bytes) +
                ", \"temporaries_bytes\": " + std::to_string(m.temporaries_bytes) +
                ", \"workspace_bytes\": " + std::to_string(plan->workspace_bytes) + "}";
}

}  // namespace

std::unique_ptr<const Plan> make_plan(const mil::Function& function, const std::vector<uint64_t>& donate) {
  auto plan = std::make_unique<Plan>();
  plan->graph = import_function(function);
  std::vector<Unit> units = make_units(plan->graph);
  Graph rewritten;
  for (int pass = 0; pass < 2 && recompute(plan->graph, units, &rewritten); ++pass) {
    plan->graph = std::move(rewritten);
    units = make_units(plan->graph);
  }
  plan->memory = plan_memory(plan->graph, units, donate);
  for (const Unit& unit : units) {
    plan->steps.push_back(make_step(*plan, unit));
    plan->workspace_bytes = std::max(plan->workspace_bytes, plan->steps.back()->workspace_bytes());
  }
  describe(plan.get(), units);
  return plan;
}

}  // namespace anesdk::cpu
