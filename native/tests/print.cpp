#include "print.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>

#include "mil/literal.h"
#include "mil/opset.h"
#include "op_rows.h"

namespace anesdk::test {
namespace {

using namespace mil;

std::string number(DType dtype, const std::byte* data) {
  if (dtype == DType::BOOL) return data[0] == std::byte{0} ? "false" : "true";
  if (dtype == DType::UINT64) return std::to_string(static_cast<uint64_t>(decode_integer(dtype, data)));
  if (!is_float(dtype)) return std::to_string(decode_integer(dtype, data));
  const double value = decode_real(dtype, data);
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char text[64];
  std::snprintf(text, sizeof text, "%a", value);
  return text;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n' || c == '\r' || c == '\t') {
      out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string literal(const Value& value) {
  const Constant& c = *value.constant;
  const std::string type = value.type.str();
  if (c.blob)
    return type + "(BLOBFILE(path = string(" + quoted(c.text) + "), offset = uint64(" + std::to_string(c.offset) +
           ")))";
  if (value.type.dtype == DType::STRING) return type + "(" + quoted(c.text) + ")";
  if (value.type.shape.empty()) return type + "(" + number(value.type.dtype, c.data.data()) + ")";
  std::string list;
  const size_t size = size_of(value.type.dtype);
  for (size_t at = 0; at < c.data.size(); at += size)
    list += (at ? ", " : "") + number(value.type.dtype, c.data.data() + at);
  return type + "([" + list + "])";
}

std::string reference(const Function& f, ValueId id) {
  return f.values[id].name.empty() ? literal(f.values[id]) : f.values[id].name;
}

std::string operand(const Function& f, const Operand& operand) {
  std::string list;
  for (const ValueId id : operand.values) list += (list.empty() ? "" : ", ") + reference(f, id);
  return operand.name + " = " + (operand.variadic ? "(" + list + ")" : list);
}

std::string statement(const Function& f, const Op& op) {
  std::string results, operands;
  for (const ValueId id : op.results)
    results += (results.empty() ? "" : ", ") + f.values[id].type.str() + " " + f.values[id].name;
  for (const Operand& o : op.operands) operands += (operands.empty() ? "" : ", ") + operand(f, o);
  return "        " + results + " = " + std::string(op.schema->name) + "(" + operands + ")[name = string(\"n\")];\n";
}

std::string print(const Function& f) {
  std::string inputs, outputs, body;
  for (const ValueId id : f.inputs)
    inputs += (inputs.empty() ? "" : ", ") + f.values[id].type.str() + " " + f.values[id].name;
  for (const ValueId id : f.outputs) outputs += (outputs.empty() ? "" : ", ") + f.values[id].name;
  for (const Value& v : f.values)
    if (v.constant && !v.name.empty())
      body +=
          "        " + v.type.str() + " " + v.name + " = const()[name = string(\"n\"), val = " + literal(v) + "];\n";
  for (const Op& op : f.ops) body += statement(f, op);
  return "    func " + f.name + "<ios18>(" + inputs + ") {\n" + body + "    } -> (" + outputs + ");\n";
}

// fp32[2,3] -> tensor<fp32, [2,3]>, and with `lists` {1,2} -> tensor<int32, [2]>([1,2]).
std::string expand(std::string_view text, bool lists = true) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool after_word = i > 0 && std::isalnum(static_cast<unsigned char>(text[i - 1]));
    if (text[i] == '[' && after_word) {
      size_t word = out.size();
      while (word > 0 && std::isalnum(static_cast<unsigned char>(out[word - 1]))) --word;
      const size_t end = text.find(']', i);
      out = out.substr(0, word) + "tensor<" + out.substr(word) + ", " + std::string(text.substr(i, end + 1 - i)) + ">";
      i = end;
    } else if (text[i] == '{' && lists) {
      const std::string_view list = text.substr(i + 1, text.find('}', i) - i - 1);
      const auto count = list.empty() ? 0 : std::count(list.begin(), list.end(), ',') + 1;
      out += "tensor<int32, [" + std::to_string(count) + "]>([" + std::string(list) + "])";
      i += list.size() + 1;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::string print(const Program& program) {
  std::string body;
  for (const Function& f : program.functions) body += print(f);
  return "program(1.3)\n{\n" + body + "}\n";
}

std::string one_op(std::string_view inputs, std::string_view statement, std::string_view outputs,
                   std::string_view functions) {
  std::string text = "program(1.3)\n{\n    func main<ios18>(" + expand(inputs) + ") {\n" + expand(statement) +
                     "[name = string(\"o\")];\n    } -> (" + std::string(outputs) + ");\n";
  if (!functions.empty()) text += expand(functions, false) + "\n";
  return text + "}\n";
}

std::string one_op(const OpRow& row) { return one_op(row.inputs, row.statement, row.outputs, row.functions); }

}  // namespace anesdk::test
