"""What each process runs: `mpiexec -n N python -m tests.distributed.worker [NAME ...]`. Prints one line for each check.

The oracle of collectives is ``vmap`` over all processes' arguments, of which every process takes its own row.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax import lax, nn, optim, random
from anejax.errors import DeviceError, RefusedError, ShapeError
from anejax.profiler.measured import messages
from anejax.sharding import Mesh
from anejax.sharding import PartitionSpec as P
from anejax.train import language, parallel

CHECKS: dict[str, Callable[[], None]] = {}
N, ME = aj.process_count(), aj.process_index()
DTYPES = ("float32", "int32", "bool", "bfloat16", "complex64", "uint8")


def check(function: Callable[[], None]) -> Callable[[], None]:
    CHECKS[function.__name__] = function
    return function


def mesh() -> Mesh:
    return aj.make_mesh((N,), ("b",))


def everyone(shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    """The arguments of all processes, one row for each."""
    values = np.random.default_rng(7).normal(size=(N, *shape)) * 3
    if dtype == "complex64":
        return (values + 1j * np.roll(values, 1)).astype(dtype)
    return np.asarray(
        jnp.asarray(values > 0 if dtype == "bool" else np.abs(values) if dtype == "uint8" else values, dtype)
    )


def agrees(function: Callable[[Any], Any], x: np.ndarray, ulp: float = 4) -> None:
    """``function`` in this process gives this row of what it gives mapped over all rows, eagerly and compiled."""
    expected = aj.vmap(function, axis_name="i")(x)
    compiled = aj.pmap(function, axis_name="i")
    with aj.disable_jit():
        eager = compiled(x[ME : ME + 1])
    for found in (compiled(x[ME : ME + 1]), eager):
        for a, b in zip(aj.tree.leaves(found), aj.tree.leaves(expected), strict=True):
            assert a.dtype == b.dtype, (a.dtype, b.dtype)
            wide = np.complex128 if a.dtype == np.complex64 else np.float64
            eps = float(jnp.finfo(a.dtype).eps) if jnp.issubdtype(a.dtype, jnp.inexact) else 0
            a, b = np.asarray(a)[0].astype(wide), np.asarray(b)[ME].astype(wide)
            np.testing.assert_allclose(a, b, rtol=ulp * eps, atol=ulp * eps * 10)


@check
def sums() -> None:
    for dtype in DTYPES:
        for shape in ((), (0,), (7, 3)):
            agrees(lambda x: lax.psum(x, "i"), everyone(shape, dtype))
    agrees(lambda x: lax.psum({"a": x, "b": (x[:2], 3)}, "i"), everyone((5,)))
    agrees(lambda x: lax.pmean(x, "i"), everyone((5,)))


@check
def extremes() -> None:
    x = everyone((5,)).copy()
    x[-1, 2] = np.nan
    agrees(lambda x: (lax.pmax(x, "i"), lax.pmin(x, "i")), x)


@check
def gathering() -> None:
    for dtype in DTYPES:
        agrees(lambda x: (lax.all_gather(x, "i"), lax.all_gather(x, "i", axis=1, tiled=True)), everyone((2, 3), dtype))


@check
def exchange() -> None:
    agrees(lambda x: lax.psum_scatter(x, "i", tiled=True), everyone((2 * N, 3)))
    agrees(lambda x: lax.psum_scatter(x, "i", scatter_dimension=1), everyone((3, N)))
    agrees(lambda x: lax.all_to_all(x, "i", 0, 1), everyone((N, 3), "complex64"))
    agrees(lambda x: lax.all_to_all(x, "i", 1, 0, tiled=True), everyone((3, 2 * N)))


@check
def passing_on() -> None:
    ring = [(i, (i + 1) % N) for i in range(N)]
    agrees(lambda x: (lax.ppermute(x, "i", ring), lax.ppermute(x, "i", ring[1:])), everyone((3,), "int32"))
    agrees(lambda x: lax.pshuffle(x, "i", list(range(N))[::-1]), everyone((3,)))
    agrees(lambda x: (lax.pbroadcast(x, "i", N - 1), lax.axis_index("i") + lax.psum(1, "i")), everyone((3,)))


@check
def inside_loops_and_branches() -> None:
    def loop(x: Any) -> Any:
        carry, ys = lax.scan(lambda c, t: (lax.psum(c * 0.1 + t, "i"), lax.pmean(t, "i")), x, jnp.arange(3.0))
        return lax.cond(ys.sum() > 0, lambda: lax.pmax(carry, "i"), lambda: carry), ys

    agrees(loop, everyone((3,)), ulp=16)
    agrees(lambda x: lax.fori_loop(0, 3, lambda i, c: lax.ppermute(c, "i", [(0, N - 1)]) + 1, x), everyone((3,)))


@check
def mapped_inside() -> None:
    agrees(lambda x: aj.vmap(lambda r: (lax.psum(r, "i"), lax.all_gather(r, "i")), out_axes=1)(x), everyone((4, 3)))
    agrees(lambda x: aj.vmap(lambda r: lax.psum(r, ("i", "j")), axis_name="j")(x), everyone((4, 3)))


@check
def derivatives() -> None:
    agrees(aj.grad(lambda x: jnp.sum(jnp.sin(lax.psum(x, "i") * x))), everyone((5,)), ulp=32)
    agrees(aj.grad(lambda x: jnp.sum(lax.all_gather(x, "i") ** 2 * lax.axis_index("i"))), everyone((5,)), ulp=32)
    agrees(aj.grad(lambda x: jnp.sum(lax.all_to_all(x, "i", 0, 0) ** 3)), everyone((N, 2)), ulp=32)
    agrees(aj.grad(lambda x: jnp.sum(lax.ppermute(x, "i", [(0, N - 1)]) ** 2)), everyone((3,)), ulp=32)
    agrees(lambda x: aj.jvp(lambda x: lax.pmean(x**2, "i"), (x,), (x + 1,)), everyone((3,)), ulp=32)
    agrees(aj.grad(lambda x: aj.grad(lambda y: jnp.sum(lax.psum(y**3, "i")))(x).sum()), everyone((3,)), ulp=32)


@check
def shard_map_values() -> None:
    x, w = np.arange(6.0 * N, dtype=np.float32).reshape(2, 3 * N), np.float32(3)

    def scaled(w: Any, batch: Any) -> Any:
        return {"y": w * batch["x"], "total": lax.psum(jnp.sum(batch["x"] ** 2), "b")}

    specs = {"mesh": mesh(), "in_specs": (P(), P(None, "b")), "out_specs": {"y": P(None, "b"), "total": P()}}
    for f in (aj.shard_map(scaled, **specs), aj.jit(aj.shard_map(**specs)(scaled))):
        out = f(w, {"x": x})
        np.testing.assert_array_equal(out["y"], w * x)
        np.testing.assert_allclose(out["total"], np.sum(x.astype(np.float64) ** 2), rtol=1e-6)


@check
def shard_map_gradients() -> None:
    """Of the mapped function, they are those of the same function of the whole arrays."""
    x = np.linspace(-1, 1, 4 * N, dtype=np.float32)
    local = aj.shard_map(
        lambda w, x: (lax.pmean(jnp.mean(jnp.tanh(w * x)), "b"), jnp.cos(w) * x),
        mesh=mesh(), in_specs=(P(), P("b")), out_specs=(P(), P("b")),
    )  # fmt: skip

    def objective(f: Any) -> Any:
        return lambda w, x: (lambda mean, y: mean + jnp.sum(y**2) + w * mean)(*f(w, x))

    plain = objective(lambda w, x: (jnp.mean(jnp.tanh(w * x)), jnp.cos(w) * x))
    expected = aj.grad(plain, (0, 1))(0.7, x)
    for grad in (aj.grad(objective(local), (0, 1)), aj.jit(aj.grad(objective(local), (0, 1)))):
        for a, b in zip(grad(0.7, x), expected):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(
        aj.jvp(lambda w: objective(local)(w, x), (0.7,), (1.0,))[1], expected[0], rtol=2e-5, atol=1e-6
    )


@check
def gradients_inside_need_check_vma_off() -> None:
    specs = {"mesh": mesh(), "in_specs": (P(), P("b")), "out_specs": P()}
    inner = lambda w, x: lax.psum(aj.grad(lambda w: jnp.sum(w * x))(w), "b")  # noqa: E731
    try:
        aj.shard_map(inner, **specs)(2.0, np.ones(2 * N))
    except RefusedError as err:
        assert "check_vma=False" in str(err)
    else:
        raise AssertionError("a gradient inside was taken")
    assert aj.shard_map(inner, check_vma=False, **specs)(2.0, np.ones(2 * N)) == 2 * N


@check
def profile_shows_messages() -> None:
    """Each gradient has a sum to itself; their messages are on their way while the backward pass goes on."""

    def step(ws: Any, x: Any) -> Any:
        def loss(ws: Any) -> Any:
            h = x
            for w in ws:
                h = jnp.tanh(h @ w)
            return jnp.sum(h**2)

        return aj.tree.map(lambda g: lax.pmean(g, "b"), aj.grad(loss)(ws))

    specs = {"mesh": mesh(), "in_specs": (P(), P("b")), "out_specs": P(), "check_vma": False}
    mapped = aj.jit(aj.shard_map(step, **specs))
    args = [jnp.full((64, 64), 0.01) for _ in range(4)], jnp.ones((8 * N, 64))
    mapped(*args)
    with aj.profiler.profile() as p:
        mapped(*args)
    found = messages(p.measured.ran)
    assert found.count == 4 and 0 < found.waited < found.on_the_way
    assert "4 messages to other processes" in p.table()
    sums = [r.step.what for r in sorted(p.measured.ran, key=lambda r: r.begin) if "aj_process_sum" in r.step.what]
    assert all("start" in what for what in sums[:4])


@check
def float16_messages_travel_during_the_backward_pass() -> None:
    def step(ws: Any, left: Any, x: Any) -> Any:
        def loss(ws: Any) -> Any:
            h = x
            for w in ws:
                h = jnp.tanh(h @ w)
            return jnp.sum(h**2)

        return aj.distributed.float16_mean(aj.grad(loss)(ws), left, "b")

    specs = {"in_specs": (P(), P(), P("b")), "out_specs": P(), "check_vma": False}
    mapped = aj.jit(aj.shard_map(step, mesh=mesh(), **specs))
    ws = [jnp.full((64, 64), 0.01) for _ in range(4)]
    args = ws, aj.tree.map(jnp.zeros_like, ws), jnp.ones((8 * N, 64))
    mapped(*args)
    with aj.profiler.profile() as p:
        mapped(*args)
    found = messages(p.measured.ran)
    assert found.count == 8 and 0 < found.waited < found.on_the_way
    whats = [r.step.what for r in sorted(p.measured.ran, key=lambda r: r.begin)]
    first = next(i for i, what in enumerate(whats) if "aj_process_exchange start" in what)
    waits = next(i for i, what in enumerate(whats) if "aj_process_exchange finish" in what)
    assert sum("aj_process_exchange start" in what for what in whats[:waits]) == 4
    assert any("gemm" in what for what in whats[first:waits]), whats  # the gradients of other layers


@check
def refusals() -> None:
    total = aj.shard_map(lambda x: lax.psum(x.sum(), "b"), mesh=mesh(), in_specs=P("b"), out_specs=P())
    for wrong, call in (
        (ShapeError, lambda: total(np.ones(N + 1))),
        (ShapeError, lambda: aj.make_mesh((N + 1,), ("b",))),
        (ShapeError, lambda: aj.pmap(lambda x: x)(np.ones((2, 3)))),
        (ValueError, lambda: aj.shard_map(lambda x: x, mesh=mesh(), in_specs=P("c"), out_specs=P())(np.ones(N))),
        (DeviceError, lambda: aj.distributed.initialize(num_processes=N + 1)),
    ):
        try:
            call()
        except wrong:
            continue
        raise AssertionError(f"{wrong.__name__} was not raised")


class _TwoTables(nn.Layer):
    """The logits of the next token."""

    def apply(self, params: Any, state: Any, x: Any, **_: Any) -> Any:
        return jnp.tanh(params["in"][x]) @ params["out"], state


def _steps(model: nn.Layer, state: Any, step: Any, tokens: np.ndarray) -> tuple[list[float], Any]:
    losses = []
    for _ in range(4):
        state, metrics = step(state, tokens[:, :-1], tokens[:, 1:])
        losses.append(float(metrics["loss"]))
    return losses, state


@check
def training_is_that_of_one_process() -> None:
    """Losses within float32's sums of those of a step on the whole batch, and the same bits twice."""
    model, optimizer, rng = _TwoTables(), optim.adam(1e-2), np.random.default_rng(0)
    tokens = rng.integers(0, 11, (4 * N, 6), np.int32)
    params = {"in": rng.normal(size=(11, 8)).astype(np.float32), "out": rng.normal(size=(8, 11)).astype(np.float32)}

    def start() -> language.TrainState:
        return language.TrainState(aj.tree.map(jnp.array, params), optimizer.init(params))

    def whole(state: Any, tokens: Any, targets: Any) -> Any:
        mean = lambda p: jnp.mean(language.losses(model, p, tokens, targets))  # noqa: E731
        value, grads = aj.value_and_grad(mean)(state.params)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        return language.TrainState(optim.apply_updates(state.params, updates), opt_state), {"loss": value}

    step = language.train_step(model, optimizer)
    (once, state), (twice, again) = (_steps(model, start(), step, tokens) for _ in range(2))
    np.testing.assert_allclose(once, _steps(model, start(), aj.jit(whole), tokens)[0], rtol=1e-5)
    assert once == twice
    assert all(np.array_equal(a, b) for a, b in zip(aj.tree.leaves(state), aj.tree.leaves(again), strict=True))


