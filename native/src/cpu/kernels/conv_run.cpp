#include "cpu/kernels/conv_run.h"

#include <algorithm>

#include "cpu/kernels/conv_plan.h"
#include "cpu/kernels/gemm_tiles.h"
#include "cpu/kernels/shapes.h"

namespace anesdk::cpu {
namespace {

constexpr int64_t kPieceBytes = 512 * 1024;  // of a piece's result
constexpr int64_t kMinRows = 256;            // so that the packed rhs is worth reading
constexpr int64_t kSumDepth = 512;           // terms of a piece when the sum is split

int64_t aligned(int64_t elements) { return ceil_div(elements, 64) * 64; }

// Writes the rows of C for `batches` batches and `extent` positions; out points at the first of them.
template <typename T>
void store_rows(const ConvShape& s, const T* c, int64_t columns, int64_t batches, const Triple& extent, T* out) {
  struct Dim {
    int64_t size, stride;
  };
  const std::array<Dim, 4> dims{{{batches, s.out.batch},
                                 {extent[0], s.out.spatial[0]},
                                 {extent[1], s.out.spatial[1]},
                                 {extent[2], s.out.spatial[2]}}};
  size_t outer = dims.size();  // rows of the inner dimensions lie one after the other in `out`
  int64_t run = 1;
  while (outer > 0 && (dims[outer - 1].size == 1 || dims[outer - 1].stride == run)) run *= dims[--outer].size;
  std::array<int64_t, 4> size{1, 1, 1, 1}, index{};
  for (size_t i = 0; i < outer; ++i) size[i] = dims[i].size;
  do {
    T* to = out;
    for (size_t i = 0; i < outer; ++i) to += index[i] * dims[i].stride;
    if (run > 1) {
      tile_ops<T>().transpose(c, columns, run, s.outputs, to, s.out.feature);
    } else if (s.out.feature == 1) {
      std::copy_n(c, s.outputs, to);
    } else {
      for (int64_t o = 0; o < s.outputs; ++o) to[o * s.out.feature] = c[o];
    }
    c += run * columns;
  } while (next_index(index, size));
}

// One piece of a plan that splits rows.
struct RowPiece {
  int64_t group, batch, batches, first, count;  // first, count: of the chunk, in steps of a period
};

RowPiece row_piece(const ConvPlan& plan, int64_t index) {
  const auto& s = plan.shape;
  const int64_t blocks = ceil_div(s.batch, plan.batch_block);
  const int64_t all = ceil_div(s.axes[plan.chunk_axis].out, plan.period[plan.chunk_axis]);
  RowPiece piece;
  piece.first = index % plan.chunks * plan.chunk;
  piece.count = std::min(plan.chunk, all - piece.first);
  index /= plan.chunks;
  piece.batch = index % blocks * plan.batch_block;
  piece.batches = std::min(plan.batch_block, s.batch - piece.batch);
  piece.group = index / blocks;
  return piece;
}

int64_t num_row_pieces(const ConvPlan& plan) {
  return plan.shape.groups * ceil_div(plan.shape.batch, plan.batch_block) * plan.chunks;
}

// The positions of the phase in the piece along the chunk's axis.
int64_t phase_count(const ConvPlan& plan, const ConvPhase& phase, const RowPiece& piece) {
  return std::clamp<int64_t>(phase.count[plan.chunk_axis] - piece.first, 0, piece.count);
}

// The block of the piece: the lhs itself, or a copy in `buffer`.
template <typename T>
const T* row_block(const ConvPlan& plan, const RowPiece& piece, const T* lhs, T* buffer) {
  const auto& s = plan.shape;
  const T* from = lhs;
  if (lhs) from += piece.group * s.lhs.group + piece.batch * s.lhs.batch;  // null: empty, so all is read as zero
  Triple origin = plan.origin;
  origin[plan.chunk_axis] += piece.first * plan.step[plan.chunk_axis];
  if (!plan.direct) {
    copy_block(plan, from, piece.batches, s.features, origin, buffer);
    return buffer;
  }
  for (size_t d = 0; d < kConvAxes; ++d) from += origin[d] * s.lhs.spatial[d];
  return from;
}

Triple piece_extent(const ConvPlan& plan, const RowPiece& piece) {
  const size_t a = plan.chunk_axis;
  Triple extent{plan.shape.axes[0].out, plan.shape.axes[1].out, plan.shape.axes[2].out};
  const int64_t first = piece.first * plan.period[a];
  extent[a] = std::min(piece.count * plan.period[a], plan.shape.axes[a].out - first);
  return extent;
}

template <typename T>
T* piece_out(const ConvPlan& plan, const RowPiece& piece, T* out) {
  const auto& s = plan.shape;
  const size_t a = plan.chunk_axis;
  return out + piece.group * s.out.group + piece.batch * s.out.batch + piece.first * plan.period[a] * s.out.spatial[a];
}

// Splits output positions; vectors along output features.
template <typename T>
class RowConv final : public ConvRunner<T> {
 public:
  RowConv(const ConvShape& shape, int64_t threads)
      : plan_(plan_rows(shape, packed_columns<T>(shape.outputs),
                        std::max<int64_t>(kPieceBytes / static_cast<int64_t>(sizeof(T)) /
                                              std::max<int64_t>(packed_columns<T>(shape.outputs), 1),
                                          kMinRows),
                        threads, false)) {}

