// Building one operation by hand, running its kernel, and random tensors, for the kernel tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "check.h"
#include "cpu/kernels/numeric.h"
#include "cpu/kernels/registry.h"
#include "cpu/kernels/shapes.h"
#include "mil/opset.h"

namespace anesdk::cpu::test {

// CHECK with a formatted reason; the first few of a run are printed.
#define CHECK_THAT(condition, ...)                                                            \
  do {                                                                                        \
    if (!(condition)) ::anesdk::cpu::test::fail(__FILE__, __LINE__, #condition, __VA_ARGS__); \
  } while (false)

[[gnu::format(printf, 4, 5)]] inline void fail(const char* file, int line, const char* what, const char* format, ...) {
  static int reported = 0;
  if (++reported > 20) return;
  char text[1024];
  va_list args;
  va_start(args, format);
  std::vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  anesdk::test::report(file, line, std::string(what) + ": " + text);
}

using mil::DType;
using mil::Shape;

struct Tensor {
  mil::Type type;
  std::vector<std::byte> data;

  Tensor(DType dtype, Shape shape) : type{dtype, std::move(shape)}, data(type.nbytes()) {}

  double get(int64_t i) const {
    return visit_dtype(type.dtype, [&]<typename T>(Tag<T>) {
      T value;
      std::memcpy(&value, data.data() + static_cast<size_t>(i) * sizeof(T), sizeof(T));
      if constexpr (is_half_like<T>)
        return static_cast<double>(static_cast<float>(value));
      else
        return static_cast<double>(value);
    });
  }
  void set(int64_t i, double x) {
    visit_dtype(type.dtype, [&]<typename T>(Tag<T>) {
      T value;
      if constexpr (is_half_like<T>)
        value = T(static_cast<float>(x));
      else
        value = static_cast<T>(x);
      std::memcpy(data.data() + static_cast<size_t>(i) * sizeof(T), &value, sizeof(T));
    });
  }
  int64_t elements() const { return type.elements(); }
  std::vector<double> doubles() const {
    std::vector<double> all(static_cast<size_t>(elements()));
    for (int64_t i = 0; i < elements(); ++i) all[static_cast<size_t>(i)] = get(i);
    return all;
  }
};

struct Random {
  std::mt19937 engine{12345};
  int64_t integer(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(engine); }
  bool coin() { return integer(0, 1) == 1; }
  double normal() { return std::normal_distribution<double>()(engine); }
  template <typename T>
  const T& pick(const std::vector<T>& from) {
    return from[static_cast<size_t>(integer(0, static_cast<int64_t>(from.size()) - 1))];
  }
  // Small integers for integer types, normal numbers for floats.
  Tensor tensor(DType dtype, Shape shape) {
    Tensor t(dtype, std::move(shape));
    for (int64_t i = 0; i < t.elements(); ++i) {
      const bool is_signed =
          dtype == DType::INT8 || dtype == DType::INT16 || dtype == DType::INT32 || dtype == DType::INT64;
      t.set(i, is_float(dtype) ? normal()
                               : static_cast<double>(integer(is_signed ? -5 : 0, dtype == DType::BOOL ? 1 : 5)));
    }
    return t;
  }
};

// One operation of a function, with its operands' data.
class OpCase {
 public:
  explicit OpCase(std::string name) : name_(std::move(name)) {
    schema_.name = name_;
    op_.schema = &schema_;
  }
  OpCase(const OpCase&) = delete;
  OpCase& operator=(const OpCase&) = delete;

  OpCase& ints(const std::string& key, const std::vector<int64_t>& values) {
    auto constant = std::make_shared<mil::Constant>();
    constant->data.resize(values.size() * 8);
    if (!values.empty()) std::memcpy(constant->data.data(), values.data(), values.size() * 8);
    return add(key, {DType::INT64, {static_cast<int64_t>(values.size())}}, constant);
  }
  OpCase& integer(const std::string& key, int64_t value) {
    auto constant = std::make_shared<mil::Constant>();
    constant->data.resize(8);
    std::memcpy(constant->data.data(), &value, 8);
    return add(key, {DType::INT64, {}}, constant);
  }
  OpCase& boolean(const std::string& key, bool value) {
    auto constant = std::make_shared<mil::Constant>();
    constant->data.push_back(static_cast<std::byte>(value));
    return add(key, {DType::BOOL, {}}, constant);
  }
  OpCase& text(const std::string& key, const std::string& value) {
    auto constant = std::make_shared<mil::Constant>();
    constant->text = value;
    return add(key, {DType::STRING, {}}, constant);
  }
  OpCase& tensor(const std::string& key, const Tensor& value) {
    add(key, value.type, nullptr);
    data_[function_.values.size() - 1] = &value;
    return *this;
  }
  OpCase& tensors(const std::string& key, const std::vector<Tensor>& values) {
    mil::Operand operand{key, {}, true};
    for (const auto& value : values) {
      operand.values.push_back(push(value.type, nullptr));
      data_[function_.values.size() - 1] = &value;
    }
    op_.operands.push_back(operand);
    return *this;
  }
  OpCase& result(DType dtype, Shape shape) {
    op_.results.push_back(push({dtype, std::move(shape)}, nullptr));
    return *this;
  }

  // Prepares the kernel; every call of the result runs it once, over outputs and a workspace filled with junk.
  std::function<const std::vector<Tensor>&()> prepare() const {
    const KernelEntry* entry = find_kernel(name_);
    if (!entry) throw std::runtime_error("no kernel " + name_);
    std::shared_ptr<const Kernel> kernel = entry->prepare(function_, op_);
    std::vector<const void*> inputs;
    for (const auto id : kernel->inputs()) {
      inputs.push_back(data_.at(id) ? data_[id]->data.data() : function_.values[id].constant->data.data());
    }
    std::vector<Tensor> results;
    for (const auto id : op_.results) {
      results.emplace_back(function_.values[id].type.dtype, function_.values[id].type.shape);
      std::fill(results.back().data.begin(), results.back().data.end(), std::byte{0x7b});
    }
    const size_t bytes = (kernel->workspace_bytes() + 64) / 64 * 64;
    std::shared_ptr<void> workspace(std::aligned_alloc(64, bytes), std::free);
    std::memset(workspace.get(), 0x7b, bytes);
    return [=]() mutable -> const std::vector<Tensor>& {
      std::vector<void*> outputs;
      for (auto& result : results) outputs.push_back(result.data.data());
      kernel->run(inputs.data(), outputs.data(), workspace.get(), ThreadPool::instance());
      return results;
    };
  }

  std::vector<Tensor> run() const { return prepare()(); }

 private:
  mil::ValueId push(mil::Type type, std::shared_ptr<const mil::Constant> constant) {
    mil::Value value;
    value.type = std::move(type);
    value.constant = std::move(constant);
    function_.values.push_back(std::move(value));
    data_.push_back(nullptr);
    return static_cast<mil::ValueId>(function_.values.size() - 1);
  }
  OpCase& add(const std::string& key, mil::Type type, std::shared_ptr<const mil::Constant> constant) {
    op_.operands.push_back({key, {push(std::move(type), std::move(constant))}, false});
    return *this;
  }

  std::string name_;
  mil::OpSchema schema_{};
  mil::Op op_;
  mil::Function function_;
  std::vector<const Tensor*> data_;
};

// Largest relative step of a type, for error bounds.
inline double epsilon(DType dtype) {
  switch (dtype) {
    case DType::FP16:
      return 0x1p-10;
    case DType::BF16:
      return 0x1p-7;
    case DType::FP32:
      return 0x1p-23;
    case DType::FP64:
      return 0x1p-52;
    default:
      return 0;
  }
}

// What a value becomes in the type (integers wrap).
inline double stored(DType dtype, double x) {
  Tensor one(dtype, {});
  visit_dtype(dtype, [&]<typename T>(Tag<T>) {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      const T value = static_cast<T>(static_cast<uint64_t>(static_cast<int64_t>(x)));
      std::memcpy(one.data.data(), &value, sizeof(T));
    } else {
      one.set(0, x);
    }
  });
  return one.get(0);
}

}  // namespace anesdk::cpu::test
