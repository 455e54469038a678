"""Sums moved out of scans: which carries go, which stay, and the same values as jax with and without them.

A sum over K products agrees to 8 sqrt(K) eps of the sum of their magnitudes, which the largest element of a float64
result of the same cases, all positive or of mixed sign, stands for.
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
from anejax.core.graph import Eqn, Graph, subgraphs
from anejax.passes import sums
from anejax.passes.pipeline import optimize
from tests.answers import of_jax

EPS = np.finfo(np.float32).eps
Build = Callable[[Any], Callable[..., Any]]  # of anejax or jax


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def scans(graph: Graph) -> list[Eqn]:
    """All scans in ``graph``, outer ones first."""
    inner = [s for e in graph.eqns for g in subgraphs(e.params) for s in scans(g)]
    return [e for e in graph.eqns if e.primitive.name == "scan"] + inner


def optimized(f: Callable[..., Any], *args: Any) -> Graph:
    return optimize(aj.jit(f).trace(*args).graph)


def carried(f: Callable[..., Any], *args: Any) -> list[int]:
    """How many values each scan carries."""
    return [s.params["num_carry"] for s in scans(optimized(f, *args))]


def shapes_carried(f: Callable[..., Any], *args: Any) -> set[tuple[int, ...]]:
    return {v.aval.shape for s in scans(optimized(f, *args)) for v in s.outputs[: s.params["num_carry"]]}


def close(ours: Any, theirs: Any, products: int) -> None:
    for a, b in zip(aj.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape and a.dtype == b.dtype
        scale = max(1.0, np.abs(b).max(initial=0))
        assert np.abs(a - b).max(initial=0) <= 8 * np.sqrt(products) * EPS * scale


# --- gradients of weights that every turn uses: (build, weights, their gradient's sums move) --------------------------


def _rnn(split: Callable[[Any, Any, Any], Any]) -> Build:
    def build(lib: Any) -> Callable[..., Any]:
        def loss(w: Any, b: Any, h: Any, xs: Any) -> Any:
            body = lambda h, x: ((n := lib.numpy.tanh(split(lib.numpy, h, w) + x + b)), n)  # noqa: E731
            h, ys = lib.lax.scan(body, h, xs)
            return (h * h).sum() + (ys * ys).sum()

        return loss

    return build


def _gated(J: Any, h: Any, w: Any) -> Any:
    a, b = J.split(h @ w, 2, -1)
    return a * b


def _sliced(J: Any, h: Any, w: Any) -> Any:
    n = w.shape[1] // 2
    return h @ w[:, :n] - J.sin(h @ w[:, n:])


FORMS: dict[str, tuple[Callable[[Any, Any, Any], Any], int]] = {  # form -> (h and w to what is added, gates in w)
    "plain": (lambda J, h, w: h @ w, 1),
    "transposed": (lambda J, h, w: h @ w.T, 1),
    "gates split": (_gated, 2),
    "weights sliced": (_sliced, 2),
    "used twice": (lambda J, h, w: J.sin(h @ w) @ w, 1),
    "scaled": (lambda J, h, w: h @ (-w / 3), 1),
    "reshaped": (lambda J, h, w: h @ w.reshape(-1)[::-1].reshape(w.shape), 1),
    "factored": (lambda J, h, w: h @ (J.ones(w.shape) @ w), 1),
}


def case(name: str, turns: int = 6, batch: int = 2, hidden: int = 24) -> tuple[Build, list[np.ndarray]]:
    form, gates = FORMS[name]
    args = [normal(hidden, gates * hidden) / 8, normal(hidden), normal(batch, hidden), normal(turns, batch, hidden)]
    return _rnn(form), args


@pytest.mark.parametrize("name", FORMS)
def test_gradient_of_weights_is_not_carried(name):
    build, args = case(name)
    grad = aj.grad(build(aj), argnums=(0, 1))
    assert args[0].shape not in shapes_carried(grad, *args)
    theirs = of_jax(lambda *args: jax.jit(jax.grad(build(jax), argnums=(0, 1)))(*args), *args)
    close(aj.jit(grad)(*args), theirs, 6 * 2)


@pytest.mark.parametrize("turns", [0, 1, 2, 7, 31])
@pytest.mark.parametrize(("batch", "hidden"), [(1, 1), (1, 9), (3, 13), (4, 64)])
def test_values_at_other_sizes(turns, batch, hidden):
    build, args = case("plain", turns, batch, hidden)
    ours = aj.jit(aj.value_and_grad(build(aj), argnums=(0, 1, 2, 3)))(*args)
    theirs = of_jax(lambda *args: jax.jit(jax.value_and_grad(build(jax), argnums=(0, 1, 2, 3)))(*args), *args)
    close(ours, theirs, max(1, turns * batch))


@pytest.mark.parametrize("name", ["plain", "gates split", "used twice"])
def test_vmap_of_grad_and_grad_of_vmap(name):
    build, (w, b, h, xs) = case(name)
    w, h, xs = np.stack([w, w / 2, -w]), np.stack([h, h + 1, -h]), np.stack([xs, xs / 2, xs * 2])

    def mapped(lib: Any) -> tuple[Any, Any]:
        axes = (0, None, 0, 0)
        total = lambda *args: lib.vmap(build(lib), axes)(*args).sum()  # noqa: E731
        return lib.jit(lib.vmap(lib.grad(build(lib), (0, 1)), axes)), lib.jit(lib.grad(total, (0, 1)))

    for i, ours in enumerate(mapped(aj)):
        close(ours(w, b, h, xs), of_jax(lambda i, *args: mapped(jax)[i](*args), i, w, b, h, xs), 3 * 6 * 2)
    assert w.shape not in shapes_carried(mapped(aj)[0], w, b, h, xs)


def test_second_order():
    build, args = case("plain")
    total = lambda lib: lib.jit(lib.grad(lambda *a: (lib.grad(build(lib))(*a) ** 2).sum()))  # noqa: E731
    close(total(aj)(*args), of_jax(lambda *args: total(jax)(*args), *args), 6 * 2 * 12)


def test_gradient_of_a_bias_goes_where_its_operand_is_stacked():
    """Beside a product's; after gates only what is before them is, and the bias is summed in place."""
    (plain, args), (gated, wide) = case("plain"), case("gates split")
    assert carried(aj.grad(plain(aj), (0, 1)), *args) == [1, 1]
    assert carried(aj.grad(gated(aj), (0, 1)), *wide) == [1, 2]


