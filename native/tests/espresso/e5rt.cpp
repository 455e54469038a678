// The stand-in Espresso: the functions of the C route to the Neural Engine, strict about every rule that is known of
// them, for tests only. It shares no code with the library under test.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "program.h"
#include "runtime.h"

#define E5RT(name, ...) extern "C" __attribute__((visibility("default"))) int32_t name(__VA_ARGS__)

namespace standin {
namespace {

using H = void*;
namespace fs = std::filesystem;

constexpr size_t kMaxPrograms = 128;
constexpr size_t kLeak = 4096;  // bytes, of the fault execute:leaks

template <Kind K>
struct Of : Object {
  static constexpr Kind kKind = K;
  Of() : Object(K) {}
};

struct Config : Of<Kind::CONFIG> {
  std::string cache;
};
struct Compiler : Of<Kind::COMPILER> {
  std::string cache;
};
struct Options : Of<Kind::OPTIONS> {
  uint64_t mask = 0;
  int force = -1;
  std::string segmenter;
};
struct Library : Of<Kind::LIBRARY> {
  std::shared_ptr<const Model> model;
  bool cached = false;  // of a bundle that an earlier compile left
};
struct Function : Of<Kind::FUNCTION> {
  std::shared_ptr<const Model> model;
  bool cached = false;
};
struct OpOptions : Of<Kind::OP_OPTIONS> {
  std::shared_ptr<const Model> model;
  bool cached = false;
  std::string name;
  bool allocate = false;
};
struct Buffer : Of<Kind::BUFFER> {
  std::vector<std::byte> data;
  std::vector<std::byte> first;   // what an input read at first, for the fault share:stale
  struct Port* owner = nullptr;   // the port that it was bound to first
  struct Port* shared = nullptr;  // and the second one
};
struct Port : Of<Kind::PORT> {
  struct Operation* operation = nullptr;
  Type type;
  bool is_output = false;
  Buffer* buffer = nullptr;
};
struct Operation : Of<Kind::OPERATION> {
  std::shared_ptr<const Model> model;
  uint64_t service = 0;  // the incarnation of the system's service that it was loaded by
  std::map<std::string, Port*> inputs, outputs;
  bool encoded = false;
};
struct Desc : Of<Kind::DESC> {
  std::vector<size_t> shape, strides;
};
struct Stream : Of<Kind::STREAM> {
  std::vector<Operation*> operations;
};

template <class T>
void create(H* out, std::unique_ptr<T> made = std::make_unique<T>()) {
  check_out(out);
  give(out, std::move(made));
}

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Answer{INVALID_ARGUMENT, "no file " + path.string()};
  return {std::istreambuf_iterator<char>(in), {}};
}

// The engine's compiler was seen to leave such programs to the CPU (ane-bridge-rs, on M5).
bool is_elementwise(const Model& model) {
  static const std::set<std::string> others = {"conv",       "conv_transpose", "matmul",      "linear",
                                               "reduce_sum", "reduce_mean",    "reduce_max",  "reduce_min",
                                               "max_pool",   "avg_pool",       "reduce_prod", "reduce_sum_square"};
  return std::none_of(model.statements.begin(), model.statements.end(),
                      [](const Statement& s) { return others.count(s.op) != 0; });
}

void write_bundle(const fs::path& bundle, const Model& model) {
  const bool elsewhere = fault("place", "bnns") || (fault("place", "elementwise") && is_elementwise(model));
  const std::string& text = model.text;
  fs::create_directories(bundle / "main" / (elsewhere ? "main_bnns" : "main_ane"));
  std::ofstream(bundle / "analytics.mil") << "SelectedBackend = \"" << (elsewhere ? "bnns" : "ane") << "\"\n";
  std::ofstream(bundle / "model.mil", std::ios::binary) << text;
}

std::unique_ptr<Library> compile(const Compiler& compiler, const std::string& path, const Options& options) {
  if (options.mask != 4) broken(INVALID_ARGUMENT, "a device mask other than 4 may leave the engine");
  if (options.segmenter != "graph") broken(INVALID_ARGUMENT, "the segmenter must be graph");
  if (options.force != 0 && options.force != 1) broken(INVALID_ARGUMENT, "force_recompilation was not set to 0 or 1");
  if (!path.ends_with(".mil")) throw Answer{INVALID_ARGUMENT, "Invalid path " + path};
  const std::string text = read_file(path);
  const fs::path bundle = fs::path(compiler.cache) / (std::to_string(std::hash<std::string>()(text)) + ".bundle");
  try {
    auto model = std::make_shared<Model>(read_model(text, fs::path(path).parent_path().string()));
    model->text = text;
    if (std::string newest; fault("opset", &newest) && text.find("<" + newest + ">") == std::string::npos)
      throw Refusal("ios18 is not an opset of this system, whose latest is " + newest);
    const bool cached = options.force == 0 && fs::exists(bundle) && read_file(bundle / "model.mil") == text;
    if (cached && fs::exists(bundle / "stale")) throw Refusal("Must re-compile the E5 bundle.");
    if (!cached) {
      check_model(*model);
      fs::remove_all(bundle);
      write_bundle(bundle, *model);
    }
    note(cached ? "cached" : "compile");
    auto library = std::make_unique<Library>();
    library->model = std::move(model);
    library->cached = cached;
    return library;
  } catch (const Refusal& refusal) {
    std::fprintf(stderr, "E5RT: %s\n", refusal.what());
    throw Answer{INVALID_ARGUMENT, ""};
  }
}

// What the system says of a bundle whose store it has emptied, and of a program that finds no room.
[[noreturn]] void forgotten() {
  std::fprintf(stderr,
               "ANE model load has failed for on-device compiled macho. Must re-compile the E5 bundle. @ GetANEFModel "
               "(13)\n");
  throw Answer{FORGOTTEN, ""};
}

// Whether the system still has what a program was compiled to.
void check_store(bool cached) {
  std::string times;
  const bool refused = fault("create", &times) && noted("refused") < std::stoul(times);
  if (refused) note("refused");
  if (refused || (cached && fault("store", "forgets"))) forgotten();
}

// Operations are limited in number, and, in a pool that processes share, distinct programs.
void check_room(const std::string& text) {
  std::string limit = std::to_string(kMaxPrograms), distinct = limit;
  fault("limit", &limit);
  fault("programs", &distinct);
  std::set<std::string> texts = {text};
  each(Kind::OPERATION, [&](Object& object) { texts.insert(static_cast<Operation&>(object).model->text); });
  if (count(Kind::OPERATION) >= std::stoul(limit) || texts.size() > std::stoul(distinct)) forgotten();
}

// ---- ports

Port& make_port(Operation& op, bool is_output, const char* name, const Type& type) {
  auto& made = is_output ? op.outputs : op.inputs;
  if (made.count(name)) broken(INVALID_OPERATION, std::string("port ") + name + " was retained twice");
  auto port = std::make_unique<Port>();
  port->operation = &op;
  port->type = type;
  port->is_output = is_output;
  port->needs = {&op};
  return *(made[name] = static_cast<Port*>(keep(std::move(port))));
}

void retain_input(Operation& op, const char* name, H* out) {
  for (const Result& input : op.model->inputs)
    if (input.name == name) {
      *out = &make_port(op, false, name, input.type);
      return;
    }
  broken(INVALID_ARGUMENT, std::string("no input ") + name);
}

void retain_output(Operation& op, const char* name, H* out) {
  for (const std::string& output : op.model->outputs)
    for (const Statement& s : op.model->statements)
      for (const Result& result : s.results)
        if (result.name == name && output == name) {
          *out = &make_port(op, true, name, result.type);
          return;
        }
  broken(INVALID_ARGUMENT, std::string("no output ") + name);
}

// Bytes from one row to the next, of the last axis.
size_t row_bytes(const Type& type) {
  const size_t bytes = element_bytes(type.dtype) * static_cast<size_t>(type.shape.empty() ? 1 : type.shape.back());
  return fault("strides", "padded") ? (bytes + 63) / 64 * 64 : bytes;
}

size_t row_elements(const Type& type) { return static_cast<size_t>(type.shape.empty() ? 1 : type.shape.back()); }

size_t port_bytes(const Type& type) {
  return static_cast<size_t>(type.elements()) / row_elements(type) * row_bytes(type);
}

// Where element i of a port is.
size_t place(const Type& type, size_t i) {
  const size_t columns = row_elements(type);
  return i / columns * row_bytes(type) + i % columns * element_bytes(type.dtype);
}

void describe(const Port& port, H* out) {
  auto desc = std::make_unique<Desc>();
  desc->needs = {const_cast<Port*>(&port)};
  const size_t rank = port.type.shape.size();
  size_t stride = element_bytes(port.type.dtype);
  for (size_t i = rank; i-- > 0;) {
    desc->shape.insert(desc->shape.begin(), static_cast<size_t>(port.type.shape[i]));
    desc->strides.insert(desc->strides.begin(), stride);
    stride = i + 1 == rank ? row_bytes(port.type) : stride * static_cast<size_t>(port.type.shape[i]);
    if (fault("strides", "overlapping")) stride = element_bytes(port.type.dtype);
  }
  if (fault("shape")) ++desc->shape.back();
  give(out, std::move(desc));
}

// ---- execution

std::vector<double> halves(const std::byte* data, const Type& type) {
  static const std::vector<double> values = [] {
    std::vector<double> all(65536);
    for (size_t bits = 0; bits < all.size(); ++bits) all[bits] = half_value(static_cast<uint16_t>(bits));
    return all;
  }();
  std::vector<double> out(static_cast<size_t>(type.elements()));
  for (size_t i = 0; i < out.size(); ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, data + place(type, i), sizeof bits);
    out[i] = values[bits];
  }
  return out;
}

