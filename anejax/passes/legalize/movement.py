"""Rules for primitives that move, reduce or look up elements."""

from __future__ import annotations

from typing import Any

from anejax import dtypes
from anejax.core.trace import Tracer, aval_of
from anejax.ops import arithmetic as A
from anejax.ops import shape as S
from anejax.ops.families import expand
from anejax.ops.linalg_parts import FORMS as FACTORIZATIONS
from anejax.passes.legalize.halving import reduced
from anejax.passes.legalize.rules import families, refuse, rule

Config = tuple[tuple[int, int, int], ...]


@rule("pad")
def _pad(x: Any, value: Any, *, padding_config: Config) -> Any:
    """Negative padding is a slice, interior padding a wider axis that is flattened, and MIL's pad does the rest."""
    aval = aval_of(x)
    if any(lo < 0 or hi < 0 for lo, hi, _ in padding_config):
        grown = S.pad(x, value, [(max(lo, 0), max(hi, 0), i) for lo, hi, i in padding_config])
        shape = aval_of(grown).shape
        starts = [max(-lo, 0) for lo, _, _ in padding_config]
        limits = [n - max(-hi, 0) for n, (_, hi, _) in zip(shape, padding_config)]
        return S.slice_(grown, starts, limits)
    inner = [a for a, (_, _, i) in enumerate(padding_config) if i and aval.shape[a] > 1]
    if inner:
        axis = inner[0]
        stuffed = _stuff(x, value, axis, padding_config[axis][2])
        rest = tuple((lo, hi, 0 if a == axis else i) for a, (lo, hi, i) in enumerate(padding_config))
        return S.pad(stuffed, value, rest)
    config = tuple((lo, hi, 0) for lo, hi, _ in padding_config)
    if all(c == (0, 0, 0) for c in config):
        return x
    if aval.dtype not in dtypes.FLOATS or isinstance(value, Tracer):  # MIL pads floats with constants only
        return _pad_by_concat(x, value, config)
    return NotImplemented if config == padding_config else S.pad(x, value, config)


def _stuff(x: Any, value: Any, axis: int, count: int) -> Any:
    """``count`` values between neighbours along ``axis``: [a b] -> [[a v] [b v]] -> [a v b v] -> [a v b]"""
    shape = aval_of(x).shape
    n = shape[axis]
    column = S.reshape(x, (*shape[: axis + 1], 1, *shape[axis + 1 :]))
    config = [(0, 0, 0)] * (len(shape) + 1)
    config[axis + 1] = (0, count, 0)
    wide = S.reshape(S.pad(column, value, config), (*shape[:axis], n * (count + 1), *shape[axis + 1 :]))
    return S.slice_in_dim(wide, 0, (n - 1) * (count + 1) + 1, axis=axis)


def _pad_by_concat(x: Any, value: Any, config: Config) -> Any:
    for axis, (lo, hi, _) in enumerate(config):
        shape = aval_of(x).shape
        block = lambda n, s=shape, a=axis: expand(value, (*s[:a], n, *s[a + 1 :]))  # noqa: E731
        parts = [*([block(lo)] if lo else []), x, *([block(hi)] if hi else [])]
        x = S.concatenate(parts, axis)
    return x


@rule("rev")
def _rev(x: Any, *, dimensions: tuple[int, ...]) -> Any:
    return NotImplemented if dimensions else x


@rule("slice")
def _slice(x: Any, *, start_indices: Any, limit_indices: Any, strides: Any) -> Any:
    """Up to A15, a slice that starts inside the last axis gives wrong numbers (docs/sources.md, "Slices").

    So another axis becomes the last one, and a transpose brings the axes back.
    """
    if not start_indices:
        return x
    if start_indices[-1] == 0 or not {"A13", "A14", "A15"}.intersection(families()):
        return NotImplemented
    shape = aval_of(x).shape
    if len(shape) == 1:
        column = S.reshape(x, (*shape, 1))
        part = S.slice_(column, (*start_indices, 0), (*limit_indices, 1), (*strides, 1))
        return S.reshape(part, aval_of(part).shape[:1])
    x = S.slice_(x, (*start_indices[:-1], 0), (*limit_indices[:-1], shape[-1]), (*strides[:-1], 1))
    swapped = (len(shape) - 1, *range(1, len(shape) - 1), 0)
    part = S.slice_in_dim(S.transpose(x, swapped), start_indices[-1], limit_indices[-1], strides[-1])
    return S.transpose(part, swapped)


@rule("reduce_sum", targets=("coreml",))
@rule("reduce_max", "reduce_min", "reduce_prod")
def _reduce_nothing(x: Any, *, axes: tuple[int, ...]) -> Any:
    return NotImplemented if axes else x


@rule("reduce_prod", targets=("ane",))
def _prod(x: Any, *, axes: tuple[int, ...]) -> Any:
    """Products of two halves, repeatedly, because the engine has no reduce_prod (docs/sources.md, "Sums")."""
    return reduced(x, axes, A.mul)


refuse("the engine has no integers", "reduce_xor", targets=("ane",))
refuse("MIL's sorting operations order one array by one key, in unstated order of equals", "sort",
       targets=("ane",))  # fmt: skip
refuse("MIL has no Fourier transform", "fft_parts")
refuse("MIL has no factorizations; LAPACK runs them on the CPU device", *FACTORIZATIONS,
       *(form.name for form in FACTORIZATIONS.values()))  # fmt: skip
refuse("start positions known only at run time are not in the engine's MIL", "dynamic_slice", "dynamic_update_slice",
       targets=("ane",))  # fmt: skip
refuse("the engine has no gather or scatter with indices at run time; such parts run on the CPU device", "gather",
       "scatter", "scatter_add", "scatter_mul", "scatter_min", "scatter_max", targets=("ane",))  # fmt: skip
refuse("the engine has no integers, nor argmax and argmin; such parts run on the CPU device",
       "argmax", "argmin", targets=("ane",))  # fmt: skip
