// Cluster -> tile program: operands become memory references or loads, values become registers or stores.
#include "cpu/tile/cluster.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "cpu/tile/scalar_program.h"
#include "cpu/tile/simd.h"
#include "cpu/tile/tile.h"
#include "mil/error.h"

namespace anesdk::cpu {

using tile::Instr;
using tile::Ref;

bool repeats_along_row(const View& view, int64_t length) {
  if (length <= 1 || view.elements() == 0) return false;
  const std::vector<Extent> extents = collapse(view);
  return !extents.empty() && extents.back().stride == 0 && extents.back().size % length == 0;
}

namespace {

constexpr int64_t kBlock = 1024;   // elements aimed at
constexpr int64_t kRowCalls = 32;  // rows at least this long are served by one call each
constexpr int64_t kChunk = 32768;  // elements that share accumulators, at least
constexpr int64_t kMaxChunks = 64;

DType compute_type(DType dtype) { return dtype == DType::FP16 || dtype == DType::BF16 ? DType::FP32 : dtype; }
bool is_short_float(DType dtype) { return dtype == DType::FP16 || dtype == DType::BF16; }
int32_t bytes_of(DType dtype) { return static_cast<int32_t>(mil::size_of(dtype)); }

// After how many elements a view repeats itself; 0 when it does not.
int64_t period_of(const View& view) {
  const std::vector<Extent> extents = collapse(view);
  if (extents.size() < 2 || extents[0].stride != 0 || extents[0].size == 0) return 0;
  return view.elements() / extents[0].size;
}

class Compiler {
 public:
  Compiler(const Graph& graph, const Cluster& cluster, const std::vector<bool>& stored,
           const std::vector<std::pair<TensorId, TensorId>>& aliases)
      : graph_(graph), cluster_(cluster), stored_(stored), aliases_(aliases) {}

  tile::Program compile() {
    choose_blocks();
    for (const Member& member : cluster_.members) emit(member);
    store_rest();
    defer_hazards();
    choose_chunks();
    allocate();
    return std::move(program_);
  }

 private:
  struct Register {
    int64_t bytes;
    bool permanent = false;
    int first = -1, last = -1;
    int32_t offset = -1;
  };
  struct Value {
    Ref ref;
    Level level;
    DType dtype;
  };

  const Graph& graph_;
  const Cluster& cluster_;
  const std::vector<bool>& stored_;
  const std::vector<std::pair<TensorId, TensorId>>& aliases_;
  tile::Program program_;
  std::map<TensorId, Value> values_;
  std::vector<std::pair<std::pair<View, Level>, Ref>> loads_;
  std::map<std::pair<int, int64_t>, Ref> expanded_;
  std::vector<Register> registers_;
  std::set<TensorId> written_;
  int64_t block_elements_ = 0;

  const Node& node_of(const Member& member) const { return graph_.nodes[member.node]; }

  // ---- shape of the loop -------------------------------------------------------------------------------------------

  void choose_blocks() {
    program_.length = cluster_.length;
    if (!cluster_.rows_fixed) program_.length = common_repeat();
    const int64_t length = program_.length;
    program_.rows = length == 0 ? 0 : cluster_.elements / length;
    int64_t rows = std::max<int64_t>(1, kBlock / std::max<int64_t>(1, length));
    const int64_t period = common_period();  // in elements
    if (length > 0 && period > 0 && period % length == 0) {
      const int64_t unit = period / length;
      if (period <= 2 * kBlock) {
        rows = unit * std::max<int64_t>(1, kBlock / period);
      } else {
        for (int64_t r = std::min(rows, unit); r * length >= 256; --r) {
          if (unit % r == 0) {
            rows = r;
            break;
          }
        }
      }
    }
    program_.block_rows = std::max<int64_t>(1, std::min(rows, std::max<int64_t>(1, program_.rows)));
    block_elements_ = program_.block_rows * length;
  }

