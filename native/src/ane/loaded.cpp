#include "ane/loaded.h"

#include <algorithm>
#include <cstring>

namespace anesdk::ane {
namespace {

constexpr uint64_t kEngineOnly = 4;  // device mask: what the engine refuses is an error, never another backend's
constexpr const char* kSegmenter = "graph";  // the only one known to work
constexpr const char* kFunction = "main";
constexpr uint32_t kPlainMemory = 0;     // the type of buffer that every known user takes
constexpr uint64_t kBufferGranule = 64;  // bytes

uint64_t buffer_bytes(const Layout& layout) {
  const uint64_t granules = (layout.bytes() + kBufferGranule - 1) / kBufferGranule;
  return std::max<uint64_t>(granules, 1) * kBufferGranule;
}

std::string list_of(const size_t* values, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += (i ? ", " : "") + std::to_string(values[i]);
  return "[" + out + "]";
}

// Words that mean no: the same text compiled again would be refused again.
bool is_final(const std::string& words) {
  return words.find("not supported on any backend") != std::string::npos ||
         words.find("Not implemented") != std::string::npos;
}

// Returns what `body` returns. An error that `body` throws gets the lines that Espresso wrote to standard error.
template <class Body>
Handle with_reasons(Body body, const char* without = "") {
  StderrCapture capture;
  try {
    return body();
  } catch (const mil::Error& error) {
    const std::string said = capture.take();
    throw mil::Error(error.what() + (said.empty() ? without : "; it wrote: " + said), error.status());
  }
}

}  // namespace

Handle compile_library(const Symbols& symbols, const std::string& model, const std::string& bundles, bool force) {
  Holder objects;
  const Handle config = objects.hold(create(symbols.config_create), symbols.config_release);
  symbols.config_set_cache(config, bundles.c_str());
  const Handle compiler = objects.hold(create(symbols.compiler_create, config), symbols.compiler_release);
  const Handle options = objects.hold(create(symbols.options_create), symbols.options_release);
  symbols.options_set_devices(options, kEngineOnly);
  symbols.options_set_force(options, force ? 1 : 0);
  symbols.options_set_segmenter(options, kSegmenter);
  const auto compile = [&] {
    Handle library = nullptr;
    symbols.compile(compiler, model.c_str(), options, &library);
    if (!library) throw mil::Error(std::string("[ane] ") + symbols.compile.name + " returned nothing");
    return library;
  };
  try {
    return with_reasons(compile, "; it gave no reason");
  } catch (const mil::Error& error) {
    throw mil::Error(error.what(), is_final(error.what()) ? ANESDK_COMPILE_REFUSED : ANESDK_COMPILE_FAILED);
  }
}

Loaded::Loaded(const Symbols& symbols, Holder objects, Handle library, const std::vector<Port>& inputs,
               const std::vector<Port>& outputs)
    : symbols_(symbols), objects_(std::move(objects)) {
  operation_ = with_reasons([&] { return create_operation(library); });
  std::vector<Handle> ports;
  for (const Port& port : inputs) {
    ports.push_back(retain(symbols.operation_retain_input, port));
    inputs_.push_back(port.shares < 0 ? bind(ports.back(), port) : 0);
  }
  for (const Port& port : outputs) outputs_.push_back(bind(retain(symbols.operation_retain_output, port), port));
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].shares < 0) continue;
    inputs_[i] = outputs_[static_cast<size_t>(inputs[i].shares)];
    bind_to(inputs_[i], ports[i], inputs[i]);
  }
  stream_ = objects_.hold(create(symbols.stream_create), symbols.stream_release);
}

Handle Loaded::create_operation(Handle library) {
  Handle function = nullptr;
  symbols_.library_retain_function(library, kFunction, &function);
  objects_.hold(function, symbols_.function_release);
  const Handle options = objects_.hold(create(symbols_.op_options_create, function), symbols_.op_options_release);
  symbols_.op_options_set_name(options, kFunction);
  symbols_.op_options_set_allocate(options, 1);
  return objects_.hold(create(symbols_.operation_create, options), symbols_.operation_release);
}

Handle Loaded::retain(const RetainPort& retain, const Port& port) {
  Handle handle = nullptr;
  retain(operation_, port.name.c_str(), &handle);
  return objects_.hold(handle, symbols_.port_release);
}

size_t Loaded::bind(Handle handle, const Port& port) {
  Layout layout = layout_of(handle, port);
  const uint64_t bytes = buffer_bytes(layout);
  const Handle buffer = objects_.hold(create(symbols_.buffer_alloc, bytes, kPlainMemory), symbols_.buffer_release);
  void* data = nullptr;
  symbols_.buffer_get_data(buffer, &data);
  if (!data) throw mil::Error("[ane] the buffer of " + port.name + " has no memory", ANESDK_RUNTIME_ERROR);
  std::memset(data, 0, bytes);
  symbols_.port_bind(handle, buffer);
  buffers_.push_back({buffer, static_cast<std::byte*>(data), std::move(layout)});
  return buffers_.size() - 1;
}

void Loaded::bind_to(size_t buffer, Handle handle, const Port& port) {
  if (layout_of(handle, port) != buffers_[buffer].layout)
    throw mil::Error("[ane] the port " + port.name + " has other strides than the output whose buffer it is to share",
                     ANESDK_RUNTIME_ERROR);
  symbols_.port_bind(handle, buffers_[buffer].handle);
}

// Dense where the system does not say. Strides are in bytes, as read on ports of rank 4 (ANEForge).
Layout Loaded::layout_of(Handle handle, const Port& port) const {
  Layout layout(port.type);
  if (!symbols_.can_describe_ports()) return layout;
  Handle desc = nullptr;
  symbols_.port_retain_desc(handle, &desc);
  Holder held;
  if (symbols_.desc_release) held.hold(desc, symbols_.desc_release);
  size_t rank = 0, stride_rank = 0;
  const size_t *shape = nullptr, *strides = nullptr;
  symbols_.desc_get_shape(desc, &rank, &shape);
  symbols_.desc_get_strides(desc, &stride_rank, &strides);
  const auto& wanted = port.type.shape;
  const bool same = rank == wanted.size() && stride_rank == rank && shape && strides &&
                    std::equal(wanted.begin(), wanted.end(), shape,
                               [](int64_t want, size_t got) { return static_cast<size_t>(want) == got; });
  if (!same || !layout.set_strides(strides))
    throw mil::Error("[ane] expected the port " + port.name + " to be a " + port.type.str() +
                         " in row-major order, perhaps with padded rows, got shape " +
                         list_of(shape, shape ? rank : 0) + " and strides in bytes " +
                         list_of(strides, strides ? stride_rank : 0),
                     ANESDK_COMPILE_REFUSED);
  return layout;
}

size_t Loaded::padded() const {
  size_t count = 0;
  for (const auto* indices : {&inputs_, &outputs_})
    count += static_cast<size_t>(std::count_if(indices->begin(), indices->end(),
                                               [&](size_t buffer) { return !buffers_[buffer].layout.dense(); }));
  return count;
}

// Encoding freezes the bindings; it happens once, before the first execution.
void Loaded::execute() {
  if (!encoded_) symbols_.stream_encode(stream_, operation_);
  encoded_ = true;
  symbols_.stream_execute(stream_);
}

}  // namespace anesdk::ane
