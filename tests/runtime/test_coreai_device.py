"""The device "coreai": the engine's programs on Apple's Core AI runtime, which runs in a process of its own."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import signal
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax, nn
from anejax.config import config
from anejax.coreai import asset
from anejax.errors import DeviceError, EngineFallbackWarning
from anejax.runtime import engine
from anejax.runtime.coreai import program as coreai
from anejax.runtime.coreai.program import CoreAIProgram
from anejax.runtime.coreai.worker import worker
from anejax.runtime.engine import ACCUMULATOR, SELF_TEST

pytestmark = pytest.mark.skipif(not asset.available(), reason="no coreai-core here")
RNG = np.random.default_rng(0)
X, W = np.arange(64, dtype=np.float16) - 31, 2 * np.eye(64, dtype=np.float16)


@pytest.fixture(autouse=True, scope="module")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of its own, which the process that runs Core AI is told when it starts."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("coreai")
        patch.setenv("ANEJAX_CACHE", str(folder))
        worker()._kill()
        yield folder
        worker()._kill()


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def address(x: np.ndarray) -> int:
    return x.__array_interface__["data"][0]


def doubled(program: CoreAIProgram) -> np.ndarray:
    y = np.zeros(64, np.float16)
    program.run([address(X), address(W)], [address(y)])
    return y


def stats(function: Any, device: str = "coreai") -> list[dict[str, Any]]:
    """The counts of its segments on Core AI."""
    (found,) = function.executables()
    return [s for s in found.stats()["segments"] if s["device"] == device]


def test_functions_are_divided_as_for_the_engine() -> None:
    def f(x: Any, w: Any, i: Any) -> Any:
        return jnp.sort(jnp.tanh(x @ w)[i]) * 2

    args = normal(7, 13), normal(13, 5), np.array([3, 0], np.int32)
    jitted = aj.jit(f, device="coreai")
    np.testing.assert_allclose(jitted(*args), aj.jit(f)(*args), atol=4e-3)
    assert len(stats(jitted)) == 2
    text = jitted.lower(*args).as_text()
    assert "// segment 1: coreai" in text
    assert "tanh" in text
    found = aj.explain(f, *args, device="coreai")
    reasons = {p.primitive: (p.device, p.reason) for p in found.placements}
    assert reasons["dot_general"][0] == "ane"
    assert reasons["sort"][0] == "cpu"
    assert "MIL's sorting operations" in reasons["sort"][1]
    assert "  the engine's programs run by Core AI" in str(found).splitlines()
    assert str(found).startswith("f on coreai (M4 by Core AI): 5 segments")


@pytest.mark.parametrize("shape", [(1,), (1, 1), (3, 5), (2, 3, 7), (1, 33), (4, 1, 65)])
def test_shapes(shape: tuple[int, ...]) -> None:
    x = normal(*shape)
    got = aj.jit(lambda x: (x * 2 + 1, x.sum(), x.T), device="coreai")(x)
    for a, want in zip(got, (x * 2 + 1, x.sum(), x.T), strict=True):
        np.testing.assert_allclose(a, want, rtol=2e-3, atol=2.0**-11 * max(1, np.abs(x).sum()))


def test_state_stays_where_it_is() -> None:
    step = aj.jit(lambda s, w: s @ w, device="coreai", donate_argnums=0)
    s, w = jnp.ones((2, 64), jnp.float16), jnp.asarray(W / 2 + W[::-1] / 4)
    want = np.ones((2, 64))
    for _ in range(5):
        s, want = step(s, w), want @ np.asarray(w, np.float64)
    np.testing.assert_allclose(np.asarray(s), want, rtol=4e-3)
    (found,) = stats(step)
    assert (found["runs"], found["copied_inputs"], found["kept_inputs"], found["handed_inputs"]) == (5, 3, 4, 3)


def test_what_is_written_outside_is_copied_again() -> None:
    program, y = CoreAIProgram.of_mil(SELF_TEST), np.zeros(64, np.float16)
    x = X.copy()
    for k in (1, 2):
        x *= k
        program.run([address(x), address(W)], [address(y)], [100 + k, 50], [200 + k])
        np.testing.assert_array_equal(y, 2 * X * k)
    assert json.loads(program.describe("stats"))["kept_inputs"] == 1


@pytest.mark.parametrize("lowest", [-np.inf, np.finfo(np.float32).min, -1e9])
def test_masks_of_users(lowest: float) -> None:
    q, mask = normal(1, 6, 2, 8), np.where(np.tri(6, dtype=bool), 0, lowest).astype(np.float32)
    f = lambda q, mask: (nn.dot_product_attention(q, q, q, bias=mask), nn.softmax(q[0, :, 0] @ q[0, :, 1].T + mask))  # noqa: E731
    with config.override("engine_partition", "all"), warnings.catch_warnings():
        warnings.simplefilter("error")
        got = aj.jit(f, device="coreai")(q, mask)
    for a, want in zip(got, f(q, mask), strict=True):
        np.testing.assert_allclose(a, want, atol=5e-3)


def test_route_of_the_engine() -> None:
    with config.override("engine_route", "coreai"):
        assert engine.what_runs("ane") == "coreai"
        assert engine.why_missing() is None
        f = aj.jit(lambda x: x @ x, device="ane")
        with config.override("engine_partition", "all"):
            np.testing.assert_allclose(f(W), W.astype(np.float32) @ W)
            assert len(stats(f)) == 1
        found = aj.explain(lambda x: x @ x, aj.ShapeDtypeStruct((2048, 2048), "float32"))
        assert found.route == "by Core AI, as engine_route is 'coreai'"
        assert found.us > 1000, "a dispatch takes a millisecond"
    with config.override("engine_route", "e5rt"):
        assert engine.what_runs("ane") == "ane"
    assert engine.what_runs("ane") == "ane", "Core AI's runtime for the CPU is no engine"


def test_devices() -> None:
    (device,) = aj.devices("coreai")
    assert device.device_kind == "Apple's Core AI runtime"
    with aj.default_device(device):
        assert aj.jit(lambda x: x + 1).device == "coreai"
    assert engine.device_in_words("coreai").startswith("coreai (")


# ---- what goes wrong

DIES = """module {
coreai.graph @main(%x: tensor<1x64xf16> {coreai.name = "x"}, %w: tensor<64x64xf16> {coreai.name = "w"})
    -> (tensor<1x64xf16> {coreai.name = "y"}) {
  %0 = "coreai.cast"(%x) : (tensor<1x64xf16>) -> tensor<1x64xsi32>
  %1 = "coreai.decomposable.broadcasting_floor_divide"(%0, %0) : (tensor<1x64xsi32>, tensor<1x64xsi32>) -> tensor<1x64xsi32>
  %2 = "coreai.cast"(%1) : (tensor<1x64xsi32>) -> tensor<1x64xf16>
  coreai.output %2 : tensor<1x64xf16>
}
}"""  # noqa: E501


def test_what_ends_the_process_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Integer division by zero does (docs/export.md, 5)."""
    other = CoreAIProgram.of_mil(ACCUMULATOR)
    with monkeypatch.context() as patch:
        patch.setattr(coreai, "module", lambda graphs: DIES)
        program = CoreAIProgram.of_mil(SELF_TEST)
        y = np.full(64, 7, np.float16)
        with pytest.raises(DeviceError, match=r"the process that runs Core AI ended with signal SIG(ILL|FPE)") as found:
            program.run([address(X), address(W)], [address(y)])
        assert found.value.reason == "runtime_error"
        assert not found.value.changed
        np.testing.assert_array_equal(y, 7)
        f, x = aj.jit(lambda x: jnp.tanh(x @ W), device="coreai"), X.reshape(1, 64)
        patch.setattr(coreai, "module", lambda graphs: DIES.replace('"w"', '"a1"').replace('"x"', '"a0"'))
        with pytest.warns(EngineFallbackWarning, match=r"segment \d runs on the CPU device from now on"):
            got = f(x)
    np.testing.assert_allclose(got, np.tanh(X[None].astype(np.float32) * 2), atol=2e-3)
    s, y = np.ones(64, np.float16), np.zeros(64, np.float16)
    other.run([address(s), address(X), address(W)], [address(y)])  # loaded again, from the cache
    np.testing.assert_array_equal(y, 2 + X)
    assert json.loads(other.describe("stats"))["loads"] == 2


