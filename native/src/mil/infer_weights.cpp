// MIL's weights in few bits (constexpr operations), and its state.
#include <algorithm>

#include "mil/infer.h"
#include "mil/literal.h"

namespace anesdk::mil {
namespace {

Shapes affine_dequantize(const OpView& op) {
  const Shape& data = op.shape("quantized_data");
  op.require(!data.empty(), "quantized_data must have rank 1 or more");
  const int64_t entries = data[static_cast<size_t>(op.wrapped_axis("axis", op.rank("quantized_data"), 0))];
  for (const std::string_view name : {"scale", "zero_point"})
    op.require(op.shape(name).empty() || op.shape(name) == Shape{entries},
               std::string(name) + " must have rank 0, or an entry for each of the axis");
  return {data};
}

// An axis of `parts` for each of the data's, which it divides.
void check_blocks(const OpView& op, const std::string& name, const Shape& parts, const Shape& data) {
  op.require(!data.empty() && parts.size() == data.size(), name + " must have an axis for each of the data's");
  for (size_t i = 0; i < data.size(); ++i)
    op.require(parts[i] > 0 && data[i] % parts[i] == 0, "the axes of " + name + " must divide those of the data");
}

void check_scales(const OpView& op, const Shape& data) {
  check_blocks(op, "scale", op.shape("scale"), data);
  op.require(!op.has("offset") || op.shape("offset") == op.shape("scale"), "offset must have scale's shape");
}

Shapes blockwise(const OpView& op) {
  check_scales(op, op.shape("data"));
  return {op.shape("data")};
}

// The shape of what the indices, of shape `data`, stand for; `count` is how many elements one of them does.
Shape stretched(const OpView& op, Shape data, int64_t* count) {
  const Shape& lut = op.shape("lut");
  op.require(lut.size() >= 2, "lut must have rank 2 or more");
  check_blocks(op, "lut", Shape(lut.begin(), lut.end() - 2), data);
  op.require(lut[lut.size() - 2] > 0 && lut.back() > 0, "lut must have entries");
  *count = lut.back();
  op.require(op.has("vector_axis") || *count == 1, "an entry of lut with several elements needs a vector_axis");
  const auto axis = static_cast<size_t>(op.wrapped_axis("vector_axis", std::ssize(data), 0));
  data[axis] = op.extent(op.multiply(data[axis], *count));
  return data;
}

Shapes lut_to_dense(const OpView& op) {
  int64_t count = 1;
  return {stretched(op, op.shape("indices"), &count)};
}

void check_sparse(const OpView& op, const std::string& data, const std::string& mask) {
  op.require(op.rank(data) == 1, data + " must have rank 1");
  op.require(op.rank(mask) > 0, mask + " must have rank 1 or more");
  if (op.is_const(mask))
    op.require(op.shape(data)[0] == op.nonzero(mask), data + " must have as many elements as " + mask);
}

Shapes sparse_to_dense(const OpView& op) {
  check_sparse(op, "nonzero_data", "mask");
  return {op.shape("mask")};
}

Shapes lut_to_sparse(const OpView& op) {
  check_sparse(op, "indices_nonzero_data", "indices_mask");
  int64_t count = 1;
  Shape mask = stretched(op, op.shape("indices_mask"), &count);
  return {mask, {op.extent(op.multiply(op.shape("indices_nonzero_data")[0], count))}};
}

Shapes sparse_blockwise(const OpView& op) {
  check_sparse(op, "nonzero_data", "data_mask");
  check_scales(op, op.shape("data_mask"));
  return {op.shape("data_mask"), op.shape("nonzero_data")};
}

Shapes cast(const OpView& op) {
  op.one_of("output_dtype", {"fp32"});
  return {op.shape("source_val")};
}

Shapes read_state(const OpView& op) { return {op.shape("input")}; }

Shapes update_state(const OpView& op) {
  op.require(op.shape("state") == op.shape("value"), "the value must have the state's shape");
  return {op.shape("value")};
}

}  // namespace

void add_weight_rules(Rules& rules) {
  rules.insert({{"constexpr_affine_dequantize", affine_dequantize},
                {"constexpr_blockwise_shift_scale", blockwise},
                {"constexpr_lut_to_dense", lut_to_dense},
                {"constexpr_sparse_to_dense", sparse_to_dense},
                {"constexpr_lut_to_sparse", lut_to_sparse},
                {"constexpr_sparse_blockwise_shift_scale", sparse_blockwise},
                {"constexpr_cast", cast},
                {"read_state", read_state},
                {"coreml_update_state", update_state}});
}

}  // namespace anesdk::mil
