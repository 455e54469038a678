"""Every public function with a spec, on generated arguments: see ``properties.check`` for what must hold.

Those of ``scipy`` and ``random`` are in test_scipy_and_random.py, so that two processes share the work.
"""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given

from tests.generated.catalogue import SPECS
from tests.generated.draw import Call
from tests.generated.properties import check
from tests.generated.running import LONG, Clock, examples

OTHERS = [n for n in SPECS if n.startswith(("scipy.", "random."))]
HERE = [n for n in SPECS if n not in OTHERS]


def names(of: list[str]) -> pytest.MarkDecorator:
    """Runs a test on these specs, in the short profile on those that are not composed of others."""
    return pytest.mark.parametrize("name", [n for n in of if LONG or not SPECS[n].composed])


def assert_agrees(name: str, seed: int, call: Call, second: bool = False) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of jax, about dtypes that 64 bits off narrow
        check(SPECS[name], call, seed, second or SPECS[name].second)


@names(HERE)
def test_agrees_with_jax(name: str) -> None:
    assert_agrees(name, *SPECS[name].example())


@pytest.mark.long
@names([*SPECS])
def test_many_agree_with_jax(name: str, clock: Clock) -> None:
    """As many examples as there is time for."""

    @examples
    @given(SPECS[name].calls())
    def agrees(drawn: tuple[int, Call]) -> None:
        if drawn[0] and clock.runs():
            with clock:
                assert_agrees(name, *drawn, second=True)

    agrees()
