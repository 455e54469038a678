#include <cmath>
#include <filesystem>
#include <string>

#include "check.h"
#include "mil/literal.h"
#include "mil/parser.h"
#include "mil/verify.h"
#include "print.h"

namespace {

using namespace anesdk;
using namespace anesdk::mil;
using test::one_op;
using test::print;

// A program with one const of the type, whose value is written as given.
std::string with_const(const std::string& type, const std::string& value) {
  return "program(1.3)\n{\nfunc main<ios18>() {\n" + type + " c = const()[name = string(\"c\"), val = " + type + "(" +
         value + ")];\n} -> (c);\n}";
}

struct Failure {
  int32_t status = ANESDK_OK;
  std::string what;
};

Failure failure_of(const std::string& text) {
  try {
    parse(text);
  } catch (const Error& e) {
    return {e.status(), e.what()};
  }
  return {};
}

void check_fails(const std::string& text, const std::string& expected, int32_t status = ANESDK_PARSE_ERROR) {
  const Failure failure = failure_of(text);
  CHECK_EQ(failure.status, status);
  if (failure.what.find(expected) == std::string::npos) CHECK_EQ(failure.what, expected);
}

std::string fixture(const std::string& name) {
  return test::read_file(test::source_dir() + "/tests/fixtures/mil/" + name);
}

double real_const(const std::string& type, const std::string& value) {
  const Value c = parse(with_const(type, value)).functions[0].values[0];
  return decode_real(c.type.dtype, c.constant->data.data());
}

int64_t integer_const(const std::string& type, const std::string& value) {
  const Value c = parse(with_const(type, value)).functions[0].values[0];
  return decode_integer(c.type.dtype, c.constant->data.data());
}

TEST(parses_the_quoted_program) {
  const Program program = parse(fixture("e5rt_matmul_add.mil"));
  const Function& main = *program.find("main");
  CHECK_EQ(main.inputs.size(), 2u);
  CHECK_EQ(main.ops.size(), 2u);
  CHECK_EQ(main.ops[0].schema->name, "matmul");
  CHECK_EQ(main.boolean(main.ops[0], "transpose_x"), false);
  const Value& weight = main.value(main.ops[0], "y");
  CHECK_EQ(weight.type.str(), "tensor<fp16, [64, 64]>");
  CHECK(weight.constant->blob);
  CHECK_EQ(weight.constant->text, "@model_path/weights.bin");
  CHECK_EQ(weight.constant->offset, 64u);
  CHECK_EQ(print(parse(print(program))), print(program));
  verify(program, Target::ANE);
  verify(program, Target::COREML);
}

TEST(parses_the_long_form) {
  const Program program = parse(
      "program(1.0)\n[buildInfo = dict<tensor<string, []>, tensor<string, []>>({{\"coremlc-version\", "
      "\"3505.4.1\"}})]\n"
      "{ func main<ios16>(tensor<fp16, [2]> x) { tensor<fp16, []> c = const()[name = tensor<string, []>(\"c\"), "
      "val = tensor<fp16, []>(0x1p-1)]; tensor<fp16, [2]> o = mul(x = x, y = c)[name = string(\"o\")]; } -> (o); }");
  CHECK_EQ(program.functions[0].values[1].type.str(), "fp16");
  CHECK_EQ(print(parse(print(program))), print(program));
}

TEST(fixtures_round_trip) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(test::source_dir() + "/tests/fixtures/mil")) {
    const std::string text = test::read_file(entry.path().string());
    if (entry.path().extension() != ".mil" || text.find("constexpr_") != std::string::npos)
      continue;  // not in our table
    const Program program = parse(text);
    CHECK_EQ(print(parse(print(program))), print(program));
    verify(program, Target::COREML);
    ++count;
  }
  CHECK(count >= 6);
}

TEST(type_names_are_no_keywords) {
  const Program program =
      parse(one_op("fp32 x, fp32 fp32", "fp32 o = aj_clamp(max = fp32, min = fp32(0x1p+0), x = x)"));
  CHECK_EQ(program.functions[0].inputs[1], program.functions[0].ops[0].operands[0].values[0]);
}

