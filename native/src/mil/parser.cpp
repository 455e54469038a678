
#include <algorithm>
#include <string>
#include <unordered_map>

#include "digest.h"
#include "hosted_call.h"
#include "mil/lexer.h"
#include "mil/literal.h"
#include "mil/opset.h"

namespace anesdk::mil {
namespace {

constexpr size_t kMaxText = size_t{1} << 28;
constexpr int kMaxDepth = 16;                    // of nested types and literals
constexpr int64_t kMaxBytes = int64_t{1} << 46;  // of one tensor
constexpr size_t kMaxFunctions = size_t{1} << 12;

struct Literal {
  Type type;
  std::shared_ptr<const Constant> constant;
};

class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) { advance(); }
  Program program();

 private:
  // tokens
  void advance() { token_ = lexer_.next(); }
  bool at(std::string_view text) const { return token_.kind != TokenKind::STRING && token_.text == text; }
  bool accept(std::string_view text);
  void expect(std::string_view text);
  Token take(TokenKind kind, const char* what);
  std::string_view ident(const char* what) { return take(TokenKind::IDENT, what).text; }
  [[noreturn]] void fail(const std::string& what) const { fail_at(token_.line, token_.column, what); }
  [[noreturn]] void fail_expected(const std::string& what) const;
  template <class Item>
  void list(std::string_view open, std::string_view close, Item item);

  // types and literals
  Type type() { return type_from(take(TokenKind::IDENT, "a type")); }
  Type type_from(const Token& name);
  Shape shape(DType dtype);
  void skip_dict_type();
  void skip_dict();
  Literal literal();
  Literal bare_bool();
  Literal literal_of(Type type);
  void payload(const Type& type, Constant& constant);
  void elements(const Type& type, Constant& constant);
  void blob(Constant& constant);
  void number(DType dtype, std::byte* out);

  // statements
  void program_attributes();
  Function function();
  void parameter(Function& f);
  void statement(Function& f);
  void update(const Function& f, const Op& op);
  std::shared_ptr<const Constant> constant_value(const Type& declared);
  void operands(Function& f, Op& op);
  void attributes(Function& f, Op& op);
  void add_operand(Function& f, Op& op, const Token& name);
  ValueId value(Function& f);
  static ValueId inline_value(Function& f, Literal literal);
  ValueId find(const Token& name) const;
  ValueId define(Function& f, Value value, const Token& where);

  Lexer lexer_;
  Token token_;
  int depth_ = 0;
  std::unordered_map<std::string_view, ValueId> names_;       // of the function being parsed
  std::vector<std::pair<std::string_view, ValueId>> states_;  // its inputs that are state, as they came
};

// Counts nesting for as long as it lives.
class Nest {
 public:
  explicit Nest(int& depth) : depth_(depth) { ++depth_; }
  ~Nest() { --depth_; }

 private:
  int& depth_;
};

// ---- tokens

void Parser::fail_expected(const std::string& what) const {
  const std::string got = token_.kind == TokenKind::END ? "the end of the text" : "'" + excerpt(token_.text) + "'";
  fail("expected " + what + ", got " + got);
}

bool Parser::accept(std::string_view text) {
  if (!at(text)) return false;
  advance();
  return true;
}

void Parser::expect(std::string_view text) {
  if (!accept(text)) fail_expected("'" + std::string(text) + "'");
}

Token Parser::take(TokenKind kind, const char* what) {
  if (token_.kind != kind) fail_expected(what);
  const Token token = token_;
  advance();
  return token;
}

template <class Item>
void Parser::list(std::string_view open, std::string_view close, Item item) {
  expect(open);
  if (accept(close)) return;
  do item();
  while (accept(","));
  expect(close);
}

// ---- types and literals

const std::unordered_map<std::string_view, DType>& dtypes() {
  static const std::unordered_map<std::string_view, DType> names = {
#define ANESDK_DTYPE_ENTRY(suffix, code, text, size) {text, DType::suffix},
      ANESDK_DTYPE_LIST(ANESDK_DTYPE_ENTRY)
#undef ANESDK_DTYPE_ENTRY
      // Fewer than eight bits stand in eight.
      {"int4", DType::INT8},
      {"uint1", DType::UINT8},
      {"uint2", DType::UINT8},
      {"uint3", DType::UINT8},
      {"uint4", DType::UINT8},
      {"uint6", DType::UINT8},
  };
  return names;
}

