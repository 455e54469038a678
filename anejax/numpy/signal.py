"""Functions of sequences and samples: convolution, interpolation, gradients, windows, covariance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.array import Array
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, ShapeError
from anejax.numpy import elementwise as ew
from anejax.numpy import linear
from anejax.numpy import reductions as red
from anejax.numpy.creation import asarray, full, ones, zeros
from anejax.numpy.operands import as_array, astype, axes_of, finish, inexact, is_scalar, one_axis, promote_inexact
from anejax.numpy.shaping import atleast_2d, concatenate
from anejax.numpy.sorting import argsort, searchsorted
from anejax.numpy.taking import take
from anejax.ops import arithmetic, shape
from anejax.ops import complex as complexes
from anejax.ops.conv import conv_general_dilated
from anejax.ops.precision import check_precision

# --- convolution --------------------------------------------------------------------------------------------------


def convolve(a: Any, v: Any, mode: str = "full", *, precision: Any = None, preferred_element_type: Any = None) -> Array:
    """The convolution of two rank-1 arrays, as floats.

    Args:
        mode: all overlaps ("full"), as many as ``a`` has elements ("same"), or whole ones ("valid").
    """
    check_precision("convolve", precision)
    return _convolve("convolve", a, v, mode, True, preferred_element_type)


def correlate(
    a: Any, v: Any, mode: str = "valid", *, precision: Any = None, preferred_element_type: Any = None
) -> Array:
    """The correlation of two rank-1 arrays, as floats; modes as in ``convolve``."""
    check_precision("correlate", precision)
    return _convolve("correlate", a, v, mode, False, preferred_element_type)


def _convolve(op: str, a: Any, v: Any, mode: str, flip: bool, preferred: Any) -> Array:
    x, y = (as_array(op, w) for w in promote_inexact(op, a, v))
    if x.ndim != 1 or y.ndim != 1 or not x.size or not y.size:
        raise ShapeError(f"[{op}] expected two rank-1 arrays with elements, got {x.aval} and {y.aval}.")
    swapped = x.shape[0] < y.shape[0]
    if swapped:
        x, y = y, x
    m = y.shape[0]
    pads = {"full": (m - 1, m - 1), "valid": (0, 0), "same": (m // 2, m - 1 - m // 2)}
    if mode not in pads:
        raise ValueError(f"[{op}] expected mode 'full', 'same' or 'valid', got {mode!r}.")
    kernel = shape.rev(y, (0,)) if flip else y
    rows, taps = (shape.reshape(w, (1, 1, w.shape[0])) for w in (x, kernel))
    out = conv_general_dilated(rows, taps, (1,), [pads[mode]], preferred_element_type=preferred)
    out = shape.reshape(out, (aval_of(out).shape[-1],))
    # correlate(a, v) is correlate(v, a) reversed
    return shape.rev(out, (0,)) if swapped and not flip else out


# --- samples ------------------------------------------------------------------------------------------------------


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Array:
    """The piecewise linear function through the points (xp, fp), at ``x``. Outside: the end values, or left and right.

    ``xp`` must increase; with ``period`` positions count modulo it, in any order.
    """
    x, xp, fp = (as_array("interp", v) for v in promote_inexact("interp", x, xp, fp))
    if xp.ndim != 1 or xp.shape != fp.shape:
        raise ShapeError(f"[interp] expected xp and fp of one rank-1 shape, got {xp.aval} and {fp.aval}.")
    if left == "extrapolate" or right == "extrapolate":
        extrapolate = (left == "extrapolate", right == "extrapolate")
        left, right = (None if e else v for e, v in zip(extrapolate, (left, right)))
    else:
        extrapolate = (False, False)
    if period is not None:
        x, xp, fp = _periodic(x, xp, fp, period)
    n = xp.shape[0]
    i = ew.minimum(ew.maximum(searchsorted(xp, x, "right"), 1), n - 1)
    at = lambda v, p: take(v, p, mode="clip")  # noqa: E731
    x0, x1, f0, f1 = at(xp, ew.subtract(i, 1)), at(xp, i), at(fp, ew.subtract(i, 1)), at(fp, i)
    width, rise = ew.subtract(x1, x0), ew.subtract(f1, f0)
    small = np.asarray(np.spacing(np.finfo(np.float32).eps), x.dtype)
    flat = ew.less_equal(ew.absolute(width), small)
    slope = ew.true_divide(ew.subtract(x, x0), ew._select("interp", flat, np.ones((), x.dtype), width))
    out = ew._select("interp", flat, f0, ew.add(f0, ew.multiply(slope, rise)))
    if period is None:
        if not extrapolate[0]:
            out = ew._select("interp", ew.less(x, xp[0]), _end(left, fp[0], x), out)
        if not extrapolate[1]:
            out = ew._select("interp", ew.greater(x, xp[n - 1]), _end(right, fp[n - 1], x), out)
    return finish(out)


def _end(value: Any, default: Any, x: Any) -> Any:
    if value is None:
        return default
    return astype(value if is_scalar(value) else as_array("interp", value), x.dtype)


def _periodic(x: Any, xp: Any, fp: Any, period: Any) -> tuple[Any, Any, Any]:
    order = argsort(ew.remainder(xp, period))
    xp, fp = take(ew.remainder(xp, period), order, mode="clip"), take(fp, order, mode="clip")
    n = xp.shape[0]
    xp = concatenate([ew.subtract(xp[n - 1 :], period), xp, ew.add(xp[:1], period)])
    fp = concatenate([fp[n - 1 :], fp, fp[:1]])
    return ew.remainder(x, period), as_array("interp", astype(xp, x.dtype)), fp


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int | None = None) -> Any:
    """The derivative of samples along each axis: central differences inside, one-sided at the ends."""
    if edge_order not in (None, 1):
        raise NotImplementedError("[gradient] edge_order other than 1 is not supported.")
    x = as_array("gradient", f)
    if x.dtype not in dtypes.INEXACT:  # differences of integers divided by Python floats are weakly typed, as in JAX
        x = astype(x, inexact(x.dtype), bool(varargs) and all(isinstance(h, float) for h in varargs))
    axes = axes_of("gradient", axis, x.ndim)
    if len(varargs) not in (0, 1, len(axes)):
        raise TypeError(f"[gradient] expected no spacing, one, or {len(axes)}, got {len(varargs)}.")
    spacings = list(varargs) * (len(axes) if len(varargs) == 1 else 1) or [1.0] * len(axes)
    out = [_derivative(x, i, h) for i, h in zip(axes, spacings)]
    return out[0] if len(out) == 1 and not isinstance(axis, (tuple, list)) else out


def _derivative(x: Any, axis: int, spacing: Any) -> Any:
    n = x.shape[axis]
    if n < 2:
        raise ShapeError(f"[gradient] expected at least 2 elements along axis {axis} of {x.aval}.")
    cut = lambda a, b: shape.slice_in_dim(x, a, b, axis=axis)  # noqa: E731
    first, last = ew.subtract(cut(1, 2), cut(0, 1)), ew.subtract(cut(n - 1, n), cut(n - 2, n - 1))
    if np.ndim(spacing) == 0:
        middle = ew.multiply(ew.subtract(cut(2, n), cut(0, n - 2)), 0.5)
        out = concatenate([first, middle, last], axis)
        return ew.true_divide(out, spacing if is_scalar(spacing) else astype(as_array("gradient", spacing), x.dtype))
    steps = red.diff(astype(asarray(spacing), x.dtype))
    if steps.shape != (n - 1,):
        raise ShapeError(f"[gradient] expected {n} positions along axis {axis}, got {aval_of(asarray(spacing))}.")
    column = lambda v: shape.reshape(v, tuple(v.shape[0] if i == axis else 1 for i in range(x.ndim)))  # noqa: E731
    before, after = column(steps[: n - 2]), column(steps[1:])
    a = ew.true_divide(ew.negative(after), ew.multiply(before, ew.add(before, after)))
    b = ew.true_divide(ew.subtract(after, before), ew.multiply(before, after))
    c = ew.true_divide(before, ew.multiply(after, ew.add(before, after)))
    middle = a * cut(0, n - 2) + b * cut(1, n - 1) + c * cut(2, n)
    return concatenate([ew.true_divide(first, steps[0]), middle, ew.true_divide(last, steps[n - 2])], axis)


def unwrap(p: Any, discont: Any = None, axis: int = -1, period: Any = 2 * np.pi) -> Array:
    """Angles without jumps of more than half a period along ``axis``: multiples of the period are added."""
    x = as_array("unwrap", p)
    i = one_axis("unwrap", axis, x.ndim)
    if x.shape[i] == 0:
        return x
    if x.dtype in dtypes.INTS and not isinstance(period, float):
        half, boundary = period // 2, period % 2 == 0
    else:
        (x,) = promote_inexact("unwrap", x)
        half, boundary = period / 2, True
    steps = red.diff(x, axis=i)
    wrapped = ew.subtract(ew.remainder(ew.add(steps, half), period), half)
    if boundary:
        edge = ew.logical_and(ew.equal(wrapped, -half), ew.greater(steps, 0))
        wrapped = ew._select("unwrap", edge, astype(half, wrapped.dtype), wrapped)
    correction = ew.subtract(wrapped, steps)
    small = ew.less(ew.absolute(steps), half if discont is None else discont)
    correction = ew._select("unwrap", small, np.zeros((), correction.dtype), correction)
    head = shape.slice_in_dim(x, 0, 1, axis=i)
    tail = ew.add(shape.slice_in_dim(x, 1, x.shape[i], axis=i), red.cumsum(correction, i))
    return concatenate([head, tail], i)


# --- several variables --------------------------------------------------------------------------------------------


def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None, fweights: Any = None,
    aweights: Any = None, dtype: Any = None,
) -> Array:  # fmt: skip
    """The covariance matrix of variables, the rows of ``m`` (and ``y``), or the columns when not ``rowvar``."""
    if dtype is not None and dtypes.canonical(dtype) not in dtypes.INEXACT:
        raise DtypeError(f"[cov] expected a float or complex dtype, got {dtypes.canonical(dtype)}.")
    (x,) = promote_inexact("cov", m)
    x = as_array("cov", x)
    if x.ndim > 2:
        raise ShapeError(f"[cov] expected rank 2 or less, got {x.aval}.")
    x2 = atleast_2d(x)
    x2 = shape.transpose(x2, (1, 0)) if not rowvar and x.ndim == 2 else x2
    if x2.shape[0] == 0:
        return zeros((0, 0), x.dtype if dtype is None else dtype)
    x = x2
    if y is not None:
        other = atleast_2d(promote_inexact("cov", y)[0])
        other = shape.transpose(other, (1, 0)) if not rowvar and other.shape[0] != 1 else other
        x = concatenate([x, other], 0)
    if dtype is not None:
        x = as_array("cov", astype(x, dtypes.canonical(dtype)))
    if x.shape[1] == 0:  # the mean of nothing
        return full((x.shape[0],) * (2 if x.shape[0] > 1 else 0), np.nan, x.dtype)
    weights = None
    if fweights is not None:
        weights = as_array("cov", fweights)
        if weights.dtype not in dtypes.INTS:
            raise DtypeError(f"[cov] expected integer fweights, got {weights.aval}.")
    if aweights is not None:
        weights = as_array("cov", aweights) if weights is None else ew.multiply(weights, aweights)
    ddof = (0 if bias else 1) if ddof is None else ddof
    average, total = red.average(x, 1, weights, returned=True)
    total = total[0]
    if weights is None or aweights is None or ddof == 0:
        factor = ew.subtract(total, ddof)
    else:
        factor = ew.subtract(total, ew.true_divide(ew.multiply(ddof, red.sum(ew.multiply(weights, aweights))), total))
    x = ew.subtract(x, shape.expand_dims(average, (1,)))
    scaled = x if weights is None else ew.multiply(x, weights)
    out = ew.true_divide(linear.dot(x, ew.conj(shape.transpose(scaled, (1, 0)))), factor)
    return shape.squeeze(out, [i for i, n in enumerate(out.shape) if n == 1])


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, dtype: Any = None) -> Array:
    """The correlation matrix of variables; see ``cov``."""
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return ew.true_divide(c, c)
    scale = ew.sqrt(ew.real(linear.diag(c)))
    out = ew.true_divide(ew.true_divide(c, shape.expand_dims(scale, (1,))), scale)
    if c.dtype in dtypes.COMPLEX:
        return complexes.complex(*(_limited(part(out)) for part in (complexes.real, complexes.imag)))
    return _limited(out)


def _limited(x: Any) -> Any:
    return ew.minimum(ew.maximum(x, -1.0), 1.0)


# --- windows ------------------------------------------------------------------------------------------------------


def _cosines(name: str, terms: Sequence[float], what: str) -> Any:
    def window(M: int) -> Array:
        kind = dtypes.canonical(dtypes.float64)
        if M <= 1:
            return ones((max(M, 0),), kind)
        angle = ew.multiply(shape.iota(kind, M), np.asarray(2 * np.pi / (M - 1), kind))
        out: Any = np.asarray(terms[0], kind)
        for k, c in enumerate(terms[1:], 1):
            out = ew.add(out, ew.multiply(np.asarray(c, kind), ew.cos(ew.multiply(angle, np.asarray(k, kind)))))
        return as_array(name, out)

    window.__name__ = window.__qualname__ = name
    window.__doc__ = f"The {what} window of ``M`` samples."
    return window


hanning = _cosines("hanning", (0.5, -0.5), "Hann")
hamming = _cosines("hamming", (0.54, -0.46), "Hamming")
blackman = _cosines("blackman", (0.42, -0.5, 0.08), "Blackman")


def bartlett(M: int) -> Array:
    """The triangular window of ``M`` samples."""
    kind = dtypes.canonical(dtypes.float64)
    if M <= 1:
        return ones((max(M, 0),), kind)
    n = shape.iota(kind, M)
    return ew.subtract(1, ew.absolute(ew.subtract(ew.true_divide(ew.multiply(2, n), M - 1), 1)))


def kaiser(M: int, beta: Any) -> Array:
    """The Kaiser window of ``M`` samples."""
    kind = dtypes.canonical(dtypes.float64)
    if M <= 1:
        return ones((max(M, 0),), kind)
    n = shape.iota(kind, M)
    alpha = 0.5 * (M - 1)
    inner = ew.subtract(1, ew.square(ew.true_divide(ew.subtract(n, alpha), alpha)))
    return ew.true_divide(i0(ew.multiply(beta, ew.sqrt(ew.maximum(inner, 0)))), i0(beta))


_I0_TERMS = 48
_I0_FAR_TERMS = 36  # at x = 20 the least one is below eps of float64


def i0(x: Any) -> Array:
    """The modified Bessel function of the first kind, order 0, by its power series, from 20 on by the asymptotic one.

    DLMF 10.25.2 and 10.40.1.
    """
    (x,) = promote_inexact("i0", x)
    if aval_of(x).dtype in dtypes.COMPLEX:
        raise DtypeError(f"[i0] expected real numbers, got {aval_of(x)}.")
    x = ew.absolute(x)
    quarter = ew.multiply(ew.square(x), np.asarray(0.25, x.dtype))
    term: Any = np.ones((), x.dtype)
    total: Any = np.ones((), x.dtype)
    for k in range(1, _I0_TERMS):
        term = ew.multiply(term, ew.true_divide(quarter, np.asarray(k * k, x.dtype)))
        total = ew.add(total, term)
    safe = ew.maximum(x, 20)
    factor: Any = np.ones((), x.dtype)
    series: Any = np.ones((), x.dtype)
    for k in range(1, _I0_FAR_TERMS):
        factor = ew.true_divide(ew.multiply(factor, np.asarray((2 * k - 1) ** 2 / (8 * k), x.dtype)), safe)
        series = ew.add(series, factor)
    large = ew.multiply(ew.true_divide(ew.exp(x), ew.sqrt(ew.multiply(np.asarray(2 * np.pi, x.dtype), safe))), series)
    out = ew._select("i0", arithmetic.gt(x, np.asarray(20, x.dtype)), large, total)
    return finish(ew._rewrap(out, x.weak_type))
