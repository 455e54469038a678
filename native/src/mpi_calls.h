// The functions of MPI as the library calls them: by addresses that the host found, in a table (anesdk_processes).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "anesdk.h"
#include "mil/error.h"

namespace anesdk::processes {

// MPI's handles are 32-bit integers in some libraries (MPICH) and pointers in others (Open MPI, the ABI of MPI 5). Both
// are passed as 64-bit integers here: the calling conventions of x86-64 and of arm64 put either into one register or
// into one 8-byte slot of the stack, and a function that takes 32 bits reads the lower half (System V ABI of AMD64,
// section 3.2.3; Procedure Call Standard for the Arm 64-bit Architecture, section 6.8.2). Apple's arm64 packs arguments
// on the stack, which no call here reaches there: the first eight are in registers.
using Handle = uint64_t;
using Reduce = int (*)(const void*, void*, int, Handle, Handle, Handle, void*);
using Spread = int (*)(const void*, int, Handle, void*, int, Handle, Handle, void*);
using Send = int (*)(const void*, int, Handle, int, int, Handle, void*);
using Receive = int (*)(void*, int, Handle, int, int, Handle, void*);
using Test = int (*)(void*, int*, void*);

// One of MPI's requests.
struct Request {
  alignas(16) std::byte bytes[16] = {};
};

[[noreturn]] inline void fail(const std::string& what) {
  throw mil::Error("[processes] " + what, ANESDK_RUNTIME_ERROR);
}

inline void check(int code, const char* call) {
  if (code != 0) fail(std::string(call) + " of MPI failed with code " + std::to_string(code) + ".");
}

// A function of the table.
template <class Function>
Function function(const void* address) {
  return reinterpret_cast<Function>(const_cast<void*>(address));
}

// True if `request` has ended.
inline bool ended(const anesdk_processes& table, Request* request) {
  alignas(16) std::byte status[256];
  int done = 0;
  check(function<Test>(table.test)(request->bytes, &done, status), "Test");
  return done != 0;
}

}  // namespace anesdk::processes
