// A program in the engine: the objects of Espresso behind one compiled program, with the buffers bound to its ports.
// Everything here happens on the worker thread, except for reading and writing the buffers between executions.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "ane/symbols.h"
#include "mil/program.h"

namespace anesdk::ane {

struct Port {
  std::string name;
  mil::Type type;
  int64_t alias = -1;  // of an output: the donated input whose memory, outside of the engine, it takes
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

  std::byte* input(size_t index) const { return inputs_[index]; }
  std::byte* output(size_t index) const { return outputs_[index]; }
  void execute();

 private:
  using RetainPort = Function<int32_t(Handle, const char*, Handle*)>;
  std::byte* bind(const RetainPort& retain, const Port& port);  // the memory of its buffer
  void check_layout(Handle handle, const Port& port) const;

  const Symbols& symbols_;
  // In the order library, function, operation options, operation, each port and its buffer, stream: they are given back
  // from the end, which is the order that is known not to crash.
  Holder objects_;
  Handle operation_ = nullptr;
  Handle stream_ = nullptr;
  std::vector<std::byte*> inputs_;
  std::vector<std::byte*> outputs_;
  bool encoded_ = false;
};

}  // namespace anesdk::ane
