"""Public kinds of programs for jax train ten steps here as they do there, and on the engine's numbers."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

import anejax as aj
from tests.compat.losses import losses
from tests.interop.programs import PROGRAMS
from tests.interop.record import UNITS, distance


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
@pytest.mark.filterwarnings("ignore::UserWarning:optax")
def test_ten_steps_are_those_of_jax(program: Any) -> None:
    step, state = program()
    ours = aj.from_jax(step)
    assert distance(program.__name__, losses(ours, state)) <= UNITS
    assert jax.tree.structure(ours(state)[0]) == jax.tree.structure(state)


@pytest.mark.parametrize("program", PROGRAMS[2:4], ids=lambda p: p.__name__)
def test_a_step_on_the_engine_numbers(program: Any) -> None:
    step, state = program()
    aj.interop.adopt_trees(state)
    _, loss = aj.jit(aj.from_jax(step), precision="fp16")(state)
    np.testing.assert_allclose(np.asarray(loss), np.asarray(jax.jit(step)(state)[1]), rtol=0.02)
