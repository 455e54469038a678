"""jit(device="ane"): steps train on the engine, over the stand-in for Espresso, as they do on the CPU device; what the
engine fails at is stated, and nothing is lost by it."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import optim
from anejax.config import config
from anejax.core.trace import concrete_array
from anejax.errors import DeviceError, EngineFallbackWarning, NumericsWarning
from anejax.runtime import pipeline
from anejax.runtime.execute import compile_count

EPS = 2.0**-11  # of float16


@pytest.fixture
def espresso(espresso: Path) -> Iterator[None]:
    """The stand-in, and all to the engine that it can have; a fall-back is a failure."""
    with config.override("engine_partition", "all"), config.override("engine_fallback", "error"):
        yield


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def network(params: Any, x: Any) -> Any:
    return jnp.tanh(x @ params["w"] + params["b"]) @ params["v"]


def step(params: Any, opt_state: Any, x: Any, y: Any) -> Any:
    def loss(params: Any) -> Any:
        return jnp.mean((network(params, x) - y) ** 2)

    value, grads = aj.value_and_grad(loss)(params)
    updates, opt_state = optim.adam(1e-2).update(grads, opt_state, params)
    return optim.apply_updates(params, updates), opt_state, value


PARAMS = {"w": normal(8, 16), "b": np.zeros(16, np.float32), "v": normal(16, 3)}
X, Y = normal(32, 8, seed=1), normal(32, 3, seed=2)


def curve(steps: int = 10, **how: Any) -> list[float]:
    compiled = aj.jit(step, **how)
    params, opt_state, losses = aj.tree.map(jnp.asarray, PARAMS), optim.adam(1e-2).init(PARAMS), []
    for _ in range(steps):
        params, opt_state, loss = compiled(params, opt_state, X, Y)
        losses.append(float(loss))
    return losses


@pytest.mark.parametrize("donate", [(), (0, 1)])
def test_trains_as_on_the_cpu(espresso: None, donate: tuple[int, ...]) -> None:
    """Ten steps of Adam: each loss within 16 units of float16's rounding of the CPU device's; no compile after the
    first step."""
    expected = curve()
    curve(1, device="ane", donate_argnums=donate)
    before = compile_count()
    got = curve(device="ane", donate_argnums=donate)
    assert compile_count() == before
    np.testing.assert_allclose(got, expected, rtol=16 * EPS)
    assert got[-1] < 0.8 * got[0]


def test_a_step_is_three_programs(espresso: None) -> None:
    lowered = aj.jit(step, device="ane").lower(PARAMS, optim.adam(1e-2).init(PARAMS), X, Y)
    assert [line for line in lowered.as_text().splitlines() if line.startswith("//")] == [
        "// segment 0: cpu", "// segment 1: ane", "// segment 2: cpu"]  # fmt: skip
    segments = lowered.compile().cost_analysis()["segments"]
    assert [s["device"] for s in segments] == ["cpu", "ane", "cpu"] and segments[1]["placement"] == "ane"


def test_the_default_device(espresso: None) -> None:
    expected = np.asarray(aj.jit(network)(PARAMS, X))
    with aj.default_device("ane"):
        compiled = aj.jit(network)
        got = np.asarray(compiled(PARAMS, X))
        assert aj.default_backend() == "ane"
    assert not np.array_equal(got, expected), "float16 rounds"
    np.testing.assert_allclose(got, expected, rtol=0, atol=16 * EPS * np.abs(expected).max())
    np.testing.assert_array_equal(compiled(PARAMS, X), expected)
    assert aj.devices("ane")[0].platform == "ane"


def test_costs_keep_small_work_on_the_cpu(espresso: None) -> None:
    with config.override("engine_partition", "cost"):
        got = aj.jit(network, device="ane")(PARAMS, X)
    np.testing.assert_array_equal(got, aj.jit(network)(PARAMS, X))


def test_threads_share_a_step(espresso: None) -> None:
    from concurrent.futures import ThreadPoolExecutor

    compiled = aj.jit(network, device="ane")
    expected = np.asarray(compiled(PARAMS, X))
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(lambda _: np.asarray(compiled(PARAMS, X)), range(16)):
            np.testing.assert_array_equal(got, expected)


def moved(compiled: Any, *args: Any) -> list[tuple[int, int]]:
    """(inputs copied, inputs kept) by each engine segment so far."""
    segments = compiled.lower(*args).compile().cost_analysis()["segments"]
    return [(s["copied"], s["kept"]) for s in segments if s["device"] == "ane"]


def test_contents_have_numbers() -> None:
    """Once for each contents: never again for memory that was pooled, donated or borrowed."""
    x = jnp.asarray(normal(1000))
    assert x.contents == x.contents != jnp.asarray(normal(1000)).contents
    add = aj.jit(lambda x: x + 1, donate_argnums=0)
    seen = [x.contents]
    for _ in range(8):
        x = add(x)
        seen.append(x.contents)
    for _ in range(8):  # the pool gives the same memory again
        seen.append(aj.jit(lambda x: x * 2)(x).contents)
    assert len(set(seen)) == len(seen) and 0 not in seen
    assert concrete_array(normal(4)).contents == 0 != aj.jit(lambda x: x)(normal(4)).contents


def test_what_did_not_change_is_not_copied(espresso: None) -> None:
    """Numbers go with contents: NumPy arguments have none, and what is computed anew has another."""
    f = aj.jit(lambda w, x: jnp.tanh(x @ w), device="ane")
    w, v = (jnp.asarray(normal(16, 7, seed=s), jnp.float16) for s in (1, 2))
    x = jnp.asarray(normal(3, 16, seed=3), jnp.float16)
    first = np.asarray(f(w, x))
    assert moved(f, w, x) == [(2, 0)]
    np.testing.assert_array_equal(f(w, x), first)
    assert moved(f, w, x) == [(2, 2)]
    other = np.asarray(f(v, x))
    assert moved(f, w, x) == [(3, 3)]
    np.testing.assert_array_equal(f(w, x), first)
    assert moved(f, w, x) == [(4, 4)]
    given = np.array(w)
    for value in (w, v):  # the caller's own memory, which it may write to
        given[:] = value
        np.testing.assert_array_equal(f(given, x), first if value is w else other)
    assert moved(f, w, x) == [(6, 6)]


def test_donated_memory_is_not_taken_for_what_it_held(espresso: None) -> None:
    """The state is updated in the memory that the engine has read before."""

    @partial(aj.jit, device="ane", donate_argnums=0)
    def step(w: Any, x: Any) -> Any:
        y = x @ w
        return jnp.sort(w + jnp.sum(y) * 2.0**-8, axis=None).reshape(w.shape), y

    w, x = jnp.asarray(normal(16, 4), jnp.float16), jnp.asarray(normal(3, 16), jnp.float16)
    for _ in range(4):
        before = np.asarray(w, np.float64)
        expected = np.asarray(x, np.float64) @ before
        w, y = step(w, x)
        np.testing.assert_allclose(y, expected, rtol=0, atol=16 * EPS * np.abs(expected).max())


def test_failures_fall_back_and_say_so(espresso: None, monkeypatch: pytest.MonkeyPatch) -> None:
    w, x = normal(16, 5, seed=7), normal(3, 16)
    f = lambda x: jnp.tanh(x @ w)  # noqa: E731
    compiled = aj.jit(f, device="ane")
    before = np.asarray(compiled(x))
    monkeypatch.setenv("ANEJAX_ESPRESSO_FAULT", "e5rt_execution_stream_execute_sync:3")
    with pytest.raises(DeviceError, match=r"segment 1 was for the engine, which failed: .* may not fall back"):
        compiled(x)
    with config.override("engine_fallback", "warn"):
        with pytest.warns(EngineFallbackWarning, match="segment 1 runs on the CPU device from now on"):
            got = compiled(x)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_array_equal(compiled(x), got)
    np.testing.assert_allclose(got, before, rtol=0, atol=4 * EPS)


def test_a_loop_that_fails_falls_back(espresso: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its chunks run on the CPU device from then on, the failed one again."""
    w, args = 0.3 * normal(5, 5, seed=7), (normal(3, 5), normal(500, 3, 5))
    turn = lambda c, x: (jnp.tanh(c @ w + x), c)  # noqa: E731
    compiled = aj.jit(lambda h, x: aj.lax.scan(turn, h, x), device="ane")
    before = list(map(np.asarray, compiled(*args)))
    monkeypatch.setenv("ANEJAX_ESPRESSO_FAULT", "e5rt_execution_stream_execute_sync:3")
    with pytest.raises(DeviceError, match=r"segment 1, \d+ of 500 turns, segment 0 was for the engine, which failed"):
        compiled(*args)
    with config.override("engine_fallback", "warn"):
        with pytest.warns(EngineFallbackWarning, match="of 500 turns, segment 0 runs on the CPU device from now on"):
            got = compiled(*args)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for again, value, engine in zip(compiled(*args), got, before):
                np.testing.assert_array_equal(again, value)
                np.testing.assert_allclose(value, engine, rtol=0, atol=16 * EPS)


