"""Specs of ``scipy`` and ``random``: the rest of test_functions.py."""

from __future__ import annotations

from tests.generated.catalogue import SPECS
from tests.generated.test_functions import OTHERS, assert_agrees, names


@names(OTHERS)
def test_agrees_with_jax(name: str) -> None:
    assert_agrees(name, *SPECS[name].example())