double load(const std::byte* at, const std::string& dtype) {
  uint16_t wide = 0;
  std::memcpy(&wide, at, element_bytes(dtype));
  if (dtype == "int16") return static_cast<int16_t>(wide);
  return dtype == "int8" ? static_cast<int8_t>(wide) : wide;
}

void store(double value, std::byte* at, const std::string& dtype) {
  const uint16_t wide = dtype == "fp16" ? half_bits(value) : static_cast<uint16_t>(static_cast<int32_t>(value));
  std::memcpy(at, &wide, element_bytes(dtype));
}

uint64_t service = 0;

// A service that is restarted has forgotten every operation.
void check_service(const Operation& op) {
  if (op.service != service) throw E5RTError("E5RTError: the connection to the service was invalidated");
}

std::map<std::string, Tensor> read_inputs(const Operation& op) {
  std::map<std::string, Tensor> values;
  for (const auto& [name, port] : op.inputs) {
    Buffer& buffer = *port->buffer;
    if (buffer.shared && buffer.first.empty()) buffer.first = buffer.data;
    const std::byte* data = (buffer.shared && fault("share", "stale") ? buffer.first : buffer.data).data();
    Tensor& tensor = values[name];
    tensor.type = port->type;
    if (port->type.dtype == "fp16") {
      tensor.data = halves(data, port->type);
      continue;
    }
    for (size_t i = 0; i < static_cast<size_t>(port->type.elements()); ++i)
      tensor.data.push_back(load(data + place(port->type, i), port->type.dtype));
  }
  return values;
}

