// Reasons why a process that uses no processor time is not idle.
#pragma once

#include <atomic>

namespace anesdk {

// As long as one lives, something works for this process, such as the engine: it is not idle (beats.h).
class Busy {
 public:
  Busy() { ++count(); }
  ~Busy() { --count(); }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

  static bool any() { return count() > 0; }

 private:
  static std::atomic<int>& count() {
    static std::atomic<int> count{0};
    return count;
  }
};

}  // namespace anesdk
