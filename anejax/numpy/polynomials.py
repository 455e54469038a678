"""Polynomials as rank-1 arrays of coefficients, highest power first."""

from __future__ import annotations

from typing import Any

import numpy as np

from anejax import dtypes
from anejax.api.control import check_unroll
from anejax.api.custom import custom_jvp
from anejax.core.array import Array
from anejax.core.trace import Tracer, aval_of
from anejax.errors import ConcretizationError, ShapeError
from anejax.numpy import elementwise as ew
from anejax.numpy import reductions as red
from anejax.numpy.creation import asarray
from anejax.numpy.linalg.solving import inv
from anejax.numpy.linalg.spectral import eigvals, lstsq
from anejax.numpy.linear import matmul, outer, vander
from anejax.numpy.operands import as_array, as_int, joint_shape, promote, promote_inexact
from anejax.numpy.shaping import atleast_1d, concatenate
from anejax.numpy.signal import convolve
from anejax.ops import shape


def polyval(p: Any, x: Any, *, unroll: int = 16) -> Array:
    """The polynomial at ``x``, by Horner's rule.

    Coefficients of higher rank are those of several polynomials, along the first axis; the others broadcast with ``x``.
    ``unroll`` is accepted for compatibility: every step stands by itself.
    """
    check_unroll("polyval", unroll)
    p, x = promote("polyval", p, x)
    p = as_array("polyval", p)
    if not p.ndim:
        raise ShapeError(f"[polyval] expected coefficients of rank 1 or more, got {p.aval}.")
    target = joint_shape("polyval", [p.shape[1:], aval_of(x).shape], [p.aval, aval_of(x)])
    out: Any = shape.full(target, np.zeros((), p.dtype))
    for i in range(p.shape[0]):
        out = ew.add(ew.multiply(out, x), p[i])
    return as_array("polyval", out)


def _padded(a1: Any, a2: Any) -> tuple[Any, Any]:
    x, y = (atleast_1d(v) for v in promote("polyadd", a1, a2))
    n = max(x.shape[0], y.shape[0])
    front = lambda v: shape.pad(v, np.zeros((), v.dtype), [(n - v.shape[0], 0, 0), *[(0, 0, 0)] * (v.ndim - 1)])  # noqa: E731
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
    """The polynomial with the given zeros, or the characteristic polynomial of a matrix [n, n]."""
    (zeros,) = promote_inexact("poly", seq_of_zeros)
    zeros = atleast_1d(as_array("poly", zeros))
    if zeros.ndim == 2 and zeros.shape[0] == zeros.shape[1] > 0:
        zeros = eigvals(zeros)
    if zeros.ndim != 1:
        raise ShapeError(f"[poly] expected zeros of rank 1 or a square matrix, got {zeros.aval}.")
    out = asarray(np.ones(1), zeros.dtype)
    for i in range(zeros.shape[0]):
        out = ew.subtract(
            shape.pad(out, np.zeros((), out.dtype), [(0, 1, 0)]),
            ew.multiply(shape.pad(out, np.zeros((), out.dtype), [(1, 0, 0)]), zeros[i]),
        )
    return out