  int64_t workspace_elements() const override { return plan_.shape.groups * packed_size(); }

  void run(const T* lhs, const T* rhs, const T* bias, T* out, T* workspace, ThreadPool& pool) const override {
    pack(rhs, workspace, pool);
    pool.parallel_for(num_row_pieces(plan_), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) run_piece(row_piece(plan_, i), lhs, bias, out, workspace);
    });
  }

 private:
  int64_t packed_size() const { return plan_.total_taps * plan_.columns; }

  void pack(const T* rhs, T* packed, ThreadPool& pool) const {
    const auto& s = plan_.shape;
    for (int64_t g = 0; g < s.groups; ++g) {
      const T* from = rhs + s.rhs.base + g * s.rhs.group;
      for (const auto& phase : plan_.phases) {
        const int64_t taps = static_cast<int64_t>(phase.taps.size());
        T* to = packed + g * packed_size() + phase.first_tap * plan_.columns;
        pool.parallel_for(taps, ceil_div(8192, plan_.columns), [&](int64_t begin, int64_t end) {
          pack_columns(from, phase.kernel.data(), taps, s.rhs.output, s.outputs, begin, end, to);
        });
      }
    }
  }

  void run_piece(const RowPiece& piece, const T* lhs, const T* bias, T* out, const T* packed) const {
    const int64_t c_elements = aligned(plan_.piece_rows() * plan_.columns);
    const int64_t block_elements = plan_.direct ? 0 : plan_.block_elements;
    T* c = static_cast<T*>(ThreadPool::scratch(static_cast<size_t>(c_elements + block_elements) * sizeof(T)));
    const T* block = row_block(plan_, piece, lhs, c + c_elements);
    const Triple extent = piece_extent(plan_, piece);
    if (bias) fill_bias(bias + piece.group * plan_.shape.outputs, piece.batches * product(extent), c);
    for (const auto& phase : plan_.phases) {
      const int64_t count = phase.count[plan_.chunk_axis];
      const int64_t rows =
          count == 0 ? 0 : piece.batches * phase.positions() / count * phase_count(plan_, phase, piece);
      const TileProduct tile{
          phase.rows.data(), phase.c_rows.data(), rows, phase.taps.data(), static_cast<int64_t>(phase.taps.size()),
          plan_.columns,     bias != nullptr};
      tile_ops<T>().multiply(tile, block, packed + piece.group * packed_size() + phase.first_tap * plan_.columns, c);
    }
    store_rows(plan_.shape, c, plan_.columns, piece.batches, extent, piece_out(plan_, piece, out));
  }

