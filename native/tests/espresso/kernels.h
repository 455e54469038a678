// Plain kernels of the engine's operations: values in, values out, one rounding to fp16 each, with its numerics.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "model.h"

namespace standin {

// The operands of one statement.
class Args {
 public:
  explicit Args(const Statement& statement) : statement_(statement) {}
  void set(const std::string& name, std::vector<const Tensor*> values) { values_[name] = std::move(values); }

  const std::string& op() const { return statement_.op; }
  size_t num_results() const { return statement_.results.size(); }
  bool has(const std::string& name) const { return values_.count(name) != 0; }
  const Tensor& operator[](const std::string& name) const;
  const std::vector<const Tensor*>& list(const std::string& name) const;
  std::vector<int64_t> ints(const std::string& name) const;
  int64_t integer(const std::string& name) const { return ints(name).at(0); }
  double number(const std::string& name) const { return (*this)[name].data.at(0); }
  bool flag(const std::string& name) const { return number(name) != 0; }
  const std::string& text(const std::string& name) const { return (*this)[name].text; }

 private:
  const Statement& statement_;
  std::map<std::string, std::vector<const Tensor*>> values_;
};

struct Operation {
  std::set<std::string> needs, may;  // names of operands
  std::vector<Tensor> (*run)(const Args&);
};

// Every operation that the engine has been seen to run, as far as programs of this project use them.
const std::map<std::string, Operation>& operations();

using Table = std::map<std::string, Operation>;
void add_elementwise(Table& table);
void add_movement(Table& table);
void add_contractions(Table& table);  // products and reductions
void add_windows(Table& table);       // convolutions and pools
void add_norms(Table& table);

double saturated(double sum);  // of a product or a convolution: infinity from 32768 on

// A tensor of fp16 results; NaN becomes what the engine makes of it: +inf from a NaN, else 0.
Tensor half_tensor(Shape shape, std::vector<double> data, bool from_nan);
bool any_nan(const Tensor& tensor);

std::vector<int64_t> strides_of(const Shape& shape);
int64_t axis_of(int64_t axis, const Shape& shape);           // counted from the front
bool step(std::vector<int64_t>& index, const Shape& shape);  // the next index; false behind the last one

}  // namespace standin
