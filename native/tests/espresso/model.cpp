#include "model.h"

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>

namespace standin {

int64_t Type::elements() const {
  int64_t count = 1;
  for (const int64_t n : shape) count *= n;
  return count;
}

std::string Type::str() const {
  std::string dims;
  for (const int64_t n : shape) dims += (dims.empty() ? "" : ", ") + std::to_string(n);
  return dtype + "[" + dims + "]";
}

size_t element_bytes(const std::string& dtype) {
  static const std::map<std::string, size_t> sizes = {{"bool", 1},   {"int8", 1},  {"uint8", 1}, {"int16", 2},
                                                      {"uint16", 2}, {"fp16", 2},  {"fp32", 4},  {"int32", 4},
                                                      {"uint32", 4}, {"int64", 8}, {"uint64", 8}};
  const auto it = sizes.find(dtype);
  if (it == sizes.end()) throw Refusal("unknown type " + dtype);
  return it->second;
}

namespace {

class Reader {
 public:
  Reader(const std::string& text, std::string folder) : text_(text), folder_(std::move(folder)) {}

  Model read() {
    expect("program(1.3)");
    expect("[buildInfo");
    skip_to(']');
    expect("{");
    expect("func main<ios18>(");
    while (!accept(")")) {
      const Type t = type();
      model_.inputs.push_back({define(identifier()), t});
      accept(",");
    }
    expect("{");
    while (!accept("}")) statement();
    expect("-> (");
    while (!accept(")")) {
      model_.outputs.push_back(identifier());
      accept(",");
    }
    expect(";");
    expect("}");
    return std::move(model_);
  }

 private:
  [[noreturn]] void fail(const std::string& wanted) const {
    throw Refusal("MIL parse error: expected " + wanted + " at '" + text_.substr(at_, 40) + "'");
  }
  void blanks() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  // Blanks in `token` stand for any blanks, or none.
  bool accept(const std::string& token) {
    const size_t before = at_;
    blanks();
    for (const char c : token) {
      if (c == ' ') {
        blanks();
      } else if (at_ < text_.size() && text_[at_] == c) {
        ++at_;
      } else {
        at_ = before;
        return false;
      }
    }
    return true;
  }
  void expect(const std::string& token) {
    if (!accept(token)) fail("'" + token + "'");
  }
  void skip_to(char end) {
    at_ = text_.find(end, at_);
    if (at_ == std::string::npos) at_ = text_.size(), fail(std::string(1, end));
    ++at_;
  }
  std::string identifier() {
    blanks();
    const size_t start = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_')) ++at_;
    if (at_ == start || std::isdigit(static_cast<unsigned char>(text_[start]))) fail("a name");
    return text_.substr(start, at_ - start);
  }
  std::string define(const std::string& name) {
    if (!defined_.insert(name).second) throw Refusal("MIL parse error: " + name + " is defined twice");
    return name;
  }
  double number() {
    blanks();
    if (accept("true")) return 1;
    if (accept("false")) return 0;
    char* end = nullptr;
    const double value = std::strtod(text_.c_str() + at_, &end);
    if (end == text_.c_str() + at_) fail("a number");
    at_ = static_cast<size_t>(end - text_.c_str());
    return value;
  }
  std::string quoted() {
    expect("\"");
    const size_t start = at_;
    skip_to('"');
    return text_.substr(start, at_ - 1 - start);
  }

  Type type() {
    if (!accept("tensor<")) return {identifier(), {}};
    Type t{identifier(), {}};
    expect(", [");
    while (!accept("]")) {
      t.shape.push_back(static_cast<int64_t>(number()));
      accept(",");
    }
    expect(">");
    if (t.shape.empty()) throw Refusal("scalars have bare types");
    return t;
  }

  Tensor literal(const Type& declared) {
    Tensor tensor{type(), {}, ""};
    if (!(tensor.type == declared)) throw Refusal("a constant of another type than declared");
    expect("(");
    if (accept("BLOBFILE(path = string(")) {
      const std::string path = quoted();
      expect("), offset = uint64(");
      blob(tensor, path, static_cast<uint64_t>(number()));
      expect("))");
    } else if (declared.dtype == "string") {
      tensor.text = quoted();
    } else if (accept("[")) {
      if (declared.shape.size() > 1 && declared.dtype == "fp16")  // none was seen to compile
        throw Refusal("a list of elements for a constant of several axes");
      while (!accept("]")) {
        tensor.data.push_back(number());
        accept(",");
      }
    } else {
      tensor.data.push_back(number());
    }
    expect(")");
    check_values(tensor);
    return tensor;
  }

  static void check_values(const Tensor& tensor) {
    if (tensor.type.dtype == "string") return;
    if (static_cast<int64_t>(tensor.data.size()) != tensor.type.elements())
      throw Refusal("a constant of another size than its type");
    for (const double value : tensor.data)
      if (!std::isfinite(value) || (tensor.type.dtype == "fp16" && round_half(value) != value))
        throw Refusal("a constant that its type cannot hold");
  }

  void blob(Tensor& tensor, const std::string& path, uint64_t offset) const {
    const std::string prefix = "@model_path/";
    if (!path.starts_with(prefix)) throw Refusal("a weight file outside of @model_path");
    std::ifstream in(folder_ + "/" + path.substr(prefix.size()), std::ios::binary);
    const std::string file(std::istreambuf_iterator<char>(in), {});
    const auto field = [&](uint64_t at, size_t bytes) {
      if (at + bytes > file.size()) throw Refusal("the weight file is too short");
      uint64_t value = 0;
      std::memcpy(&value, file.data() + at, bytes);
      return value;
    };
    const uint64_t bytes = field(offset + 8, 8), payload = field(offset + 16, 8);
    if (field(4, 4) != 2 || field(offset, 4) != 0xDEADBEEF || offset % 64 != 0)
      throw Refusal("a malformed weight file");
    if (tensor.type.dtype != "fp16" || field(offset + 4, 4) != 1) throw Refusal("weights of another type than fp16");
    if (bytes != static_cast<uint64_t>(tensor.type.elements()) * 2)
      throw Refusal("weights of another size than declared");
    for (uint64_t at = 0; at < bytes; at += 2)
      tensor.data.push_back(half_value(static_cast<uint16_t>(field(payload + at, 2))));
  }

  void statement() {
    Statement s;
    do {
      const Type t = type();
      s.results.push_back({identifier(), t});
    } while (accept(","));
    expect("=");
    s.op = identifier();
    expect("(");
    while (!accept(")")) {
      const std::string name = identifier();
      expect("=");
      std::vector<std::string>& values = s.operands[name];
      if (accept("(")) {
        while (!accept(")")) {
          values.push_back(used());
          accept(",");
        }
      } else {
        values.push_back(used());
      }
      accept(",");
    }
    expect("[name = string(");
    quoted();
    expect(")");
    for (const Result& result : s.results) define(result.name);
    if (s.op == "const") {
      expect(", val =");
      model_.constants[s.results[0].name] = literal(s.results[0].type);
    } else {
      model_.statements.push_back(std::move(s));
    }
    expect("];");
  }

  std::string used() {
    const std::string name = identifier();
    if (!defined_.count(name)) throw Refusal("MIL parse error: " + name + " is used before it is defined");
    return name;
  }

  const std::string& text_;
  std::string folder_;
  size_t at_ = 0;
  Model model_;
  std::set<std::string> defined_;
};

}  // namespace

Model read_model(const std::string& text, const std::string& folder) { return Reader(text, folder).read(); }

}  // namespace standin