  void fill_bias(const T* bias, int64_t rows, T* c) const {
    for (int64_t r = 0; r < rows; ++r) std::copy_n(bias, plan_.shape.outputs, c + r * plan_.columns);
  }

  ConvPlan plan_;
};

// Splits the sum: every slot adds up its share of the features and kernel positions in a C of its own. For the
// gradient of weights, whose features are the images of a batch.
template <typename T>
class SumConv final : public ConvRunner<T> {
 public:
  explicit SumConv(const ConvShape& shape)
      : plan_(plan_sum(shape, packed_columns<T>(shape.outputs), kSumDepth, max_slots(shape))),
        slots_(std::min(max_slots(shape), num_pieces())) {}

  int64_t workspace_elements() const override { return slots_ * c_elements(); }

  void run(const T* lhs, const T* rhs, const T* bias, T* out, T* workspace, ThreadPool& pool) const override {
    const auto& s = plan_.shape;
    for (int64_t g = 0; g < s.groups; ++g) {
      pool.parallel_for(slots_, 1, [&](int64_t begin, int64_t end) {
        for (int64_t slot = begin; slot < end; ++slot) {
          run_slot(slot, lhs + g * s.lhs.group, rhs + s.rhs.base + g * s.rhs.group, workspace + slot * c_elements());
        }
      });
      const T* group_bias = bias ? bias + g * s.outputs : nullptr;
      pool.parallel_for(s.batch, ceil_div(4096, s.positions() * plan_.columns), [&](int64_t begin, int64_t end) {
        finish(begin, end, group_bias, workspace, out + g * s.out.group);
      });
    }
  }

 private:
  // By the shape alone, so that the bits of a result do not depend on the number of threads. Adding up a slot takes
  // about as long as forty terms of a sum.
  static int64_t max_slots(const ConvShape& shape) {
    return std::clamp<int64_t>(shape.features * shape.kernel_size() / 2048, 2, 8);
  }

  int64_t num_pieces() const { return ceil_div(plan_.shape.features, plan_.feature_block) * plan_.chunks; }
  int64_t c_elements() const { return aligned(plan_.piece_rows() * plan_.columns); }

  void run_slot(int64_t slot, const T* lhs, const T* rhs, T* c) const {
    const int64_t begin = num_pieces() * slot / slots_, end = num_pieces() * (slot + 1) / slots_;
    for (int64_t i = begin; i < end; ++i) run_piece(i, lhs, rhs, c, i > begin);
  }

  void run_piece(int64_t index, const T* lhs, const T* rhs, T* c, bool accumulate) const {
    const auto& s = plan_.shape;
    const size_t a = plan_.chunk_axis;
    const auto& phase = plan_.phases[0];
    const int64_t first = index % plan_.chunks * plan_.chunk;
    const int64_t count = std::min(plan_.chunk, s.axes[a].kernel - first);
    const int64_t feature = index / plan_.chunks * plan_.feature_block;
    const int64_t features = std::min(plan_.feature_block, s.features - feature);
    const int64_t taps = features * s.kernel_size() / s.axes[a].kernel * count;

    const int64_t packed_elements = aligned(static_cast<int64_t>(phase.taps.size()) * plan_.columns);
    const int64_t block_elements = plan_.direct ? 0 : plan_.block_elements;
    T* packed = static_cast<T*>(ThreadPool::scratch(static_cast<size_t>(packed_elements + block_elements) * sizeof(T)));
    pack_columns(rhs + feature * s.rhs.feature + first * s.rhs.spatial[a], phase.kernel.data(), taps, s.rhs.output,
                 s.outputs, 0, taps, packed);

    Triple origin = plan_.origin;
    origin[a] += first * s.axes[a].rhs_dilation;
    const T* block = lhs + feature * s.lhs.feature;
    if (plan_.direct) {
      for (size_t d = 0; d < kConvAxes; ++d) block += origin[d] * s.lhs.spatial[d];
    } else {
      copy_block(plan_, block, s.batch, features, origin, packed + packed_elements);
      block = packed + packed_elements;
    }
    tile_ops<T>().multiply({phase.rows.data(), phase.c_rows.data(), static_cast<int64_t>(phase.rows.size()),
                            phase.taps.data(), taps, plan_.columns, accumulate},
                           block, packed, c);
  }