DType dtype_of(const Token& name) {
  const auto it = dtypes().find(name.text);
  if (it == dtypes().end()) fail_at(name.line, name.column, "unknown type '" + excerpt(name.text) + "'");
  return it->second;
}

Type Parser::type_from(const Token& name) {
  if (name.text != "tensor") return {dtype_of(name), {}};
  expect("<");
  const Token element = take(TokenKind::IDENT, "an element type");
  const DType dtype = dtype_of(element);
  expect(",");
  Type type{dtype, shape(dtype)};
  expect(">");
  return type;
}

Shape Parser::shape(DType dtype) {
  Shape shape;
  // Zero-size axes count as 1, so that strides over the other axes cannot overflow either.
  int64_t bytes = static_cast<int64_t>(std::max<size_t>(size_of(dtype), 1));
  list("[", "]", [&] {
    if (token_.kind != TokenKind::NUMBER) fail_expected("a dimension (symbolic ones are not supported)");
    int64_t dim = 0;
    number(DType::INT64, reinterpret_cast<std::byte*>(&dim));
    if (dim < 0) fail("a dimension must not be negative");
    if (shape.size() == ANESDK_MAX_RANK) fail("the rank is above " + std::to_string(ANESDK_MAX_RANK));
    if (__builtin_mul_overflow(bytes, std::max<int64_t>(dim, 1), &bytes) || bytes > kMaxBytes)
      fail("the tensor is too large");
    shape.push_back(dim);
  });
  return shape;
}

void Parser::number(DType dtype, std::byte* out) {
  if (token_.kind != TokenKind::NUMBER && token_.kind != TokenKind::IDENT)
    fail_expected("a value of type " + std::string(name_of(dtype)));
  const std::string error = encode_number(token_.text, dtype, out);
  if (!error.empty()) fail(error + ", got '" + excerpt(token_.text) + "'");
  advance();
}

Literal Parser::literal() { return at("true") || at("false") ? bare_bool() : literal_of(type()); }

Literal Parser::bare_bool() {
  auto constant = std::make_shared<Constant>();
  constant->data.resize(size_of(DType::BOOL));
  number(DType::BOOL, constant->data.data());
  return {{DType::BOOL, {}}, std::move(constant)};
}

Literal Parser::literal_of(Type type) {
  Literal literal{std::move(type), nullptr};
  auto constant = std::make_shared<Constant>();
  expect("(");
  payload(literal.type, *constant);
  expect(")");
  literal.constant = std::move(constant);
  return literal;
}

void Parser::payload(const Type& type, Constant& constant) {
  if (at("BLOBFILE")) return blob(constant);
  if (type.dtype == DType::STRING) {
    if (!type.shape.empty()) fail("lists of strings are not supported");
    constant.text = unquote(take(TokenKind::STRING, "a string").text);
    return;
  }
  if (!type.shape.empty()) return elements(type, constant);
  constant.data.resize(size_of(type.dtype));
  number(type.dtype, constant.data.data());
}

// Grows with what is written, never with what is declared: a short text cannot ask for much memory.
void Parser::elements(const Type& type, Constant& constant) {
  const size_t size = size_of(type.dtype);
  const Token open = token_;
  list("[", "]", [&] {
    constant.data.resize(constant.data.size() + size);
    number(type.dtype, constant.data.data() + constant.data.size() - size);
  });
  if (constant.data.size() != type.nbytes())
    fail_at(open.line, open.column,
            "expected " + std::to_string(type.elements()) + " elements for " + type.str() + ", got " +
                std::to_string(constant.data.size() / size));
}

void Parser::blob(Constant& constant) {
  const Token start = token_;
  constant.blob = true;
  bool path = false, offset = false;
  advance();
  list("(", ")", [&] {
    const std::string_view name = ident("path or offset");
    expect("=");
    const Nest nest(depth_);
    if (depth_ > kMaxDepth) fail("nested too deeply");
    const Literal value = literal();
    if (name == "path" && !path && value.type == Type{DType::STRING, {}}) {
      path = true;
      constant.text = value.constant->text;
    } else if (name == "offset" && !offset && value.type == Type{DType::UINT64, {}} && !value.constant->blob) {
      offset = true;
      constant.offset = static_cast<uint64_t>(decode_integer(DType::UINT64, value.constant->data.data()));
    } else {
      fail("BLOBFILE takes path = string(...) and offset = uint64(...), once each");
    }
  });
  if (!path || !offset) fail_at(start.line, start.column, "BLOBFILE takes path = string(...) and offset = uint64(...)");
}

