#include "cpu/kernels/conv_plan.h"

#include <algorithm>
#include <limits>
#include <new>
#include <numeric>

#include "cpu/kernels/shapes.h"

namespace anesdk::cpu {
namespace {

struct AxisTap {
  int64_t kernel;  // its index
  int64_t offset;  // in the lhs, from the place of position j = 0
};

// The kernel positions that meet elements in output phase `start` of an axis.
std::vector<AxisTap> axis_taps(const ConvAxis& axis, int64_t start) {
  std::vector<AxisTap> taps;
  for (int64_t t = 0; t < axis.kernel; ++t) {
    const int64_t place = start * axis.stride + t * axis.rhs_dilation - axis.pad_low;
    const int64_t offset = floor_div(place, axis.lhs_dilation);
    if (offset * axis.lhs_dilation == place) taps.push_back({t, offset});
  }
  return taps;
}

struct Range {
  int64_t low = std::numeric_limits<int64_t>::max();
  int64_t high = std::numeric_limits<int64_t>::min();
};

// Least and greatest tap offset over all phases of an axis.
Range tap_range(const ConvAxis& axis, int64_t period) {
  Range range;
  for (int64_t start = 0; start < std::min(period, axis.out); ++start) {
    for (const auto& tap : axis_taps(axis, start)) {
      range.low = std::min(range.low, tap.offset);
      range.high = std::max(range.high, tap.offset);
    }
  }
  if (range.low > range.high) range = {0, 0};
  return range;
}

size_t first_axis_over_one(int64_t ConvAxis::* size, const ConvShape& shape) {
  for (size_t d = 0; d + 1 < kConvAxes; ++d) {
    if (shape.axes[d].*size > 1) return d;
  }
  return kConvAxes - 1;
}

constexpr int64_t kMaxBlock = int64_t{1} << 48;

// Orders the dimensions of the block as they lie in the lhs, so that copies run along memory.
void lay_out_block(ConvPlan& plan) {
  const auto& s = plan.shape;
  struct Dim {
    int64_t lhs, size;
    int64_t* stride;
  };
  std::array<Dim, 5> dims{{{s.lhs.batch, plan.batch_block, &plan.block_batch},
                           {s.lhs.feature, plan.feature_block, &plan.block_feature},
                           {s.lhs.spatial[0], plan.extent[0], &plan.block_spatial[0]},
                           {s.lhs.spatial[1], plan.extent[1], &plan.block_spatial[1]},
                           {s.lhs.spatial[2], plan.extent[2], &plan.block_spatial[2]}}};
  std::stable_sort(dims.begin(), dims.end(), [](const Dim& a, const Dim& b) { return a.lhs > b.lhs; });
  int64_t stride = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    *dims[i].stride = stride;
    // Absurd paddings and dilations; what is left is for the allocator to refuse.
    if (dims[i].size > 0 && stride > kMaxBlock / dims[i].size) throw std::bad_alloc();
    stride *= dims[i].size;
  }
  plan.block_elements = stride;
}

void fill_taps(const ConvPlan& plan, const std::array<std::vector<AxisTap>, kConvAxes>& axes, ConvPhase& phase) {
  const auto& s = plan.shape;
  const auto kernel_positions = [&](int64_t tap, int64_t kernel, auto&& emit) {
    for (const auto& a : axes[0]) {
      for (const auto& b : axes[1]) {
        for (const auto& c : axes[2]) {
          emit(tap + (a.offset - plan.origin[0]) * plan.block_spatial[0] +
                   (b.offset - plan.origin[1]) * plan.block_spatial[1] +
                   (c.offset - plan.origin[2]) * plan.block_spatial[2],
               kernel + a.kernel * s.rhs.spatial[0] + b.kernel * s.rhs.spatial[1] + c.kernel * s.rhs.spatial[2]);
        }
      }
    }
  };
  const auto push = [&](int64_t tap, int64_t kernel) {
    phase.taps.push_back(tap);
    phase.kernel.push_back(kernel);
  };
  const auto features = [&](int64_t tap, int64_t kernel, auto&& emit) {
    for (int64_t f = 0; f < plan.feature_block; ++f) {
      emit(tap + f * plan.block_feature, kernel + f * s.rhs.feature);
    }
  };
  const bool features_last = plan.block_feature == 1 && !plan.splits_sum;
  if (features_last) {
    kernel_positions(0, 0, [&](int64_t tap, int64_t kernel) { features(tap, kernel, push); });
  } else {
    features(0, 0, [&](int64_t tap, int64_t kernel) { kernel_positions(tap, kernel, push); });
  }
}

void fill_rows(const ConvPlan& plan, const Triple& piece, ConvPhase& phase) {
  Triple count = phase.count;
  if (!plan.splits_sum) count[plan.chunk_axis] = std::min(count[plan.chunk_axis], plan.chunk);
  for (int64_t b = 0; b < plan.batch_block; ++b) {
    for (int64_t i = 0; i < count[0]; ++i) {
      for (int64_t j = 0; j < count[1]; ++j) {
        for (int64_t k = 0; k < count[2]; ++k) {
          const Triple p{i * plan.period[0] + phase.start[0], j * plan.period[1] + phase.start[1],
                         k * plan.period[2] + phase.start[2]};
          phase.rows.push_back(b * plan.block_batch + i * plan.step[0] * plan.block_spatial[0] +
                               j * plan.step[1] * plan.block_spatial[1] + k * plan.step[2] * plan.block_spatial[2]);
          phase.c_rows.push_back((((b * piece[0] + p[0]) * piece[1] + p[1]) * piece[2] + p[2]) * plan.columns);
        }
      }
    }
  }
}

// Everything that follows from shape, columns, the blocks and the chunks.
void finish(ConvPlan& plan, bool copy) {
  const auto& s = plan.shape;
  Triple piece{};  // output positions of a piece
  plan.direct = !copy;
  for (size_t d = 0; d < kConvAxes; ++d) {
    const auto& axis = s.axes[d];
    const Range range = tap_range(axis, plan.period[d]);
    const int64_t all = ceil_div(axis.out, plan.period[d]);
    const bool chunked = d == plan.chunk_axis;
    const int64_t count = chunked && !plan.splits_sum ? plan.chunk : all;
    const int64_t reach = chunked && plan.splits_sum ? (plan.chunk - 1) * axis.rhs_dilation : range.high - range.low;
    plan.origin[d] = range.low;
    plan.extent[d] = std::max<int64_t>((count - 1) * plan.step[d] + reach + 1, 1);
    piece[d] = chunked && !plan.splits_sum && plan.chunks > 1 ? plan.chunk * plan.period[d] : axis.out;
    plan.direct &= range.low >= 0 && (all - 1) * plan.step[d] + range.high < axis.in;
  }
  if (plan.direct) {
    plan.block_batch = s.lhs.batch;
    plan.block_feature = s.lhs.feature;
    plan.block_spatial = s.lhs.spatial;
  } else {
    lay_out_block(plan);
  }
  for (int64_t i = 0; i < std::min(plan.period[0], s.axes[0].out); ++i) {
    for (int64_t j = 0; j < std::min(plan.period[1], s.axes[1].out); ++j) {
      for (int64_t k = 0; k < std::min(plan.period[2], s.axes[2].out); ++k) {
        ConvPhase phase;
        phase.start = {i, j, k};
        std::array<std::vector<AxisTap>, kConvAxes> taps;
        for (size_t d = 0; d < kConvAxes; ++d) {
          phase.count[d] = ceil_div(s.axes[d].out - phase.start[d], plan.period[d]);
          taps[d] = axis_taps(s.axes[d], phase.start[d]);
          if (plan.splits_sum && d == plan.chunk_axis) taps[d].resize(static_cast<size_t>(plan.chunk));
        }
        fill_taps(plan, taps, phase);
        fill_rows(plan, piece, phase);
        phase.first_tap = plan.total_taps;
        plan.total_taps += static_cast<int64_t>(phase.taps.size());
        plan.phases.push_back(std::move(phase));
      }
    }
  }
}

ConvPlan start(const ConvShape& shape, int64_t columns) {
  ConvPlan plan;
  plan.shape = shape;
  plan.columns = columns;
  for (size_t d = 0; d < kConvAxes; ++d) {
    const auto& axis = shape.axes[d];
    const int64_t common = std::gcd(axis.stride, axis.lhs_dilation);
    plan.period[d] = axis.lhs_dilation / common;
    plan.step[d] = axis.stride / common;
  }
  return plan;
}

}  // namespace

