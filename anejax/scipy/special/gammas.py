"""The gamma function, its logarithm, its incomplete integrals, and functions built on them."""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import dtypes, lax
from anejax.api.custom import stop_gradient
from anejax.core.array import Array
from anejax.errors import ShapeError
from anejax.lax.special.beta import log_beta
from anejax.lax.special.series import bernoulli_numbers
from anejax.scipy.special.operands import floats, unary

gammaln = unary("gammaln", lax.lgamma, "log |gamma(x)|")
digamma = unary("digamma", lax.digamma, "derivative of gammaln")


def gammasgn(x: Any) -> Array:
    """The sign of gamma(x): NaN at negative integers, that of x at 0."""
    (x,) = floats("gammasgn", x)
    floor = jnp.floor(x)
    sign = jnp.where((x > 0) | (floor % 2 == 0), 1.0, -1.0)
    sign = jnp.where(x == 0, jnp.copysign(1.0, x), jnp.where((x < 0) & (x == floor), np.nan, sign))
    return jnp.where(jnp.isnan(x) | (x == -np.inf), np.nan, sign).astype(x.dtype)


def gamma(x: Any) -> Array:
    """The gamma function, of real or complex numbers."""
    if jnp.iscomplexobj(x):
        return jnp.exp(_log_gamma(jnp.asarray(x)))
    (x,) = floats("gamma", x)
    return gammasgn(x) * jnp.exp(gammaln(x))


def factorial(n: Any, exact: bool = False) -> Array:
    """n!, as gamma(n + 1); 0 for negative n."""
    if exact:
        raise NotImplementedError("[factorial] exact integers are not supported. Use math.factorial.")
    (n,) = floats("factorial", n)
    return jnp.where(n < 0, 0, jnp.exp(gammaln(n + 1)))


def betaln(a: Any, b: Any) -> Array:
    """log |B(a, b)|; for positive arguments without cancellation, however large they are."""
    a, b = floats("betaln", a, b)
    positive = (a > 0) & (b > 0)
    outside = gammaln(a) + gammaln(b) - gammaln(a + b)
    return jnp.where(positive, log_beta(jnp.where(positive, a, 1), jnp.where(positive, b, 1)), outside)


def beta(a: Any, b: Any) -> Array:
    """B(a, b) = gamma(a) gamma(b) / gamma(a + b)."""
    a, b = floats("beta", a, b)
    return gammasgn(a) * gammasgn(b) * gammasgn(a + b) * jnp.exp(betaln(a, b))


def comb(N: Any, k: Any, *, repetition: bool = False) -> Array:
    """The number of ways to choose ``k`` of ``N``: gamma(N + 1) / gamma(k + 1) / gamma(N - k + 1) (DLMF 26.3.1).

    0 where k or N is negative or k > N. Whole numbers below 0.01 / eps are exact. With ``repetition`` things may be
    chosen again: comb(N + k - 1, k).

    Example:
        >>> from anejax.scipy.special import comb
        >>> comb(5.0, 2.0)
        Array(10., dtype=float32, weak_type=True)
    """
    n, k = floats("comb", N, k)
    if repetition:
        return jnp.where((n == 0) & (k == 0), 1, comb(n + k - 1, k))
    inside = (k >= 0) & (n >= k)
    outside = jnp.where(jnp.isnan(n + k), np.nan, 0)
    n, k = jnp.where(inside, n, 1), jnp.where(inside, k, 1)
    value = jnp.exp(-log_beta(1 + n - k, 1 + k) - jnp.log1p(n))
    exact = (n == jnp.floor(n)) & (k == jnp.floor(k)) & (value < 0.01 / float(dtypes.finfo(value.dtype).eps))
    value = value + stop_gradient(jnp.where(exact, jnp.round(value) - value, 0))
    return jnp.where(inside, value, outside)


def poch(z: Any, m: Any) -> Array:
    """gamma(z + m) / gamma(z)."""
    z, m = floats("poch", z, m)
    return jnp.where(m == 0, 1, gammasgn(z + m) * gammasgn(z) * jnp.exp(gammaln(z + m) - gammaln(z)))


def multigammaln(a: Any, d: Any) -> Array:
    """log of the multivariate gamma function of dimension ``d``."""
    (a,) = floats("multigammaln", a)
    d = int(d)
    halves = np.arange(d) / 2
    constant = d * (d - 1) / 4 * math.log(math.pi)
    return jnp.sum(gammaln(a[..., None] - halves.astype(a.dtype)), -1) + np.asarray(constant, a.dtype)


