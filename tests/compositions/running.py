"""Runs a program with anejax, eagerly, compiled and mapped, and compares it with jax on the CPU.

jax runs with jit disabled: it unrolls its loops then, and keeps the rules of custom functions in them, which a scan of
jax's loses from the second order on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy
import numpy as np

import anejax as aj
import anejax.nn
import anejax.numpy
from anejax.errors import AnejaxError
from tests.compositions.generate import Program
from tests.compositions.program import N, text

OURS = SimpleNamespace(np=anejax.numpy, lax=aj.lax, nn=anejax.nn, t=aj)
JAX = SimpleNamespace(np=jax.numpy, lax=jax.lax, nn=jax.nn, t=jax)
TOLERANCE = {"float32": 2e-3, "float64": 1e-8}  # of the largest element, or of 1
NEAR = {"float32": 1e-6, "float64": 1e-12}  # how far away jax must give nearly the same
W = np.linspace(0.5, 1.5, N)
A = np.random.default_rng(1).uniform(-0.6, 0.6, (N, N))


class Finding(AssertionError):
    """anejax gives something else than jax."""


def check(program: Program) -> bool:
    """Raises Finding, or anejax's error. False where jax has no number, or where it depends on rounding."""
    with _types(program):
        expected = by_jax(program)
        if expected is None:
            return False
        wrong = differences(program, expected, tuple(MODES))
        if wrong and not _smooth(program, expected):
            return False
    if wrong:
        raise Finding(wrong)
    return True


def by_jax(program: Program) -> np.ndarray | None:
    """jax's result, or None where it refuses the program or has no finite numbers."""
    with _types(program):
        try:
            expected = _by_jax(program, program.point)
        except Exception as error:
            _refused(program, type(error))
            return None
    return expected if np.isfinite(expected).all() else None


def differences(program: Program, expected: np.ndarray, modes: Sequence[str]) -> str:
    """Nothing, or which modes give something else than ``expected``."""
    with _types(program), aj.enable_checks():
        found = {name: MODES[name](program) for name in modes}
    wrong = [name for name, value in found.items() if not _close(value, expected, TOLERANCE[expected.dtype.name])]
    return f"{', '.join(wrong)}: {found[wrong[0]]!r}, jax {expected!r}" if wrong else ""


@contextlib.contextmanager
def _types(program: Program) -> Iterator[None]:
    wide = program.point.dtype == np.float64
    with jax.enable_x64(wide), aj.enable_x64(wide):
        yield


def _by_jax(program: Program, point: np.ndarray) -> np.ndarray:
    with jax.disable_jit():
        return np.asarray(function(program, JAX)(jax.numpy.asarray(point)))


def _refused(program: Program, theirs: type[Exception]) -> None:
    """What jax refuses anejax may do; if it does not, it says so by an error of its own, or as jax does."""
    with contextlib.suppress(AnejaxError, theirs):
        MODES["eager"](program)


def _close(found: np.ndarray, expected: np.ndarray, tolerance: float) -> bool:
    if (found.shape, found.dtype) != (expected.shape, expected.dtype):
        return False
    return bool((np.abs(found - expected) <= tolerance * max(1.0, float(np.abs(expected).max()))).all())


def _smooth(program: Program, expected: np.ndarray) -> bool:
    """Whether jax gives nearly the same nearby: a branch on nearly equal numbers says nothing."""
    dtype = program.point.dtype.name
    rng = np.random.default_rng(0)
    for _ in range(2):
        nearby = program.point * (1 + NEAR[dtype] * rng.uniform(-1, 1, N)).astype(program.point.dtype)
        if not _close(_by_jax(program, nearby), expected, TOLERANCE[dtype]):
            return False
    return True


def function(program: Program, m: Any) -> Callable[[Any], Any]:
    space: dict[str, Any] = {"w": W.astype(program.point.dtype), "a": A.astype(program.point.dtype)}
    exec(text(program.block), space)
    return lambda x: space["program"](m, x)


def _eager(program: Program) -> Any:
    return function(program, OURS)(anejax.numpy.asarray(program.point))


def _compiled(program: Program) -> Any:
    return aj.jit(function(program, OURS))(program.point)


def _mapped(program: Program) -> Any:
    return aj.vmap(function(program, OURS))(np.stack([0.5 * program.point, program.point]))[1]


MODES: dict[str, Callable[[Program], np.ndarray]] = {
    name: lambda program, run=run: np.asarray(run(program))
    for name, run in {"eager": _eager, "compiled": _compiled, "mapped": _mapped}.items()
}
