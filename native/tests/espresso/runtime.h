// What every function of the stand-in does around its own work: objects that are known to be live, who depends on whom,
// injected faults, and a record of each broken rule.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model.h"

namespace standin {

enum class Kind { CONFIG, COMPILER, OPTIONS, LIBRARY, FUNCTION, OP_OPTIONS, OPERATION, PORT, DESC, BUFFER, STREAM };
const char* name_of(Kind kind);

struct Object {
  explicit Object(Kind k) : kind(k) {}
  virtual ~Object() = default;
  Kind kind;
  std::vector<Object*> needs;  // must outlive this one
};

// Ends a call with a status. A broken rule is recorded as well.
struct Answer {
  int32_t status;
  std::string broken;  // "" for an answer that no rule of the caller's was broken for
};
enum Status : int32_t { INVALID_ARGUMENT = 1, INVALID_OPERATION = 2, ALLOCATION = 3, INVALID_TYPE = 5, FORGOTTEN = 13 };
[[noreturn]] void broken(int32_t status, const std::string& rule);

// Runs one function: notes the thread, injects the fault that ANEJAX_ESPRESSO_FAULT names, turns Answer into a status.
int32_t call(const char* function, const std::function<void()>& body);

// ANEJAX_ESPRESSO_FAULT: "<function>:<status>", "<function>:throw", "<function>:throw_int", "<function>:throw_foreign",
// "<function>:hang",
// "<function>:abort" (the process ends, after a line on standard error),
// "e5rt_e5_compiler_compile:stderr", "execute:untouched", "execute:zeros", "execute:nan", "execute:lost" (the service
// is restarted), "execute:scribble" (inputs are overwritten once they are read), "execute:tiles" (half of each output
// is written before the other half's inputs are read), "execute:leaks", "opset:ios17" (the latest that the system
// knows), "share:stale" (a shared buffer is read as it first was), "share:refused", "place:bnns", "place:elementwise"
// (what has nothing but elementwise operations goes to bnns), "strides:padded" (rows fill whole 64 bytes, in memory
// too), "strides:overlapping" (only said), "shape:other", "limit:<operations>", "programs:<distinct ones>",
// "store:forgets" (a bundle that an earlier compile left is compiled from, but cannot be loaded), "create:<count>" (so
// many operations are refused as the store's are, one after the other, whether they were just compiled or not).
bool fault(const std::string& what, std::string* argument = nullptr);
bool fault(const std::string& what, const char* argument);

Object* keep(std::unique_ptr<Object> object);  // registers it
Object& find(void* handle, Kind kind);         // throws Answer
void check_out(const void* out);               // neither null nor an object
void check_text(const char* text);
void release(void** handle, Kind kind);  // nulls it; an object that others need is not released
size_t count(Kind kind);
void each(Kind kind, const std::function<void(Object&)>& visit);

template <class T>
T& get(void* handle) {
  return static_cast<T&>(find(handle, T::kKind));
}

void give(void** out, std::unique_ptr<Object> object);
void note(const char* event);  // counted: see standin_count
uint64_t noted(const char* event);

}  // namespace standin

// Besides Espresso's functions the library has these, for tests.
extern "C" {
uint64_t standin_live(void);                // objects not released
uint64_t standin_count(const char* event);  // "compile", "cached", "execute" since the last reset
const char* standin_broken(void);           // the rules broken since the last reset, one on each line
void standin_reset(void);                   // forgets counts, broken rules, the calling thread, and every object
}