// A part of every output, from one place to another, both of 2.
void write_outputs(const Operation& op, const std::map<std::string, Tensor>& values, size_t from, size_t to) {
  for (const auto& [name, port] : op.outputs) {
    const std::vector<double>& data = values.at(name).data;
    const size_t count = data.size();
    for (size_t i = count * from / 2; i < count * to / 2; ++i)
      store(data[i], port->buffer->data.data() + place(port->type, i), port->type.dtype);
  }
}

void run(const Operation& op) {
  auto values = read_inputs(op);
  evaluate(*op.model, values);
  if (fault("execute", "scribble"))
    for (const auto& [name, port] : op.inputs)
      std::fill(port->buffer->data.begin(), port->buffer->data.end(), std::byte{0x55});
  const bool zeros = fault("execute", "zeros"), nan = fault("execute", "nan");
  if (zeros || nan)
    for (const auto& [name, port] : op.outputs)
      std::fill(values[name].data.begin(), values[name].data.end(), nan ? std::nan("") : 0);
  write_outputs(op, values, 0, 1);
  if (fault("execute", "tiles")) {
    values = read_inputs(op);
    evaluate(*op.model, values);
  }
  write_outputs(op, values, 1, 2);
}

// From here on bindings are frozen, and everything that the stream reads must outlive it.
void encode(Stream& stream, Operation& op) {
  if (op.encoded) broken(INVALID_OPERATION, "encoded twice");
  if (op.inputs.size() != op.model->inputs.size() || op.outputs.size() != op.model->outputs.size())
    broken(INVALID_OPERATION, "encoded with ports that were not retained");
  for (const auto* ports : {&op.inputs, &op.outputs})
    for (const auto& [name, port] : *ports) {
      if (!port->buffer) broken(INVALID_OPERATION, "encoded with an unbound port " + name);
      stream.needs.push_back(port);
      stream.needs.push_back(port->buffer);
    }
  op.encoded = true;
  stream.operations.push_back(&op);
  stream.needs.push_back(&op);
}

