#include "mil/verify.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "hosted_call.h"
#include "mil/infer.h"
#include "mil/literal.h"

namespace anesdk::mil {
namespace {

constexpr std::array<std::string_view, kTargets> kTargetNames = {"cpu", "coreml", "ane"};
constexpr size_t kMaxEngineRank = 5;
constexpr uint64_t kMaxFunctionBytes = uint64_t{1} << 50;

std::string dtype_names(DTypeSet set) {
  std::string out;
  for (unsigned code = 0; code < 32; ++code)
    if (set >> code & 1) out += (out.empty() ? "" : ", ") + std::string(name_of(static_cast<DType>(code)));
  return out.empty() ? "nothing" : out;
}

// ---- one operation

class OpVerifier {
 public:
  OpVerifier(const Program& program, const Function& f, const Op& op, Target target)
      : f_(f),
        op_(op),
        schema_(*op.schema),
        target_(target),
        view_(program, f, op, target),
        bound_(schema_.types.size(), -1) {}

  void run() {
    if (!schema_.runs_on(target_)) unsupported("is not an operation of target " + target_name());
    for (const ArgSchema& arg : schema_.args)
      if (const Operand* operand = f_.find(op_, arg.name))
        check_operand(arg, *operand);
      else if (!arg.optional)
        view_.fail("the operand " + std::string(arg.name) + " is missing");
      else if (target_ == Target::ANE && arg.engine_wants)
        unsupported("needs the operand " + std::string(arg.name) + " written out on the engine");
    check_no_other_operands();
    check_result_dtypes();
    check_result_shapes();
  }

 private:
  std::string target_name() const { return std::string(kTargetNames[static_cast<size_t>(target_)]); }

  [[noreturn]] void unsupported(const std::string& what) const {
    throw Error("[" + std::string(schema_.name) + "] " + what + " (line " + std::to_string(op_.line) + ")",
                ANESDK_UNSUPPORTED);
  }

  void check_operand(const ArgSchema& arg, const Operand& operand) {
    if (arg.listed() != operand.variadic)
      view_.fail(std::string(arg.name) + (arg.listed() ? " must be written (a, b, ...)" : " takes one value"));
    if (operand.values.empty() && !arg.empty) view_.fail(std::string(arg.name) + " must not be empty");
    for (const ValueId id : operand.values) check_value(arg, f_.values[id]);
  }

  void check_value(const ArgSchema& arg, const Value& value) {
    const bool constant = arg.kind == ArgKind::CONST || arg.by_name();
    if (constant && !value.constant)
      view_.fail(std::string(arg.name) + " must be a const, got " + value.type.str() + " " + value.name);
    if (arg.rank >= 0 && value.type.shape.size() != static_cast<size_t>(arg.rank))
      view_.fail(std::string(arg.name) + " must have rank " + std::to_string(arg.rank) + ", got " + value.type.str());
    check_dtype(std::string(arg.name), value.type, arg.var, arg.dtypes);
    if (target_ == Target::ANE) check_engine(arg, value);
  }

  void check_engine(const ArgSchema& arg, const Value& value) const {
    if (arg.engine_const && !value.constant) unsupported(std::string(arg.name) + " must be a const on the engine");
    if (value.type.shape.size() > static_cast<size_t>(schema_.engine_max_rank))
      unsupported("takes rank " + std::to_string(schema_.engine_max_rank) + " at most on the engine, got " +
                  value.type.str());
  }

  // Operands and results of one type variable have one dtype.
  void check_dtype(const std::string& what, const Type& type, int8_t var, DTypeSet dtypes) {
    if (var >= 0) dtypes = schema_.types[var].dtypes[static_cast<size_t>(target_)];
    if (!(dtypes & bit(type.dtype)))
      view_.fail(what + " must be of " + dtype_names(dtypes) + " on target " + target_name() + ", got " + type.str());
    if (var < 0) return;
    int& bound = bound_[static_cast<size_t>(var)];
    if (bound < 0) bound = static_cast<int>(type.dtype);
    if (bound != static_cast<int>(type.dtype))
      view_.fail(what + " must be of " + std::string(name_of(static_cast<DType>(bound))) +
                 " like the operands before, got " + type.str());
  }

  void check_no_other_operands() const {
    for (const Operand& operand : op_.operands)
      if (!schema_.find(operand.name)) view_.fail("has no operand " + operand.name.substr(0, 40));
  }

  void check_result_dtypes() {
    const size_t count = schema_.results.size();
    if (schema_.variadic_results ? op_.results.empty() : op_.results.size() != count)
      view_.fail("has " + std::to_string(count) + " results, got " + std::to_string(op_.results.size()));
    for (size_t i = 0; i < op_.results.size(); ++i) {
      const ResultSchema& result = schema_.results[schema_.variadic_results ? 0 : i];
      const Value& value = f_.values[op_.results[i]];
      if (result.var >= 0 || result.dtypes != 0)
        check_dtype("the result " + value.name.substr(0, 40), value.type, result.var, result.dtypes);
    }
  }

