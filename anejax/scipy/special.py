"""jax.scipy.special on anejax. Names that are not here say so.

Errors against SciPy in float64, measured in tests/scipy: at most 16 eps of the result, or of 1 where the result passes
through 0; 64 eps for gamma and what is made of it, for zeta and polygamma; log_ndtr and ndtri 32 eps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, lax
from anejax.absent import getattr_of
from anejax.api.custom import custom_jvp
from anejax.core.array import Array
from anejax.errors import DtypeError
from anejax.nn import functions as nn
from anejax.nn.functions import logsumexp as logsumexp
from anejax.numpy.operands import promote_inexact

__getattr__ = getattr_of(__name__)


def _floats(op: str, *xs: Any) -> list[Any]:
    """The arguments as float arrays of one dtype and shape."""
    return list(jnp.broadcast_arrays(*map(jnp.asarray, promote_inexact(op, *xs))))


def _unary(name: str, function: Callable[[Any], Any], what: str) -> Callable[[Any], Array]:
    def face(x: Any) -> Array:
        return function(_floats(name, x)[0])

    face.__name__ = face.__qualname__ = name
    face.__doc__ = f"Elementwise {what}."
    return face


# --- error functions, the logistic function ---------------------------------------------------------------------------

erf = _unary("erf", lax.erf, "error function")
erfc = _unary("erfc", lax.erfc, "1 - erf(x), exact where erf is near 1")
erfinv = _unary("erfinv", lax.erf_inv, "inverse of erf")
expit = _unary("expit", lax.logistic, "1 / (1 + exp(-x))")
logit = _unary("logit", lambda x: jnp.log(x / (1 - x)), "inverse of expit")


def softmax(x: Any, /, *, axis: Any = None) -> Array:
    """exp(x) / sum(exp(x)) over ``axis`` (all axes when None)."""
    return nn.softmax(x, axis)


def log_softmax(x: Any, /, *, axis: Any = None) -> Array:
    """log(softmax(x))."""
    return nn.log_softmax(x, axis)


# --- gamma ------------------------------------------------------------------------------------------------------------

gammaln = _unary("gammaln", lax.lgamma, "log |gamma(x)|")
digamma = _unary("digamma", lax.digamma, "derivative of gammaln")


def gammasgn(x: Any) -> Array:
    """The sign of gamma(x): NaN at negative integers, that of x at 0."""
    (x,) = _floats("gammasgn", x)
    floor = jnp.floor(x)
    sign = jnp.where((x > 0) | (floor % 2 == 0), 1.0, -1.0)
    sign = jnp.where(x == 0, jnp.copysign(1.0, x), jnp.where((x < 0) & (x == floor), np.nan, sign))
    return jnp.where(jnp.isnan(x) | (x == -np.inf), np.nan, sign).astype(x.dtype)


def gamma(x: Any) -> Array:
    """The gamma function."""
    (x,) = _floats("gamma", x)
    return gammasgn(x) * jnp.exp(gammaln(x))


def factorial(n: Any, exact: bool = False) -> Array:
    """n!, as gamma(n + 1); 0 for negative n."""
    if exact:
        raise NotImplementedError("[factorial] exact integers are not supported. Use math.factorial.")
    (n,) = _floats("factorial", n)
    return jnp.where(n < 0, 0, jnp.exp(gammaln(n + 1)))


def betaln(a: Any, b: Any) -> Array:
    """log |beta(a, b)|."""
    a, b = _floats("betaln", a, b)
    return gammaln(a) + gammaln(b) - gammaln(a + b)


def beta(a: Any, b: Any) -> Array:
    """gamma(a) gamma(b) / gamma(a + b)."""
    a, b = _floats("beta", a, b)
    return gammasgn(a) * gammasgn(b) * gammasgn(a + b) * jnp.exp(betaln(a, b))


def poch(z: Any, m: Any) -> Array:
    """gamma(z + m) / gamma(z)."""
    z, m = _floats("poch", z, m)
    return jnp.where(m == 0, 1, gammasgn(z + m) * gammasgn(z) * jnp.exp(gammaln(z + m) - gammaln(z)))


def multigammaln(a: Any, d: Any) -> Array:
    """log of the multivariate gamma function of dimension ``d``."""
    (a,) = _floats("multigammaln", a)
    d = int(d)
    halves = np.arange(d) / 2
    constant = d * (d - 1) / 4 * math.log(math.pi)
    return jnp.sum(gammaln(a[..., None] - halves.astype(a.dtype)), -1) + np.asarray(constant, a.dtype)


_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)  # B_2, B_4, ...
_ZETA_TERMS = 12


def zeta(x: Any, q: Any = None) -> Array:
    """Hurwitz's zeta, the sum of (k + q)^-x over k >= 0, for x > 1: by the Euler-Maclaurin formula (DLMF 25.2.10)."""
    if q is None:
        raise NotImplementedError("[zeta] Riemann's zeta is not supported: pass q = 1 for x > 1.")
    x, q = _floats("zeta", x, q)
    total = sum(((q + k) ** -x for k in range(_ZETA_TERMS)), jnp.zeros_like(x))
    end = q + _ZETA_TERMS
    power = end**-x
    total = total + end * power / (x - 1) + power / 2
    factor = x * power / end
    for j, number in enumerate(_BERNOULLI, 1):
        total = total + factor * (number / math.factorial(2 * j))
        factor = factor * (x + (2 * j - 1)) * (x + 2 * j) / (end * end)
    pole = jnp.where(q == jnp.floor(q), np.inf, np.nan)
    return jnp.where(x == 1, np.inf, jnp.where(x < 1, np.nan, jnp.where(q <= 0, pole, total)))


