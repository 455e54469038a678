"""Matrices that a few numbers determine: blocks, constant diagonals, companions, and matrices of combinatorics.

A matrix that depends on a size alone is computed exactly, or in float64, and rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes
from anejax.core.array import Array
from anejax.errors import DtypeError, ShapeError
from anejax.numpy.operands import as_array, promote_inexact

# --- of arrays --------------------------------------------------------------------------------------------------------


def block_diag(*arrs: Any) -> Array:
    """Matrices along the diagonal of a greater one; vectors count as rows."""
    blocks = [jnp.atleast_2d(as_array("block_diag", a)) for a in (arrs or (jnp.zeros((1, 0)),))]
    if any(b.ndim != 2 for b in blocks):
        raise ShapeError(f"[block_diag] expected matrices, got {', '.join(str(b.aval) for b in blocks)}.")
    width, left, rows = sum(b.shape[1] for b in blocks), 0, []
    dtype = jnp.result_type(*blocks)
    for b in blocks:
        rows.append(jnp.pad(b.astype(dtype), ((0, 0), (left, width - left - b.shape[1]))))
        left += b.shape[1]
    return jnp.concatenate(rows, 0)


def toeplitz(c: Any, r: Any = None) -> Array:
    """The matrix [..., m, n] constant along diagonals: first column ``c`` [..., m], first row ``r`` (conj(c))."""
    column = jnp.atleast_1d(as_array("toeplitz", c))
    row = jnp.conj(column) if r is None else jnp.atleast_1d(as_array("toeplitz", r))
    column, row = _alike(column, row)
    m, n = column.shape[-1], row.shape[-1]
    if m == 0 or n == 0:
        return jnp.zeros((*column.shape[:-1], m, n), column.dtype)
    return _along_diagonals(jnp.concatenate([jnp.flip(column, -1), row[..., 1:]], -1), m, n, -1)


def _alike(column: Any, row: Any) -> tuple[Any, Any]:
    """Both with the same leading axes and dtype."""
    lead = jnp.broadcast_shapes(column.shape[:-1], row.shape[:-1])
    dtype = jnp.result_type(column, row)
    column, row = (jnp.broadcast_to(o, (*lead, o.shape[-1])).astype(dtype) for o in (column, row))
    return column, row


def _along_diagonals(line: Any, m: int, n: int, step: int) -> Any:
    """The matrix [..., m, n] whose rows are windows of ``line``, each ``step`` further; of -1, the last comes first."""
    starts = np.arange(m)[::step]
    return jnp.take(line, starts[:, None] + np.arange(n), axis=-1)


def hankel(c: Any, r: Any = None) -> Array:
    """The matrix [..., m, n] constant along antidiagonals: first column ``c`` [..., m], last row ``r`` (zeros)."""
    column = as_array("hankel", c)
    row = jnp.zeros_like(column) if r is None else as_array("hankel", r)
    if not column.ndim or not row.ndim:
        raise ShapeError(f"[hankel] expected c [..., m] and r [..., n], got {column.aval} and {row.aval}.")
    column, row = _alike(column, row)
    m, n = column.shape[-1], row.shape[-1]
    if m == 0 or n == 0:
        return jnp.zeros((*column.shape[:-1], m, n), column.dtype)
    return _along_diagonals(jnp.concatenate([column, row[..., 1:]], -1), m, n, 1)


def circulant(c: Any) -> Array:
    """The matrix [..., n, n] with first column ``c`` [..., n], each other one the column before it, rotated down."""
    column = jnp.atleast_1d(as_array("circulant", c))
    n = column.shape[-1]
    places = (np.arange(n)[:, None] - np.arange(n)) % max(n, 1)
    return jnp.take(column, places, axis=-1) if n else jnp.zeros((*column.shape[:-1], 0, 0), column.dtype)


def convolution_matrix(a: Any, n: int, mode: str = "full") -> Array:
    """The matrix whose product with a vector of ``n`` elements is its convolution with ``a`` [..., m].

    ``mode``: "full" (m + n - 1 rows), "same" (max(m, n)) or "valid" (max(m, n) - min(m, n) + 1).
    """
    x = as_array("convolution_matrix", a)
    if n <= 0 or not x.ndim or not x.shape[-1]:
        raise ShapeError(f"[convolution_matrix] expected a [..., m] of elements and n > 0, got {x.aval} and {n}.")
    m = x.shape[-1]
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"[convolution_matrix] expected the mode 'full', 'same' or 'valid', got {mode!r}.")
    lead = ((0, 0),) * (x.ndim - 1)
    full = toeplitz(jnp.pad(x, (*lead, (0, n - 1))), jnp.pad(x[..., :1], (*lead, (0, n - 1))))
    cut = 0 if mode == "full" else min(m, n) - 1
    first, last = (cut // 2, cut - cut // 2) if mode == "same" else (cut, cut)
    return full[..., first : m + n - 1 - last, :]


def fiedler(a: Any) -> Array:
    """The matrix [..., n, n] of the distances |a_i - a_j| of ``a`` [..., n]."""
    x = jnp.atleast_1d(as_array("fiedler", a))
    return jnp.abs(x[..., None] - x[..., None, :])


def companion(a: Any) -> Array:
    """The matrix [..., n, n] whose characteristic polynomial has the coefficients ``a`` [..., n + 1], highest first."""
    x = _coefficients("companion", a, 2)
    return _first_row_and_subdiagonal(-x[..., 1:] / x[..., :1], jnp.ones(x.shape[-1] - 2, x.dtype))


def leslie(f: Any, s: Any) -> Array:
    """The matrix [..., n, n] of a population with fecundities ``f`` [..., n] and survival rates ``s`` [..., n - 1]."""
    births, survival = (jnp.atleast_1d(jnp.asarray(v)) for v in (f, s))
    if births.shape[-1] < 2 or survival.shape[-1] != births.shape[-1] - 1:
        raise ShapeError(f"[leslie] expected f [..., n] and s [..., n - 1], n > 1, got {births.aval}, {survival.aval}.")
    return _first_row_and_subdiagonal(births, survival)


def _coefficients(op: str, a: Any, least: int) -> Any:
    x = jnp.atleast_1d(jnp.asarray(promote_inexact(op, a)[0]))
    if x.shape[-1] < least:
        raise ShapeError(f"[{op}] expected at least {least} coefficients, got {x.aval}.")
    return x


def _first_row_and_subdiagonal(row: Any, below: Any) -> Any:
    n = row.shape[-1]
    dtype = jnp.result_type(row, below)
    lead = jnp.broadcast_shapes(row.shape[:-1], below.shape[:-1])
    row = jnp.broadcast_to(row.astype(dtype), (*lead, n))
    below = jnp.broadcast_to(below.astype(dtype)[..., None], (*lead, n - 1, n))
    rest = jnp.where(np.eye(n - 1, n, dtype=bool), below, jnp.zeros((), dtype))
    return jnp.concatenate([row[..., None, :], rest], -2)


def fiedler_companion(a: Any) -> Array:
    """A matrix [..., n, n] of five diagonals with the characteristic polynomial ``a`` [..., n + 1].

    Fiedler 2003, "A note on companion matrices".
    """
    x = _coefficients("fiedler_companion", a, 1)
    n = x.shape[-1] - 1
    ratios = jnp.concatenate([-x[..., 1:] / x[..., :1], jnp.ones((*x.shape[:-1], 1), x.dtype)], -1)
    ratios = jnp.concatenate([ratios, jnp.zeros_like(ratios[..., :1])], -1)  # then a 1 and a 0
    one, zero = n, n + 1
    which = np.full((n, n), zero)
    for k in range(1, n):
        which[(k - 1, k) if k % 2 else (k, k - 1)] = k
        if k > 1:
            which[(k, k - 2) if k % 2 else (k - 2, k)] = one
    if n > 1:
        which[1, 0] = one
    which[:1, :1] = 0
    return jnp.take(ratios, which, axis=-1)


# --- of a size --------------------------------------------------------------------------------------------------------


def _of_size(op: str, n: int, element: Callable[[int, int], float], dtype: Any = dtypes.float64) -> Array:
    """The matrix [n, n] of ``element(i, j)``, rounded to ``dtype`` once; what is beyond float64 is infinite."""
    if n < 0:
        raise ShapeError(f"[{op}] expected a size, got {n}.")

    def rounded(i: int, j: int) -> float:
        try:
            return float(element(i, j))
        except OverflowError:
            return math.copysign(math.inf, element(i, j))

    table = np.array([[rounded(i, j) for j in range(n)] for i in range(n)], np.float64).reshape(n, n)
    return jnp.asarray(table, dtypes.canonical(dtype))


def hilbert(n: int) -> Array:
    """The matrix [n, n] of 1 / (i + j + 1)."""
    return _of_size("hilbert", n, lambda i, j: 1 / (i + j + 1))


def invhilbert(n: int) -> Array:
    """The inverse of ``hilbert(n)``: integers, each rounded once to a float."""
    comb = math.comb

    def element(i: int, j: int) -> int:
        size = (i + j + 1) * comb(n + i, n - j - 1) * comb(n + j, n - i - 1) * comb(i + j, i) ** 2
        return -size if (i + j) % 2 else size

    return _of_size("invhilbert", n, element)


_PASCALS: dict[str, Callable[[int, int], int]] = {
    "symmetric": lambda i, j: math.comb(i + j, i),
    "lower": math.comb,
    "upper": lambda i, j: math.comb(j, i),
}


def pascal(n: int, kind: str | None = None) -> Array:
    """The float32 matrix of binomial coefficients: "symmetric" (i + j over i), "lower" (i over j) or "upper"."""
    return _of_size("pascal", n, _PASCALS[_kind("pascal", kind)], dtypes.float32)


def invpascal(n: int, kind: str | None = None) -> Array:
    """The inverse of ``pascal(n, kind)``."""
    which = _kind("invpascal", kind)
    sign = lambda i, j: -1 if (i + j) % 2 else 1  # noqa: E731
    if which != "symmetric":
        return _of_size("invpascal", n, lambda i, j: sign(i, j) * _PASCALS[which](i, j))
    total = lambda i, j: sum(math.comb(k, i) * math.comb(k, j) for k in range(max(i, j), n))  # noqa: E731
    return _of_size("invpascal", n, lambda i, j: sign(i, j) * total(i, j))


def _kind(op: str, kind: str | None) -> str:
    if kind is not None and kind not in _PASCALS:
        raise ValueError(f"[{op}] expected the kind 'symmetric', 'lower' or 'upper', got {kind!r}.")
    return kind or "symmetric"


def hadamard(n: int, dtype: Any = int) -> Array:
    """Sylvester's matrix [n, n] of 1 and -1 with orthogonal rows, for powers ``n`` of 2."""
    if n < 1 or n & (n - 1):
        raise ValueError(f"[hadamard] expected a power of 2, got {n}.")
    odd = np.bitwise_count(np.arange(n)[:, None] & np.arange(n)) % 2
    return jnp.asarray(1 - 2 * odd.astype(np.int8)).astype(dtype)


