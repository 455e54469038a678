"""An .mlpackage executed without a Mac: coremltools reads it, infers its types, and computes each operation.

coremltools folds constants with a NumPy meaning of most operations (``value_inference``). Here each operation of a
saved package is built again on constants, and what coremltools says it is becomes the operand of the next one. The few
that it has no meaning for are computed here, in float64 and rounded once.

    Package(path)({"x": array}) -> {"output": array}
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.mil import layers
from tests.mil.witness import loader

WEIGHTS = "Data/com.apple.CoreML/weights"


class Package:
    """A saved package; ``states`` are kept between calls, as zeros at first."""

    def __init__(self, path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logging.getLogger("coremltools").setLevel(logging.ERROR)
            import coremltools as ct

            self.spec: Any = ct.models.utils.load_spec(str(path))
            self.program = loader().load(
                self.spec, specification_version=self.spec.specificationVersion, file_weights_dir=str(path / WEIGHTS)
            )
        self.states: dict[str, np.ndarray[Any, Any]] = {}
        self.watch: Callable[[str, Any], None] = lambda kind, value: None  # sees the result of each operation

    def __call__(self, inputs: dict[str, Any], function: str | None = None) -> dict[str, Any]:
        name = function or self.spec.description.defaultFunctionName or "main"
        main = self.program.functions[name]
        env: dict[Any, Any] = {}
        for key, value in main.inputs.items():
            if "state" in str(value.sym_type):
                self.states.setdefault(key, np.zeros(tuple(value.sym_type.wrapped_type().get_shape()), np.float16))
            else:
                array = np.asarray(inputs[key])
                assert _fits(array.shape, value.shape), (key, array.shape, value.shape)
                env[value] = array
        assert {*inputs} <= {*main.inputs}, f"{sorted(inputs)} for {sorted(main.inputs)}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._block(main, env)
        return {v.name: env[v] for v in main.outputs}

    def _block(self, block: Any, env: dict[Any, Any]) -> None:
        for op in block.operations:
            if op.op_type == "const":
                env[op.outputs[0]] = op.outputs[0].val
                continue
            outs = self._operation(op, env)
            for var, out in zip(op.outputs, outs, strict=True):
                if op.op_type == "classify":
                    env[var] = out
                    continue
                out = np.asarray(out)
                assert _fits(out.shape, var.shape), (op.op_type, op.name, out.shape, var.shape)
                env[var] = _in_dtype(out, var)
                self.watch(op.op_type, out)

    def _operation(self, op: Any, env: dict[Any, Any]) -> Any:
        def of(v: Any) -> Any:
            if isinstance(v, (tuple, list)):
                return tuple(map(of, v))
            return env.get(v, v.val)

        if op.op_type == "read_state":
            return [self.states[op.inputs["input"].name].copy()]
        if op.op_type == "coreml_update_state":
            self.states[op.inputs["state"].name] = np.array(of(op.inputs["value"]))
            return [self.states[op.inputs["state"].name].copy()]
        if op.op_type.startswith("constexpr_"):
            return [op.materialized_val_inference()]
        if op.op_type == "cond":
            return self._run(op.blocks[0 if of(op.inputs["pred"]) else 1], (), env)
        if op.op_type == "while_loop":
            test, body = op.blocks
            values = of(op.inputs["loop_vars"])
            while self._run(test, values, env)[0]:
                values = self._run(body, values, env)
            return values
        given = {k: of(v) for k, v in op.inputs.items() if v is not None and not k.startswith("_")}
        if op.op_type == "classify":
            flat = np.ravel(given["probabilities"]).tolist()
            names = [name.item() if isinstance(name, np.generic) else name for name in op.classes.val]
            return names[int(np.argmax(flat))], dict(zip(names, flat, strict=True))
        if op.op_type in OURS:
            return OURS[op.op_type](**given)
        return _theirs(op.op_type, given)

    def _run(self, block: Any, values: Any, env: dict[Any, Any]) -> list[Any]:
        inner = env | dict(zip(block.inputs, values, strict=True))
        self._block(block, inner)
        return [inner.get(v, v.val) for v in block.outputs]


def _fits(shape: Any, declared: Any) -> bool:
    """Whether an array has the shape that is declared, of which symbols stand for any size."""
    return len(shape) == len(declared) and all(
        n == m for n, m in zip(shape, declared) if isinstance(m, (int, np.integer))
    )


def _in_dtype(out: np.ndarray[Any, Any], var: Any) -> np.ndarray[Any, Any]:
    """Floats in the declared dtype: NumPy makes float32 or float64 of some functions of float16, which are rounded."""
    from coremltools.converters.mil.mil import types

    declared = np.dtype(types.nptype_from_builtin(var.dtype))
    assert out.dtype == declared or (out.dtype.kind == declared.kind == "f"), (out.dtype, declared)
    return out.astype(declared, copy=False)


def _theirs(name: str, given: dict[str, Any]) -> list[Any]:
    """What coremltools says the operation is."""
    from coremltools.converters.mil._deployment_compatibility import AvailableTarget
    from coremltools.converters.mil.mil import Builder as mb
    from coremltools.converters.mil.mil import Function

    def const(v: Any) -> Any:
        if isinstance(v, tuple):
            return tuple(map(const, v))
        if isinstance(v, str) or v is None:
            return v
        v = np.asarray(v)
        if v.shape == ():
            v = v.item() if v.dtype in (bool, np.int32) else v[()]
        return mb.const(val=v)  # type: ignore[attr-defined]

    with Function({}, opset_version=AvailableTarget.iOS18):
        out = getattr(mb, name)(**{k: const(v) for k, v in given.items()})
    outs = out if isinstance(out, (list, tuple)) else [out]
    if any(v.val is None for v in outs):
        raise NotImplementedError(f"{name}: coremltools computes no value")
    return [v.val for v in outs]


# ---- what coremltools computes no value of


def _in_doubles(compute: Any) -> Any:
    def run(**given: Any) -> list[Any]:
        dtype = np.asarray(
            next(v for v in given.values() if getattr(v, "dtype", None) in (np.float32, np.float16))
        ).dtype
        wide = {k: v.astype(np.float64) if getattr(v, "dtype", None) == dtype else v for k, v in given.items()}
        return [np.asarray(compute(**wide)).astype(dtype)]

    return run


def _padded(x: Any, pad_type: str, pad: Any, value: float) -> Any:
    amounts = np.asarray(pad).reshape(-1, 2) if pad_type == "custom" else np.zeros((x.ndim - 2, 2), int)
    assert pad_type in ("custom", "valid")
    return np.pad(x, [(0, 0), (0, 0), *map(tuple, amounts)], constant_values=value)


def _windows(x: Any, sizes: Any, strides: Any, dilations: Any) -> Any:
    """[batch, channels, places..., kernel...]"""
    axes = tuple(range(2, x.ndim))
    full = [(k - 1) * d + 1 for k, d in zip(sizes, dilations)]
    view = np.lib.stride_tricks.sliding_window_view(x, full, axes)
    places = tuple(slice(None, None, int(s)) for s in strides)
    inside = tuple(slice(None, None, int(d)) for d in dilations)
    return view[(slice(None), slice(None), *places, *inside)]


def _conv(x: Any, weight: Any, bias: Any = None, strides: Any = None, pad: Any = None, pad_type: str = "valid",
          dilations: Any = None, groups: int = 1) -> Any:  # fmt: skip
    n = x.ndim - 2
    view = _windows(_padded(x, pad_type, pad, 0), weight.shape[2:], np.ones(n, int) if strides is None else strides,
                    np.ones(n, int) if dilations is None else dilations)  # fmt: skip
    outs = []
    for xs, ws in zip(np.split(view, groups, 1), np.split(weight, groups, 0)):
        contracted = [1, *range(2 + n, 2 + 2 * n)]
        outs.append(np.moveaxis(np.tensordot(xs, ws, (contracted, [1, *range(2, 2 + n)])), -1, 1))
    y = np.concatenate(outs, 1)
    return y if bias is None else y + bias.reshape(1, -1, *[1] * n)


def _conv_transpose(x: Any, weight: Any, bias: Any = None, strides: Any = None, pad: Any = None,
                    pad_type: str = "valid", dilations: Any = None, groups: int = 1,
                    output_shape: Any = None) -> Any:  # fmt: skip
    n = x.ndim - 2
    strides, dilations = (np.ones(n, int) if v is None else np.asarray(v) for v in (strides, dilations))
    stuffed = np.zeros((*x.shape[:2], *((np.array(x.shape[2:]) - 1) * strides + 1)))
    stuffed[(slice(None), slice(None), *(slice(None, None, s) for s in strides))] = x
    full = [int(d * (k - 1)) for d, k in zip(dilations, weight.shape[2:])]
    stuffed = np.pad(stuffed, [(0, 0), (0, 0), *((f, f) for f in full)])
    parts = [np.swapaxes(w, 0, 1) for w in np.split(weight, groups, 0)]
    kernel = np.flip(np.concatenate(parts, 0), tuple(range(2, 2 + n)))
    y = _conv(stuffed, kernel, bias, dilations=dilations, groups=groups)
    cut = np.asarray(pad).reshape(-1, 2) if pad_type == "custom" else np.zeros((n, 2), int)
    y = y[(slice(None), slice(None), *(slice(lo, m - hi) for (lo, hi), m in zip(cut, y.shape[2:])))]
    assert output_shape is None or tuple(output_shape) == y.shape
    return y


def _pool(x: Any, kernel_sizes: Any, strides: Any, pad: Any, pad_type: str, empty: float) -> Any:
    return _windows(_padded(x, pad_type, pad, empty), kernel_sizes, strides, np.ones(x.ndim - 2, int))


def _max_pool(
    x: Any, kernel_sizes: Any, strides: Any, pad: Any = None, pad_type: str = "valid", ceil_mode: bool = False
) -> Any:
    return _pool(x, kernel_sizes, strides, pad, pad_type, -np.inf).max(tuple(range(x.ndim, 2 * x.ndim - 2)))


def _avg_pool(x: Any, kernel_sizes: Any, strides: Any, pad: Any = None, pad_type: str = "valid",
              ceil_mode: bool = False, exclude_padding_from_average: bool = False) -> Any:  # fmt: skip
    axes = tuple(range(x.ndim, 2 * x.ndim - 2))
    total = _pool(x, kernel_sizes, strides, pad, pad_type, 0).sum(axes)
    if not exclude_padding_from_average:
        return total / math.prod(kernel_sizes)
    return total / _pool(np.ones_like(x), kernel_sizes, strides, pad, pad_type, 0).sum(axes)


def _scatter_nd(data: Any, indices: Any, updates: Any, mode: str, validate_indices: bool = False) -> list[Any]:
    out = np.array(data)
    how = {"add": np.add, "mul": np.multiply, "min": np.minimum, "max": np.maximum, "sub": np.subtract}
    for place in np.ndindex(indices.shape[:-1]):
        at = tuple(indices[place])
        assert all(0 <= i < n for i, n in zip(at, data.shape)), f"{at} is outside {data.shape}"
        out[at] = updates[place] if mode == "update" else how[mode](out[at], updates[place])
    return [out]


def _gather(x: Any, indices: Any, axis: int = 0, batch_dims: int = 0, validate_indices: bool = False) -> list[Any]:
    assert batch_dims == 0 and (indices.size == 0 or 0 <= indices.min() <= indices.max() < x.shape[axis])
    return [np.take(x, indices, axis)]


def _slice_update(x: Any, update: Any, begin: Any, end: Any, **masks: Any) -> list[Any]:
    out = np.array(x)
    assert all(0 <= b < e <= n for b, e, n in zip(begin, end, x.shape)), (begin, end, x.shape)
    out[tuple(map(slice, begin, end))] = update
    return [out]


def _slice_by_size(x: Any, begin: Any, size: Any) -> list[Any]:
    assert all(b >= 0 and b + s <= n for b, s, n in zip(begin, size, x.shape)), (begin, size, x.shape)
    return [x[tuple(slice(b, b + s) for b, s in zip(begin, size))]]


OURS = {
    "lstm": layers.lstm,
    "reshape": lambda x, shape: [np.reshape(x, shape)],  # theirs, and squeeze, fail on some without axes
    "squeeze": lambda x, axes: [np.squeeze(x, tuple(axes))],
    "expand_dims": lambda x, axes: [np.expand_dims(x, tuple(axes))],
    "conv": _in_doubles(_conv),
    "conv_transpose": _in_doubles(_conv_transpose),
    "max_pool": _in_doubles(_max_pool),
    "avg_pool": _in_doubles(_avg_pool),
    "silu": _in_doubles(lambda x: x / (1 + np.exp(-x))),
    "scatter_nd": _scatter_nd,
    "gather": _gather,  # theirs does not look at bounds
    "slice_update": _slice_update,
    "slice_by_size": _slice_by_size,
}