  void check_result_shapes() const {
    const Rule* rule = find_rule(schema_);
    if (!rule) throw Error("[" + std::string(schema_.name) + "] has no shape rule", ANESDK_INTERNAL_ERROR);
    const Shapes shapes = (*rule)(view_);
    if (shapes.size() != op_.results.size())
      view_.fail("has " + std::to_string(shapes.size()) + " results, got " + std::to_string(op_.results.size()));
    for (size_t i = 0; i < shapes.size(); ++i) {
      const Value& value = f_.values[op_.results[i]];
      if (value.type.shape != shapes[i])
        view_.fail("the result " + value.name.substr(0, 40) + " is declared " + value.type.str() + ", its shape is " +
                   str(shapes[i]));
    }
  }

  const Function& f_;
  const Op& op_;
  const OpSchema& schema_;
  Target target_;
  OpView view_;
  std::vector<int> bound_;  // the dtype of each type variable, or -1
};

// ---- values and signatures

bool all_finite(const Value& value) {
  if (!is_float(value.type.dtype) || !value.constant) return true;
  const std::vector<std::byte>& data = value.constant->data;
  const size_t size = size_of(value.type.dtype);
  for (size_t at = 0; at < data.size(); at += size)
    if (!std::isfinite(decode_real(value.type.dtype, data.data() + at))) return false;
  return true;
}

class FunctionVerifier {
 public:
  FunctionVerifier(const Program& program, const Function& f, Target target)
      : program_(program), f_(f), target_(target) {}

  void run() const {
    if (f_.outputs.empty()) fail("must return something", ANESDK_VERIFY_ERROR);
    check_total_size();
    for (const Value& value : f_.values) target_ == Target::CPU ? check_cpu_value(value) : check_engine_value(value);
    for (const Op& op : f_.ops) {
      OpVerifier(program_, f_, op, target_).run();
      spent_a_little();
    }
    for (const ValueId id : f_.outputs)
      if (f_.values[id].type.dtype == DType::STRING) fail("cannot return a string", ANESDK_VERIFY_ERROR);
    if (target_ != Target::CPU && f_.name == "main") check_signature();
  }

 private:
  [[noreturn]] void fail(const std::string& what, int32_t status = ANESDK_UNSUPPORTED) const {
    throw Error("[" + f_.name.substr(0, 40) + "] " + what, status);
  }

  // So that no sum of sizes that a planner forms can overflow.
  void check_total_size() const {
    uint64_t total = 0;
    for (const Value& value : f_.values)
      if ((total += value.type.nbytes()) > kMaxFunctionBytes) fail("holds more than 2^50 bytes of values");
  }

  void check_cpu_value(const Value& value) const {
    if (value.constant && value.constant->blob) fail(value.name + " is a BLOBFILE, which the CPU device does not read");
  }

  void check_engine_value(const Value& value) const {
    const Shape& shape = value.type.shape;
    if (shape.size() > kMaxEngineRank)
      fail(value.name + " has rank " + std::to_string(shape.size()) + ", above 5: " + value.type.str());
    if (std::find(shape.begin(), shape.end(), 0) != shape.end())
      fail(value.name + " has an axis of size 0: " + value.type.str());
    if (!all_finite(value)) fail(value.name + " holds an infinity or NaN");
    if (target_ == Target::ANE && shape.empty() && !value.constant)
      fail(value.name + " must have rank 1 or more on the engine, got " + value.type.str());
  }

  void check_port(const Value& value) const {
    constexpr DTypeSet kCoreML = bit(DType::FP32) | bit(DType::FP16) | bit(DType::INT32);
    constexpr DTypeSet kEngine =
        bit(DType::FP16) | bit(DType::INT8) | bit(DType::UINT8) | bit(DType::INT16) | bit(DType::UINT16);
    const DTypeSet ports = target_ == Target::ANE ? kEngine : kCoreML;
    if (!(ports & bit(value.type.dtype)) || value.type.shape.empty())
      fail("inputs and outputs must be of " + dtype_names(ports) + " and of rank 1 or more, got " + value.type.str() +
           " " + value.name);
  }

  // The compilers look every output up among the operations' results. Only main has ports: others are bodies of loops.
  void check_signature() const {
    for (const ValueId id : f_.inputs) check_port(f_.values[id]);
    std::vector<bool> can_return(f_.values.size());
    for (const Op& op : f_.ops)
      for (const ValueId id : op.results) can_return[id] = true;
    for (const ValueId id : f_.outputs) {
      check_port(f_.values[id]);
      if (!can_return[id]) fail("returns " + f_.values[id].name + " twice, or without an operation that made it");
      can_return[id] = false;
    }
  }

  const Program& program_;
  const Function& f_;
  Target target_;
};

}  // namespace

Target target_of(std::string_view name) {
  const auto it = std::find(kTargetNames.begin(), kTargetNames.end(), name);
  if (it == kTargetNames.end()) throw Error("[verify] target must be cpu, coreml or ane", ANESDK_INVALID_ARGUMENT);
  return static_cast<Target>(it - kTargetNames.begin());
}

void verify(const Program& program, Target target) {
  if (!program.find("main")) throw Error("[program] has no function main");
  check_calls(program);
  for (const Function& f : program.functions) FunctionVerifier(program, f, target).run();
}

}  // namespace anesdk::mil
