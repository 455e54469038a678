#include "cpu/tile/tile.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "cpu/tile/numerics.h"

namespace anesdk::cpu::tile {
namespace {

struct Block {
  const RunContext* context;
  std::byte* scratch;
  std::byte* accumulators;
  int64_t row, rows;     // first row and their number
  int64_t start, count;  // the same in elements
};

std::byte* resolve(const Ref& ref, const Block& block) {
  if (ref.kind == Ref::SCRATCH) return block.scratch + ref.index;
  int64_t i = ref.scalar ? 0 : (ref.row ? block.row : block.start);
  if (ref.period != 0) i %= ref.period;
  return block.context->tensors[ref.index] + (ref.offset + i) * ref.size;
}

template <class T>
void load_runs(std::byte* dst, const std::byte* src, const std::vector<Extent>& extents, int64_t start, int64_t count) {
  // The innermost extent is walked run by run, the others by an odometer. A run that repeats is copied from the copy.
  auto* out = reinterpret_cast<T*>(dst);
  const auto* in = reinterpret_cast<const T*>(src);
  const size_t rank = extents.size();
  int64_t index[ANESDK_MAX_RANK];
  int64_t position = 0, rest = start;
  for (size_t d = rank; d-- > 0;) {
    index[d] = rest % extents[d].size;
    rest /= extents[d].size;
    position += index[d] * extents[d].stride;
  }
  const Extent inner = extents[rank - 1];
  const auto carry = [&](size_t from) {  // one step along the axes before `from`
    for (size_t d = from; d-- > 0;) {
      position += extents[d].stride;
      if (++index[d] < extents[d].size) break;
      position -= extents[d].size * extents[d].stride;
      index[d] = 0;
    }
  };
  const bool repeats = rank >= 2 && inner.stride == 1 && inner.size <= 256 && extents[rank - 2].stride == 0;
  while (count > 0) {
    const int64_t times =
        repeats && index[rank - 1] == 0 ? std::min(count / inner.size, extents[rank - 2].size - index[rank - 2]) : 0;
    if (times > 1) {
      const int64_t total = times * inner.size;
      std::memcpy(out, in + position, static_cast<size_t>(inner.size) * sizeof(T));
      for (int64_t done = inner.size; done < total;) {
        const int64_t more = std::min(done, total - done);
        std::memcpy(out + done, out, static_cast<size_t>(more) * sizeof(T));
        done += more;
      }
      out += total;
      count -= total;
      index[rank - 2] += times;
      if (index[rank - 2] == extents[rank - 2].size) {
        index[rank - 2] = 0;
        carry(rank - 2);
      }
      continue;
    }
    const int64_t run = std::min(count, inner.size - index[rank - 1]);
    const T* from = in + position;
    if (inner.stride == 1) {
      std::memcpy(out, from, static_cast<size_t>(run) * sizeof(T));
    } else if (inner.stride == 0) {
      std::fill_n(out, run, *from);
    } else {
      for (int64_t i = 0; i < run; ++i) out[i] = from[i * inner.stride];
    }
    out += run;
    count -= run;
    position -= index[rank - 1] * inner.stride;
    index[rank - 1] = 0;
    carry(rank - 1);
  }
}

void load(const Instr& instr, const Block& block) {
  const std::byte* base = block.context->tensors[instr.src[0].index] + instr.src[0].offset * instr.src[0].size;
  std::byte* dst = resolve(instr.dst, block);
  const bool row = instr.level == Level::ROW;
  const int64_t start = row ? block.row : block.start, count = row ? block.rows : block.count;
  switch (instr.src[0].size) {
    case 1:
      return load_runs<uint8_t>(dst, base, instr.extents, start, count);
    case 2:
      return load_runs<uint16_t>(dst, base, instr.extents, start, count);
    case 4:
      return load_runs<uint32_t>(dst, base, instr.extents, start, count);
    default:
      return load_runs<uint64_t>(dst, base, instr.extents, start, count);
  }
}

template <class T>
void expand(std::byte* dst, const std::byte* src, bool scalar, int64_t rows, int64_t length) {
  auto* out = reinterpret_cast<T*>(dst);
  const auto* in = reinterpret_cast<const T*>(src);
  if (scalar) {
    std::fill_n(out, rows * length, in[0]);
    return;
  }
  for (int64_t r = 0; r < rows; ++r) std::fill_n(out + r * length, length, in[r]);
}

void expand(const Instr& instr, const Block& block) {
  const bool row = instr.level == Level::ROW;
  const int64_t length = row ? 1 : block.count / std::max<int64_t>(block.rows, 1);
  std::byte* dst = resolve(instr.dst, block);
  const std::byte* src = resolve(instr.src[0], block);
  const bool scalar = instr.src[0].scalar;
  switch (instr.dst.size) {
    case 1:
      return expand<uint8_t>(dst, src, scalar, block.rows, length);
    case 2:
      return expand<uint16_t>(dst, src, scalar, block.rows, length);
    case 4:
      return expand<uint32_t>(dst, src, scalar, block.rows, length);
    default:
      return expand<uint64_t>(dst, src, scalar, block.rows, length);
  }
}

template <class T>
void iota(std::byte* dst, const Instr& instr, int64_t start, int64_t count) {
  auto* out = reinterpret_cast<T*>(dst);
  int64_t phase = start % instr.inner, value = start / instr.inner % instr.length;
  while (count > 0) {
    if (instr.inner == 1) {
      const int64_t run = std::min(count, instr.length - value);
      for (int64_t i = 0; i < run; ++i) out[i] = static_cast<T>(value + i);
      out += run, count -= run, value = 0;
      continue;
    }
    const int64_t run = std::min(count, instr.inner - phase);
    std::fill_n(out, run, static_cast<T>(value));
    out += run, count -= run, phase = 0;
    if (++value == instr.length) value = 0;
  }
}

void iota(const Instr& instr, const Block& block) {
  const bool row = instr.level == Level::ROW;
  const int64_t start = row ? block.row : block.start, count = row ? block.rows : block.count;
  std::byte* dst = resolve(instr.dst, block);
  switch (instr.dtype) {
    case DType::BOOL:
    case DType::INT8:
    case DType::UINT8:
      return iota<uint8_t>(dst, instr, start, count);
    case DType::INT16:
    case DType::UINT16:
      return iota<uint16_t>(dst, instr, start, count);
    case DType::INT32:
    case DType::UINT32:
      return iota<uint32_t>(dst, instr, start, count);
    case DType::INT64:
    case DType::UINT64:
      return iota<uint64_t>(dst, instr, start, count);
    case DType::FP64:
      return iota<double>(dst, instr, start, count);
    default:
      return iota<float>(dst, instr, start, count);
  }
}

void map(const Instr& instr, const Block& block) {
  const void* src[3];
  for (int k = 0; k < instr.sources; ++k) src[k] = resolve(instr.src[k], block);
  instr.fn(resolve(instr.dst, block), src, instr.level == Level::ROW ? block.rows : block.count, instr.imm);
}

void map_rows(const Instr& instr, const Block& block) {
  const int64_t length = block.count / block.rows;
  const std::byte* src[3];
  int64_t step[3];
  for (int k = 0; k < instr.sources; ++k) {
    const Ref& ref = instr.src[k];
    src[k] = resolve(ref, block);
    step[k] = ref.scalar ? 0 : (ref.row ? 1 : length) * ref.size;
  }
  std::byte* dst = resolve(instr.dst, block);
  for (int64_t r = 0; r < block.rows; ++r) {
    const void* at[3];
    for (int k = 0; k < instr.sources; ++k) at[k] = src[k] + r * step[k];
    instr.fn(dst + r * length * instr.dst.size, at, length, instr.imm);
  }
}

// Many short rows at once: position j of every row is folded into all results together.
void row_reduce_across(const Instr& instr, std::byte* dst, const std::byte* src, int64_t rows, int64_t length) {
  alignas(64) std::byte column[8192];
  const int64_t size = instr.src[0].size, most = static_cast<int64_t>(sizeof column) / size;
  const CopyPlaneFn pick = simd().copy_plane(size);
  for (int64_t first = 0; first < rows; first += most) {
    const int64_t count = std::min(most, rows - first);
    const std::byte* from = src + first * length * size;
    std::byte* to = dst + first * size;
    pick(to, 0, 1, from, 0, length, 1, count);
    for (int64_t j = 1; j < length; ++j) {
      pick(column, 0, 1, from + j * size, 0, length, 1, count);
      instr.reduce_column(to, column, count);
    }
  }
}

void row_reduce(const Instr& instr, const Block& block) {
  const int64_t length = block.count / block.rows;
  std::byte* dst = resolve(instr.dst, block);
  const std::byte* src = resolve(instr.src[0], block);
  constexpr int64_t kShort = 24, kMany = 16;
  if (length < kShort && block.rows >= kMany) return row_reduce_across(instr, dst, src, block.rows, length);
  for (int64_t r = 0; r < block.rows; ++r) {
    instr.reduce_row(dst + r * instr.dst.size, src + r * length * instr.src[0].size, length);
  }
}

void sink(const Instr& instr, const Sink& to, const Block& block) {
  const bool row = instr.level == Level::ROW;
  const int64_t start = row ? block.row : block.start;
  int64_t count = row ? block.rows : block.count;
  const std::byte* src = resolve(instr.src[0], block);
  std::byte* acc = block.accumulators + to.offset;
  const int64_t size = instr.src[0].size;
  if (to.tile == 1) {
    alignas(8) std::byte part[8];
    instr.reduce_row(part, src, count);
    instr.reduce_column(acc, part, 1);
    return;
  }
  for (int64_t at = start % to.tile; count > 0; at = 0) {
    const int64_t run = std::min(count, to.tile - at);
    instr.reduce_column(acc + at * size, src, run);
    src += run * size;
    count -= run;
  }
}

void settle(const Instr& instr, const Block& block) {
  const bool row = instr.level == Level::ROW;
  const int64_t length = row ? 1 : block.count / std::max<int64_t>(block.rows, 1);
  Operand operands[2];
  for (int k = 1; k < instr.sources; ++k) {
    const Ref& ref = instr.src[k];
    operands[k - 1] = {reinterpret_cast<const float*>(resolve(ref, block)), ref.scalar, ref.row && !row ? length : 1};
  }
  const int64_t count = row ? block.rows : block.count;
  settle(instr.site, reinterpret_cast<const float*>(resolve(instr.src[0], block)),
         reinterpret_cast<float*>(resolve(instr.dst, block)), count, {operands, instr.sources - size_t{1}});
}

void execute(const std::vector<Instr>& code, const std::vector<Sink>& sinks, const Block& block) {
  for (const Instr& instr : code) {
    switch (instr.kind) {
      case Instr::MAP:
        map(instr, block);
        break;
      case Instr::MAP_ROWS:
        map_rows(instr, block);
        break;
      case Instr::LOAD:
        load(instr, block);
        break;
      case Instr::EXPAND:
        expand(instr, block);
        break;
      case Instr::IOTA:
        iota(instr, block);
        break;
      case Instr::ROW_REDUCE:
        row_reduce(instr, block);
        break;
      case Instr::SINK:
        sink(instr, sinks[instr.imm], block);
        break;
      case Instr::SETTLE:
        settle(instr, block);
        break;
    }
  }
}

Block block_at(const Program& program, const RunContext& context, std::byte* scratch, int64_t index) {
  const int64_t row = index * program.block_rows;
  const int64_t rows = std::min(program.block_rows, program.rows - row);
  return {&context, scratch, nullptr, row, rows, row * program.length, rows * program.length};
}

void run_prologue(const Program& program, const RunContext& context, std::byte* scratch) {
  if (program.prologue.empty() || program.blocks() == 0) return;
  Block block = block_at(program, context, scratch, 0);
  execute(program.prologue, program.sinks, block);
}

template <class T>
void fill(void* out, T value, int64_t count) {
  std::fill_n(static_cast<T*>(out), count, value);
}

template <class T>
void fill_number(ReduceOp op, void* out, int64_t count) {
  using Limits = std::numeric_limits<T>;
  switch (op) {
    case ReduceOp::PROD:
      return fill<T>(out, T(1), count);
    case ReduceOp::MAX:
      return fill<T>(out, Limits::has_infinity ? T(-Limits::infinity()) : Limits::lowest(), count);
    case ReduceOp::MIN:
      return fill<T>(out, Limits::has_infinity ? Limits::infinity() : Limits::max(), count);
    case ReduceOp::AND:
      return fill<T>(out, T(-1), count);
    default:
      return fill<T>(out, T(0), count);
  }
}

// Folds the accumulators of all chunks, in their order, into those of the first, and these by halves into the result:
// so no element is the end of a long chain of additions.
void finish(const Program& program, const RunContext& context) {
  for (const Sink& s : program.sinks) {
    const auto size = static_cast<int64_t>(mil::size_of(s.dtype));
    std::byte* out = context.at(s.tensor);
    if (program.chunks() == 0) {
      fill_identity(s.op, s.dtype, out, s.length);
      continue;
    }
    const ReduceColumnFn fold = simd().reduce_column(s.op, s.dtype);
    std::byte* first = context.workspace + s.offset;
    for (int64_t c = 1; c < program.chunks(); ++c) {
      fold(first, first + static_cast<size_t>(c) * program.chunk_bytes, s.tile);
    }
    for (int64_t count = s.length == 0 ? 0 : s.tile / s.length; count > 1;) {
      const int64_t half = count / 2;
      count -= half;
      fold(first, first + count * s.length * size, half * s.length);
    }
    std::memcpy(out, first, static_cast<size_t>(s.length * size));
  }
}

}  // namespace

void fill_identity(ReduceOp op, DType dtype, void* out, int64_t count) {
  switch (dtype) {
    case DType::BOOL: {
      const bool one = op == ReduceOp::PROD || op == ReduceOp::MIN || op == ReduceOp::AND;
      return fill<uint8_t>(out, one ? 1 : 0, count);
    }
    case DType::INT8:
      return fill_number<int8_t>(op, out, count);
    case DType::INT16:
      return fill_number<int16_t>(op, out, count);
    case DType::INT32:
      return fill_number<int32_t>(op, out, count);
    case DType::INT64:
      return fill_number<int64_t>(op, out, count);
    case DType::UINT8:
      return fill_number<uint8_t>(op, out, count);
    case DType::UINT16:
      return fill_number<uint16_t>(op, out, count);
    case DType::UINT32:
      return fill_number<uint32_t>(op, out, count);
    case DType::UINT64:
      return fill_number<uint64_t>(op, out, count);
    case DType::FP64:
      return fill_number<double>(op, out, count);
    default:
      return fill_number<float>(op, out, count);
  }
}

void run(const Program& program, const RunContext& context) {
  const int64_t blocks = program.blocks();
  if (program.sinks.empty()) {
    if (blocks == 0) return;
    const int64_t block_cost = program.block_rows * program.length * program.cost;
    const int64_t grain = std::max<int64_t>(1, 65536 / std::max<int64_t>(1, block_cost));
    const auto body = [&](int64_t begin, int64_t end) {
      auto* scratch = static_cast<std::byte*>(ThreadPool::scratch(program.scratch_bytes));
      run_prologue(program, context, scratch);
      for (int64_t b = begin; b < end; ++b) {
        execute(program.body, program.sinks, block_at(program, context, scratch, b));
      }
    };
    if (blocks <= grain) return body(0, blocks);
    context.pool.parallel_for(blocks, grain, body);
    return;
  }
  const auto chunk = [&](int64_t begin, int64_t end) {
    auto* scratch = static_cast<std::byte*>(ThreadPool::scratch(program.scratch_bytes));
    run_prologue(program, context, scratch);
    for (int64_t c = begin; c < end; ++c) {
      std::byte* accumulators = context.workspace + static_cast<size_t>(c) * program.chunk_bytes;
      for (const Sink& s : program.sinks) fill_identity(s.op, s.dtype, accumulators + s.offset, s.tile);
      const int64_t last = std::min(blocks, (c + 1) * program.chunk_blocks);
      for (int64_t b = c * program.chunk_blocks; b < last; ++b) {
        Block block = block_at(program, context, scratch, b);
        block.accumulators = accumulators;
        execute(program.body, program.sinks, block);
      }
    }
  };
  if (program.chunks() <= 1) {
    chunk(0, program.chunks());
  } else {
    context.pool.parallel_for(program.chunks(), 1, chunk);
  }
  finish(program, context);
}

}  // namespace anesdk::cpu::tile
