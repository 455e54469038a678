// The operations of the dialect, as data. The rows are generated from anejax/mil/opset.py by native/opset_gen.py;
// the words there mean the same here.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "mil/program.h"

namespace anesdk::mil {

enum class Target : uint8_t { CPU, COREML, ANE };
inline constexpr size_t kTargets = 3;

using DTypeSet = uint32_t;  // bit `1 << dtype`

constexpr DTypeSet bit(DType dtype) { return DTypeSet{1} << static_cast<unsigned>(dtype); }

struct TypeVar {
  std::string_view name;
  std::array<DTypeSet, kTargets> dtypes;  // by target
};

enum class ArgKind : uint8_t { TENSOR, CONST, VARIADIC, FUNCTION, FUNCTIONS };

struct ArgSchema {
  std::string_view name;
  ArgKind kind;
  int8_t var;       // index into the operation's types, or -1
  DTypeSet dtypes;  // when var is -1
  int8_t rank;      // -1: any
  bool optional;
  bool engine_const;  // the Neural Engine takes constants only
  bool engine_wants;  // the Neural Engine takes no default for it
  bool empty;         // a list that may have no items

  bool listed() const { return kind == ArgKind::VARIADIC || kind == ArgKind::FUNCTIONS; }  // written (a, b, ...)
  bool by_name() const { return kind == ArgKind::FUNCTION || kind == ArgKind::FUNCTIONS; }
};

struct ResultSchema {
  int8_t var;       // index into the operation's types, or -1
  DTypeSet dtypes;  // when var is -1; empty: as declared
};

struct OpSchema {
  std::string_view name;
  std::string_view shape;           // the family of the shape rule
  std::span<const ArgSchema> args;  // in alphabetical order
  std::span<const TypeVar> types;
  std::span<const ResultSchema> results;
  bool variadic_results;  // any number of results, all as results[0]
  int8_t engine_max_rank;
  uint8_t targets;  // bit `1 << target`

  const ArgSchema* find(std::string_view arg) const;
  bool runs_on(Target target) const { return targets >> static_cast<unsigned>(target) & 1; }
};

std::span<const OpSchema> opset();                      // sorted by name
const OpSchema* find_schema(std::string_view op_name);  // null when unknown

}  // namespace anesdk::mil
