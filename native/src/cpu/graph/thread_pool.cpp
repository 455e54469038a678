#include "cpu/graph/thread_pool.h"

#include <pthread.h>
#ifdef __linux__
#include <sched.h>
#endif
#ifdef __APPLE__
#include <sys/sysctl.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

#include "buffers.h"
#include "cpu/graph/profile.h"

namespace anesdk::cpu {
namespace {

constexpr int kMaxThreads = 256;
constexpr auto kSpin = std::chrono::microseconds(40);

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins for a short time until done() holds; false when it did not.
template <typename Done>
bool spin_until(Done done) {
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (done()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  return false;
}

// On macOS the performance cores: a loop waits for its last share, and an efficiency core takes several times as long
// for one.
int allowed_cpus() {
#ifdef __APPLE__
  int32_t fast = 0;
  size_t size = sizeof fast;
  if (::sysctlbyname("hw.perflevel0.logicalcpu", &fast, &size, nullptr, 0) == 0 && fast > 0) return fast;
#endif
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

int default_threads() {
  int count = allowed_cpus();
  if (const char* text = std::getenv("ANEJAX_NUM_THREADS")) {
    char* end = nullptr;
    const long wanted = std::strtol(text, &end, 10);
    if (end != text && *end == '\0' && wanted > 0) count = static_cast<int>(std::min<long>(wanted, kMaxThreads));
  }
  return std::clamp(count, 1, kMaxThreads);
}

thread_local bool inside_loop = false;

// One loop, shared out in shrinking pieces: large ones first, small ones to even out the end.
struct Loop {
  int64_t n = 0;
  int64_t grain = 1;
  int64_t shares = 1;
  const RangeFn* fn = nullptr;
  std::atomic<int64_t> next{0};
  std::atomic<bool> failed{false};
  std::exception_ptr error;  // of the first failure; written by the thread that set `failed`

  void start(int64_t n_, int64_t grain_, int64_t threads, const RangeFn* fn_) {
    n = n_, grain = grain_, shares = 2 * threads, fn = fn_;
    error = nullptr;
    failed.store(false, std::memory_order_relaxed);
    next.store(0, std::memory_order_relaxed);
  }

  void work() {
    int64_t begin = next.load(std::memory_order_relaxed);
    while (begin < n) {
      const int64_t end = std::min(n, begin + std::max(grain, (n - begin) / shares));
      if (!next.compare_exchange_weak(begin, end, std::memory_order_relaxed)) continue;
      try {
        (*fn)(begin, end);
      } catch (...) {
        if (!failed.exchange(true)) error = std::current_exception();
        next.store(n, std::memory_order_relaxed);
      }
      begin = next.load(std::memory_order_relaxed);
    }
  }
};

struct InsideLoop {
  InsideLoop() { inside_loop = true; }
  ~InsideLoop() { inside_loop = false; }
};

}  // namespace

// A worker takes part in a loop only while its gate is open, so the caller never waits for one that is still waking.
struct ThreadPool::State {
  static constexpr uint64_t kOpen = uint64_t{1} << 32;  // the low half counts the workers inside

  std::mutex owner;  // held by the thread whose loop is running
  std::atomic<int> threads{default_threads()};
  std::vector<std::thread> workers;
  Loop loop;
  alignas(64) std::atomic<uint64_t> gate{0};
  alignas(64) std::atomic<uint32_t> round{0};
  std::atomic<int> sleepers{0};
  std::atomic<int64_t> busy_ns{0};
  std::atomic<bool> stop{false};

  bool enter() {
    uint64_t value = gate.load(std::memory_order_acquire);
    while (value & kOpen) {
      if (gate.compare_exchange_weak(value, value + 1, std::memory_order_acq_rel)) return true;
    }
    return false;
  }

  void worker() {
    inside_loop = true;
    uint32_t seen = 0;
    while (!stop.load(std::memory_order_relaxed)) {
      if (enter()) {
        const int64_t begin = Profile::is_on() ? now_ns() : 0;
        loop.work();
        if (begin != 0) busy_ns.fetch_add(now_ns() - begin, std::memory_order_relaxed);
        release_scratch();
        gate.fetch_sub(1, std::memory_order_release);
      }
      const auto changed = [&] { return round.load(std::memory_order_acquire) != seen; };
      if (!spin_until(changed)) {
        sleepers.fetch_add(1);
        round.wait(seen);
        sleepers.fetch_sub(1);
      }
      seen = round.load(std::memory_order_acquire);
    }
  }

  void wake() {
    round.fetch_add(1);
    if (sleepers.load() > 0) round.notify_all();
  }

  void ensure_workers() {
    const size_t wanted = static_cast<size_t>(threads.load() - 1);
    while (workers.size() < wanted) {
      try {
        workers.emplace_back([this] { worker(); });
      } catch (const std::system_error&) {
        threads.store(static_cast<int>(workers.size()) + 1);  // the system gives no more: go on with these
        return;
      }
    }
  }

  void stop_workers() {
    stop.store(true);
    wake();
    for (auto& thread : workers) thread.join();
    workers.clear();
    stop.store(false);
  }

  void run(int64_t n, int64_t grain, const RangeFn& fn) {
    ensure_workers();
    loop.start(n, grain, threads.load(), &fn);
    gate.store(kOpen, std::memory_order_release);
    wake();
    loop.work();
    gate.fetch_and(~kOpen, std::memory_order_acq_rel);
    const auto left = [&] { return gate.load(std::memory_order_acquire) == 0; };
    while (!spin_until(left)) std::this_thread::yield();
    if (loop.failed.load()) std::rethrow_exception(loop.error);
  }
};

// The one pool is never destroyed: its threads may still be waiting when the process ends.
ThreadPool::ThreadPool() : state_(new State) {
  // A forked child has none of its parent's threads: it leaves their State behind and starts with a fresh one.
  pthread_atfork(nullptr, nullptr, [] {
    auto& pool = ThreadPool::instance();
    auto* fresh = new State;
    fresh->threads.store(pool.num_threads());
    (void)pool.state_.release();
    pool.state_.reset(fresh);
    inside_loop = false;
  });
}

ThreadPool::~ThreadPool() = default;

ThreadPool& ThreadPool::instance() {
  static ThreadPool* pool = new ThreadPool;
  return *pool;
}

int64_t ThreadPool::busy_ns() const { return state_->busy_ns.load(std::memory_order_relaxed); }

int ThreadPool::num_threads() const { return state_->threads.load(std::memory_order_relaxed); }

void ThreadPool::parallel_for(int64_t n, int64_t grain, RangeFn fn) {
  if (n <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  if (inside_loop || n <= grain || num_threads() == 1) return fn(0, n);
  std::unique_lock<std::mutex> lock(state_->owner, std::try_to_lock);
  if (!lock.owns_lock()) return fn(0, n);  // the workers serve another thread: this one does its own work
  const InsideLoop mark;
  state_->run(n, grain, fn);
}

namespace {
thread_local Scratch own_scratch;
}

void* ThreadPool::scratch(size_t bytes) {
  if (bytes > own_scratch.bytes()) {
    own_scratch = Scratch();  // it may be what the pool would grow
    own_scratch = Scratch(std::max<size_t>(bytes, 64 * 1024));
  }
  return own_scratch.again(bytes);
}

void ThreadPool::release_scratch() {
  constexpr size_t kKept = size_t{1} << 20;  // blocks of this size are not worth the lock
  if (own_scratch.bytes() > kKept) own_scratch = Scratch();
}

void set_num_threads(int count) {
  if (count < 1 || count > kMaxThreads) throw std::invalid_argument("the number of threads must be 1 .. 256");
  auto& state = *ThreadPool::instance().state_;
  const std::lock_guard<std::mutex> lock(state.owner);
  state.stop_workers();
  state.threads.store(count);
}

int num_threads() { return ThreadPool::instance().num_threads(); }

}  // namespace anesdk::cpu
