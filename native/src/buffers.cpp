#include "buffers.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace anesdk {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kHugeFrom = size_t{4} << 20;
constexpr size_t kMaxPooled = size_t{1} << 30;
constexpr size_t kMaxBytes = size_t{1} << 46;
constexpr unsigned kStepBits = 2;  // four size classes per power of two: at most a quarter of a block is slack

struct SizeClass {
  size_t index;
  size_t bytes;
};

SizeClass size_class(size_t bytes) {
  if (bytes <= kAlignment) return {0, kAlignment};
  const unsigned shift = static_cast<unsigned>(std::bit_width(bytes - 1)) - 1 - kStepBits;
  const size_t steps = ((bytes - 1) >> shift) + 1;  // 5 .. 8 quarters
  const size_t rounded = steps << shift;
  return {(size_t{shift} << kStepBits) + steps, (rounded + kAlignment - 1) / kAlignment * kAlignment};
}

void* system_allocate(size_t bytes) {
  const bool huge = bytes >= kHugeFrom;
  void* block = nullptr;
  if (posix_memalign(&block, huge ? kHugePage : kAlignment, bytes) != 0) return nullptr;
#ifdef __linux__
  if (huge) madvise(block, bytes, MADV_HUGEPAGE);
#endif
  return block;
}

class Pool {
 public:
  static Pool& instance() {
    static Pool* pool = new Pool;  // never destroyed: buffers may outlive static destructors
    return *pool;
  }

  void* take(size_t bytes) {
    if (bytes > kMaxBytes) throw std::bad_alloc();
    const SizeClass c = size_class(bytes);
    if (void* block = reuse(c)) return block;
    void* block = system_allocate(c.bytes);
    if (!block) {
      drain();
      block = system_allocate(c.bytes);
    }
    if (!block) throw std::bad_alloc();
    return block;
  }

  void give(void* block, size_t bytes) noexcept {
    if (!keep(block, size_class(bytes))) std::free(block);
  }

  std::mutex& mutex() { return mutex_; }

  size_t pooled() noexcept {
    const std::lock_guard lock(mutex_);
    return pooled_;
  }

 private:
  void* reuse(SizeClass c) {
    const std::lock_guard lock(mutex_);
    std::vector<void*>& blocks = free_[c.index];
    if (blocks.empty()) return nullptr;
    void* block = blocks.back();
    blocks.pop_back();
    pooled_ -= c.bytes;
    return block;
  }

  bool keep(void* block, SizeClass c) noexcept {
    const std::lock_guard lock(mutex_);
    if (pooled_ + c.bytes > kMaxPooled) return false;
    try {
      free_[c.index].push_back(block);
    } catch (const std::bad_alloc&) {
      return false;
    }
    pooled_ += c.bytes;
    return true;
  }

  void drain() noexcept {
    const std::lock_guard lock(mutex_);
    for (std::vector<void*>& blocks : free_) {
      for (void* block : blocks) std::free(block);
      blocks.clear();
    }
    pooled_ = 0;
  }

  std::mutex mutex_;
  std::array<std::vector<void*>, 256> free_;
  size_t pooled_ = 0;
};

}  // namespace

void* allocate(size_t bytes) { return Pool::instance().take(bytes); }

void deallocate(void* block, size_t bytes) noexcept {
  if (block) Pool::instance().give(block, bytes);
}

size_t pooled_bytes() noexcept { return Pool::instance().pooled(); }

void lock_pool() { Pool::instance().mutex().lock(); }
void unlock_pool() { Pool::instance().mutex().unlock(); }

}  // namespace anesdk
