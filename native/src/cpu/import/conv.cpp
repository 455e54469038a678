// Convolutions read permuted operands, and write permuted results, by their dimension numbers: the transpositions that
// autodiff puts around them cost nothing.
#include <algorithm>
#include <cstring>

#include "cpu/import/importer.h"

namespace anesdk::cpu {
namespace {

std::vector<int64_t> moved(const std::vector<int64_t>& spec, const std::vector<int64_t>& order) {
  const std::vector<int64_t> position = inverse(order);
  std::vector<int64_t> out;
  for (int64_t axis : spec) out.push_back(position[axis]);
  return out;
}

void set_ints(mil::Value* value, const std::vector<int64_t>& ints) {
  auto constant = std::make_shared<mil::Constant>();
  constant->data.resize(ints.size() * sizeof(int64_t));
  std::memcpy(constant->data.data(), ints.data(), constant->data.size());
  value->type = {DType::INT64, {static_cast<int64_t>(ints.size())}};
  value->constant = std::move(constant);
}

Shape permuted(const Shape& shape, const std::vector<int64_t>& order) {
  Shape out;
  for (int64_t axis : order) out.push_back(shape[axis]);
  return out;
}

}  // namespace

void Importer::import_convolution(const mil::Op& op) {
  // A function of this one operation, whose operands are what lies in memory.
  mil::Function g;
  mil::Op conv = op;
  std::vector<View> views;
  for (mil::Operand& operand : conv.operands) {
    for (mil::ValueId& id : operand.values) {
      g.values.push_back(f.values[id]);
      views.push_back(operand.name == "x" || operand.name == "weight" ? view(id) : View{});
      id = static_cast<mil::ValueId>(g.values.size() - 1);
    }
  }
  const auto value = [&](std::string_view name) { return g.find(conv, name)->values.at(0); };
  for (const auto& [operand, spec] : {std::pair{"x", "lhs_spec"}, std::pair{"weight", "rhs_spec"}}) {
    const mil::ValueId id = value(operand);
    const std::vector<int64_t> order = memory_order(views[id]);
    const View in_memory = transpose(views[id], order);
    if (views[id].dense() || !in_memory.dense()) continue;
    set_ints(&g.values[value(spec)], moved(f.ints(op, spec), order));
    views[id] = in_memory;
    g.values[id].type.shape = in_memory.shape;
  }
  const std::vector<int64_t> order = read_order(op);
  set_ints(&g.values[value("out_spec")], moved(f.ints(op, "out_spec"), order));
  mil::Value result = f.values[op.results[0]];
  result.type.shape = permuted(result.type.shape, order);
  g.values.push_back(result);
  conv.results = {static_cast<mil::ValueId>(g.values.size() - 1)};
  views.push_back({});
  const std::vector<View> made = add_kernel(g, conv, [&](mil::ValueId id) { return views[id]; });
  set(op, transpose(made[0], inverse(order)));
}

}  // namespace anesdk::cpu