  template <class F>
  void each_external(F f) const {
    std::set<TensorId> made;
    for (const Member& member : cluster_.members) {
      const Node& node = node_of(member);
      for (const View& view : node.inputs) {
        if (!made.contains(view.base)) f(member, view);
      }
      if (!member.sink) made.insert(node.outputs[0]);
    }
  }

  // The row length that most broadcast operands share.
  int64_t common_repeat() const {
    std::map<int64_t, int> votes;
    each_external([&](const Member& member, const View& view) {
      if (member.level != Level::FULL || view.scalar() || view.elements() == 0) return;
      const std::vector<Extent> extents = collapse(view);
      const Extent last = extents.back();
      if (last.stride == 0 && last.size >= 8 && last.size <= kMaxRow) ++votes[last.size];
    });
    int64_t best = 1;
    int most = 0;
    for (const auto& [length, count] : votes) {
      if (count > most && cluster_.elements % length == 0) best = length, most = count;
    }
    return best;
  }

  int64_t common_period() const {
    int64_t best = 0;
    each_external([&](const Member& member, const View& view) {
      if (member.level != Level::FULL || view.scalar() || view.elements() == 0 || best != 0) return;
      best = period_of(view);
    });
    for (const Member& member : cluster_.members) {
      if (member.sink && member.level == Level::FULL && best == 0) {
        const int64_t inner = node_of(member).inner;
        if (inner > 1 && inner < cluster_.elements) best = inner;
      }
    }
    return best;
  }

  // ---- operands ------------------------------------------------------------------------------------------------

  Ref new_register(Level level, DType dtype, bool permanent = false) {
    const int64_t count = level == Level::ROW ? program_.block_rows : block_elements_;
    registers_.push_back({std::max<int64_t>(64, count * bytes_of(dtype)), permanent});
    Ref ref;
    ref.kind = Ref::SCRATCH;
    ref.row = level == Level::ROW;
    ref.index = static_cast<int32_t>(registers_.size() - 1);
    ref.size = bytes_of(dtype);
    return ref;
  }

  static Ref tensor_ref(const View& view, bool row) {
    Ref ref;
    ref.kind = Ref::TENSOR;
    ref.row = row;
    ref.index = view.base;
    ref.size = bytes_of(view.dtype);
    ref.offset = view.offset;
    return ref;
  }

  Ref convert(std::vector<Instr>* code, const Ref& src, DType from, DType to, Level level, bool permanent) {
    Instr instr;
    instr.level = level;
    instr.sources = 1;
    instr.fn = simd().convert(from, to);
    instr.src[0] = src;
    instr.dst = new_register(level, to, permanent);
    instr.dst.scalar = src.scalar;
    code->push_back(instr);
    return instr.dst;
  }

  Ref load(std::vector<Instr>* code, const View& view, Level level, bool permanent) {
    Instr instr;
    instr.kind = Instr::LOAD;
    instr.level = level;
    instr.sources = 1;
    instr.src[0] = tensor_ref(view, level == Level::ROW);
    instr.dst = new_register(level, view.dtype, permanent);
    instr.extents = collapse(view);
    code->push_back(instr);
    return instr.dst;
  }

  // The elements of an outside view, in the compute type.
  Ref fetch_outside(const View& view, Level level) {
    for (const auto& [key, ref] : loads_) {
      const View& v = key.first;
      if (key.second == level && v.base == view.base && v.offset == view.offset && v.dtype == view.dtype &&
          v.shape == view.shape && v.strides == view.strides) {
        return ref;
      }
    }
    const Ref ref = make_fetch(view, level);
    loads_.push_back({{view, level}, ref});
    return ref;
  }

