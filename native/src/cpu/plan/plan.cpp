#include "cpu/plan/plan.h"

#include <algorithm>
#include <atomic>

#include "cpu/steps/steps.h"
#include "hosted_call.h"
#include "mil/error.h"

namespace anesdk::cpu {
namespace {

std::unique_ptr<Step> make_step(const Plan& plan, const Unit& unit, size_t steady) {
  if (unit.fused()) return make_fused_step(plan.graph, unit.cluster, plan.memory.stored, plan.memory.alias);
  const Node& node = plan.graph.nodes[unit.node];
  switch (node.kind) {
    case NodeKind::REDUCE:
      if (node.site != nullptr) return make_narrow_sum_step(node);
      return make_reduce_step(plan.graph, node);
    case NodeKind::ARG_REDUCE:
      return make_arg_reduce_step(plan.graph, node);
    case NodeKind::GEMM:
      if (is_narrow(node)) return make_narrow_step(node);
      if (auto packed = make_packed_gemm_step(plan.graph, node, steady)) return packed;
      return make_gemm_step(plan.graph, node);
    case NodeKind::CONCAT:
      return make_copy_step(plan.graph, node);
    case NodeKind::DYNAMIC_SLICE:
      return make_dynamic_slice_step(plan.graph, node);
    case NodeKind::DYNAMIC_UPDATE:
      return make_dynamic_update_step(plan.graph, node);
    case NodeKind::KERNEL:
      return make_kernel_step(plan.graph, node);
    case NodeKind::CONTROL:
      return make_control_step(plan.graph, node);
    case NodeKind::MAP:
      break;
  }
  throw mil::Error("[plan] an elementwise node outside a cluster", ANESDK_INTERNAL_ERROR);
}

int64_t bytes_of(const Graph& graph, const Node& node) {
  size_t bytes = 0;
  for (const View& v : node.inputs) bytes += static_cast<size_t>(v.elements()) * mil::size_of(v.dtype);
  for (const TensorId id : node.outputs) bytes += graph.tensors[id].nbytes();
  return static_cast<int64_t>(bytes);
}

int64_t bytes_of(const Graph& graph, const Unit& unit) {
  int64_t bytes = 256;
  if (!unit.fused()) return bytes + bytes_of(graph, graph.nodes[unit.node]);
  for (const Member& member : unit.cluster.members) bytes += bytes_of(graph, graph.nodes[member.node]);
  return bytes;
}

std::vector<int32_t> nodes_of(const Unit& unit) {
  if (!unit.fused()) return {unit.node};
  std::vector<int32_t> out;
  for (const Member& member : unit.cluster.members) out.push_back(member.node);
  return out;
}

std::optional<ScalarProgram> scalar_program(const std::vector<std::unique_ptr<Step>>& steps) {
  ScalarProgram all;
  for (const auto& step : steps) {
    if (!step->append_to(&all)) return std::nullopt;
  }
  return all;
}

void count_passes(Plan* plan, const std::vector<Unit>& units) {
  for (const Unit& unit : units) {
    if (!unit.fused()) continue;
    ++plan->passes;
    if (unit.cluster.members.size() > 1) plan->fused_ops += static_cast<int64_t>(unit.cluster.members.size());
  }
}

std::shared_ptr<const Plan> make_plan(const mil::Function& function, const std::vector<Donation>& donate, size_t steady,
                                      Plans& plans) {
  static std::atomic<uint64_t> count{0};
  auto plan = std::make_shared<Plan>();
  plan->id = ++count;
  plan->function = function.name;
  plan->graph = import_function(function, plans);
  std::vector<Unit> units = make_units(plan->graph);
  Graph rewritten;
  for (int pass = 0; pass < 2 && recompute(plan->graph, units, &rewritten); ++pass) {
    plan->graph = std::move(rewritten);
    units = make_units(plan->graph);
  }
  check_units(plan->graph, units);
  plan->memory = plan_memory(plan->graph, units, donate);
  check_memory(plan->graph, units, donate, plan->memory);
  for (const Unit& unit : units) {
    plan->steps.push_back(make_step(*plan, unit, steady));
    plan->step_bytes.push_back(bytes_of(plan->graph, unit));
    plan->step_nodes.push_back(nodes_of(unit));
    spent_a_little();
    Step& made = *plan->steps.back();
    plan->workspace_bytes = std::max(plan->workspace_bytes, made.workspace_bytes());
    made.kept_at = plan->kept_bytes;
    plan->kept_bytes += align64(made.kept_bytes());
  }
  for (size_t t = 0; t < plan->graph.tensors.size(); ++t) {
    if (plan->graph.tensors[t].storage == Storage::CONSTANT) plan->constants.push_back(static_cast<TensorId>(t));
  }
  count_passes(plan.get(), units);
  plan->scalar = scalar_program(plan->steps);
  return plan;
}

}  // namespace

std::shared_ptr<const Plan> Plans::get(const std::string& function, const std::vector<Donation>& donate,
                                       size_t steady) {
  const auto key = std::tuple(function, donate, steady);
  const auto found = made_.find(key);
  if (found != made_.end()) return found->second;
  const mil::Function* body = program_.find(function);
  if (body == nullptr) throw mil::Error("[program] expected a function named " + function);
  return made_[key] = make_plan(*body, donate, steady, *this);
}

}  // namespace anesdk::cpu