def helmert(n: int, full: bool = False) -> Array:
    """The matrix [n - 1, n], or [n, n] when ``full``, of orthonormal rows; the first of the full one is constant."""
    if n < 1:
        raise ValueError(f"[helmert] expected n >= 1, got {n}.")
    rows = np.arange(n)[:, None]
    places = np.arange(n)
    table = np.where(places < rows, 1.0, np.where(places == rows, -rows, 0)) / np.sqrt(np.maximum(rows * (rows + 1), 1))
    table[0] = 1 / math.sqrt(n)
    return jnp.asarray(table if full else table[1:], dtypes.canonical(dtypes.float64))


def dft(n: int, scale: str | None = None, *, dtype: Any = None) -> Array:
    """The matrix [n, n] of the discrete Fourier transform, divided by its ``scale``: None, "sqrtn" or "n"."""
    divisors = {None: 1.0, "sqrtn": math.sqrt(n), "n": float(n)}
    if scale not in divisors:
        raise ValueError(f"[dft] expected the scale None, 'sqrtn' or 'n', got {scale!r}.")
    wanted = dtypes.canonical(dtypes.complex128 if dtype is None else dtype)
    if wanted not in dtypes.COMPLEX:
        raise DtypeError(f"[dft] expected a complex dtype, got {wanted.name}.")
    turns = np.outer(np.arange(n), np.arange(n)) % max(n, 1)
    return jnp.asarray(np.exp(-2j * np.pi * turns / max(n, 1)) / divisors[scale], wanted)
