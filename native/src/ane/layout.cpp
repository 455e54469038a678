#include "ane/layout.h"

#include <cstring>

namespace anesdk::ane {
namespace {

constexpr uint64_t kMostBytes = uint64_t{1} << 40;

}  // namespace

Layout::Layout(const mil::Type& type) : type_(type), run_bytes_(type.nbytes()), bytes_(type.nbytes()) {}

bool Layout::set_strides(const size_t* strides) {
  std::vector<Axis> runs;
  uint64_t run = mil::size_of(type_.dtype), extent = run;
  for (size_t axis = type_.shape.size(); axis-- > 0;) {
    const auto size = static_cast<uint64_t>(type_.shape[axis]);
    if (size == 1) continue;  // its stride says nothing
    const uint64_t stride = strides[axis];
    if (stride < extent || stride % mil::size_of(type_.dtype) != 0 || stride > kMostBytes / size) return false;
    extent = stride * size;
    if (runs.empty() && stride == run) {
      run = extent;
    } else {
      runs.insert(runs.begin(), {size, stride});
    }
  }
  runs_ = std::move(runs);
  run_bytes_ = run;
  bytes_ = extent;
  return true;
}

// Calls copy(offset in the array, offset in memory) for each run.
template <class Copy>
void Layout::each_run(Copy copy) const {
  std::vector<uint64_t> index(runs_.size(), 0);
  for (uint64_t from = 0, to = 0; from < type_.nbytes(); from += run_bytes_) {
    copy(from, to);
    for (size_t axis = runs_.size(); axis-- > 0;) {
      to += runs_[axis].stride;
      if (++index[axis] < runs_[axis].size) break;
      to -= runs_[axis].stride * runs_[axis].size;
      index[axis] = 0;
    }
  }
}

void Layout::scatter(const std::byte* array, std::byte* memory) const {
  each_run([&](uint64_t from, uint64_t to) { std::memcpy(memory + to, array + from, run_bytes_); });
}

void Layout::gather(const std::byte* memory, std::byte* array) const {
  each_run([&](uint64_t to, uint64_t from) { std::memcpy(array + to, memory + from, run_bytes_); });
}

}  // namespace anesdk::ane
