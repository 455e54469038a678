// Elementwise steps of one element, as one list of instructions: the body of a loop that counts, or what a while asks.
// No step is called, no block is cut, nothing is asked of the thread pool. Kernels are those of the tile machine, or
// shorter ones that compute the same bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cpu/tile.h"

namespace anesdk::cpu {

class ScalarProgram {
 public:
  // Adds what a step does. False, and nothing is added, if it is not a program of one element without reductions.
  bool append(const tile::Program& program);
  // Adds a copy between views of one element. False if they have another number.
  bool append_copy(const View& dst, const View& src);
  void run(std::byte* const* tensors) const;

 private:
  static constexpr int32_t kRegister = -1;
  static constexpr size_t kRegisters = 64;  // of eight bytes

  // Bytes `offset` of a tensor, or of the registers.
  struct Operand {
    int32_t tensor = kRegister;
    int32_t offset = 0;
    bool operator==(const Operand&) const = default;
    bool is_register() const { return tensor == kRegister; }
  };
  struct Instr {
    MapFn fn = nullptr;
    int64_t imm = 0;
    Operand dst, src[3];
    bool repeats = false;  // a copy into a register, made so that a vector kernel finds its operand there
  };

  static bool translate(const tile::Ref& ref, Operand* out);
  static bool translate(const tile::Instr& instr, Instr* out);
  static void drop_copies(std::vector<Instr>* code);

  std::vector<Instr> code_;
};

}  // namespace anesdk::cpu