def test_a_process_that_was_killed_is_replaced() -> None:
    program = CoreAIProgram.of_mil(SELF_TEST)
    np.testing.assert_array_equal(doubled(program), 2 * X)
    os.kill(worker()._process.pid, signal.SIGKILL)
    np.testing.assert_array_equal(doubled(program), 2 * X)
    found = json.loads(program.describe("stats"))
    assert (found["loads"], found["runs"]) == (2, 2)


def test_a_limit_of_time() -> None:
    program = CoreAIProgram.of_mil(SELF_TEST)
    os.kill(worker()._process.pid, signal.SIGSTOP)
    with config.override("engine_run_limit", 0.1), pytest.raises(DeviceError, match=r"not done after 0.1 s") as found:
        doubled(program)
    assert found.value.reason == "timeout"
    np.testing.assert_array_equal(doubled(program), 2 * X)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Processes in which pytest-xdist runs tests ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_call_goes_on() -> None:
    program = CoreAIProgram.of_mil(SELF_TEST)
    pid, y = worker()._process.pid, np.full(64, 7, np.float16)
    os.kill(pid, signal.SIGSTOP)
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        program.run([address(X), address(W)], [address(y)], [301, 302], [303])
    timer.join()
    np.testing.assert_array_equal(y, 7)
    os.kill(pid, signal.SIGCONT)
    program.run([address(X), address(W)], [address(y)], [301, 302], [304])
    np.testing.assert_array_equal(y, 2 * X)
    assert worker()._process.pid == pid
    assert json.loads(program.describe("stats"))["kept_inputs"] == 0, "nobody knows what it had copied"


