// Host memory that is used again: blocks that were released are kept, so that a training step, which asks for the same
// sizes again and again, neither enters the kernel nor takes page faults. Memory that stays idle goes back to the
// system: a block that was not used for two ticks of a clock is freed, and a thread ticks every few seconds.
#pragma once

#include <cstddef>

namespace anesdk {

// ---- buffers: many at a time, their number up to the caller

// At least `bytes` bytes, 64-byte aligned, which may be 0, of arbitrary content. Thread-safe. Throws std::bad_alloc.
void* allocate(size_t bytes);

// `bytes` is what allocate was asked for.
void deallocate(void* block, size_t bytes) noexcept;

// ---- scratch: memory of one run of a program, shared by all programs that do not run at the same time

// Memory for as long as it lives; 64-byte aligned, of arbitrary content. One of another program's size will do: up to
// four times as large as asked for, or a smaller one makes way, so each thread of runs keeps about its largest.
class Scratch {
 public:
  Scratch() = default;
  explicit Scratch(size_t bytes);  // throws std::bad_alloc
  Scratch(Scratch&& other) noexcept : data_(other.data_), bytes_(other.bytes_) {
    other.data_ = nullptr, other.bytes_ = 0;
  }
  Scratch& operator=(Scratch&& other) noexcept;
  ~Scratch();

  std::byte* data() const { return static_cast<std::byte*>(data_); }
  size_t bytes() const { return bytes_; }  // there is; at least what was asked for

  // The memory for another use, which needs `bytes` of it: the address sanitizer watches the rest.
  std::byte* again(size_t bytes) const noexcept;

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

// ---- idle memory

struct IdleBytes {
  size_t buffers, scratch;
};
IdleBytes idle_bytes() noexcept;

// One tick: frees what has been idle for two of them.
void age_idle_memory() noexcept;

// Frees all idle memory.
void release_idle_memory() noexcept;

// Held across fork(), so that the child never inherits the pool in the middle of a change. The child has no thread that
// ticks, and starts one when it needs it.
void lock_pool();
void unlock_pool(bool in_child);

}  // namespace anesdk
