// The part that gathers and scatters of every kind share: index vectors that place windows in a tensor.
#pragma once

#include <cstdint>
#include <vector>

#include "mil/program.h"

namespace anesdk::cpu {

enum class OutOfRange { CLIP, DROP };

// `tensor` is the one that is addressed, `slices` the other (the result of a gather, the updates of a scatter).
struct Indexing {
  struct Component {     // one number of an index vector
    int64_t stride = 0;  // in tensor
    int64_t size = 0;    // of the axis, for negative indices
    int64_t limit = 0;   // the last place where the window fits
  };
  struct Along {  // an axis of tensor that goes along with an axis of the index vectors
    size_t axis = 0;
    int64_t stride = 0;
  };
  struct Window {
    int64_t size = 1, tensor = 0, slices = 0;  // strides
  };

  mil::DType index_dtype = mil::DType::INT32;
  OutOfRange out_of_range = OutOfRange::CLIP;
  bool wraps_negative = false;
  std::vector<int64_t> batch;         // shape of the index vectors
  std::vector<int64_t> batch_slices;  // their strides in slices
  std::vector<Component> components;
  std::vector<Along> along;
  std::vector<Window> window;  // merged where contiguous; at least one, the last is the innermost
  int64_t vectors = 1;         // product of batch
  int64_t window_elements = 1;

  // Calls fn(tensor_offset or -1, slices_offset) for index vectors begin .. end in order.
  template <typename Fn>
  void each(const void* indices, int64_t begin, int64_t end, Fn&& fn) const;

  // Offset of the window that index vector `vector` places, -1 when it is dropped.
  int64_t place(const void* indices, int64_t vector, const std::vector<int64_t>& coordinates) const;
};

// The parts of a description by axes; the two functions below and MIL's operations fill it in.
struct IndexingAxes {
  std::vector<int64_t> index_map;    // axes of tensor that the components address
  std::vector<int64_t> slice_sizes;  // of each axis of tensor
  std::vector<int64_t> kept;         // axes of tensor that have one in slices ...
  std::vector<int64_t> window_dims;  // ... and which
  std::vector<int64_t> batching;     // axes of tensor that go along ...
  std::vector<int64_t> along;        // ... with these of the index vectors
};

Indexing make_indexing(const mil::Shape& tensor, const mil::Shape& batch, const mil::Shape& slices,
                       const IndexingAxes& axes);

// aj_gather and the aj_scatter family.
Indexing parse_aj_gather(const mil::Function& function, const mil::Op& op);
Indexing parse_aj_scatter(const mil::Function& function, const mil::Op& op);
// MIL's gather, gather_nd and scatter_nd; negative indices count from the end, others are clipped.
Indexing parse_mil_gather(const mil::Function& function, const mil::Op& op);
Indexing parse_mil_gather_nd(const mil::Function& function, const mil::Op& op);
Indexing parse_mil_scatter_nd(const mil::Function& function, const mil::Op& op);

template <typename Fn>
void Indexing::each(const void* indices, int64_t begin, int64_t end, Fn&& fn) const {
  std::vector<int64_t> coordinates(batch.size());
  int64_t rest = begin;
  for (size_t d = batch.size(); d-- > 0; rest /= batch[d]) coordinates[d] = rest % batch[d];
  for (int64_t v = begin; v < end; ++v) {
    int64_t slice = 0;
    for (size_t d = 0; d < batch.size(); ++d) slice += coordinates[d] * batch_slices[d];
    fn(place(indices, v, coordinates), slice);
    for (size_t d = batch.size(); d-- > 0 && ++coordinates[d] == batch[d];) coordinates[d] = 0;
  }
}

// Calls fn(tensor_offset, slices_offset, count, tensor_step, slices_step) for the innermost runs of the window.
template <typename Fn>
void each_run(const Indexing& indexing, int64_t tensor, int64_t slices, std::vector<int64_t>& index, Fn&& fn) {
  const auto& window = indexing.window;
  const auto& inner = window.back();
  const size_t outer = window.size() - 1;
  index.assign(outer, 0);
  while (true) {
    fn(tensor, slices, inner.size, inner.tensor, inner.slices);
    size_t d = outer;
    while (d-- > 0) {
      tensor += window[d].tensor;
      slices += window[d].slices;
      if (++index[d] < window[d].size) break;
      tensor -= window[d].size * window[d].tensor;
      slices -= window[d].size * window[d].slices;
      index[d] = 0;
    }
    if (d == SIZE_MAX) return;
  }
}

}  // namespace anesdk::cpu
