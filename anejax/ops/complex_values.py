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
    x, y = np.real(z), np.imag(z)
    near = np.abs(x) + np.abs(y) < 0.5
    close = 0.5 * np.log1p(np.where(near, x * (2 + x) + y * y, 0))
    return _of(np.where(near, close, np.real(np.log(_of(1 + x, y)))), np.arctan2(y, 1 + x))


def expm1(z: np.ndarray) -> np.ndarray:
    """expm1(x) cos y - 2 sin(y/2)**2 and the imaginary part of exp; NumPy's multiplies infinity by 0."""
    x, power = np.real(z), np.exp(z)
    turn = np.where(np.isinf(x) & ~np.isfinite(np.imag(z)), 0, np.imag(z))
    near = np.expm1(x) * np.cos(turn) - 2 * np.sin(turn / 2) ** 2
    return _of(np.where(x > 60, np.real(power), near), np.imag(power))


def square(z: np.ndarray) -> np.ndarray:
    """(|x| - |y|)(|x| + |y|) + 2ixy, whose parts overflow only where they must."""
    x, y = np.abs(np.real(z)), np.abs(np.imag(z))
    less, product = x - y, np.real(z) * np.imag(z)
    return _of(np.where(less == 0, less.dtype.type(0), less * (x + y)), product + product)


def divide(z: np.ndarray, w: np.ndarray) -> np.ndarray:
    """NumPy's quotient, and C99's (G.5.1, example 2) where that lost an infinity to NaN + NaN i."""
    q = np.asarray(np.divide(z, w))
    lost = np.isnan(np.real(q)) & np.isnan(np.imag(q))
    over, under = np.isinf(z) & np.isfinite(w), np.isinf(w) & np.isfinite(z)
    if not (lost & (over | under)).any():
        return q
    box = lambda p: np.copysign(np.isinf(p).astype(p.dtype), p)  # noqa: E731
    a, b = (np.where(over, box(p), p) for p in (np.real(z), np.imag(z)))
    c, d = (np.where(under, box(p), p) for p in (np.real(w), np.imag(w)))
    factor = np.where(over, np.inf, 0).astype(np.real(q).dtype)
    recovered = _of(factor * (a * c + b * d), factor * (b * c - a * d))
    return np.where(lost & (over | under), recovered, q)


def reciprocal(z: np.ndarray) -> np.ndarray:
    """1 / z by Smith's division, 0 of what is infinite and infinite of 0."""
    x, y = np.real(z), np.imag(z)
    first, none = np.abs(x) >= np.abs(y), x.dtype.type(0)
    greater, less = np.where(first, x, y), np.where(first, y, x)
    ratio = np.where(greater == 0, none, less / greater)
    scale = greater + less * ratio
    large, small = 1 / scale, ratio / scale
    out = _of(np.where(first, large, small), -np.where(first, small, large))
    zero = _of(np.copysign(none, x), -np.copysign(none, y))
    return np.where(np.isinf(z), zero, out)


def unit(z: np.ndarray) -> np.ndarray:
    """z / |z|, of z divided by its greater part, since |z| may overflow."""
    top = np.maximum(np.abs(np.real(z)), np.abs(np.imag(z)))
    fair = np.isfinite(top) & (top > 0)
    top = np.where(fair, top, top.dtype.type(1))
    return np.sign(_of(np.real(z) / top, np.imag(z) / top))
