#include "mil/infer.h"

#include <algorithm>
#include <numeric>

#include "mil/literal.h"

namespace anesdk::mil {

std::string str(const Shape& shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + "]";
}

void OpView::fail(std::string_view what) const {
  throw Error("[" + std::string(name()) + "] " + std::string(what) + " (line " + std::to_string(op_.line) + ")");
}

std::vector<Type> OpView::types(std::string_view variadic) const {
  std::vector<Type> types;
  for (const ValueId id : f_.find(op_, variadic)->values) types.push_back(f_.values[id].type);
  return types;
}

Shapes OpView::shapes(std::string_view variadic) const {
  Shapes shapes;
  for (Type& type : types(variadic)) shapes.push_back(std::move(type.shape));
  return shapes;
}

// ---- const operands

List OpView::any_ints(std::string_view arg, int64_t low, int64_t high) const {
  List list = f_.ints(op_, arg);
  for (const int64_t entry : list)
    if (entry < low || entry > high)
      fail(std::string(arg) + " must be in " + std::to_string(low) + " .. " + std::to_string(high) + ", got " +
           str(list));
  return list;
}

List OpView::ints(std::string_view arg, int64_t length, int64_t low, int64_t high) const {
  List list = any_ints(arg, low, high);
  if (static_cast<int64_t>(list.size()) != length)
    fail(std::string(arg) + " must have " + std::to_string(length) + " entries, got " + str(list));
  return list;
}

List OpView::ints_or(std::string_view arg, int64_t length, int64_t low, int64_t fallback) const {
  return has(arg) ? ints(arg, length, low) : List(static_cast<size_t>(length), fallback);
}

int64_t OpView::integer(std::string_view arg, int64_t low, int64_t high) const { return ints(arg, 1, low, high)[0]; }

int64_t OpView::integer_or(std::string_view arg, int64_t low, int64_t fallback) const {
  return has(arg) ? integer(arg, low) : fallback;
}

int64_t OpView::nonzero(std::string_view arg) const {
  const Value& value = f_.value(op_, arg);
  require(value.constant && !value.constant->blob, std::string(arg) + " must be written out");
  const std::vector<std::byte>& data = value.constant->data;
  const size_t size = size_of(value.type.dtype);
  int64_t count = 0;
  for (size_t at = 0; at < data.size(); at += size) count += decode_integer(value.type.dtype, data.data() + at) != 0;
  return count;
}

std::vector<bool> OpView::flags(std::string_view arg, int64_t length) const {
  std::vector<bool> flags(static_cast<size_t>(length));
  if (!has(arg)) return flags;
  const Value& value = f_.value(op_, arg);
  require(value.type.elements() == length, std::string(arg) + " must have one entry for each axis");
  for (size_t i = 0; i < flags.size(); ++i) flags[i] = value.constant->data[i] != std::byte{0};
  return flags;
}

std::string OpView::text_or(std::string_view arg, std::string_view fallback) const {
  return has(arg) ? f_.text(op_, arg) : std::string(fallback);
}

std::string OpView::one_of(std::string_view arg, const std::vector<std::string_view>& words) const {
  std::string word = text_or(arg, words[0]);
  if (std::find(words.begin(), words.end(), word) != words.end()) return word;
  std::string expected;
  for (const std::string_view w : words) expected += (expected.empty() ? "" : ", ") + std::string(w);
  fail(std::string(arg) + " must be one of " + expected);
}

// ---- axes

List OpView::distinct(List axes, std::string_view arg) const {
  List sorted = axes;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    fail(std::string(arg) + " must be distinct, got " + str(axes));
  return axes;
}

int64_t OpView::axis(std::string_view arg, int64_t rank) const { return integer(arg, 0, rank - 1); }

int64_t OpView::wrapped_axis(std::string_view arg, int64_t rank, int64_t fallback) const {
  const int64_t axis = has(arg) ? integer(arg, -rank, rank - 1) : fallback;
  require(axis >= -rank && axis < rank, "needs an operand of a higher rank");
  return axis < 0 ? axis + rank : axis;
}

List OpView::axes(std::string_view arg, int64_t rank) const { return distinct(any_ints(arg, 0, rank - 1), arg); }

List OpView::wrapped_axes(std::string_view arg, int64_t rank) const {
  List axes = any_ints(arg, -rank, rank - 1);
  for (int64_t& axis : axes) axis += axis < 0 ? rank : 0;
  return distinct(std::move(axes), arg);
}

// ---- arithmetic

int64_t OpView::multiply(int64_t a, int64_t b) const {
  int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) fail("a size is too large");
  return product;
}

int64_t OpView::extent(int64_t value) const {
  require(value >= 0, "a size would be negative");
  require(value <= kMaxExtent, "a size is too large");
  return value;
}

int64_t OpView::dilated(int64_t size, int64_t dilation) const {
  return size == 0 ? 0 : extent(multiply(size - 1, dilation)) + 1;
}

int64_t OpView::elements(const Shape& shape) const {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  return std::accumulate(shape.begin(), shape.end(), int64_t{1},
                         [&](int64_t count, int64_t dim) { return multiply(count, dim); });
}

int64_t window_count(const OpView& op, int64_t size, int64_t low, int64_t high, int64_t window, int64_t stride) {
  const int64_t padded = op.extent(std::max<int64_t>(size + low + high, 0));
  return padded < window ? 0 : (padded - window) / stride + 1;
}

// ---- rules

const Rule* find_rule(const OpSchema& schema) {
  static const Rules rules = [] {
    Rules all;
    add_elementwise_rules(all);
    add_movement_rules(all);
    add_window_rules(all);
    add_layer_rules(all);
    add_weight_rules(all);
    add_lax_rules(all);
    add_lax_window_rules(all);
    add_lax_index_rules(all);
    add_control_rules(all);
    add_lax_linalg_rules(all);
    add_process_rules(all);
    return all;
  }();
  auto it = rules.find(schema.name);
  if (it == rules.end()) it = rules.find(schema.shape);
  return it == rules.end() ? nullptr : &it->second;
}

}  // namespace anesdk::mil
