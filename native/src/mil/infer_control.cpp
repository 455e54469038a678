// Operations that run other functions of the program: aj_scan, aj_while, aj_cond. And which functions may run which.
#include <algorithm>
#include <map>

#include "mil/infer.h"
#include "mil/verify.h"

namespace anesdk::mil {
namespace {

using Types = std::vector<Type>;

std::string str(const Types& types) {
  std::string out = "(";
  for (size_t i = 0; i < types.size(); ++i) out += (i ? ", " : "") + types[i].str();
  return out + ")";
}

std::string short_name(const Function& f) { return f.name.substr(0, 40); }

Types types_of(const Function& f, const std::vector<ValueId>& ids) {
  Types types;
  for (const ValueId id : ids) types.push_back(f.values[id].type);
  return types;
}

Types joined(std::initializer_list<Types> lists) {
  Types all;
  for (const Types& list : lists) all.insert(all.end(), list.begin(), list.end());
  return all;
}

void must_take(const OpView& op, const Function& f, const Types& expected) {
  const Types found = types_of(f, f.inputs);
  if (found != expected) op.fail(short_name(f) + " must take " + str(expected) + ", takes " + str(found));
}

// The types that `f` returns: of distinct results of its operations.
Types returned(const OpView& op, const Function& f) {
  std::vector<bool> made(f.values.size());
  for (const Op& inner : f.ops)
    for (const ValueId id : inner.results) made[id] = true;
  for (const ValueId id : f.outputs) {
    if (!made[id])
      op.fail(short_name(f) + " must return distinct results of operations, returns " +
              f.values[id].name.substr(0, 40) + " (copy it)");
    made[id] = false;
  }
  return types_of(f, f.outputs);
}

void must_return(const OpView& op, const Function& f, const Types& expected, const Types& found) {
  if (found != expected) op.fail(short_name(f) + " must return " + str(expected) + ", returns " + str(found));
}

// The dtypes too: the table leaves them to these rules.
Shapes declared_as(const OpView& op, const Types& results) {
  Shapes shapes;
  for (size_t i = 0; i < results.size(); ++i) {
    shapes.push_back(results[i].shape);
    if (i < op.num_results() && op.declared(i).dtype != results[i].dtype)
      op.fail("result " + std::to_string(i) + " must be " + results[i].str() + ", is declared " + op.declared(i).str());
  }
  return shapes;
}

Shapes scan(const OpView& op) {
  const Function& body = *op.callees("body")[0];
  const int64_t length = op.integer("length", 0);
  const Types carry = op.types("carry");
  Types slices = op.types("xs");
  for (Type& x : slices) {
    if (x.shape.empty() || x.shape[0] != length)
      op.fail("xs must have a leading axis of " + std::to_string(length) + ", got " + x.str());
    x.shape.erase(x.shape.begin());
  }
  must_take(op, body, joined({op.types("consts"), carry, slices}));
  Types results = returned(op, body);
  const Types first(results.begin(), results.begin() + static_cast<int64_t>(std::min(carry.size(), results.size())));
  if (first != carry) op.fail(short_name(body) + " must return " + str(carry) + " first, returns " + str(results));
  for (size_t i = carry.size(); i < results.size(); ++i) {
    Type& y = results[i];
    y.shape.insert(y.shape.begin(), length);
    op.require(y.shape.size() <= ANESDK_MAX_RANK, "a stacked result has a rank above 32");
    Shape wide = y.shape;  // as the parser counts: an axis of size 0 does not hide the others
    for (int64_t& dim : wide) dim = std::max<int64_t>(dim, 1);
    op.extent(op.elements(wide));
  }
  return declared_as(op, results);
}

Shapes while_loop(const OpView& op) {
  const Function &cond = *op.callees("cond")[0], &body = *op.callees("body")[0];
  const Types carry = op.types("carry");
  must_take(op, cond, joined({op.types("cond_consts"), carry}));
  must_take(op, body, joined({op.types("body_consts"), carry}));
  must_return(op, cond, {Type{DType::BOOL, {}}}, returned(op, cond));
  must_return(op, body, carry, returned(op, body));
  return declared_as(op, carry);
}

Shapes cond(const OpView& op) {
  const std::vector<const Function*> branches = op.callees("branches");
  const Types operands = op.types("operands"), results = returned(op, *branches[0]);
  for (const Function* branch : branches) {
    must_take(op, *branch, operands);
    must_return(op, *branch, results, returned(op, *branch));
  }
  return declared_as(op, results);
}

// The depth of the functions that `f` runs, itself included.
class Depths {
 public:
  explicit Depths(const Program& program) {
    for (const Function& f : program.functions) by_name_[f.name] = &f;
  }

  void check(const Function& f) { depth(f, 1); }

 private:
  int depth(const Function& f, int level) {
    const auto [at, fresh] = known_.try_emplace(&f, 0);
    if (!fresh && at->second == 0) throw Error("[program] the function " + short_name(f) + " runs itself");
    if (!fresh) return at->second;
    int deepest = 0;
    if (level <= kMaxNesting)
      each_callee(f, [&](const Function& g) { deepest = std::max(deepest, depth(g, level + 1)); });
    if (level + deepest > kMaxNesting)
      throw Error("[program] functions are nested more than " + std::to_string(kMaxNesting) + " deep");
    return known_[&f] = deepest + 1;
  }

  template <class Visit>
  void each_callee(const Function& f, Visit visit) const {
    for (const Op& op : f.ops)
      for (const Operand& operand : op.operands) {
        const ArgSchema* arg = op.schema->find(operand.name);
        if (!arg || !arg->by_name()) continue;
        for (const ValueId id : operand.values) {
          const auto& constant = f.values[id].constant;
          const auto found = constant ? by_name_.find(constant->text) : by_name_.end();
          if (found != by_name_.end()) visit(*found->second);
        }
      }
  }

  std::map<std::string_view, const Function*> by_name_;
  std::map<const Function*, int> known_;  // 0 while it is being visited
};

}  // namespace

void check_calls(const Program& program) {
  Depths depths(program);
  for (const Function& f : program.functions) depths.check(f);
}

std::vector<const Function*> OpView::callees(std::string_view arg) const {
  std::vector<const Function*> functions;
  for (const ValueId id : f_.find(op_, arg)->values) {
    const std::string& name = f_.values[id].constant->text;
    const Function* callee = name == "main" ? nullptr : program_.find(name);
    if (!callee)
      fail(std::string(arg) + " must name a function of the program other than main, got " + name.substr(0, 40));
    functions.push_back(callee);
  }
  return functions;
}

void add_control_rules(Rules& rules) { rules.insert({{"aj_scan", scan}, {"aj_while", while_loop}, {"aj_cond", cond}}); }

}  // namespace anesdk::mil
