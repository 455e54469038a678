// Operations that mean one row of map_ops.def.
#include "cpu/import/importer.h"

namespace anesdk::cpu {
namespace {

template <MapOp kOp>
void import_row(Importer& i, const mil::Op& op) {
  const MapKind kind = row_of(kOp).kind;
  std::vector<View> operands = {i.in(op, "x")};
  if (kind == MapKind::BINARY || kind == MapKind::COMPARISON) operands.push_back(i.in(op, "y"));
  i.set(op, i.b.map(kOp, operands, i.type(op).dtype));
}

}  // namespace

const Handlers& elementwise_handlers() {
  static const Handlers kTable = [] {
    Handlers table;
    const Handler handlers[] = {
#define ANESDK_MAP_OP(name, ...) import_row<MapOp::name>,
#include "cpu/graph/map_ops.def"
    };
    for (size_t k = 0; k < map_rows().size(); ++k) {
      for (const std::string_view name : {map_rows()[k].aj, map_rows()[k].mil}) {
        if (!name.empty()) table.emplace(name, handlers[k]);
      }
    }
    return table;
  }();
  return kTable;
}

}  // namespace anesdk::cpu
