// The operations aj_process_* that are waited for at once, or send nothing; import/processes.cpp has the others.
#include "processes.h"

#include <algorithm>
#include <cstring>

#include "cpu/kernels/entries.h"
#include "cpu/kernels/shapes.h"
#include "mil/opset.h"

namespace anesdk::cpu {
namespace {

// Whether the result has one block, of `bytes`, for each process: the program may have been made for another number.
void expect_blocks(const mil::Op& op, size_t result, size_t bytes) {
  expect(result == bytes * static_cast<size_t>(processes::size()), op.schema->name,
         "expected one block for each of " + std::to_string(processes::size()) + " processes.");
}

size_t bytes_of_operand(const mil::Function& function, const mil::Op& op) {
  return function.value(op, "x").type.nbytes();
}

size_t bytes_of_result(const mil::Function& function, const mil::Op& op) {
  return function.values[op.results.at(0)].type.nbytes();
}

// The own block of an array that all processes have.
class Cut final : public Kernel {
 public:
  Cut(const mil::Function& function, const mil::Op& op) : bytes_(bytes_of_result(function, op)) {
    inputs_ = {function.find(op, "x")->values.at(0)};
    expect_blocks(op, bytes_of_operand(function, op), bytes_);
  }

  void run(const void* const* inputs, void* const* outputs, void*, ThreadPool&) const override {
    const size_t begin = bytes_ * static_cast<size_t>(processes::index());
    if (bytes_) std::memcpy(outputs[0], static_cast<const std::byte*>(inputs[0]) + begin, bytes_);
  }

 private:
  size_t bytes_;
};

class Permute final : public Kernel {
 public:
  Permute(const mil::Function& function, const mil::Op& op) {
    inputs_ = {function.find(op, "x")->values.at(0)};
    bytes_ = function.values[inputs_[0]].type.nbytes();
    const std::vector<int64_t> sources = function.ints(op, "sources"), targets = function.ints(op, "targets");
    expect(sources.size() == targets.size(), op.schema->name, "expected as many sources as targets.");
    for (size_t i = 0; i < sources.size(); ++i) {
      expect(std::max(sources[i], targets[i]) < processes::size() && std::min(sources[i], targets[i]) >= 0,
             op.schema->name, "expected numbers of processes below " + std::to_string(processes::size()) + ".");
      if (sources[i] == processes::index()) target_ = targets[i];
      if (targets[i] == processes::index()) source_ = sources[i];
    }
  }

  void run(const void* const* inputs, void* const* outputs, void*, ThreadPool&) const override {
    processes::pass_on(inputs[0], outputs[0], bytes_, target_, source_);
  }

 private:
  size_t bytes_;
  int64_t target_ = -1, source_ = -1;
};

class Index final : public Kernel {
 public:
  Index(const mil::Function&, const mil::Op&) {}

  void run(const void* const*, void* const* outputs, void*, ThreadPool&) const override {
    *static_cast<int32_t*>(outputs[0]) = processes::index();
  }
};

template <class T>
std::unique_ptr<const Kernel> prepare(const mil::Function& function, const mil::Op& op) {
  return std::make_unique<T>(function, op);
}

}  // namespace

std::span<const KernelEntry> process_entries() {
  static constexpr KernelEntry entries[] = {
      {"aj_process_cut", prepare<Cut>},
      {"aj_process_permute", prepare<Permute>},
      {"aj_process_index", prepare<Index>},
  };
  return entries;
}

}  // namespace anesdk::cpu
