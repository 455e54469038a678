#include "cpu/graph/profile.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <vector>

namespace anesdk::cpu {
namespace {

// Never destroyed, as threads may still run programs while the process exits.
struct Recorded {
  std::mutex mutex;
  std::vector<anesdk_event> events;
  uint64_t capacity = 0, dropped = 0;
};

Recorded& recorded() {
  static auto* found = new Recorded;
  return *found;
}

// Another thread may be recording when a process forks; in the child nobody would release its lock.
[[maybe_unused]] const int fork_handlers = pthread_atfork(
    [] { recorded().mutex.lock(); }, [] { recorded().mutex.unlock(); }, [] { recorded().mutex.unlock(); });

uint32_t thread_number() {
  static std::atomic<uint32_t> count{0};
  thread_local const uint32_t number = count++;
  return number;
}

}  // namespace

std::atomic<bool> Profile::on_{false};

int64_t now_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

void Profile::start(uint64_t capacity) {
  Recorded& r = recorded();
  const std::lock_guard<std::mutex> lock(r.mutex);
  r.events.clear();
  r.events.reserve(std::min<uint64_t>(capacity, 4096));
  r.capacity = capacity;
  r.dropped = 0;
  on_.store(true);
}

void Profile::stop() { on_.store(false); }

void Profile::record(anesdk_event event) {
  event.thread = thread_number();
  Recorded& r = recorded();
  const std::lock_guard<std::mutex> lock(r.mutex);
  if (r.events.size() < r.capacity) {
    r.events.push_back(event);
  } else {
    ++r.dropped;
  }
}

uint64_t Profile::events() {
  const std::lock_guard<std::mutex> lock(recorded().mutex);
  return recorded().events.size();
}

uint64_t Profile::dropped() {
  const std::lock_guard<std::mutex> lock(recorded().mutex);
  return recorded().dropped;
}

uint64_t Profile::read(anesdk_event* out, uint64_t count) {
  Recorded& r = recorded();
  const std::lock_guard<std::mutex> lock(r.mutex);
  const uint64_t given = std::min<uint64_t>(count, r.events.size());
  std::copy_n(r.events.begin(), given, out);
  return given;
}

}  // namespace anesdk::cpu