  Ref make_fetch(const View& view, Level level) {
    const DType compute = compute_type(view.dtype);
    const bool same = compute == view.dtype;
    if (view.scalar()) {
      Ref ref = tensor_ref(view, false);
      ref.scalar = true;
      return same ? ref : scalar_convert(ref, view.dtype, compute);
    }
    const bool full = level == Level::FULL;
    if (full && repeats_along_row(view, program_.length)) return fetch_outside(row_view(view), Level::ROW);
    const int64_t block = full ? block_elements_ : program_.block_rows;
    const int64_t period = period_of(view);
    Ref ref = tensor_ref(view, !full);
    if (view.dense()) {
      return same ? ref : convert(&program_.body, ref, view.dtype, compute, level, false);
    }
    if (period > 0 && period % block == 0 && dense_period(view)) {
      ref.period = period;
      return same ? ref : convert(&program_.body, ref, view.dtype, compute, level, false);
    }
    const bool invariant = period > 0 && block % period == 0;
    std::vector<Instr>* code = invariant ? &program_.prologue : &program_.body;
    const Ref loaded = load(code, view, level, invariant);
    return same ? loaded : convert(code, loaded, view.dtype, compute, level, invariant);
  }

  Ref scalar_convert(const Ref& src, DType from, DType to) {
    // one element, through the row loop of a block of rows = 1: the prologue runs it as a row by itself
    Instr instr;
    instr.kind = Instr::MAP;
    instr.level = Level::ROW;
    instr.imm = 1;
    instr.sources = 1;
    instr.fn = scalar_convert_fn(from, to);
    instr.src[0] = src;
    instr.dst = new_register(Level::ROW, to, true);
    instr.dst.scalar = true;
    instr.dst.row = false;
    program_.prologue.push_back(instr);
    return instr.dst;
  }

  static MapFn scalar_convert_fn(DType from, DType to) {
    (void)to;
    return from == DType::FP16 ? MapFn([](void* dst, const void* const* src, int64_t, int64_t) {
      simd().convert(DType::FP16, DType::FP32)(dst, src, 1, 0);
    })
                               : MapFn([](void* dst, const void* const* src, int64_t, int64_t) {
                                   simd().convert(DType::BF16, DType::FP32)(dst, src, 1, 0);
                                 });
  }

  static bool dense_period(const View& view) {
    std::vector<Extent> extents = collapse(view);
    int64_t step = 1;
    for (size_t i = extents.size(); i-- > 1;) {
      if (extents[i].stride != step) return false;
      step *= extents[i].size;
    }
    return true;
  }

  View row_view(const View& view) const {
    std::vector<Extent> extents = collapse(view);
    extents.back().size /= program_.length;
    View out{view.base, view.dtype, view.offset, {}, {}};
    for (const Extent& e : extents) {
      out.shape.push_back(e.size);
      out.strides.push_back(e.stride);
    }
    return out;
  }

  Ref fetch(const View& view, Level level) {
    const auto found = values_.find(view.base);
    return found == values_.end() ? fetch_outside(view, level) : found->second.ref;
  }

  // A run of elements at `level` from anything.
  Ref expand(const Ref& src, Level level, DType dtype) {
    if (!src.scalar && !(src.row && level == Level::FULL)) return src;
    Instr instr;
    instr.kind = Instr::EXPAND;
    instr.level = level;
    instr.sources = 1;
    instr.src[0] = src;
    instr.dst = new_register(level, dtype);
    program_.body.push_back(instr);
    return instr.dst;
  }

  // ---- instructions --------------------------------------------------------------------------------------------

  void emit(const Member& member) {
    const Node& node = node_of(member);
    if (node.kind == NodeKind::REDUCE) return emit_reduce(member, node);
    switch (node.map) {
      case MapOp::IOTA:
        return emit_iota(member, node);
      case MapOp::COPY:
        return emit_copy(member, node);
      case MapOp::CONVERT:
        return emit_convert(member, node);
      case MapOp::SETTLE:
        return emit_settle(member, node);
      default:
        return emit_map(member, node);
    }
  }

  DType dtype_of(TensorId id) const { return graph_.tensors[id].dtype; }

