"""One small use of every MIL operation in the table, with its meaning in NumPy where that is short.

`program` makes a sample into a Program, its tensors as inputs or as constants.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from anejax.mil.program import MIL_DTYPES, NUMPY_DTYPES, Builder, Program, Type, Value
from anejax.mil.shapes import GELU_MODES
from anejax.mil.shapes_layers import SAMPLING_MODES
from tests.mil import layers

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Sample:
    """`reference` takes the tensors, then the constants by name; without one, `out` is the shape."""

    op: str
    tensors: dict[str, Any]
    consts: dict[str, Any] = field(default_factory=dict)
    reference: Callable[..., Any] | None = None
    out: tuple[int, ...] = ()
    computed: bool = True  # whether coremltools' own computation of the value works

    def arrays(self, dtype: str) -> dict[str, Any]:
        def convert(a: Array) -> Array:
            return a.astype(NUMPY_DTYPES[dtype]) if a.dtype == np.float64 else a

        return {k: tuple(map(convert, v)) if isinstance(v, tuple) else convert(v) for k, v in self.tensors.items()}

    def expected(self, dtype: str) -> list[Array]:
        """What NumPy says, computed from the rounded tensors."""
        assert self.reference is not None
        found = self.reference(*self.arrays(dtype).values(), **self.consts)
        return [np.asarray(a) for a in (found if isinstance(found, (list, tuple)) else [found])]


NO_PORTS = ("bool", "int8", "uint8")  # dtypes that Core ML's ports do not have


def values(*shape: int, low: float = -2.0, high: float = 2.0, seed: int = 0) -> Array:
    rng = np.random.default_rng(math.prod(shape) + seed)
    return rng.uniform(low, high, shape)


def integers(*shape: int, low: int = -9, high: int = 10, seed: int = 0) -> Array:
    return np.random.default_rng(math.prod(shape) + seed).integers(low, high, shape, dtype=np.int32)


def program(
    sample: Sample, dtype: str = "fp32", constant: bool = False, ports: bool = True, types: Sequence[Type] | None = None
) -> Program:
    """The sample as `main`, its results of `types`, or else of the types of the reference's.

    With `constant`, nothing is an input. With `ports`, inputs and outputs are such as Core ML takes.
    """
    b = Builder()

    def bind(name: str, value: Any) -> Value | tuple[Value, ...]:
        if isinstance(value, tuple):
            return tuple(bind(f"{name}_{i}", v) for i, v in enumerate(value))  # pyright: ignore
        type = Type(MIL_DTYPES[value.dtype], value.shape)
        if constant or (ports and type.dtype in NO_PORTS):
            return b.const(value, type.dtype, name=name)
        return b.input(name, type)

    operands = {k: bind(k, v) for k, v in sample.arrays(dtype).items()} | sample.consts
    results = b.op(sample.op, operands, out=types or result_types(sample, dtype))
    b.returns(*(as_port(b, r, dtype) if ports else r for r in results))
    return b.program()


def as_port(b: Builder, value: Value, dtype: str) -> Value:
    """`value`, of a dtype that ports have, and not of rank 0."""
    if value.type.dtype in NO_PORTS:
        value = b.op("cast", {"x": value, "dtype": dtype}, out=Type(dtype, value.type.shape))
    if value.type.rank == 0:
        value = b.op("reshape", {"x": value, "shape": [1]}, out=Type(value.type.dtype, (1,)))
    return value


def result_types(sample: Sample, dtype: str) -> list[Type]:
    if sample.reference is None:
        return [Type(dtype, sample.out)]
    with np.errstate(all="ignore"):
        found = sample.expected(dtype)
    return [Type(MIL_DTYPES[np.dtype(_result_dtype(sample, a, dtype))], a.shape) for a in found]


def _result_dtype(sample: Sample, found: Array, dtype: str) -> Any:
    """References may compute wider: floats come out as the sample's dtype, integers as int32."""
    if sample.op in ("cast", "quantize"):
        return NUMPY_DTYPES[sample.consts["dtype" if sample.op == "cast" else "output_dtype"]]
    if found.dtype.kind == "f":
        return NUMPY_DTYPES[dtype]
    return np.int32 if found.dtype.kind == "i" else found.dtype


# ---- meanings that NumPy has no name for


