"""Every public function with a spec, on generated arguments: see ``properties.check`` for what must hold.

Those of ``scipy`` and ``random`` are in test_scipy_and_random.py, so that two processes share the work.
"""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given

from tests.generated.catalogue import SPECS
from tests.generated.properties import check
from tests.generated.running import LONG, Clock, examples

TESTED = [n for n, s in SPECS.items() if LONG or not s.composed]
OTHERS = [n for n in TESTED if n.startswith(("scipy.", "random."))]


def assert_agrees(name: str, clock: Clock) -> None:
    """Examples of one spec, as many as the profile has time for."""
    spec = SPECS[name]

    @examples
    @given(spec.calls())
    def agrees(drawn: tuple) -> None:
        seed, call = drawn
        if seed and clock.runs():
            with clock, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of jax, about dtypes that 64 bits off narrow
                check(spec, call, seed, second=LONG)

    agrees()


@pytest.mark.parametrize("name", [n for n in TESTED if n not in OTHERS])
def test_agrees_with_jax(name: str, clock: Clock) -> None:
    assert_agrees(name, clock)
