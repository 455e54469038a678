"""Estimates of functions: what goes to the engine, what stays, and what the parts add up to."""

from __future__ import annotations

import json
from typing import Any

import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax
from anejax.engine import check, estimate
from anejax.errors import MilError
from anejax.mil.rules import NOTE, REFUSED
from anejax.mil.verify import diagnose
from anejax.models.llama import SIZES, Llama
from anejax.partition import partition
from anejax.partition.fixed import ANGLE, COUNTED
from anejax.passes.pipeline import optimize


def array(*shape: int, dtype: str = "float32") -> aj.ShapeDtypeStruct:
    return aj.ShapeDtypeStruct(shape, dtype)


def stories(length: int = 16) -> tuple[Any, Any, Any]:
    model, tokens = Llama(SIZES["260K"]), array(1, length, dtype="int32")
    params = aj.eval_shape(lambda key: model.init(key, tokens)[0], aj.random.key(0))
    return lambda p, t: model.apply(p, (), t)[0], params, tokens


def test_one_product_is_one_program() -> None:
    found = estimate(lambda x, w: jnp.tanh(x @ w), array(8, 64), array(64, 32), chip="M4")
    assert len(found.programs) == 1 and found.host == {}
    assert found.total.flops == 2 * 8 * 64 * 32
    assert found.total.border_bytes == 2 * (8 * 64 + 64 * 32 + 8 * 32)
    assert 100 < found.total.us < found.total.most_us == pytest.approx(1.31 * found.total.us)


def test_what_the_engine_lacks_divides_the_rest() -> None:
    """matmul, sort, matmul: two programs, and the one equation between."""
    found = estimate(lambda x: jnp.sort(x @ x, axis=0) @ x, array(32, 32))
    assert len(found.programs) == 2
    assert [(name, n) for (name, _), n in found.host.items()] == [("sort", 1)]
    assert found.total.flops == 2 * 2 * 32**3
    assert found.total.floor_us == 2 * found.programs[0].floor_us


def test_what_nothing_waits_for_is_late() -> None:
    """Work on weights alone goes with its reader, not into a program of its own before the gather."""
    found = estimate(lambda table, w, i: table[i] @ jnp.tanh(w), array(9, 8), array(8, 4), array(5, dtype="int32"))
    assert len(found.programs) == 1
    assert {op.op for op in found.programs[0].ops} >= {"tanh", "matmul"}
    assert any("gather" in why for (name, why) in found.host if name == "gather")


def test_dtypes_that_the_engine_lacks() -> None:
    found = estimate(lambda i, x: (i + i, x @ x), array(4, dtype="int32"), array(4, 4))
    assert found.host == {("add", "the engine does not compute in int32"): 1}


def test_nothing_for_the_engine() -> None:
    found = estimate(lambda i: i + 1, array(4, dtype="int32"))
    assert (found.programs, found.total.us, found.total.flops) == ((), 0, 0)


@pytest.mark.parametrize(("chip", "programs"), [("M1", 0), ("M2", 0), ("M3", 0), ("M4", 1), ("M5 Pro", 1)])
def test_families_differ(chip: str, programs: int) -> None:
    """Axes may be longer from M4 on."""
    found = estimate(lambda x: jnp.tanh(x)[0], array(2, 20000), chip=chip)
    assert len(found.programs) == programs
    assert programs or any("up to 16384" in why for _, why in found.host)


@pytest.mark.parametrize("chip", ["M1", "M4"])
def test_sines_are_on_every_engine_but_angles_are_not(chip: str) -> None:
    """M1's engine has no sine, but a polynomial; angles computed from inputs need more digits than float16 has."""
    assert estimate(lambda x: jnp.sin(x @ x), array(8, 8), chip=chip).host == {}
    turned = lambda x, w: (jnp.cos(jnp.arange(8.0) * w) @ x, (jnp.arange(8.0) + x)[0])  # noqa: E731
    host = estimate(turned, array(8, 8), array(8), chip=chip).host
    assert [name for name, why in host if why == ANGLE] == ["mul", "cos"]
    assert {why for _, why in host} <= {ANGLE, COUNTED}


