"""Public kinds of programs for jax train ten steps here as they do there, and on the engine's numbers."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

import anejax as aj
from tests.interop.programs import PROGRAMS

# a unit of float32 is 2^-24 of a loss; sums in another order are a few units off, and ten steps add to it
UNITS = 256  # the networks with convolutions differ by 36 to 80 units between processors, of either library


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
@pytest.mark.filterwarnings("ignore::UserWarning:optax")
def test_ten_steps_are_those_of_jax(program: Any) -> None:
    step, state = program()
    ours, theirs = aj.from_jax(step), jax.jit(step)
    mine = yours = state
    for _ in range(10):
        (mine, a), (yours, b) = ours(mine), theirs(yours)
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=UNITS * 2.0**-24)
    assert jax.tree.structure(mine) == jax.tree.structure(yours)


@pytest.mark.parametrize("program", PROGRAMS[2:4], ids=lambda p: p.__name__)
def test_a_step_on_the_engine_numbers(program: Any) -> None:
    step, state = program()
    aj.interop.adopt_trees(state)
    _, loss = aj.jit(aj.from_jax(step), precision="fp16")(state)
    np.testing.assert_allclose(np.asarray(loss), np.asarray(jax.jit(step)(state)[1]), rtol=0.02)
