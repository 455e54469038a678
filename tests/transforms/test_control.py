"""Loops and branches against jax on the CPU: values, types, derivatives in both modes, maps, nesting.

Each case is a function of (numpy, lax) of either library; every test runs it with both. float32 results of chains of a
few operations agree to 2e-5 relative to the largest element.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax
from tests.answers import of_jax

Build = Callable[[Any, Any], Callable[..., Any]]
RNG = np.random.default_rng(7)
W, H, XS = (RNG.normal(size=s).astype(np.float32) for s in ((3, 3), (3,), (5, 3)))


def _rnn(J: Any, L: Any) -> Any:
    def loss(w: Any, h: Any, xs: Any) -> Any:
        def step(h: Any, x: Any) -> Any:
            h = J.tanh(w @ h + x)
            return h, h * x

        h, ys = L.scan(step, h, xs)
        return (h**2).sum() + (ys * J.arange(ys.size).reshape(ys.shape)).sum()

    return loss


def _reverse_with_int_carry(J: Any, L: Any) -> Any:
    def loss(w: Any, h: Any, xs: Any) -> Any:
        def step(carry: Any, x: Any) -> Any:
            i, h = carry
            h = J.sin(h @ w) * (i + 1)
            return (i + 1, h), {"sum": (h * x).sum(), "i": i}

        (i, h), ys = L.scan(step, (0, h), xs, reverse=True)
        return h.sum() * i + (ys["sum"] * ys["i"]).sum()

    return loss


def _no_xs(J: Any, L: Any) -> Any:
    return lambda w, h, xs: L.scan(lambda h, _: (J.cos(w @ h), h.sum()), h, length=4)[0].sum() + xs.sum()


def _body_of_consts_alone(J: Any, L: Any) -> Any:
    def loss(w: Any, h: Any, xs: Any) -> Any:
        """Everything but the sum is the same in each turn, and one output does not depend on the turn at all."""
        step = lambda total, x: (total + (J.exp(w) @ h), J.tanh(h))  # noqa: E731
        total, ys = L.scan(step, J.zeros(3), xs)
        return (total * ys).sum()

    return loss


def _nested(J: Any, L: Any) -> Any:
    def loss(w: Any, h: Any, xs: Any) -> Any:
        def outer(h: Any, x: Any) -> Any:
            inner = lambda g, row: (J.tanh(g + row * x), g.sum())  # noqa: E731
            g, sums = L.scan(inner, h, w)
            return g, sums

        h, sums = L.scan(outer, h, xs)
        return (h * sums.mean(0)).sum()

    return loss


def _for(J: Any, L: Any) -> Any:
    return lambda w, h, xs: L.fori_loop(1, 5, lambda i, h: J.sin(w @ h) * i, h).sum() + xs.sum()


def _cond_in_scan(J: Any, L: Any) -> Any:
    def loss(w: Any, h: Any, xs: Any) -> Any:
        def step(h: Any, x: Any) -> Any:
            h = L.cond(x[0] > 0, lambda h: J.tanh(w @ h), lambda h: h * x, h)
            return h, L.switch(J.argmax(x), [lambda a: a.sum(), lambda a: (a * w[0]).sum(), lambda a: J.float32(1)], h)

        h, ys = L.scan(step, h, xs)
        return h.sum() + (ys**2).sum()

    return loss


def _cond(J: Any, L: Any) -> Any:
    def loss(w: Any, h: Any, xs: Any) -> Any:
        pick = lambda p: L.cond(p, lambda a: J.sin(w @ a), lambda a: a * J.exp(h), h)  # noqa: E731
        return pick(xs[0, 0] > 0).sum() + pick(xs[0, 0] <= 0).sum()

    return loss


def _checkpointed(J: Any, L: Any) -> Any:
    checkpoint = jax.checkpoint if J is jax.numpy else aj.checkpoint

    def loss(w: Any, h: Any, xs: Any) -> Any:
        step = checkpoint(lambda h, x: (J.tanh(w @ h) * x, h.sum()))
        h, ys = L.scan(step, h, xs)
        return h.sum() + ys.sum()

    return loss


def _custom(J: Any, L: Any) -> Any:
    lib = jax if J is jax.numpy else aj

    @lib.custom_vjp
    def clipped(x: Any) -> Any:
        return J.sin(x)

    clipped.defvjp(lambda x: (J.sin(x), x), lambda x, ct: (J.clip(ct, -0.5, 0.5) * x,))

    def loss(w: Any, h: Any, xs: Any) -> Any:
        h, ys = L.scan(lambda h, x: (clipped(w @ h), h * x), h, xs)
        return h.sum() + ys.sum()

    return loss


def _mapped(J: Any, L: Any) -> Any:
    return lambda w, h, xs: (L.map(lambda x: J.tanh(w @ x) * h, xs) ** 2).sum()


def _mapped_in_batches(J: Any, L: Any) -> Any:
    return lambda w, h, xs: (L.map(lambda x: J.tanh(w @ x) * h, xs, batch_size=2) ** 2).sum()


def _prefixes(J: Any, L: Any) -> Any:
    def loss(w: Any, h: Any, xs: Any) -> Any:
        affine = lambda a, b: (a[0] * b[0], b[0] * a[1] + b[1])  # noqa: E731
        scale, shift = L.associative_scan(affine, (J.tanh(xs), xs * h))
        back = L.associative_scan(J.add, w, reverse=True, axis=1)
        return (scale * shift).sum() + (back**2).sum()

    return loss


DIFFERENTIABLE: dict[str, Build] = {
    f.__name__.strip("_"): f
    for f in (_rnn, _reverse_with_int_carry, _no_xs, _body_of_consts_alone, _nested, _for, _cond_in_scan, _cond,
              _checkpointed, _custom, _mapped, _mapped_in_batches, _prefixes)
}  # fmt: skip
REVERSE_ONLY = {"custom"}
CASES = pytest.mark.parametrize("name", sorted(DIFFERENTIABLE))


def both(name: str) -> tuple[Any, Any]:
    build = DIFFERENTIABLE[name]
    return build(jnp, lax), build(jax.numpy, jax.lax)


def same(got: Any, expected: Any) -> None:
    got, expected = aj.tree.leaves(got), jax.tree.leaves(expected)
    assert len(got) == len(expected)
    for g, e in zip(got, expected):
        assert g.shape == e.shape and g.dtype == e.dtype, (g, e)
        scale = np.abs(np.asarray(e, np.float64)).max(initial=1e-3)
        np.testing.assert_allclose(np.asarray(g, np.float64), np.asarray(e, np.float64), rtol=0, atol=2e-5 * scale)


@CASES
@pytest.mark.parametrize("jit", [False, True])
def test_values_and_gradients(name: str, jit: bool) -> None:
    ours, theirs = both(name)
    f, df = (aj.jit(ours), aj.jit(aj.grad(ours, (0, 1, 2)))) if jit else (ours, aj.grad(ours, (0, 1, 2)))
    same(f(W, H, XS), of_jax(lambda: theirs(W, H, XS)))
    same(df(W, H, XS), of_jax(lambda: jax.grad(theirs, (0, 1, 2))(W, H, XS)))


@CASES
def test_forward_mode_and_second_order(name: str) -> None:
    if name in REVERSE_ONLY:
        pytest.skip("custom_vjp has a rule for reverse mode alone")
    ours, theirs = both(name)
    same(aj.jit(aj.jacfwd(ours, (0, 1, 2)))(W, H, XS), of_jax(lambda: jax.jacfwd(theirs, (0, 1, 2))(W, H, XS)))
    same(aj.jit(aj.hessian(ours, 1))(W, H, XS), of_jax(lambda: jax.hessian(theirs, 1)(W, H, XS)))


@CASES
@pytest.mark.parametrize("axes", [(0, None, None), (None, 1, None), (1, 0, 2)])
def test_vmap_of_grad(name: str, axes: tuple[int | None, ...]) -> None:
    ours, theirs = both(name)
    args = [x if a is None else np.stack([x, -x], a) for x, a in zip((W, H, XS), axes)]
    same(aj.jit(aj.vmap(aj.grad(ours), axes))(*args), of_jax(lambda: jax.vmap(jax.grad(theirs), axes)(*args)))
    if name not in REVERSE_ONLY:
        same(
            aj.vmap(aj.value_and_grad(ours, 2), axes)(*args),
            of_jax(lambda: jax.vmap(jax.value_and_grad(theirs, 2), axes)(*args)),
        )


@CASES
def test_grad_of_vmap(name: str) -> None:
    ours, theirs = both(name)
    args = W, np.stack([H, -2 * H]), XS
    total = lambda f, lib: lambda w, h, xs: lib.vmap(f, (None, 0, None))(w, h, xs).sum()  # noqa: E731
    same(aj.jit(aj.grad(total(ours, aj), (0, 1)))(*args), of_jax(lambda: jax.grad(total(theirs, jax), (0, 1))(*args)))


@CASES
def test_the_oracle_agrees(name: str) -> None:
    """The loop in Python, which the definition is."""
    ours, theirs = both(name)
    with aj.config.override("eager", "numpy"):
        same(aj.grad(ours)(W, H, XS), of_jax(lambda: jax.grad(theirs)(W, H, XS)))


@pytest.mark.parametrize("wrap", ["jit", "checkpoint"])
def test_linearized_while_of_a_wrapped_body(wrap: str) -> None:
    """The body's call computes both what is known and what is not; the Graphs that come of it are well formed."""

    def linearized(lib: Any, J: Any) -> Any:
        def f(x: Any, w: Any) -> Any:
            body = getattr(lib, wrap)(lambda c: (c[0] + 1, J.sin(c[1]) * c[2] + w, c[2] * 1.5))
            return lib.lax.while_loop(lambda c: c[0] < 3, body, (0, x, J.float32(2)))[1]

        return lambda x, w: lib.linearize(f, x, w)[1](x, w)

    ours, theirs = linearized(aj, jnp), linearized(jax, jax.numpy)
    with aj.enable_checks():
        same(ours(H, H), of_jax(lambda: theirs(H, H)))
        same(aj.jit(ours)(H, H), of_jax(lambda: theirs(H, H)))
        same(aj.jvp(ours, (H, H), (H, H)), of_jax(lambda: jax.jvp(theirs, (H, H), (H, H))))
        same(aj.vmap(ours)(XS, XS), of_jax(lambda: jax.vmap(theirs)(XS, XS)))


