"""Specs of ``scipy`` and ``random``: the rest of test_functions.py."""

from __future__ import annotations

import pytest

from tests.generated.running import Clock
from tests.generated.test_functions import OTHERS, assert_agrees


@pytest.mark.parametrize("name", OTHERS)
def test_agrees_with_jax(name: str, clock: Clock) -> None:
    assert_agrees(name, clock)
