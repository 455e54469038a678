#include "cpu/tile/scalar_program.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <type_traits>
#include <utility>

#include "mil/error.h"

namespace anesdk::cpu {
namespace {

template <class T>
T element(const void* memory) {
  T value;
  std::memcpy(&value, memory, sizeof value);
  return value;
}

// Operations that are computed here, without a call: by operation and type, copies by size.
// clang-format off
#define ANESDK_SCALAR_TYPES(X, op) X(op, int32_t) X(op, uint32_t) X(op, int64_t) X(op, uint64_t) X(op, float) X(op, double)
#define ANESDK_SCALAR_ARITHMETIC(X) ANESDK_SCALAR_TYPES(X, ADD) ANESDK_SCALAR_TYPES(X, SUB) ANESDK_SCALAR_TYPES(X, MUL)
#define ANESDK_SCALAR_COMPARISONS(X) \
  ANESDK_SCALAR_TYPES(X, EQ) ANESDK_SCALAR_TYPES(X, NE) ANESDK_SCALAR_TYPES(X, LT) ANESDK_SCALAR_TYPES(X, LE) \
  ANESDK_SCALAR_TYPES(X, GT) ANESDK_SCALAR_TYPES(X, GE)
#define ANESDK_SCALAR_COPIES(X) X(COPY, uint8_t) X(COPY, uint16_t) X(COPY, uint32_t) X(COPY, uint64_t)
// clang-format on

// Integers wrap, as in the vector loops.
template <class T, class F>
T wrapping(const void* const* src, F f) {
  const auto x = element<T>(src[0]), y = element<T>(src[1]);
  if constexpr (std::is_integral_v<T>) {
    using Wide = std::make_unsigned_t<T>;
    return static_cast<T>(f(static_cast<Wide>(x), static_cast<Wide>(y)));
  } else {
    return f(x, y);
  }
}

template <class T>
void put(void* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

using ADD = std::plus<>;
using SUB = std::minus<>;
using MUL = std::multiplies<>;
using EQ = std::equal_to<>;
using NE = std::not_equal_to<>;
using LT = std::less<>;
using LE = std::less_equal<>;
using GT = std::greater<>;
using GE = std::greater_equal<>;

template <class T>
constexpr DType kTypeOf = DType::FP64;
template <>
constexpr DType kTypeOf<int32_t> = DType::INT32;
template <>
constexpr DType kTypeOf<uint32_t> = DType::UINT32;
template <>
constexpr DType kTypeOf<int64_t> = DType::INT64;
template <>
constexpr DType kTypeOf<uint64_t> = DType::UINT64;
template <>
constexpr DType kTypeOf<float> = DType::FP32;

}  // namespace

enum class ScalarProgram::Code : uint8_t {
#define ANESDK_SCALAR_CODE(op, type) op##_##type,
  ANESDK_SCALAR_ARITHMETIC(ANESDK_SCALAR_CODE) ANESDK_SCALAR_COMPARISONS(ANESDK_SCALAR_CODE)
      ANESDK_SCALAR_COPIES(ANESDK_SCALAR_CODE)
#undef ANESDK_SCALAR_CODE
          CALL,
  CHOOSE,
  JUMP
};

// CALL where the vector loop is to be called.
ScalarProgram::Code ScalarProgram::code_of(MapOp op, DType dtype) {
#define ANESDK_SCALAR_PICK(name, type) \
  if (op == MapOp::name && dtype == kTypeOf<type>) return Code::name##_##type;
  ANESDK_SCALAR_ARITHMETIC(ANESDK_SCALAR_PICK)
  ANESDK_SCALAR_COMPARISONS(ANESDK_SCALAR_PICK)
#undef ANESDK_SCALAR_PICK
  return Code::CALL;
}

ScalarProgram::Code ScalarProgram::copy_of(size_t bytes) {
#define ANESDK_SCALAR_PICK(name, type) \
  if (bytes == sizeof(type)) return Code::name##_##type;
  ANESDK_SCALAR_COPIES(ANESDK_SCALAR_PICK)
#undef ANESDK_SCALAR_PICK
  throw mil::Error("[plan] an element of " + std::to_string(bytes) + " bytes", ANESDK_INTERNAL_ERROR);
}

bool ScalarProgram::translate(const tile::Ref& ref, Operand* out) {
  if (ref.kind == tile::Ref::SCRATCH) {  // registers of the tile machine are 64 bytes and more, from multiples of 64 on
    *out = {kRegister, ref.index / 8};
    return ref.index % 64 == 0 && static_cast<size_t>(ref.index) < kRegisters * 64;
  }
  const int64_t offset = ref.offset * ref.size;
  *out = {ref.index, static_cast<int32_t>(offset)};
  return ref.kind == tile::Ref::TENSOR && offset >= 0 && offset <= std::numeric_limits<int32_t>::max();
}

bool ScalarProgram::translate(const tile::Instr& instr, Instr* out) {
  out->imm = instr.imm;
  if (instr.kind == tile::Instr::EXPAND) {
    out->code = copy_of(static_cast<size_t>(instr.dst.size));
    out->repeats = instr.dst.kind == tile::Ref::SCRATCH;
  } else if (instr.kind == tile::Instr::MAP) {
    out->code = instr.is_op ? code_of(instr.op, instr.dtype) : Code::CALL;
    out->fn = instr.fn;
  } else {
    return false;
  }
  for (int k = 0; k < instr.sources; ++k) {
    if (!translate(instr.src[k], &out->src[k])) return false;
  }
  for (int k = instr.sources; k < 3; ++k) out->src[k] = out->src[0];  // an address is made of each
  return translate(instr.dst, &out->dst);
}

// A copy into a register is left out where all that read it can read its source. They cannot once a tensor was written:
// it may lie in the source's memory.
void ScalarProgram::drop_copies(std::vector<Instr>* code) {
  for (size_t i = 0; i < code->size();) {
    const Instr copied = (*code)[i];
    size_t end = i + 1, last = i;  // the next write of the register, and the last instruction that reads it before
    bool keeps = copied.repeats;
    for (; end < code->size(); ++end) {
      const Instr& reader = (*code)[end];
      if (std::ranges::count(reader.src, copied.dst) > 0) last = end;
      if (reader.dst == copied.dst) break;
    }
    for (size_t j = i + 1; j < last; ++j) {
      const Operand& written = (*code)[j].dst;
      if (!written.is_register() || written == copied.src[0]) keeps = false;
    }
    if (!keeps) {
      ++i;
      continue;
    }
    for (size_t j = i + 1; j <= last && j < code->size(); ++j) {
      std::ranges::replace((*code)[j].src, copied.dst, copied.src[0]);
    }
    code->erase(code->begin() + static_cast<int64_t>(i));
  }
}

bool ScalarProgram::append(const tile::Program& program) {
  if (program.rows != 1 || program.length != 1 || !program.sinks.empty()) return false;
  std::vector<Instr> code;
  for (const auto* part : {&program.prologue, &program.body}) {
    for (const tile::Instr& instr : *part) {
      if (!translate(instr, &code.emplace_back())) return false;
    }
  }
  drop_copies(&code);
  code_.insert(code_.end(), code.begin(), code.end());
  return true;
}

bool ScalarProgram::append_copy(const View& dst, const View& src) {
  if (dst.elements() != 1) return false;
  const size_t size = mil::size_of(dst.dtype);
  Instr instr;
  for (const auto& [view, operand] : {std::pair(&dst, &instr.dst), std::pair(&src, &instr.src[0])}) {
    const int64_t offset = view->offset * static_cast<int64_t>(size);
    if (offset < 0 || offset > std::numeric_limits<int32_t>::max()) return false;
    *operand = {view->base, static_cast<int32_t>(offset)};
  }
  instr.src[1] = instr.src[2] = instr.src[0];
  instr.code = copy_of(size);
  code_.push_back(instr);
  return true;
}

// ---- choices

class ScalarProgram::Renaming {
 public:
  Renaming(ScalarProgram* to, const Branch& branch, std::span<const View> operands,
           const std::vector<TensorId>& results)
      : to_(to), branch_(branch), first_local_(to->locals_), constants_(to->constants_.size()) {
    for (size_t i = 0; i < operands.size(); ++i) {
      const View& view = operands[i];
      bytes_[branch.graph.input_tensors[i]] = {view.base, view.offset * static_cast<int64_t>(mil::size_of(view.dtype))};
    }
    for (size_t o = 0; o < results.size(); ++o) bytes_[branch.graph.output_tensors[o]] = {results[o], 0};
    const std::vector<uint64_t>& constants = branch.program.constants_;
    to->constants_.insert(to->constants_.end(), constants.begin(), constants.end());
    to->locals_ += arena_slots() + branch.program.locals_;
  }

