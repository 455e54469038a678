"""Whole programs as people write them for jax, run with both libraries: values, dtypes, shapes and weak types agree.

Each takes the library under the name ``jax``, as if its import had been changed. Each result of jax is one compiled
program, since compiling is what takes it time; here every program runs jitted and with ``disable_jit``.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

import anejax as aj
import anejax.numpy
from tests.answers import of_jax


def affine(params: Any, x: Any) -> Any:
    return x @ params["w"] + params["b"]


def mlp(jax: Any) -> Any:
    """A classifier with label smoothing, clipped gradients, Adam by hand and an average of its weights."""
    jnp, random = jax.numpy, jax.random

    def loss(params: Any, x: Any, y: Any) -> Any:
        logits = affine(params[1], jax.nn.relu(affine(params[0], x)))
        targets = jax.nn.one_hot(y, 3) * 0.9 + 0.1 / 3
        return -(targets * jax.nn.log_softmax(logits)).sum(-1).mean(), {"hits": (logits.argmax(-1) == y).mean()}

    def step(state: Any, _: Any) -> Any:
        params, m, v, t, ema = state
        (value, aux), g = jax.value_and_grad(loss, has_aux=True)(params, x, y)
        norm = jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(g)))
        g = jax.tree.map(lambda leaf: leaf * jnp.minimum(1.0, 0.5 / (norm + 1e-6)), g)
        t += 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.99 * v + 0.01 * g**2, v, g)
        fixed = lambda m, v: (m / (1 - 0.9**t)) / (jnp.sqrt(v / (1 - 0.99**t)) + 1e-8)  # noqa: E731
        params = jax.tree.map(lambda p, m, v: p - 0.05 * fixed(m, v), params, m, v)
        ema = jax.tree.map(lambda e, p: e * 0.9 + p * 0.1, ema, params)
        return (params, m, v, t, ema), {"loss": value, "norm": norm, **aux}

    keys = random.split(random.key(0), 3)
    sizes = [(4, 8), (8, 3)]
    params = [{"w": random.normal(k, s) / np.sqrt(s[0]), "b": jnp.zeros(s[1])} for k, s in zip(keys, sizes)]
    x, y = random.normal(keys[2], (12, 4)), jnp.arange(12) % 3
    zeros = jax.tree.map(jnp.zeros_like, params)
    return jax.jit(lambda state: jax.lax.scan(step, state, None, length=5))((params, zeros, zeros, 0, params))


class Cache(NamedTuple):
    k: Any
    v: Any


def cached_attention(jax: Any) -> Any:
    """Tokens one by one with rotary positions and a cache of keys and values."""
    jnp, lax, random = jax.numpy, jax.lax, jax.random
    w = random.normal(random.key(0), (3, 8, 8)) / np.sqrt(8)
    angles = jnp.exp(1j * jnp.outer(jnp.arange(6.0), 1.0 / 100 ** (jnp.arange(2) / 2)))

    def rotated(x: Any, at: Any) -> Any:
        pairs = x.reshape(2, -1, 2)
        turned = lax.complex(pairs[..., 0], pairs[..., 1]) * angles[at][None]
        return jnp.stack([turned.real, turned.imag], axis=-1).reshape(2, -1)

    def step(carry: Any, x: Any) -> Any:
        cache, at = carry
        q, k, v = (x @ w).reshape(3, 2, 4)
        cache = Cache(lax.dynamic_update_slice(cache.k, rotated(k, at)[None], (at, 0, 0)), cache.v.at[at].set(v))
        scores = jnp.einsum("hd,thd->ht", rotated(q, at), cache.k) / jnp.sqrt(4)
        seen = jax.nn.softmax(jnp.where(jnp.arange(6) <= at, scores, -jnp.inf), axis=-1)
        return (cache, at + 1), jnp.einsum("ht,thd->hd", seen, cache.v).ravel()

    empty = Cache(jnp.zeros((6, 2, 4)), jnp.zeros((6, 2, 4)))
    return jax.jit(lambda xs: lax.scan(step, (empty, 0), xs))(random.normal(random.key(1), (6, 8)))


def sampling(jax: Any) -> Any:
    """The best k, of those the likeliest with a sum of p, and a draw."""
    jnp = jax.numpy

    @functools.partial(jax.jit, static_argnames=("k",))
    def sample(key: Any, logits: Any, k: int = 5, p: Any = 0.8) -> Any:
        kept, _ = jax.lax.top_k(logits, k)
        logits = jnp.where(logits < kept[..., -1:], -jnp.inf, logits)
        order = jnp.argsort(logits, axis=-1)[..., ::-1]
        ranked = jnp.take_along_axis(logits, order, -1)
        share = jax.nn.softmax(ranked, -1)
        ranked = jnp.where(jnp.cumsum(share, -1) - share > p, -jnp.inf, ranked)
        logits = jnp.put_along_axis(logits, order, ranked, axis=-1, inplace=False)
        return jax.random.categorical(key, logits, axis=-1), logits

    return sample(jax.random.key(1), jax.random.normal(jax.random.key(0), (3, 11)), k=4)


def experts(jax: Any) -> Any:
    """Two experts of four per token: products over ragged groups, and their gradient."""
    jnp, lax, random = jax.numpy, jax.lax, jax.random
    keys = random.split(random.key(0), 3)
    x, gate, w = (random.normal(k, s) for k, s in zip(keys, [(6, 4), (4, 4), (4, 4, 4)]))

    def mixed(w: Any) -> Any:
        weight, chosen = lax.top_k(jax.nn.softmax(x @ gate), 2)
        order = jnp.argsort(chosen.ravel(), stable=True)
        sizes = jnp.bincount(chosen.ravel(), length=4).astype(jnp.int32)
        y = lax.ragged_dot(x.repeat(2, axis=0)[order], w, sizes)[jnp.argsort(order)].reshape(6, 2, -1)
        return ((y * weight[..., None]).sum(1) ** 2).mean(), sizes

    return jax.jit(jax.value_and_grad(mixed, has_aux=True))(w)


def ctc(jax: Any) -> Any:
    """The loss of unaligned labels, by scan in logarithms, and its gradient."""
    jnp = jax.numpy
    low = -1e9

    def loss(logits: Any, labels: Any) -> Any:
        logp = jax.nn.log_softmax(logits)
        path = jnp.zeros(7, jnp.int32).at[1::2].set(labels)
        skips = jnp.concatenate([jnp.zeros(2, bool), (path[2:] != 0) & (path[2:] != path[:-2])])
        first = jnp.full(7, low).at[:2].set(logp[0, path[:2]])

        def step(a: Any, lp: Any) -> Any:
            one = jnp.pad(a, (1, 0), constant_values=low)[:-1]
            two = jnp.where(skips, jnp.pad(a, (2, 0), constant_values=low)[:-2], low)
            return jax.nn.logsumexp(jnp.stack([a, one, two]), axis=0) + lp[path], None

        a, _ = jax.lax.scan(step, first, logp[1:])
        return -jnp.logaddexp(a[-1], a[-2])

    logits = jax.random.normal(jax.random.key(0), (2, 9, 5))
    labels = jnp.array([[1, 2, 2], [4, 3, 1]])
    return jax.jit(jax.vmap(jax.value_and_grad(loss)))(logits, labels)


def viterbi(jax: Any) -> Any:
    """The likeliest path, forwards for scores and backwards for states."""
    jnp, lax, random = jax.numpy, jax.lax, jax.random
    a, b = (jax.nn.log_softmax(random.normal(random.key(i), (4, n))) for i, n in enumerate((4, 5)))

    def path(seen: Any) -> Any:
        def forward(best: Any, o: Any) -> Any:
            scores = best[:, None] + a
            return scores.max(0) + b[:, o], scores.argmax(0)

        best, back = lax.scan(forward, b[:, seen[0]], seen[1:])
        last = jnp.argmax(best)
        _, states = lax.scan(lambda s, row: (row[s], s), last, back, reverse=True)
        return best.max(), states, last

    return jax.jit(path)(random.randint(random.key(2), (9,), 0, 5))


def implicit(jax: Any) -> Any:
    """A fixed point found by while_loop, with a derivative by the implicit function theorem, under vmap."""
    jnp, lax = jax.numpy, jax.lax

    @functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
    def fixed_point(f: Any, a: Any, x: Any, tolerance: float = 1e-6) -> Any:
        going = lambda c: jnp.abs(c[0] - c[1]) > tolerance  # noqa: E731
        return lax.while_loop(going, lambda c: (c[1], f(a, c[1])), (x, f(a, x)))[1]

    def forward(f: Any, a: Any, x: Any, tolerance: Any) -> Any:
        found = fixed_point(f, a, x, tolerance)
        return found, (a, found)

    def backward(f: Any, kept: Any, ct: Any) -> Any:
        a, x = kept
        slope = lambda packed, u: packed[2] + jax.vjp(lambda x: f(packed[0], x), packed[1])[1](u)[0]  # noqa: E731
        u = fixed_point(slope, (a, x, ct), ct)
        return jax.vjp(lambda a: f(a, x), a)[1](u)[0], jnp.zeros_like(x), None

    fixed_point.defvjp(forward, backward)
    root = lambda a: fixed_point(lambda a, x: 0.5 * (x + a / x), a, a)  # noqa: E731
    return jax.jit(jax.vmap(jax.value_and_grad(root)))(jnp.array([1.0, 2.0, 9.0]))


def life(jax: Any) -> Any:
    jnp = jax.numpy

    def turn(_: Any, board: Any) -> Any:
        shifts = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
        around = sum(jnp.roll(board, s, (0, 1)) for s in shifts)
        return (around == 3) | (board & (around == 2))

    board = jax.random.bernoulli(jax.random.key(0), 0.4, (9, 9))
    return jax.jit(lambda b: jax.lax.fori_loop(0, 8, turn, b))(board)


def mandelbrot(jax: Any) -> Any:
    """A while_loop of complex numbers per point: as many turns as the slowest takes."""
    jnp = jax.numpy
    going = lambda s: (s[1] < 12) & (jnp.abs(s[0]) < 2)  # noqa: E731
    count = lambda c: jax.lax.while_loop(going, lambda s: (s[0] ** 2 + c, s[1] + 1), (0j, 0))[1]  # noqa: E731
    re, im = jnp.meshgrid(jnp.linspace(-2, 1, 7), jnp.linspace(-1.2, 1.2, 5))
    return jax.jit(jax.vmap(jax.vmap(count)))(re + 1j * im)


def heat(jax: Any) -> Any:
    """A spectral solver, and the gradient of what it ends at."""
    jnp = jax.numpy
    k = jnp.fft.rfftfreq(16, 1 / 16)

    def end(u: Any) -> Any:
        decay = jnp.exp(-0.05 * k**2)
        u, _ = jax.lax.scan(lambda u, _: (jnp.fft.irfft(jnp.fft.rfft(u) * decay), None), u, None, length=3)
        return (u**2).sum(), u

    return jax.jit(jax.value_and_grad(end, has_aux=True))(jnp.exp(-((jnp.arange(16.0) - 8) ** 2)))


def gaussian_process(jax: Any) -> Any:
    """The marginal likelihood by a Cholesky factor, and the gradient for its parameters."""
    jnp, linalg = jax.numpy, jax.scipy.linalg
    x = jnp.linspace(-2, 2, 8)

    def loss(p: Any) -> Any:
        kernel = jax.nn.softplus(p["scale"]) * jnp.exp(-0.5 * ((x[:, None] - x) / jax.nn.softplus(p["width"])) ** 2)
        factor = linalg.cholesky(kernel + 0.1 * jnp.eye(8), lower=True)
        alpha = linalg.solve_triangular(factor, jnp.sin(x), lower=True)
        return 0.5 * alpha @ alpha + jnp.log(jnp.diag(factor)).sum()

    return jax.jit(jax.value_and_grad(loss))({"scale": 0.5, "width": jnp.zeros(())})


def hamiltonian(jax: Any) -> Any:
    """Chains of a Hamiltonian sampler, side by side."""
    jnp, lax, random = jax.numpy, jax.lax, jax.random
    logp = lambda q: -0.5 * (q[0] ** 2 + (q[1] - q[0] ** 2) ** 2)  # noqa: E731

    def step(q: Any, key: Any) -> Any:
        draw, accept = random.split(key)
        start = random.normal(draw, q.shape)

        def leap(_: Any, state: Any) -> Any:
            q, p = state
            p = p + 0.05 * jax.grad(logp)(q)
            q = q + 0.1 * p
            return q, p + 0.05 * jax.grad(logp)(q)

        end, p = lax.fori_loop(0, 4, leap, (q, start))
        gain = logp(end) - 0.5 * p @ p - logp(q) + 0.5 * start @ start
        q = lax.cond(jnp.log(random.uniform(accept)) < gain, lambda: end, lambda: q)
        return q, q

    chain = lambda key: lax.scan(step, jnp.zeros(2), random.split(key, 5))  # noqa: E731
    return jax.jit(jax.vmap(chain))(random.split(random.key(0), 2))


def per_example(jax: Any) -> Any:
    """Gradients per example, clipped; Hessian-vector products of a tree; Newton's step."""
    jnp = jax.numpy
    x = jax.random.normal(jax.random.key(0), (5, 3))
    loss = lambda p, x: jnp.logaddexp(0.0, -(x @ p["w"] + p["b"])) + 0.05 * p["w"] @ p["w"]  # noqa: E731
    p = {"w": jnp.array([0.1, -0.2, 0.3]), "b": 0.5}

    def run(p: Any) -> Any:
        each = jax.vmap(jax.grad(loss), (None, 0))(p, x)
        norms = jnp.sqrt(sum(jnp.sum(g.reshape(5, -1) ** 2, -1) for g in jax.tree.leaves(each)))
        clipped = jax.tree.map(lambda g: (g.T * jnp.minimum(1, 0.3 / norms)).T.mean(0), each)
        total = lambda p: jax.vmap(loss, (None, 0))(p, x).mean()  # noqa: E731
        _, hvp = jax.jvp(jax.grad(total), (p,), (clipped,))
        flat = lambda w: total({"w": w, "b": p["b"]})  # noqa: E731
        newton = jnp.linalg.solve(jax.hessian(flat)(p["w"]), jax.grad(flat)(p["w"]))
        return norms, clipped, hvp, newton

    return jax.jit(run)(p)