// dict<K, V>({{k, v}, ...}) is seen in build information only, and nothing depends on it.
void Parser::skip_dict_type() {
  const Nest nest(depth_);
  if (depth_ > kMaxDepth) fail("nested too deeply");
  if (!accept("dict")) {
    type();
    return;
  }
  expect("<");
  skip_dict_type();
  expect(",");
  skip_dict_type();
  expect(">");
}

void Parser::skip_dict() {
  skip_dict_type();
  expect("(");
  list("{", "}", [&] {
    expect("{");
    take(TokenKind::STRING, "a string");
    expect(",");
    take(TokenKind::STRING, "a string");
    expect("}");
  });
  expect(")");
}

// ---- statements

void Parser::program_attributes() {
  list("[", "]", [&] {
    ident("an attribute name");
    expect("=");
    if (at("dict"))
      skip_dict();
    else
      literal();
  });
}

Program Parser::program() {
  Program program;
  expect("program");
  expect("(");
  take(TokenKind::NUMBER, "a version");
  expect(")");
  if (at("[")) program_attributes();
  expect("{");
  do {
    const Token where = token_;
    Function next = function();
    if (program.find(next.name)) fail_at(where.line, where.column, "function " + next.name + " is defined twice");
    if (program.functions.size() == kMaxFunctions) fail("too many functions");
    program.functions.push_back(std::move(next));
  } while (!at("}"));
  expect("}");
  if (token_.kind != TokenKind::END) fail_expected("the end of the text");
  return program;
}

Function Parser::function() {
  Function f;
  names_.clear();
  states_.clear();
  expect("func");
  f.name = ident("a function name");
  expect("<");
  ident("an opset name");
  expect(">");
  list("(", ")", [&] { parameter(f); });
  expect("{");
  while (!at("}")) statement(f);
  expect("}");
  expect("->");
  list("(", ")", [&] { f.outputs.push_back(find(take(TokenKind::IDENT, "a name"))); });
  expect(";");
  for (const auto& [name, given] : states_)
    if (names_.at(name) != given) f.outputs.push_back(names_.at(name));
  return f;
}

void Parser::parameter(Function& f) {
  const bool state = accept("state");  // state<type>: its last value is a result as well, if it was updated
  if (state) expect("<");
  Type declared = type();
  if (state) expect(">");
  if (declared.dtype == DType::STRING) fail("an input cannot be a string");
  const Token name = take(TokenKind::IDENT, "a name");
  f.inputs.push_back(define(f, {std::string(name.text), std::move(declared), nullptr}, name));
  if (state) states_.emplace_back(name.text, f.inputs.back());
}

// From an update on the state's name is the new value's.
void Parser::update(const Function& f, const Op& op) {
  const Operand* state = f.find(op, "state");
  if (!state || state->values.size() != 1 || state->variadic || op.results.size() != 1) return;
  for (const auto& [name, given] : states_) {
    ValueId& current = names_.at(name);
    if (current == state->values[0]) current = op.results[0];
  }
}

ValueId Parser::define(Function& f, Value value, const Token& where) {
  const auto id = static_cast<ValueId>(f.values.size());
  if (!names_.emplace(where.text, id).second)
    fail_at(where.line, where.column, "the name " + excerpt(where.text) + " is defined twice");
  f.values.push_back(std::move(value));
  return id;
}

ValueId Parser::find(const Token& name) const {
  const auto it = names_.find(name.text);
  if (it == names_.end()) fail_at(name.line, name.column, "the name " + excerpt(name.text) + " is not defined");
  return it->second;
}