def _in_chunks(lib: Any) -> Callable[..., Any]:
    """A scan of scans, each of which is computed again in the backward pass."""

    def loss(w: Any, b: Any, h: Any, xs: Any) -> Any:
        step = lambda h, x: (lib.numpy.tanh(h @ w + x + b), h)  # noqa: E731
        chunk = lib.checkpoint(lambda h, xs: lib.lax.scan(step, h, xs))
        h, ys = lib.lax.scan(chunk, h, xs.reshape(2, -1, *xs.shape[1:]))
        return (h * h).sum() + (ys * ys).sum()

    return loss


def test_scans_of_scans():
    _, args = case("plain", hidden=48)
    grad = aj.grad(_in_chunks(aj), argnums=(0, 1))
    theirs = of_jax(lambda *args: jax.jit(jax.grad(_in_chunks(jax), argnums=(0, 1)))(*args), *args)
    close(aj.jit(grad)(*args), theirs, 6 * 2)
    assert carried(grad, *args)[1:] == [1] * 4  # all but the first, forward, go backward or are computed again in it


def test_two_layers_in_one_body():
    def build(lib: Any) -> Callable[..., Any]:
        def loss(ws: Any, h: Any, xs: Any) -> Any:
            def body(carry: Any, x: Any) -> Any:
                out = []
                for w, h in zip(ws, carry):
                    x = lib.numpy.tanh(h @ w["u"] + x @ w["w"] + w["b"])
                    out.append(x)
                return tuple(out), x

            return (lib.lax.scan(body, (h, h), xs)[1] ** 2).sum()

        return loss

    ws = [{"u": normal(12, 12, seed=i) / 5, "w": normal(12, 12, seed=i + 2) / 5, "b": normal(12)} for i in range(2)]
    args = ws, normal(2, 12), normal(6, 2, 12)
    assert carried(aj.grad(build(aj)), *args) == [2, 2]
    close(aj.jit(aj.grad(build(aj)))(*args), of_jax(lambda *args: jax.jit(jax.grad(build(jax)))(*args), *args), 6 * 2)


