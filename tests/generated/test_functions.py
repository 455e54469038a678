"""Every public function with a spec, on generated arguments: see ``properties.check`` for what must hold."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given

from tests.generated.catalogue import SPECS
from tests.generated.properties import check
from tests.generated.running import LONG, Clock, examples


@pytest.mark.parametrize("name", SPECS)
def test_agrees_with_jax(name: str, clock: Clock) -> None:
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
