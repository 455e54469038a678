// The operations aj_process_*: what processes that compute together send one another.
#include "processes.h"

#include <algorithm>
#include <cstring>

#include "cpu/kernels/entries.h"
#include "cpu/kernels/shapes.h"
#include "mil/opset.h"

namespace anesdk::cpu {
namespace {

class Spread final : public Kernel {
 public:
  using Call = void (*)(const void*, void*, size_t);

  Spread(const mil::Function& function, const mil::Op& op, Call call) : call_(call) {
    inputs_ = {function.find(op, "x")->values.at(0)};
    const mil::Shape& out = function.values[op.results.at(0)].type.shape;
    expect(
        !out.empty() && out[0] % processes::size() == 0, op.schema->name,
        "expected one block for each process along the first axis; the program was made for another number of them.");
    bytes_ = function.values[op.results.at(0)].type.nbytes() / static_cast<size_t>(processes::size());
  }

  void run(const void* const* inputs, void* const* outputs, void*, ThreadPool&) const override {
    call_(inputs[0], outputs[0], bytes_);
  }

 private:
  Call call_;
  size_t bytes_;
};

// The own block of an array that all processes have.
class Cut final : public Kernel {
 public:
  Cut(const mil::Function& function, const mil::Op& op) {
    inputs_ = {function.find(op, "x")->values.at(0)};
    bytes_ = function.values[op.results.at(0)].type.nbytes();
    expect(function.values[inputs_[0]].type.nbytes() == bytes_ * static_cast<size_t>(processes::size()),
           op.schema->name, "expected one block for each process; the program was made for another number of them.");
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
      {"aj_process_gather",
       [](const mil::Function& f, const mil::Op& op) -> std::unique_ptr<const Kernel> {
         return std::make_unique<Spread>(f, op, processes::gather);
       }},
      {"aj_process_exchange",
       [](const mil::Function& f, const mil::Op& op) -> std::unique_ptr<const Kernel> {
         return std::make_unique<Spread>(f, op, processes::exchange);
       }},
      {"aj_process_join",
       [](const mil::Function& f, const mil::Op& op) -> std::unique_ptr<const Kernel> {
         return std::make_unique<Spread>(f, op, processes::gather);
       }},
      {"aj_process_cut", prepare<Cut>},
      {"aj_process_permute", prepare<Permute>},
      {"aj_process_index",
       [](const mil::Function&, const mil::Op&) -> std::unique_ptr<const Kernel> { return std::make_unique<Index>(); }},
  };
  return entries;
}

}  // namespace anesdk::cpu