WITHOUT_ESPRESSO = """
import warnings
import numpy as np
import anejax as aj, anejax.numpy as jnp
from anejax.errors import DeviceError

f = lambda x: jnp.tanh(x @ x)
x = np.random.default_rng(0).standard_normal((8, 8), np.float32)
with warnings.catch_warnings(record=True) as heard:
    warnings.simplefilter("always")
    got = aj.jit(f, device="ane")(x)
    aj.jit(lambda x: f(x) + 1, device="ane")(x)
print(len(heard), heard[0].filename, heard[0].category.__name__, heard[0].message)
print(np.array_equal(got, aj.jit(f)(x)))
for ask in (lambda: aj.devices("ane"), lambda: aj.jit(lambda x: f(x) * 2, device="ane")(x)):
    aj.config.update("engine_fallback", "error")
    try:
        print(ask())
    except DeviceError as err:
        print(err)
"""


SELF_TEST = "from anejax.runtime.engine import why_missing, why_not_resident; print(why_missing(), why_not_resident())"


def test_the_engine_is_there_on_its_second_day(espresso: None) -> None:
    """The self tests' programs are on disk, and the store that they refer to has been emptied."""
    for fault in ("", "store:forgets", "store:forgets"):
        environment = {**os.environ, "ANEJAX_ESPRESSO_FAULT": fault}
        done = subprocess.run([sys.executable, "-c", SELF_TEST], env=environment, capture_output=True, text=True)
        assert done.stdout == "None None\n", done.stdout + done.stderr


