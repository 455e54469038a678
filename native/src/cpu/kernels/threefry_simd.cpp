// The vector loop of threefry.h, compiled once per instruction set.
#include <algorithm>
#include <cstring>

#include "cpu/kernels/threefry.h"

namespace anesdk::cpu::ANESDK_SIMD_NS {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
typedef uint32_t Words __attribute__((vector_size(4 * kLanes)));

Words load(const ThreefryOperand& operand, int64_t at) {
  Words words{};
  if (operand.stride == 0) return words + operand.data[0];
  std::memcpy(&words, operand.data + at, sizeof(words));
  return words;
}

template <int bits>
void mix(Words& x0, Words& x1) {
  x0 += x1;
  x1 = (x1 << bits) | (x1 >> (32 - bits));
  x1 ^= x0;
}

template <int a, int b, int c, int d>
void four_rounds(Words& x0, Words& x1) {
  mix<a>(x0, x1);
  mix<b>(x0, x1);
  mix<c>(x0, x1);
  mix<d>(x0, x1);
}

void encrypt(const Words (&key)[3], Words& x0, Words& x1) {
  x0 += key[0];
  x1 += key[1];
#pragma GCC unroll 5
  for (uint32_t group = 0; group < 5; ++group) {
    if (group % 2 == 0) {
      four_rounds<13, 15, 26, 6>(x0, x1);
    } else {
      four_rounds<17, 29, 16, 24>(x0, x1);
    }
    x0 += key[(group + 1) % 3];
    x1 += key[(group + 2) % 3] + (group + 1);
  }
}

void block(const ThreefryOperand (&operands)[4], int64_t at, uint32_t* out0, uint32_t* out1) {
  const Words k0 = load(operands[0], at), k1 = load(operands[1], at);
  const Words key[3] = {k0, k1, k0 ^ k1 ^ 0x1BD11BDAu};
  Words x0 = load(operands[2], at), x1 = load(operands[3], at);
  encrypt(key, x0, x1);
  std::memcpy(out0, &x0, sizeof(x0));
  std::memcpy(out1, &x1, sizeof(x1));
}

// Fewer than kLanes elements: through copies with room for a whole vector.
void tail(const ThreefryOperand (&operands)[4], int64_t at, int64_t count, uint32_t* out0, uint32_t* out1) {
  uint32_t room[6][kLanes] = {};
  ThreefryOperand copies[4];
  for (int i = 0; i < 4; ++i) {
    const int64_t stride = operands[i].stride;
    for (int64_t j = 0; j < count; ++j) room[i][j] = operands[i].data[(at + j) * stride];
    copies[i] = {room[i], stride};
  }
  block(copies, 0, room[4], room[5]);
  for (int64_t j = 0; j < count; ++j) out0[j] = room[4][j], out1[j] = room[5][j];
}

}  // namespace

void threefry(const ThreefryOperand (&operands)[4], int64_t begin, int64_t end, uint32_t* out0, uint32_t* out1) {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) block(operands, i, out0 + i, out1 + i);
  if (i < end) tail(operands, i, end - i, out0 + i, out1 + i);
}

}  // namespace anesdk::cpu::ANESDK_SIMD_NS
