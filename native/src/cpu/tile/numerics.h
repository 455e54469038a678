// The engine's numerics on the CPU device: what a value computed in float32 becomes there, and a count of what that
// loses. Values lie in memory as float32 that float16 can hold. Facts as public projects report them.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <span>
#include <string>

namespace anesdk::cpu {

// Products and convolutions give infinity from this magnitude on: their sums are kept in 16 bits before the point.
inline constexpr float kProductLimit = 32768.0f;
// Everything else has the range of float16: what rounds beyond 65504 is infinite.
inline constexpr float kHalfLimit = 65520.0f;
// The engine's log of 0, and the number from which on its softplus is 0.
inline constexpr double kLogOfZero = -45440.0;
inline constexpr double kSoftplusEnd = 11.09;

// One operation of the program, or one of its inputs, whose values settle. Counts are of all runs so far.
struct Site {
  std::string name, operation;  // as in the MIL text; "input" for an input
  int64_t elements = 0;         // that one run computes
  float limit = kHalfLimit;     // magnitudes that become infinite
  bool input = false;           // NaN comes in here, as it does nowhere else, and becomes infinity
  bool narrow = false;          // a sum that is kept in float16
  std::atomic<int64_t> overflowed = 0, underflowed = 0, zeroed = 0, nan = 0;
  std::atomic<int64_t> nan_of_finite = 0;  // those of nan whose operands were all finite
  std::atomic<uint64_t>* flags = nullptr;  // of the program: anesdk_program_numerics
  std::atomic<float> largest = 0;          // finite magnitude before rounding
  std::atomic<float> sum_error = 0;        // narrow: the largest error, as a part of the sum of magnitudes
};

void raise(std::atomic<float>* most, float value);  // most = max(most, value)

// An operand: element i of the result was computed from its element i / repeat, or from its only one.
struct Operand {
  const float* data = nullptr;
  bool scalar = false;
  int64_t repeat = 1;
  float at(int64_t i) const { return data[scalar ? 0 : i / repeat]; }
};

// dst[i] = src[i] as the engine would have it: rounded to float16, infinite from the limit on, 0 where the result is
// NaN. dst may be src or an operand that is read element by element. An infinite src counts as overflow when there are
// operands and all are finite. Only a chunk that holds such elements raises the program's flags.
void settle(Site* site, const float* src, float* dst, int64_t count, std::span<const Operand> operands);

// The sites of a program; adding is for one thread, counting for all.
class Numerics {
 public:
  Site* add(std::string name, std::string operation, int64_t elements);
  uint64_t flags() const { return flags_.load(std::memory_order_relaxed); }
  void count_run() { runs_.fetch_add(1, std::memory_order_relaxed); }
  std::string json() const;  // describe("numerics")

 private:
  std::deque<Site> sites_;
  std::atomic<uint64_t> flags_ = 0;
  std::atomic<int64_t> runs_ = 0;
};

}  // namespace anesdk::cpu
