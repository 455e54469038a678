// What the planner promises, seen through the C border: fused passes, folded transpositions, memory, donation, threads.
#include <cmath>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "cpu_program.h"

namespace {

using anesdk::test::Floats;
using anesdk::test::op;
using anesdk::test::Program;
using anesdk::test::program;

Floats ramp(size_t n, float scale = 0.01f) {
  Floats out(n);
  for (size_t i = 0; i < n; ++i) out[i] = scale * static_cast<float>((i * 7919) % 1013) - 5.0f * scale;
  return out;
}

const char* const kMatrix = "tensor<fp32, [64, 48]>";

}  // namespace

TEST(cpu_softmax_is_one_pass) {
  const std::string type = kMatrix;
  const Program p(program(type + " x", op(type, "y", "softmax(axis = int32(-1), x = x)"), "y"));
  CHECK_EQ(p.stat("steps"), 1);
  CHECK_EQ(p.stat("arena_bytes"), 0);
  Floats x = ramp(64 * 48), y(x.size());
  p.run({&x}, {&y});
  for (size_t r = 0; r < 64; ++r) {
    double sum = 0.0;
    for (size_t c = 0; c < 48; ++c) sum += std::exp(static_cast<double>(x[r * 48 + c]));
    for (size_t c = 0; c < 48; ++c) {
      CHECK(std::fabs(y[r * 48 + c] - std::exp(static_cast<double>(x[r * 48 + c])) / sum) < 1e-6);
    }
  }
}

TEST(cpu_transpositions_are_flags_of_gemm) {
  const std::string body =
      op("tensor<fp32, [48, 64]>", "t", "aj_transpose(perm = tensor<int32, [2]>([1, 0]), x = x)") +
      op("tensor<fp32, [48, 32]>", "d",
         "aj_dot_general(x = t, x_batch = tensor<int32, [0]>([]), x_contracting = tensor<int32, [1]>([1]), y = w, "
         "y_batch = tensor<int32, [0]>([]), y_contracting = tensor<int32, [1]>([0]))") +
      op("tensor<fp32, [32, 48]>", "o", "aj_transpose(perm = tensor<int32, [2]>([1, 0]), x = d)");
  const Program p(program("tensor<fp32, [64, 48]> x, tensor<fp32, [64, 32]> w", body, "o"));
  CHECK_EQ(p.stat("steps"), 1);
  CHECK_EQ(p.stat("materialized_transposes"), 0);
  Floats x = ramp(64 * 48), w = ramp(64 * 32), o(32 * 48);
  p.run({&x, &w}, {&o});
  for (size_t i = 0; i < 48; ++i) {
    for (size_t j = 0; j < 32; ++j) {
      double want = 0.0;
      for (size_t k = 0; k < 64; ++k) want += static_cast<double>(x[k * 48 + i]) * w[k * 32 + j];
      CHECK(std::fabs(o[j * 48 + i] - want) < 1e-3);
    }
  }
}

TEST(cpu_donated_inputs_are_overwritten_after_their_last_read) {
  const std::string type = kMatrix;
  // m is written before p and v are read again: the machine must hold the write back.
  const std::string body = op(type, "m", "aj_mul(x = p, y = fp32(0x1p+1))") + op(type, "s", "aj_add(x = m, y = p)") +
                           op(type, "n", "aj_sub(x = s, y = v)") + op(type, "u", "aj_add(x = n, y = p)");
  const Program program_with(program(type + " p, " + type + " v", body, "m, u"), "donate=0,1");
  CHECK_EQ(program_with.stat("steps"), 1);
  CHECK_EQ(program_with.alias(0), 0);
  CHECK_EQ(program_with.alias(1), 1);
  const Floats p0 = ramp(64 * 48), v0 = ramp(64 * 48, 0.5f);
  Floats p = p0, v = v0;
  program_with.run({&p, &v}, {&p, &v});
  for (size_t i = 0; i < p.size(); ++i) {
    CHECK_EQ(p[i], p0[i] * 2);
    CHECK_EQ(v[i], ((p0[i] * 2 + p0[i]) - v0[i]) + p0[i]);
  }
}

TEST(cpu_a_donated_input_that_is_read_later_is_kept) {
  const std::string type = kMatrix;
  const std::string body =
      op(type, "m", "aj_mul(x = p, y = p)") +
      op("tensor<fp32, [48, 64]>", "t", "aj_transpose(perm = tensor<int32, [2]>([1, 0]), x = p)") +
      op("tensor<fp32, [64, 64]>", "d",
         "aj_dot_general(x = m, x_batch = tensor<int32, [0]>([]), x_contracting = tensor<int32, [1]>([1]), y = t, "
         "y_batch = tensor<int32, [0]>([]), y_contracting = tensor<int32, [1]>([0]))");
  const Program p(program(type + " p", body, "m, d"), "donate=0");
  CHECK_EQ(p.alias(0), -1);
}

TEST(cpu_chains_reuse_one_block_of_the_arena) {
  // Matrix products keep the elementwise parts apart; each part works in place.
  std::string body;
  std::string last = "x";
  for (int i = 0; i < 6; ++i) {
    const std::string n = std::to_string(i);
    body += op("tensor<fp32, [64, 64]>", "g" + n, "matmul(x = " + last + ", y = w)");
    body += op("tensor<fp32, [64, 64]>", "t" + n, "aj_tanh(x = g" + n + ")");
    last = "t" + n;
  }
  const Program p(program("tensor<fp32, [64, 64]> x, tensor<fp32, [64, 64]> w", body, last));
  CHECK_EQ(p.stat("arena_bytes"), 2 * 64 * 64 * 4);
}

TEST(cpu_zero_size_and_rank_zero) {
  const std::string axes = "tensor<int32, [1]>([0])";
  const std::string body = op("fp32", "s", "aj_reduce_sum(axes = " + axes + ", x = x)") +
                           op("fp32", "t", "aj_add(x = s, y = y)") + op("fp32", "u", "aj_exp(x = t)");
  const Program p(program("tensor<fp32, [0]> x, fp32 y", body, "u"));
  Floats x, y = {1.0f}, u(1);
  p.run({&x, &y}, {&u});
  CHECK(std::fabs(u[0] - std::exp(1.0f)) < 1e-6f);
}

TEST(cpu_one_program_on_eight_threads) {
  const std::string type = kMatrix;
  const std::string body = op(type, "e", "softmax(axis = int32(-1), x = x)") +
                           op("tensor<fp32, [64, 64]>", "d", "matmul(transpose_y = bool(true), x = e, y = x)") +
                           op("tensor<fp32, [64, 64]>", "t", "aj_tanh(x = d)");
  const Program p(program(type + " x", body, "t"));
  Floats x = ramp(64 * 48), want(64 * 64);
  p.run({&x}, {&want});
  std::vector<std::thread> threads;
  std::vector<int> wrong(8, 0);
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      Floats mine = x, out(64 * 64);
      for (int i = 0; i < 50; ++i) {
        p.run({&mine}, {&out});
        wrong[t] += std::memcmp(out.data(), want.data(), out.size() * sizeof(float)) != 0;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  for (int w : wrong) CHECK_EQ(w, 0);
}
