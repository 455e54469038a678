"""x log y, entropies, and the power transformations of Box and Cox."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax.api.custom import custom_jvp
from anejax.core.array import Array
from anejax.lax.special.series import horner
from anejax.scipy.special.operands import floats, numbers


def _x_log(name: str, log: Callable[[Any], Any], inner: Callable[[Any], Any]) -> Callable[[Any, Any], Array]:
    @custom_jvp
    def product(x: Any, y: Any) -> Any:
        zero = x == 0
        return jnp.where(zero & ~jnp.isnan(y), 0, x * log(jnp.where(zero, 1, y)) + jnp.where(zero, 0 * y, 0))

    def in_y(dy: Any, _: Any, x: Any, y: Any) -> Any:
        """0 where x is 0 and y is at the pole of the logarithm, since the product is 0 for all other y."""
        below = inner(y)
        return dy * x / jnp.where((x == 0) & (below == 0), 1, below)

    product.defjvps(lambda dx, _, x, y: dx * log(y), in_y)

    def face(x: Any, y: Any) -> Array:
        return product(*numbers(name, x, y))

    face.__name__ = face.__qualname__ = name
    return face


xlogy = _x_log("xlogy", jnp.log, lambda y: y)
xlogy.__doc__ = "x log(y), and 0 where x is 0."
xlog1py = _x_log("xlog1py", jnp.log1p, lambda y: 1 + y)
xlog1py.__doc__ = "x log(1 + y), and 0 where x is 0."


def entr(x: Any) -> Array:
    """-x log(x), which is 0 at 0 and -inf below 0. There its derivative is 0."""
    (x,) = floats("entr", x)
    return jnp.where(x < 0, -np.inf, -_x_log_x(jnp.where(x < 0, 1, x)))


@custom_jvp
def _x_log_x(x: Any) -> Any:
    return xlogy(x, x)


@_x_log_x.defjvp
def _x_log_x_jvp(primals: Any, tangents: Any) -> Any:
    """Infinite at 0, where the rules of a product have 0 / 0."""
    (x,), (dx,) = primals, tangents
    return _x_log_x(x), dx * (jnp.log(x) + 1)


def rel_entr(p: Any, q: Any) -> Array:
    """p log(p / q); 0 where p is 0 and q is not negative, infinite where p or q is out of range."""
    p, q = floats("rel_entr", p, q)
    both = (p > 0) & (q > 0)
    safe_p, safe_q = jnp.where(both, p, 1), jnp.where(both, q, 1)
    return jnp.where(both, safe_p * jnp.log(safe_p / safe_q), jnp.where((p == 0) & (q >= 0), 0, np.inf))


def kl_div(p: Any, q: Any) -> Array:
    """rel_entr(p, q) - p + q."""
    p, q = floats("kl_div", p, q)
    return rel_entr(p, q) - p + q


# --- Box and Cox ------------------------------------------------------------------------------------------------------

_EXPREL = [1 / math.factorial(k + 1) for k in range(20)]


def _power_transform(log: Any, power: Any) -> Any:
    """(exp(power log) - 1) / power, which is log at power 0, there and near by a series, for the derivatives' sake."""
    z = power * log
    near = (jnp.abs(z) < 1) | (power == 0)
    series = log * horner(jnp.where(near & ~jnp.isnan(z), z, 0), _EXPREL)
    return jnp.where(near, series, jnp.expm1(jnp.where(near, 1, z)) / jnp.where(near, 1, power))


def boxcox(x: Any, lmbda: Any) -> Array:
    """(x^lmbda - 1) / lmbda, and log(x) where lmbda is 0 (Box and Cox 1964). NaN for negative x."""
    x, lmbda = numbers("boxcox", x, lmbda)
    return _power_transform(jnp.log(x), lmbda)


def boxcox1p(x: Any, lmbda: Any) -> Array:
    """``boxcox`` of 1 + x, exact for small x."""
    x, lmbda = numbers("boxcox1p", x, lmbda)
    return _power_transform(jnp.log1p(x), lmbda)
