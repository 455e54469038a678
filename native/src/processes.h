// The processes that compute together, and what they send one another: by the functions of MPI, which the host found
// (anesdk_set_processes). Every process makes the same calls in the same order; agree() is where that is made sure of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "anesdk.h"
#include "mil/program.h"

namespace anesdk::processes {

// Throws std::invalid_argument for a table that cannot be used.
void set(const anesdk_processes* table);

int32_t size();   // 1 where none were set
int32_t index();  // from 0 on

// Holds `digest` against those of the other processes, each of which must come here too. Throws mil::Error with the
// number of the first process that has another one.
void agree(uint64_t digest);

// This process makes no more calls. If others still do, they are told, and otherwise all leave together.
void leave();

// One of the arrays that a message holds.
struct Piece {
  const void* from;
  void* to;
  size_t bytes;
};

// Messages that are started, and return at once with a number, and that finish() waits for. What they send is copied.
// In between a thread of this file keeps them going. Sums over all processes, element by element, of arrays of one
// dtype, as one message.
int64_t start_sum(std::span<const Piece> pieces, mil::DType dtype);
// Gets size() blocks of `bytes`: block i is the `bytes` at `from` of process i.
int64_t start_gather(const void* from, size_t bytes);
// Gets size() blocks of `bytes` for as many at `from`: block i goes to process i, and came from process i.
int64_t start_exchange(const void* from, size_t bytes);

// Writes what came, one piece after the other. Each message is finished once.
void finish(int64_t message, std::span<const Piece> pieces);

// How many bytes one such message should have: larger ones are cut, so that the first sets out while the last is made.
size_t bucket_bytes();

// To be called when a run ends early: messages that it started and did not finish leave the others behind.
void give_up();

// `from` goes to process `target` and `to` is what process `source` sent; -1 for neither, and `to` is then zeros.
void pass_on(const void* from, void* to, size_t bytes, int64_t target, int64_t source);

}  // namespace anesdk::processes
