// The C border: every argument is checked here, and no exception passes.
#include <pthread.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "anesdk.h"
#include "buffers.h"
#ifdef ANESDK_HAS_CPU
#include "cpu/graph/profile.h"
#endif
#include "device.h"
#include "handles.h"
#include "hosted_call.h"
#include "mil/parser.h"
#include "mil/verify.h"
#include "processes.h"

namespace anesdk {
namespace {

// ---- errors

thread_local char last_error[4096] = "";  // of a fixed size, so that telling of a failed allocation needs none

int32_t fail(int32_t status, std::string_view what) noexcept {
  size_t count = std::min(what.size(), sizeof last_error - 1);
  while (count < what.size() && count > 0 && (what[count] & 0xC0) == 0x80) --count;  // whole UTF-8 characters
  std::memcpy(last_error, what.data(), count);
  last_error[count] = '\0';
  return status;
}

[[noreturn]] void refuse(int32_t status, const std::string& what) { throw mil::Error(what, status); }

void require(bool holds, const char* what) {
  if (!holds) refuse(ANESDK_INVALID_ARGUMENT, what);
}

template <class Body>
int32_t guarded(Body body) noexcept {
  try {
    body();
    return ANESDK_OK;
  } catch (const mil::Error& e) {
    return fail(e.status(), e.what());
  } catch (const std::bad_alloc&) {
    return fail(ANESDK_OUT_OF_MEMORY, "an allocation failed");
  } catch (const std::invalid_argument& e) {
    return fail(ANESDK_INVALID_ARGUMENT, e.what());
  } catch (const std::runtime_error& e) {
    return fail(ANESDK_RUNTIME_ERROR, e.what());
  } catch (const std::exception& e) {
    return fail(ANESDK_INTERNAL_ERROR, e.what());
  } catch (...) {
    return fail(ANESDK_INTERNAL_ERROR, "an exception of unknown type");
  }
}

// The errors that a device reports without an exception.
template <class Call>
void call_device(Call call) {
  char error[sizeof last_error] = "";
  const int32_t status = call(error, sizeof error);
  if (status != ANESDK_OK) refuse(status, error);
}

// ---- handles

struct Block {
  void* data;
  size_t bytes;
};

struct Executable {
  const anesdk_device_vtable* device;
  void* exe;
  std::vector<anesdk_port> inputs;
  std::vector<anesdk_port> outputs;