TEST(reads_operands) {
  const Program program = parse(one_op(
      "fp32[4,6] x, fp32[4,6] y", "fp32[8,6] o = concat(axis = int32(0), interleave = bool(false), values = (x, y))"));
  const Function& f = program.functions[0];
  const Op& op = f.ops[0];
  CHECK_EQ(op.line, 4);
  CHECK(f.find(op, "values")->variadic);
  CHECK_EQ(f.find(op, "values")->values.size(), 2u);
  CHECK(f.find(op, "x") == nullptr);
  CHECK_EQ(f.integer(op, "axis"), 0);
  for (const char* name : {"values", "nothing"}) {
    bool threw = false;
    try {
      f.ints(op, name);
    } catch (const Error&) {
      threw = true;
    }
    CHECK(threw);
  }
}

TEST(statements_without_brackets_or_name) {
  for (const char* rest : {"", "[]"}) {
    const std::string op = std::string("fp32 o = aj_neg(x = x)") + rest;
    const Program program = parse("program(1.3) { func main<ios18>(fp32 x) { " + op + "; } -> (o); }");
    CHECK_EQ(program.functions[0].ops.size(), 1u);
  }
}

TEST(bare_truth_values) {
  const std::string matmul = "fp32[2,2] o = matmul(transpose_x = true, transpose_y = false, x = x, y = x)";
  const Program program = parse(one_op("fp32[2,2] x", matmul));
  const Function& f = program.functions[0];
  CHECK_EQ(f.boolean(f.ops[0], "transpose_x"), true);
  CHECK_EQ(f.boolean(f.ops[0], "transpose_y"), false);
  CHECK_EQ(parse("program(1.3) { func main<ios18>() { bool c = const()[val = true]; } -> (c); }").functions.size(), 1u);
  const Program named = parse(one_op("fp32 true", "fp32 o = aj_neg(x = true)"));
  CHECK_EQ(named.functions[0].ops[0].operands[0].values[0], named.functions[0].inputs[0]);
  check_fails(one_op("fp32 x", "fp32 o = aj_neg(x = maybe)"), "maybe is not defined");
}

TEST(several_functions) {
  const std::string f = "func f<ios18>(fp32 x) { fp32 o = aj_neg(x = x)[name = string(\"o\")]; } -> (o);";
  std::string g = f;
  g.replace(g.find("func f"), 6, "func g");
  CHECK_EQ(parse("program(1.3) {" + f + g + "}").functions.size(), 2u);
  check_fails("program(1.3) {" + f + f + "}", "f is defined twice");
}

TEST(numbers) {
  CHECK_EQ(real_const("fp16", "0x1.8p+1"), 3.0);
  CHECK_EQ(real_const("fp16", "0x1.ffcp+15"), 65504.0);
  CHECK_EQ(real_const("fp16", "0x1p-24"), std::ldexp(1.0, -24));
  CHECK_EQ(real_const("fp16", "0x1p-25"), 0.0);  // half of the least subnormal: to even
  CHECK_EQ(real_const("fp16", "0x1.004p+0"), 1 + std::ldexp(1.0, -10));
  CHECK_EQ(real_const("fp16", "0x1.002p+0"), 1.0);  // a tie: to even
  CHECK_EQ(real_const("fp16", "0x1.006p+0"), 1 + std::ldexp(1.0, -9));
  CHECK_EQ(real_const("bf16", "0x1.fep+127"), std::ldexp(255.0, 120));
  CHECK_EQ(real_const("fp32", "-0x1.fffffep+127"), -std::ldexp(16777215.0, 104));
  CHECK_EQ(real_const("fp64", "0x1.fffffffffffffp+1023"), std::ldexp(9007199254740991.0, 971));
  CHECK_EQ(real_const("fp64", "0x0.0000000000001p-1022"), std::ldexp(1.0, -1074));
  CHECK_EQ(real_const("fp64", "0x1p+1"), 2.0);
  CHECK(std::signbit(real_const("fp32", "-0x0p+0")));
  CHECK(std::isinf(real_const("fp32", "-inf")));
  CHECK(std::isnan(real_const("bf16", "nan")));
  CHECK_EQ(real_const("fp16", "1.0"), 1.0);
  CHECK_EQ(real_const("fp16", "65519.996"), 65504.0);
  CHECK_EQ(real_const("fp16", "1e-05"), std::ldexp(168.0, -24));
  CHECK_EQ(real_const("fp32", "-3"), -3.0);
  CHECK_EQ(real_const("fp64", "1E+2"), 100.0);
  CHECK_EQ(real_const("fp64", "4.9e-324"), std::ldexp(1.0, -1074));
  CHECK_EQ(real_const("bf16", "1.0039062500001"), 1 + std::ldexp(1.0, -7));  // above a tie by less than float32 tells
  CHECK(std::signbit(real_const("fp32", "-0.0")));
  CHECK_EQ(integer_const("int8", "-128"), -128);
  CHECK_EQ(integer_const("int64", "-9223372036854775808"), INT64_MIN);
  CHECK_EQ(static_cast<uint64_t>(integer_const("uint64", "18446744073709551615")), UINT64_MAX);
  CHECK_EQ(integer_const("bool", "true"), 1);
}

