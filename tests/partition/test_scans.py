"""Scans that are too long for one program run on the engine in chunks: with the CPU device's results, within float16,
as few programs, and with sums in float32. With precision="fp16" the CPU plays the engine, over the same plans."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax, nn, random
from anejax.core.check import check_graph
from anejax.core.graph import Graph
from anejax.partition import Plan, ability, partition, plan
from anejax.partition.scans import sums, turns_at_once
from anejax.passes.pipeline import optimize
from anejax.runtime.execute import compile_count
from tests.partition.run import run_plan

EPS = 2.0**-11  # of float16
LIMIT = 40  # operations of a program, in most tests: a few turns


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs of a few turns."""
    for module in (ability, plan):
        monkeypatch.setattr(module, "MAX_PROGRAM_OPS", LIMIT)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def graph_of(f: Any, *args: Any) -> Graph:
    return optimize(aj.make_jaxpr(f)(*args).graph)


def planned(f: Any, *args: Any, **how: Any) -> Plan:
    return partition(graph_of(f, *args), "M4", **{"by_cost": False, **how})


def loops(found: Plan) -> list[plan.Loop]:
    return [s.loop for s in found.segments if s.loop is not None]


def engine_programs(f: Any, *args: Any) -> set[str]:
    """The texts of what the engine, played by the CPU, compiles."""
    text = aj.jit(f, precision="fp16").lower(*args).as_text()
    parts = re.findall(r"// segment [^\n]*: (\S+)\n(.*?)(?=// segment|\Z)", text, re.DOTALL)
    return {program for device, program in parts if device == "cpu-fp16"}


def assert_runs_in_chunks(f: Any, *args: Any, steps: float = 8, count: int = 1) -> None:
    """``count`` loops, and results off by ``steps`` units of float16's rounding of the largest at most."""
    found = planned(f, *args)
    assert len(loops(found)) == count
    for segment in found.segments:
        check_graph(segment.graph, "partition")
    expected = aj.tree.leaves(aj.jit(f)(*args))
    for got, want in zip(aj.tree.leaves(aj.jit(f, precision="fp16")(*args)), expected, strict=True):
        assert (got.shape, got.dtype) == (want.shape, want.dtype)
        np.testing.assert_allclose(got, want, rtol=0, atol=steps * EPS * np.abs(want).max(initial=0))
    captured = aj.make_jaxpr(f)(*args).consts
    again = run_plan(found, [*captured, *map(jnp.asarray, aj.tree.leaves(args))])
    for got, want in zip(again, expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=steps * EPS * np.abs(want).max(initial=0))


def recurrence(carry: Any, x: Any, w: Any) -> Any:
    """A matrix, a number, a bool and a sum are carried; xs and ys are trees."""
    h, level, high, total = carry
    h = jnp.tanh(x["row"] + h @ w) + jnp.where(high, x["bias"], 0.0)
    level = 0.5 * level + jnp.max(h)
    return (h, level, level > 0.7, total + h), {"h": h, "parts": (level, 2 * h[0])}


def run(x: Any, w: Any, reverse: bool = False) -> Any:
    first = jnp.zeros((3, 5)), 0.0, True, w[:3] * 0 + 1
    return lax.scan(lambda c, x: recurrence(c, x, w), first, x, reverse=reverse)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [5, 12, 13, 24, 97])
def test_computes_the_scan(short: None, length: int, reverse: bool) -> None:
    x = {"row": normal(length, 3, 5), "bias": 0.1 * normal(length, seed=1)}
    w = 0.3 * normal(5, 5, seed=2)
    assert_runs_in_chunks(lambda x, w: run(x, w, reverse), x, w)


@pytest.mark.parametrize("length", [0, 1, 2])
def test_short_scans_are_no_loops(length: int) -> None:
    x, w = {"row": normal(length, 3, 5), "bias": normal(length, seed=1)}, 0.3 * normal(5, 5, seed=2)
    assert_runs_in_chunks(run, x, w, count=0)


