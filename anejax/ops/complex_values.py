"""Complex functions in NumPy that keep the digits and infinities which NumPy's own functions lose.

Eager calls use them. passes/complex has the compiled versions, with the same formulas.
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
    """(|x| - |y|)(|x| + |y|) + 2ixy, a form whose parts overflow only if the result does."""
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
    """1 / z by Smith's division; 0 for infinities and infinite for 0. Huge numbers are divided by 4 first."""
    x, y = np.real(z), np.imag(z)
    down = np.where(greatest(z) > np.finfo(x.dtype).max / 4, x.dtype.type(0.25), x.dtype.type(1))
    x, y = x * down, y * down
    first, none = np.abs(x) >= np.abs(y), x.dtype.type(0)
    greater, less = np.where(first, x, y), np.where(first, y, x)
    ratio = np.where(greater == 0, none, less / greater)
    scale = greater + less * ratio
    large, small = 1 / scale * down, ratio / scale * down
    out = _of(np.where(first, large, small), -np.where(first, small, large))
    zero = _of(np.copysign(none, x), -np.copysign(none, y))
    return np.where(np.isinf(z), zero, out)


def integer_pow(z: np.ndarray, y: int) -> np.ndarray:
    """Repeated squaring; if that leaves the range, (z / |z|)**y |z|**y."""
    direct = _by_squaring(z, y)
    if -1 <= y <= 2:
        return direct
    info = np.finfo(np.real(z).dtype)
    power, top = greatest(_by_squaring(z, abs(y))), greatest(z)
    lost = ~((power > info.tiny**0.5) & (power < np.inf)) & (top > 0) & (top < np.inf)
    length = np.where(lost, np.minimum(np.abs(z), info.max), top.dtype.type(1))
    turned, scale = _by_squaring(_of(np.real(z) / length, np.imag(z) / length), y), length**y
    part = lambda p, d: np.where(lost, np.where(p == 0, p, p * scale), d)  # noqa: E731
    return _of(part(np.real(turned), np.real(direct)), part(np.imag(turned), np.imag(direct)))


def _by_squaring(z: np.ndarray, y: int) -> np.ndarray:
    if y < 0:
        return reciprocal(_by_squaring(z, -y))
    result: np.ndarray | None = None  # 1 times an infinite number would have a part NaN
    while y:
        if y & 1:
            result = z if result is None else np.asarray(result * z)
        y >>= 1
        z = square(z) if y else z
    return np.ones_like(z) if result is None else result


def greatest(z: np.ndarray) -> np.ndarray:
    """The greater magnitude of the two parts."""
    return np.maximum(np.abs(np.real(z)), np.abs(np.imag(z)))


def power(z: np.ndarray, w: np.ndarray) -> np.ndarray:
    """NumPy's power in double precision, except for squares, roots and reciprocals, because NumPy gives NaN for
    infinities."""
    simple = {2: square, 0.5: np.sqrt, -1: reciprocal}
    others = np.power(z.astype(np.complex128), w.astype(np.complex128)).astype(z.dtype)
    return np.select([w == n for n in simple], [f(z) for f in simple.values()], others)


def logaddexp(z: np.ndarray, w: np.ndarray) -> np.ndarray:
    """log(exp(z) + exp(w)) without overflow, with the imaginary part between -pi and pi."""
    with np.errstate(invalid="ignore", divide="ignore"):
        top, least = np.maximum(z, w), np.minimum(z, w)
        out = top + log1p(np.exp(least - top))
        out = np.where(np.isnan(least - top), z + w, out)  # equal infinities, or NaN
    angle = np.imag(out)
    return _of(np.real(out), np.where(np.abs(angle) > np.pi, np.arctan2(np.sin(angle), np.cos(angle)), angle))


def unit(z: np.ndarray) -> np.ndarray:
    """z / |z|, of z divided by its greater part, since |z| may overflow."""
    top = greatest(z)
    fair = np.isfinite(top) & (top > 0)
    top = np.where(fair, top, top.dtype.type(1))
    return np.sign(_of(np.real(z) / top, np.imag(z) / top))
