"""Random programs under random towers of transformations, against jax on the same program."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.generated.judge import close
from tests.generated.libraries import JAX, OURS
from tests.generated.programs import ENDS, WRAPS, Program, programs, transformed
from tests.generated.running import LONG, Clock, examples

ULPS = 64  # of the greatest element: some hundred operations in a chain
TOWERS = st.lists(st.sampled_from([*WRAPS]), max_size=3 if LONG else 2).map(tuple)


@pytest.mark.parametrize("end", ENDS)
def test_agrees_with_jax(end: str, clock: Clock) -> None:
    @examples
    @given(programs(8 if LONG else 4), TOWERS, st.integers(0, 9999))
    def agrees(program: Program, wraps: tuple[str, ...], seed: int) -> None:
        if not seed or not clock.runs():
            return
        with clock:
            x = np.random.default_rng(seed).uniform(-1, 1, 4).astype(np.float32)
            theirs = np.asarray(jax.jit(transformed(JAX, program, wraps, end))(x))
            ours = transformed(OURS, program, wraps, end)(OURS.np.asarray(x))

            def exact() -> np.ndarray:
                with jax.enable_x64(True):
                    return np.asarray(jax.jit(transformed(JAX, program, wraps, end))(x.astype(np.float64)))

            assert ours.dtype == theirs.dtype
            close(ours, theirs, exact, ULPS, float(np.abs(theirs).max(initial=1.0)), "value")

    agrees()
