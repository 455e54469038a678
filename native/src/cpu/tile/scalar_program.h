// Elementwise steps of one element, and choices between such steps, as one list of instructions: the body of a loop
// that counts, or a condition of a while. It calls no step, cuts no blocks and does not use the thread pool. Kernels
// are those of the tile machine, or shorter ones that compute the same bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cpu/tile/tile.h"

namespace anesdk::cpu {

class ScalarProgram {
 public:
  // A plan as one of the branches of a choice: its program, its graph, and where the tensors lie in its arena.
  struct Branch {
    const ScalarProgram& program;
    const Graph& graph;
    const std::vector<int64_t>& offsets;  // by tensor; -1: not in the arena
    size_t arena_bytes;
  };

  // Adds what a step does. False, and nothing is added, if it is not a program of one element without reductions.
  bool append(const tile::Program& program);
  // Adds a copy between views of one element. False if they have another number.
  bool append_copy(const View& dst, const View& src);
  // Adds a choice by an int32, clamped, between the steps of `branches`, which read `operands` as their inputs and
  // write `results`. False, and this is of no use any more, if there would be too much code.
  bool append_choice(const View& index, const std::vector<Branch>& branches, std::span<const View> operands,
                     const std::vector<TensorId>& results);
  void run(std::byte* const* tensors) const;

 private:
  static constexpr int32_t kRegister = -1, kConstant = -2;
  static constexpr size_t kRegisters = 64;  // of eight bytes, and as many more for the arenas of branches
  static constexpr size_t kMostCode = 256;  // instructions: branches are copied to each place that chooses them

  // Bytes `offset` of a tensor, of the registers, or of `constants_`.
  struct Operand {
    int32_t tensor = kRegister;
    int32_t offset = 0;
    bool operator==(const Operand&) const = default;
    bool is_register() const { return tensor == kRegister; }
  };
  enum class Code : uint8_t;
  struct Instr {
    MapFn fn = nullptr;
    int64_t imm = 0;  // CHOOSE: the first of its targets. JUMP: the next instruction
    Operand dst, src[3];
    Code code{};
    int32_t count = 0;     // CHOOSE: of branches
    bool repeats = false;  // a copy into a register, made so that a vector kernel finds its operand there
  };
  // An instruction whose operands were looked up.
  struct Call {
    MapFn fn;
    std::byte* dst;
    const void* src[3];
    int64_t imm;
    Code code;
    int32_t count;
  };

 public:
  bool is_short() const { return code_.size() <= Bound::kMost; }

  // A short program whose operands were looked up, to be run again and again.
  class Bound {
   public:
    Bound(const ScalarProgram& program, std::byte* const* tensors);
    Bound(const Bound&) = delete;  // it points into itself
    Bound& operator=(const Bound&) = delete;

    void run() const;
    void move(TensorId tensor, int64_t bytes);  // from now on `advance` moves it so far
    void advance();

   private:
    friend class ScalarProgram;
    static constexpr size_t kMost = 32;  // instructions
    struct Moved {
      uint32_t call, place;  // 0: dst, else the source before
      int64_t bytes;
    };

    const ScalarProgram& program_;
    size_t count_, moves_ = 0;
    Call calls_[kMost];
    Moved moved_[4 * kMost];
    alignas(64) std::byte registers_[2 * kRegisters * 8];
  };

 private:
  // Finds the place in this program of an operand of a branch's program.
  class Renaming;
  std::byte* place(const Operand& o, std::byte* const* tensors, std::byte* registers) const;
  Call look_up(const Instr& instr, std::byte* const* tensors, std::byte* registers) const;
  size_t execute(const Call& call, size_t next) const;
  bool append_branch(const Branch& branch, std::span<const View> operands, const std::vector<TensorId>& results);

  static Code code_of(MapOp op, DType dtype);
  static Code copy_of(size_t bytes);
  static bool translate(const tile::Ref& ref, Operand* out);
  static bool translate(const tile::Instr& instr, Instr* out);
  static void drop_copies(std::vector<Instr>* code);

  std::vector<Instr> code_;
  std::vector<int32_t> targets_;     // of choices: instructions
  std::vector<uint64_t> constants_;  // of branches
  size_t locals_ = 0;                // registers past the first kRegisters that branches use
};

}  // namespace anesdk::cpu
