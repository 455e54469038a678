"""jax.scipy.fft on anejax: the discrete cosine transform of type 2 and its inverse, along one axis or several.

One real Fourier transform each: Makhoul 1980, "A fast cosine transform in one and two dimensions". With W[k] the
transform of the even elements and then the odd ones, backwards, turned by -pi k / 2n, the cosine transform is
2 Re W[k], and -2 Im W[k] at n - k.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes
from anejax.absent import getattr_of
from anejax.core.array import Array
from anejax.errors import RefusedError, ShapeError
from anejax.numpy.operands import as_array, as_int, axes_of, one_axis, promote_inexact
from anejax.ops import complex as parts

__all__ = [
    "dct", "dctn", "idct", "idctn"
]  # fmt: skip

__all__ = ["dct", "dctn", "idct", "idctn"]

__getattr__ = getattr_of(__name__)


def dct(x: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The cosine transform y[k] = 2 sum of x[j] cos(pi k (2 j + 1) / 2 n) along ``axis``, as floats.

    Args:
        x: numbers; of complex ones real and imaginary parts are transformed.
        type: 2, the only one here, as in jax.
        n: the length, to which ``x`` is cut or padded with zeros.
        norm: None or "backward" (the inverse divides), or "ortho" (both are orthogonal).

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> aj.scipy.fft.dct(jnp.array([1.0, 1.0]), norm="ortho")
        Array([1.4142135, 0.       ], dtype=float32)
    """
    return _line("dct", _forward, x, type, n, axis, norm)


def idct(x: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None) -> Array:
    """The inverse of ``dct``, with the same arguments."""
    return _line("idct", _inverse, x, type, n, axis, norm)


def dctn(x: Any, type: int = 2, s: Any = None, axes: Sequence[int] | None = None, norm: str | None = None) -> Array:
    """``dct`` along several axes: ``axes``, or the last ones that ``s`` has lengths for, or all."""
    return _space("dctn", _forward, x, type, s, axes, norm)


def idctn(x: Any, type: int = 2, s: Any = None, axes: Sequence[int] | None = None, norm: str | None = None) -> Array:
    """The inverse of ``dctn``, with the same arguments."""
    return _space("idctn", _inverse, x, type, s, axes, norm)


Transform = Callable[[Any, bool], Any]  # along the last axis of real numbers; the flag says whether it is orthogonal


def _line(op: str, transform: Transform, x: Any, type: int, n: Any, axis: int, norm: str | None) -> Array:
    x = as_array(op, x)
    return _along(op, transform, x, type, [one_axis(op, axis, x.ndim)], None if n is None else [n], norm)


def _space(op: str, transform: Transform, x: Any, type: int, s: Any, axes: Any, norm: str | None) -> Array:
    x = as_array(op, x)
    lengths = None if s is None else list(s) if np.iterable(s) else [s]
    if lengths is not None and len(lengths) > x.ndim:
        raise ShapeError(f"[{op}] expected at most {x.ndim} lengths, got {tuple(lengths)} for {x.aval}.")
    if axes is None and lengths is not None:
        axes = range(x.ndim - len(lengths), x.ndim)
    along = axes_of(op, axes if axes is None else tuple(axes), x.ndim)
    return _along(op, transform, x, type, along, lengths, norm)


def _along(
    op: str, transform: Transform, x: Any, type: int, axes: Sequence[int], lengths: Any, norm: str | None
) -> Array:
    if type != 2:
        raise RefusedError(f"[{op}] expected the type 2, got {type!r}. Use scipy.fft outside of jit for others.")
    if norm not in (None, "backward", "ortho"):
        raise ValueError(f"[{op}] expected the norm None, 'backward' or 'ortho', got {norm!r}.")
    if lengths is not None and len(lengths) != len(axes):
        raise ShapeError(f"[{op}] expected as many lengths as axes, got {tuple(lengths)} for axes {tuple(axes)}.")
    if x.dtype in dtypes.COMPLEX:
        halves = (_along(op, transform, v, type, axes, lengths, norm) for v in (x.real, x.imag))
        return parts.complex(*halves)
    x = as_array(op, promote_inexact(op, x)[0])
    for axis, n in zip(axes, lengths or (x.shape[a] for a in axes)):
        length = as_int(op, n, "a length")
        if length < 1:
            raise ShapeError(f"[{op}] expected lengths of 1 or more, got {length} for {x.aval}.")
        line = jnp.moveaxis(x, axis, -1)[..., :length]
        line = jnp.pad(line, [(0, 0)] * (x.ndim - 1) + [(0, length - line.shape[-1])])
        x = jnp.moveaxis(transform(line, norm == "ortho"), -1, axis)
    return x


def _turns(n: int, count: int, dtype: Any) -> tuple[Any, Any]:
    """Cosine and sine of pi k / 2n for k below ``count``, rounded once."""
    angles = np.pi * np.arange(count) / (2 * n)
    return jnp.asarray(np.cos(angles), dtype), jnp.asarray(np.sin(angles), dtype)


def _weights(n: int, dtype: Any) -> Any:
    """The factors that make rows of the transform orthonormal."""
    return jnp.asarray(np.where(np.arange(n) == 0, np.sqrt(0.25 / n), np.sqrt(0.5 / n)), dtype)


def _forward(x: Any, orthogonal: bool) -> Any:
    n = x.shape[-1]
    v = jnp.fft.rfft(jnp.concatenate([x[..., ::2], jnp.flip(x[..., 1::2], -1)], -1))
    cos, sin = _turns(n, v.shape[-1], v.real.dtype)
    real, imag = v.real * cos + v.imag * sin, v.imag * cos - v.real * sin
    out = 2 * jnp.concatenate([real, -jnp.flip(imag[..., 1 : (n + 1) // 2], -1)], -1)
    return out * _weights(n, out.dtype) if orthogonal else out


def _inverse(x: Any, orthogonal: bool) -> Any:
    n = x.shape[-1]
    x = x.astype(dtypes.real_part(dtypes.complex_of(x.dtype)))
    x = x / _weights(n, x.dtype) if orthogonal else x
    real, imag = x, jnp.concatenate([jnp.zeros_like(x[..., :1]), -jnp.flip(x[..., 1:], -1)], -1)
    half = n // 2 + 1
    cos, sin = _turns(n, half, x.dtype)
    real, imag = real[..., :half] / 2, imag[..., :half] / 2
    v = jnp.fft.irfft(parts.complex(real * cos - imag * sin, imag * cos + real * sin), n)
    even, odd = v[..., : (n + 1) // 2], jnp.flip(v[..., (n + 1) // 2 :], -1)
    woven = jnp.stack([even[..., : n // 2], odd], -1).reshape(*x.shape[:-1], 2 * (n // 2))
    return jnp.concatenate([woven, even[..., n // 2 :]], -1)
