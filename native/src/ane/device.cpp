// The engine device: the one Engine of the process behind the C table of devices.
#include "device.h"

#include <sys/utsname.h>

#include <memory>
#include <mutex>
#include <string>

#include "ane/engine.h"

#ifdef __APPLE__
#include <sys/sysctl.h>
#endif

namespace anesdk::ane {
namespace {

std::string system_value([[maybe_unused]] const char* name) {
#ifdef __APPLE__
  char text[256] = "";
  size_t size = sizeof text - 1;
  if (::sysctlbyname(name, text, &size, nullptr, 0) == 0) return text;
#endif
  return "";
}

// A compiled program is good for the library, the system build and the chip that it was made with.
std::string environment(const std::string& espresso) {
  utsname system{};
  ::uname(&system);
  return "abi " + std::to_string(ANESDK_ABI_VERSION) + "\nespresso " + espresso + "\nsystem " + system.sysname + " " +
         system.release + " " + system_value("kern.osversion") + "\nchip " + system.machine + " " +
         system_value("machdep.cpu.brand_string") + "\n";
}

// Made when first asked for, and never destroyed: the order in which Espresso's statics go is unknown. What cannot be
// opened is tried again, as ANEJAX_ESPRESSO may have been set meanwhile.
Engine& engine() {
  static std::mutex mutex;
  static Engine* made = nullptr;
  const std::lock_guard lock(mutex);
  if (!made) {
    check_system(system_value("kern.osproductversion"));
    const std::string path = espresso_path();
    Settings settings;
    settings.programs = cache_folder() / "programs";
    settings.environment = environment(path);
    made = new Engine(load_symbols(path), std::move(settings));
  }
  return *made;
}

const EngineProgram& as_program(const void* exe) { return *static_cast<const EngineProgram*>(exe); }

// An output may take a donated input's memory, since a run copies into and out of the engine's own buffers and writes
// nothing before all is right. Inside the engine the two have buffers of their own, unless they are to share one.
int32_t compile(const void* mil_program, const char* options, void** exe, char*, size_t) {
  const auto& program = *static_cast<const mil::Program*>(mil_program);
  const mil::Function& main = *program.find("main");
  const CompileOptions given = parse_options(options, main.inputs.size(), main.outputs.size());
  using std::chrono::milliseconds;
  const Limits limits{milliseconds(given.backoff), milliseconds(given.compile_limit), milliseconds(given.run_limit)};
  *exe = engine().compile(program, limits, {given.donate, given.share}).release();
  return ANESDK_OK;
}

void release(void* exe) { delete static_cast<EngineProgram*>(exe); }

void num_ports(const void* exe, uint64_t* inputs, uint64_t* outputs) {
  *inputs = as_program(exe).inputs().size();
  *outputs = as_program(exe).outputs().size();
}

int32_t port(const void* exe, int32_t is_output, uint64_t index, anesdk_port* out) {
  const auto& ports = is_output ? as_program(exe).outputs() : as_program(exe).inputs();
  if (index >= ports.size()) return ANESDK_INVALID_ARGUMENT;
  *out = make_port(ports[index].type, ports[index].alias);
  return ANESDK_OK;
}

int32_t describe(const void* exe, const char* what, char* out, uint64_t capacity, uint64_t* needed) {
  const std::string_view wanted(what);
  if (wanted == "plan") return write_text(as_program(exe).plan(), out, capacity, needed);
  if (wanted == "stats") return write_text(as_program(exe).stats(), out, capacity, needed);
  return ANESDK_INVALID_ARGUMENT;
}

int32_t run(const void* exe, const anesdk_arguments* given, char*, size_t) {
  as_program(exe).run(*given);
  return ANESDK_OK;
}

constexpr anesdk_device_vtable kTable = {"ane", "ane", compile, release, num_ports, port, describe, run, nullptr};

}  // namespace
}  // namespace anesdk::ane

extern "C" const anesdk_device_vtable* anesdk_ane_device(void) { return &anesdk::ane::kTable; }
