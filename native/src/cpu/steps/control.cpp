#include "cpu/steps/control.h"

#include "mil/error.h"
#include "mil/opset.h"

namespace anesdk::cpu {
namespace {

std::vector<std::string> names(const mil::Function& f, const mil::Op& op, std::string_view operand) {
  std::vector<std::string> out;
  for (mil::ValueId id : f.find(op, operand)->values) out.push_back(f.values[id].constant->text);
  return out;
}

size_t count(const mil::Function& f, const mil::Op& op, std::string_view operand) {
  return f.find(op, operand)->values.size();
}

// A body that writes each carry where it reads it, wherever it can. Its consts are steady, unless it runs once.
std::shared_ptr<const Plan> plan_body(const std::string& name, Control* control, bool once, Plans& plans) {
  std::vector<Donation> lent;
  for (size_t k = 0; k < control->carry; ++k) lent.push_back({control->consts + k, static_cast<int64_t>(k)});
  std::shared_ptr<const Plan> body = plans.get(name, lent, once ? 0 : control->consts);
  control->alias = body->memory.output_alias;
  return body;
}

Control scan(const mil::Function& f, const mil::Op& op, Plans& plans) {
  Control control;
  control.kind = Control::Kind::SCAN;
  control.names = names(f, op, "body");
  control.consts = count(f, op, "consts");
  control.carry = count(f, op, "carry");
  control.length = f.integer(op, "length");
  control.reverse = f.find(op, "reverse") != nullptr && f.boolean(op, "reverse");
  control.plans = {plan_body(control.names[0], &control, control.length <= 1, plans)};
  return control;
}

Control while_loop(const mil::Function& f, const mil::Op& op, Plans& plans) {
  Control control;
  control.kind = Control::Kind::WHILE;
  control.names = {names(f, op, "cond")[0], names(f, op, "body")[0]};
  control.consts = count(f, op, "body_consts");
  control.carry = count(f, op, "carry");
  std::shared_ptr<const Plan> body = plan_body(control.names[1], &control, false, plans);
  control.plans = {plans.get(control.names[0], {}), std::move(body)};
  return control;
}

// A result may have an operand's memory when every branch can do with that.
Control cond(const mil::Function& f, const mil::Op& op, Plans& plans) {
  Control control;
  control.kind = Control::Kind::COND;
  control.names = names(f, op, "branches");
  std::vector<Donation> any, agreed;
  for (size_t i = 0; i < count(f, op, "operands"); ++i) any.push_back({i, -1});
  std::vector<int64_t> common(op.results.size(), -1);
  for (size_t branch = 0; branch < control.names.size(); ++branch) {
    const std::vector<int64_t>& alias = plans.get(control.names[branch], any)->memory.output_alias;
    for (size_t o = 0; o < common.size(); ++o) {
      if (branch == 0) common[o] = alias[o];
      if (common[o] != alias[o]) common[o] = -1;
    }
  }
  for (size_t o = 0; o < common.size(); ++o) {
    if (common[o] >= 0) agreed.push_back({static_cast<uint64_t>(common[o]), static_cast<int64_t>(o)});
    control.alias.push_back(common[o] >= 0 ? common[o] + 1 : -1);  // input 0 is the index
  }
  for (const std::string& name : control.names) {
    control.plans.push_back(plans.get(name, agreed));
    if (control.plans.back()->memory.output_alias != common) {
      throw mil::Error("[cond] " + name + " writes its results elsewhere than all branches agreed",
                       ANESDK_INTERNAL_ERROR);
    }
  }
  return control;
}

}  // namespace

std::vector<std::string_view> control_operands(Control::Kind kind) {
  switch (kind) {
    case Control::Kind::SCAN:
      return {"consts", "carry", "xs"};
    case Control::Kind::WHILE:
      return {"body_consts", "carry", "cond_consts"};
    case Control::Kind::COND:
      break;
  }
  return {"index", "operands"};
}

std::shared_ptr<const Control> plan_control(const mil::Function& f, const mil::Op& op, Plans& plans) {
  const std::string_view name = op.schema->name;
  if (name == "aj_scan") return std::make_shared<Control>(scan(f, op, plans));
  if (name == "aj_while") return std::make_shared<Control>(while_loop(f, op, plans));
  if (name == "aj_cond") return std::make_shared<Control>(cond(f, op, plans));
  return nullptr;
}

}  // namespace anesdk::cpu
