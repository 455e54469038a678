// The CPU device: executables behind the C table of devices. "cpu-fp16" is the same with the engine's numerics.
#include "device.h"

#include <algorithm>
#include <string>

#include "buffers.h"
#include "cpu/graph/profile.h"
#include "cpu/steps/frame.h"
#include "cpu/tile/numerics.h"
#include "digest.h"
#include "mil/error.h"
#include "mil/opset.h"
#include "processes.h"

namespace anesdk::cpu {
namespace {

// What the programs of all processes must have in common: the text, and the order in which the plan sends. 0 for a
// program that sends nothing.
uint64_t common_digest(const mil::Program& program, const Plan& plan) {
  const auto sends = [](const mil::Op& op) { return op.schema->name.starts_with("aj_process_"); };
  const bool any = std::any_of(program.functions.begin(), program.functions.end(),
                               [&](const mil::Function& f) { return std::any_of(f.ops.begin(), f.ops.end(), sends); });
  if (!any) return 0;
  std::string order;
  for (const auto& nodes : plan.step_nodes) {
    for (const int32_t n : nodes) {
      const Node& node = plan.graph.nodes[static_cast<size_t>(n)];
      if (node.kind == NodeKind::KERNEL || node.kind == NodeKind::CONTROL) order += std::to_string(node.op) + ",";
    }
  }
  return digest(program.digest, order) | (uint64_t{1} << 63);  // which ANESDK_PROCESS_LEFT has not
}

class Executable {
 public:
  Executable(std::shared_ptr<const Plan> plan, std::unique_ptr<Numerics> numerics, uint64_t digest)
      : numerics_(std::move(numerics)), plan_(std::move(plan)), digest_(digest) {
    for (const int64_t alias : plan_->memory.output_alias) overwrites_inputs_ |= alias >= 0;
  }

  const Plan& plan() const { return *plan_; }
  const Numerics* numerics() const { return numerics_.get(); }  // null: those of the CPU

  void run(const void* const* inputs, void* const* outputs) const {
    if (digest_ != 0) processes::agree(digest_);
    const Scratch memory(Frame::bytes(*plan_));
    const Frame frame(*plan_, memory.data());
    for (size_t i = 0; i < plan_->graph.inputs.size(); ++i) {
      frame.input(i, static_cast<const std::byte*>(inputs[i]));
    }
    for (size_t o = 0; o < plan_->graph.outputs.size(); ++o) frame.output(o, static_cast<std::byte*>(outputs[o]));
    try {
      frame.run(ThreadPool::instance());
    } catch (...) {
      if (digest_ != 0) processes::give_up();
      if (overwrites_inputs_) break_off();
      throw;
    }
    ThreadPool::release_scratch();
    if (numerics_ != nullptr) numerics_->count_run();
  }

 private:
  // Throws what is being caught with the status that tells the caller that donated inputs may be half overwritten.
  [[noreturn]] static void break_off() {
    try {
      throw;
    } catch (const mil::Error& e) {
      throw mil::Error(e.what(), e.status() == ANESDK_INTERRUPTED ? ANESDK_INTERRUPTED : ANESDK_BROKEN_OFF);
    } catch (const std::bad_alloc&) {
      throw mil::Error("[run] an allocation failed midway", ANESDK_BROKEN_OFF);
    } catch (const std::exception& e) {
      throw mil::Error(e.what(), ANESDK_BROKEN_OFF);
    }
  }

  std::unique_ptr<Numerics> numerics_;
  std::shared_ptr<const Plan> plan_;
  uint64_t digest_;
  bool overwrites_inputs_ = false;
};

const Executable& executable(const void* exe) { return *static_cast<const Executable*>(exe); }

void* make(const void* mil_program, const char* options, std::unique_ptr<Numerics> numerics) {
  const auto& program = *static_cast<const mil::Program*>(mil_program);
  const mil::Function* main = program.find("main");
  if (main == nullptr) throw mil::Error("[program] expected a function named main");
  const CompileOptions parsed = parse_options(options, main->inputs.size(), main->outputs.size());
  std::vector<Donation> donate;
  for (const uint64_t input : parsed.donate) donate.push_back({input});
  std::shared_ptr<const Plan> plan = Plans(program, numerics.get()).get("main", donate);
  const uint64_t digest = common_digest(program, *plan);
  return new Executable(std::move(plan), std::move(numerics), digest);
}

int32_t compile(const void* mil_program, const char* options, void** exe, char*, size_t) {
  *exe = make(mil_program, options, nullptr);
  return ANESDK_OK;
}

int32_t compile_for_engine(const void* mil_program, const char* options, void** exe, char*, size_t) {
  *exe = make(mil_program, options, std::make_unique<Numerics>());
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
  if (wanted == "plan") return write_text(plan_text(executable(exe).plan()), out, capacity, needed);
  if (wanted == "profile") return write_text(plan_profile(executable(exe).plan()), out, capacity, needed);
  if (wanted == "stats") return write_text(plan_stats(executable(exe).plan()), out, capacity, needed);
  const Numerics* numerics = executable(exe).numerics();
  if (wanted == "numerics" && numerics != nullptr) return write_text(numerics->json(), out, capacity, needed);
  return ANESDK_INVALID_ARGUMENT;
}

int32_t run(const void* exe, const anesdk_arguments* given, char*, size_t) {
  executable(exe).run(given->inputs, given->outputs);
  return ANESDK_OK;
}

uint64_t numerics(const void* exe) { return executable(exe).numerics()->flags(); }

constexpr anesdk_device_vtable kTable = {"cpu", "cpu", compile, release, num_ports, port, describe, run, nullptr};
constexpr anesdk_device_vtable kEngineTable = {
    "cpu-fp16", "ane", compile_for_engine, release, num_ports, port, describe, run, numerics};

}  // namespace
}  // namespace anesdk::cpu

extern "C" const anesdk_device_vtable* anesdk_cpu_device(void) { return &anesdk::cpu::kTable; }
extern "C" const anesdk_device_vtable* anesdk_cpu_fp16_device(void) { return &anesdk::cpu::kEngineTable; }
