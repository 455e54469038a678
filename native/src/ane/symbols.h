// The functions of Espresso's C interface that the engine device calls, found at run time: nothing is linked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "ane/calls.h"

namespace anesdk::ane {

// member, symbol, arguments. Creators take the address of the result first, methods their object first and the address
// of a result last, and every release the address of the handle.
#define ANESDK_E5RT_REQUIRED(X)                                                                                      \
  X(config_create, "e5rt_e5_compiler_config_options_create", Handle*)                                                \
  X(config_set_cache, "e5rt_e5_compiler_config_options_set_cache_bundle_location", Handle, const char*)              \
  X(config_release, "e5rt_e5_compiler_config_options_release", Handle*)                                              \
  X(compiler_create, "e5rt_e5_compiler_create_with_config", Handle*, Handle)                                         \
  X(compiler_release, "e5rt_e5_compiler_release", Handle*)                                                           \
  X(options_create, "e5rt_e5_compiler_options_create", Handle*)                                                      \
  X(options_set_devices, "e5rt_e5_compiler_options_set_compute_device_types_mask", Handle, uint64_t)                 \
  X(options_set_force, "e5rt_e5_compiler_options_set_force_recompilation", Handle, int)                              \
  X(options_set_segmenter, "e5rt_e5_compiler_options_set_segmenter", Handle, const char*)                            \
  X(options_release, "e5rt_e5_compiler_options_release", Handle*)                                                    \
  X(compile, "e5rt_e5_compiler_compile", Handle, const char*, Handle, Handle*)                                       \
  X(library_retain_function, "e5rt_program_library_retain_program_function", Handle, const char*, Handle*)           \
  X(library_release, "e5rt_program_library_release", Handle*)                                                        \
  X(function_release, "e5rt_program_function_release", Handle*)                                                      \
  X(op_options_create, "e5rt_precompiled_compute_op_create_options_create_with_program_function", Handle*, Handle)   \
  X(op_options_set_name, "e5rt_precompiled_compute_op_create_options_set_operation_name", Handle, const char*)       \
  X(op_options_set_allocate, "e5rt_precompiled_compute_op_create_options_set_allocate_intermediate_buffers", Handle, \
    int)                                                                                                             \
  X(op_options_release, "e5rt_precompiled_compute_op_create_options_release", Handle*)                               \
  X(operation_create, "e5rt_execution_stream_operation_create_precompiled_compute_operation_with_options", Handle*,  \
    Handle)                                                                                                          \
  X(operation_retain_input, "e5rt_execution_stream_operation_retain_input_port", Handle, const char*, Handle*)       \
  X(operation_retain_output, "e5rt_execution_stream_operation_retain_output_port", Handle, const char*, Handle*)     \
  X(operation_release, "e5rt_execution_stream_operation_release", Handle*)                                           \
  X(port_bind, "e5rt_io_port_bind_buffer_object", Handle, Handle)                                                    \
  X(port_release, "e5rt_io_port_release", Handle*)                                                                   \
  X(buffer_alloc, "e5rt_buffer_object_alloc", Handle*, uint64_t, uint32_t)                                           \
  X(buffer_get_data, "e5rt_buffer_object_get_data_ptr", Handle, void**)                                              \
  X(buffer_release, "e5rt_buffer_object_release", Handle*)                                                           \
  X(stream_create, "e5rt_execution_stream_create", Handle*)                                                          \
  X(stream_encode, "e5rt_execution_stream_encode_operation", Handle, Handle)                                         \
  X(stream_execute, "e5rt_execution_stream_execute_sync", Handle)                                                    \
  X(stream_release, "e5rt_execution_stream_release", Handle*)

// Used where the system has them: they only check.
#define ANESDK_E5RT_OPTIONAL(X)                                                        \
  X(port_retain_desc, "e5rt_io_port_retain_tensor_desc", Handle, Handle*)              \
  X(desc_get_shape, "e5rt_tensor_desc_get_shape", Handle, size_t*, const size_t**)     \
  X(desc_get_strides, "e5rt_tensor_desc_get_strides", Handle, size_t*, const size_t**) \
  X(desc_release, "e5rt_tensor_desc_release", Handle*)

struct Symbols {
#define ANESDK_E5RT_MEMBER(member, symbol, ...) Function<int32_t(__VA_ARGS__)> member{symbol, nullptr};
  ANESDK_E5RT_REQUIRED(ANESDK_E5RT_MEMBER)
  ANESDK_E5RT_OPTIONAL(ANESDK_E5RT_MEMBER)
#undef ANESDK_E5RT_MEMBER

  LastError last_error = nullptr;  // where the system has it
  AutoreleasePools pools;

  bool can_describe_ports() const { return port_retain_desc && desc_get_shape && desc_get_strides; }
};

// ANEJAX_ESPRESSO, or where the framework is.
std::string espresso_path();

// Programs are of the opset ios18. Throws mil::Error(ANESDK_ENGINE_MISSING) for a version of macOS, such as "14.6.1",
// that does not know it; "" is one that is not known.
void check_system(const std::string& version);

// Opens the library, which stays open, and finds the functions. Throws mil::Error(ANESDK_ENGINE_MISSING), naming what
// is missing.
Symbols load_symbols(const std::string& path);

}  // namespace anesdk::ane
