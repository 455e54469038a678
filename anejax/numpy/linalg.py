"""jax.numpy.linalg: norms, powers and products. Factorizations are not here yet and say so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax.core.array import Array
from anejax.errors import RefusedError, ShapeError
from anejax.numpy import elementwise as ew
from anejax.numpy import reductions as red
from anejax.numpy.creation import eye
from anejax.numpy.linear import cross as cross
from anejax.numpy.linear import diagonal as _diagonal
from anejax.numpy.linear import dot
from anejax.numpy.linear import matmul as matmul
from anejax.numpy.linear import outer as outer
from anejax.numpy.linear import tensordot as tensordot
from anejax.numpy.linear import trace as _trace
from anejax.numpy.linear import vecdot as vecdot
from anejax.numpy.operands import Axis, as_array, as_int, axes_of, promote_inexact
from anejax.numpy.shaping import matrix_transpose as matrix_transpose
from anejax.ops import shape


def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Array:
    """The norm of a vector (one axis), of matrices (two), or of all elements when ``axis`` and ``ord`` are None.

    Args:
        ord: for vectors a number, inf, -inf (None: 2); for matrices "fro", 1, -1, inf, -inf (None: "fro"). The
            spectral norms 2, -2 and "nuc" need a singular value decomposition, which is not here yet.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.linalg.norm(jnp.array([3.0, 4.0]))
        Array(5., dtype=float32)
    """
    (x,) = promote_inexact("norm", x)
    x = as_array("norm", x)
    if axis is None:
        if ord is None:
            return _keepdims(_euclidean(shape.reshape(x, (x.size,)), (0,), False), x.ndim, keepdims)
        if x.ndim not in (1, 2):
            raise ValueError(f"[norm] expected rank 1 or 2 when axis is None and ord is given, got {x.aval}.")
        axis = tuple(range(x.ndim))
    axes = axes_of("norm", axis, x.ndim)
    if len(axes) == 1:
        return _vector(x, 2 if ord is None else ord, axes, keepdims)
    if len(axes) == 2:
        return _matrix(x, "fro" if ord is None else ord, axes, keepdims)
    raise ValueError(f"[norm] expected one axis or two, got {axes}.")


def _keepdims(x: Any, rank: int, keepdims: bool) -> Any:
    return shape.reshape(x, (1,) * rank) if keepdims else x


def _euclidean(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    return ew.sqrt(red.sum(ew.square(x), axes, keepdims=keepdims))


def _vector(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    size = ew.absolute(x)
    if ord == 2:
        return _euclidean(x, axes, keepdims)
    if ord == np.inf:
        return red.max(size, axes, keepdims=keepdims, initial=0)
    if ord == -np.inf:
        return red.min(size, axes, keepdims=keepdims, initial=np.inf)
    if ord == 0:
        return red.sum(ew.not_equal(x, 0), axes, x.dtype, keepdims=keepdims)
    if ord == 1:
        return red.sum(size, axes, keepdims=keepdims)
    if isinstance(ord, str):
        raise ValueError(f"[norm] expected a number as order of a vector norm, got {ord!r}.")
    return ew.power(red.sum(ew.power(size, ord), axes, keepdims=keepdims), ew.true_divide(1.0, ord))


def _matrix(x: Any, ord: Any, axes: tuple[int, int], keepdims: bool) -> Any:
    rows, columns = axes
    size = ew.absolute(x)
    if ord in ("fro", "f"):
        return _euclidean(x, axes, keepdims)
    if ord in (1, -1, np.inf, -np.inf):
        summed, over = (rows, columns) if ord in (1, -1) else (columns, rows)
        totals = red.sum(size, summed, keepdims=True)
        extreme = red.max if ord > 0 else red.min
        out = extreme(totals, over, keepdims=True)
        return out if keepdims else shape.squeeze(out, axes)
    if ord in (2, -2, "nuc"):
        raise RefusedError(f"[norm] the matrix norm {ord!r} needs a singular value decomposition, not here yet.")
    raise ValueError(f"[norm] expected the order of a matrix norm, got {ord!r}.")


def vector_norm(x: Any, /, *, axis: Axis = None, keepdims: bool = False, ord: Any = 2) -> Array:
    """The vector norm over ``axis``, one or several (all when None)."""
    (x,) = promote_inexact("vector_norm", x)
    x = as_array("vector_norm", x)
    return _vector(x, ord, axes_of("vector_norm", axis, x.ndim), keepdims)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Array:
    """The norm of matrices [..., n, m]."""
    return norm(x, ord, (-2, -1), keepdims)


def matrix_power(a: Any, n: int) -> Array:
    """Square matrices [..., m, m] to the power of ``n``, by squaring. Negative powers need an inverse."""
    x = as_array("matrix_power", a)
    n = as_int("matrix_power", n, "n")
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(f"[matrix_power] expected square matrices, got {x.aval}.")
    if n < 0:
        raise RefusedError("[matrix_power] negative powers need an inverse, which is not here yet.")
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
    """Where to split each part of a chain: dynamic programming over its lengths."""
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


def diagonal(x: Any, /, *, offset: int = 0) -> Array:
    """The diagonals of matrices [..., n, m]."""
    return _diagonal(x, offset, -2, -1)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Array:
    """The sums of the diagonals of matrices [..., n, m]."""
    return _trace(x, offset, -2, -1, dtype)


def _to_come(name: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        raise RefusedError(f"[{name}] factorizations are not supported yet; use numpy.linalg outside of jit.")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "Not supported yet."
    return function


_NAMES = ("cholesky", "cond", "det", "eig", "eigh", "eigvals", "eigvalsh", "inv", "lstsq", "matrix_rank", "pinv", "qr",
          "slogdet", "solve", "svd", "svdvals", "tensorinv", "tensorsolve")  # fmt: skip
globals().update({name: _to_come(name) for name in _NAMES})