  // The place of a result: memory itself, if the result has the same form there.
  Ref destination(TensorId id, Level level) {
    const DType dtype = dtype_of(id);
    if (!stored_[id] || is_short_float(dtype)) return new_register(level, compute_type(dtype));
    written_.insert(id);
    return tensor_ref(dense_view(id, dtype, {}), level == Level::ROW);
  }

  void define(TensorId id, const Ref& ref, Level level) { values_[id] = {ref, level, dtype_of(id)}; }

  void emit_map(const Member& member, const Node& node) {
    const Level level = member.level;
    const DType compute = compute_type(node.compute);
    Instr instr;
    instr.level = level;
    instr.sources = static_cast<uint8_t>(node.inputs.size());
    instr.imm = node.imm;
    bool any_run = false, any_row = false;
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      instr.src[k] = fetch(node.inputs[k], level);
      const bool row = instr.src[k].row && level == Level::FULL;
      any_row |= row;
      any_run |= !row && !instr.src[k].scalar;
    }
    const bool select = node.map == MapOp::SELECT;
    const bool by_row = any_row && any_run && program_.length >= kRowCalls;
    unsigned scalars = 0;
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      Ref& src = instr.src[k];
      const bool row = src.row && level == Level::FULL;
      const bool must = node.inputs.size() == 1 || (select && k == 0) || (!any_run && k == 0);
      if (must || (row && !by_row)) {
        src = expand(src, level, select && k == 0 ? DType::BOOL : compute);
      } else if (row || src.scalar) {
        scalars |= 1u << k;
        if (row) instr.kind = Instr::MAP_ROWS;
      }
    }
    instr.fn = map_fn(node.map, compute, scalars);
    instr.is_op = true, instr.op = node.map, instr.dtype = compute;
    const TensorId out = node.outputs[0];
    instr.dst = destination(out, level);
    program_.body.push_back(instr);
    program_.cost += row_of(node.map).cost;
    define(out, instr.dst, level);
    if (is_short_float(dtype_of(out)) && !row_of(node.map).exact) emit_round(out, instr.dst, instr.dst, level);
  }

  static MapFn map_fn(MapOp op, DType compute, unsigned scalars) {
    MapFn fn = simd().map(op, compute, scalars);
    if (fn == nullptr) fn = rare_map(op, compute, scalars);
    if (fn == nullptr) {
      throw mil::Error(std::string("[") + row_of(op).name + "] has no kernel for " + std::string(mil::name_of(compute)),
                       ANESDK_UNSUPPORTED);
    }
    return fn;
  }

  void emit_simple(MapFn fn, const Ref& dst, const Ref& src, Level level) {
    Instr instr;
    instr.level = level;
    instr.sources = 1;
    instr.fn = fn;
    instr.dst = dst;
    instr.src[0] = src;
    program_.body.push_back(instr);
    ++program_.cost;
  }

  void emit_round(TensorId out, const Ref& dst, const Ref& src, Level level) {
    const MapOp op = dtype_of(out) == DType::FP16 ? MapOp::ROUND_FP16 : MapOp::ROUND_BF16;
    emit_simple(simd().map(op, DType::FP32, 0), dst, src, level);
  }

  void emit_iota(const Member& member, const Node& node) {
    Instr instr;
    instr.kind = Instr::IOTA;
    instr.level = member.level;
    instr.inner = node.inner;
    instr.length = node.length;
    instr.dtype = dtype_of(node.outputs[0]);
    instr.dst = destination(node.outputs[0], member.level);
    program_.body.push_back(instr);
    define(node.outputs[0], instr.dst, member.level);
  }

  // A copy only renames, unless its result must stand in memory.
  void emit_copy(const Member& member, const Node& node) {
    const TensorId out = node.outputs[0];
    const Ref src = fetch(node.inputs[0], member.level);
    if (!stored_[out] || is_short_float(dtype_of(out))) return define(out, src, member.level);
    const Ref run = expand(src, member.level, dtype_of(out));
    const Ref dst = destination(out, member.level);
    emit_simple(simd().map(MapOp::COPY, dtype_of(out), 0), dst, run, member.level);
    define(out, dst, member.level);
  }

