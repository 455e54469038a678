// A plan in words and numbers. A function that several steps run is told once.
#include <set>

#include "cpu/kernels/blas.h"
#include "cpu/plan/plan.h"

namespace anesdk::cpu {
namespace {

class Teller {
 public:
  std::string text;

  void tell(const Plan& plan, const std::string& margin) {
    for (size_t s = 0; s < plan.steps.size(); ++s) {
      text += margin + std::to_string(s) + ": " + plan.steps[s]->describe() + "\n";
      for (const Nested& nested : plan.steps[s]->nested()) {
        const bool first = told_.insert(nested.plan).second;
        text += margin + "  " + nested.name + (first ? ":\n" : ": as above\n");
        if (first) tell(*nested.plan, margin + "    ");
      }
    }
    const Memory& m = plan.memory;
    for (size_t o = 0; o < m.output_alias.size(); ++o) {
      if (m.output_alias[o] < 0) continue;
      text += margin + "output " + std::to_string(o) + " in the memory of input " + std::to_string(m.output_alias[o]) +
              "\n";
    }
    text += margin + "arena " + std::to_string(m.arena_bytes) + " bytes for " + std::to_string(m.temporaries_bytes) +
            " bytes of temporaries; workspace " + std::to_string(plan.workspace_bytes) + " bytes\n";
  }

 private:
  std::set<const Plan*> told_;
};

// The plan, and each that its steps run, once.
void collect(const Plan& plan, std::set<const Plan*>* all) {
  if (!all->insert(&plan).second) return;
  for (const auto& step : plan.steps) {
    for (const Nested& nested : step->nested()) collect(*nested.plan, all);
  }
}

}  // namespace

std::string plan_text(const Plan& plan) {
  Teller teller;
  teller.tell(plan, "");
  return teller.text;
}

std::string plan_stats(const Plan& plan) {
  std::set<const Plan*> all;
  collect(plan, &all);
  size_t steps = 0;
  int64_t fused_ops = 0, passes = 0, transposes = 0;
  for (const Plan* p : all) {
    steps += p->steps.size();
    fused_ops += p->fused_ops;
    passes += p->passes;
    transposes += p->graph.materialized_transposes;
  }
  return "{\"steps\": " + std::to_string(steps) + ", \"fused_ops\": " + std::to_string(fused_ops) +
         ", \"passes\": " + std::to_string(passes) + ", \"materialized_transposes\": " + std::to_string(transposes) +
         ", \"arena_bytes\": " + std::to_string(plan.memory.arena_bytes) +
         ", \"temporaries_bytes\": " + std::to_string(plan.memory.temporaries_bytes) +
         ", \"workspace_bytes\": " + std::to_string(plan.workspace_bytes) + ", \"blas\": \"" + blas().name + "\"}";
}

}  // namespace anesdk::cpu
