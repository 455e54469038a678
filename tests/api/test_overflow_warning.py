"""NumericsWarning: numbers beyond float16 that float32 has are said once for a program, with the user's line."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import amp, lax
from anejax.config import config
from anejax.errors import NumericsWarning

HOW: dict[str, dict[str, Any]] = {"ane": {"device": "ane"}, "cpu-fp16": {"precision": "fp16"}}


@pytest.fixture(params=HOW)
def how(request: pytest.FixtureRequest, espresso: Path) -> dict[str, Any]:
    return HOW[request.param]


@pytest.fixture(autouse=True)
def _all_to_the_engine() -> Any:
    with config.override("engine_partition", "all"):
        yield


def line_of(function: Any, offset: int) -> str:
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno + offset} ({code.co_name})"


def full(value: float, *shape: int) -> np.ndarray:
    return np.full(shape, value, np.float32)


def product(x: Any) -> Any:
    h = jnp.tanh(x)
    y = x @ x  # 64 * 100 * 100 is beyond 32768
    return (y - h)[None]


def test_it_names_the_first_operation_and_its_line_once(how: dict[str, Any]) -> None:
    f = aj.jit(product, **how)
    with pytest.warns(NumericsWarning) as found:
        f(full(100, 64, 64))
        f(full(100, 64, 64))
    (only,) = found
    text = str(only.message)
    assert text.startswith(f"[jit] matmul at {line_of(product, 2)} went beyond the engine's float16: 4096 results")
    assert "the largest in float32 is 6.4e+05" in text and "scale an operand by 2^-5 or 1/sqrt(terms)" in text
    assert only.filename == __file__


def mean_of_squares(p: Any, x: Any) -> Any:
    h = x @ p
    return jnp.mean((h * 300) ** 2)


def test_lines_survive_derivatives_and_legalization(how: dict[str, Any]) -> None:
    with pytest.warns(NumericsWarning, match="mean_of_squares"):
        aj.jit(aj.value_and_grad(mean_of_squares), **how)(full(1, 32, 8), full(1, 16, 32))


def test_programs_warn_each_though_their_text_is_equal() -> None:
    for _ in range(2):
        with pytest.warns(NumericsWarning, match="matmul"):
            aj.jit(lambda x: (x @ x)[None], precision="fp16")(full(100, 64, 64))


def test_what_overflows_later_is_said_later() -> None:
    f = aj.jit(lambda x: product(x), precision="fp16")  # jits of one function share their programs
    f(full(1, 64, 64))
    with pytest.warns(NumericsWarning):
        f(full(100, 64, 64))


def test_a_loop_in_chunks_says_it_once(how: dict[str, Any]) -> None:
    f = aj.jit(lambda c, x: lax.scan(lambda c, t: (c @ t, c), c, x), **how)
    with pytest.warns(NumericsWarning, match="matmul at .*turns") as found:
        f(full(1, 8, 8), full(1, 300, 8, 8))  # 8^5 is 32768
    assert len(found) == 1


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (lambda x: (x @ x)[None], full(np.inf, 8, 8)),
        (lambda x: (x @ x)[None], full(np.nan, 8, 8)),
        (lambda x: (1 / x)[None], np.arange(8, dtype=np.float32)),  # infinite in float32 too
        (lambda x: jnp.where(x > 0, 1 / x, 0.0)[None], np.arange(8, dtype=np.float32)),
        (lambda x: (x @ x)[None], full(1, 8, 8)),
        (lambda x: jnp.sqrt(x)[None], full(-1, 8)),  # NaN in float32, and 0 on the engine
        (lambda x: (x @ x)[None], full(1, 0, 0)),
    ],
)
def test_nothing_is_said_where_float32_has_the_same(function: Any, x: np.ndarray, how: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", NumericsWarning)
        aj.jit(function, **how)(x)


def loss(p: Any, x: Any) -> Any:
    return jnp.mean(jnp.tanh(x @ p).astype("float32") ** 2)


@pytest.mark.parametrize("policy", ["compute=float16", "float32"])
def test_a_loss_scale_looks_for_its_size_in_silence(policy: str, how: dict[str, Any]) -> None:
    """Its gradients overflow from 2^24 down, which is how it finds the scale."""
    grad = amp.value_and_grad(loss, policy=policy, initial_scale=2.0**24)
    step, scale = aj.jit(grad, **how), grad.init()
    p, x = full(0.1, 16, 8), full(0.5, 4, 16)
    skipped = 0
    for _ in range(12):
        _, scale = step(scale, p, x)
        skipped += not bool(scale.finite)
    assert skipped > 0


def test_an_overflow_that_a_loss_scale_cannot_mend_is_said(how: dict[str, Any]) -> None:
    """Logits that are infinite do not follow from the scale."""
    grad = amp.value_and_grad(loss, policy="float32", initial_scale=2.0)
    with pytest.warns(NumericsWarning, match=r"matmul at .* \(loss\)"):
        aj.jit(grad, **how)(grad.init(), full(100, 64, 8), full(100, 4, 64))


@pytest.mark.parametrize("on_cpu", [lambda x: x, lambda x: jnp.sort(x, 0)], ids=["argument", "result"])
def test_what_is_too_large_to_enter_is_said(on_cpu: Any, how: dict[str, Any]) -> None:
    """Arguments, and what the CPU device makes of them; infinities that came in say nothing."""

    def f(x: Any, w: Any) -> Any:
        x = on_cpu(x)
        with aj.named_scope("first"):
            return jnp.tanh(x) @ w

    jitted, x, w = aj.jit(f, **how), full(1e5, 8, 8), full(1e-3, 8, 8)
    with pytest.warns(NumericsWarning) as found:
        jitted(x, w)
        jitted(x, w)
    (only,) = found
    text = str(only.message)
    assert text.startswith(f"[jit] 64 numbers that enter tanh of first at {line_of(f, 3)} are beyond float16")
    assert "which ends at 65504, and became infinite: the largest in float32 is 1e+05" in text
    with warnings.catch_warnings():
        warnings.simplefilter("error", NumericsWarning)
        aj.jit(f, **how)(full(np.inf, 8, 8), w)