FORMS = {
    "no xs": lambda h, w: lax.scan(lambda c, _: (jnp.tanh(c @ w), c[0]), h, None, length=50),
    "no ys": lambda h, w: lax.scan(lambda c, x: (jnp.tanh(c @ w + x), None), h, 0.1 * normal(50, 5))[0],
    "no carry": lambda h, w: lax.map(lambda x: jnp.tanh(x @ w @ w) @ w, 0.1 * normal(50, 3, 5)) + h,
    "ys alone": lambda h, w: lax.scan(lambda c, x: (jnp.tanh(c @ w + x), c), h, 0.1 * normal(50, 5))[1],
    "numbers": lambda h, w: lax.scan(lambda c, x: (jnp.sin(c) * x, c), 0.5, h[0, 0] + 0.1 * normal(90)),
    "one array twice": lambda h, w: lax.scan(
        lambda c, x: ((jnp.tanh(c[0] @ w + x), jnp.tanh(c[1] @ x.T @ c[0])), None), (h, h), jnp.stack([h] * 30)),
    "begins with results": lambda h, w: lax.scan(lambda c, _: (jnp.tanh(c @ w), None), h @ w, None, length=50)[0] @ w,
    "two in a row": lambda h, w: lax.scan(lambda c, x: (jnp.tanh(c @ w + x), c), h,
                                          lax.scan(lambda c, _: (jnp.tanh(c @ w), c), h, None, length=31)[1]),
    "beside each other": lambda h, w: (lax.scan(lambda c, _: (jnp.tanh(c @ w), None), h, None, length=31)[0]
                                       + lax.scan(lambda c, _: (jnp.sin(c @ w), None), h, None, length=31)[0]),
    "sorted between": lambda h, w: lax.scan(lambda c, x: (jnp.tanh(c @ w + x), c), h, jnp.sort(
        lax.scan(lambda c, _: (jnp.tanh(c @ w), c), h, None, length=31)[1], 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_forms(short: None, name: str) -> None:
    count = 2 if name in ("two in a row", "beside each other", "sorted between") else 1
    assert_runs_in_chunks(FORMS[name], normal(3, 5), 0.5 * normal(5, 5, seed=1), count=count, steps=16)


@pytest.mark.parametrize("inner", [2, 40])
def test_scans_in_scans(short: None, inner: int) -> None:
    """Short ones are unrolled in each turn; a long one is a loop in the one turn of each chunk of the outer one."""

    def f(h: Any, w: Any) -> Any:
        turn = lambda c, _: (jnp.tanh(c @ w), jnp.sum(c))  # noqa: E731
        return lax.scan(lambda c, x: lax.scan(turn, c + x, None, length=inner), h, 0.1 * normal(7, 3, 5))

    assert_runs_in_chunks(f, normal(3, 5), 0.5 * normal(5, 5, seed=1), steps=16)
    (loop,) = loops(planned(f, normal(3, 5), normal(5, 5)))
    assert (loop.turns == 1, len(loops(loop.plan))) == (inner == 40, inner == 40)


def test_sums_are_float32_across_chunks() -> None:
    """In float16 a sum of ones ends at 2048, and one of 3000 times 0.1 at 256."""
    f = lambda x: lax.scan(lambda s, x: (s + jnp.exp(x), None), 0.25 * jnp.ones(4), x)[0]  # noqa: E731
    assert_runs_in_chunks(f, np.zeros((5003, 4), np.float32), steps=0)
    assert_runs_in_chunks(f, np.full((3000, 4), np.log(0.1), np.float32), steps=16)


def test_what_is_a_sum() -> None:
    def turn(c: Any, x: Any) -> Any:
        added, twice, read, scaled, doubled, returned = c
        return (added + x, twice + x + x * x, read + x, 0.5 * scaled + x, doubled + doubled, returned + x), (
            jnp.sin(read), returned + x)  # fmt: skip

    graph = aj.make_jaxpr(lambda x: lax.scan(turn, (jnp.zeros(3),) * 6, x))(normal(9, 3)).graph
    (scan,) = (e for e in graph.eqns if e.primitive.name == "scan")
    assert sums(scan)[:5] == (True, True, False, False, False)


def test_gradients_of_a_long_lstm() -> None:
    """200 steps; at most two programs in each direction."""
    layer = nn.LSTM(8)
    params, _ = layer.init(random.key(0), aj.ShapeDtypeStruct((2, 200, 4), "float32"))
    x = normal(2, 200, 4)
    loss = lambda params, x: jnp.mean(layer.apply(params, (), x)[0] ** 2)  # noqa: E731
    grad = aj.value_and_grad(loss)
    assert_runs_in_chunks(grad, params, x, count=2, steps=8)
    forward, backward = loops(planned(grad, params, x))
    assert len(forward.plan.programs) == len(backward.plan.programs) == 1
    assert sum("matmul" in text for text in engine_programs(grad, params, x)) <= 2 * 2 + 2  # and products beside them


def test_programs_are_few_and_compiled_once() -> None:
    """100 steps of an LSTM of the size of ``anejax train chars``."""
    layer = nn.LSTM(32)
    params, _ = layer.init(random.key(0), aj.ShapeDtypeStruct((1, 100, 16), "float32"))
    f = aj.jit(lambda params, x: layer.apply(params, (), x)[0], precision="fp16")
    g = aj.jit(aj.grad(lambda params, x: jnp.sum(layer.apply(params, (), x)[0])), precision="fp16")
    for function, count in ((f, 1), (g, 2)):
        found = loops(planned(function, params, normal(4, 100, 16)))
        assert len(found) == count
        for loop in found:
            programs = [s.program for part, *_ in loop.chunks for s in part.leaves if s.program is not None]
            assert len(programs) <= 2
        function(params, normal(4, 100, 16))
        before = compile_count()
        for seed in range(3):
            function(params, normal(4, 100, 16, seed=seed))
        assert compile_count() == before


def test_bodies_that_stay(short: None) -> None:
    """One operation that the engine lacks keeps the scan on the CPU device, and the reason is that operation's."""
    h = normal(3, 5)
    bodies = {
        "MIL's sorting operations": lambda c, _: (jnp.sort(jnp.tanh(c), 0), None),
        "not known before it runs": lambda c, _: (lax.while_loop(lambda v: jnp.sum(v) > 0, jnp.tanh, c), None),
    }
    for reason, body in bodies.items():
        found = planned(lambda h, body=body: lax.scan(body, h, None, length=50)[0], h)
        reasons = [r for e, r in found.host if e.primitive.name == "scan"]
        assert len(reasons) == 1 and reason in reasons[0] and not loops(found)
    counted = planned(lambda h: lax.scan(lambda c, _: ((c[0] + 1, jnp.tanh(c[1])), None), (0, h), None, length=50), h)
    assert {r for e, r in counted.host if e.primitive.name == "scan"} == {"the engine does not compute in int32"}


def array(*shape: int) -> Any:
    return aj.ShapeDtypeStruct(shape, "float32")


def test_costs_decide() -> None:
    """Products of 1024 pay for a dispatch of some turns, those of 16 do not."""
    f = lambda h, w: lax.scan(lambda c, _: (jnp.tanh(c @ w), None), h, None, length=800)[0]  # noqa: E731
    assert [s.device for s in planned(f, array(16, 16), array(16, 16), by_cost=True).segments] == ["cpu"]
    (reason,) = {r for _, r in planned(f, array(16, 16), array(16, 16), by_cost=True).host}
    assert re.search(
        r"predicted to take [\d.]+ us on the CPU device, and [\d.]+ us on the engine in \d+ dispatches", reason
    )
    found = planned(f, array(1024, 1024), array(1024, 1024), by_cost=True)
    (loop,) = loops(found)
    segment = next(s for s in found.segments if s.loop is not None)
    assert segment.cost is not None and segment.cost.flops == 800 * 2 * 1024**3
    assert segment.dispatches == loop.dispatches == sum(runs for *_, runs in loop.chunks) < 10
    assert segment.cost.floor_us == loop.dispatches * loop.plan.cost.floor_us


def test_zeros_for_a_loop_are_no_dispatch(short: None) -> None:
    f = lambda w: lax.scan(lambda c, _: (jnp.tanh(c @ w), None), jnp.zeros((3, 5)), None, length=50)[0]  # noqa: E731
    found = planned(f, normal(5, 5))
    assert [s.device for s in found.segments] == ["cpu", "ane", "cpu"] and len(loops(found)) == 1


@pytest.mark.parametrize(
    ("length", "most", "floor", "turn", "expected"),
    [
        (100, 25, 100, 10, 25),  # exactly
        (100, 19, 100, 10, 17),  # 5 of 17 and one of 15; ten of 10 would take a quarter more
        (100, 19, 1, 100, 10),  # dispatches are cheap: one program
        (97, 96, 100, 10, 49),  # a prime: two, as even as can be
        (7, 1, 100, 10, 1),
    ],
)
def test_turns_at_once(length: int, most: int, floor: float, turn: float, expected: int) -> None:
    assert turns_at_once(length, most, floor, turn) == expected
