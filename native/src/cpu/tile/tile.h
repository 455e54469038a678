// The tile machine: runs a cluster block by block, a block being a whole number of rows, with temporaries in L1.
#pragma once

#include <string>
#include <vector>

#include "cpu/tile/cluster.h"
#include "cpu/tile/simd.h"

namespace anesdk::cpu::tile {

// The place of a run of elements that an instruction reads or writes.
struct Ref {
  enum Kind : uint8_t { NONE, SCRATCH, TENSOR } kind = NONE;
  bool row = false;     // TENSOR: indexed by row, not by element. SCRATCH: one element per row
  bool scalar = false;  // one element for all
  int32_t index = 0;    // TENSOR: TensorId. SCRATCH: virtual register, then byte offset
  int32_t size = 0;     // bytes of an element
  int64_t offset = 0;   // TENSOR: in elements
  int64_t period = 0;   // TENSOR: when not 0, the index is taken modulo it
};

struct Instr {
  enum Kind : uint8_t {
    MAP,         // dst = fn(src...) over the whole block, or over its rows when level is ROW
    MAP_ROWS,    // the same row by row: operands that are `row` are scalars of their row
    LOAD,        // dst = elements of a strided view
    EXPAND,      // dst = row values, repeated along the row
    IOTA,        // dst = (i / inner) % length
    ROW_REDUCE,  // dst (row) = reduction of each row of src
    SINK,        // accumulator += block of src, by index modulo `length`
    SETTLE,      // dst = src[0] as the engine would have it; src[1..]: what it was computed from
  } kind = MAP;
  Level level = Level::FULL;
  uint8_t sources = 0;
  MapFn fn = nullptr;
  bool is_op = false;      // MAP: fn is the loop of `op` for operands of `dtype`
  MapOp op = MapOp::COPY;  // MAP
  ReduceRowFn reduce_row = nullptr;
  ReduceColumnFn reduce_column = nullptr;
  Ref dst, src[3];
  int64_t imm = 0;
  int64_t inner = 1, length = 1;
  DType dtype = DType::FP32;    // IOTA, MAP
  Site* site = nullptr;         // SETTLE
  std::vector<Extent> extents;  // LOAD
};

struct Sink {
  TensorId tensor;
  int64_t length;  // elements of the result
  int64_t tile;    // elements accumulated side by side, a multiple of length
  ReduceOp op;
  DType dtype;
  size_t offset = 0;  // of the accumulators of one chunk
};

struct Program {
  int64_t rows = 0, length = 1;
  int64_t block_rows = 1;
  int64_t chunk_blocks = 1;     // blocks that share accumulators
  std::vector<Instr> prologue;  // once per range: scalars and invariant tiles
  std::vector<Instr> body;
  std::vector<Sink> sinks;
  size_t scratch_bytes = 0;
  size_t chunk_bytes = 0;  // accumulators of one chunk
  int64_t cost = 1;        // simple operations per element
  int64_t blocks() const { return rows == 0 ? 0 : (rows + block_rows - 1) / block_rows; }
  int64_t chunks() const { return (blocks() + chunk_blocks - 1) / chunk_blocks; }
};

void run(const Program& program, const RunContext& context);

// The value that changes nothing under `op`, written `count` times.
void fill_identity(ReduceOp op, DType dtype, void* out, int64_t count);

}  // namespace anesdk::cpu::tile