  void emit_convert(const Member& member, const Node& node) {
    const TensorId out = node.outputs[0];
    const DType from = node.compute, to = dtype_of(out);
    const Level level = member.level;
    const Ref src = expand(fetch(node.inputs[0], level), level, compute_type(from));
    if (is_short_float(to)) {
      Ref ref = new_register(level, DType::FP32);
      if (compute_type(from) == DType::FP32) {
        emit_round(out, ref, src, level);
      } else {
        const Ref rounded = new_register(level, to);  // one rounding, from the type it comes from
        emit_simple(simd().convert(from, to), rounded, src, level);
        emit_simple(simd().convert(to, DType::FP32), ref, rounded, level);
      }
      return define(out, ref, level);
    }
    if (compute_type(from) == to && !stored_[out]) return define(out, src, level);
    const Ref dst = destination(out, level);
    emit_simple(simd().convert(compute_type(from), to), dst, src, level);
    define(out, dst, level);
  }

  // The operands beside the value are read only where something went wrong, and stay as they are.
  void emit_settle(const Member& member, const Node& node) {
    Instr instr;
    instr.kind = Instr::SETTLE;
    instr.level = member.level;
    instr.sources = static_cast<uint8_t>(node.inputs.size());
    for (size_t k = 0; k < node.inputs.size(); ++k) instr.src[k] = fetch(node.inputs[k], member.level);
    instr.src[0] = expand(instr.src[0], member.level, DType::FP32);
    instr.site = node.site;
    const TensorId out = node.outputs[0];
    instr.dst = destination(out, member.level);
    program_.body.push_back(instr);
    program_.cost += 2;
    define(out, instr.dst, member.level);
  }

  void emit_reduce(const Member& member, const Node& node) {
    Instr instr;
    instr.sources = 1;
    instr.level = member.level;
    instr.src[0] = expand(fetch(node.inputs[0], member.level), member.level, node.compute);
    instr.reduce_row = simd().reduce_row(node.reduce, node.compute);
    instr.reduce_column = simd().reduce_column(node.reduce, node.compute);
    if (instr.reduce_row == nullptr) {
      throw mil::Error(std::string("[reduce_") + name_of(node.reduce) + "] has no kernel for " +
                           std::string(mil::name_of(node.compute)),
                       ANESDK_UNSUPPORTED);
    }
    const TensorId out = node.outputs[0];
    ++program_.cost;
    if (member.row_reduce) {
      instr.kind = Instr::ROW_REDUCE;
      instr.dst = destination(out, Level::ROW);
      program_.body.push_back(instr);
      return define(out, instr.dst, Level::ROW);
    }
    instr.kind = Instr::SINK;
    instr.imm = static_cast<int64_t>(program_.sinks.size());
    const int64_t block = member.level == Level::FULL ? block_elements_ : program_.block_rows;
    const bool folded = node.inner > 1 && node.inner < 512 && block % node.inner == 0;
    program_.sinks.push_back({out, node.inner, folded ? block : node.inner, node.reduce, node.compute, 0});
    program_.body.push_back(instr);
  }

  // Values that must be in memory and are not yet: 16-bit floats, renamed operands.
  void store_rest() {
    for (const Member& member : cluster_.members) {
      const TensorId out = node_of(member).outputs[0];
      if (member.sink || !stored_[out] || written_.contains(out)) continue;
      const Value& value = values_.at(out);
      const DType dtype = dtype_of(out), compute = compute_type(dtype);
      const Level level = member.result();
      const Ref src = expand(value.ref, level, compute);
      const Ref dst = tensor_ref(dense_view(out, dtype, {}), level == Level::ROW);
      const MapFn fn = dtype == compute ? simd().map(MapOp::COPY, dtype, 0) : simd().convert(compute, dtype);
      emit_simple(fn, dst, src, level);
      written_.insert(out);
    }
  }

