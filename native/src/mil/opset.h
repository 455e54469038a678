// The operations of the dialect, as data. The rows are generated from anejax/mil/opset.py by native/opset_gen.py.
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

struct ArgSchema {
  std::string_view name;
  bool required = true;
  bool constant = false;  // the operand must be a const
  bool variadic = false;  // written (a, b, c)
  std::array<DTypeSet, kTargets> dtypes{};
};

struct OpSchema {
  std::string_view name;
  std::span<const ArgSchema> args;  // in alphabetical order
  uint8_t targets = 0;              // bit `1 << target`

  const ArgSchema* find(std::string_view arg) const;
  bool runs_on(Target target) const { return targets >> static_cast<unsigned>(target) & 1; }
};

std::span<const OpSchema> opset();                      // sorted by name
const OpSchema* find_schema(std::string_view op_name);  // null when unknown

}  // namespace anesdk::mil