  Executable(const anesdk_device_vtable* d, void* e) : device(d), exe(e) {}
  Executable(const Executable&) = delete;
  Executable& operator=(const Executable&) = delete;
  ~Executable() { device->release(exe); }
};

using Blocks = HandleTable<Block, 1>;
using Programs = HandleTable<std::shared_ptr<const Executable>, 2>;

// Never destroyed, as threads of the process may still call while it exits.
Blocks& blocks() {
  static Blocks* table = new Blocks;
  return *table;
}
Programs& programs() {
  static Programs* table = new Programs;
  return *table;
}

// Another thread may hold one of these locks when a process forks; in the child nobody would ever release it.
void before_fork() {
  programs().lock();
  blocks().lock();
  lock_pool();
}

void after_fork(bool in_child) {
  unlock_pool(in_child);
  blocks().unlock();
  programs().unlock();
}

[[maybe_unused]] const int fork_handlers =
    pthread_atfork(before_fork, [] { after_fork(false); }, [] { after_fork(true); });

std::shared_ptr<const Executable> program_of(const anesdk_program* handle) {
  auto program = programs().find(handle);
  if (!program) refuse(ANESDK_INVALID_HANDLE, "not a live program handle");
  return *std::move(program);
}

// ---- compile

mil::Program load(const char* text, uint64_t length, mil::Target target) {
  mil::Program program = mil::parse({text, length});
  mil::verify(program, target);
  return program;
}

const anesdk_device_vtable* find_device(std::string_view name) {
  for (const anesdk_device_vtable* device : devices())
    if (name == device->name) return device;
  refuse(ANESDK_UNKNOWN_DEVICE,
         "no device named " + std::string(name.substr(0, 64)) + "; there are " + anesdk_devices());
}

std::vector<anesdk_port> ports_of(const Executable& program, bool is_output, uint64_t count) {
  std::vector<anesdk_port> ports(count);
  for (uint64_t i = 0; i < count; ++i)
    call_device([&](char*, size_t) { return program.device->port(program.exe, is_output, i, &ports[i]); });
  return ports;
}

std::shared_ptr<const Executable> compile(const anesdk_device_vtable* device, const mil::Program& parsed,
                                          const char* options) {
  void* exe = nullptr;
  call_device([&](char* error, size_t size) { return device->compile(&parsed, options, &exe, error, size); });
  const auto program = std::make_shared<Executable>(device, exe);
  uint64_t inputs = 0, outputs = 0;
  device->num_ports(exe, &inputs, &outputs);
  program->inputs = ports_of(*program, false, inputs);
  program->outputs = ports_of(*program, true, outputs);
  return program;
}

// ---- hosts

// Calls body(), which throws nothing, while the host's lock is given up. Neither this function nor its callers have
// anything to destroy when the host takes its lock back: Python ends daemon threads in there, by pthread_exit.
template <class Body>
int32_t hosted(const anesdk_host* host, Body body) {
  if (!host || !host->release || !host->acquire || !host->check)
    return fail(ANESDK_INVALID_ARGUMENT, "[host] the host or one of its functions is null");
  void* released = host->release();
  int32_t status;
  {
    const HostedCall call(host, &released);
    status = body();
  }
  host->acquire(released);
  return status;
}

// ---- run

struct Range {
  uintptr_t begin;
  uintptr_t end;
  bool is_output;
};

void check_buffer(const char* what, size_t index, const anesdk_port& port, const void* data, uint64_t nbytes) {
  const auto fail_with = [&](const std::string& problem) {
    refuse(ANESDK_INVALID_ARGUMENT, "[run] " + std::string(what) + " " + std::to_string(index) + problem);
  };
  if (nbytes != port.nbytes)
    fail_with(" takes " + std::to_string(port.nbytes) + " bytes, got " + std::to_string(nbytes));
  if (nbytes == 0) return;
  if (!data) fail_with(" is null");
  if (reinterpret_cast<uintptr_t>(data) % mil::size_of(static_cast<mil::DType>(port.dtype)) != 0)
    fail_with(" is not aligned to its element size");
}

void add_range(std::vector<Range>& ranges, const void* data, uint64_t nbytes, bool is_output) {
  const auto begin = reinterpret_cast<uintptr_t>(data);
  if (nbytes) ranges.push_back({begin, begin + nbytes, is_output});
}

// Inputs may overlap one another; an output may overlap nothing but the input that it aliases.
void check_overlap(std::vector<Range>& ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
  uintptr_t end_of_all = 0, end_of_outputs = 0;
  for (const Range& range : ranges) {
    if (range.begin < (range.is_output ? end_of_all : end_of_outputs))
      refuse(ANESDK_INVALID_ARGUMENT, "[run] an output overlaps an input or another output");
    end_of_all = std::max(end_of_all, range.end);
    if (range.is_output) end_of_outputs = std::max(end_of_outputs, range.end);
  }
}

void check_buffers(const Executable& program, const void* const* inputs, const uint64_t* input_nbytes,
                   void* const* outputs, const uint64_t* output_nbytes) {
  std::vector<Range> ranges;
  ranges.reserve(program.inputs.size() + program.outputs.size());
  std::vector<bool> donated(program.inputs.size());
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    const anesdk_port& port = program.outputs[i];
    check_buffer("output", i, port, outputs[i], output_nbytes[i]);
    add_range(ranges, outputs[i], output_nbytes[i], true);
    if (port.alias < 0) continue;
    const auto source = static_cast<size_t>(port.alias);
    if (outputs[i] != inputs[source])
      refuse(ANESDK_INVALID_ARGUMENT, "[run] output " + std::to_string(i) + " must be given the memory of input " +
                                          std::to_string(source) + ", which is donated to it");
    donated[source] = true;
  }
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    check_buffer("input", i, program.inputs[i], inputs[i], input_nbytes[i]);
    if (!donated[i]) add_range(ranges, inputs[i], input_nbytes[i], false);
  }
  check_overlap(ranges);
}

void create_buffers(uint64_t count, const uint64_t* sizes, anesdk_buffer** handles, void** data) {
  uint64_t made = 0;
  try {
    for (; made < count; ++made) {
      const Block block{allocate(sizes[made]), sizes[made]};
      try {
        handles[made] = static_cast<anesdk_buffer*>(blocks().insert(block));
      } catch (...) {
        deallocate(block.data, block.bytes);
        throw;
      }
      data[made] = block.data;
    }
  } catch (...) {
    for (uint64_t i = 0; i < made; ++i) {
      const auto block = blocks().remove(handles[i]);
      if (block) deallocate(block->data, block->bytes);
    }
    for (uint64_t i = 0; i < count; ++i) handles[i] = nullptr, data[i] = nullptr;
    throw;
  }
}

}  // namespace
}  // namespace anesdk

using namespace anesdk;