void bind(Port& port, Buffer& buffer) {
  if (port.operation->encoded) broken(INVALID_OPERATION, "bound after encode");
  if (port.buffer) broken(INVALID_OPERATION, "bound twice");
  if (buffer.owner) {
    if (fault("share", "refused")) throw Answer{INVALID_OPERATION, ""};
    if (buffer.shared) broken(INVALID_OPERATION, "a buffer of three ports");
    if (!buffer.owner->is_output || port.is_output) broken(INVALID_OPERATION, "a shared buffer is an output's first");
    if (buffer.owner->type != port.type) broken(INVALID_OPERATION, "a buffer of ports of two types");
  }
  (buffer.owner ? buffer.shared : buffer.owner) = &port;
  if (buffer.data.size() < port_bytes(port.type)) broken(4, "a buffer smaller than its port");
  port.buffer = &buffer;
  buffer.needs.push_back(&port);  // the buffer goes first
}

}  // namespace
}  // namespace standin

using namespace standin;

E5RT(e5rt_e5_compiler_config_options_create, H* out) {
  return call(__func__, [&] { create<Config>(out); });
}
E5RT(e5rt_e5_compiler_config_options_set_cache_bundle_location, H cfg, const char* dir) {
  return call(__func__, [&] {
    Config& config = get<Config>(cfg);
    check_text(dir);
    if (!fs::is_directory(dir)) broken(INVALID_ARGUMENT, "the bundle folder does not exist");
    config.cache = dir;
  });
}
E5RT(e5rt_e5_compiler_config_options_release, H* cfg) {
  return call(__func__, [&] { release(cfg, Kind::CONFIG); });
}
E5RT(e5rt_e5_compiler_create_with_config, H* out, H cfg) {
  return call(__func__, [&] {
    check_out(out);
    auto compiler = std::make_unique<Compiler>();
    compiler->cache = get<Config>(cfg).cache;
    compiler->needs = {&find(cfg, Kind::CONFIG)};
    if (compiler->cache.empty()) broken(INVALID_OPERATION, "no bundle folder was set");
    give(out, std::move(compiler));
  });
}
E5RT(e5rt_e5_compiler_release, H* compiler) {
  return call(__func__, [&] { release(compiler, Kind::COMPILER); });
}
E5RT(e5rt_e5_compiler_options_create, H* out) {
  return call(__func__, [&] { create<Options>(out); });
}
E5RT(e5rt_e5_compiler_options_set_compute_device_types_mask, H options, uint64_t mask) {
  return call(__func__, [&] { get<Options>(options).mask = mask; });
}
E5RT(e5rt_e5_compiler_options_set_force_recompilation, H options, int force) {
  return call(__func__, [&] { get<Options>(options).force = force; });
}
E5RT(e5rt_e5_compiler_options_set_segmenter, H options, const char* name) {
  return call(__func__, [&] {
    check_text(name);
    get<Options>(options).segmenter = name;
  });
}
E5RT(e5rt_e5_compiler_options_release, H* options) {
  return call(__func__, [&] { release(options, Kind::OPTIONS); });
}
E5RT(e5rt_e5_compiler_compile, H compiler, const char* path, H options, H* library) {
  return call(__func__, [&] {
    check_out(library);
    check_text(path);
    create<Library>(library, compile(get<Compiler>(compiler), path, get<Options>(options)));
  });
}

E5RT(e5rt_program_library_retain_program_function, H library, const char* name, H* out) {
  return call(__func__, [&] {
    Library& from = get<Library>(library);
    check_text(name);
    if (std::string(name) != "main") broken(INVALID_ARGUMENT, "there is only main");
    auto function = std::make_unique<Function>();
    function->model = from.model;
    function->cached = from.cached;
    function->needs = {&from};
    create<Function>(out, std::move(function));
  });
}
E5RT(e5rt_program_library_release, H* library) {
  return call(__func__, [&] { release(library, Kind::LIBRARY); });
}
E5RT(e5rt_program_function_release, H* function) {
  return call(__func__, [&] { release(function, Kind::FUNCTION); });
}

