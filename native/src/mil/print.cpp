#include "mil/print.h"

#include <cmath>
#include <cstdio>
#include <set>

#include "mil/literal.h"
#include "mil/opset.h"

namespace anesdk::mil {
namespace {

// The two entries that every program seen to compile for the engine has.
constexpr const char* kBuildInfo =
    "[buildInfo = dict<string, string>({{\"coremlc-component-MIL\", \"3520.4.1\"}, "
    "{\"coremlc-version\", \"3520.5.1\"}})]\n";

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

std::string elements(const Value& value) {
  const Constant& c = *value.constant;
  if (c.blob)
    return "(BLOBFILE(path = string(" + quoted(c.text) + "), offset = uint64(" + std::to_string(c.offset) + ")))";
  if (value.type.dtype == DType::STRING) return "(" + quoted(c.text) + ")";
  if (value.type.shape.empty()) return "(" + number(value.type.dtype, c.data.data()) + ")";
  std::string list;
  const size_t size = size_of(value.type.dtype);
  for (size_t at = 0; at < c.data.size(); at += size)
    list += (at ? ", " : "") + number(value.type.dtype, c.data.data() + at);
  return "([" + list + "])";
}

class FunctionPrinter {
 public:
  FunctionPrinter(const Function& f, const WriteConstant& write) : f_(f), write_(write) {
    std::set<std::string> taken;
    for (const Value& v : f.values) taken.insert(v.name);
    for (size_t id = 0; id < f.values.size(); ++id) {
      std::string name = f.values[id].name;
      if (name.empty())
        for (name = "literal_" + std::to_string(id); !taken.insert(name).second;) name += "_";
      names_.push_back(std::move(name));
    }
  }

  std::string str() const {
    std::string inputs, body;
    for (const ValueId id : f_.inputs) inputs += (inputs.empty() ? "" : ", ") + declared(id);
    for (size_t id = 0; id < f_.values.size(); ++id)
      if (f_.values[id].constant) body += constant(static_cast<ValueId>(id));
    for (const Op& op : f_.ops) body += statement(op);
    return "    func " + f_.name + "<ios18>(" + inputs + ") {\n" + body + "    } -> (" + list(f_.outputs) + ");\n";
  }

 private:
  std::string declared(ValueId id) const { return f_.values[id].type.str() + " " + names_[id]; }

  std::string list(const std::vector<ValueId>& ids) const {
    std::string out;
    for (const ValueId id : ids) out += (out.empty() ? "" : ", ") + names_[id];
    return out;
  }

  static std::string name_attribute(const std::string& name) { return "name = string(" + quoted(name) + ")"; }

  std::string constant(ValueId id) const {
    const Value& value = f_.values[id];
    std::string written = write_ ? write_(value) : "";
    if (written.empty()) written = elements(value);
    return "        " + declared(id) + " = const()[" + name_attribute(names_[id]) + ", val = " + value.type.str() +
           written + "];\n";
  }

  std::string statement(const Op& op) const {
    std::string results, operands;
    for (const ValueId id : op.results) results += (results.empty() ? "" : ", ") + declared(id);
    for (const Operand& o : op.operands)
      operands += (operands.empty() ? "" : ", ") + o.name + " = " +
                  (o.variadic ? "(" + list(o.values) + ")" : names_[o.values[0]]);
    const std::string& name = op.results.empty() ? f_.name : names_[op.results[0]];
    return "        " + results + " = " + std::string(op.schema->name) + "(" + operands + ")[" + name_attribute(name) +
           "];\n";
  }

  const Function& f_;
  const WriteConstant& write_;
  std::vector<std::string> names_;  // of each value
};

}  // namespace

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

std::string print(const Program& program, const WriteConstant& write) {
  std::string body;
  for (const Function& f : program.functions) body += FunctionPrinter(f, write).str();
  return std::string("program(1.3)\n") + kBuildInfo + "{\n" + body + "}\n";
}

}  // namespace anesdk::mil