def _erf(x: Array) -> Array:
    return np.vectorize(math.erf)(x)


def _gelu(x: Array, mode: str) -> Array:
    if mode == "EXACT":
        return 0.5 * x * (1 + _erf(x / math.sqrt(2)))
    if mode == "TANH_APPROXIMATION":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x / (1 + np.exp(-1.702 * x))


def _softmax(x: Array, axis: int) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def _cumsum(x: Array, axis: int, exclusive: bool, reverse: bool) -> Array:
    x = np.flip(x, axis) if reverse else x
    total = np.cumsum(x, axis)
    total = total - x if exclusive else total
    return np.flip(total, axis) if reverse else total


def _band_part(x: Array, lower: int, upper: int) -> Array:
    row, column = np.indices(x.shape[-2:])
    keep = ((lower < 0) | (row - column <= lower)) & ((upper < 0) | (column - row <= upper))
    return np.where(keep, x, 0)


def _matmul(x: Array, y: Array, transpose_x: bool, transpose_y: bool) -> Array:
    return np.matmul(np.swapaxes(x, -1, -2) if transpose_x else x, np.swapaxes(y, -1, -2) if transpose_y else y)


def _pad(x: Array, pad: Sequence[int], mode: str, constant_val: float) -> Array:
    pairs = list(zip(pad[::2], pad[1::2], strict=True))
    if mode == "constant":
        return np.pad(x, pairs, constant_values=constant_val)
    return np.pad(x, pairs, mode="reflect") if mode == "reflect" else np.pad(x, pairs, mode="edge")


def _layer_norm(x: Array, axes: Sequence[int], gamma: Array, beta: Array, epsilon: float) -> Array:
    mean, var = x.mean(tuple(axes), keepdims=True), x.var(tuple(axes), keepdims=True)
    return (x - mean) / np.sqrt(var + epsilon) * gamma + beta


def _instance_norm(x: Array, gamma: Array, beta: Array, epsilon: float) -> Array:
    return _layer_norm(x, (2, 3), gamma[:, None, None], beta[:, None, None], epsilon)


def _slice_by_index(
    x: Array,
    begin: Sequence[int],
    end: Sequence[int],
    stride: Sequence[int],
    begin_mask: Sequence[bool],
    end_mask: Sequence[bool],
    squeeze_mask: Sequence[bool],
) -> Array:
    index: list[Any] = []
    for b, e, s, no_b, no_e, squeeze in zip(begin, end, stride, begin_mask, end_mask, squeeze_mask, strict=True):
        index.append(b if squeeze else slice(None if no_b else b, None if no_e else e, s))
    return x[tuple(index)]


def _reduction(name: str, compute: Callable[..., Array]) -> list[Sample]:
    def reference(x: Array, axes: Sequence[int], keep_dims: bool) -> Array:
        return compute(x, tuple(axes), keep_dims)

    x = values(2, 3, 4, low=0.5)
    return [
        Sample(name, {"x": x}, {"axes": [1], "keep_dims": False}, reference),
        Sample(name, {"x": x}, {"axes": [-1, 0], "keep_dims": True}, reference),
    ]


def _unaries(low: float, high: float, **functions: Callable[[Array], Array]) -> list[Sample]:
    return [Sample(name, {"x": values(2, 5, low=low, high=high)}, {}, f) for name, f in functions.items()]


def _binaries(**functions: Callable[[Array, Array], Array]) -> list[Sample]:
    return [
        sample
        for name, f in functions.items()
        for sample in (
            Sample(name, {"x": values(2, 3), "y": values(3, low=0.5)}, {}, lambda x, y, f=f: f(x, y)),
            Sample(name, {"x": integers(2, 3), "y": integers(2, 3, low=1, seed=1)}, {}, lambda x, y, f=f: f(x, y)),
        )
    ]


NO, YES = [False] * 3, [True] * 3
IMAGE, CHANNELS = values(1, 4, 6, 6), values(4, low=0.5)
WINDOW = {"pad_type": "custom", "pad": [1, 1, 0, 0], "strides": [2, 1]}
SIGMOID = np.vectorize(lambda x: 1 / (1 + math.exp(-x)))

