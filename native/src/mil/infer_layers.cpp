// MIL's own operations on images, and its layers: resizing, space and depth, attention.
#include <cmath>

#include "mil/infer.h"

namespace anesdk::mil {
namespace {

const std::vector<std::string_view> kSamplingModes = {"DEFAULT", "STRICT_ALIGN_CORNERS", "ALIGN_CORNERS",
                                                      "OFFSET_CORNERS", "UNALIGN_CORNERS"};

const Shape& image(const OpView& op) {
  op.require(op.rank("x") == 4, "x must have rank 4");
  return op.shape("x");
}

Shapes to_space(const OpView& op, std::string_view name) {
  const Shape& x = image(op);
  const int64_t f = op.integer(name, 1), square = op.multiply(f, f);
  op.require(x[1] % square == 0, std::string(name) + " squared must divide the channels");
  return {{x[0], x[1] / square, op.extent(op.multiply(x[2], f)), op.extent(op.multiply(x[3], f))}};
}

Shapes to_depth(const OpView& op, std::string_view name) {
  const Shape& x = image(op);
  const int64_t f = op.integer(name, 1), square = op.multiply(f, f);
  op.require(x[2] % f == 0 && x[3] % f == 0, std::string(name) + " must divide height and width");
  return {{x[0], op.extent(op.multiply(x[1], square)), x[2] / f, x[3] / f}};
}

Shapes depth_to_space(const OpView& op) { return to_space(op, "block_size"); }
Shapes space_to_depth(const OpView& op) { return to_depth(op, "block_size"); }
Shapes pixel_shuffle(const OpView& op) { return to_space(op, "upscale_factor"); }
Shapes pixel_unshuffle(const OpView& op) { return to_depth(op, "downscale_factor"); }

// The sizes of blocks, and what is added or taken at the ends of each axis.
List blocks(const OpView& op) { return op.ints("block_shape", 2, 1); }
List borders(const OpView& op, std::string_view name) {
  op.require(op.shape(name) == Shape{2, 2}, std::string(name) + " must have shape [2, 2]");
  return op.ints(name, 4, 0);
}

Shapes space_to_batch(const OpView& op) {
  const Shape& x = image(op);
  const List block = blocks(op), pad = borders(op, "paddings");
  Shape out = {op.extent(op.multiply(x[0], op.multiply(block[0], block[1]))), x[1], 0, 0};
  for (size_t i = 0; i < 2; ++i) {
    const int64_t size = op.extent(x[2 + i] + pad[2 * i] + pad[2 * i + 1]);
    op.require(size % block[i] == 0, "block_shape must divide the padded height and width");
    out[2 + i] = size / block[i];
  }
  return {out};
}

Shapes batch_to_space(const OpView& op) {
  const Shape& x = image(op);
  const List block = blocks(op), crop = borders(op, "crops");
  const int64_t product = op.multiply(block[0], block[1]);
  op.require(x[0] % product == 0, "the product of block_shape must divide the batch");
  Shape out = {x[0] / product, x[1], 0, 0};
  for (size_t i = 0; i < 2; ++i)
    out[2 + i] = op.extent(op.extent(op.multiply(x[2 + i], block[i])) - crop[2 * i] - crop[2 * i + 1]);
  return {out};
}

// x with its last two axes, which have elements if the result has, as long as said.
Shapes resized(const OpView& op, int64_t height, int64_t width) {
  op.require(op.rank("x") >= 3, "x must have rank 3 or more");
  Shape out = op.shape("x");
  const size_t first = out.size() - 2;
  for (const auto& [axis, size] : {std::pair{first, height}, std::pair{first + 1, width}}) {
    op.require(out[axis] > 0 || size == 0, "an axis without elements cannot be resized");
    out[axis] = op.extent(size);
  }
  return {out};
}

int64_t scaled(const OpView& op, std::string_view name, size_t from_back) {
  op.require(op.rank("x") >= 3, "x must have rank 3 or more");
  const double scale = op.real_or(name, 1.0);
  op.require(std::isfinite(scale) && scale > 0, std::string(name) + " must be positive");
  const double size = std::floor(scale * static_cast<double>(op.shape("x")[op.shape("x").size() - from_back]));
  op.require(size <= static_cast<double>(kMaxExtent), "a size is too large");
  return static_cast<int64_t>(size);
}

Shapes upsample(const OpView& op) {
  return resized(op, scaled(op, "scale_factor_height", 2), scaled(op, "scale_factor_width", 1));
}

Shapes upsample_bilinear(const OpView& op) {
  const bool aligned = !op.has("align_corners") || op.flag("align_corners");
  op.require(!aligned || !op.flag("half_pixel_centers"), "align_corners and half_pixel_centers exclude each other");
  return upsample(op);
}

Shapes resize_to(const OpView& op) {
  return resized(op, op.integer_or("target_size_height", 0, 1), op.integer_or("target_size_width", 0, 1));
}

Shapes resize_bilinear(const OpView& op) {
  op.one_of("sampling_mode", kSamplingModes);
  return resize_to(op);
}

// The last resized_dims axes as long as the last numbers of `shape` say; 0 is the size that an axis has.
Shapes resize(const OpView& op) {
  op.one_of("interpolation_mode", {"LINEAR", "NEAREST_NEIGHBOR"});
  op.one_of("sampling_mode", kSamplingModes);
  Shape out = op.shape("x");
  const List wanted = op.any_ints("shape", 0);
  const int64_t count = op.integer("resized_dims", 0);
  op.require(count <= std::ssize(wanted) && std::ssize(wanted) <= std::ssize(out),
             "shape must have resized_dims numbers or more, and no more than x has axes");
  for (int64_t i = 1; i <= count; ++i) {
    int64_t& size = out[out.size() - static_cast<size_t>(i)];
    const int64_t number = wanted[wanted.size() - static_cast<size_t>(i)];
    if (number == 0) continue;
    op.require(size > 0, "an axis without elements cannot be resized");
    size = number;
  }
  return {out};
}

Shapes crop(const OpView& op) {
  op.require(op.rank("x") >= 3, "x must have rank 3 or more");
  Shape out = op.shape("x");
  const List height = op.ints("crop_height", 2, 0), width = op.ints("crop_width", 2, 0);
  out[out.size() - 2] = op.extent(out[out.size() - 2] - height[0] - height[1]);
  out[out.size() - 1] = op.extent(out[out.size() - 1] - width[0] - width[1]);
  return {out};
}

Shapes affine(const OpView& op) {
  const Shape &x = image(op), &matrix = op.shape("transform_matrix");
  op.one_of("sampling_mode", {"bilinear"});
  op.one_of("padding_mode", {"constant"});
  op.one_of("coordinates_mode", {"normalized_minus_one_to_one"});
  op.require(op.flag("align_corners"), "align_corners must be true");
  op.require(op.real_or("padding_value", 0.0) == 0, "padding_value must be 0");
  op.require(matrix == Shape{x[0], 6} || matrix == Shape{1, 6}, "transform_matrix must have shape [batch or 1, 6]");
  return {{x[0], x[1], op.integer("output_height", 0), op.integer("output_width", 0)}};
}

Shapes flatten2d(const OpView& op) {
  const Shape& x = op.shape("x");
  int64_t axis = op.has("axis") ? op.integer("axis", -op.rank("x"), op.rank("x")) : 1;
  op.require(axis <= op.rank("x"), "axis must not be above the rank");
  if (axis < 0) axis += op.rank("x");
  const auto middle = x.begin() + axis;
  return {{op.elements(Shape(x.begin(), middle)), op.elements(Shape(middle, x.end()))}};
}

Shapes local_response_norm(const OpView& op) {
  op.require(op.rank("x") == 3 || op.rank("x") == 4, "x must have rank 3 or 4");
  op.integer("size", 1);
  return {op.shape("x")};
}

Shapes attention(const OpView& op) {
  const Shape &query = op.shape("query"), &key = op.shape("key"), &value = op.shape("value");
  const size_t rank = query.size();
  op.require(rank >= 3 && key.size() == rank && value.size() == rank,
             "query, key and value must have one rank, 3 or more");
  for (size_t i = 0; i + 2 < rank; ++i)
    op.require(query[i] == key[i] && query[i] == value[i], "query, key and value must have equal leading axes");
  op.require(query[rank - 1] == key[rank - 1] && query[rank - 1] > 0, "query and key must have rows of one length");
  op.require(key[rank - 2] == value[rank - 2], "value must have as many rows as key");
  if (op.has("attn_mask")) {
    Shape scores = query;
    scores.back() = key[rank - 2];
    const Shape& mask = op.shape("attn_mask");
    op.require(mask.size() <= rank, "attn_mask must broadcast to " + str(scores));
    for (size_t i = 0; i < mask.size(); ++i)
      op.require(mask[i] == 1 || mask[i] == scores[rank - mask.size() + i],
                 "attn_mask must broadcast to " + str(scores));
  }
  Shape out = query;
  out.back() = value.back();
  return {out};
}

// The letters in the order of the alphabet.
std::string renamed(const std::string& equation) {
  std::string out, seen;
  for (const char c : equation) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter && seen.find(c) == std::string::npos) seen += c;
    out += letter ? static_cast<char>('a' + seen.find(c)) : c;
  }
  return out;
}

