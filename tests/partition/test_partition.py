"""Plans compute the function however it is divided; what crosses is float16; state keeps float32; costs decide."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import nn, optim
from anejax.mil.verify import verify
from anejax.partition import Plan, donated, fixed, partition, plan, state
from anejax.partition.border import BORDER
from anejax.partition.levels import cheapest_cut, components, readers_of, subgraph
from anejax.passes.pipeline import optimize
from tests.partition.run import run_plan

EPS = 2.0**-11  # of float16: a value that crosses is off by half a unit in the last place


def planned(f: Any, *args: Any, chip: str = "M4", **how: Any) -> Plan:
    return partition(optimize(aj.make_jaxpr(f)(*args).graph), chip, **{"by_cost": False, **how})


def devices(found: Plan) -> list[str]:
    return [s.device for s in found.segments]


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def mixed(x: Any, w: Any, i: Any) -> Any:
    rows = jnp.sort(jnp.tanh(x @ w)[i], axis=0)
    return jnp.sin(rows @ w) + jnp.cumsum(rows, 0), jnp.exp(w.T @ w), i + 1, jnp.sum(x @ w)


@pytest.mark.parametrize("chip", ["M1", "M4"])
def test_computes_the_function(chip: str) -> None:
    args = (normal(5, 4), normal(4, 4, seed=1), np.array([3, 0, 3], np.int32))
    found = planned(mixed, *args, chip=chip)
    assert devices(found).count("ane") == 2
    for got, expected in zip(run_plan(found, list(map(jnp.asarray, aj.tree.leaves(args)))), mixed(*args), strict=True):
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=0, atol=16 * EPS * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_long_segments_are_cut_anywhere(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scalars and bools go from one engine program to the next as float16 of rank 1."""
    monkeypatch.setattr(plan, "MAX_PROGRAM_OPS", limit)

    def f(x: Any, w: Any) -> Any:
        y = x @ w
        keep = y > jnp.mean(y)
        return jnp.where(keep, jnp.tanh(y), jnp.sum(y) * y) @ w, jnp.max(y)

    args = (normal(6, 5), normal(5, 5, seed=1))
    found = planned(f, *args)
    assert devices(found).count("ane") >= {1: 6, 3: 4, 7: 2}[limit]
    for got, expected in zip(run_plan(found, list(map(jnp.asarray, aj.tree.leaves(args)))), f(*args), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=64 * EPS * np.abs(expected).max())


def test_engine_segments_have_ports_that_it_takes() -> None:
    args = (normal(5, 4), normal(4, 4), np.array([3, 0, 3], np.int32))
    for chip in ("M1", "M4"):
        for segment in planned(mixed, *args, chip=chip).segments:
            if segment.program is not None:
                verify(segment.program, "ane")
                for v in (*segment.graph.inputs, *segment.graph.outputs):
                    assert v.aval.dtype == BORDER and v.aval.ndim >= 1


def test_every_equation_is_somewhere() -> None:
    args = (normal(5, 4), normal(4, 4), np.array([3, 0, 3], np.int32))
    found = planned(mixed, *args)
    assert sorted(i for s in found.segments for i in s.origin) == list(range(len(found.source.eqns)))
    for segment in found.segments:
        assert {found.reasons[i] is None for i in segment.origin} <= {segment.device == "ane"}


def test_a_value_that_two_sides_read_crosses_once() -> None:
    found = planned(lambda x, w: (jnp.sort(x @ w), jnp.argmax(x @ w, 0), (x @ w) @ w), normal(4, 4), normal(4, 4))
    engine = next(s for s in found.segments if s.device == "ane")
    assert len(engine.graph.outputs) == 2


def test_outputs_of_the_engine_are_its_own() -> None:
    """What is returned as it came, or twice, is multiplied by one: the engine's compiler crashes on returned inputs."""
    found = planned(lambda x, w: (jnp.sort(jnp.reshape(x, (4, 4))), jnp.sort(jnp.reshape(x, (4, 4)) * w)),
                    normal(16), normal(4, 4))  # fmt: skip
    for segment in found.segments:
        if segment.program is not None:
            outputs = segment.program.main.outputs
            assert len(set(outputs)) == len(outputs) and not set(outputs) & set(segment.program.main.inputs)


def loss(params: Any, x: Any, y: Any) -> Any:
    return jnp.mean((jnp.tanh(x @ params["w"] + params["b"]) @ params["v"] - y) ** 2)


def train_step(optimizer: Any) -> Any:
    def step(params: Any, opt_state: Any, x: Any, y: Any) -> Any:
        value, grads = aj.value_and_grad(loss)(params, x, y)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optim.apply_updates(params, updates), opt_state, value

    return step


