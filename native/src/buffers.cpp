#include "buffers.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <thread>
#include <tuple>
#include <utility>

#include "idle_blocks.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ANESDK_WATCHED 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ANESDK_WATCHED 1
#endif
#ifdef ANESDK_WATCHED
#include <sanitizer/asan_interface.h>
#endif

namespace anesdk {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kHugeFrom = size_t{4} << 20;
constexpr size_t kMapFrom = size_t{1} << 20;  // the heap would keep what is freed
constexpr size_t kMaxIdleBuffers = size_t{1} << 30;
constexpr size_t kMaxBytes = size_t{1} << 46;
constexpr size_t kWorthATick = size_t{8} << 20;      // less than this may stay idle for ever
constexpr size_t kBand = 2 << SizeClass::kStepBits;  // size classes up to four times as large
constexpr uint64_t kTicks = 2;
constexpr auto kTick = std::chrono::seconds(5);

// The address sanitizer watches what nobody may touch: idle memory behind the links, and the slack of a size class.
void forbid([[maybe_unused]] void* from, [[maybe_unused]] size_t bytes) noexcept {
#ifdef ANESDK_WATCHED
  ASAN_POISON_MEMORY_REGION(from, bytes);
#endif
}
void permit([[maybe_unused]] void* from, [[maybe_unused]] size_t bytes) noexcept {
#ifdef ANESDK_WATCHED
  ASAN_UNPOISON_MEMORY_REGION(from, bytes);
#endif
}
void hand_out(void* block, size_t bytes, SizeClass size) noexcept {
  permit(block, size.bytes);
  forbid(static_cast<std::byte*>(block) + bytes, size.bytes - bytes);
}

// New pages from a multiple of `alignment` on (1: of any page's size); null when the system has none.
void* map(size_t bytes, size_t alignment) noexcept {
  const size_t more = bytes + (alignment > 1 ? alignment : 0);
  void* found = mmap(nullptr, more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (found == MAP_FAILED) return nullptr;
  auto* begin = static_cast<std::byte*>(found);
  const size_t before = (alignment - reinterpret_cast<uintptr_t>(begin) % alignment) % alignment;
  if (before > 0) munmap(begin, before);
  if (more > before + bytes) munmap(begin + before + bytes, more - before - bytes);
  return begin + before;
}

void* system_allocate(size_t bytes) noexcept {
  if (bytes < kMapFrom) return std::aligned_alloc(kAlignment, bytes);
  const bool huge = bytes >= kHugeFrom;
  void* block = map(bytes, huge ? kHugePage : 1);
#ifdef __linux__
  if (block && huge) madvise(block, bytes, MADV_HUGEPAGE);  // a hint: failing costs only speed
#endif
  return block;
}

void system_free(void* block, size_t bytes) noexcept {
  permit(block, bytes);
  if (bytes < kMapFrom) {
    std::free(block);
  } else {
    munmap(block, bytes);
  }
}

class Pool {
 public:
  static Pool& instance() {
    static Pool* pool = new Pool;  // never destroyed: buffers may outlive static destructors
    return *pool;
  }

  void* take_buffer(size_t bytes) {
    const SizeClass size = class_of(bytes);
    void* block = nullptr;
    {
      const std::lock_guard lock(mutex_);
      block = buffers_.take(size.index);
    }
    if (!block) block = fresh(size);
    hand_out(block, bytes, size);
    return block;
  }

  void give_buffer(void* block, size_t bytes) noexcept {
    const SizeClass size = SizeClass::of(bytes);
    Freed freed;
    const std::lock_guard lock(mutex_);
    put(buffers_, block, size);
    while (buffers_.bytes() > kMaxIdleBuffers) freed.add(buffers_, buffers_.oldest());
    watch();
  }

  // The smallest idle block that holds `bytes` and is not too large; else a new one, for which a smaller one makes way.
  std::pair<void*, size_t> take_scratch(size_t bytes) {
    SizeClass size = class_of(bytes);
    void* block = nullptr;
    {
      Freed freed;
      const std::lock_guard lock(mutex_);
      const size_t end = std::min(size.index + kBand + 1, SizeClass::kCount);
      for (size_t i = size.index; i < end && !block; ++i) {
        IdleBlocks::Block* idle = scratch_.take(i);
        if (!idle) continue;
        size = idle->size;
        block = idle;
      }
      if (!block) {
        IdleBlocks::Block* smaller = nullptr;
        for (size_t i = size.index; i-- > 0 && i + kBand >= size.index && !smaller;) smaller = scratch_.top(i);
        if (smaller) freed.add(scratch_, smaller);
      }
    }
    if (!block) block = fresh(size);
    hand_out(block, bytes, size);
    return {block, size.bytes};
  }

  void give_scratch(void* block, size_t bytes) noexcept {
    const std::lock_guard lock(mutex_);
    put(scratch_, block, SizeClass::of(bytes));
    watch();
  }

  IdleBytes idle() noexcept {
    const std::lock_guard lock(mutex_);
    return {buffers_.bytes(), scratch_.bytes()};
  }

  void tick() noexcept {
    Freed freed;
    const std::lock_guard lock(mutex_);
    ++age_;
    free_older(freed);
  }

  void release() noexcept {
    Freed freed;
    const std::lock_guard lock(mutex_);
    age_ += kTicks;
    free_older(freed);
  }

  void lock() { mutex_.lock(); }
  void unlock(bool in_child) {
    ticking_ = ticking_ && !in_child;
    mutex_.unlock();
  }

 private:
  // Blocks on their way to the system, which they reach when the pool is no longer locked.
  class Freed {
   public:
    void add(IdleBlocks& from, IdleBlocks::Block* block) noexcept {
      from.remove(block);
      block->older = first_;
      first_ = block;
    }
    ~Freed() {
      while (first_) {
        IdleBlocks::Block* block = std::exchange(first_, first_->older);
        system_free(block, block->size.bytes);
      }
    }

   private:
    IdleBlocks::Block* first_ = nullptr;
  };

  static SizeClass class_of(size_t bytes) {
    if (bytes > kMaxBytes) throw std::bad_alloc();
    return SizeClass::of(bytes);
  }

  void* fresh(SizeClass size) {
    void* block = system_allocate(size.bytes);
    if (!block) {
      release();
      block = system_allocate(size.bytes);
    }
    if (!block) throw std::bad_alloc();
    return block;
  }

  void put(IdleBlocks& blocks, void* block, SizeClass size) noexcept {
    permit(block, size.bytes);
    blocks.put(block, size, age_);
    constexpr size_t kLinks = SizeClass::kSmallest;
    forbid(static_cast<std::byte*>(block) + kLinks, size.bytes - kLinks);
  }

  void free_older(Freed& freed) noexcept {
    for (IdleBlocks* blocks : {&buffers_, &scratch_}) {
      while (blocks->oldest() && blocks->oldest()->since + kTicks <= age_) freed.add(*blocks, blocks->oldest());
    }
  }

  // Sees to it that a thread ticks while much is idle.
  void watch() noexcept {
    if (ticking_ || buffers_.bytes() + scratch_.bytes() < kWorthATick) return;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are for the threads of the program
    try {
      std::thread([this] { tick_while_idle(); }).detach();
      ticking_ = true;
    } catch (...) {  // the system has no thread now: the next block that becomes idle tries again
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void tick_while_idle() noexcept {
    while (true) {
      std::this_thread::sleep_for(kTick);
      tick();
      const std::lock_guard lock(mutex_);
      if (buffers_.bytes() + scratch_.bytes() >= kWorthATick) continue;
      ticking_ = false;
      return;
    }
  }

  std::mutex mutex_;
  IdleBlocks buffers_, scratch_;
  uint64_t age_ = 0;  // in ticks
  bool ticking_ = false;
};

}  // namespace

void* allocate(size_t bytes) { return Pool::instance().take_buffer(bytes); }

void deallocate(void* block, size_t bytes) noexcept {
  if (block) Pool::instance().give_buffer(block, bytes);
}

Scratch::Scratch(size_t bytes) { std::tie(data_, bytes_) = Pool::instance().take_scratch(bytes); }

Scratch& Scratch::operator=(Scratch&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

std::byte* Scratch::again(size_t bytes) const noexcept {
  if (data_) hand_out(data_, bytes, SizeClass::of(bytes_));
  return data();
}

Scratch::~Scratch() {
  if (data_) Pool::instance().give_scratch(data_, bytes_);
}

IdleBytes idle_bytes() noexcept { return Pool::instance().idle(); }
void age_idle_memory() noexcept { Pool::instance().tick(); }
void release_idle_memory() noexcept { Pool::instance().release(); }

void lock_pool() { Pool::instance().lock(); }
void unlock_pool(bool in_child) { Pool::instance().unlock(in_child); }

}  // namespace anesdk
