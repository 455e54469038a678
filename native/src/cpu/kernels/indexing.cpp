#include "cpu/kernels/indexing.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

#include "cpu/kernels/shapes.h"
#include "mil/opset.h"

namespace anesdk::cpu {
namespace {

using Ints = std::vector<int64_t>;

template <typename T>
int64_t read_as(const void* indices, int64_t i) {
  const T value = static_cast<const T*>(indices)[i];
  if constexpr (std::is_same_v<T, uint64_t>) {
    constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
    return static_cast<int64_t>(std::min(value, kMost));
  }
  return static_cast<int64_t>(value);
}

int64_t read_index(mil::DType dtype, const void* indices, int64_t i) {
  switch (dtype) {
    case mil::DType::INT8:
      return read_as<int8_t>(indices, i);
    case mil::DType::INT16:
      return read_as<int16_t>(indices, i);
    case mil::DType::INT32:
      return read_as<int32_t>(indices, i);
    case mil::DType::INT64:
      return read_as<int64_t>(indices, i);
    case mil::DType::UINT16:
      return read_as<uint16_t>(indices, i);
    case mil::DType::UINT32:
      return read_as<uint32_t>(indices, i);
    case mil::DType::UINT64:
      return read_as<uint64_t>(indices, i);
    default:
      return read_as<uint8_t>(indices, i);
  }
}

bool contains(const Ints& list, size_t entry) {
  return std::find(list.begin(), list.end(), static_cast<int64_t>(entry)) != list.end();
}

void check_axes(const Ints& axes, size_t rank, std::string_view op) {
  for (const int64_t axis : axes) {
    expect(axis >= 0 && axis < static_cast<int64_t>(rank), op,
           "expected axes below " + std::to_string(rank) + ", got " + list_str(axes) + ".");
  }
}

Ints range(size_t begin, size_t end) {
  Ints list(end - begin);
  std::iota(list.begin(), list.end(), static_cast<int64_t>(begin));
  return list;
}

void append(Ints& list, const Ints& more) { list.insert(list.end(), more.begin(), more.end()); }

// The names under which a gather and a scatter give the same lists.
struct Names {
  const char *window_dims, *dropped, *index_map, *along;
};

Indexing parse_aj(const mil::Function& function, const mil::Op& op, const Names& names, bool scatters) {
  const auto name = op.schema->name;
  const auto& tensor = function.value(op, "x").type.shape;
  const auto& indices = function.value(op, "indices").type;
  const auto& slices = scatters ? function.value(op, "updates").type.shape : function.values[op.results[0]].type.shape;
  expect(!indices.shape.empty(), name, "expected indices of rank 1 or more.");
  IndexingAxes axes;
  axes.index_map = function.ints(op, names.index_map);
  axes.window_dims = function.ints(op, names.window_dims);
  axes.batching = function.ints(op, "operand_batching_dims");
  axes.along = function.ints(op, names.along);
  const Ints dropped = function.ints(op, names.dropped);
  const mil::Shape batch(indices.shape.begin(), indices.shape.end() - 1);
  check_axes(axes.index_map, tensor.size(), name);
  check_axes(axes.window_dims, slices.size(), name);
  check_axes(axes.batching, tensor.size(), name);
  check_axes(axes.along, batch.size(), name);
  expect(
      axes.batching.size() == axes.along.size() && static_cast<int64_t>(axes.index_map.size()) == indices.shape.back(),
      name, "expected one axis for each number of an index vector, and batching axes in pairs.");
  for (size_t d = 0; d < tensor.size(); ++d) {
    if (!contains(dropped, d) && !contains(axes.batching, d)) axes.kept.push_back(static_cast<int64_t>(d));
  }
  expect(axes.kept.size() == axes.window_dims.size() && slices.size() == batch.size() + axes.kept.size(), name,
         "expected one window axis for each axis that is kept.");
  if (scatters) {
    axes.slice_sizes.assign(tensor.size(), 1);
    for (size_t i = 0; i < axes.kept.size(); ++i) {
      axes.slice_sizes[static_cast<size_t>(axes.kept[i])] = slices[static_cast<size_t>(axes.window_dims[i])];
    }
  } else {
    axes.slice_sizes = function.ints(op, "slice_sizes");
  }
  expect_size(axes.slice_sizes, tensor.size(), name, "slice_sizes");
  Indexing indexing = make_indexing(tensor, batch, slices, axes);
  const auto& mode = function.text(op, "mode");
  // A promise that does not hold must not crash: a gather clips, a scatter drops.
  const bool clips = mode == "clip" || (mode == "promise_in_bounds" && !scatters);
  indexing.out_of_range = clips ? OutOfRange::CLIP : OutOfRange::DROP;
  indexing.index_dtype = indices.dtype;
  return indexing;
}

}  // namespace

Indexing make_indexing(const mil::Shape& tensor, const mil::Shape& batch, const mil::Shape& slices,
                       const IndexingAxes& axes) {
  const auto tensor_strides = row_major_strides(tensor), slices_strides = row_major_strides(slices);
  Indexing indexing;
  indexing.batch = batch;
  indexing.vectors = product(batch);
  for (size_t d = 0; d < slices.size(); ++d) {
    if (!contains(axes.window_dims, d)) indexing.batch_slices.push_back(slices_strides[d]);
  }
  for (const int64_t axis : axes.index_map) {
    const auto d = static_cast<size_t>(axis);
    indexing.components.push_back({tensor_strides[d], tensor[d], tensor[d] - axes.slice_sizes[d]});
  }
  for (size_t i = 0; i < axes.batching.size(); ++i) {
    indexing.along.push_back(
        {static_cast<size_t>(axes.along[i]), tensor_strides[static_cast<size_t>(axes.batching[i])]});
  }
  for (size_t i = 0; i < axes.kept.size(); ++i) {
    const auto d = static_cast<size_t>(axes.kept[i]);
    const Indexing::Window next{axes.slice_sizes[d], tensor_strides[d],
                                slices_strides[static_cast<size_t>(axes.window_dims[i])]};
    indexing.window_elements *= next.size;
    if (next.size == 1) continue;
    if (!indexing.window.empty()) {
      auto& last = indexing.window.back();
      if (last.tensor == next.size * next.tensor && last.slices == next.size * next.slices) {
        last = {last.size * next.size, next.tensor, next.slices};
        continue;
      }
    }
    indexing.window.push_back(next);
  }
  if (indexing.window.empty()) indexing.window.push_back({1, 1, 1});
  return indexing;
}

int64_t Indexing::place(const void* indices, int64_t vector, const std::vector<int64_t>& coordinates) const {
  const auto depth = static_cast<int64_t>(components.size());
  int64_t offset = 0;
  for (int64_t k = 0; k < depth; ++k) {
    const auto& component = components[static_cast<size_t>(k)];
    int64_t index = read_index(index_dtype, indices, vector * depth + k);
    if (wraps_negative && index < 0) index += component.size;
    if (index < 0 || index > component.limit) {
      if (out_of_range == OutOfRange::DROP || component.limit < 0) return -1;
      index = std::clamp<int64_t>(index, 0, component.limit);
    }
    offset += index * component.stride;
  }
  for (const auto& pair : along) offset += coordinates[pair.axis] * pair.stride;
  return offset;
}

Indexing parse_aj_gather(const mil::Function& function, const mil::Op& op) {
  return parse_aj(function, op,
                  {"offset_dims", "collapsed_slice_dims", "start_index_map", "start_indices_batching_dims"}, false);
}

Indexing parse_aj_scatter(const mil::Function& function, const mil::Op& op) {
  return parse_aj(
      function, op,
      {"update_window_dims", "inserted_window_dims", "scatter_dims_to_operand_dims", "scatter_indices_batching_dims"},
      true);
}

namespace {

size_t batch_dims(const mil::Function& function, const mil::Op& op, size_t limit) {
  const int64_t count = function.find(op, "batch_dims") ? function.integer(op, "batch_dims") : 0;
  expect(count >= 0 && count <= static_cast<int64_t>(limit), op.schema->name, "expected a smaller batch_dims.");
  return static_cast<size_t>(count);
}

Indexing finish_mil(const mil::Shape& tensor, const mil::Type& indices, const mil::Shape& batch,
                    const mil::Shape& slices, IndexingAxes axes) {
  axes.slice_sizes.assign(tensor.size(), 1);
  for (const int64_t axis : axes.kept) {
    axes.slice_sizes[static_cast<size_t>(axis)] = tensor[static_cast<size_t>(axis)];
  }
  Indexing indexing = make_indexing(tensor, batch, slices, axes);
  indexing.index_dtype = indices.dtype;
  indexing.wraps_negative = true;
  return indexing;
}

// The last axis of indices is a vector into the axes of tensor from `first` on.
Indexing parse_nd(const mil::Function& function, const mil::Op& op, const mil::Shape& tensor, const mil::Shape& slices,
                  size_t first) {
  const auto& indices = function.value(op, "indices").type;
  expect(!indices.shape.empty(), op.schema->name, "expected indices of rank 1 or more.");
  const mil::Shape batch(indices.shape.begin(), indices.shape.end() - 1);
  const auto depth = static_cast<size_t>(indices.shape.back());
  expect(first <= batch.size() && first + depth <= tensor.size() &&
             slices.size() == batch.size() + tensor.size() - first - depth,
         op.schema->name, "expected index vectors that fit the tensor.");
  IndexingAxes axes;
  axes.batching = axes.along = range(0, first);
  axes.index_map = range(first, first + depth);
  axes.kept = range(first + depth, tensor.size());
  axes.window_dims = range(batch.size(), slices.size());
  return finish_mil(tensor, indices, batch, slices, axes);
}

}  // namespace

Indexing parse_mil_gather(const mil::Function& function, const mil::Op& op) {
  const auto& tensor = function.value(op, "x").type.shape;
  const auto& indices = function.value(op, "indices").type;
  const auto& slices = function.values[op.results[0]].type.shape;
  int64_t wanted = function.find(op, "axis") ? function.integer(op, "axis") : 0;
  if (wanted < 0) wanted += static_cast<int64_t>(tensor.size());
  expect(wanted >= 0 && wanted < static_cast<int64_t>(tensor.size()), op.schema->name, "expected an axis of x.");
  const auto axis = static_cast<size_t>(wanted);
  const size_t first = batch_dims(function, op, std::min(axis, indices.shape.size()));
  const size_t added = indices.shape.size() - first;
  expect(slices.size() == tensor.size() - 1 + added, op.schema->name, "expected a result of another rank.");
  IndexingAxes axes;
  axes.batching = axes.along = range(0, first);
  axes.index_map = {static_cast<int64_t>(axis)};
  axes.kept = range(first, axis);
  append(axes.kept, range(axis + 1, tensor.size()));
  axes.window_dims = range(first, axis);
  append(axes.window_dims, range(axis + added, slices.size()));
  return finish_mil(tensor, indices, indices.shape, slices, axes);
}

Indexing parse_mil_gather_nd(const mil::Function& function, const mil::Op& op) {
  const auto& tensor = function.value(op, "x").type.shape;
  const size_t first = batch_dims(function, op, tensor.size());
  return parse_nd(function, op, tensor, function.values[op.results[0]].type.shape, first);
}

Indexing parse_mil_scatter_nd(const mil::Function& function, const mil::Op& op) {
  return parse_nd(function, op, function.value(op, "data").type.shape, function.value(op, "updates").type.shape, 0);
}

}  // namespace anesdk::cpu