@check
def means_sent_as_float16() -> None:
    """The same in every process, and over many steps the true ones."""
    grads = {"w": everyone((7, 3)), "b": everyone((5,)) * 1e-3, "none": everyone((0,))}
    step = aj.pmap(lambda g, e: aj.distributed.float16_mean(g, e, "i"), axis_name="i")
    mine = aj.tree.map(lambda x: x[ME : ME + 1], grads)
    left = aj.tree.map(np.zeros_like, mine)
    total = aj.tree.map(lambda x: np.zeros(x.shape[1:]), grads)
    for _ in range(20):
        means, left = step(mine, left)
        total = aj.tree.map(lambda t, m: t + np.asarray(m, np.float64)[0] / 20, total, means)
    for name, x in grads.items():
        largest = np.abs(x).max(initial=0)
        np.testing.assert_allclose(total[name], x.astype(np.float64).mean(0), rtol=0, atol=largest * 2.0**-13)
        whole = np.asarray(aj.pmap(lambda m: lax.all_gather(m, "i"), axis_name="i")(means[name]))[0]
        assert all(np.array_equal(whole[0], row) for row in whole)


@check
def other_data_are_refused() -> None:
    parallel.check_alike({"lr": 0.1, "stream": "a"})
    try:
        parallel.check_alike({"lr": 0.1, "stream": str(ME)})
    except parallel.ParallelError as err:
        assert "differ in: stream." in str(err)
    else:
        raise AssertionError("processes with other data were taken")


@check
def batch_norm_over_processes() -> None:
    norm = nn.BatchNorm(axis_name="i")
    params, state = norm.init(random.PRNGKey(0), np.zeros((3, 5), np.float32))
    agrees(lambda x: norm.apply(params, state, x, train=True), everyone((3, 5)), ulp=64)


def main() -> int:
    failed = 0
    for name in sys.argv[1:] or CHECKS:
        try:
            CHECKS[name]()
        except Exception:
            failed += 1
            print(f"[{ME}] {name} failed:\n{traceback.format_exc()}", flush=True)
        else:
            print(f"[{ME}] {name} passed", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
