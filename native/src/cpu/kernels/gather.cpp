// The operations aj_gather, gather and gather_nd. Only the size of an element matters.
#include <algorithm>
#include <cstring>

#include "cpu/kernels/entries.h"
#include "cpu/kernels/indexing.h"
#include "cpu/kernels/shapes.h"

namespace anesdk::cpu {
namespace {

template <typename Word>
void gather(const Indexing& indexing, const Word* x, const void* indices, const Word* fill, Word* out,
            ThreadPool& pool) {
  const int64_t grain = ceil_div(8192, indexing.window_elements + 4);
  pool.parallel_for(indexing.vectors, grain, [&](int64_t begin, int64_t end) {
    std::vector<int64_t> index;
    indexing.each(indices, begin, end, [&](int64_t tensor, int64_t slices) {
      each_run(indexing, tensor, slices, index,
               [&](int64_t from, int64_t to, int64_t count, int64_t from_step, int64_t to_step) {
                 if (tensor < 0) {
                   const Word value = fill ? *fill : Word{};
                   for (int64_t i = 0; i < count; ++i) out[to + i * to_step] = value;
                 } else if (from_step == 1 && to_step == 1) {
                   std::copy_n(x + from, count, out + to);
                 } else {
                   for (int64_t i = 0; i < count; ++i) out[to + i * to_step] = x[from + i * from_step];
                 }
               });
    });
  });
}

class Gather final : public Kernel {
 public:
  Gather(const mil::Function& function, const mil::Op& op, Indexing indexing) : indexing_(std::move(indexing)) {
    for (const char* name : {"x", "indices", "fill"}) {
      if (const auto* operand = function.find(op, name)) inputs_.push_back(operand->values.at(0));
    }
    element_size_ = mil::size_of(function.value(op, "x").type.dtype);
  }

  void run(const void* const* inputs, void* const* outputs, void*, ThreadPool& pool) const override {
    if (indexing_.vectors * indexing_.window_elements == 0) return;
    switch (element_size_) {
      case 1:
        return run_as<uint8_t>(inputs, outputs, pool);
      case 2:
        return run_as<uint16_t>(inputs, outputs, pool);
      case 4:
        return run_as<uint32_t>(inputs, outputs, pool);
      default:
        return run_as<uint64_t>(inputs, outputs, pool);
    }
  }

 private:
  template <typename Word>
  void run_as(const void* const* inputs, void* const* outputs, ThreadPool& pool) const {
    const Word* fill = inputs_.size() > 2 ? static_cast<const Word*>(inputs[2]) : nullptr;
    gather(indexing_, static_cast<const Word*>(inputs[0]), inputs[1], fill, static_cast<Word*>(outputs[0]), pool);
  }

  Indexing indexing_;
  size_t element_size_;
};

template <Indexing (*parse)(const mil::Function&, const mil::Op&)>
std::unique_ptr<const Kernel> prepare(const mil::Function& function, const mil::Op& op) {
  return std::make_unique<Gather>(function, op, parse(function, op));
}

}  // namespace

std::span<const KernelEntry> gather_entries() {
  static constexpr KernelEntry entries[] = {
      {"aj_gather", prepare<parse_aj_gather>},
      {"gather", prepare<parse_mil_gather>},
      {"gather_nd", prepare<parse_mil_gather_nd>},
  };
  return entries;
}

}  // namespace anesdk::cpu
