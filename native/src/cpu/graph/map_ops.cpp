// The table of elementwise operations.
#include "cpu/graph/graph.h"

namespace anesdk::cpu {

const std::vector<MapRow>& map_rows() {
  static const std::vector<MapRow> kRows = [] {
    constexpr unsigned kExact = 1, kCheap = 2;
    return std::vector<MapRow>{
#define ANESDK_MAP_OP(name, aj, mil, kind, cost, traits, ...) \
  {#name, aj, mil, MapKind::kind, cost, ((traits) & kExact) != 0, ((traits) & kCheap) != 0},
#include "cpu/graph/map_ops.def"
    };
  }();
  return kRows;
}

const MapRow& row_of(MapOp op) { return map_rows()[static_cast<size_t>(op)]; }

}  // namespace anesdk::cpu