// The two equations of MIL: nchw,nwhu->nchu and chw,whr->chr.
Shapes einsum(const OpView& op) {
  const std::string equation = renamed(op.text_or("equation", ""));
  op.require(equation == "abcd,adce->abce" || equation == "abc,cbd->abd",
             "equation must be nchw,nwhu->nchu or chw,whr->chr");
  const Shapes values = op.shapes("values");
  const size_t rank = equation.find(',');
  op.require(values.size() == 2 && values[0].size() == rank && values[1].size() == rank,
             "values must be two of rank " + std::to_string(rank));
  const Shape &x = values[0], &y = values[1];
  op.require(x[rank - 1] == y[rank - 3], "the contracted axes must have one size");
  Shape out = x;
  out[rank - 1] = y[rank - 1];
  for (const size_t axis : {rank - 2, size_t{0}}) {
    if (axis == rank - 3) continue;
    op.require(x[axis] == y[axis] || x[axis] == 1 || y[axis] == 1, "the batch axes must broadcast");
    out[axis] = x[axis] == 1 ? y[axis] : x[axis];
  }
  return {out};
}

// [steps, batch, features] with weights [4 * hidden, ...], in one direction or in both.
Shapes lstm(const OpView& op) {
  op.require(op.rank("x") == 3, "x must have rank 3");
  const Shape &x = op.shape("x"), &recurrent = op.shape("weight_hh");
  const std::string direction = op.text_or("direction", "forward");
  const bool both = direction == "bidirectional";
  op.require(both || direction == "forward" || direction == "reverse",
             "direction must be forward, reverse or bidirectional");
  for (const std::string_view name : {"recurrent_activation", "cell_activation", "activation"}) {
    const std::string is = op.text_or(name, "tanh");
    op.require(is == "hard_sigmoid" || is == "linear" || is == "relu" || is == "scaled_tanh" || is == "sigmoid" ||
                   is == "tanh",
               std::string(name) + " is no activation of an LSTM");
  }
  const int64_t hidden = recurrent[1], gates = op.multiply(4, hidden);
  const std::vector<std::pair<std::string, Shape>> wanted = {
      {"weight_ih", {gates, x[2]}}, {"weight_hh", {gates, hidden}}, {"bias", {gates}}, {"peephole", {gates - hidden}}};
  for (const auto& [name, shape] : wanted)
    for (const std::string& arg : {name, name + "_back"}) {
      if (!op.has(arg)) continue;
      op.require(both || arg == name, arg + " belongs to the direction bidirectional");
      op.require(op.shape(arg) == shape, arg + " must have shape " + str(shape));
    }
  op.require(!both || (op.has("weight_ih_back") && op.has("weight_hh_back")), "both directions need weights");
  const Shape state = {x[1], op.multiply(both ? 2 : 1, hidden)};
  for (const std::string_view name : {"initial_h", "initial_c"})
    op.require(op.shape(name) == state, std::string(name) + " must have shape " + str(state));
  return {{op.flag("output_sequence") ? x[0] : 1, state[0], state[1]}, state, state};
}

