// Weights in few bits (MIL's constexpr operations), made whole when the program is compiled; and state.
#include <cstring>

#include "cpu/import/importer.h"
#include "cpu/tile/simd.h"
#include "mil/error.h"
#include "mil/literal.h"

namespace anesdk::cpu {
namespace {

using mil::Op;
using Numbers = std::vector<double>;

// Their elements, whatever their dtype.
Numbers numbers(Importer& i, const Op& op, const char* name) {
  const mil::Value& value = i.constant(op, name);
  const size_t size = mil::size_of(value.type.dtype);
  const std::vector<std::byte>& data = value.constant->data;
  Numbers out(data.size() / size);
  for (size_t k = 0; k < out.size(); ++k) {
    const std::byte* at = data.data() + k * size;
    out[k] = mil::is_float(value.type.dtype) ? mil::decode_real(value.type.dtype, at)
                                             : static_cast<double>(mil::decode_integer(value.type.dtype, at));
  }
  return out;
}

const Shape& shape_of(Importer& i, const Op& op, const char* name) { return i.constant(op, name).type.shape; }

void keep(Importer& i, const Op& op, const Numbers& values, size_t result = 0) {
  const DType dtype = i.type(op, result).dtype;
  auto constant = std::make_shared<mil::Constant>();
  constant->data.resize(values.size() * mil::size_of(dtype));
  const void* source[] = {values.data()};
  if (!values.empty())
    simd().convert(DType::FP64, dtype)(constant->data.data(), source, static_cast<int64_t>(values.size()), 0);
  i.set_constant(op, std::move(constant), result);
}

[[noreturn]] void refuse(const Op& op, const std::string& why) {
  throw mil::Error("[" + std::string(op.schema->name) + "] " + why, ANESDK_INVALID_ARGUMENT);
}

// Which block of `parts` the element `k` of an array of `shape` is in, row-major as both are.
size_t block_of(size_t k, const Shape& shape, const Shape& parts) {
  size_t block = 0, stride = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    const auto size = static_cast<size_t>(shape[d]), count = static_cast<size_t>(parts[d]);
    block += k % size / (size / count) * stride;
    k /= size;
    stride *= count;
  }
  return block;
}

// The numbers for the places that the mask has; others are 0.
Numbers dense(Importer& i, const Op& op, const char* data, const Numbers& mask) {
  const Numbers given = numbers(i, op, data);
  Numbers out(mask.size(), 0.0);
  size_t next = 0;
  for (size_t k = 0; k < mask.size(); ++k) {
    if (mask[k] == 0) continue;
    if (next == given.size()) refuse(op, std::string(data) + " has fewer elements than the mask");
    out[k] = given[next++];
  }
  if (next != given.size()) refuse(op, std::string(data) + " has more elements than the mask");
  return out;
}

Numbers chosen(const Numbers& values, const Numbers& mask) {
  Numbers out;
  for (size_t k = 0; k < values.size(); ++k)
    if (mask[k] != 0) out.push_back(values[k]);
  return out;
}

// scale * (data - offset), each of the last two for a block of the data.
void rescale(Importer& i, const Op& op, Numbers* data, const Shape& shape) {
  const Numbers scale = numbers(i, op, "scale");
  const Numbers offset = i.has(op, "offset") ? numbers(i, op, "offset") : Numbers(scale.size(), 0.0);
  const Shape& parts = shape_of(i, op, "scale");
  for (size_t k = 0; k < data->size(); ++k) {
    const size_t block = block_of(k, shape, parts);
    (*data)[k] = scale[block] * ((*data)[k] - offset[block]);
  }
}

void blockwise(Importer& i, const Op& op) {
  Numbers data = numbers(i, op, "data");
  rescale(i, op, &data, shape_of(i, op, "data"));
  keep(i, op, data);
}

void affine_dequantize(Importer& i, const Op& op) {
  Numbers data = numbers(i, op, "quantized_data");
  const Numbers scale = numbers(i, op, "scale"), zero = numbers(i, op, "zero_point");
  const Shape& shape = shape_of(i, op, "quantized_data");
  Shape parts(shape.size(), 1);
  const auto axis = static_cast<size_t>(axis_of(i.f.integer(op, "axis"), shape.size()));
  parts[axis] = shape[axis];
  for (size_t k = 0; k < data.size(); ++k) {
    const size_t entry = block_of(k, shape, parts);
    data[k] = scale[scale.size() == 1 ? 0 : entry] * (data[k] - zero[zero.size() == 1 ? 0 : entry]);
  }
  keep(i, op, data);
}

// What the indices, of `shape`, stand for: each for as many elements along vector_axis as an entry of lut has.
struct Palette {
  Numbers lut;
  Shape blocks;
  size_t entries, count, inner;  // inner: elements of `shape` behind vector_axis