TEST(bad_numbers) {
  check_fails(with_const("fp16", "0x1p+16"), "out of the range of fp16");
  check_fails(with_const("fp16", "0x1.ffep+15"), "out of the range");  // rounds up to infinity
  check_fails(with_const("fp64", "0x1p+1024"), "out of the range");
  check_fails(with_const("fp32", "0x1p+99999999999"), "hex float");
  for (const char* text : {"1.", "1.5.2", "1e", "1e+", "1e+-5", "1.e5", "1.5p+1", "1.5f", "1e5e5"})
    check_fails(with_const("fp32", text), "decimal number");
  check_fails(with_const("fp32", ".5"), "unexpected character '.'");
  check_fails(with_const("fp16", "65520.0"), "out of the range of fp16");  // rounds up to infinity
  check_fails(with_const("fp64", "1e309"), "out of the range of fp64");
  check_fails(with_const("fp64", "0." + std::string(63, '1')), "at most 64 characters");
  check_fails(with_const("int32", "1.0"), "decimal integer");
  check_fails(with_const("fp32", "-nan"), "hex float");
  check_fails(with_const("fp32", "0x"), "hex float");
  check_fails(with_const("fp32", "0x1p+-1"), "hex float");
  check_fails(with_const("fp32", "0x1p"), "hex float");
  check_fails(with_const("fp32", "0x1.2.3p+1"), "hex float");
  check_fails(with_const("int8", "128"), "out of the range of int8");
  check_fails(with_const("uint8", "-1"), "decimal integer");
  check_fails(with_const("int32", "0x10"), "decimal integer");
  check_fails(with_const("int32", "true"), "decimal integer");
  check_fails(with_const("bool", "1"), "true or false");
  check_fails(with_const("bool", "string"), "true or false");
}

TEST(positions) {
  CHECK_EQ(failure_of("program(1.3)\n{\n  func main<ios18>(fp99 x) {} -> (x);\n}").what, "3:20: unknown type 'fp99'");
  CHECK_EQ(failure_of("").what, "1:1: expected 'program', got the end of the text");
  CHECK_EQ(failure_of("program(1.3)\n@").what, "2:1: unexpected character '@'");
}