SAMPLES: list[Sample] = [
    # elementwise
    *_binaries(
        add=np.add,
        sub=np.subtract,
        mul=np.multiply,
        floor_div=np.floor_divide,
        mod=np.mod,
        maximum=np.maximum,
        minimum=np.minimum,
        equal=np.equal,
        not_equal=np.not_equal,
        less=np.less,
        less_equal=np.less_equal,
        greater=np.greater,
        greater_equal=np.greater_equal,
    ),
    Sample("real_div", {"x": values(2, 3), "y": values(3, low=0.5)}, {}, np.divide),
    Sample("pow", {"x": values(2, 3, low=0.5)}, {"y": 1.5}, lambda x, y: x**y),
    *(
        Sample(name, {"x": values(2, 3) > 0, "y": values(2, 3, seed=1) > 0}, {}, f)
        for name, f in (("logical_and", np.logical_and), ("logical_or", np.logical_or), ("logical_xor", np.logical_xor))
    ),
    Sample("logical_not", {"x": values(2, 3) > 0}, {}, np.logical_not),
    *_unaries(
        -3,
        3,
        abs=np.abs,
        sign=np.sign,
        square=np.square,
        exp2=np.exp2,
        ceil=np.ceil,
        floor=np.floor,
        exp=np.exp,
        tanh=np.tanh,
        atan=np.arctan,
        erf=_erf,
        sigmoid=SIGMOID,
        sin=np.sin,
        cos=np.cos,
        relu=lambda x: np.maximum(x, 0),
        silu=lambda x: x * SIGMOID(x),
        softplus=lambda x: np.log1p(np.exp(x)),
        sinh=np.sinh,
        cosh=np.cosh,
        identity=lambda x: x,
        relu6=lambda x: np.clip(x, 0, 6),
        softsign=lambda x: x / (1 + abs(x)),
    ),
    *_unaries(-0.9, 0.9, tan=np.tan, asin=np.arcsin, acos=np.arccos, atanh=np.arctanh),
    *_unaries(0.1, 3, sqrt=np.sqrt),
    Sample("round", {"x": np.array([-2.5, -1.5, -0.6, 0.5, 1.5, 2.5, 2.6])}, {}, np.round),
    Sample("sign", {"x": integers(2, 3)}, {}, np.sign),
    Sample("square", {"x": integers(2, 3)}, {}, np.square),
    Sample("log", {"x": values(5, low=0.1)}, {"epsilon": 0.25}, lambda x, epsilon: np.log(x + epsilon)),
    Sample("rsqrt", {"x": values(5, low=0.1)}, {"epsilon": 0.25}, lambda x, epsilon: 1 / np.sqrt(x + epsilon)),
    Sample("inverse", {"x": values(5, low=0.1)}, {"epsilon": 0.25}, lambda x, epsilon: 1 / (x + epsilon)),
    *(Sample("gelu", {"x": values(7)}, {"mode": m}, _gelu) for m in GELU_MODES),
    Sample("clip", {"x": values(7)}, {"alpha": -0.5, "beta": 1.0}, lambda x, alpha, beta: np.clip(x, alpha, beta)),
    Sample("softmax", {"x": values(3, 4)}, {"axis": -1}, _softmax),
    Sample("softmax", {"x": values(3, 4)}, {"axis": 0}, _softmax),
    Sample("band_part", {"x": values(2, 4, 5)}, {"lower": 1, "upper": -1}, _band_part),
    Sample("band_part", {"x": values(2, 4, 5)}, {"lower": -1, "upper": 0}, _band_part),
    *(
        # coremltools 9 hands np.zeros an array as dtype when exclusive is set
        Sample("cumsum", {"x": values(3, 4)}, {"axis": int(r), "exclusive": e, "reverse": r}, _cumsum, computed=not e)
        for e in (False, True)
        for r in (False, True)
    ),
    Sample(
        "cast", {"x": values(2, 3, low=-9, high=9)}, {"dtype": "int32"}, lambda x, dtype: np.trunc(x).astype(np.int32)
    ),
    Sample("cast", {"x": integers(2, 3)}, {"dtype": "fp32"}, lambda x, dtype: x.astype(np.float32)),
    Sample("cast", {"x": integers(2, 3, low=-1, high=2)}, {"dtype": "bool"}, lambda x, dtype: x != 0),
    Sample("cast", {"x": values(2, 3) > 0}, {"dtype": "fp16"}, lambda x, dtype: x.astype(np.float16)),
    Sample(
        "select",
        {"cond": values(2, 3) > 0, "a": values(2, 3), "b": values(3)},
        {},
        lambda cond, a, b: np.where(cond, a, b),
    ),
    Sample("leaky_relu", {"x": values(7)}, {"alpha": 0.125}, lambda x, alpha: np.where(x >= 0, x, alpha * x)),
    Sample("elu", {"x": values(7)}, {"alpha": 0.5}, lambda x, alpha: np.where(x >= 0, x, alpha * np.expm1(x))),
    Sample("thresholded_relu", {"x": values(7)}, {"alpha": 0.5}, lambda x, alpha: np.where(x >= alpha, x, 0)),
    Sample(
        "scaled_tanh", {"x": values(7)}, {"alpha": 0.5, "beta": 2.0}, lambda x, alpha, beta: alpha * np.tanh(beta * x)
    ),
    Sample(
        "sigmoid_hard",
        {"x": values(7)},
        {"alpha": 0.5, "beta": 0.25},
        lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
    ),
    Sample(
        "linear_activation", {"x": values(7)}, {"alpha": 0.5, "beta": 0.25}, lambda x, alpha, beta: alpha * x + beta
    ),
    Sample(
        "clamped_relu",
        {"x": values(7)},
        {"alpha": 0.5, "beta": 1.0},
        lambda x, alpha, beta: np.minimum(np.where(x >= 0, x, alpha * x), beta),
    ),
    Sample("threshold", {"x": values(7)}, {"alpha": 0.5}, lambda x, alpha: np.maximum(x, alpha)),
    Sample("prelu", {"x": IMAGE}, {"alpha": CHANNELS}, lambda x, alpha: np.where(x > 0, x, alpha[:, None, None] * x)),
    # reductions
    *_reduction("reduce_sum", lambda x, a, k: np.sum(x, a, keepdims=k)),
    *_reduction("reduce_mean", lambda x, a, k: np.mean(x, a, keepdims=k)),
    *_reduction("reduce_max", lambda x, a, k: np.max(x, a, keepdims=k)),
    *_reduction("reduce_min", lambda x, a, k: np.min(x, a, keepdims=k)),
    *_reduction("reduce_prod", lambda x, a, k: np.prod(x, a, keepdims=k)),
    *_reduction("reduce_sum_square", lambda x, a, k: np.sum(x * x, a, keepdims=k)),
    *_reduction("reduce_log_sum_exp", lambda x, a, k: np.log(np.sum(np.exp(x), a, keepdims=k))),
    *_reduction("reduce_l1_norm", lambda x, a, k: np.sum(abs(x), a, keepdims=k)),
    *_reduction("reduce_l2_norm", lambda x, a, k: np.sqrt(np.sum(x * x, a, keepdims=k))),
    *_reduction("reduce_log_sum", lambda x, a, k: np.log(np.sum(x, a, keepdims=k))),
    Sample(
        "reduce_argmax",
        {"x": values(3, 4)},
        {"axis": -1, "keep_dims": False, "output_dtype": "int32"},
        lambda x, axis, keep_dims, output_dtype: np.argmax(x, axis, keepdims=keep_dims),
    ),
    Sample(
        "reduce_argmin",
        {"x": values(3, 4)},
        {"axis": 0, "keep_dims": True, "output_dtype": "int32"},
        lambda x, axis, keep_dims, output_dtype: np.argmin(x, axis, keepdims=keep_dims),
    ),
    Sample(
        "reduce_argmin",
        {"x": values(3, 4)},
        {"axis": -1, "keep_dims": False, "output_dtype": "int32"},
        lambda x, axis, keep_dims, output_dtype: np.argmin(x, axis, keepdims=keep_dims),
    ),
    # movement
    Sample("reshape", {"x": values(2, 6)}, {"shape": [3, 4]}, lambda x, shape: x.reshape(shape)),
    Sample("transpose", {"x": values(2, 3, 4)}, {"perm": [2, 0, 1]}, lambda x, perm: x.transpose(perm)),
    Sample("expand_dims", {"x": values(2, 3)}, {"axes": [0, 2]}, lambda x, axes: np.expand_dims(x, tuple(axes))),
    Sample("squeeze", {"x": values(1, 3, 1)}, {"axes": [0]}, lambda x, axes: np.squeeze(x, tuple(axes))),
    Sample("reverse", {"x": values(2, 3)}, {"axes": [1]}, lambda x, axes: np.flip(x, tuple(axes))),
    Sample("tile", {"x": values(2, 3)}, {"reps": [2, 3]}, lambda x, reps: np.tile(x, reps)),
    *(
        Sample("pad", {"x": values(3, 4)}, {"pad": [1, 2, 0, 3], "mode": m, "constant_val": 0.5}, _pad)
        for m in ("constant", "reflect", "replicate")
    ),
    Sample("fill", {}, {"shape": [2, 3], "value": 1.5}, lambda shape, value: np.full(shape, value)),
    Sample(
        "concat",
        {"values": (values(2, 3), values(2, 2))},
        {"axis": 1, "interleave": False},
        lambda values, axis, interleave: np.concatenate(values, axis),
    ),
    Sample(
        "stack",
        {"values": (values(2, 3), values(2, 3, seed=1))},
        {"axis": 1},
        lambda values, axis: np.stack(values, axis),
    ),
    Sample(
        "split",
        {"x": values(2, 6)},
        {"axis": 1, "num_splits": 3},
        lambda x, axis, num_splits: np.split(x, num_splits, axis),
    ),
    Sample(
        "split",
        {"x": values(2, 6)},
        {"axis": 1, "split_sizes": [1, 5]},
        lambda x, axis, split_sizes: np.split(x, [1], axis),
    ),
    Sample("slice_by_size", {"x": values(4, 5)}, {"begin": [1, 2], "size": [2, 3]}, lambda x, begin, size: x[1:3, 2:5]),
    Sample(
        "slice_by_index",
        {"x": values(4, 5, 6)},
        {
            "begin": [1, -1, 2],
            "end": [3, -5, 0],
            "stride": [1, -2, 1],
            "begin_mask": NO,
            "end_mask": [False, False, True],
            "squeeze_mask": NO,
        },
        _slice_by_index,
    ),
    Sample(
        "slice_by_index",
        {"x": values(4, 5, 6)},
        {
            "begin": [1, 0, 0],
            "end": [2, 5, 4],
            "stride": [1, 1, 2],
            "begin_mask": NO,
            "end_mask": NO,
            "squeeze_mask": [True, False, False],
        },
        _slice_by_index,
    ),
    # gather and scatter
    Sample(
        "gather",
        {"x": values(5, 3), "indices": integers(2, 2, low=0, high=5)},
        {"axis": 0, "batch_dims": 0, "validate_indices": False},
        lambda x, indices, **_: x[indices],
    ),
    Sample(
        "gather_nd",
        {"x": values(5, 3), "indices": integers(4, 1, low=0, high=5)},
        {"batch_dims": 0, "validate_indices": False},
        out=(4, 3),
    ),
    Sample(
        "scatter_nd",
        {"data": values(5, 3), "indices": integers(4, 1, low=0, high=5), "updates": values(4, 3)},
        {"mode": "add", "validate_indices": False},
        out=(5, 3),
    ),
    # linear algebra, windows and normalisation
    Sample(
        "matmul", {"x": values(2, 3, 4), "y": values(2, 4, 5)}, {"transpose_x": False, "transpose_y": False}, _matmul
    ),
    Sample("matmul", {"x": values(4, 3), "y": values(5, 4)}, {"transpose_x": True, "transpose_y": True}, _matmul),
    Sample(
        "conv",
        {"x": IMAGE, "weight": values(8, 2, 3, 3)},
        {**WINDOW, "dilations": [1, 1], "groups": 2},
        out=(1, 8, 3, 4),
    ),
    Sample(
        "conv",
        {"x": IMAGE},
        {**WINDOW, "weight": values(8, 4, 3, 3), "bias": values(8), "dilations": [2, 1], "groups": 1},
        out=(1, 8, 2, 4),
    ),
    Sample("conv", {"x": IMAGE}, {"pad_type": "valid", "weight": values(8, 4, 3, 3)}, out=(1, 8, 4, 4)),
    Sample(
        "conv_transpose",
        {"x": IMAGE},
        {"pad_type": "valid", "weight": values(4, 8, 3, 3), "groups": 1},
        out=(1, 8, 8, 8),
    ),
    Sample(
        "avg_pool",
        {"x": IMAGE},
        {"pad_type": "valid", "kernel_sizes": [3, 3], "exclude_padding_from_average": False},
        out=(1, 4, 4, 4),
    ),
    Sample(
        "conv",
        {"x": IMAGE},
        {"pad_type": "same", "strides": [2, 2], "weight": values(8, 4, 3, 3), "dilations": [1, 1], "groups": 1},
        out=(1, 8, 3, 3),
    ),
    Sample(
        "conv_transpose",
        {"x": IMAGE},
        {**WINDOW, "weight": values(4, 4, 3, 3), "dilations": [1, 1], "groups": 2},
        out=(1, 8, 11, 8),
    ),
    Sample("max_pool", {"x": IMAGE}, {**WINDOW, "kernel_sizes": [3, 2], "ceil_mode": False}, out=(1, 4, 3, 5)),
    Sample(
        "max_pool",
        {"x": IMAGE},
        {"pad_type": "valid", "strides": [4, 3], "kernel_sizes": [3, 2], "ceil_mode": True},
        out=(1, 4, 2, 3),
    ),
    Sample(
        "avg_pool",
        {"x": IMAGE},
        {**WINDOW, "kernel_sizes": [2, 2], "ceil_mode": False, "exclude_padding_from_average": True},
        out=(1, 4, 4, 5),
    ),
    Sample(
        "batch_norm",
        {"x": IMAGE},
        {"mean": CHANNELS, "variance": CHANNELS, "gamma": CHANNELS, "beta": CHANNELS, "epsilon": 0.125},
        out=IMAGE.shape,
    ),
    Sample("instance_norm", {"x": IMAGE}, {"gamma": CHANNELS, "beta": CHANNELS, "epsilon": 0.125}, _instance_norm),
    Sample(
        "layer_norm",
        {"x": values(2, 3, 4)},
        {"axes": [-1], "gamma": values(4, low=0.5), "beta": values(4), "epsilon": 0.125},
        _layer_norm,
    ),
    Sample("depth_to_space", {"x": values(2, 8, 3, 2)}, {"block_size": 2}, layers.depth_to_space),
    Sample("space_to_depth", {"x": IMAGE[..., :4, :]}, {"block_size": 2}, layers.space_to_depth),
    Sample("pixel_shuffle", {"x": values(2, 9, 2, 3)}, {"upscale_factor": 3}, layers.pixel_shuffle),
    Sample("pixel_unshuffle", {"x": IMAGE[..., :4, :]}, {"downscale_factor": np.uint32(2)}, layers.pixel_unshuffle),
    Sample(
        "space_to_batch",
        {"x": values(1, 3, 3, 4)},
        {"block_shape": [2, 3], "paddings": np.array([[0, 1], [1, 1]], np.int32)},
        layers.space_to_batch,
    ),
    Sample(
        "batch_to_space",
        {"x": values(6, 3, 2, 2)},
        {"block_shape": [2, 3], "crops": np.array([[0, 1], [1, 1]], np.int32)},
        layers.batch_to_space,
    ),
    *(
        Sample("upsample_nearest_neighbor", {"x": values(2, 3, 4)}, scales, layers.upsample_nearest)
        for scales in (
            {"scale_factor_height": 3, "scale_factor_width": 2},
            {"scale_factor_height": 1, "scale_factor_width": 1},
        )
    ),
    Sample(
        "resize_nearest_neighbor",
        {"x": values(2, 3, 4)},
        {"target_size_height": 6, "target_size_width": 2},
        layers.resize_nearest,
    ),
    *(
        Sample(
            "upsample_bilinear",
            {"x": values(2, 3, 4)},
            {"align_corners": corners, "scale_factor_height": scale, "scale_factor_width": scale},
            layers.upsample_bilinear,
        )
        for corners, scale in ((True, 2), (False, 3), (True, 1))
    ),
    *(
        Sample(
            "resize_bilinear",
            {"x": values(2, 3, 4)},
            {"sampling_mode": mode, "target_size_height": height, "target_size_width": width},
            layers.resize_bilinear,
        )
        for mode in SAMPLING_MODES
        for height, width in ((5, 3), (1, 1))
    ),
    *(
        Sample(
            "resize",
            {"x": values(2, 3, 4)},
            {"shape": shape, "resized_dims": np.uint32(axes), "interpolation_mode": mode, "sampling_mode": "DEFAULT"},
            layers.resize,
        )
        for shape, axes, mode in (
            ([5, 0], 2, "LINEAR"),
            ([9, 0, 8], 2, "LINEAR"),
            ([6, 8], 1, "NEAREST_NEIGHBOR"),
            ([7], 0, "LINEAR"),
        )
    ),
    Sample("resize", {"x": values(2, 3, 4)}, {"shape": [4, 6, 5], "resized_dims": np.uint32(3)}, layers.resize),
    Sample("crop", {"x": IMAGE}, {"crop_height": [1, 2], "crop_width": [0, 1]}, layers.crop),
    *(
        Sample(
            "affine",
            {"x": values(2, 3, 4, 5), "transform_matrix": values(batch, 6, low=-1, high=1)},
            {
                "output_height": height,
                "output_width": 3,
                "sampling_mode": "bilinear",
                "padding_mode": "constant",
                "padding_value": 0.0,
                "coordinates_mode": "normalized_minus_one_to_one",
                "align_corners": True,
            },
            layers.affine,
        )
        for batch, height in ((2, 6), (1, 1))
    ),
    # of no axes coremltools has a product of floats
    *(Sample("flatten2d", {"x": values(2, 3, 4)}, {"axis": a}, layers.flatten2d, computed=a != 3) for a in (1, -1, 3)),
    *(
        Sample(
            "local_response_norm",
            {"x": values(2, 5, 3, 2)},
            {"size": size, "alpha": alpha, "beta": 0.75, "k": 1.0},
            layers.local_response_norm,
        )
        for size, alpha in ((3, 0.5), (4, 1e-4))
    ),
    Sample(
        "scaled_dot_product_attention",
        {"query": values(2, 3, 4), "key": values(2, 5, 4), "value": values(2, 5, 7)},
        {},
        layers.attention,
    ),
    Sample(
        "scaled_dot_product_attention",
        {
            "query": values(1, 2, 3, 4),
            "key": values(1, 2, 5, 4),
            "value": values(1, 2, 5, 7),
            "attn_mask": values(3, 5),
        },
        {},
        layers.attention,
    ),
    Sample("l2_norm", {"x": values(3, 1, 2, 5)}, {"epsilon": 0.25}, layers.l2_norm),
    Sample("l2_norm", {"x": values(3, 2, 5)}, {}, layers.l2_norm),
    Sample(
        "lstm",
        {"x": values(3, 2, 5), "initial_h": values(2, 4), "initial_c": values(2, 4)},
        {
            "weight_ih": values(16, 5),
            "weight_hh": values(16, 4),
            "bias": values(16),
            "direction": "forward",
            "output_sequence": False,
            "recurrent_activation": "sigmoid",
            "cell_activation": "tanh",
            "activation": "tanh",
        },
        layers.lstm,
    ),
    Sample(
        "einsum", {"values": (values(2, 3, 4, 5), values(1, 5, 4, 2))}, {"equation": "nchw,nwhu->nchu"}, layers.einsum
    ),
    Sample("einsum", {"values": (values(3, 1, 5), values(5, 4, 2))}, {"equation": "abc,cbd->abd"}, layers.einsum),
    Sample(
        "dequantize",
        {"input": integers(2, 3, 4).astype(np.int8)},
        {"scale": np.array([0.5, 0.25, 2.0]), "zero_point": np.array([1, 0, -3], np.int8), "axis": 1},
        layers.dequantize,
    ),
    Sample("quantize", {"input": values(2, 3)}, {"scale": 0.125, "output_dtype": "int8"}, layers.quantize),
    Sample(
        "quantize",
        {"input": values(2, 3)},
        {
            "scale": np.array([0.5, 0.25, 0.001]),
            "zero_point": np.array([1, 0, 200], np.uint8),
            "axis": -1,
            "output_dtype": "uint8",
        },
        layers.quantize,
    ),
]