@pytest.mark.parametrize(("columns", "chip", "host"), [(16384, "M1", 0), (16385, "M1", 1), (16385, "M4", 0)])
def test_sizes_that_a_family_lacks(columns: int, chip: str, host: int) -> None:
    found = estimate(lambda x: jnp.tanh(x) * x, array(2, columns), chip=chip)
    assert sum(found.host.values()) == 2 * host


def test_a_network_and_its_gradient() -> None:
    """A forward pass is one program; the gradient does three times its products."""
    apply, params, tokens = stories()
    forward = estimate(apply, params, tokens)
    assert len(forward.programs) == 1
    c = SIZES["260K"]
    kv = c.features * c.kv_heads // c.heads
    matrices = c.layers * (2 * c.features * (c.features + kv) + 3 * c.features * c.hidden) + c.features * c.vocabulary
    attention = c.layers * 2 * 2 * 16 * 16 * c.features
    assert forward.total.flops == pytest.approx(2 * 16 * matrices + attention, rel=0.02)
    both = estimate(aj.grad(lambda p, t: jnp.sum(apply(p, t) ** 2)), params, tokens)
    assert both.total.flops == pytest.approx(3 * forward.total.flops, rel=0.02)
    assert any(name == "scatter_add" for name, _ in both.host)


@pytest.mark.parametrize("chip", ["M1", "M4"])
def test_programs_hold_to_the_rules_that_put_them_there(chip: str) -> None:
    apply, params, tokens = stories()
    for program in partition(optimize(aj.make_jaxpr(apply)(params, tokens).graph), chip).programs:
        assert [f.message for f in diagnose(program, chip) if f.rule.severity != NOTE] == []


def test_loops_are_unrolled_or_stay() -> None:
    def run(step: Any) -> Any:
        return lambda x: aj.lax.scan(lambda c, _: (step(c), None), x, None, length=3)[0]

    unrolled = estimate(run(lambda c: jnp.tanh(c @ c)), array(8, 8))
    assert unrolled.total.flops == 3 * 2 * 8**3 and unrolled.host == {}
    long = estimate(lambda x: aj.lax.scan(lambda c, _: (jnp.tanh(c @ c), None), x, None, length=3000)[0], array(8, 8))
    (loop,) = long.programs
    assert long.total.flops == 3000 * 2 * 8**3 and long.host == {}
    assert {name: n for name, n, *_ in loop.by_operation()} == {"matmul": 3000, "tanh": 3000}
    assert loop.floor_us == 6 * unrolled.programs[0].floor_us, "programs have 1000 operations at most"
    stays = estimate(run(lambda c: jnp.sort(c, 0)), array(8, 8))
    assert stays.programs == () and [name for name, _ in stays.host] == ["scan"]


def test_json() -> None:
    found = estimate(lambda x: jnp.sort(x @ x), array(8, 8), chip="M1").to_json()
    assert json.loads(json.dumps(found)) == found
    assert found["chip"] == "M1" and found["host"][0]["primitive"] == "sort"


def test_unknown_chips() -> None:
    with pytest.raises(MilError, match=r"^\[chip\] expected one of M1, .* got 'M7'"):
        estimate(jnp.tanh, array(3), chip="M7")


def test_check_finds_all() -> None:
    found = check(lambda x: lax.erf_inv(jnp.sort(jnp.exp(x @ x))), array(8, 8), chip="M1")
    assert [f.op for f in found if f.rule.severity == REFUSED] == ["sort", "erf_inv"]
    assert "exp" in {f.op for f in found if f.rule.name == "accuracy"}
    assert [f for f in check(lambda x: x @ x, array(8, 8)) if f.rule.severity != "note"] == []
