// One step of a compiled program, and what it sees while it runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cpu/graph/graph.h"
#include "cpu/graph/thread_pool.h"

namespace anesdk::cpu {

struct RunContext {
  std::byte* const* tensors;  // by TensorId
  std::byte* workspace;       // shared by the steps in turn, 64-byte aligned
  std::byte* kept;            // what steps made of steady inputs
  ThreadPool& pool;

  template <class T = std::byte>
  T* at(TensorId id) const {
    return reinterpret_cast<T*>(tensors[id]);
  }
  const std::byte* at(const View& view) const {
    return tensors[view.base] + view.offset * static_cast<int64_t>(mil::size_of(view.dtype));
  }
};

struct Plan;
class ScalarProgram;

// A function that a step runs.
struct Nested {
  std::string name;
  const Plan* plan;
};

class Step {
 public:
  virtual ~Step() = default;
  virtual void run(const RunContext& context) const = 0;
  virtual std::string describe() const = 0;
  virtual size_t workspace_bytes() const { return 0; }
  virtual std::vector<Nested> nested() const { return {}; }
  // A step that reads an input which stays as it is while its frame runs again and again may make something of it
  // before the first run: so many bytes from `kept_at` on among what the frame keeps.
  virtual size_t kept_bytes() const { return 0; }
  virtual void keep(const RunContext&) const {}
  size_t kept_at = 0;
  // Adds what it does to `all`, if that is elementwise on one element; else returns false.
  virtual bool append_to(ScalarProgram*) const { return false; }
};

inline size_t align64(size_t bytes) { return (bytes + 63) & ~size_t{63}; }

std::string list(const std::vector<int64_t>& values);  // [2, 3]

}  // namespace anesdk::cpu