  // Adds the slots up for batches begin .. end and writes them out.
  void finish(int64_t begin, int64_t end, const T* bias, T* workspace, T* out) const {
    const auto& s = plan_.shape;
    const int64_t rows = s.positions();
    T* c = workspace + begin * rows * plan_.columns;
    const int64_t count = (end - begin) * rows * plan_.columns;
    for (int64_t slot = 1; slot < slots_; ++slot) {
      const T* other = c + slot * c_elements();
      for (int64_t i = 0; i < count; ++i) c[i] += other[i];
    }
    for (int64_t r = 0; bias && r < (end - begin) * rows; ++r) {
      for (int64_t o = 0; o < s.outputs; ++o) c[r * plan_.columns + o] += bias[o];
    }
    store_rows(s, c, plan_.columns, end - begin, {s.axes[0].out, s.axes[1].out, s.axes[2].out},
               out + begin * s.out.batch);
  }

  ConvPlan plan_;
  int64_t slots_;
};

// Few output features (depthwise): splits output positions, vectors along the last spatial axis.
template <typename T>
class NarrowRowConv final : public ConvRunner<T> {
 public:
  NarrowRowConv(const ConvShape& shape, int64_t threads)
      : plan_(plan_rows(shape, 1, kPieceBytes / static_cast<int64_t>(sizeof(T)), threads, true)) {}

  int64_t workspace_elements() const override { return plan_.shape.groups * plan_.shape.outputs * plan_.total_taps; }

  void run(const T* lhs, const T* rhs, const T* bias, T* out, T* workspace, ThreadPool& pool) const override {
    const auto& s = plan_.shape;
    T* weights = workspace;  // [group][output][phase, tap]
    for (int64_t i = 0; i < s.groups * s.outputs; ++i) {
      const T* from = rhs + s.rhs.base + i / s.outputs * s.rhs.group + i % s.outputs * s.rhs.output;
      for (const auto& phase : plan_.phases) {
        for (const int64_t offset : phase.kernel) *weights++ = from[offset];
      }
    }
    pool.parallel_for(num_row_pieces(plan_), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) run_piece(row_piece(plan_, i), lhs, bias, out, workspace);
    });
  }

 private:
  void run_piece(const RowPiece& piece, const T* lhs, const T* bias, T* out, const T* weights) const {
    const auto& s = plan_.shape;
    const int64_t slack = tile_ops<T>().lanes;
    const int64_t lines = aligned(s.axes[1].out * line_elements());
    T* buffer =
        static_cast<T*>(ThreadPool::scratch(static_cast<size_t>(lines + plan_.block_elements + slack) * sizeof(T)));
    const T* block = row_block(plan_, piece, lhs, buffer + lines);
    T* to = piece_out(plan_, piece, out);
    for (int64_t o = 0; o < s.outputs; ++o) {
      const int64_t feature = piece.group * s.outputs + o;
      const T shift = bias ? bias[feature] : T{};
      const T* weight = weights + feature * plan_.total_taps;
      for (const auto& phase : plan_.phases) {
        run_phase(piece, phase, block, weight + phase.first_tap, shift, buffer, to + o * s.out.feature);
      }
    }
  }

  // A row of results, with room for whole vectors.
  int64_t line_elements() const { return ceil_div(plan_.shape.axes[2].out, tile_ops<T>().lanes) * tile_ops<T>().lanes; }

  void run_phase(const RowPiece& piece, const ConvPhase& phase, const T* block, const T* weights, T shift, T* lines,
                 T* out) const {
    const auto& s = plan_.shape;
    Triple count = phase.count;
    count[plan_.chunk_axis] = phase_count(plan_, phase, piece);
    const int64_t stride = plan_.period[2] * s.out.spatial[2];
    const Correlation<T> correlation{phase.taps.data(),
                                     weights,
                                     static_cast<int64_t>(phase.taps.size()),
                                     plan_.step[2] * plan_.block_spatial[2],
                                     plan_.step[1] * plan_.block_spatial[1],
                                     line_elements(),
                                     count[1],
                                     count[2]};
    for (int64_t b = 0; b < piece.batches; ++b) {
      for (int64_t i = 0; i < count[0]; ++i) {
        const T* from = block + b * plan_.block_batch + i * plan_.step[0] * plan_.block_spatial[0];
        tile_ops<T>().correlate(correlation, from, lines);
        T* to = out + b * s.out.batch + (phase.start[0] + i * plan_.period[0]) * s.out.spatial[0] +
                phase.start[1] * s.out.spatial[1] + phase.start[2] * s.out.spatial[2];
        for (int64_t j = 0; j < count[1]; ++j) {
          const T* line = lines + j * line_elements();
          T* row = to + j * plan_.period[1] * s.out.spatial[1];
          for (int64_t k = 0; k < count[2]; ++k) row[k * stride] = line[k] + shift;
        }
      }
    }
  }

  ConvPlan plan_;
};

