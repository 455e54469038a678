// The engine's numerics on the CPU, from C++ for the sake of the sanitizers; tests/native/test_engine_numerics.py has
// the values.
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "cpu_program.h"

namespace {

using anesdk::test::op;
using anesdk::test::Program;

constexpr uint16_t kOne = 0x3c00, kLarge = 0x6000, kInfinity = 0x7c00;  // 1, 512, inf
constexpr size_t kSide = 48;

// A product, a sum of rows, and a quotient by columns that are sometimes 0.
std::string program() {
  const std::string square = "tensor<fp16, [48, 48]>", column = "tensor<fp16, [48, 1]>";
  return "program(1.3)\n[buildInfo = dict<string, string>({{\"coremlc-version\", \"3520.5.1\"}})]\n{\n    func "
         "main<ios18>(" +
         square + " x, " + column + " y) {\n" +
         op(square, "m", "matmul(transpose_x = bool(false), transpose_y = bool(false), x = x, y = x)") +
         op(column, "s", "reduce_sum(axes = tensor<int32, [1]>([1]), keep_dims = bool(true), x = m)") +
         op(square, "q", "real_div(x = x, y = y)") + "    } -> (q, s);\n}\n";
}

}  // namespace

TEST(cpu_fp16_counts_on_every_thread) {
  const Program p(program(), "donate=0", "cpu-fp16");
  CHECK_EQ(p.alias(0), 0);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&p, &bad = wrong[t]] {
      for (int i = 0; i < 8; ++i) {
        std::vector<uint16_t> x(kSide * kSide, kOne), y(kSide, kOne), sums(kSide);
        x[0] = kLarge;  // m[0, 0] overflows, and with it the sum of its row
        y[3] = 0;
        p.run({&x, &y}, {&x, &sums});
        bad += x[0] != kLarge || x[3 * kSide] != kInfinity || x[4 * kSide] != kOne || sums[0] != kInfinity;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  for (const int w : wrong) CHECK_EQ(w, 0);
  const std::string report = p.describe("numerics");
  const auto holds = [&](const std::string& text) { return report.find(text) != std::string::npos; };
  CHECK(holds("{\"runs\": 32, "));
  CHECK(holds("\"operation\": \"matmul\", \"elements\": 2304, \"largest\": 262191, \"overflowed\": 32,"));
  CHECK(holds("\"operation\": \"real_div\", \"elements\": 2304, \"largest\": 512, \"overflowed\": " +
              std::to_string(32 * kSide)));
}
