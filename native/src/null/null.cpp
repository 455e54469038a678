// The device that compiles and never runs: whether a program is legal can be asked on any machine.
#include <memory>
#include <string>

#include "device.h"

namespace anesdk {
namespace {

struct NullProgram {
  std::vector<anesdk_port> inputs;
  std::vector<anesdk_port> outputs;
  size_t ops = 0;
};

int32_t compile(const void* mil_program, const char* options, void** exe, char*, size_t) {
  const mil::Function& f = *static_cast<const mil::Program*>(mil_program)->find("main");
  parse_options(options, f.inputs.size(), f.outputs.size());
  auto program = std::make_unique<NullProgram>();
  for (const mil::ValueId id : f.inputs) program->inputs.push_back(make_port(f.values[id].type));
  for (const mil::ValueId id : f.outputs) program->outputs.push_back(make_port(f.values[id].type));
  program->ops = f.ops.size();
  *exe = program.release();
  return ANESDK_OK;
}

const NullProgram& as_program(const void* exe) { return *static_cast<const NullProgram*>(exe); }

void release(void* exe) { delete static_cast<NullProgram*>(exe); }

void num_ports(const void* exe, uint64_t* inputs, uint64_t* outputs) {
  *inputs = as_program(exe).inputs.size();
  *outputs = as_program(exe).outputs.size();
}

int32_t port(const void* exe, int32_t is_output, uint64_t index, anesdk_port* out) {
  const auto& ports = is_output ? as_program(exe).outputs : as_program(exe).inputs;
  *out = ports[index];
  return ANESDK_OK;
}

int32_t describe(const void* exe, const char* what, char* out, uint64_t capacity, uint64_t* needed) {
  const std::string count = std::to_string(as_program(exe).ops);
  const std::string_view wanted = what;
  if (wanted == "plan")
    return write_text("null: " + count + " operations, none of which runs\n", out, capacity, needed);
  if (wanted == "stats") return write_text("{\"device\": \"null\", \"ops\": " + count + "}", out, capacity, needed);
  return ANESDK_INVALID_ARGUMENT;
}

int32_t run(const void*, const anesdk_arguments*, char* error, size_t error_size) {
  write_text("[run] the null device compiles programs and never runs them", error, error_size, nullptr);
  return ANESDK_UNSUPPORTED;
}

}  // namespace
}  // namespace anesdk

extern "C" const anesdk_device_vtable* anesdk_null_device(void) {
  using namespace anesdk;
  static const anesdk_device_vtable vtable = {"null", "cpu", compile, release, num_ports, port, describe, run, nullptr};
  return &vtable;
}
