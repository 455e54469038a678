"""The code that distributions share. Each is written for loc = 0, scale = 1 and arguments inside the support."""

from __future__ import annotations

import functools
import inspect
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

import anejax.numpy as jnp
from anejax.numpy.operands import is_scalar
from anejax.scipy.special.operands import reals

F = TypeVar("F", bound=Callable[..., Any])

_LEAST = (-math.inf, -math.inf)
_OUTSIDE = {  # the values of a function below the support, and above
    "logpdf": _LEAST, "logpmf": _LEAST, "cdf": (0, 1), "logcdf": (-math.inf, 0), "sf": (1, 0), "logsf": (0, -math.inf),
}  # fmt: skip
_MEANING = {
    "pdf": "The density at {0}.",
    "logpdf": "log of the density at {0}.",
    "pmf": "The probability of {0}.",
    "logpmf": "log of the probability of {0}.",
    "cdf": "The probability of at most {0}.",
    "logcdf": "log of the probability of at most {0}.",
    "sf": "The probability of more than {0}, with its own digits where it is small.",
    "logsf": "log of the probability of more than {0}.",
    "ppf": "The inverse of ``cdf``; NaN where {0} is not in [0, 1].",
    "isf": "The inverse of ``sf``; NaN where {0} is not in [0, 1].",
}