NARROW = pytest.mark.parametrize("dtype", ["bfloat16", "float16"])


@NARROW
@pytest.mark.parametrize("jit", [False, True])
def test_gradients_of_16_bit_consts_are_summed_wide(dtype: str, jit: bool) -> None:
    """5000 ones: a carry of the narrow type would stop at 256 or 2048, as jax's does. Each total is rounded once."""
    n = 5000
    ones, total = jnp.ones(n, dtype), lambda x: x.astype(jnp.float32)

    def const(w: Any) -> Any:
        return lax.scan(lambda c, x: (c + total(w[0] * x), None), 0.0, ones)[0]

    def carry(w: Any) -> Any:
        return lax.scan(lambda c, x: ((c[0] + total(c[1][0] * x), c[1]), None), (0.0, w), ones)[0][0]

    def jitted(w: Any) -> Any:
        step = aj.jit(aj.checkpoint(lambda c, x: ((c[0] + total(c[1][0] * x), c[1]), None)))
        return lax.scan(step, (0.0, w), ones)[0][0]

    def turns(w: Any) -> Any:
        return lax.fori_loop(0, n, lambda i, c: (c[0] + total(c[1][0]), c[1]), (0.0, w))[0]

    def product(w: Any) -> Any:
        return lax.scan(lambda c, x: (c + total(w @ x), None), 0.0, jnp.ones((n, 3), dtype))[0]

    def rows(w: Any) -> Any:
        return lax.scan(lambda c, i: (c + total(w[i]), None), 0.0, jnp.zeros(n, jnp.int32))[0]

    def mapped(w: Any) -> Any:
        return aj.vmap(lambda y: const(w * y))(jnp.ones(1, dtype)).sum()

    def nested(w: Any) -> Any:
        step = lambda c, x: (c + lax.scan(lambda c, y: (c + total(w[0] * y), None), 0.0, x)[0], None)  # noqa: E731
        return lax.scan(step, 0.0, ones.reshape(5, -1))[0]

    w, expected = jnp.ones(3, dtype), np.asarray(5000).astype(jnp.dtype(dtype))
    for f in (const, carry, jitted, turns, product, rows, mapped, nested):
        gradient = aj.jit(aj.grad(f))(w) if jit else aj.grad(f)(w)
        assert gradient.dtype == dtype and gradient[0] == expected, f.__name__
        assert aj.jvp(f, (w,), (w,))[1].dtype == np.float32