  // False where an operand has no place here.
  bool operator()(Operand* operand) {
    if (operand->tensor == kConstant) {
      operand->offset += static_cast<int32_t>(constants_ * 8);
      return true;
    }
    if (operand->is_register()) {
      constexpr auto kOwn = static_cast<int32_t>(kRegisters * 8);
      if (operand->offset >= kOwn) operand->offset += static_cast<int32_t>((first_local_ + arena_slots()) * 8);
      return true;
    }
    if (const auto found = bytes_.find(operand->tensor); found != bytes_.end()) {
      const int64_t offset = found->second.second + operand->offset;
      *operand = {found->second.first, static_cast<int32_t>(offset)};
      return offset >= 0 && offset <= std::numeric_limits<int32_t>::max();
    }
    const Tensor& tensor = branch_.graph.tensors[operand->tensor];
    if (tensor.storage == Storage::CONSTANT) return take_constant(tensor, operand);
    const int64_t offset = branch_.offsets[operand->tensor];
    if (offset < 0 || offset % 64 != 0 || operand->offset != 0) return false;
    *operand = {kRegister, static_cast<int32_t>((kRegisters + first_local_ + static_cast<size_t>(offset) / 64) * 8)};
    return true;
  }

 private:
  // Tensors of one element lie 64 bytes apart in the arena; eight bytes of each are enough.
  size_t arena_slots() const { return (branch_.arena_bytes + 63) / 64; }

