// Loops and branches on the CPU device, through the C border: what they compute, in place or not, and their plan.
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "cpu_program.h"
#include "print.h"

namespace {

using anesdk::test::Floats;
using anesdk::test::one_op;
using anesdk::test::op;
using anesdk::test::Program;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// Row t of a table becomes x[t] when t is odd, by a branch within a scan; the table is carried.
std::string table_program() {
  const std::string table = "tensor<fp32, [4, 8]>", row = "tensor<fp32, [8]>", line = "tensor<fp32, [1, 8]>";
  const std::string inputs = "(" + table + " c, int32 i, " + row + " x) { ";
  const std::string keep = "func keep<ios18>" + inputs + op(table, "y", "aj_copy(x = c)") + "} -> (y); ";
  const std::string write =
      "func write<ios18>" + inputs + op(line, "u", "aj_reshape(shape = tensor<int32, [2]>([1, 8]), x = x)") +
      op(table, "y", "aj_dynamic_update_slice(start_indices = (i, int32(0)), update = u, x = c)") + "} -> (y); ";
  const std::string step =
      "func step<ios18>" + inputs + op("int32", "odd", "aj_and(x = i, y = int32(1))") +
      op(table, "d", "aj_cond(branches = (string(\"keep\"), string(\"write\")), index = odd, operands = (c, i, x))") +
      op("int32", "j", "aj_add(x = i, y = int32(1))") + "} -> (d, j); ";
  return one_op("fp32[4,8] c, int32 i, fp32[4,8] xs",
                "fp32[4,8] o, int32 p = aj_scan(body = string(\"step\"), carry = (c, i), consts = (), length = "
                "int32(4), xs = (xs))",
                "o", keep + write + step);
}

}  // namespace

TEST(cpu_branch_in_a_scan_writes_in_place) {
  const Program p(table_program());
  const std::string plan = p.describe("plan");
  CHECK(contains(plan, "0: scan of 4, 2 carried, 2 in place, 1 sliced, 0 stacked\n  step:\n"));
  CHECK(contains(plan, "      write:\n        0: dynamic_update_slice [1, 8] into [4, 8]\n"));
  Floats c(32, 1.0f), xs(32);
  for (size_t i = 0; i < xs.size(); ++i) xs[i] = static_cast<float>(i);
  const auto work = [&] {
    int32_t first = 0;
    for (int round = 0; round < 20; ++round) {
      Floats o(32, 77.0f);
      p.run({&c, &first, &xs}, {&o});
      for (size_t i = 0; i < o.size(); ++i) CHECK_EQ(o[i], i / 8 % 2 ? xs[i] : 1.0f);
    }
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) threads.emplace_back(work);
  for (std::thread& t : threads) t.join();
}

TEST(cpu_while_that_swaps_ends_in_its_result) {
  const std::string step = "func step<ios18>(int32 n, fp32 x, fp32 y) { " +
                           op("int32", "m", "aj_sub(x = n, y = int32(1))") + op("fp32", "a", "aj_copy(x = y)") +
                           op("fp32", "b", "aj_add(x = x, y = y)") + "} -> (m, a, b); ";
  const std::string more =
      "func more<ios18>(int32 n, fp32 x, fp32 y) { " + op("bool", "t", "aj_gt(x = n, y = int32(0))") + "} -> (t); ";
  const Program p(one_op("int32 n, fp32 x, fp32 y",
                         "int32 m, fp32 o, fp32 q = aj_while(body = string(\"step\"), body_consts = (), carry = (n, x, "
                         "y), cond = string(\"more\"), cond_consts = ())",
                         "o", step + more));
  const float expected[] = {0, 1, 1, 2, 3, 5, 8, 13};
  for (int32_t n = 0; n < 8; ++n) {
    float x = 0, y = 1, o = 77;
    p.run({&n, &x, &y}, {&o});
    CHECK_EQ(o, expected[n]);
  }
}

TEST(cpu_function_that_many_run_is_planned_and_told_once) {
  // Each of 30 functions runs the next one twice: 2^30 calls, which are not made here.
  std::string functions = "func f30<ios18>(fp32 x) { " + op("fp32", "o", "aj_neg(x = x)") + "} -> (o); ";
  for (int i = 30; i-- > 0;) {
    const std::string next = "string(\"f" + std::to_string(i + 1) + "\")";
    const auto call = [&](const std::string& name, const std::string& x) {
      return op("fp32", name, "aj_cond(branches = (" + next + "), index = int32(0), operands = (" + x + "))");
    };
    functions += "func f" + std::to_string(i) + "<ios18>(fp32 x) { " + call("t", "x") + call("o", "t") + "} -> (o); ";
  }
  const Program p(one_op("fp32 x", "fp32 o = aj_cond(branches = (string(\"f0\")), index = int32(0), operands = (x))",
                         "o", functions));
  CHECK(p.describe("plan").size() < 100000);
}
