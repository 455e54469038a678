// aj_scan, aj_while and aj_cond: plans of functions that one step runs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cpu/plan/plan.h"

namespace anesdk::cpu {

// The node's inputs are
//   SCAN   consts, carry, xs           plans: body
//   WHILE  body's consts, carry, cond's consts   plans: cond, body
//   COND   index, operands             plans: one for each branch
struct Control {
  enum class Kind : uint8_t { SCAN, WHILE, COND };
  Kind kind = Kind::SCAN;
  std::vector<std::string> names;  // of the functions
  std::vector<std::shared_ptr<const Plan>> plans;
  size_t consts = 0, carry = 0;
  int64_t length = 0;
  bool reverse = false;
  std::vector<int64_t> alias;  // by result: the input whose memory it may have, or -1

  // SCAN, WHILE: whether the body may write carry k where it reads it.
  bool in_place(size_t k) const { return alias[k] >= 0; }
};

// The names of the operands, in the order of the node's inputs.
std::vector<std::string_view> control_operands(Control::Kind kind);

// Null when `op` is no operation of this kind. Plans the functions that it names.
std::shared_ptr<const Control> plan_control(const mil::Function& function, const mil::Op& op, Plans& plans);

}  // namespace anesdk::cpu
