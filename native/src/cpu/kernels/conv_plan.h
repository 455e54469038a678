// The plan of a convolution: the pieces into which it is cut, so that each stays in the caches.
//
// A piece reads a *block*: a dense copy of part of the lhs with its padding written out (or the lhs itself where there
// is none), so that every element a piece needs is at block[row + tap], whatever the strides and dilations.
//
// A dilated lhs is never stuffed with zeros: the output positions fall into *phases* by their remainder, and in each
// phase only some kernel positions meet elements. Every phase is a plain convolution, with step `step` in the lhs.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/kernels/conv_shape.h"

namespace anesdk::cpu {

struct ConvPhase {
  Triple start{}, count{};            // its output positions: start + period * j, j < count
  std::vector<int64_t> taps, kernel;  // per k = (feature, kernel position): offsets into the block and the rhs
  std::vector<int64_t> rows, c_rows;  // per (batch, position) of a full piece: offsets into the block and its result
  int64_t first_tap = 0;              // number of taps in the phases before
  int64_t positions() const { return count[0] * count[1] * count[2]; }
};

// Pieces are batch_block batches by `chunk` positions along chunk_axis (when splitting rows), or feature_block
// features by `chunk` kernel positions along chunk_axis (when splitting the sum). Where there is more than one chunk,
// the block has one batch (one feature), and chunk_axis is the first axis that is not 1, so the tables of a full piece
// start with those of a smaller one.
struct ConvPlan {
  ConvShape shape;
  bool splits_sum = false;
  int64_t columns = 0;  // outputs, padded
  Triple period{}, step{};
  size_t chunk_axis = 0;
  int64_t chunk = 1, chunks = 1;
  int64_t batch_block = 1, feature_block = 1;
  bool direct = false;  // the block is the lhs itself
  Triple origin{};      // of the first block, in lhs positions; may be negative
  Triple extent{};
  int64_t block_batch = 0, block_feature = 0;  // strides of the block
  Triple block_spatial{};
  int64_t block_elements = 0;
  std::vector<ConvPhase> phases;
  int64_t total_taps = 0;  // over all phases

  // Rows of C in one piece.
  int64_t piece_rows() const;
};

// Splits output positions. row_limit: rows of a piece; copy: never direct.
ConvPlan plan_rows(const ConvShape& shape, int64_t columns, int64_t row_limit, int64_t threads, bool copy);

// Splits the sum over features and kernel positions (needs an undilated lhs). depth: terms of a piece.
ConvPlan plan_sum(const ConvShape& shape, int64_t columns, int64_t depth, int64_t threads);

// Copies `batches` x `features` of the lhs (whose pointer is at the first of them) into a block that starts at
// `origin`, writing zeros outside.
template <typename T>
void copy_block(const ConvPlan& plan, const T* lhs, int64_t batches, int64_t features, const Triple& origin, T* block);

}  // namespace anesdk::cpu
