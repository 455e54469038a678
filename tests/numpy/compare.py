"""Runs the same call on anejax.numpy and on jax.numpy and compares values, dtypes, weak types and errors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np

import anejax as aj
import anejax.numpy as anp
from tests.answers import Answer, answers

FLOATS = ("float16", "bfloat16", "float32")
INTS = ("int8", "int32", "uint8", "uint32")
DTYPES = ("bool", *INTS, *FLOATS)
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, -2.5, 3.25, 0.001, -7.0, 100.0, np.inf, -np.inf, np.nan]
EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}
EPS |= {"complex64": EPS["float32"], "complex128": EPS["float64"]}
EXPECTED_ERRORS = (TypeError, ValueError, IndexError, NotImplementedError, OverflowError)


def sample(shape, dtype="float32", seed=0, low=-4, high=4):
    """Reproducible values, small ones for integers so that sums stay exact in every dtype."""
    rng = np.random.default_rng((seed, *shape))
    d = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    if d == np.bool_:
        return rng.random(shape) < 0.5
    if d.kind == "c":
        return (rng.uniform(low, high, shape) + 1j * rng.uniform(low, high, shape)).astype(d)
    if d.kind in "iu":
        return rng.integers(max(low, 0) if d.kind == "u" else low, high + 1, shape).astype(d)
    return rng.uniform(low, high, shape).astype(d)


def tree_leaves(x):
    """The arrays of a result: tuples and lists of either library."""
    if isinstance(x, (tuple, list)):
        return [leaf for item in x for leaf in tree_leaves(item)]
    return [x]


def assert_same_type(ours, theirs, what=""):
    assert tuple(ours.shape) == tuple(theirs.shape), f"{what}: shape {ours.shape}, jax has {theirs.shape}"
    assert ours.dtype == theirs.dtype, f"{what}: dtype {ours.dtype}, jax has {theirs.dtype}"
    weak = getattr(theirs, "weak_type", getattr(getattr(theirs, "aval", None), "weak_type", False))
    assert ours.weak_type == weak or ours.dtype == bool, f"{what}: weak_type {ours.weak_type}, jax has {weak}"


def assert_close(ours, theirs, ulps=4.0, scale=None, what=""):
    """Integers and bools equal; floats within ``ulps`` of the value, or of ``scale`` when that is greater.

    A complex number's error is its distance in the plane, in units of its absolute value.
    """
    a, b = np.asarray(ours), np.asarray(theirs)
    assert a.shape == b.shape, f"{what}: shape {a.shape}, expected {b.shape}"
    if a.dtype.name not in EPS:
        np.testing.assert_array_equal(a, b, err_msg=what)
        return
    eps = EPS[a.dtype.name]
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    x, y = a.astype(wide), b.astype(wide)
    np.testing.assert_array_equal(np.isnan(x), np.isnan(y), err_msg=f"{what}: NaN in other places")
    size = np.abs(np.where(np.isfinite(y), y, 0))
    size = size if scale is None else np.maximum(size, scale)
    tiny = {"float16": 6e-8, "bfloat16": 1.2e-38, "float32": 1.2e-38, "complex64": 1.2e-38}.get(a.dtype.name, 3e-308)
    finite = np.isfinite(x) & np.isfinite(y)
    near = np.abs(np.subtract(x, y, out=np.zeros_like(x), where=finite)) <= ulps * eps * size + ulps * tiny
    same = np.where(finite, near, (x == y) | np.isnan(x))
    assert same.all(), f"{what}: {x[~same][:5]}, expected {y[~same][:5]}"


def check(f, *args, ulps=4.0, scale=None, types=True):
    """``f(module, *args)`` on both libraries: same result, or an error on both."""
    expected = answers(lambda: tree_leaves(f(jnp, *[to(jnp, a) for a in args])), f, args, errors=EXPECTED_ERRORS)
    if isinstance(expected, Exception):
        try:
            f(anp, *[to(anp, a) for a in args])
        except EXPECTED_ERRORS as ours:
            assert str(ours).startswith("["), f"not in the form of our errors: {ours}"
            return
        raise AssertionError(f"jax raises {type(expected).__name__}: {expected}; we do not") from expected
    mine = tree_leaves(f(anp, *[to(anp, a) for a in args]))
    assert len(mine) == len(expected)
    for a, b in zip(mine, expected):
        if not isinstance(b, (jax.Array, Answer)):
            assert a == b
            continue
        assert isinstance(a, aj.Array), type(a)
        if types:
            assert_same_type(a, b)
        assert_close(a, b, ulps, scale)


def to(module, x):
    """NumPy arrays as arrays of the library; tuples and lists of them too; anything else as it is."""
    if isinstance(x, np.ndarray):
        return module.asarray(x)
    if isinstance(x, (list, tuple)):
        return type(x)(to(module, item) for item in x)
    return x