def test_a_forked_child_has_its_own() -> None:
    program = CoreAIProgram.of_mil(SELF_TEST)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's and jax's on threads
        child = os.fork()
    if child == 0:
        os._exit(0 if (doubled(program) == 2 * X).all() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_array_equal(doubled(program), 2 * X)


def test_compiled_programs_are_kept(_cache: Path) -> None:
    text = SELF_TEST.replace("SELF", "")
    CoreAIProgram.of_mil(text)
    assert json.loads(CoreAIProgram.of_mil(text).describe("stats"))["compiles"] == 0
    for found in (_cache / "coreai").rglob("*.odix"):
        found.write_bytes(found.read_bytes()[:-7] + b"damaged")
    program = CoreAIProgram.of_mil(text)
    assert json.loads(program.describe("stats"))["compiles"] == 1
    np.testing.assert_array_equal(doubled(program), 2 * X)
    shutil.rmtree(_cache / "coreai")
    assert json.loads(CoreAIProgram.of_mil(text).describe("stats"))["compiles"] == 1


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "9.9")
    engine._why_missing.cache_clear()
    try:
        with pytest.raises(DeviceError, match=r"Core AI is not there: .* got 9.9: pip install 'anejax\[coreai\]'"):
            aj.devices("coreai")
        with pytest.warns(EngineFallbackWarning, match="the CPU device runs everything"):
            np.testing.assert_allclose(aj.jit(lambda x: x @ x + 5, device="coreai")(W), W.astype(np.float32) @ W + 5)
    finally:
        engine._why_missing.cache_clear()


def test_what_core_ai_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coreai, "module", lambda graphs: "module { nonsense }")
    with pytest.raises(DeviceError, match=r"\[coreai\] load: ") as found:
        CoreAIProgram.of_mil(SELF_TEST)
    assert found.value.reason == "compile_refused"


def test_loops_in_chunks() -> None:
    def f(w: Any, s: Any, xs: Any) -> Any:
        def turn(s: Any, x: Any) -> Any:
            for _ in range(12):
                s = jnp.tanh(s @ w + x) * 0.5 + s * 0.25
            return s, s.sum()

        return lax.scan(turn, s, xs)

    args = normal(8, 8) / 4, normal(2, 8), normal(30, 2, 8)
    got, want = aj.jit(f, device="coreai")(*args), aj.jit(f)(*args)
    for a, b in zip(aj.tree.leaves(got), aj.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-2)
