#include <cstring>
#include <memory>
#include <set>
#include <string>

#include "check.h"
#include "mil/infer.h"
#include "mil/parser.h"
#include "mil/verify.h"
#include "op_rows.h"
#include "print.h"

namespace {

using namespace anesdk;
using namespace anesdk::mil;
using test::kOpRows;
using test::one_op;
using test::OpRow;

std::string text_of(const OpRow& row) { return one_op(row); }

// "" when the program is legal.
std::string error_of(const Program& program, Target target, int32_t* status = nullptr) {
  try {
    verify(program, target);
  } catch (const Error& e) {
    if (status) *status = e.status();
    return e.what();
  }
  return "";
}

std::string error_of(const std::string& text, Target target = Target::CPU, int32_t* status = nullptr) {
  try {
    return error_of(parse(text), target, status);
  } catch (const Error& e) {
    return e.what();
  }
}

void check_fails(const char* inputs, const char* statement, const std::string& expected, Target target = Target::CPU) {
  const std::string error = error_of(one_op(inputs, statement), target);
  if (error.find(expected) == std::string::npos) CHECK_EQ(error, expected);
}

TEST(every_row_is_legal) {
  for (const OpRow& row : kOpRows) {
    const std::string error = error_of(text_of(row));
    if (!error.empty()) test::report(row.statement, 0, error);
  }
}

TEST(round_trips) {
  for (const OpRow& row : kOpRows) {
    const std::string printed = test::print(parse(text_of(row)));
    CHECK_EQ(test::print(parse(printed)), printed);
  }
}

TEST(every_rule_has_a_row) {
  std::set<Rule> covered;
  for (const OpRow& row : kOpRows) {
    const Program program = parse(text_of(row));
    covered.insert(*find_rule(*program.functions[0].ops[0].schema));
  }
  for (const OpSchema& schema : opset()) {
    const Rule* rule = find_rule(schema);
    if (!rule || !covered.contains(*rule)) {
      const bool cpu = schema.runs_on(Target::CPU);
      if (!rule || cpu) test::report(schema.name.data(), 0, rule ? "no row has its rule" : "no shape rule");
    }
  }
}

// A wrong declaration of any result: another size, another rank, another dtype.
TEST(wrong_results_are_refused) {
  for (const OpRow& row : kOpRows) {
    const Program good = parse(text_of(row));
    for (const ValueId id : good.functions[0].ops[0].results) {
      Program bad = good;
      Shape& shape = bad.functions[0].values[id].type.shape;
      shape.empty() ? shape.push_back(1) : static_cast<void>(++shape.back());
      if (error_of(bad, Target::CPU).empty()) test::report(row.statement, 0, "takes a wrong size");
      shape = good.functions[0].values[id].type.shape;
      shape.insert(shape.begin(), 1);
      if (error_of(bad, Target::CPU).empty()) test::report(row.statement, 0, "takes a wrong rank");
      bad = good;
      bad.functions[0].values[id].type.dtype = DType::STRING;
      if (error_of(bad, Target::CPU).empty()) test::report(row.statement, 0, "takes a wrong dtype");
    }
  }
}

// Every integer of every const list, moved far out and a little: no crash, and far out is never legal.
TEST(hostile_attributes) {
  for (const OpRow& row : kOpRows) {
    const Program good = parse(text_of(row));
    for (size_t v = 0; v < good.functions[0].values.size(); ++v) {
      const Value& value = good.functions[0].values[v];
      if (!value.constant || value.type.dtype != DType::INT32) continue;
      for (size_t at = 0; at < value.constant->data.size(); at += 4) {
        for (const int32_t entry : {INT32_MIN, -7, -1, 0, 1, 5, 33, INT32_MAX}) {
          auto changed = std::make_shared<Constant>(*value.constant);
          std::memcpy(changed->data.data() + at, &entry, 4);
          Program bad = good;
          bad.functions[0].values[v].constant = changed;
          error_of(bad, Target::CPU);
        }
      }
    }
  }
}

TEST(schema_errors) {
  check_fails("fp32 x", "fp32 o = aj_add(x = x)", "[aj_add] the operand y is missing (line 4)");
  check_fails("fp32 x", "fp32 o = aj_neg(x = x, z = x)", "has no operand z");
  check_fails("fp32 x", "fp32 o = aj_neg(x = (x))", "x takes one value");
  check_fails("fp32[1] x", "fp32[1] o = aj_concatenate(dimension = int32(0), values = x)",
              "must be written (a, b, ...)");
  check_fails("fp32[1] x", "fp32[1] o = aj_concatenate(dimension = int32(0), values = ())", "must not be empty");
  check_fails("fp32[2] x, int32 a", "fp32[2] o = aj_cumsum(axis = a, reverse = bool(false), x = x)",
              "axis must be a const, got int32 a");
  check_fails("fp32[2] x", "fp32 o = aj_reduce_sum(axes = int32(0), x = x)", "axes must have rank 1, got int32");
  check_fails("fp32[2] x, fp16[2] y", "fp32[2] o = aj_add(x = x, y = y)", "y must be of fp32 like the operands before");
  check_fails("fp32[2] x", "fp16[2] o = aj_neg(x = x)", "the result o must be of fp32");
  check_fails("bool x", "bool o = aj_neg(x = x)", "x must be of int8, int16");
  check_fails("fp32[2] x", "fp32[2] o = cast(dtype = string(\"fp16\"), x = x)", "the result is declared");
  check_fails("fp32 x", "fp32 o, fp32 p = aj_neg(x = x)", "has 1 results, got 2");
}

TEST(shape_errors) {
  check_fails("fp32[4,8] x, fp32[4,8] y", "fp32[4,8] o = matmul(x = x, y = y)",
              "contracting dimensions must agree: tensor<fp32, [4, 8]> @ tensor<fp32, [4, 8]> contracts 8 with 4");
  check_fails("fp32[4] x, fp32[3] y", "fp32[4] o = add(x = x, y = y)", "must broadcast, got [4] and [3]");
  check_fails("fp32[4] x, fp32[1] y", "fp32[4] o = aj_add(x = x, y = y)", "equal shapes or rank 0");
  check_fails("fp32[4] x", "fp32[4] o = aj_transpose(perm = {1}, x = x)", "perm must be in 0 .. 0");
  check_fails("fp32[4,4] x", "fp32[4,4] o = transpose(perm = {1,1}, x = x)", "perm must be distinct");
  check_fails("fp32[4] x", "fp32[4] o = aj_slice(limit_indices = {5}, start_indices = {1}, strides = {1}, x = x)",
              "start_indices <= limit_indices <= shape");
  check_fails("fp32[4] x", "fp32[2] o = aj_slice(limit_indices = {4,4}, start_indices = {1}, strides = {2}, x = x)",
              "limit_indices must have 1 entries");
  check_fails("fp32[4] x", "fp32[5] o = aj_reshape(shape = {5}, x = x)", "cannot reshape [4] to [5]");
  check_fails("fp32[0] x", "int32 o = aj_argmax(axis = int32(0), x = x)", "must not be empty");
  check_fails("fp32[4] x, fp32 v",
              "fp32[0] o = aj_pad(high = {-3}, interior = {0}, low = {-3}, padding_value = v, x = x)", "negative");
  check_fails("fp32[2] x, int32 i", "fp32[3] o = aj_dynamic_slice(slice_sizes = {3}, start_indices = (i), x = x)",
              "must fit");
  check_fails("int8[4] x", "int32[1] o = aj_bitcast_convert_type(x = x)", "element widths must be equal");
}

constexpr const char* kStep =
    "func f<ios18>(fp32 s, fp32 x) { fp32 t = aj_add(x = s, y = x)[name = string(\"t\")]; } -> (t);";
constexpr const char* kTest = "func g<ios18>(fp32 s) { bool t = aj_is_finite(x = s)[name = string(\"t\")]; } -> (t);";

void check_control_fails(const char* statement, const std::string& functions, const std::string& expected) {
  const std::string error = error_of(one_op("fp32 s, fp32[3] x, int32 i", statement, "o", functions));
  if (error.find(expected) == std::string::npos) CHECK_EQ(error, expected);
}

TEST(control_flow_errors) {
  const auto scan = [](const std::string& body, const std::string& rest) {
    return "fp32 o = aj_scan(body = string(\"" + body + "\"), " + rest + ")";
  };
  const std::string good = "carry = (s), consts = (), length = int32(3), xs = (x)";
  CHECK_EQ(error_of(one_op("fp32 s, fp32[3] x", scan("f", good), "o", kStep)), "");
  const auto fails = [&](const std::string& body, const std::string& rest, const std::string& functions,
                         const std::string& expected) {
    check_control_fails(scan(body, rest).c_str(), functions, expected);
  };
  fails("h", good, kStep, "[aj_scan] body must name a function of the program other than main, got h");
  fails("main", good, kStep, "[program] the function main runs itself");
  fails("f", "carry = (s), consts = (), length = int32(-1), xs = (x)", kStep, "length must be in 0");
  fails("f", "carry = (s), consts = (), length = int32(2), xs = (x)", kStep,
        "a leading axis of 2, got tensor<fp32, [3]>");
  fails("f", "carry = (s), consts = (), length = int32(3), xs = (s)", kStep, "a leading axis of 3, got fp32");
  fails("f", "carry = (s), consts = (s), length = int32(3), xs = (x)", kStep,
        "f must take (fp32, fp32, fp32), takes (fp32, fp32)");
  fails("f", "carry = (), consts = (s), length = int32(3), xs = (x)", kStep,
        "the result o is declared fp32, its shape is [3]");
  fails("g", "carry = (s), consts = (), length = int32(3), xs = ()", kTest,
        "g must return (fp32) first, returns (bool)");
  fails("f", "carry = s, consts = (), length = int32(3), xs = (x)", kStep, "carry must be written (a, b, ...)");
  fails("f", "carry = (s), consts = (), length = i, xs = (x)", kStep, "length must be a const");
  const char* passes = "func f<ios18>(fp32 s, fp32 x) { fp32 t = aj_add(x = s, y = x)[name = string(\"t\")]; } -> (s);";
  fails("f", good, passes, "f must return distinct results of operations, returns s (copy it)");
  const char* twice =
      "func f<ios18>(fp32 s, fp32 x) { fp32 t = aj_add(x = s, y = x)[name = string(\"t\")]; } -> (t, t);";
  fails("f", good, twice, "f must return distinct results of operations, returns t (copy it)");

  const std::string loop =
      "fp32 o = aj_while(body = string(\"f\"), body_consts = (s), carry = (s), cond = string(\"g\"), cond_consts = ";
  const std::string step = kStep, test = kTest;
  check_control_fails((loop + "(i))").c_str(), step + test, "g must take (int32, fp32), takes (fp32)");
  const std::string number = "func g<ios18>(fp32 s) { fp32 t = aj_neg(x = s)[name = string(\"t\")]; } -> (t);";
  check_control_fails((loop + "())").c_str(), step + number, "g must return (bool), returns (fp32)");
  CHECK_EQ(error_of(one_op("fp32 s", loop + "())", "o", step + test)), "");

  const std::string choice = "fp32 o = aj_cond(branches = (string(\"f\"), string(\"h\")), index = ";
  const std::string other =
      "func h<ios18>(fp32 s, fp32 x) { bool t = aj_lt(x = s, y = x)[name = string(\"t\")]; } -> (t);";
  check_control_fails((choice + "i, operands = (s, s))").c_str(), step + other, "h must return (fp32), returns (bool)");
  check_control_fails((choice + "s, operands = (s, s))").c_str(), step + other, "index must be of int32");
  check_control_fails("fp32 o = aj_cond(branches = (), index = i, operands = ())", "", "branches must not be empty");
  CHECK(error_of(one_op("fp32 s, int32 i", choice + "i, operands = (s, s))", "o", step + step), Target::COREML) != "");
}

// main runs f0, which runs f1, and so on; the last runs `last`, or nothing.
std::string chain(int depth, const std::string& last) {
  const auto call = [](const std::string& name) {
    return "fp32 o = aj_cond(branches = (string(\"" + name + "\")), index = int32(0), operands = (x))";
  };
  std::string functions;
  for (int i = 0; i < depth; ++i) {
    const std::string next = i + 1 < depth ? "f" + std::to_string(i + 1) : last;
    functions += "func f" + std::to_string(i) + "<ios18>(fp32 x) { " +
                 (next.empty() ? "fp32 o = aj_neg(x = x)" : call(next)) + "[name = string(\"o\")]; } -> (o);";
  }
  return one_op("fp32 x", call("f0"), "o", functions);
}

TEST(functions_do_not_run_themselves) {
  CHECK_EQ(error_of(chain(3, "")), "");
  CHECK_EQ(error_of(chain(1, "f0")), "[program] the function f0 runs itself");
  CHECK_EQ(error_of(chain(3, "f1")), "[program] the function f1 runs itself");
  CHECK_EQ(error_of(chain(3, "main")), "[program] the function main runs itself");
  CHECK_EQ(error_of(chain(kMaxNesting - 1, "")), "");
  CHECK_EQ(error_of(chain(kMaxNesting, "")), "[program] functions are nested more than 64 deep");
  CHECK_EQ(error_of(chain(3000, "")), "[program] functions are nested more than 64 deep");
}

TEST(total_size_is_bounded) {
  std::string body =
      "tensor<fp32, [17592186044416]> v0 = fill(shape = tensor<int64, [1]>([1]), value = fp32(0x0p+0))[name = "
      "string(\"n\")];";
  for (int i = 1; i < 20; ++i)
    body += "tensor<fp32, [17592186044416]> v" + std::to_string(i) + " = exp(x = v0)[name = string(\"n\")];";
  int32_t status = ANESDK_OK;
  const Program program = parse("program(1.3) { func main<ios18>() {" + body + "} -> (v0); }");
  CHECK_EQ(error_of(program, Target::CPU, &status), "[main] holds more than 2^50 bytes of values");
  CHECK_EQ(status, ANESDK_UNSUPPORTED);
}

TEST(targets) {
  int32_t status = ANESDK_OK;
  CHECK_EQ(error_of(one_op("fp16[2] x", "fp16[2] o = aj_neg(x = x)"), Target::ANE, &status),
           "[aj_neg] is not an operation of target ane (line 4)");
  CHECK_EQ(status, ANESDK_UNSUPPORTED);
  for (const Target target : {Target::COREML, Target::ANE}) {
    check_fails("fp16[1,1,1,1,1,2] x", "fp16[1,1,1,1,1,2] o = exp(x = x)", "above 5", target);
    check_fails("fp16[0] x", "fp16[0] o = exp(x = x)", "size 0", target);
    check_fails("fp16[2] x", "fp16[2] o = maximum(x = x, y = fp16(-inf))", "infinity or NaN", target);
    check_fails("fp16[2] x", "fp16[2] o = maximum(x = x, y = fp16(nan))", "infinity or NaN", target);
  }
  check_fails("fp32[2] x", "fp32[2] o = exp(x = x)", "x must be of fp16 on target ane", Target::ANE);
  check_fails("fp16[2] x", "fp16 o = reduce_max(axes = {0}, keep_dims = bool(false), x = x)",
              "o must have rank 1 or more on the engine, got fp16", Target::ANE);
  check_fails("bool[2] x", "bool[2] o = logical_not(x = x)", "inputs and outputs must be of", Target::ANE);
  check_fails("fp16 x", "fp16 o = exp(x = x)", "of rank 1 or more", Target::COREML);
  CHECK_EQ(error_of(one_op("fp32[2] x", "fp32[2] o = exp(x = x)"), Target::COREML), "");
  CHECK_EQ(error_of(one_op("fp16[2] x", "fp16[2] o = exp(x = x)"), Target::ANE), "");
  CHECK_EQ(error_of(one_op("fp16[2] x", "fp16[2] o = exp(x = x)", "o, x"), Target::ANE),
           "[main] returns x twice, or without an operation that made it");
  CHECK_EQ(error_of(one_op("fp16[2] x", "fp16[2] o = exp(x = x)", "o, x"), Target::CPU), "");
  CHECK_EQ(error_of(one_op("fp16[2] x", "fp16[2] o = exp(x = x)", "")), "[main] must return something");
  const std::string blob = test::read_file(test::source_dir() + "/tests/fixtures/mil/e5rt_matmul_add.mil");
  CHECK_EQ(error_of(blob, Target::CPU, &status), "[main] w is a BLOBFILE, which the CPU device does not read");
  CHECK_EQ(status, ANESDK_UNSUPPORTED);
}

}  // namespace
