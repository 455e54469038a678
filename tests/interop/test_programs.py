"""Public kinds of programs for jax train ten steps here as they do there, and on the engine's numbers."""

from __future__ import annotations

from typing import Any

import jax
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


@pytest.mark.parametrize(
    "program", [pytest.param(p, id=p.__name__, marks=[pytest.mark.long] * (p in PROGRAMS[:2])) for p in PROGRAMS]
)
@pytest.mark.filterwarnings("ignore::UserWarning:optax")
def test_ten_steps_on_the_engine_numbers(program: Any) -> None:
    """Float16 rounds 2^13 times as much as float32, whose roundings the record's units are of."""
    step, state = program()
    aj.interop.adopt_trees(state)
    ours = losses(aj.jit(aj.from_jax(step), precision="fp16"), state)
    assert distance(program.__name__, ours) <= UNITS * 2**13
