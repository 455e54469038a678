// How the elements of a port lie in its buffer. Most systems say that they are dense; where rows are padded they are
// copied one by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "mil/program.h"

namespace anesdk::ane {

class Layout {
 public:
  explicit Layout(const mil::Type& type);  // dense

  // `strides` in bytes, one for each axis of `type`. Returns false, and changes nothing, where elements would overlap,
  // lie in another order than that of their indices, or between the bytes of others.
  bool set_strides(const size_t* strides);

  bool dense() const { return runs_.empty(); }
  uint64_t bytes() const { return bytes_; }  // of the buffer, what lies behind the last row included

  // Between an array in row-major order and the memory of a buffer. What lies between rows is neither read nor written.
  void scatter(const std::byte* array, std::byte* memory) const;
  void gather(const std::byte* memory, std::byte* array) const;

  bool operator==(const Layout&) const = default;

 private:
  struct Axis {
    uint64_t size, stride;
    bool operator==(const Axis&) const = default;
  };
  template <class Copy>
  void each_run(Copy copy) const;

  mil::Type type_;
  std::vector<Axis> runs_;  // the axes outside of one run of bytes, outermost first; none where dense
  uint64_t run_bytes_, bytes_;
};

}  // namespace anesdk::ane