  // An output in an input's memory is written only after the last instruction that reads that input.
  void defer_hazards() {
    for (const auto& [output, input] : aliases_) {
      if (!written_.contains(output)) continue;
      int defined = -1, last_read = -1;
      for (int i = 0; i < static_cast<int>(program_.body.size()); ++i) {
        const Instr& instr = program_.body[i];
        if (instr.dst.kind == Ref::TENSOR && instr.dst.index == output && defined < 0) defined = i;
        for (int k = 0; k < instr.sources; ++k) {
          if (instr.src[k].kind == Ref::TENSOR && instr.src[k].index == input) last_read = i;
        }
      }
      if (defined < 0 || last_read <= defined) continue;
      const DType dtype = dtype_of(output);
      const bool row = program_.body[defined].dst.row;
      const Level level = row ? Level::ROW : Level::FULL;
      const Ref held = new_register(level, dtype);
      for (int i = defined; i < static_cast<int>(program_.body.size()); ++i) {
        Instr& instr = program_.body[i];
        if (instr.dst.kind == Ref::TENSOR && instr.dst.index == output) instr.dst = held;
        for (int k = 0; k < instr.sources; ++k) {
          if (instr.src[k].kind == Ref::TENSOR && instr.src[k].index == output) instr.src[k] = held;
        }
      }
      emit_simple(simd().map(MapOp::COPY, dtype, 0), tensor_ref(dense_view(output, dtype, {}), row), held, level);
    }
  }

  // ---- storage -------------------------------------------------------------------------------------------------

  void choose_chunks() {
    const int64_t blocks = program_.blocks();
    if (program_.sinks.empty()) return;
    int64_t longest = 1;
    for (const tile::Sink& s : program_.sinks) longest = std::max(longest, s.tile);
    const int64_t least = std::max(kChunk, 8 * longest);
    const int64_t chunks = std::clamp<int64_t>(cluster_.elements / least, 1, kMaxChunks);
    program_.chunk_blocks = std::max<int64_t>(1, (blocks + chunks - 1) / chunks);
    size_t bytes = 0;
    for (tile::Sink& s : program_.sinks) {
      s.offset = bytes;
      bytes += align64(static_cast<size_t>(s.tile) * mil::size_of(s.dtype));
    }
    program_.chunk_bytes = bytes;
  }

  // Linear scan: a register's bytes are free again after its last use.
  void allocate() {
    const int count = static_cast<int>(program_.body.size());
    const auto touch = [&](const Ref& ref, int at) {
      if (ref.kind != Ref::SCRATCH) return;
      Register& r = registers_[ref.index];
      if (r.first < 0) r.first = at;
      r.last = std::max(r.last, at);
    };
    for (int i = 0; i < count; ++i) {
      for (int k = 0; k < program_.body[i].sources; ++k) touch(program_.body[i].src[k], i);
      touch(program_.body[i].dst, i);
    }
    std::vector<std::vector<int>> ends(count);
    size_t top = 0;
    for (size_t r = 0; r < registers_.size(); ++r) {
      if (registers_[r].permanent) {
        registers_[r].offset = static_cast<int32_t>(top);
        top += align64(registers_[r].bytes);
      } else if (registers_[r].last >= 0) {
        ends[registers_[r].last].push_back(static_cast<int>(r));
      }
    }
    std::multimap<int64_t, int32_t> free;
    for (int i = 0; i < count; ++i) {
      Instr& instr = program_.body[i];
      const bool in_place = instr.kind == Instr::MAP;
      const auto release = [&](bool before) {
        for (int r : ends[i]) {
          const bool is_dst = instr.dst.kind == Ref::SCRATCH && instr.dst.index == r;
          const bool early = in_place && !is_dst && instr.dst.kind == Ref::SCRATCH &&
                             registers_[r].bytes == registers_[instr.dst.index].bytes && source_run(instr, r);
          if (early == before) free.emplace(registers_[r].bytes, registers_[r].offset);
        }
      };
      release(true);
      if (instr.dst.kind == Ref::SCRATCH && registers_[instr.dst.index].offset < 0) {
        Register& r = registers_[instr.dst.index];
        const auto spot = free.find(r.bytes);
        if (spot != free.end()) {
          r.offset = spot->second;
          free.erase(spot);
        } else {
          r.offset = static_cast<int32_t>(top);
          top += align64(r.bytes);
        }
      }
      release(false);
    }
    program_.scratch_bytes = std::max<size_t>(top, 64);
    for (auto* code : {&program_.prologue, &program_.body}) {
      for (Instr& instr : *code) {
        for (int k = 0; k < instr.sources; ++k) place(&instr.src[k]);
        place(&instr.dst);
      }
    }
  }

