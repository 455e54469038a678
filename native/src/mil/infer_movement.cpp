// MIL's own operations that move elements: reshapes, slices, joins, gathers.
#include <algorithm>
#include <utility>

#include "mil/infer.h"

namespace anesdk::mil {
namespace {

// MIL's -1 and 0 stand for sizes that the declared result gives anyway, so the dialect has neither.
Shapes reshape(const OpView& op) {
  const Shape shape = op.any_ints("shape", 0);
  if (op.elements(shape) != op.elements(op.shape("x")))
    op.fail("cannot reshape " + str(op.shape("x")) + " to " + str(shape));
  return {shape};
}

Shapes transpose(const OpView& op) {
  const Shape& x = op.shape("x");
  const List perm = op.axes("perm", op.rank("x"));
  op.require(perm.size() == x.size(), "perm must name every axis of " + str(x));
  Shape out;
  for (const int64_t axis : perm) out.push_back(x[axis]);
  return {out};
}

Shapes expand_dims(const OpView& op) {
  Shape out = op.shape("x");
  const auto count = static_cast<int64_t>(op.any_ints("axes", -ANESDK_MAX_RANK, ANESDK_MAX_RANK).size());
  List axes = op.wrapped_axes("axes", op.rank("x") + count);
  std::sort(axes.begin(), axes.end());
  for (const int64_t axis : axes) out.insert(out.begin() + axis, 1);
  return {out};
}

Shapes squeeze(const OpView& op) {
  const Shape& x = op.shape("x");
  const bool some = op.has("axes");
  const List axes = some ? op.wrapped_axes("axes", op.rank("x")) : List{};
  Shape out;
  for (size_t i = 0; i < x.size(); ++i) {
    const bool named = std::find(axes.begin(), axes.end(), static_cast<int64_t>(i)) != axes.end();
    op.require(!named || x[i] == 1, "squeezed axes must have size 1, got " + str(x));
    if (some ? !named : x[i] != 1) out.push_back(x[i]);
  }
  return {out};
}

Shapes tile(const OpView& op) {
  Shape out = op.shape("x");
  const List reps = op.ints("reps", op.rank("x"), 1);
  for (size_t i = 0; i < out.size(); ++i) out[i] = op.extent(op.multiply(out[i], reps[i]));
  return {out};
}

Shapes pad(const OpView& op) {
  Shape out = op.shape("x");
  const List pad = op.any_ints("pad", 0);
  const std::string mode = op.one_of("mode", {"constant", "reflect", "replicate"});
  op.require(pad.size() % 2 == 0 && pad.size() / 2 <= out.size(), "pad must hold a pair for each of the last axes");
  const size_t first = out.size() - pad.size() / 2;
  for (size_t i = first; i < out.size(); ++i) {
    const int64_t low = pad[2 * (i - first)], high = pad[2 * (i - first) + 1];
    const int64_t most = mode == "reflect" ? out[i] - 1 : mode == "replicate" && out[i] == 0 ? 0 : kMaxExtent;
    op.require(std::max(low, high) <= std::max<int64_t>(most, 0), mode + " padding does not fit " + str(out));
    out[i] = op.extent(out[i] + low + high);
  }
  return {out};
}

Shapes fill(const OpView& op) { return {op.any_ints("shape", 0)}; }

Shapes concat(const OpView& op) {
  const Shapes values = op.shapes("values");
  Shape out = values[0];
  const auto axis = static_cast<size_t>(op.wrapped_axis("axis", static_cast<int64_t>(out.size()), 0));
  for (size_t v = 1; v < values.size(); ++v) {
    Shape other = values[v];
    if (op.flag("interleave") && other != values[0]) op.fail("interleaved values must have equal shapes");
    const int64_t more = other.size() == out.size() ? std::exchange(other[axis], out[axis]) : 0;
    if (other != out) op.fail("values must agree but on the axis, got " + str(values[0]) + " and " + str(values[v]));
    out[axis] = op.extent(out[axis] + more);
  }
  return {out};
}

Shapes stack(const OpView& op) {
  const Shapes values = op.shapes("values");
  for (const Shape& value : values)
    if (value != values[0]) op.fail("values must have equal shapes, got " + str(values[0]) + " and " + str(value));
  Shape out = values[0];
  const int64_t axis = op.wrapped_axis("axis", static_cast<int64_t>(out.size()) + 1, 0);
  out.insert(out.begin() + axis, static_cast<int64_t>(values.size()));
  return {out};
}

List split_sizes(const OpView& op, int64_t size) {
  if (op.has("split_sizes")) {
    List sizes = op.any_ints("split_sizes", 0);
    const auto count = static_cast<int64_t>(sizes.size());
    op.require(op.integer_or("num_splits", 1, count) == count, "num_splits differs from the length of split_sizes");
    int64_t sum = 0;
    for (const int64_t s : sizes) sum = op.extent(sum + s);
    op.require(sum == size, "split_sizes must add up to the axis, " + std::to_string(size));
    return sizes;
  }
  op.require(op.has("num_splits"), "expected num_splits or split_sizes");
  const int64_t count = op.integer("num_splits", 1);
  op.require(count == static_cast<int64_t>(op.num_results()), "num_splits differs from the number of results");
  op.require(size % count == 0, "num_splits must divide the axis, " + std::to_string(size));
  return List(static_cast<size_t>(count), size / count);
}

Shapes split(const OpView& op) {
  Shape out = op.shape("x");
  const int64_t axis = op.wrapped_axis("axis", op.rank("x"), 0);
  Shapes shapes;
  for (const int64_t size : split_sizes(op, out[axis])) {
    out[axis] = size;
    shapes.push_back(out);
  }
  return shapes;
}

Shapes slice_by_size(const OpView& op) {
  Shape out = op.shape("x");
  const List begin = op.ints("begin", op.rank("x"), 0);
  const List size = op.ints("size", op.rank("x"), -1);
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t count = size[i] < 0 ? out[i] - begin[i] : size[i];
    op.require(count >= 0 && begin[i] + count <= out[i], "the slice leaves " + str(op.shape("x")));
    out[i] = count;
  }
  return {out};
}

// NumPy's begin:end:stride.
int64_t slice_length(const OpView& op, int64_t dim, int64_t begin, int64_t end, int64_t stride, bool from_edge,
                     bool to_edge) {
  op.require(stride != 0, "stride must not be 0");
  const bool forward = stride > 0;
  const int64_t low = forward ? 0 : -1, high = forward ? dim : dim - 1;
  const auto place = [&](int64_t index) { return std::clamp(index < 0 ? index + dim : index, low, high); };
  const int64_t first = from_edge ? (forward ? low : high) : place(begin);
  const int64_t last = to_edge ? (forward ? high : low) : place(end);
  const int64_t span = forward ? last - first : first - last;
  const int64_t step = forward ? stride : -stride;
  return span <= 0 ? 0 : (span - 1) / step + 1;
}

Shapes slice_by_index(const OpView& op) {
  const Shape& x = op.shape("x");
  const int64_t rank = op.rank("x");
  const List begin = op.ints("begin", rank, -kMaxExtent), end = op.ints("end", rank, -kMaxExtent);
  const List stride = op.ints_or("stride", rank, -kMaxExtent, 1);
  const auto begin_mask = op.flags("begin_mask", rank), end_mask = op.flags("end_mask", rank);
  const auto squeeze = op.flags("squeeze_mask", rank);
  Shape out;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!squeeze[i]) {
      out.push_back(slice_length(op, x[i], begin[i], end[i], stride[i], begin_mask[i], end_mask[i]));
    } else {
      const int64_t index = begin_mask[i] ? 0 : begin[i];
      op.require(index >= -x[i] && index < x[i], "a squeezed index leaves " + str(x));
    }
  }
  return {out};
}

