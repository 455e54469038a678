#include <cstdint>
#include <cstring>
#include <new>
#include <set>
#include <vector>

#include "buffers.h"
#include "check.h"

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
  CHECK(pooled_bytes() <= size_t{1} << 30);
  CHECK(pooled_bytes() >= kBytes);
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