# --- sums that a scan is written for ----------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("turns", [0, 1, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_sums_of_slices(reverse, turns, dtype):
    a, b = (normal(turns, 3, n).astype(dtype) if dtype == np.float32 else
            np.arange(turns * 3 * n, dtype=dtype).reshape(turns, 3, n) for n in (4, 5))  # fmt: skip
    first = np.ones((4, 5), dtype), np.ones(3, dtype), np.zeros((3, 4), dtype)

    def sums_of(lib: Any) -> Any:
        def body(carry: Any, x: Any) -> Any:
            gram, rows, total = carry
            a, b = x
            return (gram + a.T @ b, rows + a.sum(1) * 2, a + total), a * b[:, :1]

        return lib.jit(lambda first, xs: lib.lax.scan(body, first, xs, reverse=reverse))

    assert carried(sums_of(aj), first, (a, b)) == [0]
    close(sums_of(aj)(first, (a, b)), of_jax(lambda *args: sums_of(jax)(*args), first, (a, b)), max(1, 3 * turns))


def test_narrow_products_are_summed_in_the_wide_type():
    """Ten products of 32,000 are more than float16 holds."""
    a = np.full((10, 1, 4), 160, np.float16)
    b = np.full((10, 1, 4), 200, np.float16)

    def f(a: Any, b: Any) -> Any:
        body = lambda c, x: (c + (x[0].T @ x[1]).astype(jnp.float32), None)  # noqa: E731
        return lax.scan(body, jnp.zeros((4, 4)), (a, b))[0]

    assert carried(f, a, b) == []
    assert np.array_equal(aj.jit(f)(a, b), np.full((4, 4), 320_000, np.float32))


