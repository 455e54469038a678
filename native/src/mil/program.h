// The typed MIL program that the parser makes, the verifier checks and devices compile. SSA: every value has one
// definition; constants and inline literals are values whose `constant` is set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "anesdk.h"
#include "mil/error.h"

namespace anesdk::mil {

enum class DType : uint8_t {
#define ANESDK_DTYPE_CLASS(suffix, code, text, size) suffix = code,
  ANESDK_DTYPE_LIST(ANESDK_DTYPE_CLASS)
#undef ANESDK_DTYPE_CLASS
};

size_t size_of(DType dtype);
std::string_view name_of(DType dtype);

using Shape = std::vector<int64_t>;

struct Type {
  DType dtype = DType::FP32;
  Shape shape;
  bool operator==(const Type&) const = default;
  int64_t elements() const;  // checked for overflow when the type was parsed
  size_t nbytes() const { return static_cast<size_t>(elements()) * size_of(dtype); }
  std::string str() const;  // as MIL prints it: tensor<fp32, [2, 3]>, or fp32 for rank 0
};

struct Constant {
  std::vector<std::byte> data;  // dense row-major elements; empty for strings
  std::string text;             // the value of a string, or the path of a BLOBFILE
  bool blob = false;            // BLOBFILE: the data is in a file; never on target cpu
  uint64_t offset = 0;          // of a BLOBFILE
};

using ValueId = uint32_t;

struct Value {
  std::string name;
  Type type;
  std::shared_ptr<const Constant> constant;  // null unless const
};

struct OpSchema;  // one row of the generated opset table (opset.h)

struct Operand {
  std::string name;
  std::vector<ValueId> values;  // one, or several when written as (a, b, c)
  bool variadic = false;
};

struct Op {
  const OpSchema* schema = nullptr;
  std::vector<Operand> operands;  // in the order written
  std::vector<ValueId> results;
  int line = 0;
};

struct Function {
  std::string name;
  std::vector<Value> values;
  std::vector<ValueId> inputs;
  std::vector<Op> ops;  // const statements are not ops: they only define values
  std::vector<ValueId> outputs;

  const Operand* find(const Op& op, std::string_view name) const;  // null when absent
  const Value& value(const Op& op, std::string_view name) const;   // throws mil::Error when absent
  // Readers of const operands; throw mil::Error("[op] ...") when absent, not const, or of another type.
  std::vector<int64_t> ints(const Op& op, std::string_view name) const;
  int64_t integer(const Op& op, std::string_view name) const;
  double real(const Op& op, std::string_view name) const;
  bool boolean(const Op& op, std::string_view name) const;
  const std::string& text(const Op& op, std::string_view name) const;
};

struct Program {
  std::vector<Function> functions;
  uint64_t digest = 0;  // of its text
  const Function* find(std::string_view name) const;
};

}  // namespace anesdk::mil