def test_without_an_engine_all_runs_on_the_cpu() -> None:
    """In float32, and with one warning."""
    environment = {**os.environ, "ANEJAX_ESPRESSO": "/no/such/Espresso"}
    done = subprocess.run([sys.executable, "-c", WITHOUT_ESPRESSO], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    warned, equal, refused, forbidden = done.stdout.splitlines()
    assert warned.startswith("1 <string> EngineFallbackWarning [jit] the engine is not there, and the CPU device")
    assert "/no/such/Espresso cannot be opened" in warned and equal == "True"
    assert refused.startswith("[devices] the engine is not there") and "may not fall back" in forbidden


def test_unknown_devices() -> None:
    with pytest.raises(DeviceError, match=r"expected one of 'cpu', 'ane', 'coreai', got 'gpu'"):
        aj.jit(network, device="gpu")


def test_wrong_results_fall_back(espresso: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what a program gives at first is looked at; the results returned are those of the CPU device then."""
    monkeypatch.setattr(pipeline, "difference", lambda *_: "output 0 of its first run is off")
    x, w = normal(3, 16), normal(16, 5, seed=8)
    f = lambda x: jnp.tanh(x @ w) + jnp.sum(x)  # noqa: E731
    with pytest.raises(DeviceError, match=r"\[verify\] output 0 of its first run is off"):
        aj.jit(f, device="ane")(x)
    with config.override("engine_verify", "off"):
        aj.jit(lambda x: f(x), device="ane")(x)
    with config.override("engine_fallback", "warn"), pytest.warns(EngineFallbackWarning, match="is off"):
        got = aj.jit(lambda x: f(x) * 1, device="ane")(x)
    exact = np.tanh(x.astype(np.float64) @ w) + x.sum(dtype=np.float64)
    np.testing.assert_allclose(got, exact, rtol=0, atol=4 * EPS * np.abs(exact).max())


def test_what_differs_where_numbers_overflow_is_asked_again(espresso: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines may differ there, and a loss scale begins where everything overflows; but not for ever."""
    monkeypatch.setattr(pipeline, "difference", _after_a_run(pipeline.difference, "output 0 of its first run is off"))
    monkeypatch.setattr(pipeline, "PATIENCE", 3)
    large, small = np.full((8, 8), 70, np.float32), np.ones((8, 8), np.float32)
    f = aj.jit(lambda x: x @ x - 1, device="ane")
    with pytest.warns(NumericsWarning):
        for _ in range(3):
            assert np.isinf(f(large)).all()
    with pytest.raises(DeviceError, match="is off"):
        f(large)
    f = aj.jit(lambda x: x @ x - 2, device="ane")
    with pytest.warns(NumericsWarning):
        f(large)
    with pytest.raises(DeviceError, match="is off"):
        f(small)


def _after_a_run(run: Any, said: str) -> Any:
    """``difference`` that runs the reference and finds ``said``."""

    def found(*args: Any) -> str:
        run(*args)
        return said

    return found


def test_overflow_is_no_failure(espresso: None) -> None:
    """Products from 32768 on are infinite on the engine, as its numerics say, and float16 would have them."""
    x = np.full((8, 8), 70, np.float32)
    with pytest.warns(NumericsWarning, match="matmul"):
        assert np.isinf(aj.jit(lambda x: x @ x, device="ane")(x)).all()


def test_a_loop_again_with_other_rows(espresso: None) -> None:
    """Chunks are one program with the same consts and other rows: nothing is taken for known that is not."""
    w, h, x = 0.3 * normal(5, 5, seed=7), normal(3, 5), normal(600, 3, 5)
    turn = lambda c, x: (jnp.tanh(c @ w + x), 2 * c)  # noqa: E731
    f = lambda h, x: aj.lax.scan(turn, h, x)  # noqa: E731
    compiled, on_cpu = aj.jit(f, device="ane"), aj.jit(f)
    for xs in (jnp.asarray(x), jnp.asarray(x), jnp.asarray(x[::-1].copy()), x):
        for got, expected in zip(compiled(h, xs), on_cpu(h, xs), strict=True):
            np.testing.assert_allclose(got, expected, rtol=0, atol=16 * EPS)
