#include "cpu/scalar_program.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <type_traits>
#include <utility>

namespace anesdk::cpu {
namespace {

template <class T>
T element(const void* memory) {
  T value;
  std::memcpy(&value, memory, sizeof value);
  return value;
}

// Integers wrap, as in the vector loops.
template <class T, class F>
void arithmetic(void* dst, const void* const* src, int64_t, int64_t) {
  const auto x = element<T>(src[0]), y = element<T>(src[1]);
  T value;
  if constexpr (std::is_integral_v<T>) {
    using Wide = std::make_unsigned_t<T>;
    value = static_cast<T>(F{}(static_cast<Wide>(x), static_cast<Wide>(y)));
  } else {
    value = F{}(x, y);
  }
  std::memcpy(dst, &value, sizeof value);
}

template <class T, class F>
void comparison(void* dst, const void* const* src, int64_t, int64_t) {
  *static_cast<uint8_t*>(dst) = F{}(element<T>(src[0]), element<T>(src[1])) ? 1 : 0;
}

template <class T>
void copy(void* dst, const void* const* src, int64_t, int64_t) {
  const auto value = element<T>(src[0]);  // dst may be src
  std::memcpy(dst, &value, sizeof value);
}

template <class T>
MapFn short_kernel(MapOp op) {
  switch (op) {
    case MapOp::ADD:
      return arithmetic<T, std::plus<>>;
    case MapOp::SUB:
      return arithmetic<T, std::minus<>>;
    case MapOp::MUL:
      return arithmetic<T, std::multiplies<>>;
    case MapOp::EQ:
      return comparison<T, std::equal_to<>>;
    case MapOp::NE:
      return comparison<T, std::not_equal_to<>>;
    case MapOp::LT:
      return comparison<T, std::less<>>;
    case MapOp::LE:
      return comparison<T, std::less_equal<>>;
    case MapOp::GT:
      return comparison<T, std::greater<>>;
    case MapOp::GE:
      return comparison<T, std::greater_equal<>>;
    default:
      return nullptr;
  }
}

// Null where the vector loop is to be called.
MapFn short_kernel(MapOp op, DType dtype) {
  switch (dtype) {
    case DType::INT32:
      return short_kernel<int32_t>(op);
    case DType::UINT32:
      return short_kernel<uint32_t>(op);
    case DType::INT64:
      return short_kernel<int64_t>(op);
    case DType::UINT64:
      return short_kernel<uint64_t>(op);
    case DType::FP32:
      return short_kernel<float>(op);
    case DType::FP64:
      return short_kernel<double>(op);
    default:
      return nullptr;
  }
}

MapFn copy_of(size_t bytes) {
  switch (bytes) {
    case 1:
      return copy<uint8_t>;
    case 2:
      return copy<uint16_t>;
    case 4:
      return copy<uint32_t>;
    default:
      return copy<uint64_t>;
  }
}

}  // namespace

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
    out->fn = copy_of(static_cast<size_t>(instr.dst.size));
    out->repeats = instr.dst.kind == tile::Ref::SCRATCH;
  } else if (instr.kind == tile::Instr::MAP) {
    const MapFn shorter = instr.is_op ? short_kernel(instr.op, instr.dtype) : nullptr;
    out->fn = shorter != nullptr ? shorter : instr.fn;
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
  instr.fn = copy_of(size);
  code_.push_back(instr);
  return true;
}

void ScalarProgram::run(std::byte* const* tensors) const {
  alignas(64) std::byte registers[kRegisters * 8];
  const auto at = [&](const Operand& o) { return (o.is_register() ? registers : tensors[o.tensor]) + o.offset; };
  for (const Instr& instr : code_) {
    const void* src[3] = {at(instr.src[0]), at(instr.src[1]), at(instr.src[2])};
    instr.fn(at(instr.dst), src, 1, instr.imm);
  }
}

}  // namespace anesdk::cpu