int64_t ConvPlan::piece_rows() const {
  if (splits_sum) return shape.batch * shape.positions();
  int64_t rows = batch_block;
  for (size_t d = 0; d < kConvAxes; ++d) rows *= d == chunk_axis ? chunk * period[d] : shape.axes[d].out;
  return rows;
}

ConvPlan plan_rows(const ConvShape& shape, int64_t columns, int64_t row_limit, int64_t threads, bool copy) {
  ConvPlan plan = start(shape, columns);
  plan.feature_block = shape.features;
  plan.chunk_axis = first_axis_over_one(&ConvAxis::out, shape);
  const size_t a = plan.chunk_axis;
  const int64_t all = ceil_div(shape.axes[a].out, plan.period[a]);
  const int64_t positions = shape.positions();
  // Two pieces for each thread at least, when there are that many places to cut.
  const int64_t wanted = ceil_div(2 * threads, std::max<int64_t>(shape.groups * shape.batch, 1));
  const int64_t cuts =
      std::clamp<int64_t>(std::max(wanted, ceil_div(positions, row_limit)), 1, std::max<int64_t>(all, 1));
  plan.chunk = std::max<int64_t>(ceil_div(all, cuts), 1);
  plan.chunks = ceil_div(all, plan.chunk);
  if (plan.chunks == 1) {
    const int64_t share = ceil_div(shape.groups * shape.batch, 2 * threads);
    plan.batch_block = std::clamp<int64_t>(row_limit / std::max<int64_t>(positions, 1), 1, std::max<int64_t>(share, 1));
  }
  plan.batch_block = std::min(plan.batch_block, std::max<int64_t>(shape.batch, 1));
  finish(plan, copy);
  return plan;
}