void Parser::statement(Function& f) {
  std::vector<Value> results;
  std::vector<Token> names;
  do {
    Type declared = type();
    names.push_back(take(TokenKind::IDENT, "a name"));
    results.push_back({std::string(names.back().text), std::move(declared), nullptr});
  } while (accept(","));
  expect("=");
  const Token name = take(TokenKind::IDENT, "an operation");
  if (name.text == "const") {
    if (results.size() != 1) fail_at(name.line, name.column, "const defines one name");
    results[0].constant = constant_value(results[0].type);
    define(f, std::move(results[0]), names[0]);
    return;
  }
  Op op;
  op.line = name.line;
  op.schema = find_schema(name.text);
  if (!op.schema)
    fail_at(name.line, name.column, "[" + excerpt(name.text) + "] is not an operation of the dialect",
            ANESDK_VERIFY_ERROR);
  operands(f, op);
  attributes(f, op);
  spent_a_little();
  for (size_t i = 0; i < results.size(); ++i) op.results.push_back(define(f, std::move(results[i]), names[i]));
  if (op.schema->name == "coreml_update_state") update(f, op);
  f.ops.push_back(std::move(op));
}

// ()[name = string("w"), val = <literal>];
std::shared_ptr<const Constant> Parser::constant_value(const Type& declared) {
  std::shared_ptr<const Constant> value;
  bool named = false;
  expect("(");
  expect(")");
  list("[", "]", [&] {
    const Token key = take(TokenKind::IDENT, "name or val");
    expect("=");
    const Token where = token_;
    Literal attribute = literal();
    if (key.text == "name" && !named && attribute.type.dtype == DType::STRING) {
      named = true;
    } else if (key.text == "val" && !value) {
      if (attribute.type != declared)
        fail_at(where.line, where.column,
                "the const is declared " + declared.str() + ", its value is " + attribute.type.str());
      value = std::move(attribute.constant);
    } else {
      fail_at(key.line, key.column, "const takes name = string(...) and val = ..., once each");
    }
  });
  if (!value) fail_expected("val = ... before the end of the const");
  expect(";");
  return value;
}

void Parser::operands(Function& f, Op& op) {
  list("(", ")", [&] { add_operand(f, op, take(TokenKind::IDENT, "an operand name")); });
}

// Besides the name, MIL's constexpr operations keep their operands here. Texts by hand leave the brackets out.
void Parser::attributes(Function& f, Op& op) {
  if (accept(";")) return;
  bool named = false;
  list("[", "]", [&] {
    const Token key = take(TokenKind::IDENT, "an attribute name");
    if (key.text != "name") return add_operand(f, op, key);
    expect("=");
    if (named) fail_at(key.line, key.column, "the name is given twice");
    named = true;
    if (literal().type != Type{DType::STRING, {}})
      fail_at(key.line, key.column, "the name of a statement must be a string");
  });
  expect(";");
}

void Parser::add_operand(Function& f, Op& op, const Token& name) {
  if (f.find(op, name.text))
    fail_at(name.line, name.column,
            "[" + std::string(op.schema->name) + "] the operand " + excerpt(name.text) + " is given twice");
  if (op.operands.size() == op.schema->args.size() && !op.schema->find(name.text))
    fail_at(name.line, name.column, "[" + std::string(op.schema->name) + "] has no operand " + excerpt(name.text),
            ANESDK_VERIFY_ERROR);
  expect("=");
  Operand operand{std::string(name.text), {}, at("(")};
  if (operand.variadic)
    list("(", ")", [&] { operand.values.push_back(value(f)); });
  else
    operand.values.push_back(value(f));
  op.operands.push_back(std::move(operand));
}

// A defined name, or an inline literal. The names of types are no keywords: `fp16` may be a value, `fp16(` is a
// literal; `true` and `false` may be values too.
ValueId Parser::value(Function& f) {
  const bool bare = (at("true") || at("false")) && !names_.contains(token_.text);
  if (bare) return inline_value(f, bare_bool());
  const Token name = take(TokenKind::IDENT, "a name or a literal");
  if (!at("(") && !at("<")) return find(name);
  return inline_value(f, literal_of(type_from(name)));
}

ValueId Parser::inline_value(Function& f, Literal literal) {
  f.values.push_back({"", std::move(literal.type), std::move(literal.constant)});
  return static_cast<ValueId>(f.values.size() - 1);
}

}  // namespace

Program parse(std::string_view text) {
  if (text.size() > kMaxText) throw Error("1:1: the text is longer than 256 MiB", ANESDK_PARSE_ERROR);
  Program program = Parser(text).program();
  program.digest = digest(kDigestBegin, text);
  return program;
}

}  // namespace anesdk::mil
