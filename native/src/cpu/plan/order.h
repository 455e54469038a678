// A list of items whose places can be compared in constant time while items are inserted and removed. The planner keeps
// its groups of nodes in such a list, in an order that respects every dependence (plan/fuse.cpp).
//
// Each item carries a label, and labels ascend along the list. Where no label is left between two neighbours, the
// labels around them are spread again, which costs a logarithm of the length per insertion on average: Bender, Cole,
// Demaine, Farach-Colton and Zito, "Two simplified algorithms for maintaining order in a list",
// https://doi.org/10.1007/3-540-45749-6_17.
#pragma once

#include <cstdint>
#include <vector>

namespace anesdk::cpu {

class OrderedList {
 public:
  // An empty list that items 0 to count - 1 may enter.
  explicit OrderedList(int32_t count);

  bool before(int32_t a, int32_t b) const { return items_[a].label < items_[b].label; }
  void append(int32_t item) { insert_before(item, tail_); }
  void insert_before(int32_t item, int32_t at);
  void remove(int32_t item);

 private:
  struct Item {
    uint64_t label = 0;
    int32_t previous = -1, next = -1;
  };

  int32_t head_, tail_;  // stand before and behind all items
  std::vector<Item> items_;

  void spread(int32_t around);
};

}  // namespace anesdk::cpu