// Few output features and a large kernel (the gradient of depthwise weights): dot products along the last axis.
template <typename T>
class NarrowSumConv final : public ConvRunner<T> {
 public:
  explicit NarrowSumConv(const ConvShape& shape) : plan_(make_plan(shape)) {}

  int64_t workspace_elements() const override { return 0; }

  void run(const T* lhs, const T* rhs, const T* bias, T* out, T*, ThreadPool& pool) const override {
    const auto& s = plan_.shape;
    pool.parallel_for(s.groups * s.batch, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) run_batch(i / s.batch, i % s.batch, lhs, rhs, bias, out);
    });
  }

 private:
  // One feature and one batch at a time, with all kernel positions.
  static ConvPlan make_plan(ConvShape shape) {
    ConvShape one = shape;
    one.features = one.batch = 1;
    ConvPlan plan = plan_sum(one, 1, shape.kernel_size(), 1);
    plan.shape = shape;
    return plan;
  }

  void run_batch(int64_t group, int64_t batch, const T* lhs, const T* rhs, const T* bias, T* out) const {
    const auto& s = plan_.shape;
    const int64_t rows = s.positions(), sums = aligned(rows * s.outputs);
    const int64_t block_elements = plan_.direct ? 0 : plan_.block_elements;
    T* sum = static_cast<T*>(ThreadPool::scratch(static_cast<size_t>(sums + block_elements) * sizeof(T)));
    for (int64_t o = 0; o < s.outputs; ++o) std::fill_n(sum + o * rows, rows, bias ? bias[group * s.outputs + o] : T{});
    for (int64_t f = 0; f < s.features; ++f) {
      const T* block = lhs + group * s.lhs.group + batch * s.lhs.batch + f * s.lhs.feature;
      if (plan_.direct) {
        for (size_t d = 0; d < kConvAxes; ++d) block += plan_.origin[d] * s.lhs.spatial[d];
      } else {
        copy_block(plan_, block, 1, 1, plan_.origin, sum + sums);
        block = sum + sums;
      }
      for (int64_t o = 0; o < s.outputs; ++o) {
        const T* kernel = rhs + s.rhs.base + group * s.rhs.group + o * s.rhs.output + f * s.rhs.feature;
        for (int64_t r = 0; r < rows; ++r) {
          sum[o * rows + r] += correlation(block + plan_.phases[0].rows[static_cast<size_t>(r)], kernel);
        }
      }
    }
    T* to = out + group * s.out.group + batch * s.out.batch;
    for (int64_t o = 0; o < s.outputs; ++o) {
      store_rows<T>(one_output(s), sum + o * rows, 1, 1, {s.axes[0].out, s.axes[1].out, s.axes[2].out},
                    to + o * s.out.feature);
    }
  }

  static ConvShape one_output(ConvShape s) {
    s.outputs = 1;
    return s;
  }

  T correlation(const T* block, const T* kernel) const {
    const auto& s = plan_.shape;
    Triple tap;
    for (size_t d = 0; d < kConvAxes; ++d) tap[d] = s.axes[d].rhs_dilation * plan_.block_spatial[d];
    T total{};
    for (int64_t i = 0; i < s.axes[0].kernel; ++i) {
      for (int64_t j = 0; j < s.axes[1].kernel; ++j) {
        total +=
            tile_ops<T>().dot(block + i * tap[0] + j * tap[1], tap[2],
                              kernel + i * s.rhs.spatial[0] + j * s.rhs.spatial[1], s.rhs.spatial[2], s.axes[2].kernel);
      }
    }
    return total;
  }

  ConvPlan plan_;
};

