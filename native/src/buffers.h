// Pooled, 64-byte aligned host memory. A training step asks for the same sizes again and again: blocks that were
// released are kept by size class, so that a step neither enters the kernel nor takes page faults.
#pragma once

#include <cstddef>

namespace anesdk {

// At least `bytes` bytes, which may be 0, of arbitrary content. Thread-safe. Throws std::bad_alloc.
void* allocate(size_t bytes);

// `bytes` is what allocate was asked for.
void deallocate(void* block, size_t bytes) noexcept;

// Bytes kept for reuse at the moment.
size_t pooled_bytes() noexcept;

// Held across fork(), so that the child never inherits the pool in the middle of a change.
void lock_pool();
void unlock_pool();

}  // namespace anesdk
