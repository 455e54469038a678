"""Compresses weights: replaces the large constants of a function by operations that decompress them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from anejax.errors import ExportError, fail
from anejax.mil.constexpr import BITS, PALETTE, SCALED
from anejax.mil.program import NUMPY_DTYPES, Function, Op, Operand, Type, Value

SMALLEST = 64  # elements; smaller constants are no weights, and stay as they are
BLOCK = 32  # inputs that share a scale, where it is not the whole channel
TURNS = 100  # most iterations of k-means

Report = Callable[[str, float], None]
Array = np.ndarray


@dataclass(frozen=True)
class Scheme:
    """A way to store weights.

    Attributes:
        make: (the constant, its elements) to (the operation that makes it of fewer bytes, what that gives).
        matrices: only what has two axes or more is stored so.
        says: what it is, for help texts.
    """

    make: Callable[[Value, Array], tuple[Op, Array]]
    matrices: bool
    says: str


def check_scheme(scheme: str | None, known: tuple[str, ...]) -> None:
    """Raise ExportError unless there is such a scheme."""
    if scheme is not None and scheme not in known:
        names = " or ".join(map(repr, (None, *known)))
        fail("export", f"expected weights to be {names}, got {scheme!r}", ExportError)


def compressed(function: Function, scheme: str | None, report: Report | None = None) -> Function:
    """``function`` with its large constants of floats stored as the scheme of SCHEMES says.

    ``report`` hears the name of each weight and its error: the root of the mean square, relative to that of the weight.
    """
    if scheme is None:
        return function
    chosen = SCHEMES[scheme]
    twins: dict[Value, Value] = {}
    ops: list[Op] = []

    def twin(value: Value) -> Value:
        data = value.const
        if not isinstance(data, np.ndarray) or value.type.dtype not in ("fp32", "fp16") or data.size <= SMALLEST:
            return value
        if (chosen.matrices and data.ndim < 2) or (scheme, value.type.dtype) == ("float16", "fp16"):
            return value
        if value not in twins:
            op, stored = chosen.make(value, data.astype(np.float32))
            ops.append(op)
            twins[value] = op.results[0]
            if report is not None:
                report(value.name, _error(data, stored))
        return twins[value]

    def operand(given: Operand) -> Operand:
        return tuple(map(twin, given)) if isinstance(given, tuple) else twin(given)

    for op in function.ops:
        new = replace(op, operands={name: operand(given) for name, given in op.operands.items()})
        ops.append(new)
    return replace(function, ops=tuple(ops))


def _error(data: Array, stored: Array) -> float:
    size = float(np.sqrt(np.mean(np.square(data, dtype=np.float64))))
    return float(np.sqrt(np.mean(np.square(data.astype(np.float64) - stored)))) / (size or 1.0)


def _half(value: Value, data: Array) -> tuple[Op, Array]:
    """A constant of float16, and the cast back to its dtype."""
    most = np.abs(data).max()
    if most > np.finfo(np.float16).max:
        fail("export", f"expected weights that float16 holds, got {value.name} with {most:.4g}", ExportError)
    small = data.astype(np.float16)
    stored = Value(f"{value.name}_half", Type("fp16", value.type.shape), small)
    dtype = Value(f"{value.name}_dtype", Type("string"), "fp32")
    return Op("cast", {"x": stored, "dtype": dtype}, (Value(value.name, value.type),)), small


def _bits(value: Value, bits: int) -> dict[str, Value]:
    return {BITS: Value(f"{value.name}_bits", Type("int32"), np.array(bits, np.int32))} if bits < 8 else {}


def scaled(bits: int, block: int | None = None) -> Callable[[Value, Array], tuple[Op, Array]]:
    """Integers times scales: one for each output channel, which is the last axis of a matrix and the first of a kernel,
    or for each ``block`` of the inputs of a channel, where the number of inputs is a multiple of it.

    They are symmetric: from -(2^(bits - 1) - 1) on.
    """
    most = 2 ** (bits - 1) - 1

    def make(value: Value, data: Array) -> tuple[Op, Array]:
        channel, inputs = (data.ndim - 1, data.ndim - 2) if data.ndim == 2 else (0, 1)
        parts = data.shape[inputs] // block if block and data.shape[inputs] % block == 0 else 1
        split = data.reshape(*data.shape[:inputs], parts, -1, *data.shape[inputs + 1 :])
        kept = {channel + (channel > inputs), inputs}
        others = tuple(a for a in range(split.ndim) if a not in kept)
        greatest = np.abs(split).max(others, keepdims=True)
        scale = np.maximum(greatest, np.finfo(np.float32).tiny) / np.float32(most)
        small = np.clip(np.rint(split / scale), -most, most).astype(np.int8)
        operands: dict[str, Operand] = {
            "data": Value(f"{value.name}_data", Type("int8", value.type.shape), small.reshape(data.shape)),
            "scale": _constant(value, "scale", scale.reshape(_without(scale.shape, inputs + 1))),
        }
        made = Op(SCALED, operands, (Value(value.name, value.type),), _bits(value, bits))
        return made, (small * scale).reshape(data.shape)

    return make


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


def _constant(of: Value, name: str, data: Array) -> Value:
    """An operand of the dtype of the constant that it belongs to."""
    return Value(f"{of.name}_{name}", Type(of.type.dtype, data.shape), data.astype(NUMPY_DTYPES[of.type.dtype]))


def palette(bits: int) -> Callable[[Value, Array], tuple[Op, Array]]:
    """Indices into a table of 2^bits values, which k-means finds, with one table for each weight."""

    def make(value: Value, data: Array) -> tuple[Op, Array]:
        table = centers(data.ravel().astype(np.float64), 2**bits).astype(np.float32)
        indices = nearest(data.ravel(), table).astype(np.uint8).reshape(data.shape)
        operands: dict[str, Operand] = {
            "indices": Value(f"{value.name}_indices", Type("uint8", value.type.shape), indices),
            "lut": _constant(value, "lut", table.reshape(*[1] * data.ndim, 2**bits, 1)),
        }
        return Op(PALETTE, operands, (Value(value.name, value.type),), _bits(value, bits)), table[indices]

    return make


def centers(x: Array, count: int) -> Array:
    """Finds ``count`` values, ascending, that approximate ``x`` [n] well, by Lloyd's k-means.

    It begins where the best ones are dense, in proportion to the cube root of the density of ``x`` (Panter and Dite,
    1951). In one dimension a cluster is an interval of the sorted values, so a turn is a search for the bounds and
    differences of sums. Clusters without elements keep their value.
    """
    ordered = np.sort(x)
    distinct = np.unique(ordered)
    if len(distinct) <= count:
        return np.concatenate([distinct, np.full(count - len(distinct), distinct[-1])])
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    density, edges = np.histogram(ordered, 16 * count)
    share = np.concatenate([[0.0], np.cumsum(np.cbrt(density))])
    found = np.interp((np.arange(count) + 0.5) / count * share[-1], share, edges)
    for _ in range(TURNS):
        bounds = np.concatenate([[0], np.searchsorted(ordered, (found[1:] + found[:-1]) / 2), [len(x)]])
        sizes = np.diff(bounds)
        new = np.where(sizes > 0, np.diff(sums[bounds]) / np.maximum(sizes, 1), found)
        if np.array_equal(new, found):
            break
        found = new
    return found


def nearest(x: Array, table: Array) -> Array:
    """The index, in an ascending ``table``, of the value that is nearest to each element of ``x`` [n]."""
    return np.searchsorted((table[1:] + table[:-1]) / 2, x)


SCHEMES: dict[str, Scheme] = {
    "float16": Scheme(_half, False, "half the bytes"),
    "int8": Scheme(scaled(8), True, "8 bits, a scale for each output channel"),
    "int4": Scheme(scaled(4), True, "4 bits, a scale for each output channel"),
    "int8-block": Scheme(scaled(8, BLOCK), True, f"8 bits, a scale for each {BLOCK} inputs of a channel"),
    "int4-block": Scheme(scaled(4, BLOCK), True, f"4 bits, a scale for each {BLOCK} inputs of a channel"),
    **{f"lut{n}": Scheme(palette(n), True, f"{n} bits, places in a table of {2**n} values") for n in (2, 4, 6, 8)},
}
COREAI = tuple(name for name in SCHEMES if name not in ("float16", "lut6"))  # Core AI has no indices of 6 bits
