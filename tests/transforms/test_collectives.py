"""Collectives over named axes of vmap, against jax: one program a line. ``m`` is the library, X has six examples."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as anp
from anejax.errors import RefusedError, ShapeError, UnboundAxisError
from tests.answers import of_jax
from tests.numpy.compare import assert_close, sample, tree_leaves

X = sample((6, 6, 3))
TABLE = {
    "psum": lambda m, x: m.lax.psum(x, "i"),
    "psum_of_numbers": lambda m, x: x * m.lax.psum(2, "i") + m.lax.psum(0.5, "i"),
    "psum_of_bools": lambda m, x: m.lax.psum(x > 0, "i"),
    "psum_of_trees": lambda m, x: m.lax.psum({"a": x, "b": (x[0], 1)}, "i")["a"],
    "psum_of_constants": lambda m, x: x + m.lax.psum(m.numpy.ones(3), "i"),
    "pmean": lambda m, x: m.lax.pmean(x, "i"),
    "normalize": lambda m, x: (x - m.lax.pmean(x, "i")) / m.numpy.sqrt(1 + m.lax.pmean(x * x, "i")),
    "pmax": lambda m, x: [m.lax.pmax(x, "i"), m.lax.pmin(x, "i")],
    "axis_index": lambda m, x: x * m.lax.axis_index("i"),
    "axis_size": lambda m, x: x * m.lax.axis_size("i"),
    "all_gather": lambda m, x: [m.lax.all_gather(x, "i"), m.lax.all_gather(x, "i", axis=1)],
    "all_gather_tiled": lambda m, x: [m.lax.all_gather(x, "i", axis=a, tiled=True) for a in (0, 1)],
    "psum_scatter": lambda m, x: m.lax.psum_scatter(x, "i"),
    "psum_scatter_tiled": lambda m, x: m.lax.psum_scatter(x, "i", scatter_dimension=0, tiled=True),
    "all_to_all": lambda m, x: m.lax.all_to_all(x, "i", 0, 1),
    "all_to_all_tiled": lambda m, x: m.lax.all_to_all(x, "i", 0, 1, tiled=True),
    "pswapaxes": lambda m, x: m.lax.pswapaxes(x, "i", 0),
    "ppermute": lambda m, x: m.lax.ppermute(x, "i", [(j, (j + 2) % 6) for j in range(6)]),
    "pshuffle": lambda m, x: m.lax.pshuffle(x, "i", [1, 0, 3, 4, 5, 2]),
}  # fmt: skip
SMOOTH = [n for n in TABLE if n not in ("psum_of_bools", "pmax")]
OUTSIDE_ONLY = ("all_to_all", "all_to_all_tiled", "pswapaxes")  # jax's own rule has a wrong shape for grad inside vmap


def same(ours, theirs):
    for a, b in zip(tree_leaves(ours), tree_leaves(theirs), strict=True):
        assert_close(a, b, ulps=32, scale=8.0)


def mapped(m, f):
    return m.vmap(f, axis_name="i")


@pytest.mark.parametrize("name", TABLE)
def test_as_jax(name):
    f = lambda e: TABLE[name](aj, e)  # noqa: E731
    x = anp.asarray(X)
    plain = mapped(aj, f)(x)
    same(plain, of_jax(lambda: mapped(jax, lambda e: TABLE[name](jax, e))(jnp.asarray(X))))
    same(aj.jit(mapped(aj, f))(x), plain)
    same(mapped(aj, aj.jit(f))(x), plain)


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_as_jax(name):
    def loss(m, x):
        found = tree_leaves(TABLE[name](m, m.numpy.sin(x)))
        return sum(m.numpy.sum(f * m.numpy.arange(f.size).reshape(f.shape)) for f in found)

    def outside(m, x):
        return m.grad(lambda y: mapped(m, lambda e: loss(m, e))(y).sum())(x)

    def inside(m, x):
        return mapped(m, m.grad(lambda e: loss(m, e)))(x)

    x, theirs = anp.asarray(X), jnp.asarray(X)
    same(outside(aj, x), of_jax(outside, jax, theirs))
    found = inside(aj, x)
    if name not in OUTSIDE_ONLY:
        same(found, of_jax(inside, jax, theirs))
    same(aj.jit(mapped(aj, aj.jit(aj.grad(lambda e: loss(aj, e)))))(x), found)
    pushed = mapped(aj, lambda e: aj.jvp(lambda v: loss(aj, v), (e,), (e,))[1])(x)
    assert_close(anp.sum(pushed), anp.sum(outside(aj, x) * x), ulps=64, scale=float(anp.sum(abs(pushed))))


def test_two_names():
    def f(m, x):
        y = m.lax.psum(x, "i") + m.lax.pmean(x, "j") * m.lax.axis_index("i")
        return y + m.lax.psum(x, ("i", "j")), m.lax.axis_index(("i", "j"))

    def program(m, x):
        inner = m.jit(m.vmap(lambda e: f(m, e), in_axes=1, axis_name="i"))
        return [*m.vmap(m.vmap(lambda e: f(m, e), axis_name="j"), axis_name="i")(x), *m.vmap(inner, axis_name="j")(x)]

    same(program(aj, anp.asarray(X)), of_jax(program, jax, jnp.asarray(X)))


def test_names_inside_loops_and_calls_of_unmapped_values():
    def f(m, x):
        step = lambda c, e: (c + m.lax.psum(x, "i") * e + m.lax.axis_index("i"), m.lax.pmean(c, "i"))  # noqa: E731
        last, means = m.lax.scan(step, m.numpy.zeros(3), m.numpy.arange(4.0))
        looped = m.lax.fori_loop(0, 3, lambda _, c: c + m.lax.axis_index("i"), 0)
        either = m.lax.cond(x[0] > 0, lambda: m.lax.axis_index("i"), lambda: -1)
        return last, means, looped, either, m.jit(lambda: m.lax.axis_index("i"))()

    same(
        mapped(aj, lambda e: f(aj, e))(anp.asarray(X[0])),
        of_jax(lambda: mapped(jax, lambda e: f(jax, e))(jnp.asarray(X[0]))),
    )


def test_what_jax_does_not_batch():
    x = anp.arange(6.0).reshape(2, 3)
    sent = aj.vmap(lambda e: aj.lax.ppermute(e, "i", [(0, 1), (1, 2)]), axis_name="i")(x[0])
    assert sent.tolist() == [0.0, 0.0, 1.0]  # who gets nothing has zeros
    gathered = aj.vmap(aj.vmap(lambda e: aj.lax.all_gather(e, ("j", "i")), axis_name="j"), axis_name="i")(x)
    assert gathered.shape == (2, 3, 6) and gathered[1, 2].tolist() == x.T.ravel().tolist()
    assert aj.vmap(lambda e: aj.lax.pbroadcast(e, "i", 2), axis_name="i")(x[1]).tolist() == [5.0] * 3


def test_one_jitted_function_under_axes_of_two_lengths():
    f = aj.jit(lambda x: x + aj.lax.psum(1, "i"))
    assert aj.vmap(f, axis_name="i")(anp.zeros(2)).tolist() == [2.0, 2.0]
    assert aj.vmap(f, axis_name="i")(anp.zeros(3)).tolist() == [3.0, 3.0, 3.0]


def test_errors():
    with pytest.raises(UnboundAxisError, match=r"\[psum\] .*'i'; mapped here: 'k'"):
        aj.vmap(lambda x: aj.lax.psum(x, "i"), axis_name="k")(anp.zeros(3))
    with pytest.raises(NameError, match="mapped here: none"):
        aj.jit(lambda: aj.lax.axis_index("i"))()
    with pytest.raises(RefusedError, match="axis_index_groups"):
        aj.vmap(lambda x: aj.lax.psum(x, "i", axis_index_groups=[[0, 1]]), axis_name="i")(anp.zeros(2))
    with pytest.raises(ShapeError, match=r"\[all_to_all\] expected axis 0 of float32\[3\] to have 6"):
        aj.vmap(lambda x: aj.lax.all_to_all(x[0], "i", 0, 0), axis_name="i")(anp.asarray(X))
    with pytest.raises(ValueError, match=r"\[ppermute\] expected distinct"):
        aj.vmap(lambda x: aj.lax.ppermute(x, "i", [(0, 1), (0, 2)]), axis_name="i")(np.zeros(3))
