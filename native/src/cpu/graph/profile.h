// The recorder of profiles: the time of each step. While no profile is recorded, a run reads one flag.
#pragma once

#include <atomic>
#include <cstdint>

#include "anesdk.h"

namespace anesdk::cpu {

class Profile {
 public:
  static bool is_on() { return on_.load(std::memory_order_relaxed); }
  static void start(uint64_t capacity);  // forgets earlier events; throws std::bad_alloc
  static void stop();
  static void record(anesdk_event event);  // the thread is filled in; counted only once there is no room
  static uint64_t events();
  static uint64_t dropped();
  static uint64_t read(anesdk_event* out, uint64_t count);  // how many were written

 private:
  static std::atomic<bool> on_;
};

int64_t now_ns();  // of the steady clock

}  // namespace anesdk::cpu
