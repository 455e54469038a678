#include <cstdint>
#include <cstring>
#include <new>
#include <set>
#include <vector>

#include "buffers.h"
#include "check.h"
#include "cpu/graph/thread_pool.h"

namespace {

using namespace anesdk;

TEST(blocks_are_used_again) {
  for (const size_t bytes : {size_t{100}, size_t{100000}, size_t{9} << 20}) {
    void* block = allocate(bytes);
    deallocate(block, bytes);
    CHECK(allocate(bytes - 2) == block);  // of the same size class
    deallocate(block, bytes);
  }
}

TEST(blocks_are_large_enough) {
  std::set<void*> live;
  std::vector<std::pair<void*, size_t>> blocks;
  for (size_t bytes = 0; bytes < 70000; bytes = bytes * 9 / 8 + 1) {
    void* block = allocate(bytes);
    CHECK_EQ(reinterpret_cast<uintptr_t>(block) % 64, 0u);
    CHECK(live.insert(block).second);
    std::memset(block, 1, bytes);  // the address sanitizer watches
    blocks.emplace_back(block, bytes);
  }
  for (const auto& [block, bytes] : blocks) deallocate(block, bytes);
}

TEST(the_pool_has_a_cap) {
  constexpr size_t kBytes = size_t{192} << 20;  // never touched, so never real memory
  std::vector<void*> blocks;
  for (int i = 0; i < 10; ++i) blocks.push_back(allocate(kBytes));
  for (void* block : blocks) deallocate(block, kBytes);
  CHECK(idle_bytes().buffers <= size_t{1} << 30);
  CHECK(idle_bytes().buffers >= kBytes);
}

TEST(the_cap_is_for_what_was_used_longest_ago) {
  constexpr size_t kBytes = size_t{400} << 20;
  for (void* block : {allocate(kBytes), allocate(kBytes)}) deallocate(block, kBytes);
  void* newest = allocate(size_t{300} << 20);
  deallocate(newest, size_t{300} << 20);  // passes the cap: one of the others goes
  CHECK(allocate(size_t{300} << 20) == newest);
  deallocate(newest, size_t{300} << 20);
  release_idle_memory();
}

TEST(idle_memory_goes_back) {
  release_idle_memory();
  CHECK_EQ(idle_bytes().buffers + idle_bytes().scratch, 0u);
  const size_t kBytes = size_t{3} << 20;
  deallocate(allocate(kBytes), kBytes);
  {
    const Scratch scratch(kBytes);
  }
  age_idle_memory();
  CHECK_EQ(idle_bytes().buffers, kBytes);
  CHECK_EQ(idle_bytes().scratch, kBytes);
  {
    const Scratch scratch(kBytes);
  }  // used again: stays
  age_idle_memory();
  CHECK_EQ(idle_bytes().buffers, 0u);
  CHECK_EQ(idle_bytes().scratch, kBytes);
  age_idle_memory();
  CHECK_EQ(idle_bytes().scratch, 0u);
}

TEST(programs_of_many_sizes_share_scratch) {
  release_idle_memory();
  const std::byte* largest = nullptr;
  for (size_t mib = 8; mib <= 64; ++mib) largest = Scratch(mib << 20).data();  // each a little larger than the last
  CHECK_EQ(idle_bytes().scratch, size_t{64} << 20);
  for (const size_t mib : {40, 16, 33, 64}) CHECK(Scratch(mib << 20).data() == largest);
  CHECK(Scratch(size_t{12} << 20).data() != largest);  // it would keep more than four times what it needs
  for (int turn = 0; turn < 3; ++turn) {
    const Scratch small(size_t{2} << 20);
    CHECK(Scratch(size_t{50} << 20).data() == largest);
  }
  release_idle_memory();
}

TEST(scratch_of_runs_at_the_same_time_is_apart) {
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{100}, size_t{70001}, size_t{5000011}}) {
    const Scratch a(bytes), b(bytes);
    CHECK(a.bytes() >= bytes);
    CHECK(a.data() != b.data());
    CHECK_EQ(reinterpret_cast<uintptr_t>(a.data()) % 64, 0u);
    if (bytes > 0) std::memset(a.data(), 1, bytes), std::memset(b.data(), 2, bytes);
    CHECK(bytes == 0 || a.data()[bytes - 1] == std::byte{1});
  }
}

TEST(a_thread_gives_its_large_scratch_back) {
  cpu::ThreadPool::scratch(size_t{6} << 20);
  release_idle_memory();
  cpu::ThreadPool::release_scratch();
  CHECK_EQ(idle_bytes().scratch, size_t{6} << 20);
  release_idle_memory();
}

TEST(impossible_sizes) {
  for (const size_t bytes : {SIZE_MAX, SIZE_MAX / 2, size_t{1} << 47}) {
    bool threw = false;
    try {
      allocate(bytes);
    } catch (const std::bad_alloc&) {
      threw = true;
    }
    CHECK(threw);
  }
}

}  // namespace
