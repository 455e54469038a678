#include "mil/program.h"

#include <algorithm>

#include "mil/literal.h"
#include "mil/opset.h"

namespace anesdk::mil {
namespace {

const Value& const_value(const Function& function, const Op& op, std::string_view name) {
  const Value& value = function.value(op, name);
  if (!value.constant || value.constant->blob)
    throw Error("[" + std::string(op.schema->name) + "] " + std::string(name) + " must be a const, got " +
                value.type.str() + " " + value.name);
  return value;
}

[[noreturn]] void fail_type(const Op& op, std::string_view name, const char* expected, const Type& got) {
  throw Error("[" + std::string(op.schema->name) + "] " + std::string(name) + " must be " + expected + ", got " +
              got.str());
}

}  // namespace

size_t size_of(DType dtype) {
  switch (dtype) {
#define ANESDK_DTYPE_SIZE(suffix, code, text, size) \
  case DType::suffix:                               \
    return size;
    ANESDK_DTYPE_LIST(ANESDK_DTYPE_SIZE)
#undef ANESDK_DTYPE_SIZE
  }
  return 0;
}

std::string_view name_of(DType dtype) {
  switch (dtype) {
#define ANESDK_DTYPE_NAME(suffix, code, text, size) \
  case DType::suffix:                               \
    return text;
    ANESDK_DTYPE_LIST(ANESDK_DTYPE_NAME)
#undef ANESDK_DTYPE_NAME
  }
  return "?";
}

int64_t Type::elements() const {
  int64_t count = 1;
  for (const int64_t dim : shape) count *= dim;
  return count;
}

std::string Type::str() const {
  if (shape.empty()) return std::string(name_of(dtype));
  std::string out = "tensor<" + std::string(name_of(dtype)) + ", [";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + "]>";
}

const Operand* Function::find(const Op& op, std::string_view name) const {
  const auto it =
      std::find_if(op.operands.begin(), op.operands.end(), [&](const Operand& o) { return o.name == name; });
  return it == op.operands.end() ? nullptr : &*it;
}

const Value& Function::value(const Op& op, std::string_view name) const {
  const Operand* operand = find(op, name);
  if (!operand || operand->values.size() != 1)
    throw Error("[" + std::string(op.schema->name) + "] expected one operand named " + std::string(name));
  return values[operand->values[0]];
}

std::vector<int64_t> Function::ints(const Op& op, std::string_view name) const {
  const Value& value = const_value(*this, op, name);
  if (!is_integer(value.type.dtype)) fail_type(op, name, "a list of integers", value.type);
  const size_t size = size_of(value.type.dtype);
  std::vector<int64_t> out;
  for (size_t at = 0; at < value.constant->data.size(); at += size)
    out.push_back(decode_integer(value.type.dtype, value.constant->data.data() + at));
  return out;
}

int64_t Function::integer(const Op& op, std::string_view name) const {
  const std::vector<int64_t> list = ints(op, name);
  if (list.size() != 1) fail_type(op, name, "one integer", value(op, name).type);
  return list[0];
}

double Function::real(const Op& op, std::string_view name) const {
  const Value& value = const_value(*this, op, name);
  if (value.type.elements() != 1) fail_type(op, name, "one number", value.type);
  const std::byte* data = value.constant->data.data();
  if (is_float(value.type.dtype)) return decode_real(value.type.dtype, data);
  if (is_integer(value.type.dtype)) return static_cast<double>(decode_integer(value.type.dtype, data));
  fail_type(op, name, "one number", value.type);
}

bool Function::boolean(const Op& op, std::string_view name) const {
  const Value& value = const_value(*this, op, name);
  if (value.type.dtype != DType::BOOL || value.type.elements() != 1) fail_type(op, name, "one bool", value.type);
  return value.constant->data[0] != std::byte{0};
}

const std::string& Function::text(const Op& op, std::string_view name) const {
  const Value& value = const_value(*this, op, name);
  if (value.type.dtype != DType::STRING) fail_type(op, name, "a string", value.type);
  return value.constant->text;
}

const Function* Program::find(std::string_view name) const {
  const auto it = std::find_if(functions.begin(), functions.end(), [&](const Function& f) { return f.name == name; });
  return it == functions.end() ? nullptr : &*it;
}

}  // namespace anesdk::mil
