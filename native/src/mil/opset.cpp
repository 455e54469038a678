#include "mil/opset.h"

#include <algorithm>

namespace anesdk::mil {
namespace {
#include "opset.inc"
}  // namespace

const ArgSchema* OpSchema::find(std::string_view arg) const {
  const auto it = std::find_if(args.begin(), args.end(), [&](const ArgSchema& a) { return a.name == arg; });
  return it == args.end() ? nullptr : &*it;
}

std::span<const OpSchema> opset() { return kOpset; }

const OpSchema* find_schema(std::string_view op_name) {
  const auto it = std::lower_bound(std::begin(kOpset), std::end(kOpset), op_name,
                                   [](const OpSchema& schema, std::string_view name) { return schema.name < name; });
  return it != std::end(kOpset) && it->name == op_name ? it : nullptr;
}

}  // namespace anesdk::mil