  Palette(Importer& i, const Op& op, const Shape& shape) : lut(numbers(i, op, "lut")), blocks(shape_of(i, op, "lut")) {
    count = static_cast<size_t>(blocks.back());
    entries = static_cast<size_t>(blocks[blocks.size() - 2]);
    blocks.resize(blocks.size() - 2);
    inner = 1;
    const auto axis = static_cast<size_t>(axis_of(i.integer(op, "vector_axis", 0), shape.size()));
    for (size_t d = axis + 1; d < shape.size(); ++d) inner *= static_cast<size_t>(shape[d]);
  }

  // The place in the result of element v of the entry that index k names.
  size_t place(size_t k, size_t v) const { return (k / inner * count + v) * inner + k % inner; }

  Numbers looked_up(const Op& op, const Numbers& indices, const Shape& shape) const {
    Numbers out(indices.size() * count);
    for (size_t k = 0; k < indices.size(); ++k) {
      const auto index = static_cast<size_t>(indices[k]);
      if (index >= entries)
        refuse(op, "an index is " + std::to_string(index) + ", lut has " + std::to_string(entries) + " entries");
      const size_t from = (block_of(k, shape, blocks) * entries + index) * count;
      for (size_t v = 0; v < count; ++v) out[place(k, v)] = lut[from + v];
    }
    return out;
  }

  Numbers repeated(const Numbers& mask) const {
    Numbers out(mask.size() * count);
    for (size_t k = 0; k < mask.size(); ++k)
      for (size_t v = 0; v < count; ++v) out[place(k, v)] = mask[k];
    return out;
  }
};

void lut_to_dense(Importer& i, const Op& op) {
  const Shape& shape = shape_of(i, op, "indices");
  keep(i, op, Palette(i, op, shape).looked_up(op, numbers(i, op, "indices"), shape));
}

void lut_to_sparse(Importer& i, const Op& op) {
  const Shape& shape = shape_of(i, op, "indices_mask");
  const Numbers mask = numbers(i, op, "indices_mask");
  const Palette palette(i, op, shape);
  const Numbers values = palette.looked_up(op, dense(i, op, "indices_nonzero_data", mask), shape);
  const Numbers whole = palette.repeated(mask);
  keep(i, op, whole);
  keep(i, op, chosen(values, whole), 1);
}

void sparse_blockwise(Importer& i, const Op& op) {
  const Numbers mask = numbers(i, op, "data_mask");
  Numbers data = dense(i, op, "nonzero_data", mask);
  rescale(i, op, &data, shape_of(i, op, "data_mask"));
  keep(i, op, mask);
  keep(i, op, chosen(data, mask), 1);
}

void sparse_to_dense(Importer& i, const Op& op) { keep(i, op, dense(i, op, "nonzero_data", numbers(i, op, "mask"))); }
void cast(Importer& i, const Op& op) { keep(i, op, numbers(i, op, "source_val")); }

// The reader of texts has put the state's value in place of its name.
void read_state(Importer& i, const Op& op) { i.set(op, i.in(op, "input")); }
void update_state(Importer& i, const Op& op) { i.set(op, i.in(op, "value")); }

}  // namespace

const Handlers& weight_handlers() {
  static const Handlers kTable = {
      {"constexpr_affine_dequantize", affine_dequantize},
      {"constexpr_blockwise_shift_scale", blockwise},
      {"constexpr_lut_to_dense", lut_to_dense},
      {"constexpr_sparse_to_dense", sparse_to_dense},
      {"constexpr_lut_to_sparse", lut_to_sparse},
      {"constexpr_sparse_blockwise_shift_scale", sparse_blockwise},
      {"constexpr_cast", cast},
      {"read_state", read_state},
      {"coreml_update_state", update_state},
  };
  return kTable;
}

}  // namespace anesdk::cpu
