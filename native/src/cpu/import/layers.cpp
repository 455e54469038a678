// MIL's own operations on images, and its layers, composed from the same nodes: resizing, space and depth, attention.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "cpu/import/importer.h"
#include "mil/error.h"

namespace anesdk::cpu {
namespace {

using mil::Op;

View wide(Importer& i, const View& x) { return i.b.convert(x, compute_dtype(x.dtype)); }
void finish(Importer& i, const Op& op, const View& value) { i.set(op, i.b.convert(value, i.type(op).dtype)); }

// Such an operation becomes as many nodes as it has samples or neighbours.
constexpr int64_t kMostParts = 65536;

void check_parts(const Op& op, int64_t parts) {
  if (parts > kMostParts)
    throw mil::Error("[" + std::string(op.schema->name) + "] the CPU device takes up to " + std::to_string(kMostParts) +
                         " samples of an axis or neighbours of a channel, got " + std::to_string(parts),
                     ANESDK_UNSUPPORTED);
}

// x as `split`, its axes then in the order of `perm`, as the result's shape.
void rearrange(Importer& i, const Op& op, const View& x, const Shape& split, const std::vector<int64_t>& perm) {
  i.set(op, i.b.reshape(transpose(i.b.reshape(x, split), perm), i.type(op).shape));
}

// The channels are [f, f, C] (depth_to_space, as TensorFlow has it) or [C, f, f] (pixel_shuffle, as PyTorch).
template <bool kChannelsLast>
void to_space(Importer& i, const Op& op) {
  const View x = i.in(op, "x");
  const Shape& s = x.shape;
  const int64_t f = i.f.integer(op, kChannelsLast ? "block_size" : "upscale_factor"), c = i.type(op).shape[1];
  if (kChannelsLast) return rearrange(i, op, x, {s[0], f, f, c, s[2], s[3]}, {0, 3, 4, 1, 5, 2});
  rearrange(i, op, x, {s[0], c, f, f, s[2], s[3]}, {0, 1, 4, 2, 5, 3});
}

template <bool kChannelsLast>
void to_depth(Importer& i, const Op& op) {
  const View x = i.in(op, "x");
  const Shape &s = x.shape, &out = i.type(op).shape;
  const int64_t f = i.f.integer(op, kChannelsLast ? "block_size" : "downscale_factor");
  const std::vector<int64_t> perm =
      kChannelsLast ? std::vector<int64_t>{0, 3, 5, 1, 2, 4} : std::vector<int64_t>{0, 1, 3, 5, 2, 4};
  rearrange(i, op, x, {s[0], s[1], out[2], f, out[3], f}, perm);
}

void space_to_batch(Importer& i, const Op& op) {
  const std::vector<int64_t> block = i.ints(op, "block_shape"), pad = i.ints(op, "paddings");
  View x = i.in(op, "x");
  x = i.b.pad(x, i.b.scalar(x.dtype, 0.0), {0, 0, pad[0], pad[2]}, {0, 0, pad[1], pad[3]}, {0, 0, 0, 0});
  const Shape& out = i.type(op).shape;
  rearrange(i, op, x, {x.shape[0], x.shape[1], out[2], block[0], out[3], block[1]}, {3, 5, 0, 1, 2, 4});
}

void batch_to_space(Importer& i, const Op& op) {
  const std::vector<int64_t> block = i.ints(op, "block_shape"), crop = i.ints(op, "crops");
  const View x = i.in(op, "x");
  const Shape &s = x.shape, &out = i.type(op).shape;
  const View split = i.b.reshape(x, {block[0], block[1], out[0], s[1], s[2], s[3]});
  const View whole =
      i.b.reshape(transpose(split, {2, 3, 4, 0, 5, 1}), {out[0], s[1], s[2] * block[0], s[3] * block[1]});
  i.set(op, slice(whole, {0, 0, crop[0], crop[2]}, {out[0], s[1], crop[0] + out[2], crop[2] + out[3]}, {}));
}

// ---- resizing

// The entries of x along an axis: neighbours that are equal are one entry, read again and again.
View taken(Importer& i, const View& x, int64_t axis, const std::vector<int64_t>& entries) {
  std::vector<View> parts;
  for (size_t from = 0, to = 0; from < entries.size(); from = to) {
    while (to < entries.size() && entries[to] == entries[from]) ++to;
    std::vector<int64_t> start(x.shape.size(), 0), limit = x.shape;
    start[static_cast<size_t>(axis)] = entries[from];
    limit[static_cast<size_t>(axis)] = entries[from] + 1;
    View part = slice(x, start, limit, {});
    part.shape[static_cast<size_t>(axis)] = static_cast<int64_t>(to - from);
    part.strides[static_cast<size_t>(axis)] = 0;
    parts.push_back(part);
  }
  if (!parts.empty()) return i.b.concat(parts, axis);
  View none = x;
  none.shape[static_cast<size_t>(axis)] = 0;
  return none;
}

// Of a result's last axes, the nearest entries at or before. Where the ratio is no integer MIL's documentation
// leaves the choice open.
void nearest(Importer& i, const Op& op, size_t axes) {
  View x = i.in(op, "x");
  const Shape& out = i.type(op).shape;
  for (size_t axis = out.size() - axes; axis < out.size(); ++axis) {
    if (x.shape[axis] == out[axis]) continue;
    check_parts(op, out[axis]);
    std::vector<int64_t> entries(static_cast<size_t>(out[axis]));
    for (size_t k = 0; k < entries.size(); ++k) entries[k] = static_cast<int64_t>(k) * x.shape[axis] / out[axis];
    x = taken(i, x, static_cast<int64_t>(axis), entries);
  }
  i.set(op, x);
}

void nearest_plane(Importer& i, const Op& op) { nearest(i, op, 2); }

// The places of the `count` samples of an axis of `size`: coremltools' documentation of resize_bilinear.
std::vector<double> grid(const std::string& mode, int64_t size, int64_t count) {
  const auto in = static_cast<double>(size), out = static_cast<double>(count);
  const double last = in - 1, steps = std::max(out - 1, 1.0);
  double first = 0, spacing = last / steps;
  if (mode == "DEFAULT") {
    spacing = (in - in / out) / steps;
  } else if (mode == "OFFSET_CORNERS") {
    spacing = std::max(1.0, last) / out;
    first = 0.5 * spacing;
  } else if (mode == "UNALIGN_CORNERS") {
    spacing = in / out;
    first = 0.5 * spacing - 0.5;
  } else if (mode == "ALIGN_CORNERS" && count == 1) {
    first = last / 2;
  }
  std::vector<double> points;
  for (int64_t k = 0; k < count; ++k) points.push_back(std::clamp(first + static_cast<double>(k) * spacing, 0.0, last));
  return points;
}

View vector_of(Importer& i, const std::vector<float>& values) {
  mil::Value value;
  value.type = {DType::FP32, {static_cast<int64_t>(values.size())}};
  auto constant = std::make_shared<mil::Constant>();
  constant->data.resize(values.size() * sizeof(float));
  if (!values.empty()) std::memcpy(constant->data.data(), values.data(), constant->data.size());
  value.constant = constant;
  return i.b.constant(value);
}

// Between the two neighbours of each sample; one that hits an entry is that entry, whatever lies beside it.
View between(Importer& i, const View& x, size_t axis, const std::vector<double>& points) {
  std::vector<int64_t> before, after;
  std::vector<float> weights;
  for (const double point : points) {
    const auto low = static_cast<int64_t>(std::floor(point));
    const double weight = point - static_cast<double>(low);
    before.push_back(low);
    after.push_back(weight > 0 ? low + 1 : low);
    weights.push_back(static_cast<float>(weight));
  }
  const View low = taken(i, x, static_cast<int64_t>(axis), before);
  if (std::all_of(weights.begin(), weights.end(), [](float w) { return w == 0; })) return low;
  const View high = taken(i, x, static_cast<int64_t>(axis), after);
  const View weight = broadcast(vector_of(i, weights), low.shape, {static_cast<int64_t>(axis)});
  const View rest = i.b.map(MapOp::SUB, i.b.scalar(DType::FP32, 1.0), weight);
  const View mixed = i.b.map(MapOp::ADD, i.b.map(MapOp::MUL, low, rest), i.b.map(MapOp::MUL, high, weight));
  return i.b.select(i.b.compare(MapOp::EQ, weight, i.b.scalar(DType::FP32, 0.0)), low, mixed);
}

void bilinear(Importer& i, const Op& op, const std::string& mode, size_t axes = 2) {
  View x = wide(i, i.in(op, "x"));
  const Shape& out = i.type(op).shape;
  for (size_t axis = out.size() - axes; axis < out.size(); ++axis) {
    check_parts(op, out[axis]);
    x = between(i, x, axis, grid(mode, x.shape[axis], out[axis]));
  }
  finish(i, op, x);
}

void resize_bilinear(Importer& i, const Op& op) { bilinear(i, op, i.text(op, "sampling_mode", "DEFAULT")); }
void upsample_bilinear(Importer& i, const Op& op) {
  if (i.flag(op, "align_corners", true)) return bilinear(i, op, "STRICT_ALIGN_CORNERS");
  bilinear(i, op, i.flag(op, "half_pixel_centers", true) ? "UNALIGN_CORNERS" : "DEFAULT");
}

void resize(Importer& i, const Op& op) {
  const std::string mode = i.text(op, "sampling_mode", "DEFAULT");
  const auto axes = static_cast<size_t>(i.f.integer(op, "resized_dims"));
  if (i.text(op, "interpolation_mode", "LINEAR") == "LINEAR") return bilinear(i, op, mode, axes);
  if (mode != "DEFAULT")
    throw mil::Error("[resize] with NEAREST_NEIGHBOR the CPU device takes the sampling_mode DEFAULT, got " + mode,
                     ANESDK_UNSUPPORTED);
  nearest(i, op, axes);
}

void crop(Importer& i, const Op& op) {
  const View x = i.in(op, "x");
  std::vector<int64_t> start(x.shape.size(), 0), limit = x.shape;
  for (const auto& [name, axis] : {std::pair{"crop_height", x.shape.size() - 2}, {"crop_width", x.shape.size() - 1}}) {
    start[axis] = i.ints(op, name)[0];
    limit[axis] = start[axis] + i.type(op).shape[axis];
  }
  i.set(op, slice(x, start, limit, {}));
}

void flatten2d(Importer& i, const Op& op) { i.set(op, i.b.reshape(i.in(op, "x"), i.type(op).shape)); }

// ---- layers

// x / (k + alpha / size * sum of squares of the neighbouring channels) ^ beta. Of an even size the one channel more
// lies before, as in PyTorch.
void local_response_norm(Importer& i, const Op& op) {
  const View x = wide(i, i.in(op, "x"));
  const int64_t size = i.f.integer(op, "size"), channels = x.shape[1];
  std::vector<int64_t> low(x.shape.size(), 0), high = low, none = low;
  low[1] = std::min(size / 2, channels);
  high[1] = std::min((size - 1) / 2, channels);
  check_parts(op, low[1] + high[1]);
  const View squares = i.b.pad(i.b.map(MapOp::SQUARE, x), i.b.scalar(DType::FP32, 0.0), low, high, none);
  View sum = i.b.scalar(DType::FP32, 0.0);
  for (int64_t k = 0; k <= low[1] + high[1]; ++k) {
    std::vector<int64_t> start(x.shape.size(), 0), limit = x.shape;
    start[1] = k;
    limit[1] = k + channels;
    sum = i.b.map(MapOp::ADD, slice(squares, start, limit, {}), sum);
  }
  const double scale = i.real(op, "alpha", 1e-4) / static_cast<double>(size);
  const View inner = i.b.map(MapOp::ADD, i.b.map(MapOp::MUL, sum, scale), i.real(op, "k", 1.0));
  finish(i, op, i.b.map(MapOp::DIV, x, i.b.map(MapOp::POW, inner, i.real(op, "beta", 0.75))));
}

View masked(Importer& i, const View& scores, const View& mask) {
  const View wanted = broadcast_trailing(mask, scores.shape);
  if (mask.dtype != DType::BOOL) return i.b.map(MapOp::ADD, scores, i.b.convert(wanted, DType::FP32));
  const View never = broadcast_trailing(i.b.scalar(DType::FP32, -INFINITY), scores.shape);
  return i.b.select(wanted, scores, never);
}

// softmax(query key^T / sqrt(E) + mask) value
void attention(Importer& i, const Op& op) {
  const View query = wide(i, i.in(op, "query")), key = wide(i, i.in(op, "key")), value = wide(i, i.in(op, "value"));
  const size_t rank = query.shape.size();
  std::vector<int64_t> same(rank);
  std::iota(same.begin(), same.end(), 0);
  std::vector<int64_t> swapped = same;
  std::swap(swapped[rank - 1], swapped[rank - 2]);
  const Builder::Contraction rows{rank - 2, 1, 1, 1, same};
  View scores = i.b.dot(query, transpose(key, swapped), rows, DType::FP32);
  scores = i.b.map(MapOp::DIV, scores, std::sqrt(static_cast<double>(query.shape[rank - 1])));
  if (i.has(op, "attn_mask")) scores = masked(i, scores, i.in(op, "attn_mask"));
  const std::vector<int64_t> axes = {static_cast<int64_t>(rank) - 1};
  const View e = i.b.map(MapOp::EXP, i.b.map(MapOp::SUB, scores, i.b.reduce_keep(ReduceOp::MAX, scores, axes)));
  const View weights = i.b.map(MapOp::DIV, e, i.b.reduce_keep(ReduceOp::SUM, e, axes));
  finish(i, op, i.b.dot(weights, value, rows, DType::FP32));
}

// x / sqrt(the sum of its squares over the last three axes + epsilon)
void l2_norm(Importer& i, const Op& op) {
  const View x = wide(i, i.in(op, "x"));
  const auto rank = static_cast<int64_t>(x.shape.size());
  const View sum = i.b.reduce_keep(ReduceOp::SUM, i.b.map(MapOp::SQUARE, x), {rank - 3, rank - 2, rank - 1});
  const View inside = i.b.map(MapOp::ADD, sum, i.real(op, "epsilon", 1e-6));
  finish(i, op, i.b.map(MapOp::MUL, x, i.b.map(MapOp::RSQRT, inside)));
}

// [batch, C, H, W] times [batch, W, H, U] for each H: a product with H as a batch axis.
void einsum(Importer& i, const Op& op) {
  const std::vector<View> values = i.list(op, "values");
  const size_t rank = values[0].shape.size();
  const auto moved = [&](const View& v, std::vector<int64_t> last) {
    std::vector<int64_t> perm;
    for (size_t d = 0; d + 3 < rank; ++d) perm.push_back(static_cast<int64_t>(d));
    for (const int64_t axis : last) perm.push_back(static_cast<int64_t>(rank) - 3 + axis);
    return transpose(v, perm);
  };
  View x = moved(wide(i, values[0]), {1, 0, 2}), y = moved(wide(i, values[1]), {1, 0, 2});
  const Shape& out = i.type(op).shape;
  Shape x_shape = x.shape, y_shape = y.shape;
  for (size_t d = 0; d + 3 < rank; ++d) x_shape[d] = y_shape[d] = out[d];
  x_shape[rank - 3] = y_shape[rank - 3] = out[rank - 2];
  std::vector<int64_t> same(rank);
  std::iota(same.begin(), same.end(), 0);
  const View product =
      i.b.dot(broadcast_trailing(x, x_shape), broadcast_trailing(y, y_shape), {rank - 2, 1, 1, 1, same}, DType::FP32);
  finish(i, op, moved(product, {1, 0, 2}));
}

// A scale or zero point for each element of the input, in float32.
View spread(Importer& i, const Op& op, const char* name, const Shape& shape) {
  const View given = i.b.convert(i.in(op, name), DType::FP32);
  if (given.shape.empty()) return broadcast_trailing(given, shape);
  return broadcast(given, shape, {axis_of(i.f.integer(op, "axis"), shape.size())});
}

void dequantize(Importer& i, const Op& op) {
  View x = i.b.convert(i.in(op, "input"), DType::FP32);
  if (i.has(op, "zero_point")) x = i.b.map(MapOp::SUB, x, spread(i, op, "zero_point", x.shape));
  finish(i, op, i.b.map(MapOp::MUL, x, spread(i, op, "scale", x.shape)));
}

// Numbers out of range saturate when they become integers.
void quantize(Importer& i, const Op& op) {
  View x = wide(i, i.in(op, "input"));
  x = i.b.map(MapOp::ROUND, i.b.map(MapOp::DIV, x, spread(i, op, "scale", x.shape)));
  if (i.has(op, "zero_point")) x = i.b.map(MapOp::ADD, x, spread(i, op, "zero_point", x.shape));
  finish(i, op, x);
}

}  // namespace

const Handlers& layer_handlers() {
  static const Handlers kTable = {
      {"depth_to_space", to_space<true>},
      {"pixel_shuffle", to_space<false>},
      {"space_to_depth", to_depth<true>},
      {"pixel_unshuffle", to_depth<false>},
      {"space_to_batch", space_to_batch},
      {"batch_to_space", batch_to_space},
      {"upsample_nearest_neighbor", nearest_plane},
      {"resize_nearest_neighbor", nearest_plane},
      {"resize", resize},
      {"crop", crop},
      {"flatten2d", flatten2d},
      {"upsample_bilinear", upsample_bilinear},
      {"resize_bilinear", resize_bilinear},
      {"local_response_norm", local_response_norm},
      {"scaled_dot_product_attention", attention},
      {"l2_norm", l2_norm},
      {"einsum", einsum},
      {"dequantize", dequantize},
      {"quantize", quantize},
  };
  return kTable;
}

}  // namespace anesdk::cpu
