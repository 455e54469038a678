// aj_process_* operations: what processes that compute together send one another.
#include <algorithm>

#include "mil/infer.h"

namespace anesdk::mil {
namespace {

Shapes sum(const OpView& op) {
  Shapes shapes = op.shapes("values");
  op.require(shapes.size() == op.num_results(), "there must be as many results as values");
  return shapes;
}

Shapes gather(const OpView& op) {
  Shape shape = op.shape("x");
  shape.insert(shape.begin(), op.integer("size", 1));
  return {shape};
}

Shapes exchange(const OpView& op) {
  op.require(op.rank("x") > 0, "x must have rank 1 or more: one block for each process");
  return {op.shape("x")};
}

List distinct(const OpView& op, std::string_view arg) {
  const List numbers = op.any_ints(arg, 0);
  List sorted = numbers;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    op.fail("the numbers of " + std::string(arg) + " must be distinct");
  return numbers;
}

Shapes permute(const OpView& op) {
  op.require(distinct(op, "sources").size() == distinct(op, "targets").size(),
             "there must be as many sources as targets");
  return {op.shape("x")};
}

Shapes cut(const OpView& op) {
  Shape shape = op.shape("x");
  const int64_t size = op.integer("size", 1);
  op.require(!shape.empty() && shape[0] % size == 0, "the size must divide the first axis of x");
  shape[0] /= size;
  return {shape};
}

Shapes join(const OpView& op) {
  Shape shape = op.shape("x");
  op.require(!shape.empty(), "x must have rank 1 or more");
  shape[0] = op.multiply(shape[0], op.integer("size", 1));
  return {shape};
}

Shapes index(const OpView&) { return {Shape{}}; }

}  // namespace

void add_process_rules(Rules& rules) {
  rules.insert({{"aj_process_sum", sum},
                {"aj_process_gather", gather},
                {"aj_process_exchange", exchange},
                {"aj_process_cut", cut},
                {"aj_process_join", join},
                {"aj_process_permute", permute},
                {"aj_process_index", index}});
}

}  // namespace anesdk::mil
