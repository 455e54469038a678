// The stand-in's own view of a program: MIL text read with its own parser, kept as statements over named values.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace standin {

// What the compiler refuses a program with: written to standard error, with status 1.
struct Refusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// What the compiler throws across the C border.
struct E5RTError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

using Shape = std::vector<int64_t>;

struct Type {
  std::string dtype;
  Shape shape;
  bool operator==(const Type&) const = default;
  int64_t elements() const;
  std::string str() const;
};

size_t element_bytes(const std::string& dtype);

struct Tensor {
  Type type;
  std::vector<double> data;  // every value one that the dtype can hold
  std::string text;          // of a string
};

struct Result {
  std::string name;
  Type type;
};

struct Statement {
  std::string op;
  std::vector<Result> results;
  std::map<std::string, std::vector<std::string>> operands;  // names of values
};

struct Model {
  std::string text;
  std::vector<Result> inputs;
  std::map<std::string, Tensor> constants;
  std::vector<Statement> statements;
  std::vector<std::string> outputs;
};

// Throws Refusal. `folder` is what @model_path stands for.
Model read_model(const std::string& text, const std::string& folder);

double round_half(double value);  // to fp16: nearest even, infinity above its range
double half_value(uint16_t bits);
uint16_t half_bits(double value);

}  // namespace standin
