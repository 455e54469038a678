// Handles that the library can check: slot numbers with a generation, never addresses. A stale, foreign or made-up
// handle finds nothing.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace anesdk {

// `Kind` (0 .. 7) keeps the handles of different tables apart. T is copied out, so a shared_ptr stays alive while used.
template <class T, unsigned Kind>
class HandleTable {
 public:
  void* insert(T value) {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) {
      slots_.emplace_back();
      free_.reserve(slots_.size());  // remove never allocates
      free_.push_back(static_cast<uint32_t>(slots_.size() - 1));
    }
    const uint32_t index = free_.back();
    free_.pop_back();
    slots_[index].value = std::move(value);
    return encode(index, slots_[index].generation);
  }

  std::optional<T> find(const void* handle) const {
    const std::lock_guard lock(mutex_);
    const Slot* slot = lookup(handle);
    return slot ? slot->value : std::nullopt;
  }

  std::optional<T> remove(const void* handle) {
    const std::lock_guard lock(mutex_);
    Slot* slot = const_cast<Slot*>(lookup(handle));
    if (!slot) return std::nullopt;
    ++slot->generation;
    free_.push_back(static_cast<uint32_t>(slot - slots_.data()));
    return std::exchange(slot->value, std::nullopt);
  }

  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  struct Slot {
    std::optional<T> value;
    uint32_t generation = 1;
  };

  static_assert(sizeof(void*) == 8, "a handle holds a slot and its generation");

  static void* encode(uint32_t index, uint32_t generation) {
    return reinterpret_cast<void*>(uint64_t{generation} << 32 | uint64_t{index} << 3 | Kind);
  }

  const Slot* lookup(const void* handle) const {
    const auto bits = reinterpret_cast<uint64_t>(handle);
    const uint64_t index = (bits & 0xFFFFFFFFu) >> 3;
    if ((bits & 7) != Kind || index >= slots_.size()) return nullptr;
    const Slot& slot = slots_[index];
    return slot.value && slot.generation == bits >> 32 ? &slot : nullptr;
  }

  mutable std::mutex mutex_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
};

}  // namespace anesdk
