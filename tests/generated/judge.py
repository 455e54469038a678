"""When results agree: same structure, shapes, dtypes and weak types; integers and bools equal; floats within bounds.

A float may be ``ulps`` eps times the size of the result away from jax. Where it is further, jax's float64 decides: ours
must be as near to that as ``ulps`` eps, or at most four times as far from it as jax's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}
TINY = {"float16": 2.0**-24, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}
Leaves = list[Any]


def leaves_of(x: Any) -> Leaves:
    """The arrays and Python values of a result; lists, tuples and named tuples of either library are opened."""
    return [leaf for item in x for leaf in leaves_of(item)] if isinstance(x, (tuple, list)) else [x]


def same_types(ours: Leaves, theirs: Leaves) -> None:
    assert len(ours) == len(theirs), f"{len(ours)} results, jax has {len(theirs)}"
    for i, (a, b) in enumerate(zip(ours, theirs)):
        if not hasattr(b, "dtype") or not hasattr(a, "weak_type"):
            assert type(a) is type(b) or hasattr(b, "dtype") == hasattr(a, "dtype"), f"result {i}: {a!r}, jax has {b!r}"
            continue
        mine, its = (tuple(a.shape), str(a.dtype)), (tuple(b.shape), str(b.dtype))
        assert mine == its, f"result {i}: {mine}, jax has {its}"
        weak = b.weak_type if hasattr(b, "weak_type") else b.aval.weak_type
        assert a.weak_type == weak or a.dtype == bool, f"result {i}: weak_type {a.weak_type}, jax has {weak}"


def total(args: Sequence[np.ndarray]) -> float:
    """A bound of the sums of products that a function of ``args`` may make: sum|a|, or K max|a| max|b|."""
    floats = [np.abs(a.astype(np.float64)) for a in args if a.dtype != bool and a.size]
    sizes = [float(np.where(np.isfinite(a), a, 0).max(initial=0)) for a in floats]
    count = max([a.size for a in floats], default=1)
    return math.sqrt(count) * max(max(sizes, default=0), math.prod(sizes), 1)


def exponential(value: np.ndarray) -> np.ndarray:
    """The size of errors of exp(log): an eps of the logarithm is as many of the value."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(value * (1 + np.abs(np.log(value))))


Scale = float | Callable[[np.ndarray], np.ndarray]


def close(
    ours: Any, theirs: Any, exact: Callable[[], Any], ulps: float, scale: Scale = 0.0, what: str = "", dtype: Any = None
) -> None:
    """One pair of arrays. ``exact`` computes the same in float64; ``scale`` is the least size of an error's unit, or a
    function from the value to it; ``dtype`` is the narrowest that took part, the result's own by default."""
    a, b = np.asarray(ours), np.asarray(theirs)
    assert a.shape == b.shape, f"{what}: shape {a.shape}, jax has {b.shape}"
    if a.dtype.name not in EPS:
        np.testing.assert_array_equal(a, b, err_msg=what)
        return
    name = (dtype or a.dtype).name
    eps, tiny = EPS[name], ulps * TINY[name]
    x, y = a.astype(np.float64), b.astype(np.float64)
    if near(x, y, ulps * eps, scale, tiny).all():
        return
    z = np.asarray(exact())
    z = z.astype(a.dtype).astype(np.float64) if z.dtype.name not in EPS else z.astype(np.float64)
    limit = float(np.finfo(np.float32).max) if name == "bfloat16" else float(np.finfo(a.dtype).max)
    rounded = np.where(np.abs(z) > limit, np.sign(z) * np.inf, z)
    good = near(x, y, ulps * eps, scale, tiny) | near(x, rounded, ulps * eps, scale, tiny)
    with np.errstate(invalid="ignore"):
        worst = np.abs(y - z)[np.isfinite(y) & np.isfinite(z)].max(initial=0) if scale else np.abs(y - z)
        good |= np.isfinite(y) & np.isfinite(z) & (np.abs(x - z) <= 4 * worst)
    assert good.all(), (
        f"{what}: {x[~good][:4]}, jax has {y[~good][:4]}, exact {z[~good][:4]} at {np.argwhere(~good)[:4].tolist()}"
    )


def near(x: np.ndarray, y: np.ndarray, relative: float, scale: Scale, tiny: float) -> np.ndarray:
    """Where two arrays agree: NaN and infinities exactly, numbers within the bound."""
    finite = np.isfinite(x) & np.isfinite(y)
    gap = np.abs(np.subtract(x, y, out=np.zeros_like(x), where=finite))
    unit = scale(np.abs(y)) if callable(scale) else np.maximum(np.abs(y), scale)
    return np.where(finite, gap <= relative * unit + tiny, (x == y) | (np.isnan(x) & np.isnan(y)))