def transport(jax: Any) -> Any:
    """Entropic transport by Sinkhorn's iteration, differentiated through all of it, and in mixed precision."""
    jnp = jax.numpy
    cost = jnp.abs(jnp.arange(4.0)[:, None] - jnp.arange(5.0))

    def plan(cost: Any) -> Any:
        def turn(carry: Any, _: Any) -> Any:
            _, g = carry
            f = -0.5 * jax.nn.logsumexp((g[None] - cost) / 0.5, axis=1)
            return (f, -0.5 * jax.nn.logsumexp((f[:, None] - cost) / 0.5, axis=0)), None

        (f, g), _ = jax.lax.scan(jax.checkpoint(turn), (jnp.zeros(4), jnp.zeros(5)), None, length=6)
        return (jnp.exp((f[:, None] + g - cost) / 0.5) * cost).sum()

    def run(cost: Any) -> Any:
        half = cost.astype(jnp.bfloat16)
        return jax.value_and_grad(plan)(cost), half.mean(0), half * 2.0, half + cost

    return jax.jit(run)(cost)


PROGRAMS = [
    mlp, cached_attention, sampling, experts, ctc, viterbi, implicit, life, mandelbrot, heat, gaussian_process,
    hamiltonian, per_example, transport,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_a_program_gives_what_it_gives_with_jax(program: Any) -> None:
    expected = of_jax(program, jax)
    got = aj.tree.leaves(program(aj))
    assert [_type(x) for x in got] == [_type(x) for x in expected]
    with aj.disable_jit():
        eager = aj.tree.leaves(program(aj))
    for name, results in {"jit": got, "disable_jit": eager}.items():
        for x, want in zip(results, expected, strict=True):
            _check_close(x, want, name)


def _type(x: Any) -> tuple[str, tuple[int, ...], bool]:
    return x.dtype.name, x.shape, x.weak_type


def _check_close(got: Any, expected: Any, name: str) -> None:
    """Floats agree to 3e-5, or 3e-6 of the greatest, bfloat16 to a unit in its last place; all else is equal."""
    rtol = 2.0**-7 if expected.dtype.name == "bfloat16" else 3e-5
    if not aj.dtypes.is_inexact(np.dtype(expected.dtype)) or np.dtype(expected.dtype).kind == "c":
        np.testing.assert_array_equal(got, expected, err_msg=name)
        return
    x, want = np.asarray(got).astype(np.float64), np.asarray(expected).astype(np.float64)
    finite = np.abs(want[np.isfinite(want)])
    np.testing.assert_allclose(x, want, rtol=rtol, atol=3e-6 * finite.max(initial=0), err_msg=name)
