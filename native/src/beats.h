// Short messages by which each process tells the others, while it computes, that it lives and how far it has come. So a
// process that was stopped, or whose machine or network is gone, is noticed within seconds, and a process that computes
// something else is told apart from it and named.
#pragma once

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

  // Throws mil::Error when a process sent nothing for ten seconds, or for half of the table's timeout if that is less.
  void require_all() const;

  // "process 1 on machine-b" for the first process that has begun fewer calls than this one, else "another process".
  std::string late() const;

  // Tells the others that this process leaves MPI. Then to be called until it returns true: nothing is on its way.
  bool leave();

 private:
  using Clock = std::chrono::steady_clock;

  struct Beat {
    int64_t calls = 0;
    int64_t leaving = 0;
    char machine[64] = {};
  };

  struct Other {
    int32_t index;
    Beat in, out;
    Request receive, send;
    bool receives = false, sends = false;
    Beat known;  // its latest beat
    Clock::time_point heard, told;
  };

  void receive(Other& other);
  void listen(Other& other, Clock::time_point now);  // takes what came, and sees whether what was sent has arrived
  void tell(Other& other, Clock::time_point now);
  static std::string name(const Other& other);

  anesdk_processes table_;
  Beat own_;
  std::vector<std::unique_ptr<Other>> others_;  // MPI keeps addresses in them
  Clock::time_point turned_;
};

}  // namespace anesdk::processes
