"""Random programs under random towers of transformations, against jax on the same program."""

from __future__ import annotations

import zlib
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.answers import answers
from tests.generated.draw import Hypothesis, Seeded, Source
from tests.generated.judge import close
from tests.generated.libraries import JAX, OURS
from tests.generated.programs import ENDS, WRAPS, Program, program, tower, transformed
from tests.generated.running import Clock, examples

ULPS = 64  # of the greatest element: some hundred operations in a chain


def assert_agrees(steps: Program, wraps: tuple[str, ...], end: str, seed: int) -> None:
    x = np.random.default_rng(seed).uniform(-1, 1, 4).astype(np.float32)

    def of_jax(values: np.ndarray) -> Any:
        live = lambda: [jax.jit(transformed(JAX, steps, wraps, end))(values)]  # noqa: E731
        functions = steps.parts(), [WRAPS[w] for w in wraps], ENDS[end]
        return answers(live, transformed, Program.__call__, steps, functions, values)[0]

    def exact() -> np.ndarray:
        with jax.enable_x64(True):
            return np.asarray(of_jax(x.astype(np.float64)))

    theirs = np.asarray(of_jax(x))
    ours = transformed(OURS, steps, wraps, end)(OURS.np.asarray(x))
    assert ours.dtype == theirs.dtype
    close(ours, theirs, exact, ULPS, float(np.abs(theirs).max(initial=1.0)), "value")


@pytest.mark.parametrize("end", ENDS)
def test_agrees_with_jax(end: str) -> None:
    source: Source = Seeded(zlib.crc32(end.encode()))
    assert_agrees(program(source, 4), tower(source, 2), end, source.integer(1, 9999))


@pytest.mark.long
@pytest.mark.parametrize("end", ENDS)
def test_many_agree_with_jax(end: str, clock: Clock) -> None:
    @examples
    @given(st.data())
    def agrees(data: st.DataObject) -> None:
        source = Hypothesis(data.draw)
        drawn = program(source, 8), tower(source, 3), end, source.integer(1, 9999)
        if clock.runs():
            with clock:
                assert_agrees(*drawn)

    agrees()