  // Whether register r is read element by element, as the destination is written.
  static bool source_run(const Instr& instr, int r) {
    for (int k = 0; k < instr.sources; ++k) {
      const Ref& src = instr.src[k];
      if (src.kind == Ref::SCRATCH && src.index == r && (src.scalar || src.size != instr.dst.size)) return false;
    }
    return true;
  }

  void place(Ref* ref) const {
    if (ref->kind == Ref::SCRATCH) ref->index = registers_[ref->index].offset;
  }
};

class FusedStep : public Step {
 public:
  FusedStep(tile::Program program, std::string text) : program_(std::move(program)), text_(std::move(text)) {
    ScalarProgram scalar;
    if (scalar.append(program_)) scalar_ = std::move(scalar);
  }
  void run(const RunContext& context) const override {
    if (scalar_) return scalar_->run(context.tensors);
    tile::run(program_, context);
  }
  bool append_to(ScalarProgram* all) const override { return all->append(program_); }
  std::string describe() const override { return text_; }
  size_t workspace_bytes() const override { return static_cast<size_t>(program_.chunks()) * program_.chunk_bytes; }

 private:
  tile::Program program_;
  std::optional<ScalarProgram> scalar_;  // the same, where there is one element
  std::string text_;
};

std::string lower_case(const char* text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(c));
  return out;
}

std::string describe(const Graph& graph, const Cluster& cluster, const std::vector<bool>& stored, int64_t length) {
  std::set<TensorId> made, inputs;
  std::string ops;
  int outputs = 0;
  for (const Member& member : cluster.members) {
    const Node& node = graph.nodes[member.node];
    for (const View& view : node.inputs) {
      if (!made.contains(view.base)) inputs.insert(view.base);
    }
    made.insert(node.outputs[0]);
    outputs += stored[node.outputs[0]];
    if (!ops.empty()) ops += ' ';
    if (node.kind == NodeKind::REDUCE) {
      ops += std::string(name_of(node.reduce)) + (member.row_reduce ? ":row" : node.inner == 1 ? ":all" : ":column");
    } else {
      ops += lower_case(row_of(node.map).name);
    }
  }
  const std::string space = length > 1 ? list({cluster.elements / length, length}) : list({cluster.elements});
  return (cluster.members.size() > 1 ? "fused[" : "map[") + ops + "] " + std::to_string(inputs.size()) + " in " +
         std::to_string(outputs) + " out over " + space;
}

}  // namespace

std::unique_ptr<Step> make_fused_step(const Graph& graph, const Cluster& cluster, const std::vector<bool>& stored,
                                      const std::vector<std::pair<TensorId, TensorId>>& aliases) {
  tile::Program program = Compiler(graph, cluster, stored, aliases).compile();
  std::string text = describe(graph, cluster, stored, program.length);
  return std::make_unique<FusedStep>(std::move(program), std::move(text));
}

}  // namespace anesdk::cpu
