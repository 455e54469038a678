// What a long call owes its host (anesdk.h, anesdk_host): to give its lock back meanwhile, and to ask now and then
// whether to go on.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "anesdk.h"

namespace anesdk {

// The call that the calling thread is in, for as long as this object lives. Such calls nest: what the host does when it
// is asked may call again.
class HostedCall {
 public:
  // `released` is what host->release() returned; it changes whenever the host is asked. host may be null: then nobody
  // is.
  HostedCall(const anesdk_host* host, void** released);
  ~HostedCall();
  HostedCall(const HostedCall&) = delete;
  HostedCall& operator=(const HostedCall&) = delete;

  static HostedCall* current();  // null when nobody is to be asked

  // Counts work, in bytes that it reads and writes; the clock is read once in a while, and the host asked once in about
  // 50 ms. Throws mil::Error(ANESDK_INTERRUPTED) when the host wants the call to end.
  void spent(int64_t bytes) {
    left_ -= bytes;
    if (left_ < 0) look();
  }

 private:
  void look();

  const anesdk_host* host_;
  void** released_;
  HostedCall* outer_;
  int64_t left_;
  std::chrono::steady_clock::time_point next_{};
};

// The same for work whose bytes nobody knows, such as one operation of a program that is compiled.
void spent_a_little();

// For threads that wait: to be called every kHostInterval or more often, with nothing locked that what the host does
// may want. Throws as spent() does.
inline constexpr std::chrono::milliseconds kHostInterval{50};
void waited();

}  // namespace anesdk