TEST(malformed_texts) {
  check_fails("program(1.3) {}", "expected 'func'");
  check_fails("program(1.3) { func main<ios18>(fp32 x) {} -> (x); } more", "the end of the text");
  check_fails(with_const("string", "\"abc"), "unterminated string");
  check_fails(with_const("string", "\"a\nb\""), "unterminated string");
  check_fails(with_const("string", "\"\\x\""), "unknown escape");
  check_fails(with_const("string", std::string("\"a\0b\"", 5)), "control character");
  check_fails(std::string("program(1.3)\0", 13), "unexpected character '\\x00'");
  check_fails(with_const("string", "\"\xff\""), "not valid UTF-8");
  check_fails(with_const("string", "\"\xc0\xaf\""), "not valid UTF-8");
  check_fails(with_const("string", "\"\xed\xa0\x80\""), "not valid UTF-8");
  check_fails(with_const("string", "\"\xf4\x90\x80\x80\""), "not valid UTF-8");
  CHECK_EQ(parse(with_const("string", "\"\xc3\xa9 \\\"\\\\\\n\"")).functions[0].values[0].constant->text,
           "\xc3\xa9 \"\\\n");
  check_fails("program(1.3) { func main<ios18>(fp32 \xc3\xa9) {} -> (x); }", "unexpected character");
  check_fails("program(1.3) { func main<ios18>(string x) {} -> (x); }", "cannot be a string");
  check_fails("program(1.3) { func main<ios18>(fp32 x, fp32 x) {} -> (x); }", "x is defined twice");
  check_fails("program(1.3) { func main<ios18>(fp32 x) {} -> (y); }", "y is not defined");
  check_fails(one_op("fp32 x", "fp32 x = aj_neg(x = x)"), "x is defined twice");
  check_fails(one_op("fp32 x", "fp32 o = aj_neg(x = o)"), "o is not defined");
  check_fails(one_op("fp32 x", "fp32 o = aj_neg(x = x, x = x)"), "x is given twice");
  check_fails(one_op("fp32 x", "fp32 o = aj_nothing(x = x)"), "[aj_nothing] is not an operation", ANESDK_VERIFY_ERROR);
  check_fails("program(1.3) { func main<ios18>(fp32 x) { fp32 o = aj_neg(x = x)] } -> (o); }", "expected '['");
  check_fails("program(1.3) { func main<ios18>(fp32 x) { fp32 o = aj_neg(x = x)[name = true]; } -> (o); }",
              "must be a string");
}

TEST(hostile_sizes) {
  const auto with_input = [](const std::string& type) { return one_op(type + " x", "fp32 o = aj_neg(x = x)"); };
  check_fails(with_input("fp32[9223372036854775807,9223372036854775807]"), "too large");
  check_fails(with_input("fp32[0,4611686018427387904,4]"), "too large");
  check_fails(with_input("fp32[99999999999999999999]"), "out of the range");
  check_fails(with_input("fp32[-1]"), "negative");
  check_fails(with_input("fp32[?]"), "symbolic");
  std::string deep_rank = "fp32[1";
  for (int i = 0; i < 40; ++i) deep_rank += ",1";
  check_fails(with_input(deep_rank + "]"), "rank is above 32");
  // What is declared costs nothing; only what is written is stored.
  check_fails(with_const("tensor<fp32, [1000000000000]>", "[0x0p+0]"), "expected 1000000000000 elements");
  std::string nested = "program(1.3)[a = ";
  for (int i = 0; i < 100000; ++i) nested += "dict<";
  check_fails(nested, "nested too deeply");
  std::string blob = "program(1.3)[a = ";
  for (int i = 0; i < 100000; ++i) blob += "string(BLOBFILE(path = ";
  check_fails(blob, "nested too deeply");
}

TEST(literal_lists) {
  CHECK_EQ(parse(with_const("tensor<int32, [0]>", "[]")).functions[0].values[0].constant->data.size(), 0u);
  CHECK_EQ(parse(with_const("tensor<fp16, [2, 2]>", "[0x1p+0, 0x1p+1, inf, nan]")).functions[0].values.size(), 1u);
  check_fails(with_const("tensor<int32, [3]>", "[1, 2]"), "expected 3 elements");
  check_fails(with_const("tensor<int32, [1]>", "[1, 2]"), "expected 1 elements");
  check_fails(with_const("tensor<int32, [2]>", "[1, 2,]"), "expected a");
  check_fails(with_const("tensor<int32, [2]>", "[[1], [2]]"), "expected a value of type int32");
  check_fails(with_const("tensor<string, [1]>", "[\"a\"]"), "lists of strings");
}

}  // namespace
