"""NumPy's complex functions where its own lose digits or infinities; read it to see what eager calls compute.

The compiled ones, by the same formulas, are in passes/complex.
"""

from __future__ import annotations

import numpy as np


def _of(re: np.ndarray, im: np.ndarray) -> np.ndarray:
    out = np.empty(np.broadcast(re, im).shape, np.result_type(re.dtype, np.complex64))
    out.real, out.imag = re, im
    return out


def log1p(z: np.ndarray) -> np.ndarray:
    """Near 0 from |1 + z|**2 - 1 = x (2 + x) + y**2; NumPy's loses the digits there."""
    x, y = z.real, z.imag
    near = np.abs(x) + np.abs(y) < 0.5
    close = 0.5 * np.log1p(np.where(near, x * (2 + x) + y * y, 0))
    return _of(np.where(near, close, np.log(_of(1 + x, y)).real), np.arctan2(y, 1 + x))


def expm1(z: np.ndarray) -> np.ndarray:
    """expm1(x) cos y - 2 sin(y/2)**2 and the imaginary part of exp; NumPy's multiplies infinity by 0."""
    x, power = z.real, np.exp(z)
    turn = np.where(np.isinf(x) & ~np.isfinite(z.imag), 0, z.imag)
    near = np.expm1(x) * np.cos(turn) - 2 * np.sin(turn / 2) ** 2
    return _of(np.where(x > 60, power.real, near), power.imag)


def square(z: np.ndarray) -> np.ndarray:
    """(|x| - |y|)(|x| + |y|) + 2ixy, whose parts overflow only where they must."""
    x, y = np.abs(z.real), np.abs(z.imag)
    less, product = x - y, z.real * z.imag
    return _of(np.where(less == 0, less.dtype.type(0), less * (x + y)), product + product)


def divide(z: np.ndarray, w: np.ndarray) -> np.ndarray:
    """NumPy's quotient, and C99's (G.5.1, example 2) where that lost an infinity to NaN + NaN i."""
    q = np.asarray(np.divide(z, w))
    lost = np.isnan(q.real) & np.isnan(q.imag)
    over, under = np.isinf(z) & np.isfinite(w), np.isinf(w) & np.isfinite(z)
    if not (lost & (over | under)).any():
        return q
    box = lambda p: np.copysign(np.isinf(p).astype(p.dtype), p)  # noqa: E731
    a, b = (np.where(over, box(p), p) for p in (z.real, z.imag))
    c, d = (np.where(under, box(p), p) for p in (w.real, w.imag))
    factor = np.where(over, np.inf, 0).astype(q.real.dtype)
    recovered = _of(factor * (a * c + b * d), factor * (b * c - a * d))
    return np.where(lost & (over | under), recovered, q)


def reciprocal(z: np.ndarray) -> np.ndarray:
    """1 / z by Smith's division, 0 of what is infinite and infinite of 0."""
    first = np.abs(z.real) >= np.abs(z.imag)
    greater, less = np.where(first, z.real, z.imag), np.where(first, z.imag, z.real)
    ratio = np.where(greater == 0, greater.dtype.type(0), less / greater)
    scale = greater + less * ratio
    large, small = 1 / scale, ratio / scale
    out = _of(np.where(first, large, small), -np.where(first, small, large))
    zero = _of(np.copysign(z.real.dtype.type(0), z.real), -np.copysign(z.real.dtype.type(0), z.imag))
    return np.where(np.isinf(z), zero, out)


def unit(z: np.ndarray) -> np.ndarray:
    """z / |z|, of z divided by its greater part, since |z| may overflow."""
    top = np.maximum(np.abs(z.real), np.abs(z.imag))
    fair = np.isfinite(top) & (top > 0)
    top = np.where(fair, top, top.dtype.type(1))
    return np.sign(_of(z.real / top, z.imag / top))