def polygamma(n: Any, x: Any) -> Array:
    """The ``n``-th derivative of digamma, n = 0, 1, 2, ..., for x > 0."""
    n, x = _floats("polygamma", n, x)
    sign = jnp.where(n % 2 == 0, -1.0, 1.0).astype(x.dtype)
    order = jnp.maximum(n, 1)
    higher = sign * jnp.exp(gammaln(order + 1)) * zeta(order + 1, x)
    return jnp.where(n == 0, digamma(x), higher)


# --- x log y and entropies --------------------------------------------------------------------------------------------


def _x_log(name: str, log: Callable[[Any], Any], inner: Callable[[Any], Any]) -> Callable[[Any, Any], Array]:
    @custom_jvp
    def product(x: Any, y: Any) -> Any:
        zero = x == 0
        return jnp.where(zero & ~jnp.isnan(y), 0, x * log(jnp.where(zero, 1, y)) + jnp.where(zero, 0 * y, 0))

    @product.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        (x, y), (dx, dy) = primals, tangents
        return product(x, y), dx * log(y) + dy * x / inner(y)

    def face(x: Any, y: Any) -> Array:
        return product(*_floats(name, x, y))

    face.__name__ = face.__qualname__ = name
    return face


xlogy = _x_log("xlogy", jnp.log, lambda y: y)
xlogy.__doc__ = "x log(y), and 0 where x is 0."
xlog1py = _x_log("xlog1py", jnp.log1p, lambda y: 1 + y)
xlog1py.__doc__ = "x log(1 + y), and 0 where x is 0."


def entr(x: Any) -> Array:
    """-x log(x); 0 at 0, -inf below."""
    (x,) = _floats("entr", x)
    return jnp.where(x < 0, -np.inf, -xlogy(x, x))


def rel_entr(p: Any, q: Any) -> Array:
    """p log(p / q); 0 where p is 0 and q is not negative, infinite where p or q is out of range."""
    p, q = _floats("rel_entr", p, q)
    both = (p > 0) & (q > 0)
    safe_p, safe_q = jnp.where(both, p, 1), jnp.where(both, q, 1)
    return jnp.where(both, safe_p * jnp.log(safe_p / safe_q), jnp.where((p == 0) & (q >= 0), 0, np.inf))


def kl_div(p: Any, q: Any) -> Array:
    """rel_entr(p, q) - p + q."""
    p, q = _floats("kl_div", p, q)
    return rel_entr(p, q) - p + q


# --- the normal distribution ------------------------------------------------------------------------------------------

_LOG_ROOT = 0.5 * math.log(2 * math.pi)


def _check_real(op: str, x: Any) -> None:
    if x.dtype not in (dtypes.float32, dtypes.float64):
        raise DtypeError(f"[{op}] expected float32 or float64, got {x.aval}. Convert with x.astype(...).")


def ndtr(x: Any) -> Array:
    """The normal distribution function, by erfc in both tails."""
    (x,) = _floats("ndtr", x)
    _check_real("ndtr", x)
    w = x * math.sqrt(0.5)
    near = jnp.abs(w) < math.sqrt(0.5)
    return 0.5 * jnp.where(near, 1 + lax.erf(jnp.where(near, w, 0)), lax.erfc(-w))


def log_ndtr(x: Any, series_order: int = 3) -> Array:
    """log(ndtr(x)), without underflow. ``series_order`` is accepted for compatibility."""
    (x,) = _floats("log_ndtr", x)
    _check_real("log_ndtr", x)
    return _log_ndtr(x)


@custom_jvp
def _log_ndtr(x: Any) -> Any:
    """Far out by the continued fraction of Mills' ratio (Abramowitz and Stegun 26.2.14)."""
    far = x < -5
    tail, near = -jnp.where(far, x, -5), jnp.where(far, -5, x)
    fraction = tail
    for k in range(60, 0, -1):
        fraction = tail + k / fraction
    direct = jnp.where(near > 0, jnp.log1p(-ndtr(-near)), jnp.log(ndtr(near)))
    return jnp.where(far, -0.5 * tail * tail - _LOG_ROOT - jnp.log(fraction), direct)


@_log_ndtr.defjvp
def _log_ndtr_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    out = _log_ndtr(x)
    return out, dx * jnp.exp(-0.5 * x * x - _LOG_ROOT - out)


def ndtri(p: Any) -> Array:
    """The inverse of ``ndtr``."""
    (p,) = _floats("ndtri", p)
    _check_real("ndtri", p)
    return _ndtri(p)


@custom_jvp
def _ndtri(p: Any) -> Any:
    """In the middle by erf_inv; in the tails by Newton's method on log_ndtr, from its leading term."""
    low = jnp.minimum(p, 1 - p)
    tail = (low < 0.1) & (low > 0)
    level = jnp.log(jnp.where(tail, low, 0.05))
    x = -jnp.sqrt(-2 * level)
    for _ in range(8):
        value = _log_ndtr(x)
        x = x - (value - level) * jnp.exp(value + 0.5 * x * x + _LOG_ROOT)
    x = jnp.where(p > 0.5, -x, x)
    return jnp.where(tail, x, math.sqrt(2) * lax.erf_inv(2 * p - 1))


@_ndtri.defjvp
def _ndtri_jvp(primals: Any, tangents: Any) -> Any:
    (p,), (dp,) = primals, tangents
    x = _ndtri(p)
    return x, dp * jnp.exp(0.5 * x * x + _LOG_ROOT)
