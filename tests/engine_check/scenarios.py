"""The scenarios that modes of the stand-in are put to, each in a process of its own.

``python -m tests.engine_check.scenarios NAME`` runs one. It compares numbers, and raises AssertionError where they are
wrong, or where something failed without a word.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax.config import config
from anejax.engine.doctor import FAILED, bundles, many, memory, worker
from anejax.engine.doctor.bench import execute, smallest, stats
from anejax.engine.doctor.questions import Plan
from anejax.errors import AnejaxError, DeviceError, EngineFallbackWarning
from anejax.mil import chips, profile
from anejax.mil.parse import parse
from anejax.mil.verify import verify
from anejax.runtime import engine
from anejax.runtime.library import NativeProgram
from tests.engine_check.modes import SAID, SURVIVED

UNITS = 16 * 2.0**-11  # of float16's rounding
MEMORY_RUNS = 2000
PATIENCE = 0.3  # seconds, of which a hanging call of the stand-in takes 0.9


class Outcome(NamedTuple):
    """What came of a scenario: SURVIVED or SAID, in words, and how many programs were compiled, if that is known."""

    state: str
    words: str
    compiles: int = 0


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


# ---- a jitted function on the engine, or on the CPU device with a word


def on_engine(run: Callable[[str], tuple[Sequence[Any], int | None]]) -> Outcome:
    """What comes of ``run``, which gives results on a device and how many programs that compiled, if it knows.

    Where the engine fails, ``run`` must raise if nothing may fall back, and warn and be right if something may.
    """
    expected, _ = run("cpu")
    config.update("engine_partition", "all")
    config.update("engine_backoff", 0.0)
    config.update("engine_fallback", "error")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", EngineFallbackWarning)
            got, compiles = run("ane")
    except DeviceError as err:
        config.update("engine_fallback", "warn")
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            got, _ = run("ane")
        close(got, expected)
        assert any(issubclass(w.category, EngineFallbackWarning) for w in heard), f"fell back without a word: {err}"
        return Outcome(SAID, str(err))
    close(got, expected)
    how = "" if compiles is None else "; compiled anew" if compiles else "; taken from disk"
    return Outcome(SURVIVED, f"right within {UNITS * 2**11:.0f} units of float16{how}", compiles or 0)


def close(got: Sequence[Any], expected: Sequence[Any]) -> None:
    for g, e in zip(got, expected, strict=True):
        scale = float(np.abs(np.asarray(e, np.float64)).max())
        np.testing.assert_allclose(np.asarray(g, np.float64), e, rtol=0, atol=UNITS * scale)


def compiles_of(function: Any, *args: Any) -> int:
    segments = function.lower(*args).compile().cost_analysis().get("segments", ())
    return sum(s.get("compiles", 0) for s in segments)


def training() -> Outcome:
    """Three steps of gradient descent."""
    x, y = normal(32, 9, seed=1), normal(32, 3, seed=2)

    def step(params: Any) -> Any:
        loss = lambda p: jnp.mean((jnp.tanh(x @ p["w"] + p["b"]) @ p["v"] - y) ** 2)  # noqa: E731
        value, grads = aj.value_and_grad(loss)(params)
        return aj.tree.map(lambda p, g: p - 0.1 * g, params, grads), value

    def run(device: str) -> tuple[list[Any], int | None]:
        compiled = aj.jit(step, device=device)
        first = params = {"w": normal(9, 16), "b": np.zeros(16, np.float32), "v": normal(16, 3)}
        losses = []
        for _ in range(3):
            params, loss = compiled(params)
            losses.append(float(loss))
        return losses, compiles_of(compiled, first) if device == "ane" else None

    return on_engine(run)


def elementwise() -> Outcome:
    """A function without a product."""
    x = normal(7, 33)

    def run(device: str) -> tuple[list[Any], int | None]:
        return [aj.jit(lambda x: jnp.exp(-x * x) + x, device=device)(x)], None

    return on_engine(run)


def recurrent() -> Outcome:
    """A state that stays in the engine between calls, in rows that fill no 64 bytes."""
    w, xs = (0.3 * normal(7, 7)).astype(np.float16), normal(6, 3, 7, seed=1).astype(np.float16)

    def run(device: str) -> tuple[list[Any], int | None]:
        turn = aj.jit(lambda h, x: jnp.tanh(h @ w + x), device=device, donate_argnums=0)
        h, seen = jnp.zeros((3, 7), jnp.float16), []
        for x in xs:
            h = turn(h, x)
            seen.append(np.array(h))
        return seen[-1:], None

    return on_engine(run)


def constants() -> Outcome:
    """Matrices that the program has inside."""
    params = {"w": jnp.asarray(normal(5, 3)), "v": jnp.asarray(normal(3, 7, seed=1))}
    x = normal(4, 5, seed=2)

    def run(device: str) -> tuple[list[Any], int | None]:
        f = lambda x: jnp.tanh(x @ params["w"]) @ params["v"]  # noqa: E731
        return [aj.jit(f, device=device, constants=params)(x)], None

    return on_engine(run)


def impatient() -> Outcome:
    """A step of training whose calls end in time."""
    config.update("engine_compile_limit", PATIENCE)
    config.update("engine_run_limit", PATIENCE)
    return training()


# ---- programs, and the doctor's questions


def one_program() -> Outcome:
    """Compiles a program or takes it from disk, and runs it."""
    made = NativeProgram("ane", smallest(0.25))
    (got,) = execute(made, [np.ones((1, 64))])
    assert (got == 2.25).all(), got
    again = int(stats(made)["compiles"])
    return Outcome(SURVIVED, "compiled" if again else "taken from disk", again)


def eighteen() -> Outcome:
    return _many(18)


def hundred_and_forty() -> Outcome:
    return _many(many.COUNT)


def _many(count: int) -> Outcome:
    """Keeps ``count`` programs and runs all of them twice."""
    found = many.run(count, keep=True)
    assert not found["error"] and found["right"] == 2 * count, found
    return Outcome(SURVIVED, f"{count} programs are right twice, with room for {found['room']} at a time")


def bundle() -> Outcome:
    """The doctor's question about a program from another process."""
    return _answered(bundles.check_bundle(bundles.SECOND_PROCESS))


