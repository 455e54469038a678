#include "cpu/plan/order.h"

#include <algorithm>

namespace anesdk::cpu {
namespace {

constexpr int kBits = 62;                      // of a label
constexpr uint64_t kStep = uint64_t{1} << 30;  // between appended items: the most items there can be fit with room

}  // namespace

OrderedList::OrderedList(int32_t count) : head_(count), tail_(count + 1), items_(static_cast<size_t>(count) + 2) {
  items_[head_].next = tail_;
  items_[tail_].previous = head_;
  items_[tail_].label = uint64_t{1} << kBits;
}

void OrderedList::insert_before(int32_t item, int32_t at) {
  const int32_t previous = items_[at].previous;
  if (items_[at].label - items_[previous].label < 2) spread(previous);
  const uint64_t room = items_[at].label - items_[previous].label;
  items_[item] = {items_[previous].label + std::min(room / 2, kStep), previous, at};
  items_[previous].next = items_[at].previous = item;
}

void OrderedList::remove(int32_t item) {
  items_[items_[item].previous].next = items_[item].next;
  items_[items_[item].next].previous = items_[item].previous;
}

// Gives even labels to the smallest range of labels around an item that is not crowded: of 2^b labels, at most
// (4/3)^b may be taken.
void OrderedList::spread(int32_t around) {
  int32_t first = around, last = around;
  uint64_t count = 1;
  double most = 1.0;
  for (int bits = 1; bits <= kBits; ++bits) {
    const uint64_t low = items_[around].label >> bits << bits, size = uint64_t{1} << bits;
    for (; first != head_ && items_[items_[first].previous].label >= low; ++count) first = items_[first].previous;
    for (; items_[last].next != tail_ && items_[items_[last].next].label < low + size; ++count)
      last = items_[last].next;
    most *= 4.0 / 3.0;
    if (static_cast<double>(count) > most && bits < kBits) continue;
    uint64_t label = low;
    for (int32_t item = first;; item = items_[item].next, label += size / count) {
      items_[item].label = label;
      if (item == last) return;
    }
  }
}

}  // namespace anesdk::cpu
