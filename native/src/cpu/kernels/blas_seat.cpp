#include "cpu/kernels/blas_seat.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <new>

namespace anesdk::cpu {
namespace {

constexpr size_t kBuffer = size_t{128} << 20;  // more than OpenBLAS maps for one call, so that others find some as well
constexpr int kMost = 48;                      // OpenBLAS has buffers for 50 calls at least (NUM_BUFFERS)

std::atomic<int> taken{0};
std::atomic<bool> first_exists{false};

bool commits_strictly() {
  static const bool strictly = [] {
    int mode = 0;
    if (std::FILE* file = std::fopen("/proc/sys/vm/overcommit_memory", "r")) {
      if (std::fscanf(file, "%d", &mode) != 1) mode = 0;
      std::fclose(file);
    }
    return mode == 2;
  }();
  return strictly;
}

// Address space is what is short when OpenBLAS fails: it maps its buffer and touches it later. Without limits on it
// there is always enough, and nothing to try.
bool can_map(size_t bytes) {
  rlimit limit{};
  const bool limited = getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  if (!limited && !commits_strictly()) return true;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  munmap(memory, bytes);
  return true;
}

}  // namespace

BlasSeat::BlasSeat() {
  const int place = taken.fetch_add(1, std::memory_order_relaxed) + 1;
  const bool exists = place == 1 && first_exists.load(std::memory_order_relaxed);
  granted_ = exists || (place <= kMost && can_map(kBuffer));
}

BlasSeat::~BlasSeat() { taken.fetch_sub(1, std::memory_order_relaxed); }

void BlasSeat::require() const {
  if (!granted_) throw std::bad_alloc();
}

void BlasSeat::warmed() { first_exists.store(true, std::memory_order_relaxed); }

}  // namespace anesdk::cpu