def test_gradient_of_a_table_read_inside_the_loop():
    table, tokens = normal(50, 6), np.array([3, 49, 3, 0, 7, -1], np.int32)

    def build(lib: Any) -> Callable[..., Any]:
        def loss(table: Any) -> Any:
            body = lambda h, i: ((h := lib.numpy.sin(h + table[i])), h)  # noqa: E731
            return (lib.lax.scan(body, lib.numpy.zeros(6), tokens)[1] ** 2).sum()

        return loss

    assert carried(aj.grad(build(aj)), table) == [1, 1]
    close(aj.jit(aj.grad(build(aj)))(table), of_jax(lambda table: jax.jit(jax.grad(build(jax)))(table), table), 6)
    rows = np.stack([table, 2 * table])
    close(
        aj.jit(aj.vmap(aj.grad(build(aj))))(rows),
        of_jax(lambda rows: jax.jit(jax.vmap(jax.grad(build(jax))))(rows), rows),
        6,
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_gradients_move_too(dtype):
    """Those of a table and of a weight: summed in float32, from what the loop stacks in 16 bits."""
    table, w, tokens = (
        normal(50, 6).astype(dtype),
        (0.1 * normal(6, 6)).astype(dtype),
        np.arange(40, dtype=np.int32) % 3,
    )

    def build(lib: Any, narrow: bool) -> Callable[..., Any]:
        def loss(table: Any, w: Any) -> Any:
            body = lambda h, i: (lib.numpy.sin(w @ h + table[i]), h)  # noqa: E731
            ys = lib.lax.scan(body, lib.numpy.zeros(6, table.dtype), tokens)[1]
            return (ys.astype("float32") ** 2).sum()

        return lambda table, w: loss(*(x if narrow else x.astype("float32") for x in (table, w)))

    assert carried(aj.grad(build(aj, True), (0, 1)), table, w) == [1, 1]
    exact = of_jax(lambda *args: jax.jit(jax.grad(build(jax, False), (0, 1)))(*args), table, w)
    for got, expected in zip(aj.jit(aj.grad(build(aj, True), (0, 1)))(table, w), exact):
        expected = np.asarray(expected, np.float32)
        assert got.dtype == dtype
        np.testing.assert_allclose(np.asarray(got, np.float32), expected, rtol=0, atol=0.05 * np.abs(expected).max())


def test_windows_added_at_places_out_of_range():
    """They are moved in; what computes the places stays in the loop."""
    rows, starts = normal(6, 2, 3), np.array([0, 3, 9, -4, 4, 1], np.int32)

    def total(lib: Any) -> Any:
        def body(c: Any, x: Any) -> Any:
            row, i = x
            return c + lib.lax.dynamic_update_slice(lib.numpy.zeros((5, 8)), row, (i, 7)), None

        return lib.jit(lambda xs: lib.lax.scan(body, lib.numpy.ones((5, 8)), xs)[0])

    assert carried(total(aj), (rows, starts)) == [0]
    close(total(aj)((rows, starts)), of_jax(lambda args: total(jax)(args), (rows, starts)), 6)


def test_complex_sums():
    a = normal(5, 2, 4) + 1j * normal(5, 2, 4, seed=1)
    f = lambda a: lax.scan(lambda c, x: (c + x.T @ x, None), jnp.zeros((4, 4), a.dtype), a)[0]  # noqa: E731
    assert carried(f, a) == []
    expected = np.einsum("tbi,tbj->ij", a, a)
    assert np.abs(aj.jit(f)(a) - expected).max() <= 8 * np.sqrt(20) * EPS * np.abs(expected).max()


# --- what stays -------------------------------------------------------------------------------------------------------


def _read_in_the_body(c: Any, x: Any) -> Any:
    return c + x, c * 2


def _returned_each_turn(c: Any, x: Any) -> Any:
    return (n := c + x), n


def _not_a_sum(c: Any, x: Any) -> Any:
    return c * 0.5 + x, None


def _added_twice(c: Any, x: Any) -> Any:
    return c + c + x, None


def _too_much_to_stack(c: Any, x: Any) -> Any:
    """A turn would stack as much as the sum has."""
    return c + jnp.sin(x), None


@pytest.mark.parametrize("body", [_read_in_the_body, _returned_each_turn, _not_a_sum, _added_twice, _too_much_to_stack])
def test_other_carries_stay(body):
    xs = normal(5, 3)
    assert carried(lambda xs: lax.scan(body, jnp.zeros(3), xs), xs) == [1]


def test_stacks_take_no_more_memory_than_the_loop_has():
    """32 numbers a turn are worth it for a sum of 256, but the loop has stacks of 3 or of 40 a turn."""

    def f(xs: Any) -> Any:
        body = lambda c, x: (c + jnp.outer(jnp.sin(x[:2].sum() * jnp.arange(16.0)), jnp.cos(x[1] * jnp.arange(16.0))), None)  # noqa: E501,E731  # fmt: skip
        return lax.scan(body, jnp.zeros((16, 16)), xs)[0]

    assert carried(f, normal(5, 3)) == [1]


def test_equal_to_the_loop_without_the_pass(monkeypatch):
    build, args = case("gates split")
    grad = lambda: aj.jit(aj.grad(build(aj), argnums=(0, 1)))  # noqa: E731
    moved = grad()(*args)
    monkeypatch.setattr(sums._Loop, "choose", lambda self: {})
    assert carried(grad(), *args) == [1, 3]
    close(moved, grad()(*args), 6 * 2)