def standard(low: float | str = -math.inf, high: float | str = math.inf) -> Callable[[F], F]:
    """Makes a distribution's function ``f(x, *shapes, loc, scale)`` from its standard form; its name says which it is.

    The body sees real floats of one dtype: (x - loc) / scale for x, and the shapes. It need not look at loc and scale,
    nor at x beyond the support from ``low`` to ``high``, which are numbers or names of shapes. There an interior point
    is passed and the result replaced, so that derivatives are 0 and not NaN. log(scale) is taken from a logpdf; what a
    ppf or isf returns is scaled and shifted, and its argument lies in [0, 1]. All is NaN where scale is not positive,
    and where the body makes NaN of shapes that are none.
    """

    def decorate(function: F) -> F:
        name, signature = function.__name__, inspect.signature(function)
        op = f"{function.__module__.rpartition('.')[2]}.{name}"

        @functools.wraps(function)
        def face(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            x, shapes, loc, scale = _taken(op, bound.arguments)
            if name in ("ppf", "isf"):
                value = function(probability(x), *shapes.values())
                value = value if scale is None else value * scale
                return value if loc is None else value + loc
            x = x if loc is None else x - loc
            x = x if scale is None else x / scale
            start, end = (shapes[e] if isinstance(e, str) else e for e in (low, high))
            value = _within(start, end, _OUTSIDE[name], x, lambda x: function(x, *shapes.values()))
            return value - jnp.log(scale) if name == "logpdf" and scale is not None else value

        return _named(face, name)  # type: ignore[return-value]

    return decorate


class _Taken(NamedTuple):
    """The arguments of a law; loc is None for the number 0, scale for 1, which are the defaults."""

    x: Any
    shapes: dict[str, Any]
    loc: Any
    scale: Any


def _taken(op: str, arguments: dict[str, Any]) -> _Taken:
    taken = dict(zip(arguments, reals(op, *arguments.values())))
    for name, idle in (("loc", 0), ("scale", 1)):
        given = arguments.get(name, idle)
        if is_scalar(given) and given == idle:
            taken[name] = None
    loc, scale = taken.pop("loc"), taken.pop("scale")
    x = taken.pop(next(iter(taken)))
    return _Taken(x, taken, loc, scale if scale is None else positive(scale))


def _within(low: Any, high: Any, outside: tuple[float, float], x: Any, function: Callable[[Any], Any]) -> Any:
    """``function`` of x from ``low`` to ``high``, and what is ``outside``, to which the infinities belong."""
    if is_scalar(low) and low == -math.inf:
        return function(x)
    below, above = (x < low) | (x == -math.inf), (x > high) | (x == math.inf)
    value = function(jnp.where(below | above, _interior(low, high), x))
    known = ~jnp.isnan(value)
    return jnp.where(below & known, outside[0], jnp.where(above & known, outside[1], value))


def _interior(low: Any, high: Any) -> Any:
    """A finite point between ``low`` and ``high``: a number between numbers."""
    numbers = is_scalar(low) and is_scalar(high)
    where = np.where if numbers else jnp.where
    start = where(low == -math.inf, where(high == math.inf, 0, high) - 1, low)
    middle = 0.5 * (start + where(high == math.inf, start + 2, high))
    return float(middle) if numbers else middle


def exp_of(function: F) -> F:
    """The function whose logarithm ``function`` is: "pdf" of "logpdf", and so on."""
    return _through(jnp.exp, function, function.__name__.removeprefix("log"))


Edges = Callable[..., Sequence[tuple[int, Any, Any]]]


def density_of(logarithm: F, variable: str, edges: Edges) -> F:
    """The exponential of ``logarithm``, with right derivatives where ``variable`` is at an edge of its range.

    Those of exp(log) are 0 times infinity there. ``edges(x, *shapes)`` says for each edge, a number, that the density
    near it is |variable - edge| ** exponent * exp(rest): (edge, exponent, rest). At the edge that power is
    differentiated: the derivatives are the limits from inside, or infinite. Where the exponent is 0, the logarithm has
    right ones itself.
    """
    name = logarithm.__name__.removeprefix("log")
    signature = inspect.signature(logarithm)
    first = next(iter(signature.parameters))
    op = f"{logarithm.__module__.rpartition('.')[2]}.{name}"

    @functools.wraps(logarithm)
    def face(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        x, shapes, loc, scale = _taken(op, bound.arguments)
        x = x if loc is None else x - loc
        values = {first: x if scale is None else x / scale, **shapes}
        v = values[variable]
        there = [(v == edge) & (exponent != 0) for edge, exponent, _ in edges(*values.values())]
        inside = logarithm(**values | {variable: jnp.where(functools.reduce(operator.or_, there), 0.5, v)})
        result = jnp.exp(inside if scale is None else inside - jnp.log(scale))
        for i, at in enumerate(there):
            at &= inside > -math.inf  # else the density is 0 whatever the variable
            masked = values | {first: jnp.where(at, values[first], 0)}
            masked |= {variable: jnp.where(at, v, 0.5)}
            edge, exponent, rest = edges(*masked.values())[i]
            base = masked[variable] if edge == 0 else edge - masked[variable]
            power = base**exponent * jnp.exp(rest)
            result = jnp.where(at, power if scale is None else power / scale, result)
        return result

    face.__doc__ = None
    return _named(face, name)  # type: ignore[return-value]


def log_of(function: F) -> F:
    """log of ``function``: "logcdf" of "cdf", and so on."""
    return _through(jnp.log, function, f"log{function.__name__}")


def _through(outer: Callable[[Any], Any], function: F, name: str) -> F:
    @functools.wraps(function)
    def face(*args: Any, **kwargs: Any) -> Any:
        return outer(function(*args, **kwargs))

    face.__doc__ = None
    return _named(face, name)  # type: ignore[return-value]


def _named(face: Any, name: str) -> Any:
    face.__name__ = face.__qualname__ = name
    first = next(iter(inspect.signature(face).parameters))
    face.__doc__ = face.__doc__ or _MEANING[name].format(f"``{first}``")
    return face


def valid(x: Any, ok: Any) -> Any:
    """``x``, or NaN where it is not ``ok``."""
    return jnp.where(ok, x, math.nan)


def positive(x: Any) -> Any:
    """``x``, or NaN where it is not positive."""
    return valid(x, x > 0)


def probability(p: Any) -> Any:
    """``p``, or NaN where it is not in [0, 1]."""
    return valid(p, (p >= 0) & (p <= 1))


def complement(t: Any) -> Any:
    """1 - exp(-t) for t >= 0. Its derivatives have their digits, too, unlike those of expm1."""
    return jnp.where(t < math.log(2), -jnp.expm1(-t), 1 - jnp.exp(-t))
