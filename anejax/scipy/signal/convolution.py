"""Convolution and correlation of arrays of any rank, by products or by Fourier transforms.

All of them compute the *full* result, of length m + n - 1 along each axis, and ``mode`` selects a part of it: "full"
all, "same" the middle, with the shape of the first operand, and "valid" the elements that need no padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anejax.numpy as jnp
from anejax import dtypes
from anejax.core.array import Array
from anejax.errors import RefusedError, ShapeError
from anejax.numpy.operands import as_array, axes_of, promote_inexact
from anejax.ops.conv import conv_general_dilated
from anejax.ops.precision import check_precision

_MODES = ("full", "same", "valid")
_METHODS = ("auto", "direct", "fft")
_MOST_AXES = 3  # that a device convolves over

Shape = tuple[int, ...]


def convolve(in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None) -> Array:
    """The convolution of two arrays of one rank, as floats.

    Args:
        mode: "full", "same" (as ``in1``) or "valid"; see the module.
        method: "direct" (at most three axes), "fft" (faster for long operands, with errors of the size of the greatest
            result), or "auto", which is "direct".
        precision: accepted for compatibility; products have the precision of their dtype.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> aj.scipy.signal.convolve(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 1.0]), mode="same")
        Array([1., 3., 5.], dtype=float32)
    """
    check_precision("convolve", precision)
    if _checked_method("convolve", method) == "fft":
        return fftconvolve(in1, in2, mode)
    return _direct("convolve", *_operands("convolve", in1, in2), mode)


def correlate(in1: Any, in2: Any, mode: str = "full", method: str = "auto", precision: Any = None) -> Array:
    """The correlation of two arrays of one rank: the convolution with ``in2`` reversed and conjugated.

    Arguments as of ``convolve``.
    """
    check_precision("correlate", precision)
    _checked_method("correlate", method)
    x, y = _operands("correlate", in1, in2)
    y = jnp.flip(y.conj())
    return fftconvolve(x, y, mode) if method == "fft" else _direct("correlate", x, y, mode)


def convolve2d(
    in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: float = 0, precision: Any = None
) -> Array:
    """The convolution of two matrices; beyond their borders are zeros, the one ``boundary`` there is, as in jax."""
    check_precision("convolve2d", precision)
    return _direct("convolve2d", *_matrices("convolve2d", in1, in2, boundary, fillvalue), mode)


def correlate2d(
    in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: float = 0, precision: Any = None
) -> Array:
    """The correlation of two matrices; beyond their borders are zeros.

    As in jax and SciPy it differs from ``correlate`` where ``in2`` has an even length, in the mode "same", whose middle
    is then one element later; and where ``in2`` is the greater one, in the mode "valid", which gives the conjugate.
    """
    check_precision("correlate2d", precision)
    x, y = _matrices("correlate2d", in1, in2, boundary, fillvalue)
    out = _direct("correlate2d", x, jnp.flip(y.conj()), mode, later=True)
    greater = x.shape != y.shape and all(m <= n for m, n in zip(x.shape, y.shape))
    return out.conj() if mode == "valid" and greater else out


def fftconvolve(in1: Any, in2: Any, mode: str = "full", axes: Sequence[int] | int | None = None) -> Array:
    """The convolution along ``axes`` (all when None) by Fourier transforms; along other axes shapes must be equal.

    Errors are of the size of the greatest result, in float32 about 1e-7 of it; 16-bit floats come out as float32.
    """
    x, y = (as_array("fftconvolve", v) for v in promote_inexact("fftconvolve", in1, in2))
    _check_ranks("fftconvolve", x, y)
    along = axes_of("fftconvolve", axes, x.ndim)
    if any(m != n for i, (m, n) in enumerate(zip(x.shape, y.shape)) if i not in along):
        raise ShapeError(f"[fftconvolve] expected equal lengths outside of axes {along}, got {x.aval} and {y.aval}.")
    first, second = (tuple(v.shape[i] for i in along) for v in (x, y))
    starts, sizes = _portion("fftconvolve", first, second, mode)
    full = _portion("fftconvolve", first, second, "full")[1]
    if all(1 in pair for pair in zip(first, second)):
        out = x * y  # one element along each axis: there is nothing to add
    else:
        whole = x.dtype in dtypes.COMPLEX
        there, back = (jnp.fft.fftn, jnp.fft.ifftn) if whole else (jnp.fft.rfftn, jnp.fft.irfftn)
        out = back(there(x, full, along) * there(y, full, along), full, along)
    cut = [slice(None)] * x.ndim
    for i, start, size in zip(along, starts, sizes):
        cut[i] = slice(start, start + size)
    return out[tuple(cut)]


# --- shared functions -------------------------------------------------------------------------------------------------


def _checked_method(op: str, method: str) -> str:
    if method not in _METHODS:
        raise ValueError(f"[{op}] expected the method 'auto', 'direct' or 'fft', got {method!r}.")
    return method


def _check_ranks(op: str, x: Any, y: Any) -> None:
    if x.ndim != y.ndim:
        raise ShapeError(f"[{op}] expected two arrays of one rank, got {x.aval} and {y.aval}.")


def _operands(op: str, in1: Any, in2: Any) -> tuple[Any, Any]:
    """Both as arrays of one rank and one float or complex dtype, with elements."""
    x, y = (as_array(op, v) for v in promote_inexact(op, in1, in2))
    _check_ranks(op, x, y)
    if not x.size or not y.size:
        raise ShapeError(f"[{op}] expected arrays with elements, got {x.aval} and {y.aval}.")
    return x, y


def _matrices(op: str, in1: Any, in2: Any, boundary: str, fillvalue: Any) -> tuple[Any, Any]:
    if boundary != "fill" or fillvalue != 0:
        raise RefusedError(
            f"[{op}] expected boundary='fill' and fillvalue=0, got {boundary!r} and {fillvalue!r}. Extend in1 with"
            " anejax.numpy.pad and take mode='valid'."
        )
    x, y = _operands(op, in1, in2)
    if x.ndim != 2:
        raise ShapeError(f"[{op}] expected two matrices, got {x.aval} and {y.aval}.")
    return x, y


def _portion(op: str, first: Shape, second: Shape, mode: str, later: bool = False) -> tuple[Shape, Shape]:
    """(start, size) along each axis of the part of the full result that ``mode`` keeps, for operands of these lengths.

    ``later``: where "same" has two middles, the second.
    """
    if mode not in _MODES:
        raise ValueError(f"[{op}] expected the mode 'full', 'same' or 'valid', got {mode!r}.")
    if mode == "full":
        return (0,) * len(first), tuple(m + n - 1 for m, n in zip(first, second))
    if mode == "same":
        return tuple((n - 1 + later) // 2 for n in second), first
    if not (all(m >= n for m, n in zip(first, second)) or all(m <= n for m, n in zip(first, second))):
        raise ShapeError(f"[{op}] mode 'valid' expected one operand to hold the other, got shapes {first}, {second}.")
    return tuple(min(m, n) - 1 for m, n in zip(first, second)), tuple(abs(m - n) + 1 for m, n in zip(first, second))


def _direct(op: str, x: Any, y: Any, mode: str, later: bool = False) -> Array:
    """The convolution as one of a device, which pads or cuts as ``mode`` says."""
    if x.ndim > _MOST_AXES:
        raise RefusedError(f"[{op}] expected at most {_MOST_AXES} axes, got {x.aval}. Pass method='fft' for more.")
    starts, sizes = _portion(op, x.shape, y.shape, mode, later)
    if y.size > x.size:
        x, y = y, x  # convolution commutes, and the smaller operand makes the cheaper window
    pads = [(n - 1 - start, start + size - m) for m, n, start, size in zip(x.shape, y.shape, starts, sizes)]
    image, window = x[None, None], jnp.flip(y)[None, None]
    return conv_general_dilated(image, window, (1,) * x.ndim, pads)[0, 0]