ConvPlan plan_sum(const ConvShape& shape, int64_t columns, int64_t depth, int64_t threads) {
  ConvPlan plan = start(shape, columns);
  plan.splits_sum = true;
  plan.batch_block = shape.batch;
  plan.chunk_axis = first_axis_over_one(&ConvAxis::kernel, shape);
  const int64_t all = shape.axes[plan.chunk_axis].kernel;
  const int64_t terms = shape.kernel_size();
  const int64_t wanted = ceil_div(threads, std::max<int64_t>(shape.features, 1));
  const int64_t cuts = std::clamp<int64_t>(std::max(wanted, terms / depth), 1, std::max<int64_t>(all, 1));
  plan.chunk = std::max<int64_t>(ceil_div(all, cuts), 1);
  plan.chunks = ceil_div(all, plan.chunk);
  if (plan.chunks == 1) {
    const int64_t share = std::max<int64_t>(ceil_div(shape.features, threads), 1);
    plan.feature_block = std::clamp<int64_t>(depth / std::max<int64_t>(terms, 1), 1, share);
  }
  finish(plan, false);
  return plan;
}

namespace {

struct CopyDim {
  int64_t size, source, target;  // strides
  int64_t low, high;             // the indices inside the lhs
};

template <typename T>
void copy_dims(const CopyDim* dim, const CopyDim* last, const T* source, T* target) {
  const int64_t low = dim->low, high = dim->high;
  std::fill_n(target, low * dim->target, T{});
  if (dim == last && dim->source == 1 && dim->target == 1) {
    std::copy_n(source + low, high - low, target + low);
  } else if (dim == last) {
    for (int64_t i = low; i < high; ++i) target[i * dim->target] = source[i * dim->source];
  } else {
    for (int64_t i = low; i < high; ++i) copy_dims(dim + 1, last, source + i * dim->source, target + i * dim->target);
  }
  std::fill_n(target + high * dim->target, (dim->size - high) * dim->target, T{});
}

}  // namespace

template <typename T>
void copy_block(const ConvPlan& plan, const T* lhs, int64_t batches, int64_t features, const Triple& origin, T* block) {
  const auto& s = plan.shape;
  if (batches * features * s.axes[0].in * s.axes[1].in * s.axes[2].in == 0) {
    std::fill_n(block, plan.block_elements, T{});
    return;
  }
  std::array<CopyDim, 5> dims;
  size_t rank = 0;
  const auto add = [&](const CopyDim& dim) {  // what is one element inside the lhs needs no loop
    if (dim.size != 1 || dim.high - dim.low != 1) dims[rank++] = dim;
  };
  add({batches, s.lhs.batch, plan.block_batch, 0, batches});
  add({features, s.lhs.feature, plan.block_feature, 0, features});
  int64_t shift = 0;  // from lhs to the element under the block's first, which may lie outside
  for (size_t d = 0; d < kConvAxes; ++d) {
    const int64_t low = std::clamp<int64_t>(-origin[d], 0, plan.extent[d]);
    const int64_t high = std::clamp<int64_t>(s.axes[d].in - origin[d], low, plan.extent[d]);
    add({plan.extent[d], s.lhs.spatial[d], plan.block_spatial[d], low, high});
    shift += origin[d] * s.lhs.spatial[d];
  }
  if (rank == 0) {
    *block = lhs[shift];
    return;
  }
  // In the order of lay_out_block.
  std::stable_sort(dims.begin(), dims.begin() + static_cast<std::ptrdiff_t>(rank),
                   [](const CopyDim& a, const CopyDim& b) { return a.source > b.source; });
  copy_dims(dims.data(), &dims[rank - 1], lhs + shift, block);
}

template void copy_block<float>(const ConvPlan&, const float*, int64_t, int64_t, const Triple&, float*);
template void copy_block<double>(const ConvPlan&, const double*, int64_t, int64_t, const Triple&, double*);
template void copy_block<uint32_t>(const ConvPlan&, const uint32_t*, int64_t, int64_t, const Triple&, uint32_t*);
template void copy_block<uint64_t>(const ConvPlan&, const uint64_t*, int64_t, int64_t, const Triple&, uint64_t*);

}  // namespace anesdk::cpu
