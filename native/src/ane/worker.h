// The one thread that calls Espresso. Callers wait for their job, but not forever.
#pragma once

#include <pthread.h>
#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>

#include "ane/calls.h"

namespace anesdk::ane {

class Worker {
 public:
  explicit Worker(const AutoreleasePools& pools = {});  // one around each job
  ~Worker();                                            // waits for the job under way
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Runs `body` on the thread and throws what it throws. `what` names it in the error when it takes longer than `limit`
  // from its start; it goes on then, so it must own what it uses, and until it ends every other call fails at once.
  // While it waits the host of the calling thread is asked: where that ends the call, a body that has begun goes on as
  // well, and other calls wait for it.
  void call(const char* what, std::chrono::milliseconds limit, std::function<void()> body);

  // Throws in a process that was forked off the one that made the worker: Espresso does not survive a fork.
  void check_process() const;
  bool in_own_process() const;
  // Waits for what goes on though its call was ended; throws where that takes longer than its limit.
  void wait_for_abandoned();

 private:
  struct Job;
  using Lock = std::unique_lock<std::mutex>;
  [[noreturn]] static void fail_stuck();
  void wait(Lock& lock);  // for what done_ tells of, or until something is due; asks the host
  void give_up(const std::shared_ptr<Job>& job);
  static void* start(void* worker);
  void loop();
  void run(Job& job);

  pid_t process_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::deque<std::shared_ptr<Job>> queue_;
  std::shared_ptr<Job> running_;
  bool stuck_ = false;      // the job under way passed its limit
  bool abandoned_ = false;  // nobody waits for the job under way
  bool stopping_ = false;
  AutoreleasePools pools_;
  pthread_t thread_;
};

}  // namespace anesdk::ane