Shape join(const Shape& a, size_t a_from, size_t a_to, const Shape& b, size_t b_from) {
  Shape out(a.begin() + static_cast<int64_t>(a_from), a.begin() + static_cast<int64_t>(a_to));
  out.insert(out.end(), b.begin() + static_cast<int64_t>(b_from), b.end());
  return out;
}

size_t batch_dims(const OpView& op, int64_t limit) {
  const int64_t count = op.integer_or("batch_dims", 0, 0);
  op.require(count <= limit, "batch_dims is too large");
  const Shape &x = op.shape("x"), &indices = op.shape("indices");
  op.require(std::equal(x.begin(), x.begin() + count, indices.begin()), "batch axes of x and indices must agree");
  return static_cast<size_t>(count);
}

Shapes gather(const OpView& op) {
  const Shape &x = op.shape("x"), &indices = op.shape("indices");
  const int64_t axis = op.wrapped_axis("axis", op.rank("x"), 0);
  const size_t batch = batch_dims(op, std::min(axis, op.rank("indices")));
  Shape out = join(x, 0, static_cast<size_t>(axis), indices, batch);
  out.insert(out.end(), x.begin() + axis + 1, x.end());
  return {out};
}

// The number of axes of x that an index vector (the last axis of indices) addresses.
size_t index_depth(const OpView& op, int64_t limit) {
  op.require(op.rank("indices") >= 1, "indices must have rank 1 or more");
  const int64_t depth = op.shape("indices").back();
  op.require(depth <= limit, "the last axis of indices must be at most " + std::to_string(limit));
  return static_cast<size_t>(depth);
}

Shapes gather_nd(const OpView& op) {
  const Shape &x = op.shape("x"), &indices = op.shape("indices");
  op.require(!indices.empty(), "indices must have rank 1 or more");
  const size_t batch = batch_dims(op, std::min(op.rank("x"), op.rank("indices") - 1));
  const size_t depth = index_depth(op, static_cast<int64_t>(x.size() - batch));
  return {join(indices, 0, indices.size() - 1, x, batch + depth)};
}

Shapes scatter_nd(const OpView& op) {
  const Shape &data = op.shape("data"), &indices = op.shape("indices");
  op.one_of("mode", {"add", "div", "max", "min", "mul", "sub", "update"});
  const size_t depth = index_depth(op, op.rank("data"));
  const Shape updates = join(indices, 0, indices.size() - 1, data, depth);
  if (op.shape("updates") != updates)
    op.fail("updates must have shape " + str(updates) + ", got " + op.type("updates").str());
  return {data};
}

}  // namespace

void add_movement_rules(Rules& rules) {
  rules.insert({{"reshape", reshape},
                {"transpose", transpose},
                {"expand_dims", expand_dims},
                {"squeeze", squeeze},
                {"tile", tile},
                {"pad", pad},
                {"fill", fill},
                {"concat", concat},
                {"stack", stack},
                {"split", split},
                {"slice_by_size", slice_by_size},
                {"slice_by_index", slice_by_index},
                {"gather", gather},
                {"gather_nd", gather_nd},
                {"scatter_nd", scatter_nd},
                {"aj_reshape", reshape},
                {"aj_transpose", transpose}});
}

}  // namespace anesdk::mil
