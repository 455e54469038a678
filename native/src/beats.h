// Short messages by which each process tells the others, while it computes, that it lives, how far it has come and how
// much work it does. So a process that was stopped, or whose machine or network is gone, is noticed within seconds, and
// so is one that does nothing while the others wait for it. A process that computes something else is named.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "anesdk.h"
#include "mpi_calls.h"

namespace anesdk::processes {

// MPI may be asked by one thread at a time: all functions are to be called by the thread that may.
class Beats {
 public:
  explicit Beats(const anesdk_processes& table);

  // Sends and receives what is due. To be called a few times in each second.
  void turn();

  // This process begins one more call that the others must come to.
  void begin_call() { ++own_.calls; }

  // Around each wait for the others, by any thread.
  void begin_wait();
  void end_wait() { --waits_; }

  // This process has nothing more to do, so idle processes may take their time.
  void be_patient() { table_.idle = 0; }

  // Throws mil::Error when a process sent nothing for nine seconds, or for half of the table's timeout if that is less.
  void require_all() const;

  // While this process waits: throws mil::Error when it has waited for the table's idle time for a process that did
  // nothing in that time.
  void require_busy() const;

  // "process 1 on machine-b" for the process that is furthest behind this one, else "another process".
  std::string late() const;

  // Tells the others that this process leaves MPI. Then to be called until it returns true: nothing is on its way.
  bool leave();

 private:
  using Clock = std::chrono::steady_clock;

  struct Beat {
    int64_t calls = 0;
    int64_t leaving = 0;
    int64_t waits = 0;         // how many threads wait for other processes
    int64_t microseconds = 0;  // of processor time that it has used
    int64_t moves = 0;         // changes whenever it waits for a disk or for the engine
    char machine[64] = {};
  };

  struct Other {
    int32_t index;
    Beat in, out;
    Request receive, send;
    bool receives = false, sends = false;
    Beat known;  // its latest beat
    Clock::time_point heard, told;
    Beat mark;  // its beat when it was last seen to be busy
    Clock::time_point busy;
  };

  void receive(Other& other);
  void listen(Other& other, Clock::time_point now);  // takes what came, and sees whether what was sent has arrived
  void take_stock();                                 // of what this process did since the last time
  void tell(Other& other, Clock::time_point now);
  void judge(Other& other, Clock::time_point now) const;  // whether it is busy, by what it told
  static std::string name(const Other& other);

  anesdk_processes table_;
  Beat own_;
  int64_t blocks_ = 0;                          // that this process has read and written
  std::vector<std::unique_ptr<Other>> others_;  // MPI keeps addresses in them
  Clock::time_point turned_, took_stock_;
  std::atomic<int64_t> waits_{0};
  std::atomic<Clock::time_point> waits_since_{};
};

}  // namespace anesdk::processes