E5RT(e5rt_precompiled_compute_op_create_options_create_with_program_function, H* out, H function) {
  return call(__func__, [&] {
    Function& from = get<Function>(function);
    auto options = std::make_unique<OpOptions>();
    options->model = from.model;
    options->cached = from.cached;
    options->needs = {&from};
    create<OpOptions>(out, std::move(options));
  });
}
E5RT(e5rt_precompiled_compute_op_create_options_set_operation_name, H options, const char* name) {
  return call(__func__, [&] {
    check_text(name);
    get<OpOptions>(options).name = name;
  });
}
E5RT(e5rt_precompiled_compute_op_create_options_set_allocate_intermediate_buffers, H options, int on) {
  return call(__func__, [&] { get<OpOptions>(options).allocate = on == 1; });
}
E5RT(e5rt_precompiled_compute_op_create_options_release, H* options) {
  return call(__func__, [&] { release(options, Kind::OP_OPTIONS); });
}
E5RT(e5rt_execution_stream_operation_create_precompiled_compute_operation_with_options, H* out, H options) {
  return call(__func__, [&] {
    OpOptions& from = get<OpOptions>(options);
    if (from.name.empty() || !from.allocate) broken(INVALID_OPERATION, "the operation has no name or no memory");
    check_store(from.cached);
    check_room(from.model->text);
    auto operation = std::make_unique<Operation>();
    operation->model = from.model;
    operation->service = service;
    operation->needs = {&from};
    create<Operation>(out, std::move(operation));
  });
}
E5RT(e5rt_execution_stream_operation_retain_input_port, H op, const char* name, H* out) {
  return call(__func__, [&] {
    check_out(out);
    check_text(name);
    retain_input(get<Operation>(op), name, out);
  });
}
E5RT(e5rt_execution_stream_operation_retain_output_port, H op, const char* name, H* out) {
  return call(__func__, [&] {
    check_out(out);
    check_text(name);
    retain_output(get<Operation>(op), name, out);
  });
}
E5RT(e5rt_execution_stream_operation_release, H* op) {
  return call(__func__, [&] { release(op, Kind::OPERATION); });
}

E5RT(e5rt_io_port_bind_buffer_object, H port, H buffer) {
  return call(__func__, [&] { bind(get<Port>(port), get<Buffer>(buffer)); });
}
E5RT(e5rt_io_port_retain_tensor_desc, H port, H* out) {
  return call(__func__, [&] {
    check_out(out);
    describe(get<Port>(port), out);
  });
}
E5RT(e5rt_io_port_release, H* port) {
  return call(__func__, [&] { release(port, Kind::PORT); });
}
E5RT(e5rt_tensor_desc_get_shape, H desc, size_t* rank, const size_t** values) {
  return call(__func__, [&] {
    *rank = get<Desc>(desc).shape.size();
    *values = get<Desc>(desc).shape.data();
  });
}
E5RT(e5rt_tensor_desc_get_strides, H desc, size_t* rank, const size_t** values) {
  return call(__func__, [&] {
    *rank = get<Desc>(desc).strides.size();
    *values = get<Desc>(desc).strides.data();
  });
}
E5RT(e5rt_tensor_desc_release, H* desc) {
  return call(__func__, [&] { release(desc, Kind::DESC); });
}

E5RT(e5rt_buffer_object_alloc, H* out, uint64_t bytes, uint32_t type) {
  return call(__func__, [&] {
    if (type > 2) broken(INVALID_TYPE, "Invalid BufferType");
    if (type != 0) broken(INVALID_TYPE, "only plain memory is proven");
    if (bytes == 0 || bytes % 64) broken(INVALID_ARGUMENT, "a buffer is a multiple of 64 bytes");
    auto buffer = std::make_unique<Buffer>();
    buffer->data.resize(bytes, std::byte{0xcd});
    create<Buffer>(out, std::move(buffer));
  });
}
E5RT(e5rt_buffer_object_get_data_ptr, H buffer, void** out) {
  return call(__func__, [&] {
    check_out(out);
    *out = get<Buffer>(buffer).data.data();
  });
}
E5RT(e5rt_buffer_object_release, H* buffer) {
  return call(__func__, [&] { release(buffer, Kind::BUFFER); });
}

E5RT(e5rt_execution_stream_create, H* out) {
  return call(__func__, [&] { create<Stream>(out); });
}
E5RT(e5rt_execution_stream_encode_operation, H stream, H op) {
  return call(__func__, [&] { encode(get<Stream>(stream), get<Operation>(op)); });
}
E5RT(e5rt_execution_stream_execute_sync, H stream) {
  return call(__func__, [&] {
    const Stream& s = get<Stream>(stream);
    if (s.operations.empty()) broken(INVALID_OPERATION, "executed before encode");
    note("execute");
    if (fault("execute", "untouched")) return;
    if (fault("execute", "leaks")) new auto(std::vector<char>(kLeak, 1));
    if (fault("execute", "lost")) ++service;
    for (const Operation* op : s.operations) {
      check_service(*op);
      run(*op);
    }
  });
}
E5RT(e5rt_execution_stream_release, H* stream) {
  return call(__func__, [&] { release(stream, Kind::STREAM); });
}
