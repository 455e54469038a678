// aj_ operations that address elements by other elements: dynamic slices, gather, scatter.
#include <algorithm>

#include "mil/infer.h"

namespace anesdk::mil {
namespace {

bool contains(const List& list, int64_t entry) { return std::find(list.begin(), list.end(), entry) != list.end(); }

List increasing(const OpView& op, std::string_view arg, int64_t rank) {
  List axes = op.axes(arg, rank);
  op.require(std::is_sorted(axes.begin(), axes.end()), std::string(arg) + " must increase");
  return axes;
}

void check_starts(const OpView& op) {
  op.require(op.types("start_indices").size() == op.shape("x").size(),
             "start_indices must have one entry for each axis");
}

// ---- dynamic slices

Shapes dynamic_slice(const OpView& op) {
  const Shape& x = op.shape("x");
  check_starts(op);
  Shape sizes = op.ints("slice_sizes", op.rank("x"), 0);
  for (size_t i = 0; i < x.size(); ++i)
    op.require(sizes[i] <= x[i], "slice_sizes " + str(sizes) + " must fit " + str(x));
  return {sizes};
}

Shapes dynamic_update_slice(const OpView& op) {
  const Shape &x = op.shape("x"), &update = op.shape("update");
  check_starts(op);
  op.require(update.size() == x.size(), "x and update must have equal ranks");
  for (size_t i = 0; i < x.size(); ++i) op.require(update[i] <= x[i], "update " + str(update) + " must fit " + str(x));
  return {x};
}

// ---- gather and scatter share XLA's dimension numbers, under two sets of names

struct Names {
  std::string_view window_dims, dropped_dims, index_map, indices_batching_dims;
};
constexpr Names kGather{"offset_dims", "collapsed_slice_dims", "start_index_map", "start_indices_batching_dims"};
constexpr Names kScatter{"update_window_dims", "inserted_window_dims", "scatter_dims_to_operand_dims",
                         "scatter_indices_batching_dims"};

struct Addressing {
  List window_dims;  // axes of the result (of updates) that run inside a slice, increasing
  List kept;         // the axes of x that those stand for
  List dropped;      // axes of x that a slice has one of, and the result no axis for
  List batching;     // axes of x that go along with axes of indices
  Shape batch;       // indices without the index vector
  size_t rank() const { return window_dims.size() + batch.size(); }
};

// The axes of x that go along with axes of indices.
List batching_dims(const OpView& op, const Names& names, const Shape& batch) {
  const Shape& x = op.shape("x");
  List dims = increasing(op, "operand_batching_dims", op.rank("x"));
  const List along = op.axes(names.indices_batching_dims, static_cast<int64_t>(batch.size()));
  op.require(dims.size() == along.size(), "batching dims of x and indices must pair up");
  for (size_t i = 0; i < dims.size(); ++i)
    op.require(x[dims[i]] == batch[along[i]], "batching dims of x and indices must have equal sizes");
  return dims;
}

Addressing addressing(const OpView& op, const Names& names) {
  const int64_t rank = op.rank("x");
  op.require(op.rank("indices") >= 1, "indices must have rank 1 or more");
  op.one_of("mode", {"clip", "fill", "promise_in_bounds"});
  Addressing a;
  a.batch = op.shape("indices");
  const int64_t depth = a.batch.back();
  a.batch.pop_back();
  a.batching = batching_dims(op, names, a.batch);
  a.dropped = increasing(op, names.dropped_dims, rank);
  const List map = op.axes(names.index_map, rank);
  op.require(
      static_cast<int64_t>(map.size()) == depth,
      std::string(names.index_map) + " must have one entry for each index of a vector, " + std::to_string(depth));
  for (const int64_t axis : a.batching)
    op.require(!contains(a.dropped, axis) && !contains(map, axis), "a batching dim is also dropped or indexed");
  for (int64_t i = 0; i < rank; ++i)
    if (!contains(a.dropped, i) && !contains(a.batching, i)) a.kept.push_back(i);
  const size_t out_rank = a.batch.size() + a.kept.size();
  a.window_dims = increasing(op, names.window_dims, static_cast<int64_t>(out_rank));
  op.require(a.window_dims.size() == a.kept.size(), std::string(names.window_dims) +
                                                        " must have one entry for each axis of a slice, " +
                                                        std::to_string(a.kept.size()));
  return a;
}

// The result's shape: window axes at window_dims, batch axes in the places between.
Shape place(const Addressing& a, const Shape& window) {
  Shape out;
  size_t w = 0, b = 0;
  for (size_t i = 0; i < a.rank(); ++i)
    out.push_back(contains(a.window_dims, static_cast<int64_t>(i)) ? window[w++] : a.batch[b++]);
  return out;
}

Shapes gather(const OpView& op) {
  const Shape& x = op.shape("x");
  const Addressing a = addressing(op, kGather);
  const List sizes = op.ints("slice_sizes", op.rank("x"), 0);
  for (size_t i = 0; i < x.size(); ++i)
    op.require(sizes[i] <= x[i], "slice_sizes " + str(sizes) + " must fit " + str(x));
  for (const int64_t axis : a.dropped) op.require(sizes[axis] == 1, "a collapsed slice dim must have slice size 1");
  for (const int64_t axis : a.batching) op.require(sizes[axis] <= 1, "a batching dim must have slice size 1");
  Shape window;
  for (const int64_t axis : a.kept) window.push_back(sizes[axis]);
  return {place(a, window)};
}

Shapes scatter(const OpView& op) {
  const Shape &x = op.shape("x"), &updates = op.shape("updates");
  const Addressing a = addressing(op, kScatter);
  if (updates.size() != a.rank())
    op.fail("updates must have rank " + std::to_string(a.rank()) + ", got " + op.type("updates").str());
  Shape window;
  for (size_t i = 0; i < a.kept.size(); ++i) {
    window.push_back(updates[a.window_dims[i]]);
    op.require(window[i] <= x[a.kept[i]], "a slice of updates " + str(updates) + " must fit " + str(x));
  }
  if (updates != place(a, window))
    op.fail("updates must have shape " + str(place(a, window)) + ", got " + op.type("updates").str());
  return {x};
}

}  // namespace

void add_lax_index_rules(Rules& rules) {
  rules.insert({{"aj_dynamic_slice", dynamic_slice},
                {"aj_dynamic_update_slice", dynamic_update_slice},
                {"aj_gather", gather},
                {"aj_scatter", scatter}});
}

}  // namespace anesdk::mil
