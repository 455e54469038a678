"""Polynomials as rank-1 arrays of coefficients, highest power first."""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax.core.array import Array
from anejax.core.trace import aval_of
from anejax.errors import RefusedError, ShapeError
from anejax.numpy import elementwise as ew
from anejax.numpy.creation import asarray
from anejax.numpy.operands import as_array, promote, promote_inexact
from anejax.numpy.shaping import atleast_1d, concatenate
from anejax.numpy.signal import convolve
from anejax.ops import shape


def polyval(p: Any, x: Any, *, unroll: int = 16) -> Array:
    """The polynomial at ``x``, by Horner's rule."""
    p, x = promote("polyval", p, x)
    p = as_array("polyval", p)
    if p.ndim != 1:
        raise ShapeError(f"[polyval] expected rank-1 coefficients, got {p.aval}.")
    out: Any = shape.full(aval_of(x).shape, np.zeros((), p.dtype))
    for i in range(p.shape[0]):
        out = ew.add(ew.multiply(out, x), p[i])
    return as_array("polyval", out)


def _padded(a1: Any, a2: Any) -> tuple[Any, Any]:
    x, y = (atleast_1d(v) for v in promote("polyadd", a1, a2))
    n = max(x.shape[0], y.shape[0])
    front = lambda v: shape.pad(v, np.zeros((), v.dtype), [(n - v.shape[0], 0, 0)])  # noqa: E731
    return front(x), front(y)


def polyadd(a1: Any, a2: Any) -> Array:
    """The sum of two polynomials."""
    return ew.add(*_padded(a1, a2))


def polysub(a1: Any, a2: Any) -> Array:
    """The difference of two polynomials."""
    return ew.subtract(*_padded(a1, a2))


def polymul(a1: Any, a2: Any, *, trim_leading_zeros: bool = False) -> Array:
    """The product of two polynomials."""
    x, y = (atleast_1d(v) for v in promote_inexact("polymul", a1, a2))
    if trim_leading_zeros:
        x, y = _trimmed(x), _trimmed(y)
    return convolve(x, y, mode="full")


def _trimmed(x: Any) -> Any:
    nonzero = np.flatnonzero(np.asarray(x))
    return shape.slice_in_dim(x, int(nonzero[0]) if nonzero.size else x.shape[0] - 1, x.shape[0])


def polyder(p: Any, m: int = 1) -> Array:
    """The ``m``-th derivative."""
    if m < 0:
        raise ValueError(f"[polyder] expected m >= 0, got {m}.")
    (x,) = promote_inexact("polyder", p)
    x = atleast_1d(x)
    for _ in range(m):
        n = x.shape[0]
        powers = np.arange(n - 1, 0, -1).astype(x.dtype)
        x = ew.multiply(shape.slice_in_dim(x, 0, max(n - 1, 0)), powers)
    return x


def polyint(p: Any, m: int = 1, k: Any = None) -> Array:
    """The ``m``-th antiderivative, with the constants ``k`` (0)."""
    if m < 0:
        raise ValueError(f"[polyint] expected m >= 0, got {m}.")
    constants = asarray(0 if k is None else k)
    x, constants = promote_inexact("polyint", p, constants)
    x = atleast_1d(x)
    constants = shape.broadcast_to(atleast_1d(constants), (m,)) if m else constants
    for i in range(m):
        powers = np.arange(x.shape[0], 0, -1).astype(x.dtype)
        x = concatenate([ew.true_divide(x, powers), constants[i : i + 1]])
    return x


def polydiv(u: Any, v: Any, *, trim_leading_zeros: bool = False) -> tuple[Array, Array]:
    """(quotient, remainder) of two polynomials."""
    x, y = (atleast_1d(w) for w in promote_inexact("polydiv", u, v))
    m, n = x.shape[0] - 1, y.shape[0] - 1
    quotient = []
    rest = x
    for i in range(max(m - n + 1, 0)):
        factor = ew.true_divide(rest[i], y[0])
        quotient.append(shape.expand_dims(factor, (0,)))
        taken = shape.pad(ew.multiply(factor, y), np.zeros((), x.dtype), [(i, m - n - i, 0)])
        rest = ew.subtract(rest, taken)
    q = concatenate(quotient) if quotient else asarray(np.zeros(1), x.dtype)
    if trim_leading_zeros:
        rest = _trimmed(rest)
    return q, rest


def poly(seq_of_zeros: Any) -> Array:
    """The polynomial with the given zeros."""
    (zeros,) = promote_inexact("poly", seq_of_zeros if hasattr(seq_of_zeros, "dtype") else asarray(seq_of_zeros))
    zeros = as_array("poly", zeros)
    if zeros.ndim != 1:
        raise RefusedError(f"[poly] the characteristic polynomial of a matrix is not supported, got {zeros.aval}.")
    out = asarray(np.ones(1), zeros.dtype)
    for i in range(zeros.shape[0]):
        out = ew.subtract(
            shape.pad(out, np.zeros((), out.dtype), [(0, 1, 0)]),
            ew.multiply(shape.pad(out, np.zeros((), out.dtype), [(1, 0, 0)]), zeros[i]),
        )
    return out
