#include "hosted_call.h"

#include <pthread.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <utility>

#include "mil/error.h"

namespace anesdk {
namespace {

using std::chrono::steady_clock;

constexpr int64_t kBytes = int64_t{1} << 18;  // some 25 us of elementwise work: a thousand times what a clock costs

thread_local HostedCall* innermost = nullptr;

// While the host does something it has its lock, and is not asked by what it calls.
class Unasked {
 public:
  Unasked() : call_(std::exchange(innermost, nullptr)) {}
  ~Unasked() { innermost = call_; }

 private:
  HostedCall* call_;
};

// Hosts handle signals on the main thread. Others need not be asked, and must not: Python ends daemon threads where
// they ask for its lock, by unwinding that the frames of a running program would not survive.
bool on_main_thread() {
#ifdef __APPLE__
  return pthread_main_np() != 0;
#else
  return syscall(SYS_gettid) == getpid();
#endif
}

}  // namespace

HostedCall::HostedCall(const anesdk_host* host, void** released)
    : host_(host), released_(released), outer_(innermost), left_(kBytes) {
  innermost = host ? this : nullptr;
}

HostedCall::~HostedCall() { innermost = outer_; }

HostedCall* HostedCall::current() { return innermost; }

void HostedCall::look() {
  left_ = kBytes;
  const auto now = steady_clock::now();
  if (next_ == steady_clock::time_point{}) next_ = now + kHostInterval;
  if (now < next_) return;
  bool stop = false;
  if (on_main_thread()) {
    const Unasked unasked;
    host_->acquire(*released_);
    stop = host_->check() != 0;
    *released_ = host_->release();
  }
  next_ = steady_clock::now() + kHostInterval;
  if (stop) throw mil::Error("[run] the caller ended the call", ANESDK_INTERRUPTED);
}

void spent_a_little() {
  if (innermost) innermost->spent(kBytes / 16);
}

void waited() {
  if (innermost) innermost->spent(kBytes + 1);
}

}  // namespace anesdk