PARAMS = {"w": normal(8, 16), "b": np.zeros(16, np.float32), "v": normal(16, 3)}
OPTIMIZERS = {
    "sgd": optim.sgd(0.1),
    "momentum": optim.sgd(0.1, momentum=0.9, nesterov=True),
    "adamw": optim.adamw(1e-3, weight_decay=0.1),
    "clipped": optim.chain(optim.clip_by_global_norm(1.0), optim.adam(1e-3)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_training_step_is_one_engine_program_and_float32_state(name: str) -> None:
    """Only the loss and its gradients are the engine's: no equation of the optimizer, norms of gradients included."""
    optimizer = OPTIMIZERS[name]
    args = (PARAMS, optimizer.init(PARAMS), normal(4, 8), normal(4, 3))
    found = planned(train_step(optimizer), *args)
    assert devices(found) == ["cpu", "ane", "cpu"]
    before, _, after = found.segments
    kept = set(before.outputs) & set(after.graph.inputs)
    assert all(v.aval.shape == () for v in kept), "the update begins when the gradients are there"
    alone = planned(aj.value_and_grad(loss), PARAMS, *args[2:])
    assert sum(r is None for r in found.reasons) <= sum(r is None for r in alone.reasons)
    outs = aj.tree.leaves(aj.jit(train_step(optimizer))(*args))
    for got, expected, before in zip(
        run_plan(found, list(map(jnp.asarray, aj.tree.leaves(args)))), outs, aj.tree.leaves(args)
    ):
        moved = np.abs(np.asarray(expected, np.float64) - before).max() if np.shape(before) else 1.0
        np.testing.assert_allclose(got, expected, rtol=0, atol=0.02 * moved + 1e-7)


def update(p: Any, g: Any) -> Any:
    return p - 0.01 * g


def test_updates_alone_are_state_where_they_take_the_place_of_an_input() -> None:
    """A jitted update has gradients as inputs, which have no history; that its weights are given away says enough."""
    args = (normal(4, 4), normal(4, 4))
    found = planned(update, *args, known=donated([0]))
    assert devices(found) == ["cpu"] and set(found.reasons) == {state.SERVES, state.reason_for(state.DONATED)}
    assert "ane" in devices(planned(update, *args)), "a residual connection looks the same"
    assert "ane" in devices(planned(update, *args, keep_state=False, known=donated([0])))
    assert devices(planned(update, *args, by_cost=True)) == ["cpu"], "a dispatch costs more than it"


FEATURES: dict[str, Any] = {
    "exp": jnp.exp,
    "softmax": aj.nn.softmax,
    "RMSNorm": lambda x: x * aj.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5),
    "SiLU and a residual": lambda x: x + aj.nn.silu(x),
    "gradient of its features": aj.grad(lambda x: jnp.sum(jnp.tanh(x) * x)),
}


@pytest.mark.parametrize("name", FEATURES)
def test_features_that_become_features_are_no_state(name: str) -> None:
    found = planned(FEATURES[name], normal(8, 16))
    assert devices(found) == ["cpu", "ane", "cpu"] and set(found.reasons) == {None}


@pytest.mark.parametrize("by_cost", [False, True])
def test_an_encoder_is_a_few_segments(by_cost: bool) -> None:
    def part(*layers: nn.Layer) -> nn.Layer:
        return nn.Residual(nn.Sequential(nn.LayerNorm(), *layers))

    width = 64
    blocks = [(part(nn.MultiHeadAttention(4)), part(nn.Linear(4 * width), nn.GELU(), nn.Linear(width)))] * 12
    net = nn.Sequential(*(layer for pair in blocks for layer in pair))
    params, kept = net.init(aj.random.key(0), array(8, 64, width))
    found = planned(lambda p, x: net.apply(p, kept, x)[0], params, array(8, 64, width), by_cost=by_cost)
    assert len(found.segments) <= 4
    assert all(r is None or "state" not in r for r in found.reasons)


def test_evidence_of_state() -> None:
    """Weights, their moments and their decay are kept, each with its evidence; running statistics where they are given
    away."""

    def step(w: Any, m: Any, seen: Any, x: Any) -> Any:
        g = aj.grad(lambda w: jnp.sum(jnp.tanh(x @ w)))(w)
        m = 0.9 * m + g
        return w * 0.999 - 0.1 * m, m, 0.9 * seen + 0.1 * jnp.mean(x, 0), jnp.tanh(x)

    args = (normal(8, 8), normal(8, 8), normal(8), normal(4, 8))
    by = lambda found: [(e.primitive.name, r) for e, r in zip(found.source.eqns, found.reasons) if r]  # noqa: E731
    gradient, given = state.reason_for(state.GRADIENT), state.reason_for(state.DONATED)
    found = by(planned(step, *args))
    assert {r for _, r in found} == {gradient} and sorted(n for n, _ in found) == ["add", "mul", "mul", "mul", "sub"]
    found = by(planned(step, *args, known=donated([2])))
    assert [n for n, r in found if r == given] == ["mul", "add"]
    text = str(aj.explain(aj.jit(step, donate_argnums=2), *args))
    assert given in " ".join(text.split()) and gradient in " ".join(text.split())


def scaled(params: Any, x: Any, y: Any, scale: Any) -> Any:
    return loss(params, x, y) * scale


def unscaled_gradients(params: Any, x: Any, y: Any, scale: Any) -> Any:
    return aj.tree.map(lambda g: g / scale, aj.grad(scaled)(params, x, y, scale))


def clipped(params: Any, x: Any, y: Any, scale: Any) -> Any:
    grads = unscaled_gradients(params, x, y, scale)
    norm = optim.global_norm(grads)
    return aj.tree.map(lambda g, p: g / jnp.maximum(norm, 1.0) + 0.1 * p, grads, params), norm


@pytest.mark.parametrize("f", [unscaled_gradients, clipped])
def test_what_a_scale_is_taken_out_of_keeps_float32(f: Any) -> None:
    """Gradients of 2^-30 survive: the engine has them scaled, and the CPU device unscales and clips them."""
    args = (PARAMS, normal(4, 8), normal(4, 3), np.float32(2.0**10))
    found = planned(f, *args)
    assert devices(found)[-1] == "cpu" and devices(found).count("ane") == 1
    reasons = [r for e, r in zip(found.source.eqns, found.reasons) if e.primitive.name in ("div", "sqrt")]
    assert reasons.count(fixed.UNSCALED) >= 3
    given = (PARAMS, normal(4, 8), normal(4, 3) * 1e-3, np.float32(2.0**10))
    for got, expected in zip(run_plan(found, list(map(jnp.asarray, aj.tree.leaves(given)))),
                             aj.tree.leaves(f(*given)), strict=True):  # fmt: skip
        np.testing.assert_allclose(got, expected, rtol=0, atol=8 * EPS * np.abs(expected).max())


def test_only_what_follows_from_a_scale_is_unscaled() -> None:
    """A temperature that scores do not depend on, and a time inside a network, are no loss scales."""
    for f in (lambda x, w, t: jnp.tanh(x @ w / t), lambda x, w, t: ((x @ w + t) * t) @ w):
        found = planned(f, normal(4, 8), normal(8, 8), np.float32(2))
        assert set(found.reasons) == {None}


def test_numbers_stay_numbers() -> None:
    """A scale of 2^20 over 2^10 elements is 2^10, which crosses; the scale itself would be infinite."""
    f = lambda w, x, s: (x @ w) * (s / 2**10) + jnp.sqrt(s)  # noqa: E731
    args = (np.ones((4, 4), np.float32), np.ones((4, 4), np.float32), np.float32(2.0**20))
    found = planned(f, *args)
    assert [r for r in found.reasons if r] == [fixed.NUMBER] * 2
    (got,) = run_plan(found, list(map(jnp.asarray, args)))
    np.testing.assert_array_equal(got, np.full((4, 4), 2.0**12 + 2.0**10, np.float32))


def test_layers_are_no_state() -> None:
    found = planned(lambda x, w, b: jnp.maximum(x @ w + b, 0), normal(4, 8), normal(8, 8), normal(8))
    assert devices(found) == ["cpu", "ane", "cpu"] and set(found.reasons) == {None}


def array(*shape: int) -> Any:
    return aj.ShapeDtypeStruct(shape, "float32")


def test_costs_decide() -> None:
    """A dispatch pays for a large product, and not for a small one; nor for work beside it that moves much and does
    little."""
    product = lambda x, w: x @ w  # noqa: E731
    assert devices(planned(product, array(64, 64), array(64, 64), by_cost=True)) == ["cpu"]
    assert "ane" in devices(planned(product, array(2048, 2048), array(2048, 2048), by_cost=True))
    beside = planned(lambda x, w, z: (x @ w, jnp.sum(z, 0)), array(2048, 2048), array(2048, 2048), array(4096, 4096),
                     by_cost=True)  # fmt: skip
    names = {e.primitive.name: r for e, r in zip(beside.source.eqns, beside.reasons)}
    assert names["dot_general"] is None
    assert names["reduce_sum"] is not None and "predicted to take" in names["reduce_sum"]


def test_components() -> None:
    graph = optimize(aj.make_jaxpr(lambda x, y: (jnp.sin(x) @ y, jnp.cos(y), jnp.exp(jnp.tanh(x))))(
        normal(3, 3), normal(3, 3)).graph)  # fmt: skip
    found = [[e.primitive.name for e in c.eqns] for c in components(graph)]
    assert sorted(map(sorted, found)) == [["cos"], ["dot_general", "sin"], ["exp", "tanh"]]


def test_cuts_are_where_little_crosses() -> None:
    """Between two blocks of much work on wide arrays stands a narrow one."""

    def f(x: Any, w: Any) -> Any:
        for _ in range(2):
            y = jnp.tanh(x @ w)
            x = jnp.sum(jnp.exp(y) * jnp.tanh(y), 1, keepdims=True)
        return x

    graph = optimize(aj.make_jaxpr(f)(normal(64, 1), normal(1, 64)).graph)
    cut = cheapest_cut(graph)
    made = {v for e in graph.eqns[:cut] for v in e.outputs}
    needed = {a for e in graph.eqns[cut:] for a in e.inputs if a in made}
    assert sum(a.aval.size for a in needed) == 64 and len(graph.eqns) // 3 <= cut <= 2 * len(graph.eqns) // 3
    two = optimize(aj.make_jaxpr(lambda x: jnp.tanh(jnp.exp(x)))(normal(3)).graph)
    assert cheapest_cut(two) == 1


def test_nothing_to_divide() -> None:
    assert planned(lambda x: x, normal(3)).segments == ()
    assert devices(planned(lambda x: jnp.zeros((0, 3)) @ x, normal(3, 3))) == ["cpu"]


def layered(params: Any, x: Any) -> Any:
    """Eight equal layers, between an input and an output of their own."""
    for w, v in params[:-1]:
        y = nn.silu(x @ w) * (x @ v)
        x = x + y * aj.lax.rsqrt(jnp.mean(y * y, -1, keepdims=True) + 1e-3)
    return jnp.mean(jnp.square(x @ params[-1]))


def test_equal_layers_are_one_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a part of the engine is too large for a program, it is cut into layers, whose programs have one text. What
    follows elementwise from what crosses is computed again, and the results stay those of the whole."""
    monkeypatch.setattr(plan, "MAX_PROGRAM_OPS", 100)
    monkeypatch.setattr(plan, "DISPATCH_SHARE", 1e9)
    params = [(normal(16, 16, seed=i) / 8, normal(16, 16, seed=i + 9) / 8) for i in range(8)]
    args = ([*params, normal(16, 4)], normal(6, 16, seed=30))
    step = aj.value_and_grad(layered)
    found = planned(step, *args)
    assert len(found.programs) >= 14 and found.compiled <= 4
    got = run_plan(found, list(map(jnp.asarray, aj.tree.leaves(args))))
    for mine, want in zip(got, aj.tree.leaves(step(*args)), strict=True):
        np.testing.assert_allclose(mine, want, rtol=0, atol=32 * EPS * max(1, np.abs(np.asarray(want)).max()))
    crossing = sum(v.aval.nbytes for s in found.segments if s.program for v in s.outputs)
    monkeypatch.setattr(plan, "with_repeats", without_repeats)
    plain = planned(step, *args)
    assert crossing < 0.8 * sum(v.aval.nbytes for s in plain.segments if s.program for v in s.outputs)


def without_repeats(graph: Any, pieces: Any, entering: Any) -> list[Any]:
    readers = readers_of(graph)
    return [(tuple(piece), subgraph(graph, piece, readers)) for piece in pieces]


def test_weights_around_the_turn_cross_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs of the last layers, forward and back, are one, as many as fit; it reads each weight once."""
    monkeypatch.setattr(plan, "MAX_PROGRAM_OPS", 200)
    monkeypatch.setattr(plan, "DISPATCH_SHARE", 1e9)
    params = [(normal(64, 64, seed=i) / 8, normal(64, 64, seed=i + 9) / 8) for i in range(8)]
    args = ([*params, normal(64, 4)], normal(6, 64, seed=30))
    step = aj.value_and_grad(layered)
    found = planned(step, *args)
    engine = [s for s in found.segments if s.program]
    assert all(len(s.program.main.ops) <= 200 for s in engine)
    got = run_plan(found, list(map(jnp.asarray, aj.tree.leaves(args))))
    for mine, want in zip(got, aj.tree.leaves(step(*args)), strict=True):
        np.testing.assert_allclose(mine, want, rtol=0, atol=32 * EPS * max(1, np.abs(np.asarray(want)).max()))
    monkeypatch.setattr(plan, "turn_of", lambda *_: [])
    apart = [s for s in planned(step, *args).segments if s.program]
    crossing = [sum(v.aval.shape == (64, 64) for s in of for v in s.graph.inputs) for of in (engine, apart)]
    assert crossing[0] <= crossing[1] - 4 and len(engine) < len(apart)
