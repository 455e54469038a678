// Fusion never joins operations that have to wait for each other, and loses none.
#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "cpu/plan/order.h"
#include "cpu/plan/plan.h"
#include "cpu_program.h"
#include "mil/error.h"

namespace {

using anesdk::cpu::OrderedList;
using anesdk::test::Floats;
using anesdk::test::op;
using anesdk::test::Program;
using anesdk::test::program;

// Whether the list compares all items as `items` has them.
void check_order(const OrderedList& list, const std::vector<int32_t>& items) {
  for (size_t i = 0; i < items.size(); ++i) {
    for (size_t j = 0; j < items.size(); ++j) CHECK_EQ(list.before(items[i], items[j]), i < j);
  }
}

}  // namespace

TEST(cpu_ordered_list_compares_items_by_their_places) {
  constexpr int32_t kCount = 300;
  std::mt19937 random(0);
  OrderedList list(kCount);
  std::vector<int32_t> items;
  for (int32_t i = 0; i < kCount; ++i) {
    const size_t at = random() % (items.size() + 1);
    if (at == items.size()) {
      list.append(i);
    } else {
      list.insert_before(i, items[at]);
    }
    items.insert(items.begin() + static_cast<int64_t>(at), i);
  }
  check_order(list, items);
  for (int i = 0; i < 1000; ++i) {
    const size_t from = random() % items.size();
    const int32_t item = items[from];
    items.erase(items.begin() + static_cast<int64_t>(from));
    list.remove(item);
    const size_t at = random() % items.size();
    list.insert_before(item, items[at]);
    items.insert(items.begin() + static_cast<int64_t>(at), item);
  }
  check_order(list, items);
}

TEST(cpu_ordered_list_has_room_in_one_place_for_any_number_of_items) {
  constexpr int32_t kCount = 2000;
  for (const bool behind : {false, true}) {  // each new item right before the last one of them, or before the same one
    OrderedList list(kCount);
    list.append(0);
    for (int32_t i = 1; i < kCount; ++i) list.insert_before(i, behind ? 0 : i - 1);
    for (int32_t i = 2; i < kCount; ++i) {
      CHECK_EQ(list.before(i - 1, i), behind);
      CHECK(list.before(i, 0));
    }
  }
}

// Both sums read both products, so neither may be computed in one pass with what the other's product reads.
TEST(cpu_two_values_and_their_products_cross) {
  const std::string vector = "tensor<fp32, [2]>";
  const std::string dot =
      ", x_batch = tensor<int32, [0]>([]), x_contracting = tensor<int32, [1]>([1]), y_batch = tensor<int32, [0]>([]), "
      "y_contracting = tensor<int32, [1]>([0]))";
  const std::string body = op(vector, "a", "tanh(x = x)") + op(vector, "wa", "aj_dot_general(x = w, y = a" + dot) +
                           op(vector, "b", "sigmoid(x = y)") + op(vector, "wb", "aj_dot_general(x = w, y = b" + dot) +
                           op(vector, "p", "mul(x = wb, y = a)") + op(vector, "q", "mul(x = b, y = wa)") +
                           op(vector, "o", "add(x = p, y = q)");
  const Program p(program(vector + " x, " + vector + " y, tensor<fp32, [2, 2]> w", body, "o"));
  CHECK_EQ(p.stat("steps"), 5);  // two values, two products, what follows
  Floats x = {0.5f, -1.0f}, y = {2.0f, 0.25f}, w = {1.0f, 2.0f, 3.0f, -4.0f}, o(2);
  p.run({&x, &y, &w}, {&o});
  double a[2], b[2];
  for (size_t i = 0; i < 2; ++i) a[i] = std::tanh(x[i]), b[i] = 1 / (1 + std::exp(-static_cast<double>(y[i])));
  for (size_t i = 0; i < 2; ++i) {
    const double wa = w[2 * i] * a[0] + w[2 * i + 1] * a[1], wb = w[2 * i] * b[0] + w[2 * i + 1] * b[1];
    CHECK(std::fabs(o[i] - (wb * a[i] + b[i] * wa)) < 1e-5);
  }
}

// What each group reads decides, so two groups that wait for each other have no order, and that is an error.
TEST(cpu_schedule_refuses_groups_that_wait_for_each_other) {
  using namespace anesdk::cpu;
  Graph graph;
  graph.tensors.resize(4);
  for (int32_t n = 0; n < 4; ++n) {  // a chain of four nodes
    Node node;
    if (n > 0) node.inputs = {dense_view(n - 1, DType::FP32, {})};
    node.outputs = {n};
    graph.nodes.push_back(node);
  }
  CHECK(schedule(graph, {{0, 1}, {2, 3}}) == (std::vector<int32_t>{0, 1}));
  CHECK(schedule(graph, {{2, 3}, {0, 1}}) == (std::vector<int32_t>{1, 0}));
  std::string words;
  try {
    schedule(graph, {{0, 2}, {1, 3}});
  } catch (const anesdk::mil::Error& e) {
    CHECK_EQ(e.status(), ANESDK_INTERNAL_ERROR);
    words = e.what();
  }
  CHECK_EQ(words, "[plan] expected an order of 2 groups of operations, 2 of them wait for each other");
}
