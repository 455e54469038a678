// Blocks of memory that nobody uses at the moment, by size class and by the order in which they became idle. The links
// between them lie in the blocks themselves, so putting one in allocates nothing and cannot fail.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace anesdk {

// Four size classes per power of two: at most a quarter of a block is slack.
struct SizeClass {
  static constexpr unsigned kStepBits = 2;
  static constexpr size_t kSmallest = 64;
  static constexpr size_t kCount = 256;

  size_t index;
  size_t bytes;

  static constexpr SizeClass of(size_t bytes) {
    if (bytes <= kSmallest) return {0, kSmallest};
    const unsigned shift = static_cast<unsigned>(std::bit_width(bytes - 1)) - 1 - kStepBits;
    const size_t steps = ((bytes - 1) >> shift) + 1;  // 5 .. 8 quarters
    const size_t rounded = steps << shift;
    return {(size_t{shift} << kStepBits) + steps, (rounded + kSmallest - 1) / kSmallest * kSmallest};
  }
};

class IdleBlocks {
 public:
  struct Block {
    Block *older, *newer;  // of all blocks
    Block *below, *above;  // of the same size class
    SizeClass size;
    uint64_t since;  // the age of the pool when it became idle
  };
  static_assert(sizeof(Block) <= SizeClass::kSmallest);

  void put(void* memory, SizeClass size, uint64_t age) noexcept {
    auto* block = static_cast<Block*>(memory);
    *block = {newest_, nullptr, top_[size.index], nullptr, size, age};
    (newest_ ? newest_->newer : oldest_) = block;
    newest_ = block;
    if (block->below) block->below->above = block;
    top_[size.index] = block;
    bytes_ += size.bytes;
  }

  // The block of this class that became idle last, or null.
  Block* take(size_t index) noexcept {
    Block* block = top(index);
    if (block) remove(block);
    return block;
  }

  void remove(Block* block) noexcept {
    (block->newer ? block->newer->older : newest_) = block->older;
    (block->older ? block->older->newer : oldest_) = block->newer;
    (block->above ? block->above->below : top_[block->size.index]) = block->below;
    if (block->below) block->below->above = block->above;
    bytes_ -= block->size.bytes;
  }

  Block* top(size_t index) const noexcept { return top_[index]; }
  Block* oldest() const noexcept { return oldest_; }
  size_t bytes() const noexcept { return bytes_; }

 private:
  std::array<Block*, SizeClass::kCount> top_{};
  Block *oldest_ = nullptr, *newest_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace anesdk