// No output elements: nothing to do.
template <typename T>
class EmptyConv final : public ConvRunner<T> {
  int64_t workspace_elements() const override { return 0; }
  void run(const T*, const T*, const T*, T*, T*, ThreadPool&) const override {}
};

// Sums of nothing: no input features, or a kernel without elements. The inputs may be null pointers.
template <typename T>
class BiasConv final : public ConvRunner<T> {
 public:
  explicit BiasConv(const ConvShape& shape) : shape_(shape) {}
  int64_t workspace_elements() const override { return 0; }

  void run(const T*, const T*, const T* bias, T* out, T*, ThreadPool&) const override {
    const ConvShape& s = shape_;
    for (int64_t g = 0; g < s.groups; ++g) {
      for (int64_t b = 0; b < s.batch; ++b) {
        for (int64_t o = 0; o < s.outputs; ++o) {
          const int64_t at = g * s.out.group + b * s.out.batch + o * s.out.feature;
          fill(out + at, bias ? bias[g * s.outputs + o] : T{});
        }
      }
    }
  }

 private:
  void fill(T* out, T value) const {
    const Triple& strides = shape_.out.spatial;
    const auto& axes = shape_.axes;
    for (int64_t i = 0; i < axes[0].out; ++i) {
      for (int64_t j = 0; j < axes[1].out; ++j) {
        for (int64_t k = 0; k < axes[2].out; ++k) out[i * strides[0] + j * strides[1] + k * strides[2]] = value;
      }
    }
  }

  ConvShape shape_;
};

}  // namespace

template <typename T>
std::unique_ptr<const ConvRunner<T>> make_conv_runner(const ConvShape& shape) {
  const int64_t threads = num_threads();
  const ConvShape& s = shape;
  if (s.groups * s.batch * s.outputs * s.positions() == 0) return std::make_unique<EmptyConv<T>>();
  if (s.features * s.kernel_size() == 0) return std::make_unique<BiasConv<T>>(s);
  const bool narrow = 4 * s.outputs <= tile_ops<T>().lanes;
  const bool long_sum = s.kernel_size() > s.positions() && !s.dilates_lhs();
  if (narrow && long_sum) return std::make_unique<NarrowSumConv<T>>(s);
  if (narrow) return std::make_unique<NarrowRowConv<T>>(s, threads);
  if (long_sum) return std::make_unique<SumConv<T>>(s);
  return std::make_unique<RowConv<T>>(s, threads);
}

template std::unique_ptr<const ConvRunner<float>> make_conv_runner<float>(const ConvShape&);
template std::unique_ptr<const ConvRunner<double>> make_conv_runner<double>(const ConvShape&);
template std::unique_ptr<const ConvRunner<uint32_t>> make_conv_runner<uint32_t>(const ConvShape&);
template std::unique_ptr<const ConvRunner<uint64_t>> make_conv_runner<uint64_t>(const ConvShape&);

}  // namespace anesdk::cpu
