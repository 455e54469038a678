// The CPU device: executables behind the C table of devices.
#include "device.h"

#include <cstdlib>
#include <mutex>
#include <new>

#include "cpu/plan.h"
#include "mil/error.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace anesdk::cpu {
namespace {

// Memory of one run: the arena, the workspace behind it, and where every tensor is.
class Arena {
 public:
  Arena(const Plan& plan) : tensors_(plan.graph.tensors.size()) {
    const size_t arena = align64(plan.memory.arena_bytes);
    size_t bytes = arena + align64(plan.workspace_bytes) + 64;
    constexpr size_t kHuge = size_t{2} << 20;
    const size_t alignment = bytes >= 2 * kHuge ? kHuge : 64;
    bytes = (bytes + alignment - 1) / alignment * alignment;
    memory_ = static_cast<std::byte*>(std::aligned_alloc(alignment, bytes));
    if (memory_ == nullptr) throw std::bad_alloc();
#if defined(__linux__)
    if (alignment == kHuge) madvise(memory_, bytes, MADV_HUGEPAGE);  // a hint: failing costs only speed
#endif
    workspace_ = memory_ + arena;
    for (size_t t = 0; t < tensors_.size(); ++t) {
      const Tensor& tensor = plan.graph.tensors[t];
      tensors_[t] = workspace_;
      if (tensor.storage == Storage::CONSTANT) {
        tensors_[t] = const_cast<std::byte*>(tensor.constant->data.data());
      } else if (plan.memory.offset[t] >= 0) {
        tensors_[t] = memory_ + plan.memory.offset[t];
      }
    }
  }
  ~Arena() { std::free(memory_); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  std::vector<std::byte*>& tensors() { return tensors_; }
  std::byte* workspace() const { return workspace_; }

 private:
  std::byte* memory_;
  std::byte* workspace_;
  std::vector<std::byte*> tensors_;
};

class Executable {
 public:
  Executable(const mil::Function& function, const std::vector<uint64_t>& donate) : plan_(make_plan(function, donate)) {}

  const Plan& plan() const { return *plan_; }

  void run(const void* const* inputs, void* const* outputs) const {
    std::unique_ptr<Arena> arena = take();
    std::vector<std::byte*>& tensors = arena->tensors();
    const Graph& graph = plan_->graph;
    for (size_t i = 0; i < graph.input_tensors.size(); ++i) {
      tensors[graph.input_tensors[i]] = static_cast<std::byte*>(const_cast<void*>(inputs[i]));
    }
    for (size_t o = 0; o < graph.output_tensors.size(); ++o) {
      tensors[graph.output_tensors[o]] = static_cast<std::byte*>(outputs[o]);
    }
    const RunContext context{tensors.data(), arena->workspace(), ThreadPool::instance()};
    for (const auto& step : plan_->steps) step->run(context);
    give(std::move(arena));
  }

 private:
  std::unique_ptr<Arena> take() const {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        std::unique_ptr<Arena> arena = std::move(idle_.back());
        idle_.pop_back();
        return arena;
      }
    }
    return std::make_unique<Arena>(*plan_);
  }

  void give(std::unique_ptr<Arena> arena) const {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(arena));
  }

  std::unique_ptr<const Plan> plan_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Arena>> idle_;
};

const Executable& executable(const void* exe) { return *static_cast<const Executable*>(exe); }

int32_t compile(const void* mil_program, const char* options, void** exe, char*, size_t) {
  const auto& program = *static_cast<const mil::Program*>(mil_program);
  const mil::Function* main = program.find("main");
  if (main == nullptr) throw mil::Error("[program] expected a function named main");
  const CompileOptions parsed = parse_options(options, main->inputs.size());
  *exe = new Executable(*main, parsed.donate);
  return ANESDK_OK;
}

void release(void* exe) { delete static_cast<Executable*>(exe); }

void num_ports(const void* exe, uint64_t* inputs, uint64_t* outputs) {
  *inputs = executable(exe).plan().graph.inputs.size();
  *outputs = executable(exe).plan().graph.outputs.size();
}

int32_t port(const void* exe, int32_t is_output, uint64_t index, anesdk_port* out) {
  const Plan& plan = executable(exe).plan();
  const auto& types = is_output ? plan.graph.outputs : plan.graph.inputs;
  if (index >= types.size()) return ANESDK_INVALID_ARGUMENT;
  *out = make_port(types[index], is_output ? plan.memory.output_alias[index] : -1);
  return ANESDK_OK;
}

int32_t describe(const void* exe, const char* what, char* out, uint64_t capacity, uint64_t* needed) {
  const std::string_view wanted(what);
  const Plan& plan = executable(exe).plan();
  if (wanted == "plan") return write_text(plan.text, out, capacity, needed);
  if (wanted == "stats") return write_text(plan.stats, out, capacity, needed);
  return ANESDK_INVALID_ARGUMENT;
}

int32_t run(const void* exe, const void* const* inputs, void* const* outputs, char*, size_t) {
  executable(exe).run(inputs, outputs);
  return ANESDK_OK;
}

constexpr anesdk_device_vtable kTable = {"cpu", "cpu", compile, release, num_ports, port, describe, run};

}  // namespace
}  // namespace anesdk::cpu

extern "C" const anesdk_device_vtable* anesdk_cpu_device(void) { return &anesdk::cpu::kTable; }
