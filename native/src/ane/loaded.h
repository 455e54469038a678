// A program in the engine: the objects of Espresso behind one compiled program, with the buffers bound to its ports.
// Everything here happens on the worker thread, except for reading and writing the buffers between executions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ane/layout.h"
#include "ane/symbols.h"
#include "mil/program.h"

namespace anesdk::ane {

struct Port {
  std::string name;
  mil::Type type;
  int64_t alias = -1;   // of an output: the donated input whose memory, outside of the engine, it takes
  int64_t shares = -1;  // of an input: the output whose buffer it has
};

// Compiles a model file, or takes what an earlier compile left in `bundles` unless `force`. Throws
// mil::Error with what the compiler wrote to standard error: ANESDK_COMPILE_REFUSED where its words mean that it never
// will, ANESDK_COMPILE_FAILED otherwise. The library is the caller's to release.
Handle compile_library(const Symbols& symbols, const std::string& model, const std::string& bundles, bool force);

class Loaded {
 public:
  // `symbols` must outlive the object; `objects` holds the library, and what it depends on.
  Loaded(const Symbols& symbols, Holder objects, Handle library, const std::vector<Port>& inputs,
         const std::vector<Port>& outputs);

  // Memory bound to a port, and what lies in it: 0, or the number that its contents have (anesdk.h).
  struct Buffer {
    Handle handle;
    std::byte* data;
    Layout layout;
    uint64_t contents = 0;
  };
  Buffer& input(size_t index) { return buffers_[inputs_[index]]; }
  Buffer& output(size_t index) { return buffers_[outputs_[index]]; }
  size_t padded() const;  // how many ports are not dense
  void execute();

 private:
  using RetainPort = Function<int32_t(Handle, const char*, Handle*)>;
  Handle create_operation(Handle library);
  Handle retain(const RetainPort& retain, const Port& port);
  size_t bind(Handle handle, const Port& port);                  // to a new buffer: its index
  void bind_to(size_t buffer, Handle handle, const Port& port);  // that of another port
  Layout layout_of(Handle handle, const Port& port) const;

  const Symbols& symbols_;
  // In the order library, function, operation options, operation, each port and its buffer, stream: they are given back
  // from the end, which is the order that is known not to crash. A buffer that two ports share is the output's: it goes
  // once, before both.
  Holder objects_;
  Handle operation_ = nullptr;
  Handle stream_ = nullptr;
  std::vector<Buffer> buffers_;
  std::vector<size_t> inputs_, outputs_;  // of each port its buffer
  bool encoded_ = false;
};

}  // namespace anesdk::ane
