#include "ane/worker.h"

#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "busy.h"
#include "hosted_call.h"
#include "mil/error.h"

namespace anesdk::ane {

using std::chrono::steady_clock;

struct Worker::Job {
  std::function<void()> body;
  std::exception_ptr error;
  std::chrono::milliseconds limit;
  steady_clock::time_point deadline;  // once it runs
  enum { WAITING, RUNNING, DONE } state = WAITING;
};

namespace {

// Secondary threads of macOS have 512 KiB, the main thread, which Espresso is usually called from, has 8 MiB.
constexpr size_t kStackBytes = size_t{8} << 20;

}  // namespace

Worker::Worker(const AutoreleasePools& pools) : process_(::getpid()), pools_(pools) {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, kStackBytes);
  const int error = ::pthread_create(&thread_, &attributes, start, this);
  ::pthread_attr_destroy(&attributes);
  if (error) throw mil::Error("[ane] a thread for the engine cannot be started", ANESDK_OUT_OF_MEMORY);
}

void* Worker::start(void* worker) {
  static_cast<Worker*>(worker)->loop();
  return nullptr;
}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  ::pthread_join(thread_, nullptr);
}

bool Worker::in_own_process() const { return ::getpid() == process_; }

void Worker::check_process() const {
  if (!in_own_process())
    throw mil::Error(
        "[ane] the engine cannot be used in a process that was forked after it had been: start processes with the "
        "spawn method",
        ANESDK_ENGINE_MISSING);
}

void Worker::fail_stuck() {
  throw mil::Error("[ane] the engine still has not returned from an earlier call", ANESDK_TIMEOUT);
}

void Worker::wait(Lock& lock) {
  auto until = steady_clock::now() + kHostInterval;
  if (running_) until = std::min(until, running_->deadline);
  done_.wait_until(lock, until);
  if (running_ && !stuck_ && steady_clock::now() >= running_->deadline) {
    stuck_ = true;
    done_.notify_all();
  }
  lock.unlock();
  waited();
  lock.lock();
}

void Worker::wait_for_abandoned() {
  Lock lock(mutex_);
  while (abandoned_ && !stuck_) wait(lock);
  if (stuck_) fail_stuck();
}

void Worker::give_up(const std::shared_ptr<Job>& job) {
  const std::lock_guard lock(mutex_);
  queue_.erase(std::remove(queue_.begin(), queue_.end(), job), queue_.end());
  abandoned_ |= running_ == job;
}

void Worker::call(const char* what, std::chrono::milliseconds limit, std::function<void()> body) {
  check_process();
  const Busy busy;
  const auto job = std::make_shared<Job>();
  job->body = std::move(body);
  job->limit = limit;
  Lock lock(mutex_);
  if (stuck_) fail_stuck();
  queue_.push_back(job);
  wake_.notify_all();
  try {
    while (job->state != Job::DONE) {
      wait(lock);
      if (!stuck_ || job->state == Job::DONE) continue;
      if (job != running_) fail_stuck();
      const double seconds = std::chrono::duration<double>(limit).count();
      throw mil::Error(std::string("[ane] ") + what + " took longer than " + std::to_string(seconds) + " s",
                       ANESDK_TIMEOUT);
    }
  } catch (...) {
    if (lock) lock.unlock();
    give_up(job);
    throw;
  }
  lock.unlock();
  if (job->error) std::rethrow_exception(std::exchange(job->error, nullptr));
}

// The objects that the body owned are gone before the caller goes on, and before the pool is.
void Worker::run(Job& job) {
  void* const pool = pools_.push && pools_.pop ? pools_.push() : nullptr;
  try {
    std::exchange(job.body, nullptr)();
  } catch (...) {
    job.error = std::current_exception();
  }
  if (pool) pools_.pop(pool);
}

void Worker::loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const std::shared_ptr<Job> job = std::move(queue_.front());
    queue_.pop_front();
    job->deadline = steady_clock::now() + job->limit;
    job->state = Job::RUNNING;
    running_ = job;
    done_.notify_all();
    lock.unlock();
    run(*job);
    lock.lock();
    job->state = Job::DONE;
    running_ = nullptr;
    stuck_ = abandoned_ = false;
    done_.notify_all();
  }
}

}  // namespace anesdk::ane
