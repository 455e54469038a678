// A device, as the rest of the library sees it: a table of C functions over opaque executables.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "anesdk.h"
#include "mil/program.h"

extern "C" {

// The arguments of anesdk_program_run. Contents may be null.
typedef struct anesdk_arguments {
  const void* const* inputs;
  void* const* outputs;
  const uint64_t* input_contents;
  const uint64_t* output_contents;
} anesdk_arguments;

// The border checks handles, sizes, pointers and overlaps before it calls a device, and catches what a device throws
// (mil::Error keeps its status). A device that fails without throwing returns a status and writes its reason to
// `error`.
typedef struct anesdk_device_vtable {
  const char* name;
  const char* target;  // what a program is verified for before compile: "cpu", "coreml" or "ane"

  // mil_program: a verified anesdk::mil::Program, alive only during the call. options: never null.
  int32_t (*compile)(const void* mil_program, const char* options, void** exe, char* error, size_t error_size);
  void (*release)(void* exe);
  void (*num_ports)(const void* exe, uint64_t* inputs, uint64_t* outputs);
  int32_t (*port)(const void* exe, int32_t is_output, uint64_t index, anesdk_port* out);
  // As anesdk_program_describe; ANESDK_INVALID_ARGUMENT for an unknown `what`.
  int32_t (*describe)(const void* exe, const char* what, char* out, uint64_t capacity, uint64_t* needed);
  // Thread-safe on one exe. An output with an alias has the pointer of its input.
  int32_t (*run)(const void* exe, const anesdk_arguments* arguments, char* error, size_t error_size);
  // As anesdk_program_numerics; null for devices that count nothing.
  uint64_t (*numerics)(const void* exe);
} anesdk_device_vtable;

const anesdk_device_vtable* anesdk_cpu_device(void);       // native/src/cpu/device.cpp
const anesdk_device_vtable* anesdk_cpu_fp16_device(void);  // the same file: the engine's numerics
const anesdk_device_vtable* anesdk_ane_device(void);       // native/src/ane/device.cpp
const anesdk_device_vtable* anesdk_null_device(void);      // native/src/null/null.cpp
}

namespace anesdk {

std::span<const anesdk_device_vtable* const> devices();

struct CompileOptions {
  std::vector<uint64_t> donate;                                            // input indices, ascending
  std::vector<std::pair<uint64_t, uint64_t>> share;                        // (input, output), each at most once
  uint64_t backoff = 15'000, compile_limit = 300'000, run_limit = 60'000;  // milliseconds, of the engine
};
// "" or "key=value" pairs joined by ';'. Throws mil::Error(ANESDK_INVALID_ARGUMENT).
CompileOptions parse_options(std::string_view text, uint64_t num_inputs, uint64_t num_outputs);

anesdk_port make_port(const mil::Type& type, int64_t alias = -1);

// Copies `text` and its NUL as far as capacity goes; needed (may be null) gets the full size, NUL included.
int32_t write_text(std::string_view text, char* out, uint64_t capacity, uint64_t* needed);

namespace cpu {  // native/src/cpu
void set_num_threads(int count);
int num_threads();
void load_blas(const char* path);  // null: the default search; throws std::runtime_error
}  // namespace cpu

}  // namespace anesdk
