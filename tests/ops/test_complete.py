"""Every primitive has a row, and in every slot a rule or a reason why there can be none."""

from __future__ import annotations

import pytest

from anejax.core.primitive import REGISTRY, SLOTS, Refused
from anejax.errors import RefusedError
from tests.op_samples import HIGHER_ORDER, ROWS, Row
from tests.ops.checks import ALL_ROWS, prim


def test_every_primitive_has_a_row() -> None:
    assert set(ROWS) <= set(REGISTRY)
    assert set(REGISTRY) - set(ROWS) - HIGHER_ORDER == set()


@pytest.mark.parametrize("name", sorted(REGISTRY))
@pytest.mark.parametrize("slot", SLOTS)
def test_slots_are_filled_or_refused(name: str, slot: str) -> None:
    rule = getattr(REGISTRY[name], slot)
    if not callable(rule):
        assert isinstance(rule, Refused) and rule.reason != "not filled in", f"{name}.{slot}"
        with pytest.raises(RefusedError, match=rf"\[{name}\]"):
            REGISTRY[name].rule(slot)


@ALL_ROWS
def test_rows_cover_zero_sizes_and_scalars(row: Row) -> None:
    """Arguments of no element are where rules forget themselves."""
    shapes = [a.shape for c in row.cases for a in c.args]
    if shapes and row.name not in ("reduce_window_max", "argmax"):
        assert any(0 in s for s in shapes), f"{row.name} has no zero-size sample"


@ALL_ROWS
def test_derivatives_are_tested_where_there_are_any(row: Row) -> None:
    """A primitive with a transpose rule is linear in something, so its row must name an argument to differentiate."""
    if callable(prim(row).transpose):
        assert row.grad, f"{row.name} has a transpose rule and its row has no grad"
