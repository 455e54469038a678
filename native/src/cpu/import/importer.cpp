#include "cpu/import/importer.h"

#include <algorithm>
#include <numeric>

#include "cpu/plan/plan.h"
#include "cpu/steps/control.h"
#include "cpu/steps/kernel_step.h"
#include "hosted_call.h"
#include "mil/error.h"

namespace anesdk::cpu {

Importer::Importer(const mil::Function& function, Plans& plans, Graph* graph)
    : b(graph), f(function), plans_(plans), graph_(*graph) {
  for (const mil::Op& op : f.ops) {
    for (const mil::Operand& operand : op.operands) {
      for (mil::ValueId id : operand.values) users_[id].push_back(&op);
    }
  }
}

void Importer::run() {
  bind_inputs();
  for (const mil::Op& op : f.ops) {
    b.begin_op(op.results.empty() ? std::string() : f.values[op.results[0]].name);
    import_op(op);
    spent_a_little();
  }
  bind_outputs();
}

void Importer::import_op(const mil::Op& op) {
  for (const Handlers* handlers : {&elementwise_handlers(), &aj_handlers(), &mil_handlers(), &layer_handlers(),
                                   &activation_handlers(), &weight_handlers(), &process_handlers()})
    if (const auto found = handlers->find(op.schema->name); found != handlers->end()) return found->second(*this, op);
  if (!import_control(op)) import_kernel(op);
}

View Importer::view(mil::ValueId id) {
  const auto found = views_.find(id);
  if (found != views_.end()) return found->second;
  return views_[id] = b.constant(f.values[id]);
}

const mil::Value& Importer::constant(const mil::Op& op, std::string_view name) const {
  const mil::ValueId id = f.find(op, name)->values.at(0);
  const auto found = computed_.find(id);
  const mil::Value& value = found == computed_.end() ? f.values[id] : found->second;
  if (value.constant == nullptr || value.constant->blob)
    throw mil::Error("[" + std::string(op.schema->name) + "] on the CPU device " + std::string(name) +
                         " must be a constant that is written out, or made of such constants",
                     ANESDK_UNSUPPORTED);
  return value;
}

void Importer::set_constant(const mil::Op& op, std::shared_ptr<const mil::Constant> constant, size_t result) {
  mil::Value value = f.values[op.results.at(result)];
  value.constant = std::move(constant);
  set(op, b.constant(value), result);
  computed_[op.results.at(result)] = std::move(value);
}

std::vector<View> Importer::list(const mil::Op& op, std::string_view name) {
  std::vector<View> out;
  for (mil::ValueId id : f.find(op, name)->values) out.push_back(view(id));
  return out;
}

int64_t Importer::integer(const mil::Op& op, std::string_view name, int64_t missing) const {
  return has(op, name) ? f.integer(op, name) : missing;
}
double Importer::real(const mil::Op& op, std::string_view name, double missing) const {
  return has(op, name) ? f.real(op, name) : missing;
}
bool Importer::flag(const mil::Op& op, std::string_view name, bool missing) const {
  return has(op, name) ? f.boolean(op, name) : missing;
}
std::string Importer::text(const mil::Op& op, std::string_view name, const std::string& missing) const {
  return has(op, name) ? f.text(op, name) : missing;
}

std::vector<int64_t> Importer::read_order(const mil::Op& op) const {
  const mil::ValueId id = op.results.at(0);
  std::vector<int64_t> identity(f.values[id].type.shape.size()), perm;
  std::iota(identity.begin(), identity.end(), 0);
  const auto users = users_.find(id);
  if (users == users_.end() || std::find(f.outputs.begin(), f.outputs.end(), id) != f.outputs.end()) return identity;
  for (const mil::Op* user : users->second) {
    const std::string_view name = user->schema->name;
    if (name != "aj_transpose" && name != "transpose") return identity;
    std::vector<int64_t> next = f.ints(*user, "perm");
    for (int64_t& axis : next) axis = axis_of(axis, identity.size());
    if (!perm.empty() && perm != next) return identity;
    perm = std::move(next);
  }
  return perm;
}

std::vector<View> Importer::add_kernel(const mil::Function& function, const mil::Op& op,
                                       const std::function<View(mil::ValueId)>& operand) {
  const KernelEntry* entry = find_kernel(op.schema->name);
  if (entry == nullptr) {
    throw mil::Error("[" + std::string(op.schema->name) + "] the CPU device has no such operation", ANESDK_UNSUPPORTED);
  }
  auto prepared = std::make_shared<PreparedKernel>();
  prepared->name = std::string(op.schema->name);
  prepared->kernel = entry->prepare(function, op);
  Node node;
  node.kind = NodeKind::KERNEL;
  for (mil::ValueId id : prepared->kernel->inputs()) node.inputs.push_back(b.dense(operand(id)));
  std::vector<View> results = add_results(function, op, &node);
  const bool sends = prepared->name.starts_with("aj_process_");
  node.kernel = std::move(prepared);
  sends ? b.add_message(std::move(node)) : b.add(std::move(node));
  return results;
}

std::vector<View> Importer::add_results(const mil::Function& function, const mil::Op& op, Node* node) {
  std::vector<View> results;
  for (mil::ValueId id : op.results) {
    const mil::Type& t = function.values[id].type;
    const TensorId tensor = b.tensor(t.dtype, t.elements());
    node->outputs.push_back(tensor);
    results.push_back(dense_view(tensor, t.dtype, t.shape));
  }
  return results;
}

bool Importer::import_control(const mil::Op& op) {
  Node node;
  node.kind = NodeKind::CONTROL;
  node.control = plan_control(f, op, plans_);
  if (node.control == nullptr) return false;
  for (const std::string_view operand : control_operands(node.control->kind)) {
    for (const View& v : list(op, operand)) node.inputs.push_back(b.dense(v));
  }
  const std::vector<View> results = add_results(f, op, &node);
  b.add(std::move(node));
  for (size_t i = 0; i < results.size(); ++i) set(op, results[i], i);
  return true;
}

void Importer::import_kernel(const mil::Op& op) {
  if (op.schema->name == "aj_conv_general_dilated") return import_convolution(op);
  const std::vector<View> results = add_kernel(f, op, [&](mil::ValueId id) { return view(id); });
  for (size_t i = 0; i < results.size(); ++i) set(op, results[i], i);
}

void Importer::bind_inputs() {
  for (mil::ValueId value : f.inputs) {
    const mil::Type t = port_type(value);
    const TensorId id = b.tensor(t.dtype, t.elements());
    graph_.tensors[id].storage = Storage::INPUT;
    graph_.tensors[id].index = static_cast<int64_t>(graph_.inputs.size());
    graph_.inputs.push_back(t);
    graph_.input_tensors.push_back(id);
    views_[value] = enter(dense_view(id, t.dtype, t.shape), value);
  }
}

// An output is a tensor of its own: what it is read from becomes it when nothing stands against that.
void Importer::bind_outputs() {
  for (mil::ValueId value : f.outputs) {
    const mil::Type t = port_type(value);
    const View v = b.convert(view(value), t.dtype);
    TensorId id = v.base;
    const Tensor& base = graph_.tensors[id];
    const bool whole = v.dense() && v.offset == 0 && v.elements() == base.elements && v.dtype == base.dtype;
    if (!whole || base.storage != Storage::TEMPORARY) {
      id = b.tensor(t.dtype, t.elements());
      Node node;
      node.kind = NodeKind::CONCAT;
      node.inputs = {v};
      node.outputs = {id};
      node.windows = {dense_view(id, t.dtype, t.shape)};
      b.add(std::move(node));
    }
    graph_.tensors[id].storage = Storage::OUTPUT;
    graph_.tensors[id].index = static_cast<int64_t>(graph_.outputs.size());
    graph_.outputs.push_back(t);
    graph_.output_tensors.push_back(id);
  }
}

Graph import_function(const mil::Function& function, Plans& plans) {
  Graph graph;
  if (plans.numerics() != nullptr) {
    import_for_engine(function, plans, &graph);
  } else {
    Importer(function, plans, &graph).run();
  }
  narrow_products(&graph);
  remove_dead_nodes(&graph);
  return graph;
}

void remove_dead_nodes(Graph* graph) {
  std::vector<bool> wanted(graph->tensors.size(), false);
  for (TensorId t : graph->output_tensors) wanted[t] = true;
  std::vector<Node> kept;
  for (size_t n = graph->nodes.size(); n-- > 0;) {
    Node& node = graph->nodes[n];
    if (std::none_of(node.outputs.begin(), node.outputs.end(), [&](TensorId t) { return wanted[t]; })) continue;
    for (const View& v : node.inputs) wanted[v.base] = true;
    kept.push_back(std::move(node));
  }
  std::reverse(kept.begin(), kept.end());
  graph->nodes = std::move(kept);
}

}  // namespace anesdk::cpu