def loggamma(x: Any) -> Array:
    """log(gamma(x)). Real x below 0 give NaN, because the result is complex. Complex x use the branch that is real for
    x > 0."""
    if jnp.iscomplexobj(x):
        return _log_gamma(jnp.asarray(x))
    (x,) = floats("loggamma", x)
    return jnp.where(x < 0, np.nan, gammaln(jnp.where(x < 0, 1, x)))


_SHIFT = 8  # shift of Stirling's series to the right, to where its sixth term is below 1e-14
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)  # DLMF 5.11.1


def _log_gamma(z: Array) -> Array:
    """The logarithm of gamma of complex numbers, continuous except on the negative real axis (DLMF 5.4.1).

    Left of 1/2 by reflection (DLMF 5.5.3), with the logarithm of the sine that is continuous in the upper half-plane;
    the lower one has the conjugates.
    """
    below = jnp.signbit(z.imag)
    z = jnp.where(below, z.conj(), z)
    left = z.real < 0.5
    right = _stirling(jnp.where(left, 1 - z, z))
    z = jnp.where(left, z, 0.25)  # elsewhere the slope of the value that is not selected would be infinite
    x = z.real - jnp.floor(z.real)
    turned = jnp.exp(2j * np.pi * lax.complex(x, z.imag))  # the same sine, from a smaller angle
    log_sine = -1j * np.pi * z + jnp.log1p(-turned) - np.log(2) + 0.5j * np.pi
    out = jnp.where(left, np.log(np.pi) - log_sine - right, right)
    return jnp.where(below, out.conj(), out)


def _stirling(z: Array) -> Array:
    """log(gamma(z)) for real parts of 1/2 or more."""
    steps = sum(jnp.log(z + k) for k in range(_SHIFT))
    w = z + _SHIFT
    inverse = 1 / w
    series = functools.reduce(lambda total, c: total * inverse * inverse + c, reversed(_STIRLING[:-1]), _STIRLING[-1])
    return (w - 0.5) * jnp.log(w) - w + 0.5 * np.log(2 * np.pi) + series * inverse - steps


# --- incomplete functions ---------------------------------------------------------------------------------------------


def gammainc(a: Any, x: Any) -> Array:
    """The regularized lower incomplete gamma function P(a, x), as ``lax.igamma``. Differentiable in both."""
    return lax.igamma(*floats("gammainc", a, x))


def gammaincc(a: Any, x: Any) -> Array:
    """The regularized upper incomplete gamma function Q(a, x), as ``lax.igammac``. Differentiable in both."""
    return lax.igammac(*floats("gammaincc", a, x))


def betainc(a: Any, b: Any, x: Any) -> Array:
    """The regularized incomplete beta function I_x(a, b), as ``lax.betainc``. Differentiable in all three."""
    return lax.betainc(*floats("betainc", a, b, x))


# --- zeta -------------------------------------------------------------------------------------------------------------


def zeta(x: Any, q: Any = None) -> Array:
    """Hurwitz's zeta, the sum of (k + q)^-x over k >= 0, for x > 1, as ``lax.zeta``."""
    if q is None:
        raise NotImplementedError("[zeta] Riemann's zeta is not supported: pass q = 1 for x > 1.")
    return lax.zeta(*floats("zeta", x, q))


def polygamma(n: Any, x: Any) -> Array:
    """The ``n``-th derivative of digamma, n = 0, 1, 2, ..., for x > 0, as ``lax.polygamma``."""
    return lax.polygamma(*floats("polygamma", n, x))


_LAST_BERNOULLI = 258  # the last one in the range of float64


def bernoulli(n: int) -> Array:
    """The numbers of Bernoulli B_0, ..., B_n, with B_1 = -1/2: exact fractions, rounded once.

    Example:
        >>> from anejax.scipy.special import bernoulli
        >>> bernoulli(2)
        Array([ 1.        , -0.5       ,  0.16666667], dtype=float32)
    """
    n = operator.index(n)
    if n < 0:
        raise ShapeError(f"[bernoulli] expected n >= 0, got {n}.")
    numbers = [float(b) for b in bernoulli_numbers(min(n, _LAST_BERNOULLI) + 1)]
    numbers += [0.0 if k % 2 else math.inf * (1 if k % 4 else -1) for k in range(len(numbers), n + 1)]
    with np.errstate(over="ignore"):
        return jnp.asarray(np.array(numbers))