def memory_grows() -> Outcome:
    return _answered(memory.check_memory(MEMORY_RUNS, MEMORY_RUNS // 10))


def doctor() -> Outcome:
    """The doctor's first question, which another process asks."""
    checks = worker.watched(Plan("A16", quick=True))
    try:
        return _answered(next(checks))
    finally:
        checks.close()


def _answered(check: Any) -> Outcome:
    return Outcome(SAID if check.state == FAILED else SURVIVED, check.detail)


# ---- what needs no fault

VERIFIED = {
    "gelu without mode": "tensor<fp16, [2, 8]> y = gelu(x = x)",
    "slice_by_index without masks": "tensor<fp16, [1, 8]> y = slice_by_index(begin = tensor<int32, [2]>([0, 0]),"
    " end = tensor<int32, [2]>([1, 8]), x = x)",
    "max_pool without ceil_mode": "tensor<fp16, [1, 1, 1, 4]> y = max_pool(kernel_sizes = tensor<int32, [2]>([1, 2]),"
    ' pad_type = string("valid"), pad = tensor<int32, [4]>([0, 0, 0, 0]), strides = tensor<int32, [2]>([1, 2]), x = x)',
}


def verifiers() -> Outcome:
    """Python's and the native verifier take, or refuse, the same texts."""
    answers = []
    for name, statement in VERIFIED.items():
        shape = "[1, 1, 1, 8]" if "pool" in name else "[2, 8]"
        text = f"program(1.3)\n{{ func main<ios18>(tensor<fp16, {shape}> x) {{ {statement}; }} -> (y); }}"
        said = [_refusal(lambda t=text: verify(parse(t), "ane")), _refusal(lambda t=text: NativeProgram("ane", t))]
        assert bool(said[0]) == bool(said[1]), f"{name}: {said}"
        answers.append(f"{name} is {'refused' if said[0] else 'taken'} by both")
    return Outcome(SURVIVED, "; ".join(answers))


def _refusal(ask: Callable[[], object]) -> str:
    try:
        ask()
    except AnejaxError as err:
        return str(err)
    return ""


def unknown_chip() -> Outcome:
    """A machine of Apple's that came after this version."""
    for module in (profile, engine):
        module.this_machine = lambda: "Apple M9 Pro"  # type: ignore[attr-defined]
    with warnings.catch_warnings(record=True) as heard, config.override("chip", ""):
        warnings.simplefilter("always")
        assert engine.chip() == chips.LATEST, engine.chip()
    (warning,) = heard
    return Outcome(SAID, str(warning.message))


SCENARIOS: dict[str, Callable[[], Outcome]] = {
    f.__name__: f
    for f in (training, elementwise, recurrent, constants, impatient, one_program, eighteen, hundred_and_forty, bundle,
              doctor, verifiers, unknown_chip)
} | {"memory": memory_grows}  # fmt: skip


def broken_rules() -> str:
    """The rules of Espresso that this process has broken, as the stand-in has noted them."""
    ask = ctypes.CDLL(os.environ["ANEJAX_ESPRESSO"]).standin_broken
    ask.restype = ctypes.c_char_p
    return ask().decode()


def main() -> None:
    outcome = SCENARIOS[sys.argv[1]]()
    assert not broken_rules(), f"a rule of Espresso was broken: {broken_rules()}"
    print(json.dumps(outcome._asdict()))


if __name__ == "__main__":
    main()
