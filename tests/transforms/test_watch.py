"""What is watched: the largest magnitude that is added up, against NumPy; and that infinities cannot pass unseen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax
from anejax.core.primitive import REGISTRY
from anejax.transforms.watch import MOVES, watched
from tests.op_samples import ROWS

X = np.arange(1, 13, dtype=np.float32).reshape(3, 4)
W = np.array([[1, -1], [2, 0], [-3, 1], [0, 4]], np.float32)


def largest(f: Any, value: Any = X) -> float:
    """By ``watched``, eagerly and compiled, which agree, and leave the function's results alone."""
    out, seen = watched(f, value)
    compiled, again = aj.jit(lambda x: watched(f, x))(value)
    assert aj.tree.map(np.array_equal, out, f(value)) and float(seen) == float(again)
    for a, b, c in zip(aj.tree.leaves(out), aj.tree.leaves(f(value)), aj.tree.leaves(compiled), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(c, b, rtol=1e-6)
    assert seen.dtype == np.float32 and seen.shape == ()
    return float(seen)


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda x: x * 3, 36),  # what is returned
        (lambda x: jnp.sum(x * 10) * 1e-3, 120),  # what a sum adds
        (lambda x: jnp.sum(x.T[1:] * -10) * 0, 120),  # moved
        (lambda x: jnp.where(W.T[[0, 1, 1]] > 5, x * 50, 0.0) @ W, 0),  # what is left out does not count
        (lambda x: (x * 9)[:1] @ W * 0, 36),
        (lambda x: (x * 7) @ W * 0, 84),
        (lambda x: x.reshape(4, 3) @ (x * 2) * 0, 24),  # both are watched
        (lambda x: (x * 5 + x * -5) * 0, 60),  # two watched values
        (lambda x: x * 5 + 1000.0, 1060),  # one: the sum is what is returned
        (lambda x: jnp.cumsum(x * 2, 0) * 0, 24),
        (lambda x: W, 0),  # nothing follows
        (lambda x: x[:0], 0),
    ],
)
def test_the_largest_that_is_added_up(f: Any, expected: float) -> None:
    assert largest(f) == expected


def test_in_loops_and_branches() -> None:
    def loop(x: Any) -> Any:
        """2, 4, 8, 16 times x are added to, and then made small."""
        return lax.scan(lambda c, w: (c * 2, jnp.sum(c * 2 + w) * 1e-6), x, jnp.arange(4.0))[1]

    assert largest(loop) == 12 * 16 + 3
    double = lambda c, _: (c * 2, None)  # noqa: E731
    assert largest(lambda x: lax.scan(double, x, None, length=3)[0] * 0.125) == 12
    for i, expected in ((0, 12), (1, 48)):
        branches = [lambda x: jnp.sum(x) * 0, lambda x: jnp.sum(x * 4) * 0]
        assert largest(lambda x, i=i, b=branches: lax.switch(i, b, x)) == expected
    assert largest(aj.jit(lambda x: jnp.sum(x * 2) * 0)) == 24
    assert largest(aj.checkpoint(lambda x: jnp.sum(x * 2) * 0)) == 24


def test_under_other_transformations() -> None:
    f = lambda x: watched(lambda x: jnp.sum(x * x) * 0 + x[0], x)  # noqa: E731
    out, seen = aj.vmap(f)(X)
    np.testing.assert_array_equal(out, X[:, 0])
    np.testing.assert_array_equal(seen, np.max(X, 1) ** 2)
    np.testing.assert_array_equal(aj.grad(lambda x: f(x)[0])(X[0]), [1, 0, 0, 0])
    with pytest.raises(aj.errors.AnejaxError, match="concrete value"):
        aj.jit(lambda x: watched(lambda y: y if y[0] > 0 else -y, x))(X[0])
    assert float(watched(lambda y: y if y[0] > 0 else -y, X[0])[1]) == 4


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_what_is_infinite_is_seen(bad: float) -> None:
    x = X.copy()
    x[1, 2] = bad
    for f in (lambda x: jnp.sum(x, 0)[0], lambda x: x[:2] @ W, lambda x: (x - x) * 0):
        assert not float(watched(f, x)[1]) < np.inf
        assert not float(aj.jit(lambda x, f=f: watched(f, x)[1])(x)) < np.inf


@pytest.mark.parametrize("name", sorted(MOVES))
def test_what_moves_makes_no_new_elements(name: str) -> None:
    """Each result is an element of an operand, or, for what gather finds out of bounds, NaN or the fill."""
    for case in ROWS[name].cases:
        args = case.make(np.random.default_rng(0), np.float32)
        outs = aj.tree.leaves(REGISTRY[name].bind(*args, **case.params))
        given = np.concatenate([[0.0, case.params.get("fill_value") or 0.0], *map(np.ravel, args)])
        for out in outs:
            found = np.ravel(out)
            assert np.isin(found[~np.isnan(found)], given).all()
