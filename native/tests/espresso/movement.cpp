#include <algorithm>
#include <cstdlib>
#include <utility>

#include "kernels.h"

namespace standin {
namespace {

// The tensor of `shape` whose element at an index is x's at source(index); -1 there is `fill`.
template <class Source>
Tensor gather(const Tensor& x, Shape shape, Source source, double fill = 0) {
  Tensor out{{x.type.dtype, std::move(shape)}, {}, ""};
  const std::vector<int64_t> strides = strides_of(x.type.shape);
  std::vector<int64_t> index(out.type.shape.size()), from(x.type.shape.size());
  do {
    int64_t offset = 0;
    bool inside = true;
    source(index, from);
    for (size_t i = 0; i < from.size(); ++i) {
      inside &= from[i] >= 0 && from[i] < x.type.shape[i];
      offset += from[i] * strides[i];
    }
    out.data.push_back(inside ? x.data[static_cast<size_t>(offset)] : fill);
  } while (step(index, out.type.shape));
  return out;
}

Tensor reshaped(const Tensor& x, Shape shape) {
  Tensor out{{x.type.dtype, std::move(shape)}, x.data, ""};
  if (out.type.elements() != x.type.elements()) throw Refusal("a reshape to another number of elements");
  return out;
}

std::vector<Tensor> reshape(const Args& a) { return {reshaped(a["x"], a.ints("shape"))}; }

std::vector<Tensor> transpose(const Args& a) {
  const auto perm = a.ints("perm");
  Shape shape, sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size(); ++i)
    if (sorted[i] != static_cast<int64_t>(i) || sorted.size() != a["x"].type.shape.size()) throw Refusal("a bad perm");
  for (const int64_t p : perm) shape.push_back(a["x"].type.shape[static_cast<size_t>(p)]);
  return {gather(a["x"], shape, [&](const auto& i, auto& from) {
    for (size_t k = 0; k < perm.size(); ++k) from[static_cast<size_t>(perm[k])] = i[k];
  })};
}

std::vector<Tensor> expand_dims(const Args& a) {
  Shape shape = a["x"].type.shape;
  for (const int64_t axis : a.ints("axes")) {
    if (axis < 0 || axis > static_cast<int64_t>(shape.size())) throw Refusal("a bad axis of expand_dims");
    shape.insert(shape.begin() + axis, 1);
  }
  return {reshaped(a["x"], shape)};
}

std::vector<Tensor> squeeze(const Args& a) {
  Shape shape = a["x"].type.shape;
  for (const int64_t axis : a.ints("axes")) shape[static_cast<size_t>(axis_of(axis, a["x"].type.shape))] = 0;
  std::erase(shape, 0);
  return {reshaped(a["x"], shape)};
}

std::vector<Tensor> slice_by_size(const Args& a) {
  const auto begin = a.ints("begin"), size = a.ints("size");
  const Shape& shape = a["x"].type.shape;
  if (begin.size() != shape.size() || size.size() != shape.size()) throw Refusal("a slice of another rank");
  for (size_t i = 0; i < shape.size(); ++i)
    if (begin[i] < 0 || size[i] < 1 || begin[i] + size[i] > shape[i]) throw Refusal("a slice out of bounds");
  return {gather(a["x"], size, [&](const auto& i, auto& from) {
    for (size_t k = 0; k < from.size(); ++k) from[k] = begin[k] + i[k];
  })};
}

std::vector<Tensor> slice_by_index(const Args& a) {
  const Shape& in = a["x"].type.shape;
  auto begin = a.ints("begin"), end = a.ints("end"), stride = a.ints("stride");
  const auto open = a.ints("begin_mask"), open_end = a.ints("end_mask"), drop = a.ints("squeeze_mask");
  for (const size_t n : {begin.size(), end.size(), stride.size(), open.size(), open_end.size(), drop.size()})
    if (n != in.size()) throw Refusal("a slice of another rank");
  Shape full, kept;
  for (size_t i = 0; i < in.size(); ++i) {
    if (stride[i] == 0) throw Refusal("a slice with a stride of 0");
    const bool forward = stride[i] > 0;
    begin[i] = open[i] ? (forward ? 0 : in[i] - 1) : begin[i] < 0 ? begin[i] + in[i] : begin[i];
    end[i] = end[i] < 0 ? end[i] + in[i] : end[i];
    if (open_end[i]) end[i] = forward ? in[i] : -1;
    if (drop[i]) stride[i] = 1, end[i] = begin[i] + 1;
    const int64_t span = stride[i] > 0 ? end[i] - begin[i] : begin[i] - end[i];
    if (std::min(begin[i], end[i] + 1) < 0 || std::max(begin[i] + 1, end[i]) > in[i] || span < 1)
      throw Refusal("a slice out of bounds");
    full.push_back((span - 1) / std::abs(stride[i]) + 1);
    if (!drop[i]) kept.push_back(full.back());
  }
  const Tensor cut = gather(a["x"], full, [&](const auto& i, auto& from) {
    for (size_t k = 0; k < from.size(); ++k) from[k] = begin[k] + i[k] * stride[k];
  });
  return {reshaped(cut, kept)};
}

std::vector<Tensor> reverse(const Args& a) {
  const Shape& shape = a["x"].type.shape;
  std::vector<bool> turned(shape.size());
  for (const int64_t axis : a.ints("axes")) turned[static_cast<size_t>(axis_of(axis, shape))] = true;
  return {gather(a["x"], shape, [&](const auto& i, auto& from) {
    for (size_t k = 0; k < from.size(); ++k) from[k] = turned[k] ? shape[k] - 1 - i[k] : i[k];
  })};
}

std::vector<Tensor> tile(const Args& a) {
  const auto reps = a.ints("reps");
  Shape shape = a["x"].type.shape;
  if (reps.size() != shape.size()) throw Refusal("reps of another rank");
  for (size_t i = 0; i < shape.size(); ++i) {
    int64_t rest = reps[i];
    while (rest % 2 == 0 && rest > 0) rest /= 2;
    while (rest % 3 == 0 && rest > 0) rest /= 3;
    if (rest != 1) throw Refusal("tile by " + std::to_string(reps[i]) + " not supported on any backend");
    shape[i] *= reps[i];
  }
  return {gather(a["x"], shape, [&](const auto& i, auto& from) {
    for (size_t k = 0; k < from.size(); ++k) from[k] = i[k] % a["x"].type.shape[k];
  })};
}

std::vector<Tensor> pad(const Args& a) {
  const auto amounts = a.ints("pad");
  const std::string mode = a.text("mode");
  if (mode != "constant" && mode != "reflect" && mode != "replicate") throw Refusal("pad: bad mode");
  Shape shape = a["x"].type.shape;
  if (amounts.size() % 2 || amounts.size() > 2 * shape.size()) throw Refusal("pad of another rank");
  std::vector<int64_t> before(shape.size());
  const Shape in = shape;
  const size_t first = shape.size() - amounts.size() / 2;  // the amounts are those of the last axes
  for (size_t k = first; k < shape.size(); ++k) {
    before[k] = amounts[2 * (k - first)];
    shape[k] += before[k] + amounts[2 * (k - first) + 1];
  }
  return {gather(
      a["x"], shape,
      [&](const auto& i, auto& from) {
        for (size_t k = 0; k < from.size(); ++k) {
          from[k] = i[k] - before[k];
          if (mode == "replicate") from[k] = std::clamp<int64_t>(from[k], 0, in[k] - 1);
          if (mode == "reflect" && from[k] < 0) from[k] = -from[k];
          if (mode == "reflect" && from[k] >= in[k]) from[k] = 2 * in[k] - 2 - from[k];
        }
      },
      a.number("constant_val"))};
}

std::vector<Tensor> fill(const Args& a) {
  const Shape shape = a.ints("shape");
  const Tensor& value = a["value"];
  return {{{value.type.dtype, shape},
           std::vector<double>(static_cast<size_t>(Type{"", shape}.elements()), value.data[0]),
           ""}};
}

Tensor joined(const std::vector<const Tensor*>& parts, size_t axis) {
  Tensor out{{parts[0]->type.dtype, parts[0]->type.shape}, {}, ""};
  out.type.shape[axis] = 0;
  int64_t outer = 1;
  for (size_t i = 0; i < axis; ++i) outer *= out.type.shape[i];
  for (const Tensor* part : parts) {
    Shape rest = part->type.shape;
    if (rest.size() != out.type.shape.size()) throw Refusal("concat of different ranks");
    out.type.shape[axis] += std::exchange(rest[axis], 0);
    Shape first = parts[0]->type.shape;
    first[axis] = 0;
    if (rest != first || part->type.dtype != out.type.dtype) throw Refusal("concat of parts that do not fit");
  }
  for (int64_t o = 0; o < outer; ++o)
    for (const Tensor* part : parts) {
      const int64_t block = part->type.elements() / outer;
      out.data.insert(out.data.end(), part->data.begin() + o * block, part->data.begin() + (o + 1) * block);
    }
  return out;
}

std::vector<Tensor> concat(const Args& a) {
  if (a.flag("interleave")) throw Refusal("concat: interleave not supported on any backend");
  const auto& parts = a.list("values");
  return {joined(parts, static_cast<size_t>(axis_of(a.integer("axis"), parts.at(0)->type.shape)))};
}

std::vector<Tensor> stack(const Args& a) {
  std::vector<Tensor> parts;
  std::vector<const Tensor*> pointers;
  for (const Tensor* part : a.list("values")) {
    Shape shape = part->type.shape;
    shape.insert(shape.begin() + std::clamp<int64_t>(a.integer("axis"), 0, static_cast<int64_t>(shape.size())), 1);
    parts.push_back(reshaped(*part, shape));
  }
  for (const Tensor& part : parts) pointers.push_back(&part);
  return {joined(pointers, static_cast<size_t>(a.integer("axis")))};
}

std::vector<Tensor> split(const Args& a) {
  const Shape& in = a["x"].type.shape;
  const auto axis = static_cast<size_t>(axis_of(a.integer("axis"), in));
  const int64_t count = a.integer("num_splits");
  if (count < 1 || in[axis] % count) throw Refusal("unequal parts of split");
  Shape shape = in;
  shape[axis] /= count;
  std::vector<Tensor> parts;
  for (int64_t p = 0; p < count; ++p)
    parts.push_back(gather(a["x"], shape, [&](const auto& i, auto& from) {
      from = i;
      from[axis] += p * shape[axis];
    }));
  return parts;
}

}  // namespace

void add_movement(Table& t) {
  t["reshape"] = {{"x", "shape"}, {}, reshape};
  t["transpose"] = {{"x", "perm"}, {}, transpose};
  t["expand_dims"] = {{"x", "axes"}, {}, expand_dims};
  t["squeeze"] = {{"x", "axes"}, {}, squeeze};
  t["slice_by_size"] = {{"x", "begin", "size"}, {}, slice_by_size};
  t["slice_by_index"] = {{"x", "begin", "end", "stride", "begin_mask", "end_mask", "squeeze_mask"}, {}, slice_by_index};
  t["reverse"] = {{"x", "axes"}, {}, reverse};
  t["tile"] = {{"x", "reps"}, {}, tile};
  t["pad"] = {{"x", "pad", "mode", "constant_val"}, {}, pad};
  t["fill"] = {{"shape", "value"}, {}, fill};
  t["concat"] = {{"values", "axis", "interleave"}, {}, concat};
  t["stack"] = {{"values", "axis"}, {}, stack};
  t["split"] = {{"x", "axis", "num_splits"}, {}, split};
}

}  // namespace standin
