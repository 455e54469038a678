"""Powers, chains and other products of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anejax.core.array import Array
from anejax.errors import ShapeError
from anejax.numpy.creation import eye
from anejax.numpy.linalg.solving import inv
from anejax.numpy.linear import diagonal as _diagonal
from anejax.numpy.linear import dot, matmul
from anejax.numpy.linear import outer as _outer
from anejax.numpy.linear import trace as _trace
from anejax.numpy.operands import as_array, as_int
from anejax.ops import shape
from anejax.ops.precision import check_precision


def matrix_power(a: Any, n: int) -> Array:
    """Square matrices [..., m, m] to the power of ``n``, by squaring; negative powers of the inverse."""
    x = as_array("matrix_power", a)
    n = as_int("matrix_power", n, "n")
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(f"[matrix_power] expected square matrices, got {x.aval}.")
    if n < 0:
        x, n = inv(x), -n
    out: Any = None
    while n:
        if n & 1:
            out = x if out is None else matmul(out, x)
        n >>= 1
        if n:
            x = matmul(x, x)
    return shape.broadcast_to(eye(x.shape[-1], dtype=x.dtype), x.shape) if out is None else out


def multi_dot(arrays: Sequence[Any], *, precision: Any = None) -> Array:
    """The product of a chain of matrices, in the order that needs the fewest multiplications."""
    check_precision("multi_dot", precision)
    xs = [as_array("multi_dot", a) for a in arrays]
    if len(xs) < 2:
        raise ValueError(f"[multi_dot] expected at least two arrays, got {len(xs)}.")
    if any(x.ndim != 2 for x in xs[1:-1]) or any(x.ndim not in (1, 2) for x in (xs[0], xs[-1])):
        raise ShapeError(
            f"[multi_dot] expected matrices, vectors at the ends, got {', '.join(str(x.aval) for x in xs)}."
        )
    wide = [*xs]
    wide[0] = shape.reshape(xs[0], (1, xs[0].size)) if xs[0].ndim == 1 else xs[0]
    wide[-1] = shape.reshape(xs[-1], (xs[-1].size, 1)) if xs[-1].ndim == 1 else xs[-1]
    out = _chain(wide, _cheapest([w.shape[0] for w in wide] + [wide[-1].shape[1]]), 0, len(wide) - 1)
    gone = [0] * (xs[0].ndim == 1) + [1] * (xs[-1].ndim == 1)
    return shape.squeeze(out, gone)


def _cheapest(sizes: list[int]) -> dict[tuple[int, int], int]:
    """The positions at which to split each part of a chain, by dynamic programming over its lengths."""
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    split: dict[tuple[int, int], int] = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            options = {k: cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in range(i, j)}
            split[i, j] = min(options, key=options.__getitem__)
            cost[i, j] = options[split[i, j]]
    return split


def _chain(xs: Sequence[Any], split: dict[tuple[int, int], int], i: int, j: int) -> Any:
    if i == j:
        return xs[i]
    k = split[i, j]
    return dot(_chain(xs, split, i, k), _chain(xs, split, k + 1, j))


def outer(x1: Any, x2: Any, /) -> Array:
    """The product of every element of a vector with every element of another, [x1.size, x2.size]."""
    x, y = (as_array("outer", v) for v in (x1, x2))
    if x.ndim != 1 or y.ndim != 1:
        raise ShapeError(f"[outer] expected vectors, got {x.aval} and {y.aval}. anejax.numpy.outer takes any arrays.")
    return _outer(x, y)


def diagonal(x: Any, /, *, offset: int = 0) -> Array:
    """The diagonals of matrices [..., n, m]."""
    return _diagonal(x, offset, -2, -1)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Array:
    """The sums of the diagonals of matrices [..., n, m]."""
    return _trace(x, offset, -2, -1, dtype)