extern "C" {

int32_t anesdk_abi_version(void) { return ANESDK_ABI_VERSION; }

const char* anesdk_status_name(int32_t status) {
  switch (status) {
#define ANESDK_STATUS_NAME(name, value, text) \
  case value:                                 \
    return #name;
    ANESDK_STATUS_LIST(ANESDK_STATUS_NAME)
#undef ANESDK_STATUS_NAME
  }
  return "unknown status";
}

const char* anesdk_last_error(void) { return last_error; }

const char* anesdk_devices(void) {
  static const std::string* names = [] {
    auto* list = new std::string;  // never destroyed, as the tables of handles
    for (const anesdk_device_vtable* device : devices())
      *list += (list->empty() ? "" : ",") + std::string(device->name);
    return list;
  }();
  return names->c_str();
}

int32_t anesdk_set_num_threads(int32_t count) {
  return guarded([&] {
    require(count >= 1 && count <= 256, "[set_num_threads] count must be 1 .. 256");
#ifdef ANESDK_HAS_CPU
    cpu::set_num_threads(count);
#endif
  });
}

int32_t anesdk_num_threads(int32_t* out) {
  return guarded([&] {
    require(out, "[num_threads] out is null");
#ifdef ANESDK_HAS_CPU
    *out = cpu::num_threads();
#else
    *out = 1;
#endif
  });
}

int32_t anesdk_load_blas([[maybe_unused]] const char* path) {
  return guarded([&] {
#ifdef ANESDK_HAS_CPU
    cpu::load_blas(path);
#else
    refuse(ANESDK_UNSUPPORTED, "[load_blas] this build has no CPU device");
#endif
  });
}

int32_t anesdk_set_processes(const anesdk_processes* table) {
  return guarded([&] { processes::set(table); });
}

int32_t anesdk_leave_processes(void) {
  return guarded([] { processes::leave(); });
}

int32_t anesdk_buffers_create(uint64_t count, const uint64_t* sizes, anesdk_buffer** handles, void** data) {
  return guarded([&] {
    require(count == 0 || (sizes && handles && data), "[buffers_create] sizes, handles or data is null");
    create_buffers(count, sizes, handles, data);
  });
}

int32_t anesdk_buffers_release(uint64_t count, anesdk_buffer** handles) {
  return guarded([&] {
    require(count == 0 || handles, "[buffers_release] handles is null");
    for (uint64_t i = 0; i < count; ++i) {
      const auto block = blocks().remove(handles[i]);
      if (!block) refuse(ANESDK_INVALID_HANDLE, "[buffers_release] not a live buffer handle");
      deallocate(block->data, block->bytes);
      handles[i] = nullptr;
    }
  });
}

int32_t anesdk_idle_memory(int32_t release, uint64_t* bytes) {
  return guarded([&] {
    if (release) release_idle_memory();
    const IdleBytes idle = idle_bytes();
    if (bytes) *bytes = idle.buffers + idle.scratch;
  });
}

int32_t anesdk_verify(const char* text, uint64_t length, const char* target) {
  return guarded([&] {
    require(text && target, "[verify] text or target is null");
    load(text, length, mil::target_of(target));
  });
}

int32_t anesdk_program_compile(const char* device, const char* text, uint64_t length, const char* options,
                               anesdk_program** out) {
  return guarded([&] {
    require(out, "[compile] out is null");
    *out = nullptr;
    require(device && text && options, "[compile] device, text or options is null");
    const anesdk_device_vtable* vtable = find_device(device);
    const mil::Program parsed = load(text, length, mil::target_of(vtable->target));
    *out = static_cast<anesdk_program*>(programs().insert(compile(vtable, parsed, options)));
  });
}

int32_t anesdk_program_compile_hosted(const anesdk_host* host, const char* device, const char* text, uint64_t length,
                                      const char* options, anesdk_program** out) {
  return hosted(host, [&] { return anesdk_program_compile(device, text, length, options, out); });
}

int32_t anesdk_program_release(anesdk_program** handle) {
  return guarded([&] {
    require(handle, "[program_release] handle is null");
    if (!programs().remove(*handle)) refuse(ANESDK_INVALID_HANDLE, "[program_release] not a live program handle");
    *handle = nullptr;
  });
}

int32_t anesdk_program_num_ports(const anesdk_program* program, uint64_t* inputs, uint64_t* outputs) {
  return guarded([&] {
    const auto live = program_of(program);
    require(inputs && outputs, "[num_ports] inputs or outputs is null");
    *inputs = live->inputs.size();
    *outputs = live->outputs.size();
  });
}

int32_t anesdk_program_port(const anesdk_program* program, int32_t is_output, uint64_t index, anesdk_port* out) {
  return guarded([&] {
    const auto live = program_of(program);
    const auto& ports = is_output ? live->outputs : live->inputs;
    require(out, "[port] out is null");
    require(index < ports.size(), "[port] index is not below the number of ports");
    *out = ports[index];
  });
}

int32_t anesdk_program_describe(const anesdk_program* program, const char* what, char* out, uint64_t capacity,
                                uint64_t* needed) {
  return guarded([&] {
    const auto live = program_of(program);
    require(what && (out || capacity == 0), "[describe] what or out is null");
    const int32_t status = live->device->describe(live->exe, what, out, capacity, needed);
    if (status != ANESDK_OK)
      refuse(status, "[describe] expected \"plan\", \"stats\", \"profile\" or, of cpu-fp16, \"numerics\"");
  });
}

int32_t anesdk_program_numerics(const anesdk_program* program, uint64_t* flags) {
  return guarded([&] {
    const auto live = program_of(program);
    require(flags, "[numerics] flags is null");
    *flags = live->device->numerics ? live->device->numerics(live->exe) : 0;
  });
}

int32_t anesdk_profile_start([[maybe_unused]] uint64_t capacity) {
  return guarded([&] {
    require(capacity <= uint64_t{1} << 28, "[profile] expected a capacity of at most 2^28 events");
#ifdef ANESDK_HAS_CPU
    cpu::Profile::start(capacity);
#endif
  });
}

int32_t anesdk_profile_stop(uint64_t* events, uint64_t* dropped) {
  return guarded([&] {
    require(events && dropped, "[profile] events or dropped is null");
    *events = *dropped = 0;
#ifdef ANESDK_HAS_CPU
    cpu::Profile::stop();
    *events = cpu::Profile::events();
    *dropped = cpu::Profile::dropped();
#endif
  });
}

int32_t anesdk_profile_read(anesdk_event* out, uint64_t count, uint64_t* written) {
  return guarded([&] {
    require(written && (out || count == 0), "[profile] out or written is null");
    *written = 0;
#ifdef ANESDK_HAS_CPU
    *written = cpu::Profile::read(out, count);
#endif
  });
}

int32_t anesdk_program_run(const anesdk_program* program, const void* const* inputs, const uint64_t* input_nbytes,
                           uint64_t num_inputs, void* const* outputs, const uint64_t* output_nbytes,
                           uint64_t num_outputs, const uint64_t* input_contents, const uint64_t* output_contents) {
  return guarded([&] {
    const auto live = program_of(program);
    require(num_inputs == live->inputs.size(), "[run] wrong number of inputs");
    require(num_outputs == live->outputs.size(), "[run] wrong number of outputs");
    require(num_inputs == 0 || (inputs && input_nbytes), "[run] inputs or input_nbytes is null");
    require(num_outputs == 0 || (outputs && output_nbytes), "[run] outputs or output_nbytes is null");
    check_buffers(*live, inputs, input_nbytes, outputs, output_nbytes);
    const anesdk_arguments given{inputs, outputs, input_contents, output_contents};
    call_device([&](char* error, size_t size) { return live->device->run(live->exe, &given, error, size); });
  });
}

int32_t anesdk_program_run_hosted(const char* call, uint64_t nbytes) {
  constexpr uint64_t head = 5;
  const auto* words = reinterpret_cast<const uint64_t*>(call);
  const uint64_t count = nbytes / sizeof(uint64_t);
  if (!call || nbytes % sizeof(uint64_t) || reinterpret_cast<uintptr_t>(call) % alignof(uint64_t) || count < head)
    return fail(ANESDK_INVALID_ARGUMENT, "[run] the call is null, not aligned to 8 bytes, or too short");
  const uint64_t inputs = words[2], outputs = words[3], contents = words[4];
  if (inputs > count || outputs > count || contents > 1 || head + (2 + contents) * (inputs + outputs) != count)
    return fail(ANESDK_INVALID_ARGUMENT, "[run] the call has not as many words as its numbers of ports say");
  const uint64_t* input_nbytes = words + head;
  const uint64_t* output_nbytes = input_nbytes + inputs;
  const auto* input = reinterpret_cast<const void* const*>(output_nbytes + outputs);
  const auto* output = reinterpret_cast<void* const*>(output_nbytes + outputs + inputs);
  const uint64_t* input_contents = contents ? output_nbytes + 2 * outputs + inputs : nullptr;
  const uint64_t* output_contents = contents ? input_contents + inputs : nullptr;
  return hosted(reinterpret_cast<const anesdk_host*>(words[0]), [&] {
    return anesdk_program_run(reinterpret_cast<const anesdk_program*>(words[1]), input, input_nbytes, inputs, output,
                              output_nbytes, outputs, input_contents, output_contents);
  });
}

}  // extern "C"
