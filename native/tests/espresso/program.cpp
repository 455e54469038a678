#include "program.h"

#include <algorithm>
#include <set>

#include "kernels.h"

namespace standin {
namespace {

constexpr size_t kMaxRank = 5;
constexpr int64_t kMaxExtent = 16384;    // of the last two axes, on the smallest engines
constexpr int64_t kMaxChannels = 65536;  // of any other
const std::set<std::string> kPortTypes = {"fp16", "int8", "uint8", "int16", "uint16"};

void check_type(const Result& value) {
  const Shape& shape = value.type.shape;
  const std::string told = value.name + " " + value.type.str();
  if (shape.size() > kMaxRank) throw Refusal(told + ": rank not supported on any backend");
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < 1) throw Refusal(told + ": zero-sized or symbolic dimensions not supported on any backend");
    if (shape[i] > (i + 2 >= shape.size() ? kMaxExtent : kMaxChannels)) throw Refusal(told + ": dimension too large");
  }
}

void check_port(const Result& value) {
  check_type(value);
  if (!kPortTypes.count(value.type.dtype) || value.type.shape.empty())
    throw Refusal("port " + value.name + " " + value.type.str() + " not supported on any backend");
}

Args bind(const Statement& s, const Model& model, const std::map<std::string, Tensor>& values) {
  Args args(s);
  for (const auto& [name, operands] : s.operands) {
    std::vector<const Tensor*> given;
    for (const std::string& operand : operands) {
      const auto constant = model.constants.find(operand);
      const auto value = values.find(operand);
      if (constant == model.constants.end() && value == values.end()) throw Refusal(operand + " has no value");
      given.push_back(constant != model.constants.end() ? &constant->second : &value->second);
    }
    args.set(name, given);
  }
  return args;
}

class Checker {
 public:
  explicit Checker(const Model& model) : model_(model) {
    for (const Statement& s : model.statements)
      for (const Result& result : s.results) made_by_[result.name] = &s;
  }

  void run() const {
    if (model_.statements.empty()) throw Refusal("InvalidMILProgram: an empty body");
    for (const Result& input : model_.inputs) check_port(input);
    for (const Statement& s : model_.statements) check_statement(s);
    check_outputs();
    std::map<std::string, Tensor> zeros;
    for (const Result& input : model_.inputs)
      zeros[input.name] = {input.type, std::vector<double>(static_cast<size_t>(input.type.elements())), ""};
    evaluate(model_, zeros);
  }

 private:
  bool is_constant(const std::string& name) const { return model_.constants.count(name) != 0; }

  const Statement* maker(const std::string& value) const {
    const auto it = made_by_.find(value);
    return it == made_by_.end() ? nullptr : it->second;
  }

  void check_outputs() const {
    std::set<std::string> seen;
    for (const std::string& output : model_.outputs) {
      for (const Result& input : model_.inputs)
        if (input.name == output) throw E5RTError("map::at: key not found");  // an input returned untouched
      const Statement* s = maker(output);
      if (!s || !seen.insert(output).second) throw Refusal("InvalidMILProgram: output " + output);
      for (const Result& result : s->results)
        if (result.name == output) check_port(result);
    }
    if (seen.empty()) throw Refusal("InvalidMILProgram: no outputs");
  }

  void check_statement(const Statement& s) const {
    const auto found = operations().find(s.op);
    if (found == operations().end()) throw Refusal(s.op + " not supported on any backend");
    for (const std::string& name : found->second.needs)
      if (!s.operands.count(name)) throw Refusal(s.op + ": Required param '" + name + "' is missing");
    for (const auto& [name, operands] : s.operands) {
      if (!found->second.needs.count(name) && !found->second.may.count(name))
        throw Refusal(s.op + ": unknown param '" + name + "'");
      if (operands.empty() || (operands.size() > 1 && name != "values")) throw Refusal(s.op + ": bad list " + name);
      check_constness(s, name, operands);
    }
    for (const Result& result : s.results) check_result(s, result);
    check_defects(s);
  }

  // Only data may be computed; parameters are constants.
  void check_constness(const Statement& s, const std::string& name, const std::vector<std::string>& operands) const {
    static const std::set<std::string> data = {"x", "y", "a", "b", "cond", "values", "weight", "bias"};
    const bool parameter = !data.count(name) || (s.op == "pow" && name == "y");
    for (const std::string& operand : operands)
      if (parameter && !is_constant(operand)) throw Refusal(s.op + ": '" + name + "' must be constant");
  }

  static void check_result(const Statement& s, const Result& result) {
    check_type(result);
    if (!kPortTypes.count(result.type.dtype) && result.type.dtype != "bool")
      throw Refusal(s.op + " giving " + result.type.str() + " not supported on any backend");
  }

  // Programs that are legal and that the compiler is known to die of or to refuse.
  void check_defects(const Statement& s) const {
    if (s.op == "conv" && !is_constant(s.operands.at("weight")[0]) && s.results[0].type.shape.at(0) > 1)
      throw E5RTError("the connection to the compiler service was interrupted");
    if (s.op == "mul")
      for (const auto& [one, other] : {std::pair("x", "y"), std::pair("y", "x")}) {
        const auto zero = model_.constants.find(s.operands.at(one)[0]);
        const Statement* from = maker(s.operands.at(other)[0]);
        if (zero != model_.constants.end() && from && from->op.starts_with("reduce_") &&
            std::all_of(zero->second.data.begin(), zero->second.data.end(), [](double v) { return v == 0; }))
          throw Refusal("mul of a reduction by zero: compile failure");
      }
    static const std::set<std::string> tables = {"sigmoid", "tanh", "exp", "gelu", "silu", "sqrt", "log", "relu"};
    const Statement* from = s.operands.count("x") ? maker(s.operands.at("x")[0]) : nullptr;
    if (tables.count(s.op) && from && from->op == "square" && from->results[0].type.shape.back() % 128 > 64)
      throw Refusal("square before a nonlinearity: compile failure");
  }

  const Model& model_;
  std::map<std::string, const Statement*> made_by_;
};

}  // namespace

void check_model(const Model& model) { Checker(model).run(); }

void evaluate(const Model& model, std::map<std::string, Tensor>& values) {
  for (const Statement& s : model.statements) {
    std::vector<Tensor> results = operations().at(s.op).run(bind(s, model, values));
    if (results.size() != s.results.size()) throw Refusal(s.op + ": wrong number of results");
    for (size_t i = 0; i < results.size(); ++i) {
      if (!(results[i].type == s.results[i].type))
        throw Refusal(s.op + ": " + s.results[i].name + " is declared " + s.results[i].type.str() + ", it is " +
                      results[i].type.str());
      values[s.results[i].name] = std::move(results[i]);
    }
  }
}

}  // namespace standin
