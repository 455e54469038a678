"""Every primitive has a row, and in every slot a rule or a reason why there can be none."""

from __future__ import annotations

import pytest

from anejax.core.primitive import REGISTRY, SLOTS, Refused
from anejax.errors import RefusedError
from tests.op_samples import HIGHER_ORDER, ROWS, Row
from tests.ops.checks import prim, rows_that


def test_every_primitive_has_a_row() -> None:
    assert set(ROWS) <= set(REGISTRY)
    assert set(REGISTRY) - set(ROWS) - HIGHER_ORDER == set()


WITHOUT_A_RULE = [(n, s) for n in sorted(REGISTRY) for s in SLOTS if not callable(getattr(REGISTRY[n], s))]


@pytest.mark.parametrize(("name", "slot"), WITHOUT_A_RULE)
def test_slots_without_a_rule_are_refused(name: str, slot: str) -> None:
    rule = getattr(REGISTRY[name], slot)
    assert isinstance(rule, Refused) and rule.reason != "not filled in", f"{name}.{slot}"
    with pytest.raises(RefusedError, match=rf"\[{name}\]"):
        REGISTRY[name].rule(slot)


@rows_that(lambda row: row.name not in ("reduce_window_max", "argmax") and any(c.args for c in row.cases))
def test_rows_cover_zero_sizes_and_scalars(row: Row) -> None:
    """Arguments of no element are where rules forget themselves."""
    assert any(0 in a.shape for c in row.cases for a in c.args), f"{row.name} has no zero-size sample"


@rows_that(lambda row: callable(prim(row).transpose))
def test_derivatives_are_tested_where_there_are_any(row: Row) -> None:
    """A primitive with a transpose rule is linear in something, so its row must name an argument to differentiate."""
    assert row.grad, f"{row.name} has a transpose rule and its row has no grad"
