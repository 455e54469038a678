// Persistent worker threads with a low wake-up latency.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

namespace anesdk::cpu {

// A non-owning reference to a callable void(int64_t begin, int64_t end): no allocation per loop.
class RangeFn {
 public:
  template <typename F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, RangeFn>)
  RangeFn(F&& f)  // NOLINT: implicit on purpose
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(f)))),
        call_([](void* object, int64_t begin, int64_t end) {
          (*static_cast<std::remove_reference_t<F>*>(object))(begin, end);
        }) {}
  void operator()(int64_t begin, int64_t end) const { call_(object_, begin, end); }

 private:
  void* object_;
  void (*call_)(void*, int64_t, int64_t);
};

class ThreadPool {
 public:
  static ThreadPool& instance();

  // Calls fn on disjoint ranges that cover [0, n), each of at least `grain` elements (but the last), from several
  // threads; returns when all are done. Which thread takes which range is not fixed. Calls from inside a worker or
  // inside another parallel_for of the same thread run inline. The first exception thrown by fn is rethrown here.
  void parallel_for(int64_t n, int64_t grain, RangeFn fn);

  int num_threads() const;  // the calling thread included
  int64_t busy_ns() const;  // what workers have spent in loops while a profile was recorded

  // A 64-byte aligned block of the calling thread's own, at least `bytes` long, valid until its next call of scratch.
  // Contents are arbitrary. Throws std::bad_alloc.
  static void* scratch(size_t bytes);

  // Gives a large block of the calling thread back to the memory that all programs share. Workers do so after a loop,
  // whoever runs a program at its end.
  static void release_scratch();

  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

 private:
  friend void set_num_threads(int);
  ThreadPool();
  ~ThreadPool();
  struct State;
  std::unique_ptr<State> state_;
};

void set_num_threads(int count);  // 1 .. 256; out of range throws std::invalid_argument
int num_threads();

}  // namespace anesdk::cpu
