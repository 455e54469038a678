// Result shapes. Rules are found by operation name first, then by the shape family of the opset table; dtypes are the
// verifier's. A rule also checks all that a device relies on: axes in range, windows that fit, lists of the right
// length. Every number in it is bounded by kMaxExtent, so that the devices' index arithmetic cannot overflow.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "mil/opset.h"
#include "mil/program.h"

namespace anesdk::mil {

inline constexpr int64_t kMaxExtent = int64_t{1} << 46;

using Shapes = std::vector<Shape>;
using List = std::vector<int64_t>;

// One operation, as the rules see it.
class OpView {
 public:
  OpView(const Program& program, const Function& f, const Op& op, Target target)
      : program_(program), f_(f), op_(op), target_(target) {}

  std::string_view name() const { return op_.schema->name; }
  const OpSchema& schema() const { return *op_.schema; }
  Target target() const { return target_; }
  bool has(std::string_view arg) const { return f_.find(op_, arg) != nullptr; }
  bool is_const(std::string_view arg) const { return f_.value(op_, arg).constant != nullptr; }
  const Type& type(std::string_view arg) const { return f_.value(op_, arg).type; }
  const Shape& shape(std::string_view arg) const { return type(arg).shape; }
  int64_t rank(std::string_view arg) const { return static_cast<int64_t>(shape(arg).size()); }
  std::vector<Type> types(std::string_view variadic) const;
  Shapes shapes(std::string_view variadic) const;
  const Type& declared(size_t result) const { return f_.values[op_.results[result]].type; }
  std::vector<const Function*> callees(std::string_view arg) const;  // the functions that an operand names
  size_t num_results() const { return op_.results.size(); }

  // Const lists: of `length` entries, each in [low, high].
  List ints(std::string_view arg, int64_t length, int64_t low, int64_t high = kMaxExtent) const;
  List ints_or(std::string_view arg, int64_t length, int64_t low, int64_t fallback) const;
  List any_ints(std::string_view arg, int64_t low, int64_t high = kMaxExtent) const;
  std::vector<bool> flags(std::string_view arg, int64_t length) const;  // false when absent
  int64_t integer(std::string_view arg, int64_t low, int64_t high = kMaxExtent) const;
  int64_t integer_or(std::string_view arg, int64_t low, int64_t fallback) const;
  double real_or(std::string_view arg, double fallback) const { return has(arg) ? f_.real(op_, arg) : fallback; }
  int64_t nonzero(std::string_view arg) const;  // how many elements of a const list of integers or flags are not 0
  bool flag(std::string_view arg) const { return has(arg) && f_.boolean(op_, arg); }
  std::string text_or(std::string_view arg, std::string_view fallback) const;
  // One of the words, or the first when absent.
  std::string one_of(std::string_view arg, const std::vector<std::string_view>& words) const;

  // Axes: distinct, in [0, rank), where negative ones count from the end (`wrap`).
  int64_t axis(std::string_view arg, int64_t rank) const;
  int64_t wrapped_axis(std::string_view arg, int64_t rank, int64_t fallback) const;
  List axes(std::string_view arg, int64_t rank) const;
  List wrapped_axes(std::string_view arg, int64_t rank) const;

  // Checked arithmetic on extents.
  int64_t multiply(int64_t a, int64_t b) const;
  int64_t extent(int64_t value) const;                    // fails unless in [0, kMaxExtent]
  int64_t dilated(int64_t size, int64_t dilation) const;  // (size - 1) * dilation + 1, or 0
  int64_t elements(const Shape& shape) const;

  void require(bool holds, std::string_view what) const {
    if (!holds) fail(what);
  }
  [[noreturn]] void fail(std::string_view what) const;

 private:
  List distinct(List axes, std::string_view arg) const;

  const Program& program_;
  const Function& f_;
  const Op& op_;
  Target target_;
};

// Windows that slide over an axis: how many fit, as XLA counts.
int64_t window_count(const OpView& op, int64_t size, int64_t low, int64_t high, int64_t window, int64_t stride);

std::string str(const Shape& shape);  // [2, 3]

using Rule = Shapes (*)(const OpView&);
using Rules = std::map<std::string_view, Rule>;

void add_elementwise_rules(Rules& rules);
void add_movement_rules(Rules& rules);
void add_window_rules(Rules& rules);
void add_layer_rules(Rules& rules);
void add_weight_rules(Rules& rules);
void add_lax_rules(Rules& rules);
void add_lax_window_rules(Rules& rules);
void add_lax_index_rules(Rules& rules);
void add_control_rules(Rules& rules);
void add_lax_linalg_rules(Rules& rules);
void add_process_rules(Rules& rules);

const Rule* find_rule(const OpSchema& schema);  // null when the table has outgrown the rules

}  // namespace anesdk::mil
