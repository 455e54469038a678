"""The operations of MIL that opset.py lacks, and why, for the errors that name them."""

from __future__ import annotations

_BLOCKS = "it holds blocks of statements, which this dialect has as functions: write aj_cond or aj_while"
_LISTS = "values here are tensors, not lists of them: write aj_scan"
_RANDOM = "draws differ from device to device: pass random numbers as an input"
_SIZES = "the sizes of all values are written in a program here: write the result's as a constant"
_PLACES = "write aj_gather or aj_scatter, which say by lists what moves where"
_RECURRENT = "write its steps, or aj_scan"

REASONS: dict[str, str] = {
    **dict.fromkeys(("cond", "while_loop"), _BLOCKS),
    **dict.fromkeys(("list_gather", "list_length", "list_read", "list_scatter", "list_write", "make_list"), _LISTS),
    **dict.fromkeys(("random_bernoulli", "random_categorical", "random_normal", "random_uniform"), _RANDOM),
    **dict.fromkeys(("shape", "fill_like", "reshape_like", "range_1d", "non_zero", "_const_symbolic"), _SIZES),
    **dict.fromkeys(
        ("gather_along_axis", "scatter_along_axis", "scatter", "slice_update", "reverse_sequence", "sliding_windows"),
        _PLACES,
    ),
    **dict.fromkeys(("gru", "rnn"), _RECURRENT),
    **dict.fromkeys(("argsort", "topk"), "write aj_sort of the values and an aj_iota"),
    **dict.fromkeys(("crop_resize", "resample"), "write affine, or resize and slice_by_index"),
    "non_maximum_suppression": "how many boxes remain is known at run time: compute it outside",
    "classify": "the export writes it (class labels): a program has probabilities",
    "conv_quantized": "write dequantize and conv",
    "l2_pool": "write sqrt of avg_pool of squares, times the square root of the window's size",
    "linear": "write matmul with transpose_y, and add",
    "one_hot": "write equal of an aj_iota and the indices, and cast",
    "softplus_parametric": "write mul, softplus and mul",
}