def polyfit(
    x: Any, y: Any, deg: int, rcond: float | None = None, full: bool = False, w: Any = None, cov: bool | str = False
) -> Any:
    """The polynomial of degree ``deg`` that is nearest to points, in the sense of least squares.

    Args:
        x: places [m].
        y: values [m], or [m, k] for k polynomials at once.
        rcond: singular values below it times the greatest count as 0; m eps when None.
        full: whether to return (p, squared residuals, rank, singular values, rcond).
        w: weights [m], which multiply the residuals before they are squared.
        cov: whether to return (p, the covariance of p) where not ``full``: scaled by the residuals for m - deg - 1
            degrees of freedom, or not, for "unscaled".

    Returns:
        p: coefficients [deg + 1] or [deg + 1, k], highest power first. Covariances are [deg + 1, deg + 1], with a last
        axis k when y has one.

    Raises:
        ShapeError: shapes that are none of those. ValueError: ``deg`` is negative, or points are too few for ``cov``.

    Example:
        >>> import anejax.numpy as jnp
        >>> x = jnp.arange(5.0)
        >>> jnp.polyfit(x, 3 * x - 1, 1).round(3)
        Array([ 3., -1.], dtype=float32)
    """
    order = as_int("polyfit", deg, "deg") + 1
    if order < 1:
        raise ValueError(f"[polyfit] expected deg >= 0, got {deg}.")
    places, values = (as_array("polyfit", v) for v in promote_inexact("polyfit", x, y))
    m = places.size
    if places.ndim != 1 or not m or values.ndim not in (1, 2) or values.shape[0] != m:
        raise ShapeError(
            f"[polyfit] expected x [m] and y [m] or [m, k] of one or more points, got {places.aval}, {values.aval}."
        )
    cut = m * float(dtypes.finfo(places.dtype).eps) if rcond is None else float(rcond)
    powers, target = vander(places, order), values
    if w is not None:
        weights = as_array("polyfit", promote_inexact("polyfit", w)[0])
        if weights.shape != (m,):
            raise ShapeError(f"[polyfit] expected a weight for each of the {m} points, got {weights.aval}.")
        powers, target = ew.multiply(powers, weights[:, None]), ew.multiply(values.T, weights).T
    size = ew.sqrt(red.sum(ew.square(powers), 0))  # columns of one length are better conditioned
    powers = ew.divide(powers, size)
    p, residuals, rank, s = lstsq(powers, target, cut)
    p = ew.divide(p.T, size).T
    if full:
        return p, residuals, rank, s, asarray(cut)
    if not cov:
        return p
    if cov != "unscaled" and m <= order:
        raise ValueError(f"[polyfit] expected more than {order} points to scale the covariance by, got {m}.")
    base = ew.divide(inv(matmul(powers.T, powers)), outer(size, size))
    scale = atleast_1d(1.0 if cov == "unscaled" else ew.divide(residuals, m - order))
    return p, ew.multiply(base, scale[None]) if values.ndim == 1 else ew.multiply(base[:, :, None], scale)


def roots(p: Any, *, strip_zeros: bool = True) -> Array:
    """The complex zeros of the polynomial with coefficients ``p`` [n + 1], highest power first: [n].

    They are eigenvalues, which LAPACK finds through NumPy; so ``p`` must have values: not under ``jit`` or ``vmap``,
    but under ``grad``. The derivative is infinite at multiple zeros.

    Args:
        strip_zeros: whether leading zeros are taken off, so that there are fewer results; else NaN stand at their end.

    Raises:
        ConcretizationError: ``p`` is traced by ``jit`` or ``vmap``. ShapeError: ``p`` has another rank.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.sort(jnp.roots(jnp.array([1.0, -3.0, 2.0])).real).round(3)
        Array([1., 2.], dtype=float32)
    """
    x = atleast_1d(as_array("roots", promote_inexact("roots", p)[0]))
    if x.ndim != 1:
        raise ShapeError(f"[roots] expected rank-1 coefficients, got {x.aval}.")
    if isinstance(x, Tracer) and x.concrete() is None:
        raise ConcretizationError(
            f"[roots] the values of {x.describe()} are not known when tracing, and no program finds eigenvalues of"
            " general matrices. Call it outside of jit and vmap."
        )
    dtype, nonzero = dtypes.complex_of(x.dtype), np.flatnonzero(np.asarray(x))
    leading = int(nonzero[0]) if nonzero.size else x.shape[0]
    lost = 0 if strip_zeros else min(leading, max(x.shape[0] - 1, 0))
    found = _roots(shape.slice_in_dim(x, leading, x.shape[0])) if x.shape[0] - leading > 1 else asarray([], dtype)
    return concatenate([found, asarray(np.full(lost, complex(np.nan, np.nan), dtype))]) if lost else found


@custom_jvp
def _roots(p: Any) -> Any:
    """The roots of a polynomial whose first coefficient is not 0: the eigenvalues of its companion matrix."""
    a = np.asarray(p)
    companion = np.diag(np.ones(a.size - 2, a.dtype), -1)
    companion[0] = -a[1:] / a[0]
    if not np.isfinite(companion).all():
        return asarray(np.full(a.size - 1, np.nan, dtypes.complex_of(a.dtype)))
    return asarray(np.linalg.eigvals(companion).astype(dtypes.complex_of(a.dtype)))


@_roots.defjvp
def _roots_jvp(primals: Any, tangents: Any) -> Any:
    """p(r) = 0 stays true: r' = -p'(r) / (dp / dx)(r)."""
    (p,), (dp,) = primals, tangents
    found = _roots(p)
    return found, ew.negative(ew.divide(polyval(dp, found), polyval(polyder(p), found)))
