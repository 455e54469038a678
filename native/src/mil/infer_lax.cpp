// aj_ operations: elementwise, reductions, movement. Shapes are lax's, checks as strict as lax's own.
#include <algorithm>
#include <utility>

#include "mil/infer.h"

namespace anesdk::mil {
namespace {

// The shape that all operands have, but for those of rank 0.
Shape common(const OpView& op, std::initializer_list<std::string_view> args) {
  Shape shape;
  for (const std::string_view arg : args) {
    const Shape& next = op.shape(arg);
    if (!next.empty() && !shape.empty() && next != shape)
      op.fail("operands must have equal shapes or rank 0, got " + str(shape) + " and " + str(next));
    if (!next.empty()) shape = next;
  }
  return shape;
}

Shapes binary(const OpView& op) { return {common(op, {"x", "y"})}; }

Shapes select_n(const OpView& op) {
  const Shapes cases = op.shapes("cases");
  const Type& which = op.type("which");
  for (const Shape& shape : cases)
    if (shape != cases[0]) op.fail("cases must have equal shapes, got " + str(cases[0]) + " and " + str(shape));
  op.require(which.shape.empty() || which.shape == cases[0], "which must have the shape of the cases, or rank 0");
  op.require(which.dtype != DType::BOOL || cases.size() <= 2, "a bool chooses between at most two cases");
  return {cases[0]};
}

Shapes clamp(const OpView& op) {
  for (const std::string_view arg : {"min", "max"})
    if (op.rank(arg) != 0 && op.shape(arg) != op.shape("x"))
      op.fail(std::string(arg) + " must have the shape of x, or rank 0, got " + op.type(arg).str());
  return {op.shape("x")};
}

Shapes bitcast(const OpView& op) {
  const Type &x = op.type("x"), &out = op.declared(0);
  if (size_of(x.dtype) != size_of(out.dtype) || (x.dtype == DType::BOOL) != (out.dtype == DType::BOOL))
    op.fail("element widths must be equal, got " + x.str() + " and " + out.str());
  return {x.shape};
}

// ---- reductions

Shape without(const Shape& x, const List& axes) {
  Shape out;
  for (size_t i = 0; i < x.size(); ++i)
    if (std::find(axes.begin(), axes.end(), static_cast<int64_t>(i)) == axes.end()) out.push_back(x[i]);
  return out;
}

Shapes reduce(const OpView& op) { return {without(op.shape("x"), op.axes("axes", op.rank("x")))}; }

Shapes reduce_arg(const OpView& op) {
  const int64_t axis = op.axis("axis", op.rank("x"));
  op.require(op.shape("x")[axis] > 0, "the axis must not be empty");
  return {without(op.shape("x"), {axis})};
}

Shapes cumulative(const OpView& op) {
  op.axis("axis", op.rank("x"));
  return {op.shape("x")};
}

// ---- movement

Shapes broadcast_in_dim(const OpView& op) {
  const Shape& x = op.shape("x");
  const Shape shape = op.any_ints("shape", 0);
  const List dims = op.ints("broadcast_dimensions", op.rank("x"), 0, static_cast<int64_t>(shape.size()) - 1);
  for (size_t i = 0; i < dims.size(); ++i) {
    op.require(i == 0 || dims[i - 1] < dims[i], "broadcast_dimensions must increase");
    if (x[i] != 1 && x[i] != shape[dims[i]]) op.fail("cannot broadcast " + str(x) + " to " + str(shape));
  }
  return {shape};
}

Shapes slice(const OpView& op) {
  Shape out = op.shape("x");
  const List start = op.ints("start_indices", op.rank("x"), 0), limit = op.ints("limit_indices", op.rank("x"), 0);
  const List strides = op.ints("strides", op.rank("x"), 1);
  for (size_t i = 0; i < out.size(); ++i) {
    op.require(start[i] <= limit[i] && limit[i] <= out[i], "start_indices <= limit_indices <= shape must hold, got " +
                                                               str(start) + ", " + str(limit) + ", " +
                                                               str(op.shape("x")));
    const int64_t span = limit[i] - start[i];
    out[i] = span == 0 ? 0 : (span - 1) / strides[i] + 1;
  }
  return {out};
}

Shapes concatenate(const OpView& op) {
  const Shapes values = op.shapes("values");
  Shape out = values[0];
  const int64_t axis = op.axis("dimension", static_cast<int64_t>(out.size()));
  for (size_t v = 1; v < values.size(); ++v) {
    Shape other = values[v];
    const int64_t more = other.size() == out.size() ? std::exchange(other[axis], out[axis]) : 0;
    if (other != out)
      op.fail("values must agree but on the dimension, got " + str(values[0]) + " and " + str(values[v]));
    out[axis] = op.extent(out[axis] + more);
  }
  return {out};
}

Shapes pad(const OpView& op) {
  Shape out = op.shape("x");
  const int64_t rank = op.rank("x");
  const List low = op.ints("low", rank, -kMaxExtent), high = op.ints("high", rank, -kMaxExtent);
  const List interior = op.ints("interior", rank, 0);
  for (size_t i = 0; i < out.size(); ++i) out[i] = op.extent(op.dilated(out[i], interior[i] + 1) + low[i] + high[i]);
  return {out};
}

Shapes rev(const OpView& op) {
  op.axes("dimensions", op.rank("x"));
  return {op.shape("x")};
}

Shapes iota(const OpView& op) {
  const Shape shape = op.any_ints("shape", 0);
  op.axis("dimension", static_cast<int64_t>(shape.size()));
  return {shape};
}

// ---- several results

Shapes same_each(const OpView& op) {
  const std::vector<Type> types = op.types("values");
  op.require(types.size() == op.num_results(), "there must be as many results as values");
  for (size_t i = 0; i < types.size(); ++i)
    if (types[i].dtype != op.declared(i).dtype)
      op.fail("result " + std::to_string(i) + " must be " + types[i].str() + ", is declared " + op.declared(i).str());
  return op.shapes("values");
}

Shapes sort(const OpView& op) {
  const Shapes shapes = same_each(op);
  for (const Shape& shape : shapes)
    if (shape != shapes[0]) op.fail("values must have equal shapes, got " + str(shapes[0]) + " and " + str(shape));
  op.axis("dimension", static_cast<int64_t>(shapes[0].size()));
  op.integer("num_keys", 1, static_cast<int64_t>(shapes.size()));
  return shapes;
}

Shapes threefry(const OpView& op) {
  const Shape shape = common(op, {"k0", "k1", "x0", "x1"});
  return {shape, shape};
}

Shapes fft(const OpView& op) {
  const std::string kind = op.one_of("kind", {"fft", "ifft", "rfft", "irfft"});
  const Shapes parts = op.shapes("values");
  op.require(parts.size() == (kind == "rfft" ? 1U : 2U),
             "rfft takes one array, the others a real and an imaginary part");
  if (parts.size() == 2 && parts[0] != parts[1])
    op.fail("real and imaginary part must have one shape, got " + str(parts[0]) + " and " + str(parts[1]));
  Shape shape = parts[0];
  const List lengths = op.any_ints("lengths", 1);
  op.require(!lengths.empty() && lengths.size() <= shape.size(),
             "there must be a length for each of some trailing axes");
  const size_t lead = shape.size() - lengths.size();
  List given = lengths;
  const int64_t half = lengths.back() / 2 + 1;
  if (kind == "irfft") given.back() = half;
  if (!std::equal(given.begin(), given.end(), shape.begin() + static_cast<std::ptrdiff_t>(lead)))
    op.fail(kind + " of " + str(lengths) + " takes trailing axes " + str(given) + ", got " + str(shape));
  if (kind == "irfft") shape.back() = lengths.back();
  if (kind == "rfft") shape.back() = half;
  op.require(op.num_results() == (kind == "irfft" ? 1U : 2U),
             "irfft has one result, the others a real and an imaginary part");
  return Shapes(op.num_results(), shape);
}

}  // namespace

void add_lax_rules(Rules& rules) {
  rules.insert({{"aj_binary", binary},
                {"aj_select_n", select_n},
                {"aj_clamp", clamp},
                {"aj_bitcast_convert_type", bitcast},
                {"aj_reduce", reduce},
                {"aj_reduce_arg", reduce_arg},
                {"aj_cumulative", cumulative},
                {"aj_broadcast_in_dim", broadcast_in_dim},
                {"aj_slice", slice},
                {"aj_concatenate", concatenate},
                {"aj_pad", pad},
                {"aj_rev", rev},
                {"aj_iota", iota},
                {"aj_same_each", same_each},
                {"aj_sort", sort},
                {"aj_threefry2x32", threefry},
                {"aj_fft", fft}});
}

}  // namespace anesdk::mil
