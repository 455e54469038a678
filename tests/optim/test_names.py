"""Names and the order of arguments are those of optax, jax.nn and jax.random."""

import inspect

import jax
import jax.nn
import jax.random
import optax
import pytest

from anejax import nn, optim, random

LEFT_OUT = {  # what has no meaning here, and optax's rare options
    "out_sharding", "implementation", "return_residual", "algorithm", "extra_args", "tree", "dtype",
    "mode", "smooth_beta", "impl", "initial",
}  # fmt: skip


def names(f):
    return [n for n in inspect.signature(f).parameters if n not in LEFT_OUT]


def shared(ours, theirs):
    public = [n for n in dir(ours) if not n.startswith("_") and callable(getattr(ours, n)) and hasattr(theirs, n)]
    public = [n for n in public if not n.endswith(("Fn", "Function"))]  # types of functions
    return [n for n in public if inspect.isfunction(getattr(ours, n)) or not inspect.isclass(getattr(ours, n))]


PAIRS = [(n, getattr(o, n), getattr(t, n)) for o, t in ((optim, optax), (nn, jax.nn), (random, jax.random))
         for n in shared(o, t)]  # fmt: skip


@pytest.mark.parametrize(("name", "ours", "theirs"), PAIRS, ids=[p[0] for p in PAIRS])
def test_arguments_are_in_the_order_of_the_original(name, ours, theirs):
    try:
        expected = names(theirs)
    except ValueError:
        pytest.skip("the original has no signature")
    got = names(ours)
    assert got == expected[: len(got)] or set(got) <= set(expected), (got, expected)
    kept = [n for n in expected if n in got]
    assert kept == got


def test_enough_is_shared():
    assert len(PAIRS) > 100