  bool take_constant(const Tensor& tensor, Operand* operand) {
    const size_t size = mil::size_of(tensor.dtype), offset = static_cast<size_t>(operand->offset);
    if (size > 8 || offset + size > tensor.nbytes()) return false;
    uint64_t value = 0;
    std::memcpy(&value, tensor.constant->data.data() + offset, size);
    *operand = {kConstant, static_cast<int32_t>(to_->constants_.size() * 8)};
    to_->constants_.push_back(value);
    return true;
  }

  ScalarProgram* to_;
  const Branch& branch_;
  size_t first_local_, constants_;
  std::map<TensorId, std::pair<TensorId, int64_t>> bytes_;  // of inputs and results: here, and from which byte on
};

bool ScalarProgram::append_branch(const Branch& branch, std::span<const View> operands,
                                  const std::vector<TensorId>& results) {
  if (code_.size() + branch.program.code_.size() > kMostCode) return false;
  const auto first = static_cast<int64_t>(code_.size());
  const auto first_target = static_cast<int64_t>(targets_.size());
  Renaming rename(this, branch, operands, results);
  if (locals_ > kRegisters) return false;
  for (const int32_t target : branch.program.targets_) targets_.push_back(target + static_cast<int32_t>(first));
  for (Instr instr : branch.program.code_) {
    if (instr.code == Code::CHOOSE) instr.imm += first_target;
    if (instr.code == Code::JUMP) instr.imm += first;
    if (instr.code != Code::JUMP && !(rename(&instr.src[0]) && rename(&instr.src[1]) && rename(&instr.src[2]))) {
      return false;
    }
    if (instr.code != Code::CHOOSE && instr.code != Code::JUMP && !rename(&instr.dst)) return false;
    code_.push_back(instr);
  }
  return true;
}

bool ScalarProgram::append_choice(const View& index, const std::vector<Branch>& branches,
                                  std::span<const View> operands, const std::vector<TensorId>& results) {
  const int64_t offset = index.offset * static_cast<int64_t>(mil::size_of(index.dtype));
  if (offset < 0 || offset > std::numeric_limits<int32_t>::max() || branches.empty()) return false;
  Instr choose;
  choose.code = Code::CHOOSE;
  choose.src[0] = choose.src[1] = choose.src[2] = {index.base, static_cast<int32_t>(offset)};
  choose.imm = static_cast<int64_t>(targets_.size());
  choose.count = static_cast<int32_t>(branches.size());
  targets_.resize(targets_.size() + branches.size());
  code_.push_back(choose);
  std::vector<size_t> jumps;
  for (size_t b = 0; b < branches.size(); ++b) {
    targets_[static_cast<size_t>(choose.imm) + b] = static_cast<int32_t>(code_.size());
    if (!append_branch(branches[b], operands, results)) return false;
    jumps.push_back(code_.size());
    code_.emplace_back().code = Code::JUMP;
  }
  code_.pop_back();  // the last branch ends where all go on
  jumps.pop_back();
  for (const size_t jump : jumps) code_[jump].imm = static_cast<int64_t>(code_.size());
  return code_.size() <= kMostCode;
}

// ---- running

std::byte* ScalarProgram::place(const Operand& o, std::byte* const* tensors, std::byte* registers) const {
  if (o.is_register()) return registers + o.offset;
  if (o.tensor == kConstant) return reinterpret_cast<std::byte*>(const_cast<uint64_t*>(constants_.data())) + o.offset;
  return tensors[o.tensor] + o.offset;
}

ScalarProgram::Call ScalarProgram::look_up(const Instr& instr, std::byte* const* tensors, std::byte* registers) const {
  const auto at = [&](const Operand& o) { return place(o, tensors, registers); };
  return {instr.fn,  at(instr.dst), {at(instr.src[0]), at(instr.src[1]), at(instr.src[2])},
          instr.imm, instr.code,    instr.count};
}

// Computes one instruction, the one before `next`, and returns which one is next.
[[gnu::always_inline]] inline size_t ScalarProgram::execute(const Call& call, size_t next) const {
  const void* const* src = call.src;
  switch (call.code) {
#define ANESDK_SCALAR_CASE(op, type)          \
  case Code::op##_##type:                     \
    put(call.dst, wrapping<type>(src, op{})); \
    return next;
    ANESDK_SCALAR_ARITHMETIC(ANESDK_SCALAR_CASE)
#undef ANESDK_SCALAR_CASE
#define ANESDK_SCALAR_CASE(op, type)                                                    \
  case Code::op##_##type:                                                               \
    put<uint8_t>(call.dst, op{}(element<type>(src[0]), element<type>(src[1])) ? 1 : 0); \
    return next;
    ANESDK_SCALAR_COMPARISONS(ANESDK_SCALAR_CASE)
#undef ANESDK_SCALAR_CASE
#define ANESDK_SCALAR_CASE(op, type)      \
  case Code::op##_##type:                 \
    put(call.dst, element<type>(src[0])); \
    return next;
    ANESDK_SCALAR_COPIES(ANESDK_SCALAR_CASE)
#undef ANESDK_SCALAR_CASE
    case Code::CALL:
      call.fn(call.dst, src, 1, call.imm);
      return next;
    case Code::CHOOSE:
      return static_cast<size_t>(
          targets_[static_cast<size_t>(call.imm + std::clamp(element<int32_t>(src[0]), 0, call.count - 1))]);
    case Code::JUMP:
      return static_cast<size_t>(call.imm);
  }
  return next;
}

ScalarProgram::Bound::Bound(const ScalarProgram& program, std::byte* const* tensors)
    : program_(program), count_(program.code_.size()) {
  for (size_t i = 0; i < count_; ++i) {
    calls_[i] = program.look_up(program.code_[i], tensors, registers_);
  }
}

void ScalarProgram::Bound::run() const {
  for (size_t i = 0; i < count_;) {
    i = program_.execute(calls_[i], i + 1);
  }
}

void ScalarProgram::Bound::move(TensorId tensor, int64_t bytes) {
  for (uint32_t i = 0; i < program_.code_.size(); ++i) {
    const Instr& instr = program_.code_[i];
    if (instr.code == Code::JUMP) continue;
    if (instr.code != Code::CHOOSE && instr.dst.tensor == tensor) moved_[moves_++] = {i, 0, bytes};
    for (uint32_t k = 0; k < 3; ++k) {
      if (instr.src[k].tensor == tensor) moved_[moves_++] = {i, k + 1, bytes};
    }
  }
}

void ScalarProgram::Bound::advance() {
  for (size_t m = 0; m < moves_; ++m) {
    const auto [i, place, bytes] = moved_[m];
    if (place == 0) {
      calls_[i].dst += bytes;
    } else {
      const void*& source = calls_[i].src[place - 1];
      source = static_cast<const std::byte*>(source) + bytes;
    }
  }
}

void ScalarProgram::run(std::byte* const* tensors) const {
  alignas(64) std::byte registers[2 * kRegisters * 8];
  for (size_t i = 0; i < code_.size();) i = execute(look_up(code_[i], tensors, registers), i + 1);
}

}  // namespace anesdk::cpu
