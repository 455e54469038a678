// One legal statement, or more, for every shape rule of the dialect, and the functions that it names. Short forms: see
// print.h.
#pragma once

namespace anesdk::test {

struct OpRow {
  const char* inputs;
  const char* statement;
  const char* outputs = "o";
  const char* functions = "";
};

inline constexpr OpRow kOpRows[] = {
    // MIL's own: elementwise, normalisation, reductions
    {"fp32[4,1] x, fp32[3] y", "fp32[4,3] o = add(x = x, y = y)"},
    {"int32[0,3] x, int32 y", "int32[0,3] o = floor_div(x = x, y = y)"},
    {"fp16[4] x", "bool[4] o = less(x = x, y = fp16(0x1p+0))"},
    {"bool[4,1] c, fp32[4,3] a, fp32 b", "fp32[4,3] o = select(a = a, b = b, cond = c)"},
    {"fp32[2] x", "fp32[2] o = exp(x = x)"},
    {"fp16[2] x", "fp16[2] o = rsqrt(epsilon = fp16(0x1p-10), x = x)"},
    {"fp32[2] x", "fp32[2] o = gelu(mode = string(\"TANH_APPROXIMATION\"), x = x)"},
    {"fp32[2] x", "fp32[2] o = clip(alpha = fp32(-0x1p+0), beta = fp32(0x1p+0), x = x)"},
    {"fp32[2,3] x", "fp32[2,3] o = softmax(axis = int32(-2), x = x)"},
    {"fp32[2,3] x", "fp32[2,3] o = cumsum(axis = int32(1), exclusive = bool(false), reverse = bool(true), x = x)"},
    {"fp32[2] x", "int32[2] o = cast(dtype = string(\"int32\"), x = x)"},
    {"fp32[3,3] x", "fp32[3,3] o = band_part(lower = int32(-1), upper = int32(0), x = x)"},
    {"fp32[2,3,4] x", "fp32[2,3,4] o = reverse(axes = {0,-1}, x = x)"},
    {"fp32[2,3,4] x",
     "fp32[2,3,4] o = batch_norm(epsilon = fp32(0x1p-10), mean = fp32[3]([0x0p+0,0x0p+0,0x0p+0]), "
     "variance = fp32[3]([0x1p+0,0x1p+0,0x1p+0]), x = x)"},
    {"fp32[2,2] x", "fp32[2,2] o = layer_norm(axes = {-1}, beta = fp32[2]([0x0p+0,0x0p+0]), x = x)"},
    {"fp32[2,3,4] x", "fp32[2,3,4] o = l2_norm(epsilon = fp32(0x1p-10), x = x)"},
    {"fp32[2,3] x", "fp32[2] o = reduce_sum(axes = {1}, keep_dims = bool(false), x = x)"},
    {"fp32[2,3] x", "fp32[2,1] o = reduce_max(axes = {-1}, keep_dims = bool(true), x = x)"},
    {"fp32[2,3] x", "fp32 o = reduce_mean(x = x)"},
    {"fp32[2,3] x", "int32[2] o = reduce_argmax(axis = int32(1), keep_dims = bool(false), x = x)"},
    // MIL's own: images and layers
    {"fp32[2,8,3,5] x", "fp32[2,2,6,10] o = depth_to_space(block_size = int32(2), x = x)"},
    {"fp32[2,3,4,6] x", "fp32[2,12,2,3] o = space_to_depth(block_size = int32(2), x = x)"},
    {"fp16[1,9,1,2] x", "fp16[1,1,3,6] o = pixel_shuffle(upscale_factor = int32(3), x = x)"},
    {"fp32[0,1,4,6] x", "fp32[0,4,2,3] o = pixel_unshuffle(downscale_factor = uint32(2), x = x)"},
    {"fp32[2,3,3,4] x",
     "fp32[8,3,2,3] o = space_to_batch(block_shape = {2,2}, paddings = int32[2,2]([0,1,1,1]), x = x)"},
    {"fp32[8,3,2,3] x", "fp32[2,3,3,4] o = batch_to_space(block_shape = {2,2}, crops = int32[2,2]([0,1,1,1]), x = x)"},
    {"fp32[2,3,4] x",
     "fp32[2,6,4] o = upsample_nearest_neighbor(scale_factor_height = int32(2), scale_factor_width = int32(1), x = x)"},
    {"fp32[2,3,4] x",
     "fp32[2,3,6] o = upsample_bilinear(align_corners = bool(false), scale_factor_width = fp32(0x1.8p+0), x = x)"},
    {"fp32[2,3,4] x",
     "fp32[2,7,2] o = resize_nearest_neighbor(target_size_height = int32(7), target_size_width = int32(2), x = x)"},
    {"fp16[2,3,4] x",
     "fp16[2,5,1] o = resize_bilinear(sampling_mode = string(\"ALIGN_CORNERS\"), target_size_height = int32(5), x = "
     "x)"},
    {"fp32[2,5,3] x",
     "fp32[2,5,3] o = local_response_norm(alpha = fp32(0x1p-2), beta = fp32(0x1.8p-1), k = fp32(0x1p+0), "
     "size = int32(3), x = x)"},
    {"fp32[2,3,4] x",
     "fp32[2,5,4] o = resize(interpolation_mode = string(\"LINEAR\"), resized_dims = uint32(2), shape = {5,0}, x = x)"},
    {"fp16[2,5,6] x", "fp16[2,2,6] o = crop(crop_height = {1,2}, crop_width = {0,0}, x = x)"},
    {"fp32[2,3,4,5] x, fp32[1,6] m",
     "fp32[2,3,7,2] o = affine(align_corners = bool(true), coordinates_mode = "
     "string(\"normalized_minus_one_to_one\"), output_height = int32(7), output_width = int32(2), padding_mode = "
     "string(\"constant\"), padding_value = fp32(0x0p+0), sampling_mode = string(\"bilinear\"), "
     "transform_matrix = m, x = x)"},
    {"bool[2,3,4] x", "bool[6,4] o = flatten2d(axis = int32(-1), x = x)"},
    // MIL's own: weights in few bits, and state
    {"",
     "fp16[2,2] o = constexpr_affine_dequantize(axis = int32(1), quantized_data = int8[2,2]([1,2,3,4]), scale = "
     "fp16[2]([0x1p-1,0x1p+0]), zero_point = int8(1))"},
    {"",
     "fp32[2,2] o = constexpr_blockwise_shift_scale(data = uint8[2,2]([1,2,3,4]), offset = uint8[1,2]([1,0]), "
     "scale = fp32[1,2]([0x1p-1,0x1p+0]))"},
    {"",
     "fp32[4] o = constexpr_lut_to_dense(indices = uint8[2]([1,0]), lut = fp32[1,2,2]([0x0p+0,0x1p+0,0x1p-1,"
     "0x1p+2]), vector_axis = int32(0))"},
    {"", "fp16[3] o = constexpr_sparse_to_dense(mask = uint8[3]([1,0,1]), nonzero_data = fp16[2]([0x1p+0,0x1p+1]))"},
    {"",
     "uint8[3] o, fp32[2] p = constexpr_lut_to_sparse(indices_mask = uint8[3]([1,0,1]), indices_nonzero_data = "
     "uint8[2]([1,0]), lut = fp32[1,2,1]([0x0p+0,0x1p+0]))"},
    {"",
     "bool[2] o, fp32[1] p = constexpr_sparse_blockwise_shift_scale(data_mask = tensor<bool, [2]>([true, false]), "
     "nonzero_data = int8[1]([3]), scale = fp32[1]([0x1p-1]))"},
    {"", "fp32[1] o = constexpr_cast(output_dtype = string(\"fp32\"), source_val = fp16[1]([0x1p+0]))"},
    {"fp16[2] s", "fp16[2] o = read_state(input = s)"},
    {"fp16[2] s, fp16[2] v", "fp16[2] o = coreml_update_state(state = s, value = v)"},
    {"fp32[2,3,4,5] x, fp32[1,5,4,6] y",
     "fp32[2,3,4,6] o = einsum(equation = string(\"nchw,nwhu->nchu\"), values = (x, y))"},
    {"fp32[2,3] x",
     "int8[2,3] o = quantize(input = x, output_dtype = string(\"int8\"), scale = fp32(0x1p-3), zero_point = int8(3))"},
    {"uint8[2,3] x", "fp16[2,3] o = dequantize(axis = int32(-1), input = x, scale = fp16[3]([0x1p-3,0x1p+0,0x1p-1]))"},
    {"fp32[2,3,4] q, fp32[2,5,4] k, fp32[2,5,7] v, bool[3,5] m",
     "fp32[2,3,7] o = scaled_dot_product_attention(attn_mask = m, key = k, query = q, value = v)"},
    // MIL's own: movement
    {"fp32[2,3] x", "fp32[6] o = reshape(shape = {6}, x = x)"},
    {"fp32[2,3] x", "fp32[2,3,1] o = reshape(shape = {2,3,1}, x = x)"},
    {"fp32[0,4] x", "fp32[0,2,2] o = reshape(shape = {0,2,2}, x = x)"},
    {"fp32[2,3,4] x", "fp32[4,2,3] o = transpose(perm = {2,0,1}, x = x)"},
    {"fp32[2,3] x", "fp32[1,2,3,1] o = expand_dims(axes = {0,-1}, x = x)"},
    {"fp32[1,2,1] x", "fp32[2,1] o = squeeze(axes = {0}, x = x)"},
    {"fp32[1,2,1] x", "fp32[2] o = squeeze(x = x)"},
    {"fp32[2,3] x", "fp32[4,3] o = tile(reps = {2,1}, x = x)"},
    {"fp32[2,3] x", "fp32[2,6] o = pad(constant_val = fp32(0x0p+0), mode = string(\"constant\"), pad = {1,2}, x = x)"},
    {"fp32[2,3] x", "fp32[2,7] o = pad(mode = string(\"reflect\"), pad = {0,0,2,2}, x = x)"},
    {"", "fp32[2,3] o = fill(shape = {2,3}, value = fp32(0x1p+0))"},
    {"fp32[2,3] x, fp32[2,1] y", "fp32[2,4] o = concat(axis = int32(-1), interleave = bool(false), values = (x, y))"},
    {"fp32[2] x, fp32[2] y", "fp32[2,2] o = stack(axis = int32(0), values = (x, y))"},
    {"fp32[4,2] x", "fp32[2,2] o, fp32[2,2] p = split(axis = int32(0), num_splits = int32(2), x = x)"},
    {"fp32[4] x", "fp32[1] o, fp32[3] p = split(axis = int32(0), split_sizes = {1,3}, x = x)"},
    {"fp32[4,4] x", "fp32[2,3] o = slice_by_size(begin = {1,1}, size = {2,-1}, x = x)"},
    {"fp32[8,4] x",
     "fp32[4,4] o = slice_by_index(begin = {0,0}, end = {0,0}, end_mask = tensor<bool, [2]>([true, "
     "true]), stride = {2,1}, x = x)"},
    {"fp32[8,4] x",
     "fp32[8] o = slice_by_index(begin = {7,-1}, end = {0,0}, end_mask = tensor<bool, [2]>([true, "
     "false]), squeeze_mask = tensor<bool, [2]>([false, true]), stride = {-1,1}, x = x)"},
    {"fp32[5,3] x, int32[2,2] i", "fp32[2,2,3] o = gather(axis = int32(0), indices = i, x = x)"},
    {"fp32[5,3] x, int32[7,2] i", "fp32[7] o = gather_nd(indices = i, x = x)"},
    {"fp32[5,3] d, int32[2,1] i, fp32[2,3] u", "fp32[5,3] o = scatter_nd(data = d, indices = i, updates = u)"},
    // MIL's own: windows
    {"fp32[2,1,4,8] x, fp32[3,16,8] y",
     "fp32[2,3,4,16] o = matmul(transpose_x = bool(false), transpose_y = bool(true), x = x, y = y)"},
    {"fp32[8,4] x, fp32[8,2] y",
     "fp32[4,2] o = matmul(transpose_x = bool(true), transpose_y = bool(false), x = x, y = y)"},
    {"fp32[2,4,9,9] x, fp32[6,2,3,3] w",
     "fp32[2,6,5,3] o = conv(dilations = {1,2}, groups = int32(2), pad = {1,1,0,1}, pad_type = string(\"custom\"), "
     "strides = {2,2}, weight = w, x = x)"},
    {"fp32[2,4,9] x, fp32[6,4,3] w, fp32[6] b",
     "fp32[2,6,5] o = conv(bias = b, pad_type = string(\"same\"), strides = {2}, weight = w, x = x)"},
    {"fp32[2,4,5] x, fp32[4,3,3] w",
     "fp32[2,6,9] o = conv_transpose(groups = int32(2), pad = {1,1}, pad_type = string(\"custom\"), strides = {2}, "
     "weight = w, x = x)"},
    {"fp32[2,4,8,8] x",
     "fp32[2,4,4,4] o = max_pool(kernel_sizes = {2,2}, pad_type = string(\"valid\"), strides = {2,2}, x = x)"},
    {"fp32[2,4,7] x",
     "fp32[2,4,4] o = avg_pool(ceil_mode = bool(true), kernel_sizes = {2}, pad_type = string(\"valid\"), "
     "strides = {2}, x = x)"},
    // aj_: elementwise, reductions, movement
    {"uint8[2] x", "uint8[2] o = aj_neg(x = x)"},
    {"fp64[2,3] x, fp64 y", "fp64[2,3] o = aj_add(x = x, y = y)"},
    {"bf16[2] x, int32 y", "bf16[2] o = aj_pow(x = x, y = y)"},
    {"int64[2] x, int64[2] y", "bool[2] o = aj_lt(x = x, y = y)"},
    {"fp32[2] x", "bool[2] o = aj_is_finite(x = x)"},
    {"fp32[2] x", "fp32[2] o = aj_integer_pow(x = x, y = int32(3))"},
    {"bool[2] w, fp32[2] a, fp32[2] b", "fp32[2] o = aj_select_n(cases = (a, b), which = w)"},
    {"int32 w, fp32[2] a", "fp32[2] o = aj_select_n(cases = (a, a, a), which = w)"},
    {"fp32[2] x, fp32 l", "fp32[2] o = aj_clamp(max = x, min = l, x = x)"},
    {"fp32[2] x", "int8[2] o = aj_convert_element_type(x = x)"},
    {"fp32[2] x", "uint32[2] o = aj_bitcast_convert_type(x = x)"},
    {"fp32[2,3] x", "fp32[3] o = aj_reduce_sum(axes = {0}, x = x)"},
    {"bool[2,3] x", "bool o = aj_reduce_and(axes = {1,0}, x = x)"},
    {"fp32[2,3] x", "int64[2] o = aj_argmax(axis = int32(1), x = x)"},
    {"fp32[2,3] x", "fp32[2,3] o = aj_cumsum(axis = int32(1), reverse = bool(false), x = x)"},
    {"fp32[2,3] x", "fp32[2,3] o = aj_cumlogsumexp(axis = int32(0), reverse = bool(true), x = x)"},
    {"fp32[2,3] x", "fp32[3,2] o = aj_reshape(shape = {3,2}, x = x)"},
    {"bool[2,3] x", "bool[3,2] o = aj_transpose(perm = {1,0}, x = x)"},
    {"fp32[1,3] x", "fp32[4,2,3] o = aj_broadcast_in_dim(broadcast_dimensions = {1,2}, shape = {4,2,3}, x = x)"},
    {"fp32 x", "fp32[2] o = aj_broadcast_in_dim(broadcast_dimensions = {}, shape = {2}, x = x)"},
    {"fp32[9,3] x", "fp32[4,0] o = aj_slice(limit_indices = {8,1}, start_indices = {1,1}, strides = {2,1}, x = x)"},
    {"fp32[2,3] x, fp32[0,3] y", "fp32[2,3] o = aj_concatenate(dimension = int32(0), values = (x, y))"},
    {"fp32[4] x, fp32 v", "fp32[9] o = aj_pad(high = {3}, interior = {1}, low = {-1}, padding_value = v, x = x)"},
    {"fp32[4] x", "fp32[4] o = aj_rev(dimensions = {0}, x = x)"},
    {"", "bf16[2,3] o = aj_iota(dimension = int32(1), shape = {2,3})"},
    {"fp32[4] x", "fp32[4] o = aj_copy(x = x)"},
    // aj_: linear algebra and windows
    {"fp32[2,3,4] x, fp32[4,2,5] y",
     "fp32[2,3,5] o = aj_dot_general(x = x, x_batch = {0}, x_contracting = {2}, y = y, "
     "y_batch = {1}, y_contracting = {0})"},
    {"fp16[3] x, fp16[4] y",
     "fp32[3,4] o = aj_dot_general(x = x, x_batch = {}, x_contracting = {}, y = y, y_batch = {}, "
     "y_contracting = {})"},
    {"fp32[2,9,9,4] x, fp32[3,3,2,6] w",
     "fp32[2,5,8,6] o = aj_conv_general_dilated(batch_group_count = int32(1), feature_group_count = int32(2), "
     "lhs_dilation = {1,1}, lhs_spec = {0,3,1,2}, out_spec = {0,3,1,2}, padding = {1,1,-1,2}, rhs_dilation = {1,1}, "
     "rhs_spec = {3,2,0,1}, strides = {2,1}, weight = w, x = x)"},
    {"fp32[4,3,5] x, fp32[6,3,2] w",
     "fp32[2,6,7] o = aj_conv_general_dilated(batch_group_count = int32(2), feature_group_count = int32(1), "
     "lhs_dilation = {2}, lhs_spec = {0,1,2}, out_spec = {0,1,2}, padding = {0,1}, rhs_dilation = {3}, "
     "rhs_spec = {0,1,2}, strides = {1}, weight = w, x = x)"},
    {"fp32[4,8] x",
     "fp32[4,4] o = aj_reduce_window_max(base_dilation = {1,1}, padding = {0,0,0,1}, window_dilation = "
     "{1,1}, window_dimensions = {1,3}, window_strides = {1,2}, x = x)"},
    {"fp32[8] x, fp32[4] s",
     "fp32[8] o = aj_select_and_scatter_add(operand = x, padding = {0,0}, select = string(\"ge\"), "
     "source = s, window_dimensions = {2}, window_strides = {2})"},
    // aj_: addressing, sorting, random bits
    {"fp32[4,4] x, int32 i, int64 j",
     "fp32[2,1] o = aj_dynamic_slice(slice_sizes = {2,1}, start_indices = (i, j), x = x)"},
    {"fp32[4] x, fp32[2] u, int32 i", "fp32[4] o = aj_dynamic_update_slice(start_indices = (i), update = u, x = x)"},
    {"fp32[5,3] x, int32[2,2,1] i",
     "fp32[2,2,3] o = aj_gather(collapsed_slice_dims = {0}, fill = fp32(nan), indices = i, mode = string(\"fill\"), "
     "offset_dims = {2}, operand_batching_dims = {}, slice_sizes = {1,3}, start_index_map = {0}, "
     "start_indices_batching_dims = {}, x = x)"},
    {"fp32[5,3] x, int32[5,2,1] i",
     "fp32[5,2] o = aj_gather(collapsed_slice_dims = {1}, fill = fp32(0x0p+0), indices = i, mode = string(\"clip\"), "
     "offset_dims = {}, operand_batching_dims = {0}, slice_sizes = {1,1}, start_index_map = {1}, "
     "start_indices_batching_dims = {0}, x = x)"},
    {"fp32[5,3] x, int32[4,1] i, fp32[4,3] u",
     "fp32[5,3] o = aj_scatter_add(indices = i, inserted_window_dims = {0}, mode = string(\"fill\"), "
     "operand_batching_dims = {}, scatter_dims_to_operand_dims = {0}, scatter_indices_batching_dims = {}, "
     "update_window_dims = {1}, updates = u, x = x)"},
    {"fp32[4] k, int32[4] v",
     "fp32[4] o, int32[4] p = aj_sort(dimension = int32(0), num_keys = int32(1), values = (k, v))"},
    {"fp32[4] x, bool y", "fp32[4] o, bool p = aj_optimization_barrier(values = (x, y))"},
    // aj_: factorizations
    {"fp32[2,3,3] x", "fp32[2,3,3] o = aj_cholesky(symmetrize_input = bool(true), x = x)"},
    {"fp64[3,3] a, fp64[3,2] b",
     "fp64[3,2] o = aj_triangular_solve(a = a, b = b, left_side = bool(true), lower = bool(true), "
     "transpose_a = bool(false), unit_diagonal = bool(false))"},
    {"fp32[2,4,3] x", "fp32[2,4,3] o, int32[2,3] p, int32[2,4] q = aj_lu(x = x)"},
    {"fp32[4,3] x", "fp32[4,4] o, fp32[4,3] p = aj_qr(full_matrices = bool(true), x = x)"},
    {"fp32[3,3] x", "fp32[3,3] o, fp32[3] p = aj_eigh(lower = bool(true), symmetrize_input = bool(false), x = x)"},
    {"fp64[2,3] x",
     "fp64[2] o, fp64[2,2] p, fp64[2,3] q = aj_svd(compute_uv = bool(true), full_matrices = bool(false), x = x)"},
    {"fp32[2,3] x", "fp32[2] o = aj_svd(compute_uv = bool(false), full_matrices = bool(true), x = x)"},
    {"fp32[2,3,3,2] x", "fp32[2,3,3,2] o = aj_cholesky(complex = bool(true), symmetrize_input = bool(true), x = x)"},
    {"fp64[3,3,2] a, fp64[3,2,2] b",
     "fp64[3,2,2] o = aj_triangular_solve(a = a, b = b, complex = bool(true), left_side = bool(true), "
     "lower = bool(true), transpose_a = bool(false), unit_diagonal = bool(false))"},
    {"fp32[2,4,3,2] x", "fp32[2,4,3,2] o, int32[2,3] p, int32[2,4] q = aj_lu(complex = bool(true), x = x)"},
    {"fp32[4,3,2] x", "fp32[4,4,2] o, fp32[4,3,2] p = aj_qr(complex = bool(true), full_matrices = bool(true), x = x)"},
    {"fp32[3,3,2] x",
     "fp32[3,3,2] o, fp32[3] p = aj_eigh(complex = bool(true), lower = bool(true), symmetrize_input = bool(true), "
     "x = x)"},
    {"fp64[2,3,2] x",
     "fp64[2] o, fp64[2,2,2] p, fp64[2,3,2] q = aj_svd(complex = bool(true), compute_uv = bool(true), "
     "full_matrices = bool(false), x = x)"},
    {"fp32[2,3,3] x",
     "fp32[2,3,2] o, fp32[2,3,3,2] p, fp32[2,3,3,2] q = aj_eig(left = bool(true), right = bool(true), x = x)"},
    {"fp64[3,3,2] x",
     "fp64[3,2] o, fp64[3,3,2] p = aj_eig(complex = bool(true), left = bool(false), right = bool(true), x = x)"},
    {"fp32[3,3] x", "fp32[3,3] o, fp32[3,3] p = aj_schur(vectors = bool(true), x = x)"},
    {"fp64[3,3,2] x", "fp64[3,3,2] o = aj_schur(complex = bool(true), vectors = bool(false), x = x)"},
    // between processes
    {"fp32[2,3] x, fp32 y", "fp32[2,3] o, fp32 p = aj_process_sum(values = (x, y))"},
    {"bool[2,3] x", "bool[1,2,3] o = aj_process_gather(size = int32(1), x = x)"},
    {"int8[1,3] x", "int8[1,3] o = aj_process_exchange(x = x)"},
    {"fp32[2,3] x", "fp32[2,3] o = aj_process_cut(size = int32(1), x = x)"},
    {"fp32[2,3] x", "fp32[2,3] o = aj_process_join(size = int32(1), x = x)"},
    {"fp32[2,3] x", "fp32[2,3] o = aj_process_permute(sources = {0}, targets = {0}, x = x)"},
    {"fp32 x", "int32 o = aj_process_index()"},
    {"uint32 k, uint32[4] x", "uint32[4] o, uint32[4] p = aj_threefry2x32(k0 = k, k1 = k, x0 = x, x1 = x)"},
    {"fp32[2,6] x, fp32[2,6] y",
     "fp32[2,6] o, fp32[2,6] p = aj_fft(kind = string(\"fft\"), lengths = {6}, values = (x, y))"},
    {"fp64[4,5] x", "fp64[4,3] o, fp64[4,3] p = aj_fft(kind = string(\"rfft\"), lengths = {4,5}, values = (x))"},
    {"fp32[4] x, fp32[4] y", "fp32[7] o = aj_fft(kind = string(\"irfft\"), lengths = {7}, values = (x, y))"},
    // aj_: control flow
    {"fp32 c, fp32[2] s, fp32[3,2] x",
     "fp32[2] o, fp32[3,2] p = aj_scan(body = string(\"f\"), carry = (s), consts = (c), length = int32(3), reverse = "
     "bool(true), xs = (x))",
     "o, p",
     "func f<ios18>(fp32 c, fp32[2] s, fp32[2] x) { fp32[2] t = aj_mul(x = x, y = c)[name = string(\"t\")]; fp32[2] u "
     "= "
     "aj_add(x = s, y = t)[name = string(\"u\")]; } -> (u, t);"},
    {"int32 n", "int32 o = aj_scan(body = string(\"f\"), carry = (n), consts = (), length = int32(2), xs = ())", "o",
     "func f<ios18>(int32 n) { int32 m = aj_add(x = n, y = n)[name = string(\"m\")]; } -> (m);"},
    {"int32 n, fp32[2] x, int32 end",
     "int32 o, fp32[2] p = aj_while(body = string(\"f\"), body_consts = (), carry = (n, x), cond = string(\"g\"), "
     "cond_consts = (end))",
     "o, p",
     "func f<ios18>(int32 n, fp32[2] x) { int32 m = aj_add(x = n, y = int32(1))[name = string(\"m\")]; fp32[2] y = "
     "aj_neg(x = x)[name = string(\"y\")]; } -> (m, y); func g<ios18>(int32 end, int32 n, fp32[2] x) { bool b = "
     "aj_lt(x = n, y = end)[name = string(\"b\")]; } -> (b);"},
    {"int32 i, fp32[3] x",
     "fp32[3] o = aj_cond(branches = (string(\"f\"), string(\"g\"), string(\"f\")), index = i, operands = (x))", "o",
     "func f<ios18>(fp32[3] x) { fp32[3] y = aj_neg(x = x)[name = string(\"y\")]; } -> (y); func g<ios18>(fp32[3] x) { "
     "fp32[3] y = aj_copy(x = x)[name = string(\"y\")]; } -> (y);"},
};

}  // namespace anesdk::test