Shapes l2_norm(const OpView& op) {
  op.require(op.rank("x") >= 3, "x must have rank 3 or more");
  return {op.shape("x")};
}

Shapes quantize(const OpView& op) {
  const Shape &input = op.shape("input"), &scale = op.shape("scale");
  op.require(scale.size() < 2, "scale must have rank 0 or 1");
  op.require(op.has("axis") == (scale.size() == 1), "axis belongs to a list of scales, and to nothing else");
  if (!scale.empty())
    op.require(scale[0] == input[static_cast<size_t>(op.wrapped_axis("axis", op.rank("input"), 0))],
               "scale must have an entry for each of the axis");
  op.require(!op.has("zero_point") || op.shape("zero_point") == scale, "zero_point must have scale's shape");
  if (op.name() == "quantize" && op.text_or("output_dtype", "") != name_of(op.declared(0).dtype))
    op.fail("output_dtype differs from the declared result, " + op.declared(0).str());
  return {input};
}

}  // namespace

void add_layer_rules(Rules& rules) {
  rules.insert({{"depth_to_space", depth_to_space},
                {"space_to_depth", space_to_depth},
                {"pixel_shuffle", pixel_shuffle},
                {"pixel_unshuffle", pixel_unshuffle},
                {"space_to_batch", space_to_batch},
                {"batch_to_space", batch_to_space},
                {"upsample", upsample},
                {"upsample_bilinear", upsample_bilinear},
                {"resize_to", resize_to},
                {"resize_bilinear", resize_bilinear},
                {"resize", resize},
                {"crop", crop},
                {"affine", affine},
                {"flatten2d", flatten2d},
                {"local_response_norm", local_response_norm},
                {"scaled_dot_product_attention", attention},
                {"l2_norm", l2_norm},
                {"lstm", lstm},
                {"einsum", einsum},
                {"quantize", quantize}});
}

}  // namespace anesdk::mil
